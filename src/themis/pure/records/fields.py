"""How record fields take their values in: frozen, checked, and with the field's name in every error.

The type checker's attrs plugin knows converters of one argument only; `named_fields`, given to `attrs.frozen`
as its field transformer, is what hands them the field they convert for.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from typing import Any, Final, SupportsFloat, SupportsIndex, TypeAlias, TypeGuard, TypeVar, cast

import attrs

from themis.pure.errors import InvalidRecordError, nearest
from themis.pure.json import FrozenDict, JSONValue, freeze, freeze_mapping
from themis.pure.text import shortened

T = TypeVar("T")
Field: TypeAlias = "attrs.Attribute[Any]"


A_PATH: Final = {"path": True}
"""Metadata of a field that holds a path, or a mapping with a `path`: a config file gives it relative to itself."""

_UNNAMED: Any = types.SimpleNamespace(name="$")  # stands for the field where a converter is called by hand


def json_value(value: JSONValue, field: Field = _UNNAMED) -> JSONValue:
    """Take any JSON value, deeply frozen."""
    frozen: JSONValue = freeze(value, field.name)
    return frozen


def json_object(value: Mapping[str, JSONValue], field: Field = _UNNAMED) -> FrozenDict:
    return value if type(value) is FrozenDict else freeze_mapping(value, field.name)


def optional_object(value: Mapping[str, JSONValue] | None, field: Field = _UNNAMED) -> FrozenDict | None:
    return None if value is None else json_object(value, field)


def json_objects(value: Iterable[Mapping[str, JSONValue]], field: Field = _UNNAMED) -> tuple[FrozenDict, ...]:
    if value == ():  # as in nearly every event
        return ()
    items = a_list(value, field.name, "objects")
    return tuple(freeze_mapping(item, f"{field.name}[{i}]") for i, item in enumerate(items))


def text_mapping(value: Mapping[str, str], field: Field = _UNNAMED) -> FrozenDict:
    """Take a mapping of strings to strings."""
    frozen = json_object(value, field)
    for key, item in frozen.items():
        if not isinstance(item, str):
            raise InvalidRecordError(
                field.name, [f"{field.name}.{key}: str expected, {type(item).__name__} found: {item!r}"]
            )
    return frozen


def facts(value: Mapping[str, JSONValue], field: Field = _UNNAMED) -> FrozenDict:
    """Take a mapping of strings to JSON scalars and lists: what cases can be grouped by."""
    frozen = json_object(value, field)
    faults = [
        f"{field.name}.{key}: text, a number, true, false, null or a list expected, found an object: {dict(item)!r}"
        for key, item in frozen.items()
        if isinstance(item, Mapping)
    ]
    if faults:
        raise InvalidRecordError(field.name, faults)
    return frozen


def texts(value: Iterable[str], field: Field = _UNNAMED) -> tuple[str, ...]:
    """Take a sequence of strings; a lone string is refused, for its letters are never meant."""
    return a_list(value, field.name, "str")


def a_list(value: Iterable[T], name: str, of: str) -> tuple[T, ...]:
    """Take an iterable that is a list of something: neither a text, a mapping, nor one thing alone.

    Raises:
        InvalidRecordError: it is none.
    """
    if isinstance(value, str | bytes | Mapping | type) or not isinstance(value, Iterable):
        found = f"{type(value).__name__} found: {shown(value)}"
        raise InvalidRecordError(name, [f"{name}: a list of {of} expected, {found}"])
    return tuple(value)


def sequence(value: Iterable[Any]) -> tuple[Any, ...]:
    """Take any iterable of records; a lone string is refused."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"a list expected, {type(value).__name__} found: {value!r}")
    return tuple(value)


def non_empty(record: object, field: Field, value: object) -> None:
    if type(value) is not str or not value:
        found = "an empty string" if value == "" else f"{type(value).__name__}: {shown(value)}"
        raise InvalidRecordError(type(record).__name__, [f"{field.name}: a non-empty str expected, found {found}"])
    if not value.isascii():
        text(record, field, value)


def text(record: object, field: Field, value: object) -> None:
    """Check that a field holds text that UTF-8 can hold, or nothing where it may hold nothing."""
    if type(value) is str and value.isascii():
        return
    if value is None and field.default is None:
        return
    if not isinstance(value, str):
        problem = f"{field.name}: str expected, {type(value).__name__} found: {shown(value)}"
        raise InvalidRecordError(type(record).__name__, [problem])
    try:
        value.encode()
    except UnicodeEncodeError as error:
        problem = f"{field.name}: text expected, and a lone surrogate found at character {error.start}"
        raise InvalidRecordError(type(record).__name__, [problem]) from None


