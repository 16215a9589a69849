"""Runs the trio shell from wherever the caller is: plain sync code, trio, or a running asyncio loop.

Under asyncio the shell runs as a guest of the host's loop (trio's guest mode), so that a notebook can await it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

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
    # In guest mode trio waits for I/O in a thread and hands each of its turns to the host's loop as a callback, so that
    # both loops run in one thread. Two outcomes have to be carried across: that of the guest, which `finish` puts into
    # a future that the host awaits; and a cancellation of the host's task, which becomes one of the guest's scope.
    # The future is shielded, for a cancelled future would take no outcome; and after a cancellation we wait for the
    # guest all the same, because it still writes what it finished, and a guest outlives its host as a hung thread.
    host = asyncio.get_running_loop()
    done: asyncio.Future[T] = host.create_future()
    scope = trio.CancelScope()
    token: trio.lowlevel.TrioToken | None = None
    cancelled = False

    async def guest() -> T | None:
        nonlocal token
        token = trio.lowlevel.current_trio_token()
        with scope:
            return await main()
        return None

    def finish(result: outcome.Outcome[Any]) -> None:
        if done.done():
            return
        if cancelled:
            done.cancel()
        elif isinstance(result, outcome.Error):
            done.set_exception(result.error)
        else:
            done.set_result(result.unwrap())

    trio.lowlevel.start_guest_run(
        guest,
        run_sync_soon_threadsafe=host.call_soon_threadsafe,
        done_callback=finish,
        host_uses_signal_set_wakeup_fd=True,
    )
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        cancelled = True
        if token is None:  # the guest has not begun yet
            scope.cancel()
        else:  # the token wakes the guest up, which a bare cancel would not
            token.run_sync_soon(scope.cancel)
        # The guest must end before its host does; what it finished by then is stored.
        await asyncio.wait([done])
        raise
