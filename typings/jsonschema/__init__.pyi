class SchemaError(Exception):
    json_path: str
    message: str
