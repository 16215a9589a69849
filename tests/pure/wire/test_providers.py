"""What can't be sent is refused, what goes by another name is sent by it, for each provider and family of models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.wire import openai_wire
from themis.pure.wire.exchange import Sampling, prompt_of
from themis.pure.wire.providers import MODEL_STRINGS, PROVIDERS, quirks_of, unsendable

URL = "http://h/v1"
REASONING = [
    "o1",
    "o1-mini",
    "o3",
    "o3-mini",
    "o4-mini-2025-04-16",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5.1",
    "gpt-6",
    "gpt-10",
]
OTHERS = [
    "gpt-4o",
    "gpt-4.1",
    "gpt-oss-20b",
    "openai/gpt-oss-120b",
    "olmo-2",
    "o3d-model",
    "llama-3",
    "phi-4",
    "gpt-50k",
]
HOSTS = ["openrouter", "azure", "vllm", "openai", "github", "own"]
PREFIXES = ["", "openai/", "OpenAI/", "ft:", "openrouter/openai/", "openai."]


def names_sent(provider: str, model: str, api: str = "chat", url: str = URL) -> set[str]:
    quirks = quirks_of(provider, url, api, model)
    body = openai_wire.chat_body(model, prompt_of("x"), Sampling(max_tokens=5), 1, quirks)
    return set(body) - {"model", "messages"}


def faults(provider: str, model: str, api: str = "chat", url: str = URL, **sampling: Any) -> str:
    return "; ".join(unsendable(quirks_of(provider, url, api, model), Sampling(**sampling)))


@given(st.sampled_from(HOSTS), st.sampled_from(PREFIXES), st.sampled_from(REASONING))
def test_reasoning_models_get_their_limit_by_its_new_name_anywhere(provider: str, prefix: str, model: str) -> None:
    assert names_sent(provider, prefix + model) == {"max_completion_tokens", "seed"}


@given(st.sampled_from(HOSTS), st.sampled_from(OTHERS))
def test_other_models_get_it_by_the_old_one_except_at_openai(provider: str, model: str) -> None:
    assert names_sent(provider, model) == {"max_tokens", "seed"}
    assert names_sent(provider, model, url="https://api.openai.com/v1") == {"max_completion_tokens", "seed"}


@pytest.mark.parametrize(
    ("provider", "url", "sent"),
    [
        ("mistral", URL, {"max_tokens", "random_seed"}),
        ("openai", "https://api.mistral.ai/v1", {"max_tokens", "random_seed"}),
        ("deepseek", URL, {"max_tokens"}),
        ("openai", "https://api.deepseek.com/beta", {"max_tokens"}),
        ("groq", URL, {"max_tokens", "seed"}),
    ],
)
def test_a_provider_is_known_by_its_name_and_by_its_address(provider: str, url: str, sent: set[str]) -> None:
    assert names_sent(provider, "m", url=url) == sent


@pytest.mark.parametrize(
    ("provider", "api", "model", "sampling", "named"),
    [
        ("openai", "responses", "gpt-4o", {"stop": "x"}, "stop"),
        ("openai", "responses", "gpt-4o", {"seed": 0}, "seed"),
        ("groq", "responses", "m", {"seed": 0}, "seed"),
        ("anthropic", "messages", "claude-x", {"seed": 1}, "seed"),
        ("anthropic", "messages", "claude-x", {"logprobs": 0}, "logprobs"),
        (
            "anthropic",
            "messages",
            "claude-opus-4-1-20250805",
            {"temperature": 0.5, "top_p": 0.9},
            "temperature and top_p",
        ),
        ("deepseek", "chat", "deepseek-chat", {"seed": 1}, "seed"),
        ("deepseek", "chat", "deepseek-reasoner", {"logprobs": 1}, "logprobs"),
        ("mistral", "chat", "m", {"logprobs": 1}, "logprobs"),
        ("groq", "chat", "m", {"logprobs": 0}, "logprobs"),
        ("xai", "chat", "grok-4-0709", {"stop": "x"}, "stop"),
        ("openrouter", "chat", "openai/o3", {"temperature": 0.0}, "temperature"),
        ("openai", "responses", "gpt-5-mini", {"top_p": 0.5}, "top_p"),
        ("azure", "chat", "o4-mini", {"stop": "x"}, "stop"),
        ("openai", "chat", "o1", {"logprobs": 0}, "logprobs"),
        ("anthropic", "messages", "claude-x", {"temperature": 1.5}, "temperature"),
        ("anthropic", "messages", "claude-x", {"stop": ["END", "\n\n"]}, "stop"),
        ("own", "chat", "m", {"extra": {"stream": True}}, "extra.stream"),
        ("own", "chat", "m", {"extra": {"n": 4}}, "extra.n"),
    ],
)
def test_what_cannot_be_sent_is_named(
    provider: str, api: str, model: str, sampling: dict[str, Any], named: str
) -> None:
    found = faults(provider, model, api, **sampling)
    assert found.startswith(named + ":")
    assert "leave" in found or "samples=" in found


@pytest.mark.parametrize(
    ("provider", "api", "model", "sampling"),
    [
        ("openai", "responses", "gpt-4o", {"temperature": 0.0, "top_p": 0.5, "max_tokens": 5, "logprobs": 2}),
        ("openai", "chat", "gpt-4o", {"stop": "x", "seed": 1}),
        ("openai", "chat", "o3", {"temperature": 1.0, "top_p": 1, "max_tokens": 5, "seed": 1}),
        ("openai", "chat", "gpt-5.1", {"temperature": 0.2}),
        ("openai", "chat", "gpt-5-chat-latest", {"temperature": 0.2, "stop": "x"}),
        ("xai", "chat", "grok-4-fast-non-reasoning", {"stop": "x"}),
        ("anthropic", "messages", "claude-opus-4-1", {"temperature": 0.5, "top_p": 1.0}),
        ("anthropic", "messages", "claude-3-haiku", {"temperature": 0.5, "top_p": 0.9}),
        ("own", "chat", "m", {"extra": {"stream": False, "n": 1}}),
    ],
)
def test_what_can_be_sent_is_not_refused(provider: str, api: str, model: str, sampling: dict[str, Any]) -> None:
    assert faults(provider, model, api, **sampling) == ""


@pytest.mark.parametrize(
    ("api", "sampling", "is_sent"),
    [
        ("chat", {"stop": list("abcd"), "temperature": 2.0, "logprobs": 20}, True),
        ("chat", {"stop": list("abcde")}, False),
        ("chat", {"temperature": 2.1}, False),
        ("chat", {"logprobs": 21}, False),
        ("completions", {"logprobs": 6}, False),
        ("responses", {"max_tokens": 1}, True),
    ],
)
def test_bounds_hold_where_they_are_known(api: str, sampling: dict[str, Any], is_sent: bool) -> None:
    at_openai = faults("openai", "gpt-4o", api, "https://api.openai.com/v1", **sampling)
    assert (at_openai == "") is is_sent
    assert faults("vllm", "m", api, **sampling) == ""


def test_all_faults_are_told_at_once() -> None:
    assert faults("openai", "o3", "responses", stop="x", seed=1, temperature=0.0).count("leave it out") == 3


def test_the_table_of_providers() -> None:
    assert len({*MODEL_STRINGS}) == len(MODEL_STRINGS) == 32
    assert all(known.base_url.startswith(("https://", "http://localhost:")) for known in PROVIDERS.values())
    assert all(known.key_needed == known.base_url.startswith("https://") for known in PROVIDERS.values())