def flag(record: object, field: Field, value: object) -> None:
    """Check that a field holds true or false."""
    if not isinstance(value, bool):
        problem = f"{field.name}: True or False expected, {type(value).__name__} found: {shown(value)}"
        raise InvalidRecordError(type(record).__name__, [problem])


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value is a count that every reader takes: a whole number from 0 on, of 63 bits at most."""
    return type(value) is int and 0 <= value <= _LARGEST_COUNT


_LARGEST_COUNT: Final = 2**63 - 1


def counts(record: object, field: Field, value: Mapping[str, object] | None) -> None:
    """Check that the values of a field's mapping are counts."""
    odd = {name: found for name, found in (value or {}).items() if not is_count(found)}
    if odd:
        expected = "a whole number from 0 on expected, found"
        faults = [f"{field.name}.{name}: {expected} {shown(found)}" for name, found in odd.items()]
        raise InvalidRecordError(type(record).__name__, faults)


def shown(value: object) -> str:
    """Return a value as an error shows it, whatever its `repr` does."""
    try:
        return shortened(repr(value), 100)
    except Exception as error:
        return f"(its repr raises {type(error).__name__})"


def record_of(kind: type[T], value: Any, name: str) -> T:
    """Take a record, or a mapping of its fields.

    Raises:
        InvalidRecordError: it is neither, or a field is not known.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        problem = f"{name}: a {kind.__name__}, or a mapping of its fields, expected; found {_found(value)}"
        raise InvalidRecordError(kind.__name__, [problem])
    known = [field.alias for field in attrs.fields(cast(Any, kind)) if field.init]
    unknown = [f"{name}.{key}: unknown field; {nearest(str(key), known)}" for key in value if key not in known]
    if unknown:
        raise InvalidRecordError(kind.__name__, unknown)
    return kind(**value)


def _found(value: object) -> str:
    return f"{type(value).__name__}: {shown(value)}"


def one_of(*known: str) -> Any:
    """Return a validator: a field holds one of these words."""

    def check(record: object, field: Field, value: object) -> None:
        if value not in known:
            words = ", ".join(map(repr, known))
            problem = f"{field.name}: one of {words} expected, found {shown(value)}"
            raise InvalidRecordError(type(record).__name__, [problem])

    return check


LARGEST_NUMBER: Final = 1e100
"""The largest size of a score, or of what else is added up: products of sums of larger ones leave a double's range."""


def measured(value: Any) -> Any:
    """Take a number as Python's own: numpy's and other kinds of float are none that every store can hold."""
    return float(value) if isinstance(value, float) else value


def as_number(value: SupportsFloat | SupportsIndex | str) -> float:
    """Take what Python takes for a number.

    Raises:
        InvalidRecordError: it is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRecordError("value", [f"value: a finite number expected, found {shown(value)}"]) from None


def finite(record: object, field: Field, value: object) -> None:
    """Check that a field holds a finite number, or nothing where it may hold nothing."""
    if value is None and field.default is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise InvalidRecordError(type(record).__name__, [f"{field.name}: a finite number expected, found {value!r}"])


def summable(record: object, field: Field, value: Any) -> None:
    """Check that a field holds a finite number that can be added up, or nothing where it may hold nothing."""
    finite(record, field, value)
    if value is not None and abs(value) > LARGEST_NUMBER:
        problem = f"{field.name}: a number of at most {LARGEST_NUMBER:g} in size expected, found {shown(value)}"
        raise InvalidRecordError(type(record).__name__, [problem])


_NAMED: frozenset[object] = frozenset(
    {json_value, json_object, optional_object, json_objects, facts, text_mapping, texts}
)


def named_fields(_: type, fields: list[Field]) -> list[Field]:
    """Let the converters of this module know the field that they convert for (an attrs field transformer)."""
    return [
        f.evolve(converter=attrs.Converter(cast(Any, f.converter), takes_field=True)) if f.converter in _NAMED else f
        for f in fields
    ]


def checked_texts(made: type, fields: list[Field]) -> list[Field]:
    """Do what `named_fields` does, and check what is annotated as text: for records that components make.

    What a record takes in, every store can hold and every reader can read; so what is odd costs its case, where it was
    made, and not the run, where it is written.
    """
    return [
        f.evolve(validator=text) if f.validator is None and f.type in _TEXTS else f for f in named_fields(made, fields)
    ]


_TEXTS: Final = ("str", "str | None", str, str | None)
