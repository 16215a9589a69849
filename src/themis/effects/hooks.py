"""Lifecycle subscribers and tracing: told what happens, never able to change it or to end the run."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from themis.pure.errors import said
from themis.pure.events import CaseRunEvent
from themis.pure.json import JSONValue
from themis.pure.protocols import TracingProvider


class HookWarning(UserWarning):
    """A subscriber or tracing provider raised; the run went on."""


class Hooks:
    """Calls whichever subscribers implement a hook; sync and async ones alike."""

    def __init__(self, subscribers: Sequence[object], tracing: TracingProvider | None) -> None:
        self._subscribers = tuple(subscribers)
        self._tracing = tracing
        self.any: bool = bool(self._subscribers)
        self.traces: bool = tracing is not None
        self._describe: Any = getattr(tracing, "describe_span", None)

    def wants(self, hook: str) -> bool:
        return any(hasattr(subscriber, hook) for subscriber in self._subscribers)

    async def call(self, hook: str, *args: object) -> None:
        """Call a hook of every subscriber that has it; what they raise becomes a warning."""
        for subscriber in self._subscribers:
            method = getattr(subscriber, hook, None)
            if method is None:
                continue
            try:
                value = method(*args)
                if inspect.isawaitable(value):
                    await value
            except Exception as error:
                _report(f"{type(subscriber).__name__}.{hook}", error)

    def gave_up(self, hook: str, seconds: float) -> None:
        names = ", ".join(type(s).__name__ for s in self._subscribers if hasattr(s, hook))
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


def _report(where: str, error: Exception) -> None:
    message = f"{where} raised {type(error).__name__}: {said(error)}; the run goes on"
    warnings.warn(message, HookWarning, stacklevel=3)
