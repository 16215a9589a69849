"""Descriptions of components: how each was set, as JSON for people, kept beside a run and no part of its identity.

A component that has no `describe()` is described by its settings: an attrs or data class by its fields, a function by
its name, its defaults and what it closes over, any other object by what its constructor set. Of these,

- what is `None`, or a container of nothing, is left out; so are fields that their class keeps out of its repr, and
  private attributes, unless they are named as an argument of the constructor is;
- credentials are blotted out (`security.without_secrets`), in what a component says of itself too;
- records, other components and containers are described in turn; functions, classes and all other objects are named by
  their qualified name, never by an address, so that a description is the same on every machine;
- a text of more than 500 characters is cut to its first 400, with its length and the start of its SHA-256; a container
  of more than 50 items is cut to the first 50, with how many more there are.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import functools
import hashlib
import inspect
import math
import re
import types
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final

import attrs

from themis.pure.errors import SpecError
from themis.pure.introspection import closed_over, defaults_of, slots_of
from themis.pure.json import FrozenDict, FrozenList, JSONValue, canonical_bytes, freeze
from themis.pure.security import BLOT, without_secrets

_LONGEST: Final = 500
_SHOWN: Final = 400
_MOST_ITEMS: Final = 50
_DEEPEST: Final = 6

_NAMED_ELSEWHERE: Final = frozenset({"component_id", "version", "provider_key", "metric_family"})
"""What a run's references to its components say, and what groups calls."""


def description(component: Any) -> JSONValue:
    """Return what a component says of itself, or else its settings.

    Raises:
        SpecError: its `describe()` raises, or returns something that is not JSON.

    >>> from themis.pure.components.functions import metric
    >>> def within(tolerance):
    ...     def close(parsed, case):
    ...         return abs(parsed.value - case.expected_output) <= tolerance
    ...     return metric(close)
    >>> description(within(0.5))["tolerance"]
    0.5
    """
    shown: JSONValue = freeze(without_secrets(_plain(_stated(component))))
    return shown


def _stated(component: Any) -> JSONValue:
    try:
        describe = getattr(component, "describe", None)
        found: JSONValue = freeze(describe()) if callable(describe) else None
    except Exception as error:
        name = getattr(component, "component_id", None) or type(component).__name__
        raise SpecError(
            f"{name}.describe() must return JSON: text, numbers, lists, and objects with text keys. It raised "
            f"{type(error).__name__}: {error}"
        ) from error
    return found if callable(describe) else _settings(component)


# --- settings ---------------------------------------------------------------------------------------------


def _settings(value: Any) -> dict[str, Any]:
    """Return what an object was made with, by name."""
    made_of = getattr(value, "__dict__", {}).get("__wrapped__", value)  # a component made around a function
    if isinstance(made_of, functools.partial):
        found = {"function": _name(made_of.func), "arguments": made_of.args, **made_of.keywords}
    elif isinstance(made_of, types.FunctionType):
        found = {"function": _name(made_of), **defaults_of(made_of), **closed_over(made_of)}
    else:
        found = {name: _attribute(value, place) for name, place in _fields(value)}
    return {name: item for name, item in found.items() if not _is_nothing(item) and name not in _NAMED_ELSEWHERE}


def _fields(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the names under which an object was given its settings, each with the attribute that holds it."""
    kind = type(value)
    if attrs.has(kind):
        fields = (field for field in attrs.fields(kind) if field.init and field.repr)
        yield from ((field.alias or field.name, field.name) for field in fields)
    elif dataclasses.is_dataclass(kind):
        yield from ((field.name, field.name) for field in dataclasses.fields(kind) if field.init and field.repr)
    else:
        slots, arguments = (name for base in kind.__mro__ for name in slots_of(base)), _arguments(kind)
        for name in (*slots, *getattr(value, "__dict__", ())):
            plain = name.lstrip("_")
            if plain == name or (plain in arguments and not name.startswith("__")):
                yield plain, name


def _arguments(kind: type) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(kind).parameters)
    except (TypeError, ValueError):  # a class that is not written in Python need not say
        return frozenset()


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # a property's code is its author's
        return None


_CONTAINERS: Final = (dict, list, tuple, set, frozenset, FrozenDict, FrozenList)


def _is_nothing(value: Any) -> bool:
    return value is None or (type(value) in _CONTAINERS and not value)


# --- as JSON of bearable size -----------------------------------------------------------------------------


def _plain(value: Any, depth: int = 0) -> Any:
    try:
        return _scalar(value, depth)
    except Exception:  # whatever an author's object does when it is looked at
        return _name(type(value))


def _scalar(value: Any, depth: int) -> Any:
    if hasattr(type(value), "get_secret_value") or "secret" in type(value).__name__.lower():  # as pydantic has them
        return BLOT
    match value:
        case Enum():
            return _plain(value.value, depth)
        case None | bool():
            return value
        case str():
            return _text(str.__str__(value))
        case int():
            return int(value) if abs(value) < 2**63 else str(int(value))
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case re.Pattern():
            return _plain(value.pattern, depth)
        case decimal.Decimal() | datetime.date() | datetime.time() | datetime.timedelta():
            return str(value)
        case _ if hasattr(type(value), "__fspath__"):
            return _plain(value.__fspath__(), depth)
        case _:
            return _structure(value, depth + 1) if depth < _DEEPEST else _name(value)


def _structure(value: Any, depth: int) -> Any:
    match value:
        case dict() | types.MappingProxyType():
            keys = [key for key in value if isinstance(key, str | int | float)]
            more = {"...": f"{len(keys) - _MOST_ITEMS:,} more"} if len(keys) > _MOST_ITEMS else {}
            return {_text(str(key)): _plain(value[key], depth) for key in keys[:_MOST_ITEMS]} | more
        case list() | tuple():
            return _items(value, depth)
        case set() | frozenset() if len(value) <= _LARGEST_SET:
            return _items(sorted((_plain(item, depth) for item in value), key=canonical_bytes), depth)
        case _ if _has_settings(value):
            return _plain(_stated(value), depth)
        case _:
            return _name(value)


_LARGEST_SET: Final = 10_000
"""Larger ones are not sorted to show a few of their items."""


def _items(value: Sequence[Any], depth: int) -> list[Any]:
    more = [f"... {len(value) - _MOST_ITEMS:,} more"] if len(value) > _MOST_ITEMS else []
    return [_plain(item, depth) for item in value[:_MOST_ITEMS]] + more


def _has_settings(value: Any) -> bool:
    """Tell whether an object within another is described by its settings, and not by its name."""
    kind = type(value)
    known = attrs.has(kind) or dataclasses.is_dataclass(kind) or isinstance(value, functools.partial)
    return known or isinstance(getattr(value, "component_id", None), str)


def _text(text: str) -> str:
    text = text.encode(errors="replace").decode()
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    # Credentials first: one that is cut in two is not known any more.
    shown = str(without_secrets(text[: 10 * _LONGEST]))[:_SHOWN]
    return f"{shown}... ({len(text):,} characters, SHA-256 {digest})"


def _name(value: Any) -> str:
    """Return the qualified name of a function or class, or of an object's class."""
    named = value if isinstance(getattr(value, "__qualname__", None), str) else type(value)
    module = getattr(named, "__module__", None)
    return named.__qualname__ if module in (None, "builtins") else f"{module}.{named.__qualname__}"
