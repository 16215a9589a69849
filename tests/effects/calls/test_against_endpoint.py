"""Whole runs against an endpoint that misbehaves: nothing is lost, nothing is paid twice, nothing leaks."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import trio

from themis import adapters, evaluate
from themis.effects.calls import CallRuntime
from themis.effects.providers.http import pooled_clients
from themis.effects.reading import read_events
from themis.pure.calls import CallFailed, RetryPolicy
from themis.pure.events import GenerationCompletedEvent, GenerationFailedEvent
from themis.pure.limits import CallLimits
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.scoring import Score
from themis.testing.endpoint import (
    Answer,
    Bomb,
    Cut,
    Drip,
    Drop,
    Endless,
    FakeEndpoint,
    ManyHeaders,
    Play,
    Redirect,
    Reject,
    Request,
    Truncate,
    WrongType,
    flaky,
)


class Exact:
    component_id = "tests/exact"
    version = "1"

    def score(self, parsed: Any, case: Case, ctx: Any) -> Score:
        return Score(metric_id=self.component_id, value=float(parsed.value == case.expected_output))


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"case_id": f"c{i}", "input": f"question {i}", "expected_output": f"echo: question {i}"} for i in range(count)
    ]


def histories(result: Any) -> dict[str, list[tuple[str, int | None]]]:
    """Return each case's stored failures: reason and status."""
    found = {}
    for event in read_events(result.store, result.run_id):
        if isinstance(event, GenerationCompletedEvent | GenerationFailedEvent):
            found[event.case_id] = [(str(entry["reason"]), entry.get("status")) for entry in event.retry_history]
    return found  # type: ignore[return-value]  # status is an int or missing


REASONS = {
    "Drop": "connection failed",
    "Cut": "connection failed",
    "Truncate": "malformed answer",
    "WrongType": "malformed answer",
    "Endless": "answer too large",
    "Drip": "timeout",
}


OVERLOADS: dict[int | None, str] = {429: "rate limited", 503: "overloaded"}


def served_failures(endpoint: FakeEndpoint) -> dict[str, list[tuple[str, int | None]]]:
    """Return the same from the endpoint's log."""
    found: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for served in sorted(endpoint.log, key=lambda served: served.request.attempt):
        case = "c" + served.request.json()["messages"][0]["content"].split()[-1]
        found[case]  # every case that was asked about has an entry
        if served.play == "Reject":
            found[case].append((OVERLOADS.get(served.status, f"http {served.status}"), served.status))
        elif served.play != "Answer":
            found[case].append((REASONS[served.play], None))
    return dict(found)


@pytest.mark.slow
def test_with_three_calls_in_ten_failing_in_every_way_no_case_is_lost_and_every_attempt_is_on_record() -> None:
    # Overloads halve the concurrency, and a drip holds its place until the total timeout: a few of them are enough.
    few: list[Play] = [
        Reject(status=429),
        Reject(status=429, retry_after="0.01"),
        Reject(status=503),
        Drip(interval_s=0.2),
    ]
    many: list[Play] = [Reject(status=500), Drop(), Cut(), Truncate(), WrongType(), Endless()]
    script = flaky(0.3, [*few, *many * 12], most_failures=5)
    with FakeEndpoint(script=script) as endpoint:
        result = evaluate(
            model=adapters.openai(
                "tiny", base_url=endpoint.base_url, read_timeout_s=30, total_timeout_s=10, max_bytes=1 << 18
            ),
            data=rows(1000),
            metric=Exact(),
            runtime=RuntimeConfig(generation_retry_attempts=6, generation_retry_delay=0.01),
        )
    assert result.benchmark.outcome_counts == {"tests/exact": {"correct": 1000, "incorrect": 0, "error": 0}}
    assert histories(result) == served_failures(endpoint)
    assert {served.play for served in endpoint.log} == {"Answer", "Reject", "Drip", *REASONS}
    answered = [served.request.digest for served in endpoint.log if served.play == "Answer"]
    assert len(answered) == len(set(answered)) == 1000


