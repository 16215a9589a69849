"""Runs the trio shell from wherever the caller is: plain sync code, trio, or a running asyncio loop.

Under asyncio the shell runs as a guest of the host's loop (trio's guest mode), so that a notebook can await it, and
several of its cells at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar

import outcome
import sniffio
import trio

from themis.effects.interrupts import second_interrupt_exits
from themis.pure.errors import RunningLoopError

P = ParamSpec("P")
T = TypeVar("T")


def running_loop() -> str | None:
    """Return the name of the event loop that is running here, or `None`."""
    try:
        return sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return None


def run_sync(main: Callable[[], Awaitable[T]], called: str) -> T:
    """Run the shell from sync code.

    Args:
        main: the async function to run.
        called: the name of the entry point, for the error.

    Raises:
        RunningLoopError: an event loop runs here already.
    """
    loop = running_loop()
    if loop is not None:
        raise RunningLoopError(
            f"{called}() was called inside a running {loop} event loop, which it would block; "
            f"write `await {called}_async(...)` instead"
        )

    async def interruptible() -> T:
        # In here, so that trio's own handler is the one that gets the first Ctrl-C.
        with second_interrupt_exits():
            return await main()

    # At checkpoints of the main task alone: raised inside the journal, it would leave a run that never ends.
    return trio.run(interruptible, restrict_keyboard_interrupt_to_checkpoints=True)


def sync_variant(function: Callable[P, Awaitable[T]], called: str) -> Callable[[Callable[..., None]], Callable[P, T]]:
    """Make the function that is decorated the sync variant of an async one.

    It lends its name and docstring; what it does, its signature and its types are the async function's.

    Args:
        function: the async function.
        called: the name of the entry point, for the error.
    """

    def decorate(named: Callable[..., None]) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return run_sync(functools.partial(function, *args, **kwargs), called)

        functools.update_wrapper(call, named)
        return functools.update_wrapper(call, function, assigned=["__annotations__"], updated=())

    return decorate


def run_anywhere(main: Callable[[], Awaitable[T]]) -> T:
    """Run what may have to await something, from sync code; beside a running loop, in a thread."""
    if running_loop() is None:
        return trio.run(main)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(trio.run, main).result()


async def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run the shell from async code: directly under trio, as a guest under asyncio."""
    loop = running_loop()
    if loop == "trio":
        return await main()
    if loop == "asyncio":
        return await _as_guest(main)
    raise RunningLoopError(
        f"the running event loop is {loop}; Themis runs under trio and asyncio. From sync code, use the variant "
        "without _async"
    )


async def _as_guest(main: Callable[[], Awaitable[T]]) -> T:
    host = asyncio.get_running_loop()
    guest = _guests.get(host)
    while guest is not None and guest.leaving:
        await asyncio.wait([guest.left])
        guest = _guests.get(host)
    if guest is None:
        guest = _guests[host] = _Guest(host)
    return await guest.do(main)


class _Guest:
    """Trio as the guest of an asyncio loop, for all who run something there at one time.

    In guest mode trio waits for I/O in a thread and hands each of its turns to the host's loop as a callback, so that
    both loops run in one thread. A thread holds one run of trio: whoever comes while one is there joins it. The guest
    leaves with the last of them, and who comes while it is on its way out waits, and is the first of the next.
    """

    def __init__(self, host: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._present = 0
        self._nursery: trio.Nursery | None = None
        self._early: list[Callable[[], object]] = []
        self._token: trio.lowlevel.TrioToken | None = None
        self._empty = trio.Event()
        self.left: asyncio.Future[None] = host.create_future()
        trio.lowlevel.start_guest_run(
            self._stay,
            run_sync_soon_threadsafe=host.call_soon_threadsafe,
            done_callback=self._leave,
            host_uses_signal_set_wakeup_fd=True,
        )

    @property
    def leaving(self) -> bool:
        return self._empty.is_set()

    async def _stay(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as self._nursery:
            for start in self._early:
                start()
            await self._empty.wait()

    def _leave(self, result: outcome.Outcome[None]) -> None:
        if _guests.get(self._host) is self:
            del _guests[self._host]
        self.left.set_result(None)
        result.unwrap()  # nothing of a caller's comes here: an error is one of trio's, for the loop to report

    async def do(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run something as a task of the guest, and return what it returns."""
        # Two outcomes have to be carried across: that of the task, which goes into a future that the host awaits; and a
        # cancellation of the host's task, which becomes one of the guest's scope. The future is shielded, for a
        # cancelled future would take no outcome; and after a cancellation we wait for the task all the same, because
        # it still writes what it finished, and a guest outlives its host as a hung thread.
        done: asyncio.Future[T] = self._host.create_future()
        scope = trio.CancelScope()
        cancelled = False
        self._present += 1

        async def scoped() -> T | None:
            with scope:
                return await main()
            return None

        async def task() -> None:
            result: outcome.Outcome[Any] = await outcome.acapture(scoped)
            self._present -= 1
            if not self._present:
                self._empty.set()
            if done.done():
                return
            if cancelled:
                done.cancel()
            elif isinstance(result, outcome.Error):
                done.set_exception(result.error)
            else:
                done.set_result(result.unwrap())

        self._start(functools.partial(contextvars.copy_context().run, self._begin, task))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            cancelled = True
            self._start(scope.cancel)
            # The task must end before its host does; what it finished by then is stored.
            await asyncio.wait([done])
            raise
        finally:
            if self.leaving:
                await asyncio.wait([self.left])

    def _begin(self, task: Callable[[], Awaitable[None]]) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(task)

    def _start(self, function: Callable[[], object]) -> None:
        """Call a function in the guest, which is woken up for it, or is yet to arrive."""
        if self._nursery is None or self._token is None:
            self._early.append(function)
        else:
            self._token.run_sync_soon(function)


_guests: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Guest]] = weakref.WeakKeyDictionary()
