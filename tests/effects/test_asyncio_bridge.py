from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sniffio
import trio

from themis import RunStatus, evaluate_async
from themis.adapters import asyncio_component
from themis.effects import asyncio_bridge
from themis.effects.asyncio_bridge import close_loop, run_in_asyncio
from themis.effects.host import run_async, run_sync
from themis.pure.calls import CallFailed
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult


@pytest.fixture(autouse=True)
def closed_loop() -> Iterator[None]:
    yield
    close_loop()


class Asker:
    component_id = "tests/asker"
    version = "1"

    async def generate(self, case: Any, ctx: Any) -> str:
        await asyncio.sleep(0.001)
        return f"{sniffio.current_async_library()} answers {case}"

    def name(self) -> str:
        return "sync methods stay as they are"


async def ask() -> str:
    answer: str = await asyncio_component(Asker()).generate("case", None)
    return answer


def test_from_trio_on_a_loop_of_its_own() -> None:
    assert trio.run(ask) == "asyncio answers case"
    assert trio.run(ask) == "asyncio answers case"


def test_as_a_guest_on_the_hosts_loop() -> None:
    loops = []

    async def which() -> None:
        loops.append(asyncio.get_running_loop())

    async def main() -> str:
        loops.append(asyncio.get_running_loop())
        await run_async(lambda: run_in_asyncio(which))
        return await run_async(ask)

    assert asyncio.run(main()) == "asyncio answers case"
    assert loops[0] is loops[1]


class Bare:
    """A generator that needs asyncio and was not wrapped."""

    component_id = "tests/bare"
    version = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=f"{case.input} {loop.is_running()}")


async def whole_run(model: Any) -> Any:
    rows = [{"case_id": str(i), "input": str(i), "expected_output": f"{i} True"} for i in range(5)]
    return await evaluate_async(model=model, data=rows, metric="builtin/exact_match")


@pytest.mark.parametrize("start", ["sync", "trio", "asyncio"])
def test_a_wrapped_component_works_from_wherever_the_run_was_started(start: str) -> None:
    main = functools.partial(whole_run, asyncio_component(Bare()))
    if start == "sync":
        result = run_sync(main, "whole_run")
    elif start == "trio":
        result = trio.run(main)
    else:
        result = asyncio.run(main())
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 5


@pytest.mark.parametrize("start", ["trio", "asyncio"])
def test_one_that_was_not_wrapped_stops_the_run_with_the_wrappers_name(start: str) -> None:
    main = functools.partial(whole_run, Bare())
    with pytest.raises(CallFailed, match=r"themis\.adapters\.asyncio_component\(component\)"):
        trio.run(main) if start == "trio" else asyncio.run(main())


def test_calls_run_side_by_side() -> None:
    arrived: list[asyncio.Future[None]] = []

    async def meet() -> None:
        arrived.append(asyncio.get_running_loop().create_future())
        if len(arrived) == 5:
            for waiting in arrived:
                waiting.set_result(None)
        await asyncio.wait(arrived)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(run_in_asyncio, meet)

    trio.run(main)
    assert len(arrived) == 5


def test_exceptions_come_back_as_they_are() -> None:
    error = KeyError("what")

    async def fails() -> None:
        raise error

    async def main() -> None:
        with pytest.raises(KeyError) as caught:
            await run_in_asyncio(fails)
        assert caught.value is error

    trio.run(main)


def test_an_asyncio_cancellation_of_its_own_making_is_an_error_like_any_other() -> None:
    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await run_in_asyncio(cancels_itself)

    trio.run(main)


@pytest.mark.parametrize("as_guest", [False, True])
def test_cancelling_waits_until_the_coroutine_has_cleaned_up(as_guest: bool) -> None:
    log: list[str] = []
    started = trio.Event()
    token: trio.lowlevel.TrioToken

    async def works() -> None:
        try:
            log.append("started")
            token.run_sync_soon(started.set)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            log.append("cleaned up")

    async def main() -> None:
        nonlocal token
        token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_in_asyncio, works)
            await started.wait()
            nursery.cancel_scope.cancel()
        log.append("came back")

    if as_guest:
        asyncio.run(run_async(main))
    else:
        trio.run(main)
    assert log == ["started", "cleaned up", "came back"]