def test_a_case_that_fails_for_good_is_one_failed_case_with_its_history() -> None:
    def script(request: Request) -> Play:
        return Reject(status=500) if b"question 3" in request.body else Answer()

    with FakeEndpoint(script=script) as endpoint:
        result = evaluate(
            model=adapters.openai("tiny", base_url=endpoint.base_url),
            data=rows(6),
            metric=Exact(),
            runtime=RuntimeConfig(generation_retry_attempts=3, generation_retry_delay=0.001),
        )
    assert result.benchmark.outcome_counts["tests/exact"] == {"correct": 5, "incorrect": 0, "error": 1}
    assert histories(result)["c3"] == [("http 500", 500)] * 3
    assert histories(result) == served_failures(endpoint)


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_key_or_unknown_model_stops_the_run_with_one_error(status: int) -> None:
    with FakeEndpoint(script=lambda _: Reject(status=status)) as endpoint, pytest.raises(CallFailed) as caught:
        evaluate(model=adapters.openai("tiny", base_url=endpoint.base_url), data=rows(200), metric=Exact())
    assert caught.value.fatal
    assert caught.value.failure.status == status
    # The first calls were under way together; nothing was sent after the first answer.
    assert len(endpoint.log) <= 4


@pytest.mark.parametrize(
    "play", [Endless(size=10**10), Endless(), Bomb(size=64 << 20), ManyHeaders(), Redirect(to="/v1/chat/completions")]
)
def test_a_malicious_answer_costs_one_failed_case(play: Play) -> None:
    def script(request: Request) -> Play:
        return play if b"question 3" in request.body else Answer()

    with FakeEndpoint(script=script) as endpoint:
        result = evaluate(
            model=adapters.openai("tiny", base_url=endpoint.base_url, max_bytes=1 << 20),
            data=rows(6),
            metric=Exact(),
            runtime=RuntimeConfig(generation_retry_attempts=2, generation_retry_delay=0.001),
        )
    assert result.benchmark.outcome_counts["tests/exact"] == {"correct": 5, "incorrect": 0, "error": 1}


# --- limits, on the real clock ----------------------------------------------------------------------------


def most_within(times: Sequence[float], window: float) -> int:
    times = sorted(times)
    return max(bisect_right(times, start + window) - bisect_left(times, start) for start in times)


def make_calls(endpoint: FakeEndpoint, count: int, runtime: CallRuntime, limits: list[int] | None = None) -> None:
    model = adapters.openai("tiny", base_url=endpoint.base_url)

    async def call(number: int) -> None:
        ctx = GenerateContext(
            run_id="r", case_id=str(number), dataset_id="d", case_key=f"d/{number}", candidate_id=f"{number}:0"
        )
        case = Case(case_id=str(number), input=f"question {number}")
        await runtime.call(lambda: model.generate(case, ctx), provider_key="p")
        if limits is not None:
            limits.append(runtime.concurrency("p"))

    async def worker(numbers: Iterable[int]) -> None:
        for number in numbers:
            await call(number)

    async def main() -> None:
        numbers = iter(range(count))
        async with pooled_clients(), trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(worker, numbers)

    trio.run(main)


@pytest.mark.slow
def test_the_server_never_sees_more_than_the_rate() -> None:
    with FakeEndpoint(latency_s=0.3) as endpoint:
        make_calls(endpoint, 40, CallRuntime(CallLimits(max_concurrent=100, requests_per_minute={"p": 600})))
    assert most_within([served.request.at_s for served in endpoint.log], 1.0) <= 11


@pytest.mark.slow
def test_adaptive_concurrency_settles_where_the_server_allows() -> None:
    limits: list[int] = []
    runtime = CallRuntime(CallLimits(max_concurrent=100), retry={"generate": RetryPolicy(attempts=10, delay_s=0.05)})
    with FakeEndpoint(allows=20, latency_s=0.05) as endpoint:
        make_calls(endpoint, 2000, runtime, limits)
    settled = limits[300:]
    assert 15 <= statistics.mean(settled) <= 25
    assert 15 <= statistics.median(settled) <= 25
    assert sum(served.status == 429 for served in endpoint.log) < 0.05 * len(endpoint.log)
