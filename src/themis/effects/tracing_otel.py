"""Spans for OpenTelemetry: `run, generation, selection, reduction, parse, score, judge` (extra `otel`).

A span's parent is the span that was open in the same task when it was started, which is right under concurrency
because trio gives every task its own context. Attributes are ids and metrics' names: nothing a model wrote, and no
secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from typing import Any

from themis.pure.errors import MissingExtraError
from themis.pure.json import JSONValue


class OpenTelemetryProvider:
    """A `TracingProvider` that hands spans to OpenTelemetry.

    Args:
        tracer_provider: an OpenTelemetry `TracerProvider`; the global one if not given.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, tracer_provider: Any = None) -> None:
        try:
            from opentelemetry import context, trace
        except ImportError as error:
            raise MissingExtraError("tracing needs OpenTelemetry: pip install 'themis[otel]'") from error
        self._context, self._trace = context, trace
        self._tracer = trace.get_tracer("themis", tracer_provider=tracer_provider)

    def start_span(self, name: str, attributes: Mapping[str, JSONValue]) -> object:
        """Open a span under the one that is open in this task."""
        flat = {f"themis.{key}": value for key, value in attributes.items() if isinstance(value, str) and value}
        span = self._tracer.start_span(name, attributes=flat)
        token = self._context.attach(self._trace.set_span_in_context(span))
        return span, token

    def end_span(self, span: object, status: str) -> None:
        """Close a span with status `ok` or `error`."""
        opened: tuple[Any, Token[Any]] = span  # type: ignore[assignment]  # what start_span returned
        self._context.detach(opened[1])
        code = self._trace.StatusCode.OK if status == "ok" else self._trace.StatusCode.ERROR
        opened[0].set_status(code)
        opened[0].end()
