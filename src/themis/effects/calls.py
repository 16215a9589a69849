"""Model calls: every call of a run goes through one `CallRuntime`, which makes it wait, tries it again, and counts.

    runtime = CallRuntime.from_config(config)
    outcome = await runtime.call(
        func,                                    # () -> awaitable: one attempt
        stage="generate",                        # or "judge", or any other stage
        provider_key=generator.provider_key,     # None: no endpoint, no rates, no adaptive concurrency
        model=generator.component_id,            # for accounting and prices
        estimate=TokenEstimate(prompt=120, completion=256),
    )
    outcome.value, outcome.retry_history

It raises `CallFailed` when the call failed for good; `error.fatal` means that the run has to stop, and that every
later call to this model raises the same error at once, unsent. `error.__cause__` is what the component
raised. Cancellation passes straight through. Without limits, retries and timeout to look after, a call costs a
few microseconds: no task is spawned, no timer set, and no checkpoint executed besides those of `func`.

What waits, waits here; what is decided, is decided in `themis.pure.calls` and `themis.pure.limits`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from random import Random
from typing import Final, Generic, TypeVar

import attrs
import trio

from themis.effects.bodies import stopping
from themis.effects.failures import AWAITED, to_failure
from themis.effects.limits import Gate
from themis.effects.shared_limits import SharedLimits
from themis.pure.calls import (
    MAX_WAIT,
    NO_RETRIES,
    CallFailed,
    CallFailure,
    FailureKind,
    ProviderError,
    RetryEntry,
    RetryPolicy,
    classify,
    delay_before_retry,
    said_to_wait,
)
from themis.pure.json import EMPTY
from themis.pure.limits import NOTHING, Admission, Budget, CallLimits, Estimate, Ticket, TokenEstimate
from themis.pure.records.config import RuntimeConfig
from themis.pure.usage import COMPLETION_TOKENS, PROMPT_TOKENS, Ledger, Price, UsageRow, total_tokens

T = TypeVar("T")

GENERATE: Final = "generate"
JUDGE: Final = "judge"

_LOST_ANSWER: Final = frozenset({FailureKind.TIMEOUT, FailureKind.MALFORMED, FailureKind.TOO_LARGE})
"""Failures after which the provider may well have made, and charged for, the answer that did not arrive."""

_BUDGET_MESSAGE: Final = (
    "the budget has no room for this call; what is finished is stored: raise max_cost or max_tokens and run again"
)

_pause_endpoint: ContextVar[Callable[[float], None] | None] = ContextVar("themis_pause_endpoint", default=None)


def report_quota(wait_s: float) -> None:
    """Tell the runtime, from inside a call, that the endpoint's quota is used up for the next `wait_s` seconds."""
    pause = _pause_endpoint.get()
    if pause is not None:
        pause(wait_s)


@attrs.define
class CallOutcome(Generic[T]):
    """What a call came to: its value, and the attempts that failed before it."""

    value: T
    retry_history: tuple[RetryEntry, ...] = ()


def limits_of(config: RuntimeConfig) -> CallLimits:
    """Return the limits of a run's calls."""
    return CallLimits(
        max_concurrent=config.max_concurrent_tasks,
        stage_concurrency=config.stage_concurrency,
        provider_concurrency=config.provider_concurrency,
        requests_per_minute=config.provider_rate_limits,
        tokens_per_minute=config.provider_token_limits,
    )


def budget_of(config: RuntimeConfig) -> Budget:
    """Return a run's budget, with nothing spent."""
    return Budget(max_tokens=config.max_tokens, max_cost=config.max_cost, shares=config.budget_shares)


