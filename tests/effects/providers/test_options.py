"""Options: of the right kind, sendable, and refused before anything runs, all at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import adapters, evaluate
from themis.effects.providers.options import wrong_kinds
from themis.pure.errors import SpecError
from themis.pure.wire.providers import PROVIDERS
from themis.testing.endpoint import FakeEndpoint

BUILDERS = [adapters.openai, adapters.vllm, adapters.anthropic]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_tokens": 1e3}, "max_tokens: a whole number from 1 on expected, found 1000.0; write 1000"),
        ({"max_tokens": True}, "max_tokens: a whole number from 1 on expected, found True"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "100"}, "max_tokens: a whole number from 1 on expected, found '100'"),
        ({"seed": "None"}, "seed: a whole number expected, found 'None'; leave it out for none"),
        ({"seed": 1.5}, "seed"),
        ({"temperature": "0.7"}, "temperature: a finite number expected, found '0.7'"),
        ({"temperature": False}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": 3}, "stop: text, or a list of texts expected, found 3"),
        ({"stop": ["a", 3]}, "stop"),
        ({"key_needed": "no"}, "key_needed: true or false expected, found 'no'"),
        ({"key_needed": 0}, "key_needed"),
        ({"headers": {"x": 1}}, "headers.x: text expected, found 1"),
        ({"headers": {"x": ["a", "b"]}}, "headers.x: text expected, found ['a', 'b']"),
        ({"headers": "x: 1"}, "headers: an object of texts expected"),
        ({"extra": [1]}, "extra: an object expected"),
        ({"total_timeout_s": "60"}, "total_timeout_s: a finite number expected, found '60'"),
        ({"read_timeout_s": 0}, "read_timeout_s"),
        ({"max_bytes": 1e6}, "max_bytes: a whole number from 1 on expected, found 1000000.0; write 1000000"),
        ({"provider_key": 3}, "provider_key: text expected"),
        ({"base_url": 8000}, "base_url: text expected"),
        ({"api_key_env": None}, "api_key_env: text expected"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(build: Any, options: dict[str, Any], told: str) -> None:
    if build is adapters.vllm and "extra" in options:
        return  # vLLM's own options are merged into it
    with pytest.raises(SpecError) as caught:
        build("tiny", **{"base_url": "http://h/v1", **options})
    assert told in str(caught.value)


def test_all_faults_are_told_at_once_unknown_names_among_them() -> None:
    with pytest.raises(SpecError) as caught:
        adapters.openai("m", temprature=1.0, max_tokens=1e3, headers={"a": 1, "b": 2}, key_needed="no")
    for named in ("temprature", "max_tokens", "headers.a", "headers.b", "key_needed"):
        assert named in str(caught.value)
    with pytest.raises(SpecError, match="model: a name expected"):
        adapters.openai("")


@pytest.mark.parametrize(
    "url",
    ["http://h:99999/v1", "http://h:x/v1", "http://h:0/v1", "http://h/v1/chat/completions", "https://h/v1/responses/"],
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(SpecError, match="base_url"):
        adapters.openai("m", base_url=url)


SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})
)
NAMES = ("temperature", "top_p", "max_tokens", "seed", "logprobs", "stop", "headers", "extra", "key_needed")


@given(st.dictionaries(st.sampled_from(NAMES), SCALARS))
def test_what_is_not_refused_is_sent_as_the_type_that_the_protocol_wants(options: dict[str, Any]) -> None:
    if [*wrong_kinds(options)]:
        with pytest.raises(SpecError):
            adapters.openai("m", base_url="http://h/v1", **options)
        return
    sampling = adapters.openai("m", base_url="http://h/v1", **options).sampling
    for value, kind in ((sampling.max_tokens, int), (sampling.seed, int), (sampling.logprobs, int)):
        assert value is None or type(value) is kind
    for number in (sampling.temperature, sampling.top_p):
        assert number is None or (not isinstance(number, bool) and number >= 0)


def test_nothing_runs_with_what_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint() as endpoint:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
        for options in (
            {"api": "responses", "stop": "x"},
            {"api": "responses", "seed": 1},
            {"extra": {"stream": True}},
        ):
            with pytest.raises(SpecError, match="leave it out"):
                evaluate(
                    model=adapters.openai("tiny", base_url=endpoint.base_url, **options),
                    data=[{"input": "x", "expected_output": "y"}],
                    metric="builtin/exact_match",
                )
        assert endpoint.log == []


# --- providers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_goes_by_name_with_its_address_and_its_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = PROVIDERS[name]
    monkeypatch.delenv(known.key_env, raising=False)
    model: Any = adapters.from_model_string(f"{name}/org/model:tag")
    assert (model.component_id, model.endpoint.base_url) == (f"{name}/org/model:tag", known.base_url)
    assert (model.model, model.provider_key, model.path) == ("org/model:tag", name, "/chat/completions")
    assert [known.key_env in problem for problem in model.check()] == ([True] if known.key_needed else [])
    assert adapters.openai("org/model:tag", provider=name) == model


@pytest.mark.parametrize("name", [*PROVIDERS, "azure"])
def test_every_provider_is_asked_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint() as endpoint:
        monkeypatch.setenv(
            "AZURE_OPENAI_ENDPOINT" if name == "azure" else f"{name.upper()}_BASE_URL", endpoint.base_url
        )
        result = evaluate(
            model=f"{name}/tiny", data=[{"input": "x", "expected_output": "echo: x"}], metric="builtin/exact_match"
        )
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 1
    assert result.snapshot.identity.generator_ref.component_id == f"{name}/tiny"


@pytest.mark.parametrize(
    ("url", "version", "path"),
    [
        ("http://127.0.0.1:1", "2024-10-21", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"),
        ("http://127.0.0.1:1/", None, "/openai/v1/chat/completions"),
        ("http://127.0.0.1:1/openai/v1", None, "/openai/v1/chat/completions"),
        (
            "http://127.0.0.1:1/openai/deployments/d?api-version=1",
            None,
            "/openai/deployments/d/chat/completions?api-version=1",
        ),
        ("http://127.0.0.1:1/openai/v1/", "preview", "/openai/v1/chat/completions?api-version=preview"),
    ],
)
def test_azure_addresses(url: str, version: str | None, path: str) -> None:
    model = adapters.openai("my gpt", provider="azure", base_url=url, api_version=version)
    assert model.endpoint.url(model.path) == "http://127.0.0.1:1" + path


def test_azure_is_asked_with_its_header_and_its_api_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k-123")
    with FakeEndpoint() as endpoint:
        root = endpoint.base_url.removesuffix("/v1")
        for options in ({"api_version": "2024-10-21"}, {}):
            evaluate(
                model=adapters.openai("gpt-5-mini", provider="azure", base_url=root, max_tokens=9, **options),
                data=[{"input": "x", "expected_output": "echo: x"}],
                metric="builtin/exact_match",
            )
    first, second = (served.request for served in endpoint.log)
    assert first.path == "/openai/deployments/gpt-5-mini/chat/completions?api-version=2024-10-21"
    assert second.path == "/openai/v1/chat/completions"
    assert (first.headers["api-key"], first.headers.get("authorization")) == ("k-123", None)
    assert (first.json()["max_completion_tokens"], first.json().get("max_tokens")) == (9, None)


def test_azure_without_an_address_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)
    with pytest.raises(SpecError, match="AZURE_OPENAI_ENDPOINT"):
        adapters.from_model_string("azure/gpt")
