"""Compiled readers: one function a record class that builds the record from complete plain data.

What a store gives back has every field and no other, of the right type. A reader takes just that, at several times
the speed of a general converter; anything else it refuses with `NotPlainError`, and the general converter
then says what is wrong, or fills in the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Final, Literal, NoReturn, Union, get_args, get_origin

import attrs

Reader = Callable[[Any], Any]
ReaderOf = Callable[[Any], Reader]


class NotPlainError(Exception):
    """The data is not complete plain data of its record."""


def refuse(*_: object) -> NoReturn:
    """Leave the data to the general converter."""
    raise NotPlainError


def compile_reader(kind: type, reader_of: ReaderOf) -> Reader:
    """Return the reader of a record class; `reader_of` returns those of records and other types within it."""
    fields = attrs.fields(attrs.resolve_types(kind))
    space: dict[str, Any] = {"kind": kind, "refuse": refuse}
    arguments = []
    for number, field in enumerate(fields):
        name = f"_{number}"
        space[name] = _reader(field.type, reader_of)
        arguments.append(f"{field.alias}={_expression(field.type, f'data[{field.name!r}]', name)}")
    source = (
        f"lambda data: kind({', '.join(arguments)}) if type(data) is dict and len(data) == {len(fields)} else refuse()"
    )
    read: Reader = eval(source, space)  # noqa: S307  # made of field names alone
    return read


_SCALARS: Final = {str: "str", int: "int", bool: "bool"}


def _expression(kind: Any, value: str, reader: str) -> str:
    """Return source text that reads `value`: scalars inline, all else by a call."""
    if kind in _SCALARS:
        return f"(v if type(v := {value}) is {_SCALARS[kind]} else refuse())"
    part = _optional_part(kind)
    if part in _SCALARS:
        return f"(v if (v := {value}) is None or type(v) is {_SCALARS[part]} else refuse())"
    return value if _is_json(kind) else f"{reader}({value})"


def _is_json(kind: Any) -> bool:
    return kind is Any or get_origin(kind) is Mapping


def _optional_part(kind: Any) -> Any:
    parts = get_args(kind)
    if get_origin(kind) in (Union, UnionType) and len(parts) == 2 and NoneType in parts:
        return parts[0] if parts[1] is NoneType else parts[1]
    return None


def _reader(kind: Any, reader_of: ReaderOf) -> Reader:
    part = _optional_part(kind)
    if part is not None:
        inner = _reader(part, reader_of)
        return lambda value: None if value is None else inner(value)
    if _is_json(kind):
        return lambda value: value
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        return lambda value: value if value in allowed else refuse()
    if get_origin(kind) is tuple and get_args(kind)[1:] == (...,):
        item = _reader(get_args(kind)[0], reader_of)
        return lambda value: tuple([item(each) for each in value]) if type(value) is list else refuse()
    return _PLAIN.get(kind) or reader_of(kind)


def _exactly(kind: type) -> Reader:
    return lambda value: value if type(value) is kind else refuse()


_PLAIN: Final[Mapping[Any, Reader]] = {
    **{kind: _exactly(kind) for kind in _SCALARS},
    float: lambda value: float(value) if type(value) is float or type(value) is int else refuse(),
    datetime: lambda value: datetime.fromisoformat(value) if type(value) is str else refuse(),
}
