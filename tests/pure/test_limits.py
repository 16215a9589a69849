from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.limits import (
    AdaptiveConcurrency,
    Admission,
    Budget,
    CallLimits,
    Estimate,
    RateLimiter,
    Ticket,
    limit_for,
)


def most_within(times: Sequence[float], window: float) -> int:
    return max(bisect_right(times, start + window) - bisect_left(times, start) for start in times)


# --- rates ------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 5), min_size=1, max_size=300), st.integers(1, 6000))
def test_a_rate_is_never_exceeded_and_never_bursts(pauses: list[float], per_minute: int) -> None:
    rate, now, sent = RateLimiter(per_minute), 0.0, list[float]()
    for pause in pauses:
        now = max(now + pause, rate.ready_at)
        rate.take(now)
        sent.append(now)
    for window in (1.0, 60.0):
        # The window is closed at both ends, and a float's width short so that rounding doesn't decide.
        assert most_within(sent, window * (1 - 1e-9)) <= per_minute * window / 60 + 1


def test_600_a_minute_is_11_a_second() -> None:
    rate, now, sent = RateLimiter(600), 0.0, list[float]()
    while now < 180:
        now = max(now, rate.ready_at)
        rate.take(now)
        sent.append(now)
    assert most_within(sent, 1.0) <= 11
    assert most_within(sent, 60.0) <= 610
    assert len(sent) >= 1795


def test_tokens_are_corrected_when_the_answer_says_how_many_they_were() -> None:
    rate = RateLimiter(60)
    rate.take(0.0, units=10)
    rate.correct(-4)
    assert rate.ready_at == pytest.approx(6.0)


# --- adaptive concurrency ---------------------------------------------------------------------------------


def play(concurrency: AdaptiveConcurrency, allowed: int, calls: int) -> tuple[list[int], int]:
    """Play calls of equal length against a server that rejects beyond `allowed`; return limits and rejections."""
    under_way: list[tuple[float, int, bool, int]] = []
    limits, rejected, now, number = [], 0, 0.0, 0
    while number < calls:
        while len(under_way) < concurrency.limit:
            serving = sum(ok for _, _, ok, _ in under_way)
            accepted = serving < allowed
            number += 1
            length = 1.0 + (number * 7919 % 100) / 300 if accepted else 0.01
            heapq.heappush(under_way, (now + length, number, accepted, concurrency.epoch))
        now, _, accepted, epoch = heapq.heappop(under_way)
        if accepted:
            concurrency.succeeded(epoch, len(under_way) + 1)
        else:
            rejected += 1
            concurrency.overloaded(epoch)
        limits.append(concurrency.limit)
    return limits, rejected


@pytest.mark.parametrize("allowed", [8, 20, 50])
def test_it_settles_near_what_the_server_allows_and_wastes_little(allowed: int) -> None:
    limits, rejected = play(AdaptiveConcurrency(most=200), allowed, calls=3000)
    settled = limits[500:]
    assert abs(sum(settled) / len(settled) - allowed) <= 0.25 * allowed
    assert sum(0.75 * allowed <= limit <= 1.25 * allowed for limit in settled) >= 0.9 * len(settled)
    assert rejected < 0.05 * 3000


def test_it_grows_to_the_most_when_nothing_is_rejected() -> None:
    limits, _ = play(AdaptiveConcurrency(most=64), allowed=1000, calls=300)
    assert limits[-1] == 64


def test_it_finds_new_room_when_the_server_grows() -> None:
    concurrency = AdaptiveConcurrency(most=100)
    play(concurrency, allowed=8, calls=500)
    limits, _ = play(concurrency, allowed=80, calls=4000)
    assert limits[-1] >= 60


def test_one_burst_of_rejections_halves_once() -> None:
    concurrency = AdaptiveConcurrency(most=64, first=32)
    burst = [concurrency.epoch] * 12
    for epoch in burst:
        concurrency.overloaded(epoch)
    assert concurrency.limit == 16
    concurrency.overloaded(concurrency.epoch)
    assert concurrency.limit == 8


def test_it_never_falls_below_one() -> None:
    concurrency = AdaptiveConcurrency(most=4)
    for _ in range(10):
        concurrency.overloaded(concurrency.epoch)
    assert concurrency.limit == 1


def test_an_unused_limit_does_not_grow() -> None:
    concurrency = AdaptiveConcurrency(most=64, first=4)
    for _ in range(100):
        concurrency.succeeded(concurrency.epoch, in_flight=2)
    assert concurrency.limit == 4


# --- budget -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60), st.integers(0, 500))
def test_a_budget_is_overshot_only_by_what_calls_exceed_their_estimates(
    calls: list[tuple[int, int]], most: int
) -> None:
    budget, spent, excess = Budget(max_tokens=most), 0, 0
    for estimated, used in calls:
        estimate = Estimate(tokens=estimated)
        if budget.fits("generate", estimate):
            budget.reserve("generate", estimate)
            budget.settle("generate", estimate, used, 0.0)
            spent += used
            excess += max(0, used - estimated)
    assert spent <= most + excess


