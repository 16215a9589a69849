"""Log-likelihoods over a socket: every way gives what the model in process gives, or a failure, and never a 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import Experiment, PromptSpec, RuntimeConfig, adapters
from themis.api.components import resolve_component
from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.pure.calls import ProviderError
from themis.pure.errors import SpecError
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.likelihoods import LogLikelihoods
from themis.testing.bigram import bigram_model
from themis.testing.endpoint import Answer, Drop, FakeEndpoint, Reject, Say, Truncate

WAYS = ["openai", "vllm", "llamacpp"]
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint() as open_endpoint:
        yield open_endpoint


def model(way: str, endpoint: FakeEndpoint, **options: Any) -> Any:
    settings = {"base_url": endpoint.base_url, "api": "completions", "key_needed": False, **options}
    return adapters.from_model_string(f"{way}/tiny", **settings)


def ask(asked: Any, context: str, *continuations: str) -> LogLikelihoods:
    found: LogLikelihoods = trio.run(asked.loglikelihood, context, continuations)
    return found


texts = st.text("ab the\nß", max_size=8)


@every_way
@settings(max_examples=25)
@given(texts, st.lists(texts.filter(bool), min_size=1, max_size=4))
def test_every_way_gives_what_the_model_gives_in_process(
    way: str, endpoint: FakeEndpoint, context: str, continuations: list[str]
) -> None:
    try:
        wanted = bigram_model().loglikelihood(context, continuations)
    except SpecError:
        with pytest.raises((ProviderError, SpecError)):
            ask(model(way, endpoint), context, *continuations)
        return
    if way != "llamacpp" and not context.strip() and not "".join(continuations).isascii():
        return  # a token that is half a letter does not tell where a text begins
    found = ask(model(way, endpoint), context, *continuations)
    assert found.continuations == wanted.continuations
    assert (found.token_usage or {})["prompt_tokens"] > 0


@every_way
def test_a_dropped_call_is_made_again_and_what_came_is_the_same(way: str) -> None:
    plays = iter([Drop(), Reject(status=503, retry_after="0")])
    with FakeEndpoint(script=lambda _: next(plays, Answer())) as flaky:
        result = choices(model(way, flaky), generation_retry_attempts=3, generation_retry_delay=0.001).run()
    with FakeEndpoint() as steady:
        again = choices(model(way, steady)).run()
    assert [chosen(case) for case in result.cases] == [chosen(case) for case in again.cases]
    assert result.progress.failed_cases == 0


@every_way
@pytest.mark.parametrize(
    "play",
    [
        Say(body={"choices": [{"index": 0, "text": " yes", "finish_reason": "length"}]}),
        Say(body={"object": "text_completion", "choices": []}),
        Say(body={"error": {"message": "echo is not supported", "code": 400}}),
        Say(body={"tokens": [0, 5], "content": " yes", "completion_probabilities": []}),
        Say(body={"choices": [{"text": " yes"}] * 3}),
        Say(body={"choices": [{"index": i, "prompt_logprobs": [None, i]} for i in range(3)]}),
        Say(body={"choices": [1, 2, 3], "tokens": 4}),
        Say(body=[1]),
        Truncate(),
        Reject(status=400),
    ],
)
def test_a_server_that_says_nothing_of_a_prompt_is_a_failure(way: str, play: Any) -> None:
    with FakeEndpoint(script=lambda _: play) as broken, pytest.raises((ProviderError, SpecError)):
        ask(model(way, broken), "Is it?", " yes", " no")


@pytest.mark.parametrize("way", ["openai", "vllm"])
def test_all_continuations_are_asked_about_in_one_request(way: str) -> None:
    with FakeEndpoint() as open_endpoint:
        ask(model(way, open_endpoint), "the rain ", "a", "theory", "b")
    (served,) = open_endpoint.log
    body = served.request.json()
    assert body["prompt"] == ["the rain", "the rain a", "the rain theory", "the rain b"]
    assert (body["max_tokens"], body["temperature"]) == (1, 0)
    assert body.get("echo", False) is (way == "openai")
    assert ("prompt_logprobs" in body) is (way == "vllm")


def test_llama_cpp_is_asked_at_its_own_addresses_for_one_token_at_a_time() -> None:
    with FakeEndpoint() as open_endpoint:
        ask(model("llamacpp", open_endpoint), "the", " a", "b")
    paths = [served.request.path for served in open_endpoint.log]
    assert set(paths[:4]) == {"/tokenize"}
    assert paths[4:] == ["/completion"] * 2
    assert open_endpoint.log[-1].request.json()["n_predict"] == 1


@pytest.mark.parametrize("build", [adapters.anthropic, lambda name, **o: adapters.openai(name, api="chat", **o)])
def test_protocols_without_them_have_no_such_method(build: Any, endpoint: FakeEndpoint) -> None:
    assert getattr(build("m", base_url=endpoint.base_url), "loglikelihood", None) is None


def test_batches_are_refused_by_name(endpoint: FakeEndpoint, tmp_path: Any) -> None:
    run = choices(model("openai", endpoint), generation_mode="batch", batch_root=str(tmp_path))
    with pytest.raises(SpecError, match=r"log-likelihoods .* are not asked for in batches"):
        run.run()


# --- whole runs -------------------------------------------------------------------------------------------

QUESTIONS = ["the rain", "a theory of the end", "in the ", "so", "ab"]


def choices(asked: Any, **runtime: Any) -> Experiment:
    rows = [
        Case(case_id=str(i), input={"question": text, "choices": [" rain", "ory", " a b"]}, expected_output=i % 3)
        for i, text in enumerate(QUESTIONS)
    ]
    return Experiment(
        datasets=[Dataset(dataset_id="mc", cases=rows)],
        generation=GenerationConfig(generator=asked, prompt_spec=PromptSpec(continuations="choices")),
        evaluation=EvaluationConfig(
            parsers=resolve_component("builtin/likeliest", gives="index"),
            metrics=["builtin/exact_match", "builtin/likeliest_choice", "builtin/right_probability"],
        ),
        runtime=RuntimeConfig(**runtime),
    )


def chosen(case: Any) -> Any:
    return (case.parsed_output.value, [score.value for score in case.scores])


def test_a_run_in_process_and_one_over_http_have_the_same_digest(endpoint: FakeEndpoint) -> None:
    in_process = choices(bigram_model(batch_size=2)).run()
    over_http = choices(model("llamacpp", endpoint)).run()
    assert in_process.digest == over_http.digest


@every_way
def test_the_choices_are_the_same_whatever_the_way(way: str, endpoint: FakeEndpoint) -> None:
    wanted = [chosen(case) for case in choices(bigram_model()).run().cases]
    found = choices(model(way, endpoint)).run()
    assert [chosen(case) for case in found.cases] == wanted
    assert found.progress.failed_cases == 0
