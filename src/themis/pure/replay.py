"""Replay and verification: recomputing what a run stored from what it rests on (law 7).

Every stage after generation is a pure function of stored artifacts and recorded answers, so a stored outcome can
be computed again and held against what was stored, byte for byte.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import attrs
from returns.result import Result, Success

from themis.pure.errors import SpecError, nearest
from themis.pure.json import EMPTY, decode, encode
from themis.pure.plan import CaseItem, MetricSlot, RunPlan
from themis.pure.projections import steady
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.snapshot import RunIdentity
from themis.pure.roster import Roster
from themis.pure.stages.execute import conclude_sandbox, plan_sandbox, recorded_results
from themis.pure.stages.judge import conclude, eval_context, plan_workflow, recorded_responses, subject_for
from themis.pure.stages.outcome import StepFailure, attempt
from themis.pure.stages.parse import parse, parse_context
from themis.pure.stages.reduce import accept_reduction, chosen_candidates, reduce_context, reduce_one
from themis.pure.stages.score import score, score_context
from themis.pure.state import CaseState, changed

ReplayStage = Literal["reduce", "parse", "score", "judge"]
REPLAY_STAGES: Final[tuple[ReplayStage, ...]] = ("reduce", "parse", "score", "judge")


def check_replay(stage: str, metric_ids: Collection[str] | None, slots: Sequence[MetricSlot]) -> None:
    """Refuse a replay from an unknown stage or of unknown metrics.

    Raises:
        SpecError: naming what is known.
    """
    if stage not in REPLAY_STAGES:
        raise SpecError(f"replay stage: {stage!r} is unknown; {nearest(stage, REPLAY_STAGES)}")
    known = [slot.metric_id for slot in slots]
    for name in metric_ids or ():
        if name not in known:
            raise SpecError(f"metric_ids: the run has no metric {name!r}; {nearest(name, known)}")


def restart_from(
    state: CaseState, stage: ReplayStage, slots: Sequence[MetricSlot], metric_ids: Collection[str] | None = None
) -> CaseState:
    """Return a case's state as it was before `stage`: what came after is to be made again.

    Args:
        state: what is stored.
        stage: the first stage to do again.
        slots: the run's metrics.
        metric_ids: of the metrics, these alone; all by default.
    """
    state = state.without_failures()
    if stage == "reduce":
        return changed(state, reduced=None, parsed=None, parser_id=None, **_NO_SCORES)
    if stage == "parse":
        return changed(state, parsed=None, parser_id=None, **_NO_SCORES)
    judged = stage == "judge"
    again = {
        slot.metric_id
        for slot in slots
        if (slot.family not in ("pure", "execution") if judged else slot.family in ("pure", "execution"))
        and (metric_ids is None or slot.metric_id in metric_ids)
    }
    return changed(state, scores=_others(state.scores, again), executions=_others(state.executions, again))


_NO_SCORES: Final[Mapping[str, Any]] = {"scores": EMPTY, "executions": EMPTY}


def _others(outcomes: Mapping[str, Any], again: Collection[str]) -> Mapping[str, Any]:
    return {name: outcome for name, outcome in outcomes.items() if name not in again}


# --- verification -----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Difference(HashableModel):
    """A stored record that does not follow from what it rests on."""

    case_key: str
    stage: str
    metric_id: str = ""
    stored: str
    expected: str

    def __str__(self) -> str:
        what = f"{self.stage} of metric {self.metric_id}" if self.metric_id else self.stage
        return f"case {self.case_key}, {what}: stored {self.stored}, recomputed {self.expected}"


@attrs.frozen(kw_only=True)
class Verification(HashableModel):
    """What verifying a run found.

    Attributes:
        run_id: the run.
        cases: how many cases were recomputed.
        recomputed: how many stored records were recomputed, by stage.
        broken_links: what is wrong with the event chain.
        differences: records that differ, the first ones first; at most the number asked for.
        not_verified: what could not be recomputed, and why.
    """

    run_id: str
    cases: int = 0
    recomputed: Mapping[str, int] = EMPTY
    broken_links: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    differences: tuple[Difference, ...] = attrs.field(default=(), converter=sequence)
    not_verified: tuple[str, ...] = attrs.field(default=(), converter=sequence)

    @property
    def ok(self) -> bool:
        """Whether everything that was recomputed is what was stored, and the chain is whole."""
        return not self.broken_links and not self.differences


Check = tuple[str, str, Any, Any]
"""Stage, metric, stored outcome, recomputed outcome."""


def recompute(
    plan: RunPlan, identity: RunIdentity, roster: Roster, item: CaseItem, state: CaseState
) -> Iterator[Check]:
    """Yield every outcome that a case has stored, beside the one that follows from what it rests on.

    Components that `roster` lacks are passed over.
    """
    if state.reduced is not None and (not identity.reducer_ref or _is_sync(roster.reducer)):
        yield "reduce", "", state.reduced, _value(_reduce(plan, roster, item, state))
    if state.reduced is not None and state.parsed is not None and len(roster.parsers) == len(identity.parser_refs):
        ctx = parse_context(plan, item, state.reduced)
        yield "parse", "", state.parsed, _value(parse(roster.parsers, state.reduced, ctx).map(lambda p: p.output))
    if state.parsed is None or not state.parsed.usable:
        return
    metrics = roster.metrics_by_id()
    for slot in plan.metrics:
        metric = metrics.get(slot.metric_id)
        if metric is not None:
            yield from _metric_check(slot, metric, plan, identity, item, state, state.parsed)


def _is_sync(reducer: Any) -> bool:
    return reducer is not None and not inspect.iscoroutinefunction(reducer.reduce)


def _reduce(plan: RunPlan, roster: Roster, item: CaseItem, state: CaseState) -> Result[Any, StepFailure]:
    candidates, reducer = chosen_candidates(state), roster.reducer
    if reducer is None:
        return Success(reduce_one(candidates))
    outcome = attempt(reducer.component_id, reducer.reduce, candidates, reduce_context(plan, item, candidates))
    return outcome.bind(lambda value: accept_reduction(reducer.component_id, value))


def _value(outcome: Result[Any, StepFailure]) -> Any:
    if isinstance(outcome, Success):
        return outcome.unwrap()
    failure = outcome.failure()
    return {"error": f"{failure.error_type}: {failure.error_message}"}


def _metric_check(
    slot: MetricSlot,
    metric: Any,
    plan: RunPlan,
    identity: RunIdentity,
    item: CaseItem,
    state: CaseState,
    parsed: ParsedOutput,
) -> Iterator[Check]:
    name = slot.metric_id
    if slot.family == "pure":
        stored = state.scores.get(name) or state.score_failures.get(name)
        if stored is not None:
            yield "score", name, stored, score(metric, parsed, score_context(plan, item, parsed))
    elif name in state.executions:
        again = _sandboxed if slot.family == "execution" else _judged
        yield "judge", name, steady(state.executions[name]), _steady(again(slot, metric, plan, identity, item, state))


def _steady(outcome: Result[EvaluationExecution, StepFailure]) -> Any:
    return steady(outcome.unwrap()) if isinstance(outcome, Success) else _value(outcome)


def _sandboxed(
    slot: MetricSlot, metric: Any, plan: RunPlan, identity: RunIdentity, item: CaseItem, state: CaseState
) -> Result[EvaluationExecution, StepFailure]:
    parsed = state.parsed
    assert parsed is not None  # only what was parsed was scored
    ctx = score_context(plan, item, parsed)
    results, failures = recorded_results(state, slot.metric_id), state.executions[slot.metric_id].failures
    runs = [failure for failure in failures if failure.step_type == "sandbox_run"]
    return plan_sandbox(metric, parsed, ctx, results).bind(
        lambda requests: conclude_sandbox(metric, parsed, requests, results, runs, ctx)
    )


def _judged(
    slot: MetricSlot, metric: Any, plan: RunPlan, identity: RunIdentity, item: CaseItem, state: CaseState
) -> Result[EvaluationExecution, StepFailure]:
    parsed = state.parsed
    assert parsed is not None  # only what was parsed was judged
    ctx = eval_context(plan, item, identity, parsed, slot.metric_id)
    failed_calls = [f for f in state.executions[slot.metric_id].failures if f.step_type == "judge_call"]
    responses = recorded_responses(state, slot.metric_id)
    return (
        subject_for(slot.family, state)
        .bind(lambda subject: plan_workflow(metric, subject, ctx))
        .map(lambda planned: conclude(slot.metric_id, planned, responses, failed_calls, ctx))
    )


def differences(case_key: str, checks: Iterator[Check], count: Callable[[str], None]) -> Iterator[Difference]:
    """Yield the checks whose two sides are not the same bytes; `count` is told the stage of every check."""
    for stage, metric_id, stored, expected in checks:
        count(stage)
        left, right = encode(stored), encode(expected)
        if left != right:
            yield Difference(
                case_key=case_key, stage=stage, metric_id=metric_id, stored=_short(left), expected=_short(right)
            )


def _short(data: bytes) -> str:
    text = encode(decode(data)).decode()
    return text if len(text) <= 300 else f"{text[:297]}..."
