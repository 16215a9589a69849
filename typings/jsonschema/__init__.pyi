class SchemaError(Exception):
    json_path: str
    message: str

class ValidationError(Exception):
    json_path: str
    message: str
    def __init__(self, message: str) -> None: ...
