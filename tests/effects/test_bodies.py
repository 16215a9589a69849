"""The bytes of answers that a run holds: bounded, with nobody waiting for ever."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from themis import adapters, evaluate
from themis.effects import bodies, engine
from themis.effects.bodies import Bodies
from themis.testing.endpoint import Answer, Exchange, FakeEndpoint

_MOST = 100

sizes = st.lists(st.integers(1, 150), min_size=1, max_size=4)


class Watched(Bodies):
    """Remembers the most that was held, but for the share that never waits."""

    def __init__(self, most: int = _MOST) -> None:
        super().__init__(most)
        self.all = most
        self.peak = 0
        self.waited = 0

    def _let_on(self) -> None:
        super()._let_on()
        first = next(iter(self._holders), None)
        held = self.all - self._free - (0 if first is None else first.held)
        assert held == sum(share.held for share in self._holders if share is not first)
        self.peak = max(self.peak, held)
        self.waited += bool(self._waiting)


@given(cases=st.lists(sizes, min_size=1, max_size=8), seed=st.randoms(use_true_random=False))
def test_no_more_is_held_than_the_whole_and_the_longest_share(cases: list[list[int]], seed: Any) -> None:
    whole = Watched()
    pauses = [[seed.randrange(4) for _ in range(2 * len(case))] for case in cases]

    async def worker(case: list[int], turns: list[int]) -> None:
        with whole.share() as share:
            for size in case:  # a case reads several answers, and does other things in between
                for _ in range(turns.pop()):
                    await trio.lowlevel.checkpoint()
                await bodies.take(size)
                for _ in range(turns.pop()):
                    await trio.lowlevel.checkpoint()
            assert share.held == sum(case)
            share.give_back()

    async def main() -> None:
        with trio.fail_after(10):  # of the mock clock: it jumps there if all wait
            async with trio.open_nursery() as nursery:
                for case, turns in zip(cases, pauses, strict=True):
                    nursery.start_soon(worker, case, turns)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert whole.peak <= _MOST
    assert whole._free == _MOST


def test_who_stops_waiting_is_not_waited_for() -> None:
    whole = Bodies(10)

    async def main() -> None:
        with whole.share():
            await bodies.take(10)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_hold, whole, 8)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        with trio.fail_after(1), whole.share():
            await bodies.take(10)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def _hold(whole: Bodies, size: int) -> None:
    with whole.share():
        await bodies.take(size)


def test_waiting_for_room_is_no_time_of_the_call() -> None:
    whole = Bodies(10)

    async def slow() -> None:
        with whole.share(), trio.move_on_after(5) as outer, bodies.stopping(outer):  # noqa: SIM117  # one in the other
            with trio.move_on_after(3) as inner, bodies.stopping(inner):
                await trio.sleep(2)
                await bodies.take(8)
                await trio.sleep(0.5)
        assert not outer.cancelled_caught
        assert not inner.cancelled_caught
        with trio.move_on_after(5) as late, bodies.stopping(late):
            await trio.sleep(6)
        assert late.cancelled_caught

    async def main() -> None:
        with whole.share() as first:
            await bodies.take(10)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(slow)
                await trio.sleep(1_000)
                first.give_back()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_outside_of_a_run_there_is_always_room() -> None:
    trio.run(bodies.take, 1 << 40)


class Large(Answer):
    """Answers with two million characters more."""

    async def act(self, exchange: Exchange) -> int | None:
        return await exchange.send(exchange.answer[0], exchange.answer[1].rstrip() + b" " * 2_000_000, self.headers)


@pytest.mark.parametrize("most", [3_000_000, 100])
def test_a_run_reads_no_more_answers_at_once_than_it_has_room_for(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Watched(most)
    monkeypatch.setattr(engine, "Bodies", lambda: whole)
    with FakeEndpoint(script=lambda _: Large()) as endpoint:
        result = evaluate(
            model=adapters.openai("tiny", base_url=endpoint.base_url),
            data=[{"input": f"{n}", "expected_output": f"echo: {n}"} for n in range(12)],
            metric="builtin/exact_match",
        )
    assert result.status == "completed"
    assert whole.waited > 0
    assert whole.peak <= most
    assert whole._free == most
