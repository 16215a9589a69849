"""Reads components' source code, for their fingerprints."""

from __future__ import annotations

import linecache
import sys
import types
from typing import Any


def source_of(value: Any) -> str | None:
    """Return the text that a function, class or module was read from: a file, or a notebook's cell.

    `None` where there is none: C code, `exec`, a class of a notebook (its methods have one).
    """
    if isinstance(value, types.FunctionType):
        return _text(value.__code__.co_filename, value.__globals__)
    module = value if isinstance(value, types.ModuleType) else sys.modules.get(getattr(value, "__module__", ""))
    file = getattr(module, "__file__", None)
    return None if file is None else _text(file, vars(module))


def _text(file: str, space: dict[str, Any]) -> str | None:
    linecache.checkcache(file)
    return "".join(linecache.getlines(file, space)) or None
