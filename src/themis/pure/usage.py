"""What a run used, over all of its attempts: calls, tokens and time, from its events.

What was taken from another run's store counts as reused and not as used. Failed attempts of a call are counted, but
their tokens are not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import attrs

from themis.pure.costs import Ledger, Price, RunCosts
from themis.pure.events import (
    GenerationCompletedEvent,
    GenerationFailedEvent,
    RunEvent,
    RunStartedEvent,
    StepCompletedEvent,
    StepFailedEvent,
)
from themis.pure.json import EMPTY
from themis.pure.records.base import FrozenModel, HashableModel
from themis.pure.records.fields import sequence


@attrs.frozen(kw_only=True)
class StageUsage(HashableModel):
    """What one stage used: `tokens` by kind; `calls` that were answered, `failed_attempts` that were not."""

    stage: str
    calls: int = 0
    reused: int = 0
    failed_attempts: int = 0
    tokens: Mapping[str, int] = EMPTY
    latency_s: float = 0.0


@attrs.frozen(kw_only=True)
class Attempt(HashableModel):
    """One attempt at the run: from its start to the last thing that is stored of it."""

    started_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        """How long the attempt took, as far as it is stored."""
        return (self.ended_at - self.started_at).total_seconds()


@attrs.frozen(kw_only=True)
class RunUsage(HashableModel):
    """What a whole run used, over all of its attempts."""

    run_id: str
    attempts: tuple[Attempt, ...] = attrs.field(default=(), converter=sequence)
    stages: tuple[StageUsage, ...] = attrs.field(default=(), converter=sequence)

    @property
    def seconds(self) -> float:
        """The attempts' time together, without what lay between them."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def total_tokens(self) -> int:
        """All tokens of all stages."""
        return sum(_total(stage.tokens) for stage in self.stages)


def _total(tokens: Mapping[str, int]) -> int:
    return tokens.get("total_tokens") or tokens.get("prompt_tokens", 0) + tokens.get("completion_tokens", 0)


@attrs.frozen(kw_only=True)
class RecordedCall(FrozenModel):
    """One call as the events tell it.

    Attributes:
        stage: `generate` or `judge`.
        model: whom it asked; empty where that is not recorded.
        answered: an answer came; of what was reused nothing is counted.
        reused: the answer was taken from the store.
        failed_attempts: attempts that gave no answer.
        tokens, latency_ms: of the answer.
    """

    stage: str
    model: str = ""
    answered: bool = False
    reused: bool = False
    failed_attempts: int = 0
    tokens: Mapping[str, int] | None = None
    latency_ms: float | None = None


def recorded_calls(events: Iterable[RunEvent], generator: str = "") -> Iterator[RecordedCall]:
    """Yield the calls of a run, in the order of their ends; `generator` is the id of the model that generated."""
    for event in events:
        call = _call(event, generator)
        if call is not None:
            yield call


def _call(event: RunEvent, generator: str) -> RecordedCall | None:
    if isinstance(event, GenerationCompletedEvent):
        return _generation(event, generator)
    if isinstance(event, GenerationFailedEvent):
        failed = max(1, len(event.retry_history))
        return RecordedCall(stage="generate", model=generator, failed_attempts=failed)
    if isinstance(event, StepCompletedEvent) and event.step_type == "judge_call":
        return _judgment(event)
    if isinstance(event, StepFailedEvent):
        return RecordedCall(stage="judge", failed_attempts=max(1, len(event.retry_history)))
    return None


def _generation(event: GenerationCompletedEvent, generator: str) -> RecordedCall:
    if event.cache_hit or event.result is None:
        return RecordedCall(stage="generate", model=generator, reused=event.cache_hit)
    return RecordedCall(
        stage="generate",
        model=generator,
        answered=True,
        failed_attempts=len(event.retry_history),
        tokens=event.result.token_usage,
        latency_ms=event.result.latency_ms,
    )


def _judgment(event: StepCompletedEvent) -> RecordedCall:
    output = event.output
    model = str(output.get("judge_model_id") or "")
    if event.cache_hit:
        return RecordedCall(stage="judge", model=model, reused=True)
    usage, latency, history = output.get("token_usage"), output.get("latency_ms"), output.get("retry_history")
    counts = {k: v for k, v in usage.items() if isinstance(v, int)} if isinstance(usage, Mapping) else None
    return RecordedCall(
        stage="judge",
        model=model,
        answered=True,
        failed_attempts=len(history) if isinstance(history, list | tuple) else 0,
        tokens=counts,
        latency_ms=float(latency) if isinstance(latency, int | float) else None,
    )


@attrs.define
class _Counts:
    calls: int = 0
    reused: int = 0
    failed: int = 0
    latency_ms: float = 0.0
    tokens: Counter[str] = attrs.field(factory=Counter)

    def add(self, call: RecordedCall) -> None:
        self.calls += call.answered
        self.reused += call.reused
        self.failed += call.failed_attempts
        self.latency_ms += call.latency_ms or 0.0
        self.tokens.update(call.tokens or {})


def run_usage(run_id: str, events: Iterable[RunEvent]) -> RunUsage:
    """Return what a run used; one pass over its events."""
    counts = {"generate": _Counts(), "judge": _Counts()}
    starts: list[datetime] = []
    ends: list[datetime] = []
    for event in events:
        if isinstance(event, RunStartedEvent):
            starts.append(event.occurred_at)
            ends.append(event.occurred_at)
        elif ends:
            ends[-1] = max(ends[-1], event.occurred_at)
        call = _call(event, "")
        if call is not None:
            counts[call.stage].add(call)
    return RunUsage(
        run_id=run_id,
        attempts=[Attempt(started_at=start, ended_at=end) for start, end in zip(starts, ends, strict=True)],
        stages=[
            StageUsage(
                stage=stage,
                calls=found.calls,
                reused=found.reused,
                failed_attempts=found.failed,
                tokens=dict(sorted(found.tokens.items())),
                latency_s=found.latency_ms / 1000,
            )
            for stage, found in counts.items()
        ],
    )


def run_costs(calls: Iterable[RecordedCall], price: Price | None = None) -> RunCosts:
    """Return what calls used and cost, by stage and model.

    Args:
        calls: as `recorded_calls` yields them.
        price: what a model's tokens cost; without it tokens are counted alone.
    """
    ledger = Ledger()
    for call in calls:
        if call.answered:
            cost = price(call.model, call.tokens) if price is not None and call.tokens is not None else None
            ledger.record(call.stage, call.model, call.tokens, cost)
        for _ in range(call.failed_attempts):
            ledger.record_failure(call.stage, call.model)
    return RunCosts(rows=ledger.rows())
