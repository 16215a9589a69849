"""What a run used and what it cost: calls, tokens, time and US dollars, counted in one ledger.

The runtime writes calls into it as they are made; for a stored run it is made of the events, over all attempts. What
was taken from another run's store counts as reused and not as used. Failed attempts of a call are counted, but their
tokens are not known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

import attrs

from themis.pure.events import (
    GenerationCompletedEvent,
    RunEvent,
    RunStartedEvent,
    StepCompletedEvent,
    StepEvent,
)
from themis.pure.human_labels import is_label
from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.wire.providers import IN_PROCESS

Price: TypeAlias = Callable[[str, Mapping[str, int]], float | None]
"""Model (`provider/name`) and token usage to US dollars; `None` for a model whose price is not known."""

Prices: TypeAlias = Mapping[str, Mapping[str, float]]
"""Own prices, in US dollars per million tokens: `{"vllm/my-model": {"prompt": 0.1, "completion": 0.4}}`."""

_FREE: Final = ("builtin/", *(f"{provider}/" for provider in IN_PROCESS))

PROMPT_TOKENS: Final = "prompt_tokens"
COMPLETION_TOKENS: Final = "completion_tokens"
CACHED_TOKENS: Final = "cached_tokens"
_TOTAL_TOKENS: Final = "total_tokens"
_TOKEN_KINDS: Final = (PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, "reasoning_tokens")


def total_tokens(usage: Mapping[str, Any]) -> int:
    """Return all tokens of one call: the provider's total, or prompt and completion together.

    >>> total_tokens({"prompt_tokens": 3, "completion_tokens": 4})
    7
    """
    stated = usage.get(_TOTAL_TOKENS)
    if isinstance(stated, int):
        return stated
    return int(usage.get(PROMPT_TOKENS, 0)) + int(usage.get(COMPLETION_TOKENS, 0))


def is_free(model: str) -> bool:
    """Tell by its id whether a model runs in this process, for nothing but what a stated price says.

    >>> is_free("builtin/demo_model"), is_free("hf/tiny"), is_free("openai/gpt-4o")
    (True, True, False)
    """
    return model.startswith(_FREE)


def call_cost(model: str, usage: Mapping[str, int] | None, price: Price) -> float | None:
    """Return what one call cost, in US dollars; `None` where its usage or the model's price is not known.

    >>> call_cost("m", {"prompt_tokens": 3}, lambda model, usage: 0.5), call_cost("m", None, lambda model, usage: 0.5)
    (0.5, None)
    """
    cost = None if usage is None else price(model, usage)
    return 0.0 if cost is None and is_free(model) else cost


@attrs.frozen
class AnsweredCall:
    """A call to a model that gave an answer.

    Attributes:
        stage: `generate` or `judge`.
        model: `provider/name`.
        usage: tokens by kind; `None` if the call does not state them.
        latency_ms: how long it took; `None` if it does not state it.
        failed_attempts: attempts before the one that was answered.
        reused: another run made the call.
    """

    stage: str
    model: str
    usage: Mapping[str, int] | None
    latency_ms: float | None
    failed_attempts: int
    reused: bool


def answered_call(event: RunEvent, generator: str) -> AnsweredCall | None:
    """Return the call that an event tells of, if it tells of one with an answer; `generator` is what generated."""
    if isinstance(event, GenerationCompletedEvent) and event.result is not None:
        made, hit = event.result, event.cache_hit
        return _answered("generate", generator, made.token_usage, made.latency_ms, event.retry_history, reused=hit)
    if isinstance(event, StepCompletedEvent) and event.step_type == "judge_call":
        usage, latency, retries = map(event.output.get, ("token_usage", "latency_ms", "retry_history"))
        model = str(event.output.get("judge_model_id") or "")
        return _answered("judge", model, usage, latency, retries, reused=event.cache_hit)
    return None


def generated_call(generator: str, result: Mapping[str, Any]) -> AnsweredCall:
    """Return the call that a candidate came of, from the plain data of it, whichever run made it."""
    return _answered("generate", generator, result.get("token_usage"), result.get("latency_ms"), (), reused=False)


def _answered(stage: str, model: str, usage: Any, latency: Any, retries: Any, *, reused: bool) -> AnsweredCall:
    return AnsweredCall(
        stage,
        model,
        {k: v for k, v in usage.items() if isinstance(v, int)} if isinstance(usage, Mapping) else None,
        float(latency) if isinstance(latency, int | float) else None,
        len(retries) if isinstance(retries, list | tuple) else 0,
        reused,
    )


@attrs.frozen(kw_only=True)
class UsageRow(HashableModel):
    """What one model used in one stage.

    Attributes:
        stage: the stage of the run, such as `generate` or `judge`.
        model: `provider/name`; empty for calls that name no model.
        calls: calls that gave an answer.
        failed_attempts: attempts that did not.
        prompt_tokens, completion_tokens: as the provider counts them; cached and reasoning tokens are parts of
            these two.
        cost: US dollars over the calls whose price is known; `None` if none is.
        unpriced_calls: calls that are in the token counts and not in `cost`.
        unstated_calls: calls that stated no usage, and are in neither.
        reused: answers that were taken from another run, and cost nothing here.
    """

    stage: str
    model: str
    calls: int = 0
    failed_attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    unpriced_calls: int = 0
    unstated_calls: int = 0
    reused: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def is_lower_bound(self) -> bool:
        """Whether calls were made that `cost` leaves out, for want of a price or of their usage."""
        return bool(self.unpriced_calls or self.unstated_calls)

    @property
    def text(self) -> str:
        """The cost for people, which says so where it is a lower bound."""
        return _cost_text(self.cost, is_lower_bound=self.is_lower_bound)


@attrs.frozen(kw_only=True)
class RunCosts(HashableModel):
    """What a run used and cost, over all of its attempts, by stage and model."""

    rows: tuple[UsageRow, ...] = attrs.field(default=(), converter=sequence)

    @property
    def total_tokens(self) -> int:
        """All tokens of all models."""
        return sum(row.total_tokens for row in self.rows)

    @property
    def cost(self) -> float | None:
        """US dollars over all calls whose price is known; `None` if none is."""
        known = [row.cost for row in self.rows if row.cost is not None]
        return sum(known) if known else None

    @property
    def is_lower_bound(self) -> bool:
        """Whether calls were made that `cost` leaves out, for want of a price or of their usage."""
        return any(row.is_lower_bound for row in self.rows)

    @property
    def text(self) -> str:
        """The cost for people, which says so where it is a lower bound.

        >>> RunCosts(rows=[UsageRow(stage="generate", model="openai/x", calls=2, cost=0.5)]).text
        '$0.5000'
        """
        return _cost_text(self.cost, is_lower_bound=self.is_lower_bound)

    @property
    def notice(self) -> str | None:
        """Which calls are not in `cost`, and why, in one sentence; `None` if all are.

        >>> RunCosts(rows=[UsageRow(stage="generate", model="vllm/x", calls=2, unpriced_calls=2)]).notice
        'price unknown, tokens counted: vllm/x (2 calls)'
        """
        unpriced = self._calls_by_model(lambda row: row.unpriced_calls)
        unstated = self._calls_by_model(lambda row: row.unstated_calls)
        reasons = [("price unknown, tokens counted", unpriced), ("no usage stated, nothing counted", unstated)]
        return "; ".join(f"{reason}: {models}" for reason, models in reasons if models) or None

    def _calls_by_model(self, count: Callable[[UsageRow], int]) -> str:
        counts: Counter[str] = Counter()
        for row in self.rows:
            counts[row.model] += count(row)
        return ", ".join(f"{model} ({calls_text(calls)})" for model, calls in counts.items() if model and calls)


def _cost_text(cost: float | None, *, is_lower_bound: bool) -> str:
    if cost is None:
        return "not known"
    digits = f"{cost:,.2f}" if cost >= 1 else f"{cost:.4f}" if cost >= 1e-4 or not cost else f"{cost:.2g}"
    return f"at least ${digits}" if is_lower_bound else f"${digits}"


def calls_text(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


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
        return sum(total_tokens(stage.tokens) for stage in self.stages)


# --- counting ---------------------------------------------------------------------------------------------


@attrs.define
class _Sum:
    calls: int = 0
    reused: int = 0
    failed_attempts: int = 0
    latency_ms: float = 0.0
    tokens: Counter[str] = attrs.field(factory=Counter)
    cost: float | None = None
    unpriced_calls: int = 0
    unstated_calls: int = 0


FAILED_CALLS: Final = ("generation_failed", "step_failed")


class Ledger:
    """Adds up calls, by stage and model."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums = defaultdict[tuple[str, str], _Sum](_Sum)

    def record(
        self, stage: str, model: str, usage: Mapping[str, int] | None, cost: float | None, latency_ms: float = 0.0
    ) -> int:
        """Count one answered call, and return its tokens."""
        found = self._sums[stage, model]
        found.calls += 1
        found.latency_ms += latency_ms
        if cost is None and is_free(model):
            cost = 0.0
        if cost is not None:
            found.cost = (found.cost or 0.0) + cost
        elif usage:
            found.unpriced_calls += 1
        else:
            found.unstated_calls += 1
        if not usage:
            return 0
        total, tokens = total_tokens(usage), found.tokens
        for kind, count in usage.items():
            tokens[kind] += count
        # Some providers state a total and some do not: summed up, it must be that of all calls.
        tokens[_TOTAL_TOKENS] += total - usage.get(_TOTAL_TOKENS, 0)
        return total

    def record_failure(self, stage: str, model: str, attempts: int = 1) -> None:
        if attempts:
            self._sums[stage, model].failed_attempts += attempts

    def take(self, event: RunEvent, generator: str = "", price: Price | None = None) -> None:
        """Count what an event tells of a call, if it tells of one; `generator` is the model that generated."""
        if event.event_type in FAILED_CALLS:
            stage, model = ("judge", "") if isinstance(event, StepEvent) else ("generate", generator)
            self.record_failure(stage, model, max(1, len(getattr(event, "retry_history", ()))))
        elif (call := answered_call(event, generator)) is not None:
            self.add(call, price)

    def add(self, call: AnsweredCall, price: Price | None = None) -> None:
        """Count a call that was answered, here or for another run."""
        if call.reused:
            self._sums[call.stage, call.model].reused += 1
            return
        cost = None if price is None else call_cost(call.model, call.usage, price)
        self.record(call.stage, call.model, call.usage, cost, call.latency_ms or 0.0)
        self.record_failure(call.stage, call.model, call.failed_attempts)

    def rows(self) -> tuple[UsageRow, ...]:
        return tuple(
            UsageRow(
                stage=stage,
                model=model,
                calls=found.calls,
                failed_attempts=found.failed_attempts,
                cost=found.cost,
                unpriced_calls=found.unpriced_calls,
                unstated_calls=found.unstated_calls,
                reused=found.reused,
                **{kind: found.tokens[kind] for kind in _TOKEN_KINDS},
            )
            for (stage, model), found in sorted(self._sums.items())
            if found.calls or found.failed_attempts or found.reused
        )

    def stage(self, stage: str) -> StageUsage:
        found = [each for (name, _), each in self._sums.items() if name == stage]
        tokens: Counter[str] = Counter()
        for each in found:
            tokens.update(each.tokens)
        return StageUsage(
            stage=stage,
            calls=sum(each.calls for each in found),
            reused=sum(each.reused for each in found),
            failed_attempts=sum(each.failed_attempts for each in found),
            tokens=dict(sorted(tokens.items())),
            latency_s=sum(each.latency_ms for each in found) / 1000,
        )


def run_usage(run_id: str, events: Iterable[RunEvent]) -> RunUsage:
    """Return what a run used; one pass over its events."""
    ledger, times = Ledger(), list[tuple[datetime, datetime]]()
    for event in events:
        if isinstance(event, RunStartedEvent):
            times.append((event.occurred_at, event.occurred_at))
        elif times and not is_label(event):
            times[-1] = times[-1][0], max(times[-1][1], event.occurred_at)
        ledger.take(event)
    return RunUsage(
        run_id=run_id,
        attempts=[Attempt(started_at=start, ended_at=end) for start, end in times],
        stages=[ledger.stage("generate"), ledger.stage("judge")],
    )


def run_costs(events: Iterable[RunEvent], generator: str, price: Price | None = None) -> RunCosts:
    """Return what the calls of a run used and cost.

    Args:
        events: the run's, in order.
        generator: the id of the model that generated.
        price: what a model's tokens cost; without it tokens are counted alone.
    """
    ledger = Ledger()
    for event in events:
        ledger.take(event, generator, price)
    return RunCosts(rows=ledger.rows())
