"""The builtin components by id: one table, filled from the modules that hold them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from themis.pure.errors import UnknownComponentError, nearest

_TABLES: Final = (
    ("generator", "themis.pure.components.basic", "GENERATORS"),
    ("reducer", "themis.pure.components.basic", "REDUCERS"),
    ("parser", "themis.pure.components.parsers", "PARSERS"),
    ("metric", "themis.pure.components.metrics", "METRICS"),
    ("metric", "themis.pure.components.judges", "JUDGE_METRICS"),
    ("metric", "themis.pure.benchmarks.case_instructions", "CASE_METRICS"),
    ("metric", "themis.pure.components.execution", "EXECUTION_METRICS"),
    ("selector", "themis.pure.components.judges", "SELECTORS"),
    ("judge_model", "themis.pure.components.judges", "JUDGE_MODELS"),
)


@attrs.frozen
class Builtin:
    """A builtin component: its kind, and what makes it."""

    component_id: str
    kind: str
    make: Callable[..., Any]


@functools.cache
def builtins() -> Mapping[str, Builtin]:
    """Return all builtin components by id."""
    found: dict[str, Builtin] = {}
    for kind, module, table in _TABLES:
        for name, make in getattr(importlib.import_module(module), table).items():
            found[name] = Builtin(name, kind, make)
    return found


def make_builtin(component_id: str, **options: Any) -> Any:
    """Make a builtin component.

    Args:
        component_id: such as `builtin/exact_match`; `exact_match` alone works too.
        options: its configuration.

    Raises:
        UnknownComponentError: there is none of that id; names the nearest.
    """
    known = builtins()
    entry = known.get(component_id) or known.get(f"builtin/{component_id}")
    if entry is None:
        raise UnknownComponentError(f"no builtin component {component_id!r}; {nearest(component_id, known)}")
    return entry.make(**options)
