"""Metric families: what each one is, in one row here, and what its metrics do, in one row of `OF_FAMILY`.

`OF_FAMILY`, in `pipeline/table.py`, names the program that is carried out on a case. Nothing else knows a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from themis.pure.errors import SpecError

MetricStage = Literal["score", "judge"]


@attrs.frozen
class Family:
    """One family of metrics.

    Attributes:
        name: what a metric states as its `metric_family`.
        stage: the stage that does its metrics; those of `judge` ask judge models.
        method: the method that shows a metric to be of this family where it states none; empty if none does.
        is_scored: its outcome is a score of its own, and not the execution of a workflow.
        runs_code: its metrics have programs run in a sandbox.
        compares: its metrics compare all candidates of a case with each other, and have one score for them all.
    """

    name: str
    stage: MetricStage
    method: str
    is_scored: bool = False
    runs_code: bool = False
    compares: bool = False


FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("execution", "score", "sandbox_requests", runs_code=True),
        Family("pure", "score", "score", is_scored=True),
        Family("llm", "judge", "build_workflow"),
        Family("selection", "judge", "", compares=True),
        Family("trace", "judge", ""),
    )
}
"""By name; where a metric has the methods of several families, the first one counts."""


def metric_family(metric: Any) -> str:
    """Return a metric's family: the one it states, else the one its methods show.

    Raises:
        SpecError: it states an unknown family, or has the methods of none.
    """
    stated = getattr(metric, "metric_family", None)
    name = getattr(metric, "component_id", type(metric).__name__)
    if stated is not None:
        if stated not in FAMILIES:
            raise SpecError(f"{name}: metric_family {stated!r} is none of {', '.join(sorted(FAMILIES))}")
        return str(stated)
    for family in FAMILIES.values():
        if family.method and hasattr(metric, family.method):
            return family.name
    raise SpecError(f"{name} is no metric: it has none of score(), sandbox_requests() and build_workflow()")
