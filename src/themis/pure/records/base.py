"""What every record can do: become plain data and come back, be hashed, and be copied with changes."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, Self, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception, transform_error

from themis.pure.errors import InvalidRecordError, ThemisError
from themis.pure.json import (
    FrozenDict,
    FrozenList,
    content_hash,
    decode,
    encode,
    freeze,
    freeze_mapping,
)
from themis.pure.records.reading import Reader, compile_reader

R = TypeVar("R")


class FrozenModel:
    """The base of every record: immutable, comparable by value, picklable, and plain data on request."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain, mutable `dict`, `list` and scalars, ready for `json.dumps`."""
        data: dict[str, Any] = decode(encode(self))
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the record from plain data.

        Raises:
            InvalidRecordError: fields are missing, unknown or of the wrong type; all faults at once, each
                with its path.
        """
        return structure(data, cls)

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; the changes are validated like any other value."""
        copy: Self = attrs.evolve(self, **changes)  # type: ignore[misc]  # every subclass is an attrs class
        return copy


class HashableModel(FrozenModel):
    """A record with an identity of its own: a content hash that is the same on every machine."""

    __slots__ = ()

    def canonical_data(self) -> FrozenDict:
        """Return the record as immutable JSON: what `compute_hash` is taken over."""
        return freeze_mapping(decode(encode(self)))

    def compute_hash(self) -> str:
        """Return the SHA-256 of the record's canonical JSON (RFC 8785), as 64 hexadecimal digits."""
        return content_hash(self)


# --- plain data to records --------------------------------------------------------------------------------


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (str, bool, int, float):
        converter.register_structure_hook(kind, functools.partial(_exactly, kind))
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(_exactly(str, value)))
    converter.register_structure_hook_func(lambda kind: kind is FrozenDict, lambda value, _: freeze_mapping(value))
    converter.register_structure_hook_func(lambda kind: kind is FrozenList, lambda value, _: freeze(value))
    converter.register_structure_hook_func(_is_of_scalars, _one_of)
    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, FrozenModel) and attrs.has(kind),
        lambda kind, inner: _object_only(kind, make_dict_structure_fn(kind, inner, _cattrs_forbid_extra_keys=True)),
    )
    return converter


@functools.cache
def reader_of(kind: type) -> Reader:
    return compile_reader(kind, _reader_within)


def _reader_within(kind: Any) -> Reader:
    if isinstance(kind, type) and attrs.has(kind):
        return lambda value: reader_of(kind)(value)  # asked for late: a record may hold others of its kind
    hook = _converter().get_structure_hook(kind)
    return lambda value: hook(value, kind)


def _exactly(kind: type, value: object, _: object = None) -> Any:
    # JSON has one number type: a whole number may stand where a float is meant, never the reverse.
    if type(value) is kind or (kind is float and type(value) is int):
        return float(value) if kind is float else value  # type: ignore[arg-type]  # a number by the test above
    if isinstance(value, kind) and not isinstance(value, bool):
        return kind(value)
    raise TypeError(f"{kind.__name__} expected, {type(value).__name__} found")


def _is_of_scalars(kind: Any) -> bool:
    """Tell whether a type is a choice of several kinds of scalars."""
    kinds = {*get_args(kind)} - {type(None)}
    return get_origin(kind) in (Union, UnionType) and len(kinds) > 1 and kinds <= {bool, float, str}


def _one_of(value: object, kind: Any) -> Any:
    if type(value) in get_args(kind):
        return value
    if type(value) is int and float in get_args(kind):
        return float(value)
    kinds = ", ".join(each.__name__ for each in get_args(kind) if each is not type(None))
    raise TypeError(f"one of {kinds} expected, {type(value).__name__} found")


def _object_only(kind: type, inner: Any) -> Any:
    def structured(value: object, _: object) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise TypeError(f"an object ({kind.__name__}) expected, {type(value).__name__} found")
        return inner(value, kind)

    return structured


def structure(data: object, kind: type[R]) -> R:
    """Build a `kind` from plain data; every fault at once, each with its path."""
    if type(data) is dict and attrs.has(kind):
        try:
            return cast(R, reader_of(kind)(data))
        except Exception:  # noqa: S110  # the converter's error says it better
            pass
    try:
        return _converter().structure(data, kind)
    except Exception as error:
        if isinstance(error, InvalidRecordError):
            raise
        raise InvalidRecordError(kind.__name__, _faults(error)) from None


def _faults(error: Exception) -> Sequence[str]:
    if not isinstance(error, cattrs.BaseValidationError):
        return [_fault(error, None)]
    lines = [line.rpartition(" @ ") for line in transform_error(error, format_exception=_fault)]
    return [f"{path.removeprefix('$.').removeprefix('$') or '(top level)'}: {problem}" for problem, _, path in lines]


def _fault(error: BaseException, kind: type | None) -> str:
    if isinstance(error, TypeError | ThemisError):
        return str(error)
    return format_exception(error, kind)
