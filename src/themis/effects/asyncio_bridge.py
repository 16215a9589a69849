"""Runs asyncio coroutines from trio: on the host's loop when Themis is its guest, else on a loop in a thread.

The loop in the thread is started by the first call and serves every later one of the process, so that clients
which belong to a loop (SDKs keep connection pools) stay usable from run to run; it is closed at exit, or by
`close_loop`. Cancellation passes through, and the trio side waits until the coroutine has really ended, but not for
ever: no call outlives its timeout, or a Ctrl-C, by more than `GRACE` seconds.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import attrs
import outcome
import trio

from themis.effects.sources.source_code import source_of
from themis.pure.descriptions import description
from themis.pure.fingerprints import fingerprint
from themis.pure.json import JSONValue

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds that a cancelled coroutine has for cleaning up."""


async def run_in_asyncio(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `start()` on an asyncio loop and return what it returns.

    Raises:
        trio.Cancelled: this task was cancelled; the coroutine was cancelled too, and has ended, or did not end within
            `GRACE` seconds and is left to itself.
        BaseException: what `start`, or the coroutine, raised.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    loop, token, waiter = _loop(), trio.lowlevel.current_trio_token(), trio.lowlevel.current_task()
    task: asyncio.Task[outcome.Outcome[T]] | None = None
    raise_cancel: Callable[[], Any] | None = None
    is_parked = True

    # In the loop's thread:

    def begin() -> None:
        nonlocal task
        if raise_cancel is not None:
            wake(raise_cancel)
            return
        task = loop.create_task(_outcome(start))
        task.add_done_callback(ended)

    def cancel() -> None:
        if task is not None:
            task.cancel()

    def ended(made: asyncio.Task[outcome.Outcome[T]]) -> None:
        wake(raise_cancel if made.cancelled() and raise_cancel is not None else lambda: made.result().unwrap())

    def wake(result: Callable[[], Any]) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # it was left to itself, and ended when nobody waited any more
            token.run_sync_soon(resume, outcome.capture(result))

    # In trio's:

    def resume(result: outcome.Outcome[T]) -> None:
        nonlocal is_parked
        if is_parked:
            is_parked = False
            trio.lowlevel.reschedule(waiter, result)

    def abort(raise_cancelled: Callable[[], Any]) -> trio.lowlevel.Abort:
        nonlocal raise_cancel
        raise_cancel = raise_cancelled
        loop.call_soon_threadsafe(cancel)
        trio.lowlevel.spawn_system_task(give_up)
        return trio.lowlevel.Abort.FAILED  # not before the coroutine has ended

    async def give_up() -> None:
        # A coroutine that holds up its loop, or that goes on when it is cancelled, must not hold up the run.
        assert raise_cancel is not None
        await trio.sleep(GRACE)
        resume(outcome.capture(raise_cancel))

    loop.call_soon_threadsafe(begin, context=contextvars.copy_context())
    result: T = await trio.lowlevel.wait_task_rescheduled(abort)
    return result


async def _outcome(start: Callable[[], Coroutine[Any, Any, T]]) -> outcome.Outcome[T]:
    """Return what `start()` comes to, as a value, be it raised on the way to a coroutine: it must wake the waiter, and
    a task that exits would take its loop with it."""
    try:
        return outcome.Value(await start())
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return outcome.Error(error)


# --- the loop ---------------------------------------------------------------------------------------------

_lock = threading.Lock()
_own: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None


def _loop() -> asyncio.AbstractEventLoop:
    global _own  # one loop per process, or clients that belong to a loop would break
    try:
        return asyncio.get_running_loop()  # Themis is this loop's guest
    except RuntimeError:
        pass
    with _lock:
        if _own is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=[loop], name="themis-asyncio", daemon=True)
            thread.start()
            _own = loop, thread
            atexit.register(close_loop)
        return _own[0]


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; a task of its own making that exits stops nobody else's."""
    while True:
        try:
            return loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            continue  # the task holds it, for who awaits the task


def close_loop() -> None:
    """Stop the loop in the thread, if one runs, once what it is at lets it; the next call starts another."""
    global _own  # see above
    with _lock:
        own, _own = _own, None
    if own is None:
        return
    loop, thread = own
    atexit.unregister(close_loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(GRACE)
    if thread.is_alive():
        return  # a coroutine holds it up; the thread is a daemon, and ends with the process
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


# --- components -------------------------------------------------------------------------------------------


@attrs.frozen
class AsyncioComponent:
    """A component whose async methods run on an asyncio loop; all else is the component's own.

    Attributes:
        component: a generator, judge model, or any other component.
        component_id: what it is called in a run; the component's own id unless stated.
    """

    component: Any
    component_id: str = attrs.field()

    @component_id.default
    def _own_id(self) -> str:
        return str(getattr(self.component, "component_id", None) or "")

    def fingerprint(self) -> str:
        return fingerprint(self.component, source_of)

    def describe(self) -> JSONValue:
        return description(self.component)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "component":
            raise AttributeError(name)
        found = getattr(self.component, name)
        return _bridged(found) if inspect.iscoroutinefunction(found) else found


def _bridged(method: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(method)
    async def bridged(*args: Any, **kwargs: Any) -> Any:
        return await run_in_asyncio(functools.partial(method, *args, **kwargs))

    return bridged
