"""What every program of a run is handed: its shape, its identity, its components, and a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import attrs

from themis.pure.abilities import Components
from themis.pure.plan import RunPlan, UntilStage, make_plan
from themis.pure.records.snapshot import RunIdentity, RunSnapshot


@attrs.frozen(kw_only=True)
class Run:
    """A run, as its programs see it.

    Attributes:
        plan: its shape.
        identity: what can change its results.
        components: its components.
        clock: returns an aware time in UTC.
        listens: subscribers are there to be told; without any, programs tell nothing.
        traces: spans are wanted around the steps.
        recalls: the stage cache may have something; without it, programs don't look.
        asks_again: judges are asked whatever they answered before.
    """

    plan: RunPlan
    identity: RunIdentity
    components: Components
    clock: Callable[[], datetime]
    listens: bool = False
    traces: bool = False
    recalls: bool = True
    asks_again: bool = False


def planned_run(snapshot: RunSnapshot, components: Components, until_stage: UntilStage = "judge") -> Run:
    """Return a run whose programs are looked at and not carried out: its clock stands still."""
    return Run(
        plan=make_plan(snapshot, until_stage),
        identity=snapshot.identity,
        components=components,
        clock=lambda: _NEVER,
    )


_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
