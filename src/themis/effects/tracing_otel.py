"""Spans for OpenTelemetry: `run, generation, selection, reduction, parse, score, judge` (extra `otel`).

A span's parent is the span that was open in the same task when it was started, which is right under concurrency
because trio gives every task its own context. Attributes are ids, metrics' names, and what was asked of a model and
used in OpenTelemetry's own names for generative AI (`gen_ai.*`, `themis.pure.genai_names`): nothing a model wrote, and
no secret. Scores are events of the `score` and `judge` spans, named `gen_ai.evaluation.result`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from contextvars import Token
from typing import Any, Final

from themis.pure.errors import MissingExtraError, pip_install
from themis.pure.events import CaseRunEvent
from themis.pure.genai_names import EVALUATION_RESULT, RESPONSE_ID, evaluation_results, response_id, step_attributes
from themis.pure.json import JSONValue

_REMEMBERED: Final = 10_000
"""How many answers' ids are kept for the events of their scores, which come soon after."""


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
            raise MissingExtraError(f"tracing needs OpenTelemetry: {pip_install('otel')}") from error
        self._context, self._trace = context, trace
        self._tracer = trace.get_tracer("themis", tracer_provider=tracer_provider)
        self._answers: OrderedDict[tuple[str, str, str | None], str] = OrderedDict()

    def start_span(self, name: str, attributes: Mapping[str, JSONValue]) -> object:
        """Open a span under the one that is open in this task."""
        flat = {f"themis.{key}": value for key, value in attributes.items() if isinstance(value, str) and value}
        kind = self._trace.SpanKind.CLIENT if name == "generation" else self._trace.SpanKind.INTERNAL
        span = self._tracer.start_span(name, kind=kind, attributes=flat)
        token = self._context.attach(self._trace.set_span_in_context(span))
        return span, token

    def describe_span(self, span: object, event: CaseRunEvent) -> None:
        """Say what a step ended with: what was asked and used, and what was scored."""
        opened: tuple[Any, Token[Any]] = span  # type: ignore[assignment]  # what start_span returned
        opened[0].set_attributes(step_attributes(event))
        answer = (event.run_id, event.case_key, getattr(event, "candidate_id", None))
        if (found := response_id(event)) is not None:
            self._answers[answer] = found
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        for result in evaluation_results(event):
            of_answer = {RESPONSE_ID: self._answers[answer]} if answer in self._answers else {}
            opened[0].add_event(EVALUATION_RESULT, {**result, **of_answer})

    def end_span(self, span: object, status: str) -> None:
        """Close a span with status `ok` or `error`."""
        opened: tuple[Any, Token[Any]] = span  # type: ignore[assignment]  # what start_span returned
        self._context.detach(opened[1])
        code = self._trace.StatusCode.OK if status == "ok" else self._trace.StatusCode.ERROR
        opened[0].set_status(code)
        opened[0].end()
