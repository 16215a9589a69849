"""The call runtime on trio's mock clock: hours of limits and backoff in no time."""

from __future__ import annotations

import functools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from themis.effects import limits
from themis.effects.calls import CallOutcome, CallRuntime, report_quota
from themis.pure.calls import CallFailed, CallFailure, ProviderError, RetryPolicy
from themis.pure.limits import Budget, CallLimits, TokenEstimate
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.generation import GenerationResult
from themis.pure.usage import UsageRow


def on_mock_clock(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(test, *args, **kwargs), clock=trio.testing.MockClock(autojump_threshold=0))

    return run


def rejected(status: int = 429, **facts: Any) -> ProviderError:
    return ProviderError(CallFailure(kind="status", status=status, **facts))


def answers(*outcomes: object) -> Callable[[], Awaitable[object]]:
    """Return a call that plays its outcomes one by one: exceptions are raised."""
    rest = list(outcomes)

    async def call() -> object:
        await trio.lowlevel.checkpoint()
        outcome = rest.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


def most_within(times: Sequence[float], window: float) -> int:
    return max(bisect_right(times, start + window) - bisect_left(times, start) for start in times)


RETRY = {"generate": RetryPolicy(attempts=4, delay_s=1.0)}


@on_mock_clock
async def test_a_plain_call_is_just_made() -> None:
    outcome = await CallRuntime().call(answers("yes"))
    assert outcome == CallOutcome("yes")


@on_mock_clock
async def test_retries_are_recorded_with_reason_and_delay() -> None:
    runtime = CallRuntime(retry=RETRY)
    began = trio.current_time()
    outcome = await runtime.call(
        answers(rejected(500), TimeoutError("slow"), rejected(retry_after_s=30.0), "yes"), provider_key="p"
    )
    assert outcome.value == "yes"
    history = outcome.retry_history
    assert [(entry.attempt, entry.reason, entry.status) for entry in history] == [
        (1, "http 500", 500),
        (2, "timeout", None),
        (3, "rate limited", 429),
    ]
    assert history[2].delay_s == 30.0
    assert trio.current_time() - began == pytest.approx(sum(entry.delay_s or 0 for entry in history))


@on_mock_clock
async def test_giving_up_tells_every_attempt_and_what_caused_the_last() -> None:
    last = rejected(503)
    with pytest.raises(CallFailed) as caught:
        await CallRuntime(retry=RETRY).call(answers(rejected(), rejected(), rejected(), last), provider_key="p")
    assert len(caught.value.retry_history) == 4
    assert caught.value.retry_history[-1].delay_s is None
    assert caught.value.diagnosis.reason == "overloaded"
    assert caught.value.__cause__ is last


@on_mock_clock
async def test_an_exception_of_the_component_is_not_tried_again() -> None:
    error = ValueError("bad input")
    with pytest.raises(CallFailed, match="component failed: ValueError: bad input") as caught:
        await CallRuntime(retry=RETRY).call(answers(error, "never"))
    assert caught.value.__cause__ is error
    assert len(caught.value.retry_history) == 1


@on_mock_clock
async def test_an_asyncio_component_is_told_which_wrapper_to_use() -> None:
    error = RuntimeError("no running event loop")
    with pytest.raises(CallFailed, match=r"themis\.adapters\.asyncio_component"):
        await CallRuntime().call(answers(error))


@on_mock_clock
async def test_a_call_that_takes_too_long_is_cancelled_and_tried_again() -> None:
    runtime = CallRuntime(retry=RETRY, timeouts={"generate": 5.0})
    cancelled = 0

    async def hangs() -> None:
        nonlocal cancelled
        try:
            await trio.sleep_forever()
        finally:
            cancelled += 1

    with pytest.raises(CallFailed, match=r"timeout after 4 attempts: no answer within 5 s"):
        await runtime.call(hangs)
    assert cancelled == 4


@on_mock_clock
async def test_a_wrong_key_fails_every_later_call_unsent() -> None:
    runtime, sent = CallRuntime(CallLimits(max_concurrent=2), retry=RETRY), 0

    async def unauthorised() -> str:
        nonlocal sent
        sent += 1
        await trio.sleep(1)
        raise rejected(401)

    fatal = 0

    async def caller() -> None:
        nonlocal fatal
        with pytest.raises(CallFailed) as caught:
            await runtime.call(unauthorised, provider_key="p")
        fatal += caught.value.fatal

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(caller)
    assert (sent, fatal) == (2, 50)
    assert (await runtime.call(answers("yes"), provider_key="other")).value == "yes"
    # Another model may be one that the endpoint knows.
    assert (await runtime.call(answers("yes"), provider_key="p", model="p/other")).value == "yes"


@on_mock_clock
async def test_cancellation_passes_through_and_frees_what_was_held() -> None:
    runtime = CallRuntime(CallLimits(max_concurrent=1), retry=RETRY)
    with trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(runtime.call, trio.sleep_forever)
    assert scope.cancelled_caught
    assert (await runtime.call(answers("yes"))).value == "yes"


