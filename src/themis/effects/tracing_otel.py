"""Spans for OpenTelemetry: `run, generation, selection, reduction, parse, score, judge, judge_call` (extra `otel`).

A span's parent is the span that was open in the same task when it was started, which is right under concurrency
because trio gives every task its own context. Attributes are ids, metrics' names, and what was asked of a model and
used in OpenTelemetry's own names for generative AI (`gen_ai.*`, `themis.pure.genai_names`): nothing a model wrote, and
no secret. Scores are events of the `score` and `judge` spans, named `gen_ai.evaluation.result`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from contextvars import Token
from typing import Any, Final, TypeAlias

from themis.pure.errors import MissingExtraError, pip_install
from themis.pure.events import CaseRunEvent
from themis.pure.genai_names import (
    CACHE_HIT,
    EVALUATION_RESULT,
    RESPONSE_ID,
    Attributes,
    asked_attributes,
    evaluation_results,
    response_id,
    step_attributes,
)
from themis.pure.json import JSONValue

_CALLS: Final = ("generation", "judge_call")
_REMEMBERED: Final = 10_000
"""How many answers' ids are kept for the events of their scores, which come soon after."""


_Opened: TypeAlias = tuple[Any, Token[Any], Attributes]
"""A span, what ends its context, and who is asked in it."""


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
        said = {key: value for key, value in attributes.items() if isinstance(value, str) and value}
        model, provider_key = said.pop("model", None), said.pop("provider_key", None)
        flat: Attributes = {f"themis.{key}": value for key, value in said.items()}
        asked = asked_attributes(model, provider_key) if model is not None and provider_key is not None else {}
        if name == "judge_call":  # a generation may turn out to be an earlier run's, which nobody is asked for
            flat |= asked
        kind = self._trace.SpanKind.CLIENT if name in _CALLS else self._trace.SpanKind.INTERNAL
        span = self._tracer.start_span(name, kind=kind, attributes=flat)
        token = self._context.attach(self._trace.set_span_in_context(span))
        return span, token, asked

    def describe_span(self, span: object, event: CaseRunEvent) -> None:
        """Say what a step ended with: what was asked and used, and what was scored."""
        opened: _Opened = span  # type: ignore[assignment]  # what start_span returned
        found = step_attributes(event)
        opened[0].set_attributes(found if CACHE_HIT in found else {**opened[2], **found})
        answer = (event.run_id, event.case_key, getattr(event, "candidate_id", None))
        if (response := response_id(event)) is not None:
            self._answers[answer] = response
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        for result in evaluation_results(event):
            of_answer = {RESPONSE_ID: self._answers[answer]} if answer in self._answers else {}
            opened[0].add_event(EVALUATION_RESULT, {**result, **of_answer})

    def end_span(self, span: object, status: str) -> None:
        """Close a span with status `ok` or `error`."""
        opened: _Opened = span  # type: ignore[assignment]  # what start_span returned
        self._context.detach(opened[1])
        code = self._trace.StatusCode.OK if status == "ok" else self._trace.StatusCode.ERROR
        opened[0].set_status(code)
        opened[0].end()
