"""The shell runs from sync code, from trio and from a running asyncio loop; a sync call inside a loop is refused."""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextvars import ContextVar

import pytest
import trio
import trio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunStatus, evaluate, evaluate_async
from themis.effects.host import run_async, sync_variant
from themis.pure.errors import RunningLoopError
from themis.testing.pipelines import Pipeline, ScriptedGenerator, ScriptedMetric

ROWS = [{"case_id": str(i), "input": i, "expected_output": f"answer {i}"} for i in range(5)]


async def ask() -> RunStatus:
    result = await evaluate_async(model=ScriptedGenerator(), data=ROWS, metric=ScriptedMetric())
    return result.status


def test_under_trio() -> None:
    assert trio.run(ask) is RunStatus.COMPLETED


def test_under_a_running_asyncio_loop() -> None:
    assert asyncio.run(ask()) is RunStatus.COMPLETED


def test_one_after_the_other_under_one_asyncio_loop() -> None:
    async def both() -> list[RunStatus]:
        first = await ask()
        return [first, await ask()]

    assert asyncio.run(both()) == [RunStatus.COMPLETED, RunStatus.COMPLETED]


def test_side_by_side_under_one_asyncio_loop_each_in_its_context() -> None:
    who: ContextVar[int] = ContextVar("who")

    async def work(number: int, turns: int) -> int:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        assert who.get() == number
        return number

    async def call(number: int, turns: int, start: int) -> int:
        who.set(number)
        for _ in range(start):
            await asyncio.sleep(0)
        return await run_async(functools.partial(work, number, turns))

    @settings(max_examples=30)
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), min_size=1, max_size=6))
    def check(plan: list[tuple[int, int]]) -> None:
        async def main() -> list[int]:
            return await asyncio.gather(*(call(number, *turns) for number, turns in enumerate(plan)))

        assert asyncio.run(main()) == list(range(len(plan)))

    check()


def test_runs_side_by_side_under_one_asyncio_loop() -> None:
    async def all_of_them() -> list[RunStatus]:
        return await asyncio.gather(*(ask() for _ in range(3)))

    assert asyncio.run(all_of_them()) == [RunStatus.COMPLETED] * 3


def test_of_two_side_by_side_one_may_fail_or_be_cancelled() -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("mine")

    async def finish() -> str:
        await trio.sleep(0.02)
        return "finished"

    async def main() -> None:
        other = asyncio.ensure_future(run_async(finish))
        cancelled = asyncio.ensure_future(run_async(trio.sleep_forever))
        with pytest.raises(KeyError, match="mine"):
            await run_async(fail)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert await other == "finished"

    asyncio.run(main())


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_a_sync_call_inside_a_loop_is_refused_by_name(loop: str) -> None:
    async def main() -> None:
        evaluate(model=ScriptedGenerator(), data=ROWS, metric=ScriptedMetric())

    with pytest.raises(RunningLoopError, match=rf"running {loop} event loop.*await evaluate_async"):
        trio.run(main) if loop == "trio" else asyncio.run(main())


def test_asyncio_cancellation_reaches_the_run_and_keeps_what_finished() -> None:
    pipeline = Pipeline(
        cases=50, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    store = InMemoryRunStore()
    experiment = pipeline.experiment()
    finished = asyncio.Event()

    class Hold:
        """Lets the first cases through, then waits for ever."""

        seen = 0

        async def before_generate(self, case: object, ctx: object) -> None:
            self.seen += 1
            if self.seen > 10:
                finished.set()
                await trio.sleep_forever()

    async def main() -> None:
        run = asyncio.ensure_future(experiment.run_async(store=store, subscribers=[Hold()]))
        await finished.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())
    run_id = experiment.compile().run_id
    kinds = [event.event_type for event in store.events(run_id)]
    assert kinds.count("score_completed") >= 1
    assert kinds[-1] == "run_failed"
    assert experiment.run(store=store).status is RunStatus.COMPLETED
    assert max(experiment.generation.generator.calls.counts.values()) == 1


async def doubled_async(number: int, *, times: int = 1) -> int:
    """Return a number doubled, from async code."""
    await trio.lowlevel.checkpoint()
    return number << times


@sync_variant(doubled_async, "doubled")
def doubled() -> None:
    """Return a number doubled."""


def test_a_sync_variant_has_its_own_name_and_the_async_function_s_signature() -> None:
    assert doubled(2, times=3) == 16
    assert (doubled.__name__, doubled.__doc__) == ("doubled", "Return a number doubled.")
    assert inspect.signature(doubled) == inspect.signature(doubled_async)
    assert not inspect.iscoroutinefunction(doubled)

    async def inside() -> None:
        with pytest.raises(RunningLoopError, match=r"doubled\(\) was called .* `await doubled_async"):
            doubled(2)

    asyncio.run(inside())