@on_mock_clock
async def test_a_cancelled_first_in_line_hands_the_watch_to_the_next() -> None:
    runtime = CallRuntime(CallLimits(requests_per_minute={"p": 60}))
    times: list[float] = []

    async def call() -> None:
        times.append(trio.current_time())

    await runtime.call(call, provider_key="p")
    async with trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def cancelled() -> None:
            with first:
                await runtime.call(call, provider_key="p")

        nursery.start_soon(cancelled)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(functools.partial(runtime.call, call, provider_key="p"))
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
    assert times == pytest.approx([times[0], times[0] + 1.0])


# --- rates ------------------------------------------------------------------------------------------------


@on_mock_clock
async def test_600_a_minute_never_bursts_whatever_the_concurrency() -> None:
    runtime = CallRuntime(CallLimits(max_concurrent=100, requests_per_minute={"p": 600}), retry=RETRY)
    times: list[float] = []

    async def call() -> str:
        times.append(trio.current_time())
        await trio.sleep(3.0)
        if len(times) % 10 == 0:
            raise rejected(500)
        return "yes"

    async with trio.open_nursery() as nursery:
        for _ in range(1500):
            nursery.start_soon(functools.partial(runtime.call, call, provider_key="p"))
    assert most_within(times, 1.0) <= 11
    assert most_within(times, 60.0) <= 610
    # Nor is it slower than it has to be, between opening up and the last retries.
    middle = times[300:1200]
    assert middle[-1] - middle[0] == pytest.approx(89.9)


@on_mock_clock
async def test_tokens_per_minute_count_what_answers_used() -> None:
    runtime = CallRuntime(CallLimits(tokens_per_minute={"p": 6000}))
    times: list[float] = []

    async def call() -> GenerationResult:
        times.append(trio.current_time())
        return GenerationResult(candidate_id="c", final_output="x", token_usage={"total_tokens": 50})

    for _ in range(121):
        await runtime.call(call, provider_key="p", estimate=TokenEstimate(prompt=100, completion=100))
    # 120 calls of 50 tokens at 100 tokens a second.
    assert times[-1] - times[0] == pytest.approx(60.0)


@on_mock_clock
async def test_a_used_up_quota_holds_the_whole_endpoint() -> None:
    runtime = CallRuntime()

    async def last_one() -> str:
        report_quota(20.0)
        return "yes"

    began = trio.current_time()
    await runtime.call(last_one, provider_key="p")
    await runtime.call(answers("other"), provider_key="q")
    assert trio.current_time() == began
    await runtime.call(answers("next"), provider_key="p")
    assert trio.current_time() == began + 20.0


@pytest.mark.parametrize("asked_s", [301.0, 3600.0, float("9" * 300), math.inf])
@on_mock_clock
async def test_a_call_that_is_asked_to_wait_longer_than_the_run_waits_fails_and_so_do_the_others(
    asked_s: float,
) -> None:
    runtime = CallRuntime(retry=RETRY, max_wait=300.0)
    began, sent = trio.current_time(), 0

    async def reject() -> str:
        nonlocal sent
        sent += 1
        raise rejected(429, retry_after_s=asked_s, message="slow down")

    for _ in range(5):
        with pytest.raises(CallFailed, match=r"rate limited: slow down; it asks for a wait of .*, and max_wait is 300"):
            await runtime.call(reject, provider_key="p")
    assert (sent, trio.current_time()) == (1, began)
    assert (await runtime.call(answers("other"), provider_key="q")).value == "other"
    if asked_s < 1e6:
        await trio.sleep(asked_s)
        assert (await runtime.call(answers("again"), provider_key="p")).value == "again"


@on_mock_clock
async def test_calls_that_wait_for_their_turn_fail_with_the_one_that_is_asked_to_wait_too_long() -> None:
    runtime = CallRuntime(CallLimits(max_concurrent=1), retry=RETRY)
    failed = 0

    async def reject() -> str:
        await trio.sleep(1.0)
        raise rejected(429, retry_after_s=86_400.0)

    async def call() -> None:
        nonlocal failed
        with pytest.raises(CallFailed, match="rate limited"):
            await runtime.call(reject, provider_key="p")
        failed += 1

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(call)
    assert (failed, trio.current_time()) == (20, began + 1.0)


@on_mock_clock
async def test_a_quota_that_is_far_from_full_is_a_hint_and_does_not_put_the_run_to_sleep() -> None:
    runtime = CallRuntime(max_wait=300.0)

    async def last_one() -> str:
        report_quota(86_400.0)
        return "yes"

    began = trio.current_time()
    await runtime.call(last_one, provider_key="p")
    assert (await runtime.call(answers("next"), provider_key="p")).value == "next"
    assert trio.current_time() == began


@on_mock_clock
async def test_who_waits_is_told() -> None:
    told: list[tuple[str, float]] = []
    runtime = CallRuntime(retry=RETRY, tell_wait=lambda endpoint, seconds: told.append((endpoint, seconds)))
    await runtime.call(answers(rejected(429, retry_after_s=250.0), "yes"), provider_key="p")
    assert told == [("p", 250.0)]


