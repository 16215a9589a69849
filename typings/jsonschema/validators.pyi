from collections.abc import Iterator

from referencing import Registry

class ValidationError(Exception):
    json_path: str
    message: str

class Validator:
    def __init__(self, schema: object, registry: Registry[object] = ...) -> None: ...
    @classmethod
    def check_schema(cls, schema: object) -> None: ...
    def is_valid(self, instance: object) -> bool: ...
    def iter_errors(self, instance: object) -> Iterator[ValidationError]: ...

Draft202012Validator: type[Validator]

def validator_for(schema: object, default: type[Validator] = ...) -> type[Validator]: ...

def extend(validator: type[Validator], validators: dict[str, object]) -> type[Validator]: ...
