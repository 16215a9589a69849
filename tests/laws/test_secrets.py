"""Law 10: a literal credential is refused before anything runs, and the refusal does not repeat it."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from themis import (
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    GenerationResult,
    PromptSpec,
    Reporter,
    StorageConfig,
    adapters,
    evaluate,
)
from themis.api.bundles.files import write_bundle
from themis.pure.errors import LiteralSecretError
from themis.pure.security import find_secrets, redact
from themis.testing import strategies

# Built from parts, so that no scanner takes this file for a leak.
KEYS = [
    "sk-" + "proj-" + "a1B2c3D4e5F6g7H8i9J0",
    "sk-" + "ant-" + "api03-a1B2c3D4e5F6g7H8i9J0",
    "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8",
    "hf" + "_" + "a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "postgresql" + "://me:hunter2@db.example/runs",
    "Bearer " + "a1B2c3D4e5F6g7H8i9J0",
]
PLACES: dict[str, Any] = {
    "storage": lambda key, path: {
        "storage": StorageConfig(store="sqlite", parameters={"path": str(path), "note": key})
    },
    "environment": lambda key, path: {"environment_metadata": {"where": key}},
    "judge": lambda key, path: {"evaluation": EvaluationConfig(judge_config={"deep": [{"er": key}]})},
    "prompt": lambda key, path: {
        "generation": GenerationConfig(
            generator="builtin/demo_generator", prompt_spec=PromptSpec(instructions=f"use {key}")
        )
    },
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:6])
def test_a_literal_key_is_refused_and_nothing_is_stored(place: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    fields: dict[str, Any] = {
        "generation": GenerationConfig(generator="builtin/demo_generator"),
        "datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x"}]),
        "storage": StorageConfig(store="sqlite", parameters={"path": str(path)}),
    }
    experiment = Experiment(**{**fields, **PLACES[place](key, path)})
    with pytest.raises(LiteralSecretError) as caught:
        experiment.run()
    assert key not in str(caught.value)
    assert "environment variable" in str(caught.value)
    assert not path.exists()


@given(strategies.json_values(), st.sampled_from(KEYS))
def test_a_key_is_found_wherever_it_stands(value: Any, key: str) -> None:
    assert list(find_secrets({"outer": [value, {"inner": key}]}))[-1].endswith("[1].inner")


@pytest.mark.parametrize("name", ["api_key", "OPENAI_API_KEY", "password", "authorization", "hf-access-token"])
def test_a_named_field_counts_whatever_its_value_looks_like(name: str) -> None:
    assert list(find_secrets({name: "x"})) == [f"$.{name}"]
    assert list(find_secrets({name: "${oc.env:SOME_NAME}"})) == []
    assert list(find_secrets({name: ""})) == []


@given(st.text())
def test_ordinary_text_survives_redaction(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:6])
def test_redaction_leaves_no_key(key: str) -> None:
    secret = "hunter2" if "hunter2" in key else key.removeprefix("Bearer ")
    assert secret not in redact(f"the call with {key} failed")


HARMLESS = [
    *("task-force", "sk-learn", "the token count is 12", "user@example.org", "https://x.org/a:b"),
    *("sk-learn-compatible-api-for-everyone", "xai-grok-2-vision-1212-latest-2024", "pplx-70b-online-chat-model"),
    *("bearer of good news and tidings", "nvapi-nemotron-super-49b-v1.5-2025-07-25"),
    "https://host/v1?language_code=en&page_token_limit=3",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_words_are_no_keys(text: str) -> None:
    assert list(find_secrets({"note": text})) == []
    assert redact(text) == text


WORDS = st.sampled_from(
    ["grok", "vision", "latest", "instruct", "3", "70b", "2024", "preview", "Turbo", "v1.5", "online"]
)


@given(st.sampled_from(["sk-", "xai-", "pplx-", "gsk_", "nvapi-", "r8_"]), st.lists(WORDS, min_size=1, max_size=9))
def test_a_name_made_of_words_is_no_key_whatever_it_begins_with(prefix: str, words: list[str]) -> None:
    assert list(find_secrets({"model": prefix + "-".join(words)})) == []


@given(
    st.sampled_from(["sk-", "sk-proj-", "xai-", "pplx-", "gsk_", "nvapi-"]),
    st.text(string.ascii_letters + string.digits, min_size=40, max_size=60),
)
def test_a_random_tail_makes_a_key(prefix: str, tail: str) -> None:
    assume(re.search("[0-9]", tail) and re.search("[A-Za-z]", tail))
    assert list(find_secrets({"model": f"use {prefix}{tail} please"})) == ["$.model"]


RANDOM = "a1B2c3D4" + "e5F6g7H8i9J0"


@pytest.mark.parametrize("name", ["token", "hf_token", "auth", "key", "X-Token", "pat", "secret", "cookie"])
def test_a_name_that_may_say_so_counts_where_the_value_looks_like_one(name: str) -> None:
    assert list(find_secrets({"extra": {name: RANDOM}})) == [f"$.extra.{name}"]
    for harmless in ("a game show", "", "${oc.env:TOKEN}", "Bearer ${oc.env:TOKEN}", "[secret]"):
        assert list(find_secrets({"extra": {name: harmless}})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("stop_token", RANDOM), ("key", "0123456789abcdef" * 2), ("dataset_key", "train")),
        *(("secret", "a game show"), ("token", "</s>"), ("language_code", RANDOM), ("keyboard", RANDOM)),
    ],
)
def test_a_name_alone_is_no_credential(name: str, value: str) -> None:
    assert list(find_secrets({name: value})) == []


@pytest.mark.parametrize(
    "query", ["subscription-key", "access-token", "code", "api_key", "sig", "token", "key", "X-Amz-Signature"]
)
def test_a_credential_in_an_address_is_refused(query: str) -> None:
    url = f"https://host.example/v1?v=2&{query}={RANDOM}"
    assert list(find_secrets({"note": f"see {url}"})) == ["$.note"]
    assert RANDOM not in redact(url)
    with pytest.raises(LiteralSecretError) as caught:
        adapters.openai("m", base_url=url)
    assert RANDOM not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Ocp-Apim-Subscription-Key": "abc"}},
        {"headers": {"X-Auth-Token": "abc"}},
        {"headers": {"X-Team": "sk-" + "proj-" + RANDOM}},
        {"extra": {"token": RANDOM}},
        {"extra": {"provider": {"api_key": "abc"}}},
    ],
)
def test_a_literal_credential_in_a_models_options_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(LiteralSecretError) as caught:
        adapters.openai("m", **options)
    assert RANDOM not in str(caught.value)


class Holding:
    """An author's component that holds what it should not, under names that say so."""

    component_id = "lab/holding"
    version = "1"

    def __init__(self, secret: str) -> None:
        self.api_key = secret
        self._headers = {"X-Auth-Token": secret, "accept": "text"}
        self.headers = {"authorization": f"Basic {secret}"}
        self.command = ["serve", "--api-key", secret]
        self.url = f"https://me:{secret}@host/v1?key={secret}"

    def generate(self, case: Any, ctx: Any) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="x")


@pytest.mark.parametrize("store", ["sqlite", "jsonl"])
def test_no_credential_that_a_component_holds_is_at_rest(store: str, tmp_path: Path) -> None:
    secret = "hunter2" + "Zq9"
    storage = StorageConfig(store=store, parameters={"path": str(tmp_path / "store")})
    rows = [{"input": "x", "expected_output": "x"}]
    result = evaluate(model=Holding(secret), data=rows, metric="builtin/exact_match", storage=storage)
    assert result.snapshot.descriptions["generator"]
    write_bundle(result.store, result.run_id, "generation", tmp_path / "bundle.json")
    reporter = Reporter(result.store)
    for kind in ("json", "markdown", "html", "latex"):
        (tmp_path / kind).write_text(getattr(reporter, f"export_{kind}")(result.run_id), encoding="utf-8")
    result.store.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"lab/holding" in path.read_bytes() for path in files)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
