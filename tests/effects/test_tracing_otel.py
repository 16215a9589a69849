"""Spans carry OpenTelemetry's names for generative AI, whatever protocol is spoken, and nothing that was written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from themis import InMemoryRunStore, adapters, evaluate
from themis.core import SpecError
from themis.effects.tracing_otel import OpenTelemetryProvider
from themis.pure.genai_names import EVALUATION_RESULT
from themis.testing import FakeEndpoint

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra `otel` is not installed")
KEY = "sk-" + "Kq3" * 12
ROW = {"case_id": "one", "input": "a private question", "expected_output": "echo: a private question"}
PROTOCOLS = {
    "openai": ("openai/tiny", "openai", {"api": "chat"}),
    "completions": ("openai/tiny", "openai", {"api": "completions"}),
    "responses": ("openai/tiny", "openai", {"api": "responses"}),
    "anthropic": ("anthropic/tiny", "anthropic", {}),
    "gemini": ("gemini/tiny", "gcp.gemini", {}),
    "bedrock": ("bedrock/tiny", "aws.bedrock", {}),
    "mistral": ("mistral/tiny", "mistral_ai", {}),
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "MISTRAL_API_KEY",
    ):
        monkeypatch.setenv(name, KEY)


def traced(**options: Any) -> dict[str, Any]:
    """Evaluate one case, and return its spans by name."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    evaluate(data=[ROW], tracing_provider=OpenTelemetryProvider(provider), **options)
    provider.shutdown()
    return {span.name: span for span in exporter.get_finished_spans()}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_is_described_in_the_conventions_names(protocol: str) -> None:
    name, provider, options = PROTOCOLS[protocol]
    with FakeEndpoint() as endpoint:
        model = adapters.from_model_string(
            name, base_url=endpoint.base_url, temperature=0.25, top_p=0.5, max_tokens=7, **options
        )
        spans = traced(model=model, metric="exact_match")
    call = spans["generation"]
    told = dict(call.attributes)
    assert call.kind.name == "CLIENT"
    assert told["gen_ai.operation.name"] == ("text_completion" if protocol == "completions" else "chat")
    assert told["gen_ai.provider.name"] == provider
    assert told["gen_ai.request.model"] == "tiny"
    assert told["gen_ai.request.temperature"] == 0.25
    assert told["gen_ai.request.top_p"] == 0.5
    assert told["gen_ai.request.max_tokens"] == 7
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] > 0
    assert told["gen_ai.response.finish_reasons"] == ("stop",)
    everything = str([(span.name, span.attributes, span.events) for span in spans.values()])
    assert "private" not in everything
    assert KEY not in everything


def test_every_name_is_one_of_the_conventions() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    with FakeEndpoint() as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url, api="chat", stop=["END"], seed=5, temperature=1.0)
        spans = traced(model=model, metric="exact_match")
    told = [name for span in spans.values() for name in span.attributes]
    told += [name for span in spans.values() for event in span.events for name in event.attributes]
    assert {name for name in told if not name.startswith("themis.")} <= known
    assert {"gen_ai.request.seed", "gen_ai.request.stop_sequences", "gen_ai.response.id"} <= set(told)


def test_a_score_is_an_event_that_names_the_answer() -> None:
    with FakeEndpoint() as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        spans = traced(model=model, metric="exact_match")
    [result] = spans["score"].events
    assert result.name == EVALUATION_RESULT
    assert dict(result.attributes) == {
        "gen_ai.evaluation.name": "builtin/exact_match",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.response.id": spans["generation"].attributes["gen_ai.response.id"],
    }


def test_a_judge_s_score_is_an_event_without_its_words() -> None:
    overrides = {"rubric": "Is it right?"}
    judged = {"metric": "builtin/llm_rubric", "judge": "builtin/demo_judge", "workflow_overrides": overrides}
    spans = traced(model="builtin/demo_model", **judged)
    [result] = spans["judge"].events
    assert set(result.attributes) == {"gen_ai.evaluation.name", "gen_ai.evaluation.score.value"}


@pytest.mark.parametrize("protocol", ["openai", "gemini", "bedrock"])
def test_each_call_of_a_judge_has_a_span_of_its_own(protocol: str) -> None:
    name, provider, options = PROTOCOLS[protocol]
    with FakeEndpoint(answer=lambda *_: "Score: 5") as endpoint:
        judge = adapters.from_model_string(name, base_url=endpoint.base_url, **options)
        overrides = {"rubric": "Is it right?"}
        spans = traced(
            model="builtin/demo_model", metric="builtin/llm_rubric", judge=judge, workflow_overrides=overrides
        )
    call = spans["judge_call"]
    assert (call.kind.name, call.status.status_code.name) == ("CLIENT", "OK")
    assert call.parent.span_id == spans["judge"].context.span_id
    assert dict(call.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": "tiny",
    }


def test_an_answer_of_an_earlier_run_was_not_asked_for() -> None:
    store = InMemoryRunStore()
    with FakeEndpoint() as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        traced(model=model, metric="exact_match", store=store)
        spans = traced(model=model, metric="contains", store=store)
    told = dict(spans["generation"].attributes)
    assert told["themis.cache_hit"] is True
    assert not [name for name in told if name.startswith("gen_ai.")]


def test_what_failed_says_of_which_kind() -> None:
    class Failing:
        component_id, version = "tests/failing", "1"

        def fingerprint(self) -> str:
            return "failing"

        async def generate(self, case: Any, ctx: Any) -> Any:
            raise SpecError("a private word")

    spans = traced(model=Failing(), metric="exact_match")
    assert spans["generation"].attributes["error.type"] == "SpecError"
    assert not re.search("private", str(spans["generation"].attributes))


def test_a_metric_that_has_no_score_says_so() -> None:
    spans = traced(model="builtin/demo_generator", metric="numeric_match")
    [result] = spans["score"].events
    assert dict(result.attributes) == {"gen_ai.evaluation.name": "builtin/numeric_match", "error.type": "no_score"}
