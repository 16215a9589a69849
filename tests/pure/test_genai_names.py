"""What a span says of an event: the conventions' names alone, and values that a span can hold, whatever was sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure.events import GenerationCompletedEvent, GenerationFailedEvent, ScoreFailedEvent
from themis.pure.genai_names import evaluation_results, response_id, step_attributes
from themis.pure.records.generation import GenerationResult
from themis.pure.records.scoring import ScoreError

OF_CASE: dict[str, Any] = {"run_id": "r", "case_id": "c", "dataset_id": "d", "case_key": "d/c"}
OF_CASE["occurred_at"] = datetime(2026, 1, 1, tzinfo=UTC)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(LEAVES, lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(), value, max_size=3))
SETTINGS = st.sampled_from(
    ["model", "temperature", "top_p", "topP", "max_tokens", "maxOutputTokens", "stop", "stopSequences", "seed"]
)
REQUESTS = st.dictionaries(SETTINGS, JSON) | st.fixed_dictionaries(
    {"generationConfig": st.dictionaries(SETTINGS, JSON) | JSON}
)
ARTIFACTS = st.fixed_dictionaries(
    {},
    optional={
        "request": REQUESTS | JSON,
        "model": JSON,
        "finish_reason": JSON,
        "transport": st.fixed_dictionaries({"response_id": JSON}) | JSON,
    },
)
COUNTS = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"]),
    st.integers(min_value=0, max_value=2**53),
)


def generated(result: GenerationResult | None, **fields: Any) -> GenerationCompletedEvent:
    return GenerationCompletedEvent(**OF_CASE, candidate_id="c-0", candidate_index=0, result=result, **fields)


def can_be_held(value: Any) -> bool:
    """Tell whether a span's protocol can hold a value: text in UTF-8, numbers of 64 bits, lists of texts."""
    if isinstance(value, list):
        return all(isinstance(item, str) and can_be_held(item) for item in value)
    if isinstance(value, str):
        value.encode()
        return len(value) < 1000
    return isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63)


@given(artifacts=ARTIFACTS, usage=COUNTS, key=st.none() | st.text())
@example(
    artifacts={"request": {"temperature": 10**400}, "model": "m" * 10_000, "finish_reason": "x" * 10_000},
    usage={},
    key="a",
)
@example(artifacts={"request": {"stop": 5, "seed": True}}, usage={"prompt_tokens": 5}, key=None)
def test_whatever_a_server_sent_can_be_held(artifacts: Any, usage: Any, key: str | None) -> None:
    result = GenerationResult(candidate_id="c-0", final_output="x", artifacts=artifacts, token_usage=usage)
    found = step_attributes(generated(result, provider_key=key))
    assert all(name.startswith("gen_ai.") for name in found)
    assert {"gen_ai.operation.name", "gen_ai.provider.name"} <= set(found)
    assert all(map(can_be_held, found.values()))
    assert response_id(generated(result)) == found.get("gen_ai.response.id")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("openai", "openai"),
        ("openai@127.0.0.1:8000", "openai"),
        ("azure@host", "azure.ai.openai"),
        ("gemini", "gcp.gemini"),
        ("any-llm:mistral", "mistral_ai"),
        ("vllm@gpu:8000", "vllm"),
        (None, "custom"),
    ],
)
def test_providers_have_the_names_that_the_conventions_know(key: str | None, name: str) -> None:
    assert step_attributes(generated(None, provider_key=key))["gen_ai.provider.name"] == name


def test_what_was_not_made_now_counts_no_tokens() -> None:
    result = GenerationResult(candidate_id="c-0", final_output="x", token_usage={"prompt_tokens": 5})
    assert step_attributes(generated(result, cache_hit=True)) == {"themis.cache_hit": True}
    assert step_attributes(generated(result))["gen_ai.usage.input_tokens"] == 5


def test_an_agent_is_one() -> None:
    result = GenerationResult(candidate_id="c-0", final_output="x", trace=())
    assert step_attributes(generated(result))["gen_ai.operation.name"] == "invoke_agent"


def test_failures_are_of_a_kind_and_say_nothing_more() -> None:
    failed = GenerationFailedEvent(
        **OF_CASE, candidate_id="c-0", candidate_index=0, error_message="secret", error_type="TimeoutError"
    )
    assert step_attributes(failed) == {"error.type": "TimeoutError"}
    assert [*evaluation_results(failed)] == []
    error = ScoreError(metric_id="m", reason="secret")
    unscored = ScoreFailedEvent(**OF_CASE, candidate_id="c-0", metric_id="m", error=error)
    assert [*evaluation_results(unscored)] == [{"gen_ai.evaluation.name": "m", "error.type": "no_score"}]
