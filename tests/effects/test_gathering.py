"""Calls that wait at the same time: asked together, answered each as if alone, and never held up by one another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.gathering import Gatherer


class Model:
    """Doubles numbers, several at once; what is negative fails, and takes its batch with it."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.batches: list[list[int]] = []
        self._lock = threading.Lock()
        self._wait = wait

    def __call__(self, asked: Sequence[tuple[int]]) -> list[Any]:
        assert self._lock.acquire(blocking=False), "one batch at a time"
        try:
            numbers = [number for (number,) in asked]
            self.batches.append(numbers)
            self._wait()
            if any(number < 0 for number in numbers):
                raise ValueError(f"one of {len(numbers)} is negative")
            return [KeyError(number) if number == 13 else 2 * number for number in numbers]
        finally:
            self._lock.release()


def gathered(numbers: Sequence[int], batch_size: int, model: Model) -> list[Any]:
    answers: dict[int, Any] = {}

    async def main() -> None:
        gatherer = Gatherer(model, batch_size)

        async def one(place: int, number: int) -> None:
            try:
                answers[place] = await gatherer.ask((number,))
            except Exception as error:
                answers[place] = error

        async with trio.open_nursery() as nursery:
            for place, number in enumerate(numbers):
                nursery.start_soon(one, place, number)

    trio.run(main)
    return [answers[place] for place in range(len(numbers))]


@given(st.lists(st.integers(-3, 15), max_size=12), st.integers(1, 5))
def test_every_call_is_answered_as_if_it_were_alone(numbers: list[int], batch_size: int) -> None:
    model = Model()
    answers = gathered(numbers, batch_size, model)
    for number, answer in zip(numbers, answers, strict=True):
        if number < 0:
            assert str(answer) == "one of 1 is negative"
        elif number == 13:
            assert isinstance(answer, KeyError)
        else:
            assert answer == 2 * number
    assert all(len(batch) <= batch_size for batch in model.batches)


def test_calls_that_wait_are_asked_together() -> None:
    model = Model()
    gathered(range(1, 11), 4, model)
    assert sorted(map(len, model.batches)) == [2, 4, 4]
    assert len({number for batch in model.batches for number in batch}) == 10


def test_a_batch_with_room_left_waits_a_little_for_more() -> None:
    model = Model()

    async def main() -> None:
        gatherer = Gatherer(model, 4)

        async def one(number: int) -> None:
            await trio.sleep(number / 1000)
            await gatherer.ask((number,))

        async with trio.open_nursery() as nursery:
            for number in (1, 4, 8, 400):
                nursery.start_soon(one, number)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert model.batches == [[1, 4, 8], [400]]


def test_a_lone_call_waits_for_nobody() -> None:
    assert gathered([4], 8, Model()) == [8]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_call_that_is_cancelled_keeps_nobody_from_an_answer(batch_size: int) -> None:
    begun, release = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        release.wait(10)

    model, answers = Model(wait), []

    async def main() -> None:
        gatherer, scope = Gatherer(model, batch_size), trio.CancelScope()

        async def cancelled() -> None:
            with scope:
                await gatherer.ask((1,))

        async def stays(number: int) -> None:
            answers.append(await gatherer.ask((number,)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancelled)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(stays, 2)
            nursery.start_soon(stays, 3)
            await trio.to_thread.run_sync(begun.wait)
            scope.cancel()  # what its thread makes is nobody's any more, and the model is its until it is done
            await trio.sleep(0.1)  # others have their turn by now, and wait for it
            release.set()

    trio.run(main)
    assert sorted(answers) == [4, 6]
    assert all(len(batch) <= batch_size for batch in model.batches)


def test_a_model_that_answers_too_few_is_an_error_of_every_call() -> None:
    gatherer = Gatherer(lambda asked: [], 2)
    with pytest.raises(TypeError, match="asked for 1 calls at once, the model answered 0"):
        trio.run(gatherer.ask, (1,))