def _raises_at_once() -> Any:
    raise TypeError("generate() takes no ctx")


async def _goes_on_when_cancelled() -> None:
    while not released.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


async def _holds_its_loop_up() -> None:
    released.wait()


released = threading.Event()


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(asyncio_bridge, "GRACE", 0.05)
    released.clear()
    yield
    released.set()


@pytest.mark.parametrize("as_guest", [False, True])
def test_a_call_that_fails_before_its_coroutine_exists_is_an_error_like_any_other(as_guest: bool) -> None:
    async def main() -> None:
        with trio.fail_after(20), pytest.raises(TypeError, match="takes no ctx"):
            await run_in_asyncio(_raises_at_once)

    asyncio.run(run_async(main)) if as_guest else trio.run(main)


class Stop(BaseException):
    """No `Exception`."""


async def _in_a_task_of_its_own(ending: BaseException) -> None:
    async def ends() -> None:
        raise ending

    await asyncio.create_task(ends())


@pytest.mark.parametrize("ending", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Stop()], ids=repr)
@pytest.mark.parametrize("as_guest", [False, True])
def test_a_coroutine_that_exits_wakes_who_waits_and_leaves_the_loop_to_others(
    ending: BaseException, as_guest: bool
) -> None:
    async def exits() -> None:
        raise ending

    async def main() -> None:
        with trio.fail_after(20):
            with pytest.raises(type(ending)):
                await run_in_asyncio(exits)
            assert await ask() == "asyncio answers case"
            if not as_guest:  # on a loop of the host's, such a task is the host's
                with pytest.raises(type(ending)):
                    await run_in_asyncio(functools.partial(_in_a_task_of_its_own, ending))
                assert await ask() == "asyncio answers case"

    asyncio.run(run_async(main)) if as_guest else trio.run(main)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("coroutine", [_goes_on_when_cancelled, _holds_its_loop_up])
def test_no_coroutine_outlives_its_timeout_by_more_than_a_grace(coroutine: Any) -> None:
    async def main() -> bool:
        with trio.fail_after(20), trio.move_on_after(0.05) as scope:
            await run_in_asyncio(coroutine)
        return scope.cancelled_caught

    assert trio.run(main)


@pytest.mark.usefixtures("short_grace")
def test_a_coroutine_that_was_left_to_itself_may_end_at_any_time() -> None:
    async def main() -> None:
        with trio.move_on_after(0.01):
            await run_in_asyncio(_goes_on_when_cancelled)
        released.set()
        assert await ask() == "asyncio answers case"  # the loop is of use again, and nobody was woken twice
        await trio.sleep(0.05)

    trio.run(main)


def test_a_call_that_raises_before_its_coroutine_exists_costs_its_cases_and_not_the_run() -> None:
    class Asks:
        component_id = "tests/no-ctx"
        version = "1"

        async def generate(self, case: Case) -> str:
            raise AssertionError("never called")

    with pytest.raises(SpecError, match=r"generate\(case\) can't be called as generate\(case, ctx\)"):
        trio.run(functools.partial(whole_run, asyncio_component(Asks())))
    two = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("case", "ctx")]
    Asks.generate.__signature__ = inspect.Signature(two)  # type: ignore[attr-defined]  # says what is not so
    result = trio.run(functools.partial(whole_run, asyncio_component(Asks())))
    assert result.status is RunStatus.PARTIAL_FAILURE
    assert result.benchmark.outcome_counts["builtin/exact_match"]["error"] == 5


def test_cancelled_before_it_began() -> None:
    began: list[int] = []

    async def works() -> None:
        began.append(1)

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run_in_asyncio(works)

    trio.run(main)
    assert not began


def test_the_wrapper_is_the_component_to_everyone_else() -> None:
    wrapped = asyncio_component(Asker())
    assert (wrapped.component_id, wrapped.version) == ("tests/asker", "1")
    assert wrapped.name() == "sync methods stay as they are"
    assert not hasattr(wrapped, "judge")
    assert wrapped.fingerprint() == asyncio_component(Asker()).fingerprint()
