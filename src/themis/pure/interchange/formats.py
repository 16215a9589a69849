"""The formats that are read, and how a log's is told by its content; what a file is called decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from themis.pure.errors import DataError
from themis.pure.interchange import (
    atif,
    deepeval,
    eee,
    helm,
    inspect,
    lighteval,
    lm_eval,
    loose,
    openai_evals,
    promptfoo,
    pydantic_evals,
)
from themis.pure.interchange.records import LogFiles, LoggedRun

Value = Mapping[str, Any]


class Document(NamedTuple):
    """A format whose logs are one JSON value each."""

    is_log: Callable[[Any], bool]
    read: Callable[[Any, LogFiles, str], Iterator[LoggedRun]]


class Lines(NamedTuple):
    """A format whose logs are JSON lines, and are known by the first."""

    is_line: Callable[[Any], bool]
    read: Callable[[LogFiles, str], Iterator[LoggedRun]]


DOCUMENTS: Final = (
    Document(inspect.is_log, lambda value, files, name: inspect.read_log(value, f"{files.where}/{name}")),
    Document(lm_eval.is_results, lm_eval.read_results),
    Document(promptfoo.is_log, promptfoo.read_log),
    Document(helm.is_state, helm.read_state),
    Document(pydantic_evals.is_report, pydantic_evals.read_report),
    Document(deepeval.is_run, deepeval.read_run),
    Document(eee.is_aggregate, eee.read_aggregate),
    Document(atif.is_trajectory, atif.read_trajectory),
)
LINES: Final = (
    Lines(lm_eval.is_row, lm_eval.read_samples),
    Lines(promptfoo.is_row, promptfoo.read_rows),
    Lines(openai_evals.is_line, openai_evals.read),
    Lines(eee.is_row, eee.read_samples),
)
NAMES: Final = (
    "Inspect",
    "lm-eval",
    "promptfoo",
    "OpenAI evals",
    "HELM",
    "lighteval",
    "pydantic-evals",
    "deepeval",
    "Every Eval Ever",
    "ATIF",
)
"""What is read, for people."""

_PARQUET: Final = b"PAR1"


def read_file(files: LogFiles, name: str) -> Iterator[LoggedRun] | None:
    """Return the runs of a file of text, or `None` if it is no log of any format that is known.

    Raises:
        DataError: it begins as JSON, and is none.
    """
    first = next(files.lines(name), None)
    if first is not None and first[1].startswith(_PARQUET):
        row = next(iter(files.rows(name)), (0, None))[1]
        return lighteval.read_details(files, name) if lighteval.is_row(row) else None
    if first is None or first[1].lstrip(b"\xef\xbb\xbf \t")[:1] not in (b"{", b"["):
        return None
    try:
        head = loose.parse(first[1], name)
    except DataError:  # a document of several lines
        head = None
    if head is not None:
        for lines in LINES:
            if lines.is_line(head):
                return lines.read(files, name)
    value = head
    if head is None:
        value = loose.parse(files.read(name), f"{files.where}/{name}")
    for document in DOCUMENTS:
        if document.is_log(value):
            return document.read(value, files, name)
    return None


def read_archive(files: LogFiles) -> Iterator[LoggedRun] | None:
    """Return the runs of an archive, or `None` if it is no log of any format that is known."""
    return inspect.read_archive(files) if inspect.is_archive(files) else None
