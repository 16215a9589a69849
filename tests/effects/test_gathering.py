"""Calls that wait at the same time: asked together, answered each as if alone, and never held up by one another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.gathering import Gatherer


class Model:
    """Doubles numbers, several at once; what is negative fails, and takes its batch with it."""

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.batches: list[list[int]] = []
        self.threads = 0
        self._wait = wait

    def __call__(self, asked: Sequence[tuple[int]]) -> list[Any]:
        self.threads += 1
        assert self.threads == 1, "one batch at a time"
        try:
            numbers = [number for (number,) in asked]
            self.batches.append(numbers)
            self._wait()
            if any(number < 0 for number in numbers):
                raise ValueError(f"one of {len(numbers)} is negative")
            return [KeyError(number) if number == 13 else 2 * number for number in numbers]
        finally:
            self.threads -= 1


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


def test_a_lone_call_waits_for_nobody() -> None:
    assert gathered([4], 8, Model()) == [8]


def test_a_call_that_is_cancelled_keeps_nobody_from_an_answer() -> None:
    release = threading.Event()
    first = iter([True])
    model = Model(lambda: release.wait(5) if next(first, False) else None)
    answers: list[int] = []

    async def main() -> None:
        gatherer, scope = Gatherer(model, 2), trio.CancelScope()

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
            while not model.batches:
                await trio.sleep(0.001)
            release.set()  # its thread ends by itself: what it makes is nobody's any more
            while model.threads:
                await trio.sleep(0.001)
            scope.cancel()

    trio.run(main)
    assert sorted(answers) == [4, 6]


def test_a_model_that_answers_too_few_is_an_error_of_every_call() -> None:
    gatherer = Gatherer(lambda asked: [], 2)
    with pytest.raises(TypeError, match="asked for 1 calls at once, the model answered 0"):
        trio.run(gatherer.ask, (1,))
