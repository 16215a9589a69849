"""Reads components' source code, for their fingerprints."""

from __future__ import annotations

import functools
import inspect
import tokenize
from typing import Any


@functools.lru_cache(maxsize=4096)
def _source(value: Any) -> str | None:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):  # the last two where the file is no Python
        return None


def source_of(value: Any) -> str | None:
    """Return the source text of a function or class; `None` where there is none (C code, a REPL)."""
    try:
        return _source(value)
    except TypeError:  # not hashable
        return None
