"""The components of a run as live objects, in the places they take; the snapshot names them by fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from themis.pure.errors import SpecError
from themis.pure.protocols import AnyComponent

FAMILIES: Final = ("pure", "execution", "llm", "selection", "trace")


@attrs.frozen(kw_only=True)
class Roster:
    """A run's components."""

    generator: AnyComponent
    selector: AnyComponent | None = None
    reducer: AnyComponent | None = None
    parsers: tuple[AnyComponent, ...] = ()
    metrics: tuple[AnyComponent, ...] = ()
    judge_models: tuple[AnyComponent, ...] = ()

    def all(self) -> tuple[AnyComponent, ...]:
        """Return every component that there is."""
        single = [self.generator, self.selector, self.reducer]
        return (*(c for c in single if c is not None), *self.parsers, *self.metrics, *self.judge_models)

    def metrics_by_id(self) -> Mapping[str, AnyComponent]:
        """Return the metrics by their ids."""
        return {metric.component_id: metric for metric in self.metrics}


def metric_family(metric: Any) -> str:
    """Return a metric's family: the one it states, else the one its methods show.

    Raises:
        SpecError: it states an unknown family, or has the methods of none.
    """
    stated = getattr(metric, "metric_family", None)
    name = getattr(metric, "component_id", type(metric).__name__)
    if stated is not None:
        if stated not in FAMILIES:
            raise SpecError(f"{name}: metric_family {stated!r} is none of {', '.join(FAMILIES)}")
        return str(stated)
    if hasattr(metric, "sandbox_requests"):
        return "execution"
    if hasattr(metric, "score"):
        return "pure"
    if hasattr(metric, "build_workflow"):
        return "llm"
    raise SpecError(f"{name} is no metric: it has none of score(), sandbox_requests() and build_workflow()")
