"""Lifecycle subscribers and tracing: told what happens, never able to change it or to end the run."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from themis.pure.errors import SpecError, listed, nearest, said
from themis.pure.events import CaseRunEvent
from themis.pure.json import JSONValue
from themis.pure.protocols import LifecycleSubscriber, TracingProvider

_PREFIXES: Final = ("before_", "after_", "on_")
HOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(inspect.signature(getattr(LifecycleSubscriber, name)).parameters)[1:]
    for name in dir(LifecycleSubscriber)
    if name.startswith(_PREFIXES)
}
"""Every hook with what it is called with, as `LifecycleSubscriber` states them."""
_SHORTER: Final[Mapping[str, tuple[str, ...]]] = {"after_generate": ("result", "ctx")}
"""A hook may be written without the case, as every other `after_` is."""


class _Hook(NamedTuple):
    """A subscriber's method, and how many of the arguments, from the first on, it does not take."""

    owner: str
    method: Callable[..., Any]
    skips: int


class HookWarning(UserWarning):
    """A subscriber or tracing provider raised; the run went on."""


class Hooks:
    """Calls whichever subscribers implement a hook; sync and async ones alike."""

    def __init__(self, subscribers: Sequence[object], tracing: TracingProvider | None) -> None:
        self._hooks = {name: _methods(subscribers, name) for name in HOOKS}
        self._tracing = tracing
        self.any: bool = bool(subscribers)
        self.traces: bool = tracing is not None
        self._describe: Any = getattr(tracing, "describe_span", None)

    def wants(self, hook: str) -> bool:
        return bool(self._hooks[hook])

    async def call(self, hook: str, *args: object) -> None:
        """Call a hook of every subscriber that has it; what they raise becomes a warning."""
        for owner, method, skips in self._hooks[hook]:
            try:
                value = method(*args[skips:])
                if inspect.isawaitable(value):
                    await value
            except Exception as error:
                _report(f"{owner}.{hook}", error)

    def gave_up(self, hook: str, seconds: float) -> None:
        names = ", ".join(found.owner for found in self._hooks[hook])
        message = f"{hook} of {names} did not come back within {seconds:g} s of the run's stop, and was told no more"
        warnings.warn(message, HookWarning, stacklevel=2)

    def start_span(self, name: str, attributes: Mapping[str, JSONValue]) -> Any:
        """Open a span, if anyone traces."""
        if self._tracing is None:
            return None
        try:
            return self._tracing.start_span(name, attributes)
        except Exception as error:
            _report(f"{type(self._tracing).__name__}.start_span", error)
            return None

    def describe_span(self, span: Any, event: CaseRunEvent) -> None:
        """Tell what a step ended with, if who traces wants to know."""
        if self._describe is None or span is None:
            return
        try:
            self._describe(span, event)
        except Exception as error:
            _report(f"{type(self._tracing).__name__}.describe_span", error)

    def end_span(self, span: Any, status: str) -> None:
        """Close a span that was opened."""
        if self._tracing is None or span is None:
            return
        try:
            self._tracing.end_span(span, status)
        except Exception as error:
            _report(f"{type(self._tracing).__name__}.end_span", error)


def check_subscribers(subscribers: Sequence[object]) -> None:
    """Refuse subscribers that would not be told what they are there for.

    Raises:
        SpecError: one has no hook, a method that is named like a hook and is none, or a hook that can't be called;
            all faults at once.
    """
    if not isinstance(subscribers, list | tuple):
        raise SpecError(f"subscribers: a list expected, found {type(subscribers).__name__}")
    faults = [fault for subscriber in subscribers for fault in _faults(subscriber)]
    if faults:
        raise SpecError(listed("subscribers", faults))


def _faults(subscriber: object) -> Iterator[str]:
    if isinstance(subscriber, type):
        yield f"{subscriber.__name__} is a class; give an object of it, such as {subscriber.__name__}()"
        return
    owner = type(subscriber).__name__
    looks = [name for name in dir(subscriber) if name.startswith(_PREFIXES) and name not in HOOKS]
    unknown = [name for name in looks if callable(getattr(subscriber, name, None))]
    yield from (f"{owner}.{name}: there is no such hook; {nearest(name, HOOKS)}" for name in unknown)
    found = {name: method for name in HOOKS if (method := getattr(subscriber, name, None)) is not None}
    if not found and not unknown:
        yield f"{owner} has none of the hooks {', '.join(HOOKS)}"
    for name, method in found.items():
        if _skips(name, method) is None:
            expected = " or ".join(f"({', '.join(taken)})" for taken in _ways(name))
            takes = "no call" if not callable(method) else f"({', '.join(inspect.signature(method).parameters)})"
            yield f"{owner}.{name}: it is called with {expected}, and takes {takes}"


def _methods(subscribers: Sequence[object], hook: str) -> tuple[_Hook, ...]:
    methods = ((type(one).__name__, getattr(one, hook, None)) for one in subscribers)
    return tuple(_Hook(owner, method, _skips(hook, method) or 0) for owner, method in methods if method is not None)


def _ways(hook: str) -> list[tuple[str, ...]]:
    return [HOOKS[hook], *([_SHORTER[hook]] if hook in _SHORTER else [])]


def _skips(hook: str, method: object) -> int | None:
    """Return how many of the arguments a method does not take; `None` if it can't be called."""
    if not callable(method):
        return None
    try:
        signature = inspect.signature(method)
    except ValueError:  # it states none
        return 0
    for arguments in _ways(hook):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(HOOKS[hook]) - len(arguments)
    return None


def _report(where: str, error: Exception) -> None:
    message = f"{where} raised {type(error).__name__}: {said(error)}; the run goes on"
    warnings.warn(message, HookWarning, stacklevel=3)
