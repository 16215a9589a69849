"""What functions and classes are made of, and where in a text their code stands: asked of Python's own objects.

Here are no rules about what counts: those are the fingerprints'.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any, Final

from themis.pure.syntax import Code, Columns, Place, Text, shown

CACHED: Final = type(functools.cache(len))


def slots_of(kind: type) -> Iterator[str]:
    """Return the fields that a class keeps in slots of its own."""
    stated = vars(kind).get("__slots__", ())
    names = (stated,) if isinstance(stated, str) else stated
    return (name for name in names if name not in ("__weakref__", "__dict__"))


def parts_of(value: Any) -> Iterator[Any]:
    """Yield what a descriptor, a method or a partial function is made of."""
    for name in ("__func__", "__self__", "__wrapped__", "func", "keywords", "args", "fget", "fset", "fdel"):
        if isinstance(value, _WRAPPERS) and getattr(value, name, None) is not None:
            yield getattr(value, name)


_WRAPPERS: Final = (
    property,
    staticmethod,
    classmethod,
    functools.cached_property,
    functools.partial,
    functools.partialmethod,
    functools.singledispatchmethod,
    types.MethodType,
    CACHED,
)


def functions_of(value: Any) -> Iterator[types.FunctionType]:
    """Yield the functions that a member of a class is made of."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, _WRAPPERS):
        for part in parts_of(value):
            yield from functions_of(part)


def is_made(function: types.FunctionType) -> bool:
    """Tell whether attrs or a dataclass made a method: it follows from the class, and differs between versions."""
    code: types.CodeType = inspect.unwrap(function).__code__
    return code.co_filename.startswith("<attrs generated") or code.co_qualname.startswith("__create_fn__")


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the cell is still empty
        return None


def closed_over(function: types.FunctionType) -> dict[str, Any]:
    """Return the values that a function closes over, by name."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: _cell(cell) for name, cell in cells if name != "__class__"}


def defaults_of(function: types.FunctionType) -> dict[str, Any]:
    """Return the values of a function's defaults, by argument."""
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    return {**dict(zip(names[len(names) - len(values) :], values, strict=True)), **(function.__kwdefaults__ or {})}


def names_of(code: types.CodeType) -> Iterator[str]:
    """Yield the global names that a function and all functions within it read."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_of(constant)


def bytecode_of(code: types.CodeType) -> Any:
    """Return what a function does, where its source is not at hand; it differs between Python versions."""
    consts = [bytecode_of(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return {"bytecode": code.co_code.hex(), "consts": consts, "names": list(code.co_names)}


# --- source text, read once -------------------------------------------------------------------------------

# What is asked of a text is told where it is answered, in `Text` and `Place`. Answers are kept; texts, whose trees are
# large, only while several questions in a row are about one.


@functools.lru_cache(maxsize=8)
def _text(source: str | None) -> Text:
    try:
        return _NO_CODE if source is None else Text(source)
    except SyntaxError:  # a part of an expression, or no Python
        return _NO_CODE


_NO_CODE: Final = Text("")


_Spot = tuple[str, int, frozenset[Columns], str | None]
"""Where a function begins: its name, its first line, and for a lambda the places of what it does and its `shown`."""


def spot_of(code: types.CodeType) -> _Spot:
    if code.co_name != "<lambda>":
        return code.co_name, code.co_firstlineno, frozenset(), None
    columns = frozenset(
        (line, column, end, end_column)
        for line, end, column, end_column in code.co_positions()
        if line is not None and end is not None and column is not None and end_column is not None
        if (line, column) < (end, end_column)
    )
    return code.co_name, code.co_firstlineno, columns, shown(code)


def _place(source: str | None, spot: _Spot) -> Place | None:
    text, (name, line, columns, seen) = _text(source), spot
    return text.function(name, line, columns, seen) or text.function(name, 1, (), seen)


@functools.lru_cache(maxsize=4096)
def code_at(source: str | None, spot: _Spot) -> Code | None:
    place = _place(source, spot)
    return None if place is None else place.code()


@functools.lru_cache(maxsize=4096)
def changed_at(source: str | None, spot: _Spot) -> frozenset[str]:
    place = _place(source, spot)
    return frozenset() if place is None else place.changed()


@functools.lru_cache(maxsize=4096)
def class_at(source: str | None, qualname: str, line: int | None) -> Code | None:
    return _text(source).class_(qualname, line)


@functools.lru_cache(maxsize=4096)
def assigned_in(source: str, name: str) -> Code | None:
    return _text(source).assigned(name)


@functools.lru_cache(maxsize=256)
def whole_of(source: str | None) -> Code | None:
    text = _text(source)
    return None if text is _NO_CODE else text.whole()


@functools.lru_cache(maxsize=256)
def imported_in(source: str) -> tuple[tuple[str, int, str, str], ...]:
    return _text(source).imported


@functools.lru_cache(maxsize=256)
def rebound_in(source: str | None) -> frozenset[str]:
    return _text(source).rebound if source is not None and "global" in source else frozenset()
