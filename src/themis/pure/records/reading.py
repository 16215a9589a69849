"""Compiled readers: one function a record class that builds the record from complete plain data.

What a store gives back has every field and no other, of the right type. A reader takes just that, at several times
the speed of a general converter; anything else it refuses with `NotPlainError`, and the general converter
then says what is wrong, or fills in the defaults. Readers are made as source text, for a call for each field would
take longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

import attrs

Reader = Callable[[Any], Any]
ReaderOf = Callable[[Any], Reader]


class NotPlainError(Exception):
    """The data is not complete plain data of its record."""


def refuse() -> NoReturn:
    """Leave the data to the general converter."""
    raise NotPlainError


def compile_reader(kind: type, reader_of: ReaderOf) -> Reader:
    """Return the reader of a record class; `reader_of` returns those of records and other types within it."""
    fields = attrs.fields(attrs.resolve_types(kind))
    space: dict[str, Any] = {"kind": kind, "refuse": refuse, "datetime": datetime}
    arguments = [f"{f.alias}={_expression(f.type, f'data[{f.name!r}]', space, reader_of)}" for f in fields]
    source = (
        f"lambda data: kind({', '.join(arguments)}) if type(data) is dict and len(data) == {len(fields)} else refuse()"
    )
    read: Reader = eval(source, space)  # noqa: S307  # made of field names alone
    return read


def _expression(kind: Any, value: str, space: dict[str, Any], reader_of: ReaderOf) -> str:
    """Return source text that reads `value`; the readers that it calls are put into its name space."""
    if kind is Any or get_origin(kind) is Mapping:
        return value
    if kind in (str, int, bool):
        return f"(v if type(v := {value}) is {kind.__name__} else refuse())"
    if kind is float:
        return f"(float(v) if type(v := {value}) is float or type(v) is int else refuse())"
    if kind is datetime:
        return f"(datetime.fromisoformat(v) if type(v := {value}) is str else refuse())"
    if get_origin(kind) is Literal:
        return f"(v if (v := {value}) in {get_args(kind)!r} else refuse())"
    if get_origin(kind) is tuple and get_args(kind)[1:] == (...,):
        item = _expression(get_args(kind)[0], "item", space, reader_of)
        return f"(tuple([{item} for item in v]) if type(v := {value}) is list else refuse())"
    if get_origin(kind) in (Union, UnionType) and len(get_args(kind)) == 2 and NoneType in get_args(kind):
        part = next(part for part in get_args(kind) if part is not NoneType)
        return f"(None if {value} is None else {_expression(part, value, space, reader_of)})"
    name = f"_{len(space)}"
    space[name] = reader_of(kind)
    return f"{name}({value})"