# --- adaptive concurrency ---------------------------------------------------------------------------------


@on_mock_clock
async def test_it_settles_within_a_quarter_of_what_the_server_allows() -> None:
    runtime = CallRuntime(CallLimits(max_concurrent=100), retry={"generate": RetryPolicy(attempts=10)})
    in_flight = waste = calls = 0
    limits: list[int] = []

    async def server() -> str:
        nonlocal in_flight, waste, calls
        calls += 1
        if in_flight >= 20:
            waste += 1
            raise rejected(429)
        in_flight += 1
        await trio.sleep(0.5 + (calls * 7919 % 100) / 200)
        in_flight -= 1
        limits.append(runtime.concurrency("p"))
        return "yes"

    async with trio.open_nursery() as nursery:
        for _ in range(2000):
            nursery.start_soon(functools.partial(runtime.call, server, provider_key="p"))
    settled = limits[300:]
    assert 15 <= sum(settled) / len(settled) <= 25
    assert sum(15 <= limit <= 25 for limit in settled) > 0.85 * len(settled)
    assert waste < 0.05 * calls


# --- budget and accounting --------------------------------------------------------------------------------


def price(model: str, usage: Any) -> float | None:
    return None if model == "vllm/x" else (usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1024


def generation(prompt: int, completion: int) -> GenerationResult:
    return GenerationResult(
        candidate_id="c",
        final_output="x",
        token_usage={"prompt_tokens": prompt, "completion_tokens": completion},
    )


@on_mock_clock
async def test_a_budget_stops_cleanly_and_is_not_overshot() -> None:
    runtime = CallRuntime(budget=Budget(max_cost=1.0), price=price)
    answered = 0

    async def call() -> GenerationResult:
        nonlocal answered
        await trio.sleep(1)
        answered += 1
        return generation(8, 12)  # 1/32 dollar

    refusals: list[CallFailed] = []

    async def caller() -> None:
        try:
            await runtime.call(call, provider_key="p", model="m", estimate=TokenEstimate(prompt=16, completion=24))
        except CallFailed as refusal:
            refusals.append(refusal)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(caller)
    (row,) = runtime.usage()
    assert row.cost == pytest.approx(answered / 32)
    # The estimate of 1/16 no longer fits when 31/32 are spent.
    assert (answered, len(refusals)) == (31, 69)
    assert all(refusal.fatal and "raise max_cost" in str(refusal) for refusal in refusals)


@on_mock_clock
async def test_what_an_earlier_process_spent_counts() -> None:
    spent = (UsageRow(stage="generate", model="m", calls=1, prompt_tokens=60, completion_tokens=30),)
    runtime = CallRuntime.from_config(RuntimeConfig(max_tokens=100), spent=spent)
    call = functools.partial(runtime.call, answers(generation(5, 5)), estimate=TokenEstimate(prompt=5, completion=5))
    await call()
    with pytest.raises(CallFailed, match="budget exhausted"):
        await call()


@on_mock_clock
async def test_a_lost_answer_is_taken_to_have_cost_its_estimate() -> None:
    runtime = CallRuntime(budget=Budget(max_tokens=100), timeouts={"generate": 1.0})
    with pytest.raises(CallFailed, match="timeout"):
        await runtime.call(trio.sleep_forever, estimate=TokenEstimate(prompt=60))
    with pytest.raises(CallFailed, match="budget"):
        await runtime.call(answers("x"), estimate=TokenEstimate(prompt=60))


@on_mock_clock
async def test_usage_is_kept_per_stage_and_model_and_says_what_has_no_price() -> None:
    runtime = CallRuntime(price=price, retry=RETRY)
    await runtime.call(answers(rejected(500), generation(1, 2)), model="m", provider_key="p")
    await runtime.call(answers(generation(3, 4)), model="m", stage="judge")
    await runtime.call(answers(generation(5, 6)), model="vllm/x")
    rows = {(row.stage, row.model): row for row in runtime.usage()}
    assert rows["generate", "m"].failed_attempts == 1
    assert rows["generate", "m"].cost == pytest.approx(5 / 1024)
    assert rows["judge", "m"].total_tokens == 7
    assert rows["generate", "vllm/x"].cost is None
    assert rows["generate", "vllm/x"].unpriced_calls == 1


@on_mock_clock
async def test_a_call_whose_rate_allows_it_while_it_is_being_parked_is_not_parked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Time goes on between two readings of the clock: the rate allows the second call between them."""
    read, passed = trio.current_time, 0.0

    def slow() -> float:
        nonlocal passed
        passed += 0.02
        return read() + passed

    module = SimpleNamespace(current_time=slow, Event=trio.Event, move_on_at=trio.move_on_at)
    monkeypatch.setattr(limits, "trio", module)
    runtime, made = CallRuntime(CallLimits(requests_per_minute={"p": 1200})), 0

    async def at_once() -> str:
        nonlocal made
        made += 1
        return "yes"

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(functools.partial(runtime.call, at_once, provider_key="p"))
    assert made == 20