class CallRuntime:
    """Makes the calls of one run, or of several at once, which share its limits. One runtime belongs to one trio run.

    Args:
        limits: concurrency and rates.
        budget: cap on tokens and cost; what an earlier process of the run spent is counted into it beforehand.
        retry: the policy per stage; a stage without one is tried once.
        timeouts: seconds that one attempt may take, per stage; waiting for its turn is not counted.
        max_wait: the longest wait, in seconds, that an endpoint may ask for. Where it asks for more, the call fails as
            what it is, and so does, unsent, every other one until that time.
        price: what a model's tokens cost.
        tell_wait: told of an endpoint that is left alone, and for how many seconds.
        shared: what keeps the limits for several processes together, beside this one.

    Attributes:
        reserves: whether a limit counts tokens, so that a call's `estimate` is worth making.
        is_spent: whether a call was refused for want of budget.
    """

    def __init__(
        self,
        limits: CallLimits | None = None,
        *,
        budget: Budget | None = None,
        retry: Mapping[str, RetryPolicy] = EMPTY,
        timeouts: Mapping[str, float | None] = EMPTY,
        max_wait: float = MAX_WAIT,
        price: Price | None = None,
        tell_wait: Callable[[str, float], None] = lambda _endpoint, _seconds: None,
        shared: SharedLimits | None = None,
    ) -> None:
        limits = limits or CallLimits()
        self._budget = budget or Budget()
        self.reserves: bool = self._budget.is_limited or bool(limits.tokens_per_minute)
        self.is_spent: bool = False
        self._gate = Gate(Admission(limits, self._budget))
        self._retry = retry
        self._timeouts = timeouts
        self._max_wait = max_wait
        self._price = price
        self._tell_wait = tell_wait
        self._shared = shared
        self._random = Random(0)  # noqa: S311  # jitter is no secret
        self._ledger = Ledger()
        self._dead: dict[tuple[str | None, str], CallFailure] = {}
        self._closed: dict[str | None, tuple[float, CallFailure]] = {}

    @classmethod
    def from_config(
        cls,
        config: RuntimeConfig,
        *,
        price: Price | None = None,
        spent: tuple[UsageRow, ...] = (),
        tell_wait: Callable[[str, float], None] = lambda _endpoint, _seconds: None,
        shared: SharedLimits | None = None,
    ) -> CallRuntime:
        """Build the runtime of a run.

        Args:
            config: the run's runtime configuration.
            price: what a model's tokens cost; needed for `max_cost`.
            spent: what earlier processes of this run used, read from its stored results.
            tell_wait: as for the class.
            shared: as for the class.
        """
        budget = budget_of(config)
        for row in spent:
            budget.spend(row.stage, row.total_tokens, row.cost or 0.0)
        return cls(
            limits_of(config),
            budget=budget,
            retry={
                GENERATE: RetryPolicy(
                    attempts=int(config.generation_retry_attempts),
                    delay_s=config.generation_retry_delay,
                    backoff=config.generation_retry_backoff,
                    max_retry_after_s=config.max_wait,
                ),
                JUDGE: RetryPolicy(
                    attempts=int(config.judge_retry_attempts),
                    delay_s=config.judge_retry_delay,
                    backoff=config.judge_retry_backoff,
                    max_retry_after_s=config.max_wait,
                ),
            },
            timeouts={GENERATE: config.generation_timeout, JUDGE: config.judge_timeout},
            max_wait=config.max_wait,
            price=price,
            tell_wait=tell_wait,
            shared=shared,
        )

    def usage(self) -> tuple[UsageRow, ...]:
        return self._ledger.rows()

    @property
    def under_way(self) -> int:
        """How many calls are being made."""
        return self._gate.admission.under_way

    def concurrency(self, provider_key: str) -> int:
        return self._gate.admission.endpoint(provider_key).concurrency.limit

    async def call(
        self,
        func: Callable[[], Awaitable[T]],
        *,
        stage: str = GENERATE,
        provider_key: str | None = None,
        model: str = "",
        estimate: TokenEstimate | None = None,
    ) -> CallOutcome[T]:
        """Make a call: wait for its turn, make it, try again as the policy says.

        Raises:
            CallFailed: it failed for good, or its endpoint had failed fatally before.
        """
        reserved = NOTHING if estimate is None else self._reservation(model, estimate)
        history: tuple[RetryEntry, ...] = ()
        while True:
            ticket = Ticket(provider_key, stage, reserved)
            try:
                return CallOutcome(await self._attempt(func, ticket, model), history)
            except ProviderError as attempt:
                failure, number = attempt.failure, len(history) + 1
                delay_s = delay_before_retry(self._retry.get(stage, NO_RETRIES), failure, number, self._random)
                entry = RetryEntry(
                    attempt=number,
                    reason=classify(failure).reason,
                    kind=failure.kind,
                    delay_s=delay_s,
                    status=failure.status,
                )
                history = (*history, entry)
                if delay_s is None:
                    raise CallFailed(failure, history) from attempt.__cause__
            await trio.sleep(delay_s)

    async def _attempt(self, func: Callable[[], Awaitable[T]], ticket: Ticket, model: str) -> T:
        self._refuse_dead(ticket, model)
        await self._gate.pass_through(ticket)
        if ticket.refused:
            raise await self._no_room()
        tokens, cost, is_asked = 0, 0.0, False
        try:
            self._refuse_dead(ticket, model)
            if self._shared is not None:
                await self._shared.enter(ticket)
            if not ticket.refused:
                is_asked = True
                value = await self._within_time(func, ticket)
                tokens, cost = self._note_answer(ticket, model, getattr(value, "token_usage", None))
                return value
        except CallFailed:
            raise
        except AWAITED as error:
            if not is_asked:  # the store of the shared limits failed, and not the model
                raise
            failure = said_to_wait(to_failure(error), self._max_wait)
            if failure.kind in _LOST_ANSWER:
                tokens, cost = ticket.estimate.tokens, ticket.estimate.cost
            self._note_failure(ticket, model, failure)
            raise ProviderError(failure) from error
        finally:
            if self._budget.is_limited:
                self._budget.settle(ticket.stage, ticket.estimate, tokens, cost)
            self._gate.leave(ticket)
            if self._shared is not None:
                await self._shared.leave(ticket, tokens, cost)
        raise await self._no_room()

    async def _no_room(self) -> ProviderError:
        self.is_spent = True
        # The run ends with this refusal: what is under way has been paid for, and is waited for.
        await self._gate.quiet()
        return ProviderError(CallFailure(kind=FailureKind.BUDGET, message=_BUDGET_MESSAGE))

    async def _within_time(self, func: Callable[[], Awaitable[T]], ticket: Ticket) -> T:
        timeout = self._timeouts.get(ticket.stage)
        if ticket.provider_key is not None:
            _pause_endpoint.set(functools.partial(self._pause, ticket.provider_key))
        if timeout is None:
            return await func()
        with trio.move_on_after(timeout) as timer, stopping(timer):
            return await func()
        raise ProviderError(CallFailure(kind=FailureKind.TIMEOUT, message=f"no answer within {timeout:g} s"))

    def _pause(self, provider_key: str, wait_s: float) -> None:
        # What an answer says of a quota is a hint: past the bound the next call is made, and told if it is so.
        if wait_s <= self._max_wait:
            self._gate.admission.endpoint(provider_key).hold(trio.current_time() + wait_s)
            self._tell_wait(provider_key, wait_s)

    def _note_answer(self, ticket: Ticket, model: str, usage: Mapping[str, int] | None) -> tuple[int, float]:
        if ticket.provider_key is not None:
            endpoint = self._gate.admission.endpoint(ticket.provider_key)
            endpoint.concurrency.succeeded(ticket.epoch, endpoint.in_flight)
            if usage is not None:
                endpoint.tokens.correct(total_tokens(usage) - ticket.estimate.tokens)
        if usage is None:
            return ticket.estimate.tokens, ticket.estimate.cost
        cost = self._price(model, usage) if self._price and model else None
        return self._ledger.record(ticket.stage, model, usage, cost), cost or 0.0

    def _note_failure(self, ticket: Ticket, model: str, failure: CallFailure) -> None:
        self._ledger.record_failure(ticket.stage, model)
        if ticket.provider_key is None:
            return
        diagnosis = classify(failure)
        if diagnosis.overload:
            self._gate.admission.endpoint(ticket.provider_key).concurrency.overloaded(ticket.epoch)
            if failure.retry_after_s is not None:
                self._pause(ticket.provider_key, failure.retry_after_s)
                if failure.retry_after_s > self._max_wait:
                    self._closed[ticket.provider_key] = trio.current_time() + failure.retry_after_s, failure
        if diagnosis.fatal:
            # Of this model alone: the endpoint may know the models of other runs.
            self._dead[ticket.provider_key, model] = failure

    def _refuse_dead(self, ticket: Ticket, model: str) -> None:
        failure = self._dead.get((ticket.provider_key, model))
        until, asked_to_wait = self._closed.get(ticket.provider_key, (0.0, None))
        if failure is None and trio.current_time() < until:
            failure = asked_to_wait
        if failure is not None:
            raise CallFailed(failure)

    def _reservation(self, model: str, estimate: TokenEstimate) -> Estimate:
        cost = None
        if self._price is not None and model:
            cost = self._price(model, {PROMPT_TOKENS: estimate.prompt, COMPLETION_TOKENS: estimate.completion})
        return Estimate(tokens=estimate.prompt + estimate.completion, cost=cost or 0.0)
