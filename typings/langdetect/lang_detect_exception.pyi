class LangDetectException(Exception): ...  # noqa: N818  # its name there
