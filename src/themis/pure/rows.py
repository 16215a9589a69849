"""Reading the fields of a row, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MISSING: Final = object()
"""Stands for a field that a row does not have."""


def lookup(row: Mapping[str, Any], name: str) -> Any:
    """Return a field of a row by its name, `MISSING` if there is none; a dotted name reaches into objects.

    >>> lookup({"doc": {"question": "Why?"}}, "doc.question")
    'Why?'
    """
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value
