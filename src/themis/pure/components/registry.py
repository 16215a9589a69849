"""The builtin components by the ids they state, found in the modules that hold them."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from themis.pure.errors import SpecError, UnknownComponentError, nearest

_TABLES: Final = (
    ("generator", "themis.pure.components.basic", "GENERATORS"),
    ("reducer", "themis.pure.components.basic", "REDUCERS"),
    ("parser", "themis.pure.components.parsers", "PARSERS"),
    ("parser", "themis.pure.components.likelihoods", "LIKELIHOOD_PARSERS"),
    ("metric", "themis.pure.components.likelihoods", "LIKELIHOOD_METRICS"),
    ("metric", "themis.pure.components.metrics", "METRICS"),
    ("metric", "themis.pure.components.math_metric", "MATH_METRICS"),
    ("metric", "themis.pure.components.schema", "SCHEMA_METRICS"),
    ("metric", "themis.pure.components.json_fields", "FIELD_METRICS"),
    ("metric", "themis.pure.components.reading", "READING_METRICS"),
    ("metric", "themis.pure.components.worked_numbers", "WORKED_METRICS"),
    ("metric", "themis.pure.components.instructions", "INSTRUCTION_METRICS"),
    ("metric", "themis.pure.components.function_calls", "CALL_METRICS"),
    ("metric", "themis.pure.components.translation", "TRANSLATION_METRICS"),
    ("metric", "themis.pure.components.summaries", "SUMMARY_METRICS"),
    ("metric", "themis.pure.components.judges", "JUDGE_METRICS"),
    ("metric", "themis.pure.components.harm", "HARM_METRICS"),
    ("metric", "themis.pure.benchmarks.case_instructions", "CASE_METRICS"),
    ("metric", "themis.pure.components.execution", "EXECUTION_METRICS"),
    ("metric", "themis.pure.components.rubric", "RUBRIC_METRICS"),
    ("selector", "themis.pure.components.judges", "SELECTORS"),
    ("judge_model", "themis.pure.components.judges", "JUDGE_MODELS"),
)


@attrs.frozen
class Builtin:
    """A builtin component: its kind, and what makes it."""

    component_id: str
    kind: str
    make: Callable[..., Any]

    @property
    def summary(self) -> str:
        """Return what it does in one line."""
        return (inspect.getdoc(self.make) or "").partition("\n")[0]

    @property
    def version(self) -> str:
        return _stated(self.make, "version")

    @property
    def options(self) -> Mapping[str, Any]:
        """Return its options by name, each with its default (`None` also where it has none)."""
        parameters = inspect.signature(self.make).parameters
        return {
            name: None if parameter.default is parameter.empty else parameter.default
            for name, parameter in parameters.items()
            if name not in ("component_id", "version")
        }


@functools.cache
def builtins() -> Mapping[str, Builtin]:
    """Return all builtin components by id."""
    entries = [
        Builtin(_stated(make, "component_id"), kind, make)
        for kind, module, table in _TABLES
        for make in getattr(importlib.import_module(module), table)
    ]
    return {entry.component_id: entry for entry in entries}


def _stated(make: Callable[..., Any], name: str) -> str:
    return str(inspect.signature(make).parameters[name].default)


def component_ids(kind: str | None = None) -> list[str]:
    """Return the ids of the builtin components in order.

    Args:
        kind: `generator`, `selector`, `reducer`, `parser`, `metric` or `judge_model`; all of them unless stated.

    Raises:
        SpecError: there is no such kind.
    """
    kinds = sorted({entry.kind for entry in builtins().values()})
    if kind is not None and kind not in kinds:
        raise SpecError(f"no kind {kind!r} of components; the kinds are {', '.join(kinds)}")
    return sorted(name for name, entry in builtins().items() if kind in (None, entry.kind))


def make_builtin(component_id: str, /, **options: Any) -> Any:
    """Make a builtin component.

    Args:
        component_id: such as `builtin/exact_match`; `exact_match` alone works too.
        options: its configuration.

    Raises:
        UnknownComponentError: there is none of that id; names the nearest.
        SpecError: it has no such option, or does not take that value; names the options that it has.
    """
    known = builtins()
    entry = known.get(component_id) or known.get(f"builtin/{component_id}")
    if entry is None:
        near = nearest(component_id, known, "themis catalog list components")
        raise UnknownComponentError(f"no builtin component {component_id!r}; {near}")
    unknown = sorted(set(options) - set(entry.options) - {"component_id", "version"})
    if unknown:
        names = ", ".join(entry.options) or "none"
        hints = [f"{name!r} ({nearest(name, entry.options)})" if entry.options else repr(name) for name in unknown]
        raise SpecError(f"{entry.component_id}: unknown argument {', '.join(hints)}; its options: {names}")
    try:
        return entry.make(**options)
    except SpecError:
        raise
    except (TypeError, ValueError) as error:
        text = str(error.args[0]) if error.args else str(error)
        raise SpecError(f"{entry.component_id}: {text}; its options: {', '.join(entry.options)}") from error
