"""What a run used, over all of its attempts: calls, tokens and time, from its events.

What was taken from another run's store counts as reused and not as used. Failed attempts of a call are counted, but
their tokens are not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from themis.pure.events import (
    CaseRunEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    RunEvent,
    RunStartedEvent,
    StepCompletedEvent,
    StepFailedEvent,
)
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
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


@attrs.define
class _Counts:
    calls: int = 0
    reused: int = 0
    failed: int = 0
    latency_ms: float = 0.0
    tokens: Counter[str] = attrs.field(factory=Counter)

    def answered(self, usage: Mapping[str, int] | None, latency_ms: float | None, retries: int) -> None:
        self.calls += 1
        self.failed += retries
        self.latency_ms += latency_ms or 0.0
        self.tokens.update(usage or {})


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
        if isinstance(event, CaseRunEvent):
            _count(counts, event)
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


def _count(counts: Mapping[str, _Counts], event: CaseRunEvent) -> None:
    generate, judge = counts["generate"], counts["judge"]
    if isinstance(event, GenerationCompletedEvent):
        if event.cache_hit or event.result is None:
            generate.reused += event.cache_hit
        else:
            generate.answered(event.result.token_usage, event.result.latency_ms, len(event.retry_history))
    elif isinstance(event, GenerationFailedEvent):
        generate.failed += max(1, len(event.retry_history))
    elif isinstance(event, StepCompletedEvent) and event.step_type == "judge_call":
        if event.cache_hit:
            judge.reused += 1
        else:
            judge.answered(_usage_of(event.output), _latency_of(event.output), _retries_of(event.output))
    elif isinstance(event, StepFailedEvent):
        judge.failed += max(1, len(event.retry_history))


def _usage_of(output: Mapping[str, JSONValue]) -> Mapping[str, int] | None:
    usage = output.get("token_usage")
    return {k: v for k, v in usage.items() if isinstance(v, int)} if isinstance(usage, Mapping) else None


def _latency_of(output: Mapping[str, JSONValue]) -> float | None:
    latency = output.get("latency_ms")
    return float(latency) if isinstance(latency, int | float) else None


def _retries_of(output: Mapping[str, JSONValue]) -> int:
    history = output.get("retry_history")
    return len(history) if isinstance(history, list | tuple) else 0
