"""What the steps of one run share, and how what they did is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from returns.result import Result

from themis.effects.calls import CallRuntime
from themis.effects.hooks import Hooks
from themis.effects.journal import Journal
from themis.effects.options import EngineOptions
from themis.pure.events import CaseRunEvent
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.protocols import RunStore
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.snapshot import RunIdentity
from themis.pure.roster import Roster
from themis.pure.stages.judge import evaluation_event, step_event
from themis.pure.stages.outcome import StepFailure
from themis.pure.state import CaseState


@attrs.frozen(kw_only=True)
class RunInHand:
    """A run while it is carried out.

    Attributes:
        identity: the run's identity.
        plan: its shape.
        roster: its components.
        store: where earlier results are.
        journal: where new ones go.
        calls: makes model calls.
        hooks: tells subscribers.
        options: how the run is carried out.
        may_reuse: whether the store may have anything to reuse.
    """

    identity: RunIdentity
    plan: RunPlan
    roster: Roster
    store: RunStore
    journal: Journal
    calls: CallRuntime
    hooks: Hooks
    options: EngineOptions
    may_reuse: bool

    def keep_step(
        self,
        item: CaseItem,
        workflow_id: str,
        step_id: str,
        step_type: str,
        output: Mapping[str, Any],
        key: str,
        source: str | None = None,
    ) -> None:
        """Keep a step of a workflow, so that nothing paid for is asked twice."""
        event = step_event(self.plan, item, workflow_id, step_id, step_type, output, self.options.clock(), source)
        self.journal.append(item.case_no, event, key)

    def evaluated(
        self, item: CaseItem, state: CaseState, metric_id: str, outcome: Result[EvaluationExecution, StepFailure]
    ) -> CaseRunEvent:
        """Keep what a metric's workflow came to, and return it."""
        assert state.reduced is not None  # the stage table says so
        event = evaluation_event(self.plan, item, state.reduced.candidate_id, metric_id, outcome, self.options.clock())
        self.journal.append(item.case_no, event)
        return event
