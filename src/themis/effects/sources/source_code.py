"""Reads components' source code, for their fingerprints."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import types
from typing import Any


def source_of(value: Any) -> str | None:
    """Return the text that a function, class or module was read from: a file, or a notebook's cell.

    A module may be named, which does not load it. `None` where there is none: C code, `exec`, a class of a notebook
    (its methods have one).
    """
    if isinstance(value, types.FunctionType):
        return _text(value.__code__.co_filename, value.__globals__)
    if isinstance(value, str):
        return _text_of_module(value)
    module = value if isinstance(value, types.ModuleType) else sys.modules.get(getattr(value, "__module__", ""))
    file = getattr(module, "__file__", None)
    return None if file is None else _text(file, vars(module))


def _text_of_module(name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):  # there is none, or what should be a package is none
        return None
    return None if spec is None or not spec.has_location or spec.origin is None else _text(spec.origin, {})


def _text(file: str, space: dict[str, Any]) -> str | None:
    linecache.checkcache(file)
    return "".join(linecache.getlines(file, space)) or None
