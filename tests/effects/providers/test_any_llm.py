"""any-llm's clients against the scripted endpoint: requests, answers, and every failure as one of ours."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import trio

from themis import RuntimeConfig, adapters, evaluate
from themis.effects.providers.any_llm import AnyLLMModel, _failure, build_any_llm
from themis.pure.calls import CallFailed, CallFailure, FailureKind, ProviderError, classify
from themis.pure.errors import MissingExtraError, SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.testing.endpoint import Drip, Drop, FakeEndpoint, Play, Reject, Say, Truncate, by_attempt
from themis.testing.endpoint_protocols import REASONING

CONTEXT = GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=5)
KEY = "sk-any-llm-test-key"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)


def at(endpoint: FakeEndpoint, **options: Any) -> AnyLLMModel:
    return build_any_llm("openai:tiny", base_url=endpoint.base_url, **{"api_key_env": "MY_KEY", **options})


def ask(value: Any = "hello world", play: Play | None = None, **options: Any) -> tuple[GenerationResult, FakeEndpoint]:
    with FakeEndpoint(script=None if play is None else lambda _: play) as endpoint:
        result = trio.run(at(endpoint, **options).generate, Case(case_id="a", input=value), CONTEXT)
    return result, endpoint


def failure(play: Play, value: Any = "hello world", **options: Any) -> CallFailure:
    with pytest.raises(ProviderError) as caught:
        ask(value, play, **options)
    return caught.value.failure


def test_a_request_holds_options_and_the_candidates_seed_and_the_key_is_sent() -> None:
    result, endpoint = ask(temperature=0.5, max_tokens=7, stop=["."], extra={"user": "me"})
    (served,) = endpoint.log
    sent = served.request.json()
    asked = {"model": "tiny", "temperature": 0.5, "stop": ["."], "seed": 5, "user": "me"}
    assert {name: sent[name] for name in asked} == asked
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert served.request.headers["authorization"] == f"Bearer {KEY}"
    assert result.final_output == "echo: hello world"
    facts: Any = result.to_dict()["artifacts"]
    assert (facts["finish_reason"], facts["model"], facts["request"]["seed"]) == ("stop", "tiny", 5)
    usage = result.token_usage or {}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_a_stated_seed_is_that_of_every_call() -> None:
    _, endpoint = ask(seed=11)
    assert endpoint.log[0].request.json()["seed"] == 11


def test_reasoning_is_beside_the_answer_and_calls_are_read() -> None:
    thought, _ = ask("THINK hard")
    facts: Any = thought.to_dict()["artifacts"]
    assert (thought.final_output, facts["reasoning"]) == ("echo: THINK hard", REASONING)
    called, _ = ask({"text": "x", "tools": [TOOL]})
    output: Any = called.to_dict()["final_output"]
    assert output["tool_calls"] == [{"name": "look_up", "arguments": {"text": "echo: x"}}]


def test_a_cut_off_answer_says_so_and_a_refusal_is_nobodys() -> None:
    cut, _ = ask(max_tokens=1)
    facts: Any = cut.to_dict()["artifacts"]
    assert (cut.final_output, facts["finish_reason"]) == ("echo:", "length")
    with FakeEndpoint() as endpoint, pytest.raises(ProviderError) as caught:
        trio.run(at(endpoint).generate, Case(case_id="a", input="REFUSE this"), CONTEXT)
    assert caught.value.failure.kind is FailureKind.REFUSAL


@pytest.mark.parametrize(
    ("play", "status", "retryable", "fatal"),
    [
        (Reject(status=401), 401, False, True),
        (Reject(status=402), 402, False, True),
        (Reject(status=404, code="model_not_found"), 404, False, True),
        (Reject(status=429, retry_after="3"), 429, True, False),
        (Reject(status=429, code="insufficient_quota"), 429, False, True),
        (Reject(status=400), 400, False, False),
        (Reject(status=500), 500, True, False),
        (Reject(status=503), 503, True, False),
    ],
)
def test_a_status_is_classified_as_of_any_endpoint(play: Play, status: int, retryable: bool, fatal: bool) -> None:
    found = failure(play)
    diagnosis = classify(found)
    assert (found.status, diagnosis.retryable, diagnosis.fatal) == (status, retryable, fatal)
    assert found.retry_after_s == (3.0 if isinstance(play, Reject) and play.retry_after else None)


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (Drop(), FailureKind.CONNECTION),
        (Drip(interval_s=5), FailureKind.TIMEOUT),
        (Truncate(), FailureKind.MALFORMED),
        (Say(body={"choices": []}), FailureKind.MALFORMED),
        (Say(body={"error": {"code": 503, "message": "busy"}}), FailureKind.MALFORMED),
        (Say(body={}), FailureKind.MALFORMED),
    ],
)
def test_what_is_no_answer_is_a_failure_that_is_asked_again(play: Play, kind: FailureKind) -> None:
    found = failure(play, total_timeout_s=0.5 if kind is FailureKind.TIMEOUT else 30.0)
    assert (found.kind, classify(found).retryable) == (kind, True), found


def test_a_server_that_echoes_the_key_does_not_spread_it() -> None:
    found = failure(Reject(status=401, message=f"Incorrect API key provided: {KEY}"))
    assert KEY not in found.message
    assert "Incorrect API key" in found.message


def test_a_call_is_one_attempt() -> None:
    """The SDKs behind the library ask again by themselves unless told not to."""
    with FakeEndpoint(script=lambda _: Reject(status=503)) as endpoint, pytest.raises(ProviderError):
        trio.run(at(endpoint).generate, Case(case_id="a", input="x"), CONTEXT)
    assert len(endpoint.log) == 1


def test_a_failed_call_is_asked_again_by_the_run() -> None:
    with FakeEndpoint(script=by_attempt(Reject(status=503), Reject(status=503))) as endpoint:
        result = evaluate(
            model=at(endpoint),
            data=[{"input": "x", "expected_output": "echo: x"}],
            metric="builtin/exact_match",
            runtime=RuntimeConfig(generation_retry_attempts=3, generation_retry_delay=0.0),
        )
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 1
    assert len(endpoint.log) == 3


def test_it_judges_too() -> None:
    from themis.pure.records.judging import RenderedJudgePrompt

    with FakeEndpoint() as endpoint:
        model = at(endpoint, component_id="any-llm/judge")
        prompt = RenderedJudgePrompt(prompt_id="p", content="good?")
        response = trio.run(lambda: model.judge(prompt, seed=3))
    assert (response.judge_model_id, response.raw_response, response.effective_seed) == (
        "any-llm/judge",
        "echo: good?",
        3,
    )


# --- refused before anything runs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tiny", {}, "PROVIDER:MODEL expected"),
        ("openai:", {}, "PROVIDER:MODEL expected"),
        ("opanai:tiny", {}, "did you mean openai"),
        ("openai:tiny", {"temperature": "hot"}, "temperature: a finite number expected"),
        ("openai:tiny", {"ca_file": "x.pem"}, "ca_file: any-llm has no such option"),
        ("openai:tiny", {"colour": 1}, "unknown option 'colour'"),
        ("openai:tiny", {"extra": {"stream": True}}, "extra.stream"),
        (
            "openai:tiny",
            {"extra": {"api_key": "sk-0123456789abcdefghij0123456789"}},
            "holds a credential.*extra.api_key",
        ),
        ("openai:tiny", {"base_url": "http://me:hunter2-Xy7@a/v1"}, "base_url: the address .* contains a credential"),
        ("openai:tiny", {"base_url": "http://a/v1?api_key=abc"}, "base_url: the address .* contains a credential"),
        ("openai:tiny", {"base_url": "a/v1"}, "base_url: an address like"),
    ],
)
def test_what_can_not_be_is_refused_when_it_is_named(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        adapters.from_model_string(f"any-llm/{name}", **options)


def test_a_missing_key_stops_the_run_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY")
    monkeypatch.delenv("COHERE_API_KEY", raising=False)
    with FakeEndpoint() as endpoint:
        with pytest.raises(SpecError, match="MY_KEY is not set"):
            evaluate(model=at(endpoint), data=[{"input": "x", "expected_output": "y"}], metric="builtin/exact_match")
        assert not endpoint.log
    (fault,) = build_any_llm("openai:tiny").check() or [""]
    assert "OPENAI_API_KEY" in fault


def test_the_missing_extra_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "any_llm", None)
    with pytest.raises(MissingExtraError, match=r"themis-evals\[any-llm\]"):
        adapters.from_model_string("any-llm/openai:tiny")


def test_a_dead_key_stops_a_run_at_once() -> None:
    data = [{"input": str(number), "expected_output": "y"} for number in range(50)]
    with FakeEndpoint(script=lambda _: Reject(status=401)) as endpoint, pytest.raises(CallFailed) as caught:
        evaluate(model=at(endpoint), data=data, metric="builtin/exact_match")
    assert caught.value.fatal
    assert len(endpoint.log) <= 8


# --- identity ---------------------------------------------------------------------------------------------


def test_what_decides_about_answers_is_in_the_fingerprint_and_the_key_is_not() -> None:
    one = build_any_llm("openai:tiny", base_url="http://a/v1", api_key_env="MY_KEY")
    prints = {
        model.fingerprint()
        for model in (
            one,
            build_any_llm("openai:tiny", base_url="http://b/v1"),
            build_any_llm("openai:tiny", base_url="http://a/v1", temperature=0.0),
            build_any_llm("openrouter:tiny", base_url="http://a/v1"),
            build_any_llm("openai:other", base_url="http://a/v1"),
        )
    }
    assert len(prints) == 5
    assert one.fingerprint() == build_any_llm("openai:tiny", base_url="http://a/v1", api_key_env="ELSE").fingerprint()
    assert one.component_id == "any-llm/openai:tiny"
    assert one.describe()["api"] == "any-llm:openai"


def test_a_config_says_all_of_it() -> None:
    from themis.api.config.write import _candidates

    options = {"base_url": "http://a/v1", "api_key_env": "MY_KEY", "temperature": 0.5, "component_id": "mine"}
    model = build_any_llm("openai:tiny", **options)
    (name, written), *_ = _candidates(model)
    assert name == "any-llm/openai:tiny"
    assert adapters.from_model_string(name, **written) == model
    assert {option: written[option] for option in options} == options


def test_exceptions_that_state_no_status_are_told_by_their_kind() -> None:
    from any_llm import exceptions

    for name, status in {
        "InsufficientFundsError": 402,
        "GatewayTimeoutError": 504,
        "UpstreamProviderError": 502,
    }.items():
        assert _failure(getattr(exceptions, name)("x")).status == status
    assert _failure(exceptions.ContentFilterError("no")).kind is FailureKind.REFUSAL
    assert _failure(ValueError("odd")).kind is FailureKind.MALFORMED