def test_reservations_count_until_they_are_settled() -> None:
    budget, call = Budget(max_cost=1.0), Estimate(cost=0.6)
    budget.reserve("generate", call)
    assert not budget.fits("generate", call)
    assert budget.ever_fits("generate", call)
    budget.settle("generate", call, 10, 0.1)
    assert budget.fits("generate", call)
    budget.spend("generate", 0, 0.5)
    assert not budget.ever_fits("generate", call)


def test_generating_can_not_spend_what_is_set_aside_for_judging() -> None:
    budget = Budget(max_tokens=100, shares={"generate": 0.6, "judge": 0.4})
    budget.spend("generate", 60, 0.0)
    assert not budget.fits("generate", Estimate(tokens=1))
    assert budget.fits("judge", Estimate(tokens=40))
    assert not budget.fits("judge", Estimate(tokens=41))


# --- admission --------------------------------------------------------------------------------------------


def test_limits_are_looked_up_by_endpoint_and_then_by_provider() -> None:
    limits = {"vllm": 4, "vllm@b:1": 9}
    assert [limit_for(limits, key) for key in ("vllm@a:1", "vllm@b:1", "vllm", "openai")] == [4, 9, 4, None]


def test_a_slow_endpoint_never_stands_in_anothers_way() -> None:
    admission = Admission(CallLimits(max_concurrent=10, requests_per_minute={"slow": 1}), Budget())
    slow = [Ticket("slow", "generate") for _ in range(5)]
    assert [admission.enter(ticket, 1.0) for ticket in slow] == [True, False, False, False, False]
    assert admission.enter(Ticket("fast", "generate"), 1.0)
    assert admission.wake_at(slow[1], 1.0) == 61.0
    assert admission.start_ready(60.9) == []
    assert admission.start_ready(61.0) == [slow[1]]


def test_endpoints_take_turns_for_the_slots_they_share() -> None:
    admission = Admission(CallLimits(max_concurrent=2), Budget())
    running = [Ticket("a", "generate"), Ticket("a", "generate")]
    waiting = [Ticket("a", "generate") for _ in range(4)] + [Ticket("b", "generate") for _ in range(4)]
    for ticket in [*running, *waiting]:
        admission.enter(ticket, 0.0)
    order = []
    for _ in range(8):
        admission.leave(running.pop(0))
        started = admission.start_ready(0.0)
        order += [ticket.provider_key for ticket in started]
        running += started
    assert order == ["b", "a"] * 4


@settings(max_examples=20)
@given(
    st.integers(2, 4),
    st.integers(0, 8),
    st.lists(st.integers(1, 60), min_size=4, max_size=4),
    st.sampled_from([0, 1]),
)
def test_however_slow_an_endpoint_is_it_comes_to_its_share_of_the_places(
    endpoints: int, more: int, slowness: list[int], head_start: int
) -> None:
    """Each has calls waiting all the time, and takes its own time for one; one of them may have had all places."""
    names = "abcd"[:endpoints]
    places = endpoints + more
    admission = Admission(CallLimits(max_concurrent=places), Budget())
    for state in map(admission.endpoint, names):
        state.concurrency.limit = 1_000
    ends: dict[Ticket, int] = {}

    def start(tickets: list[Ticket], now: int) -> None:
        ends.update({ticket: now + slowness[names.index(str(ticket.provider_key))] for ticket in tickets})

    if head_start:
        first = [Ticket("a", "generate") for _ in range(places)]
        start([ticket for ticket in first if admission.enter(ticket, 0.0)], 0)
    for name in names:
        for _ in range(places * 130):  # more than can end
            ticket = Ticket(name, "generate")
            if admission.enter(ticket, 0.0):
                start([ticket], 0)
    for now in range(1, 130):
        for ticket in [ticket for ticket, end in ends.items() if end <= now]:
            del ends[ticket]
            admission.leave(ticket)
            start(admission.start_ready(float(now)), now)
        assert len(ends) == places
        if now > max(slowness):  # what was under way at the start has ended
            counts = Counter(str(ticket.provider_key) for ticket in ends)
            assert max(counts.values()) - min(counts[name] for name in names) <= 1


def test_a_stage_limit_holds_back_its_own_stage_only() -> None:
    admission = Admission(CallLimits(stage_concurrency={"judge": 1}), Budget())
    first, second = Ticket("a", "judge"), Ticket("a", "judge")
    assert admission.enter(first, 0.0)
    assert not admission.enter(second, 0.0)
    assert admission.enter(Ticket("a", "generate"), 0.0)
    admission.leave(first)
    assert admission.start_ready(0.0) == [second]


def test_an_abandoned_call_leaves_no_trace() -> None:
    admission = Admission(CallLimits(max_concurrent=1), Budget())
    running, waiting = Ticket(None, "parse"), Ticket(None, "parse")
    admission.enter(running, 0.0)
    admission.enter(waiting, 0.0)
    admission.abandon(waiting)
    admission.leave(running)
    assert admission.start_ready(0.0) == []
    assert admission.enter(Ticket(None, "parse"), 0.0)
