"""One real model, in this process and behind a server: the same answers, the same choices.

Needs llama-cpp-python (the extra `llama-cpp`), a GGUF file (`REAL_MODEL_FILE`, by default where a real model was put
together), and for what is compared llama.cpp's server with the same file (`REAL_MODEL_URL`, by default port 8081).

What is the same: short greedy answers, and choices by log-likelihood. What is not: the last digits. Two builds of
llama.cpp sum up in other orders, and its server uses flash attention by default, which moves the log-probabilities of a
4-bit model of this size by some tenths: a long greedy answer goes another way where two tokens are that close.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.real_model import URL, needs_server

from themis import Experiment, PromptSpec, RuntimeConfig, adapters, evaluate
from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case, Dataset

FILE = Path(os.environ.get("REAL_MODEL_FILE", "~/.cache/real-model/model.gguf")).expanduser()
CONTINENTS = {
    "France": "Europe",
    "Italy": "Europe",
    "Spain": "Europe",
    "Japan": "Asia",
    "Egypt": "Africa",
    "Peru": "South America",
    "Norway": "Europe",
    "Kenya": "Africa",
}
CHOICES = ["Europe", "Asia", "Africa", "South America"]
SETTINGS: dict[str, Any] = {"api": "completions", "temperature": 0.0, "max_tokens": 4, "seed": 7, "stop": "\n"}
ONE_AT_A_TIME = RuntimeConfig(max_concurrent_tasks=1)

pytestmark = [pytest.mark.real_model, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _model() -> None:
    pytest.importorskip("llama_cpp", reason="needs the extra llama-cpp: pip install 'themis-evals[llama-cpp]'")
    if not FILE.exists():
        pytest.skip(f"no model in {FILE}")


@pytest.fixture
def _server() -> None:
    needs_server()


def in_process(**options: Any) -> Any:
    return adapters.llama_cpp(str(FILE), **{**SETTINGS, **options})


def over_http(**options: Any) -> Any:
    return adapters.openai("gemma-3-270m", provider="llamacpp", base_url=URL, **{**SETTINGS, **options})


@pytest.mark.usefixtures("_server")
def test_answers_in_process_and_over_http_have_the_same_digest_at_temperature_0() -> None:
    rows = [
        {"case_id": name, "input": f"The country {name} lies on the continent of", "expected_output": continent}
        for name, continent in CONTINENTS.items()
    ]
    digests = []
    for model in (in_process(), over_http(extra={"cache_prompt": False})):
        result = evaluate(model=model, data=rows, metric="builtin/contains", runtime=ONE_AT_A_TIME)
        print(model.component_id, [case.generated_candidates[0].final_output for case in result.cases], result.digest)
        digests.append(result.digest)
    assert digests[0] == digests[1]


@pytest.mark.usefixtures("_server")
def test_choices_by_log_likelihood_are_the_same_in_process_and_over_http() -> None:
    chosen, logprobs = [], []
    for model in (in_process(), over_http()):
        result = choice_run(model).run()
        found = [case.generated_candidates[0].final_output for case in result.cases]
        chosen.append([case.parsed_output.value for case in result.cases if case.parsed_output is not None])
        logprobs.append([one["logprob"] for answer in found for one in answer])  # type: ignore[index, union-attr, call-overload]
        mean = result.benchmark.metric_means["builtin/exact_match"]
        print(model.component_id, chosen[-1], mean)
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == len(CONTINENTS)
    apart = max(abs(one - other) for one, other in zip(*logprobs, strict=True))
    print(f"log-probabilities are at most {apart:.3f} nats apart")
    assert apart < 1.0


def choice_run(model: Any) -> Experiment:
    cases = [
        Case(
            case_id=name,
            input={"text": f"The country {name} lies on the continent of ", "choices": CHOICES},
            expected_output="ABCD"[CHOICES.index(continent)],
        )
        for name, continent in CONTINENTS.items()
    ]
    return Experiment(
        datasets=[Dataset(dataset_id="continents", cases=cases)],
        generation=GenerationConfig(generator=model, prompt_spec=PromptSpec(continuations="choices")),
        evaluation=EvaluationConfig(parsers="builtin/likeliest", metrics="builtin/exact_match"),
        runtime=ONE_AT_A_TIME,
    )


def said(model: Any, text: str, seed: int = 7) -> str:
    ctx = GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=seed)
    return str(model.generate(Case(case_id="a", input=text), ctx).final_output)


def test_a_seed_decides_and_a_greedy_answer_is_a_greedy_continuation() -> None:
    drawn = in_process(temperature=1.0, seed=None, max_tokens=8)
    answers = [said(drawn, "Once upon a", seed) for seed in (1, 1, 2, 3)]
    assert answers[0] == answers[1]
    assert len(set(answers)) > 1
    greedy = in_process(stop=None, max_tokens=3)
    text = said(greedy, "The opposite of hot is")
    (found,) = greedy.loglikelihood("The opposite of hot is", [text]).continuations
    assert (found.is_greedy, found.tokens) == (True, 3)


def test_log_likelihoods_add_up_along_a_text() -> None:
    model = in_process()
    (whole,) = model.loglikelihood("The capital of France is", [" Paris, the largest city"]).continuations
    (first,) = model.loglikelihood("The capital of France is", [" Paris"]).continuations
    (rest,) = model.loglikelihood("The capital of France is Paris", [", the largest city"]).continuations
    assert whole.logprob == pytest.approx(first.logprob + rest.logprob, abs=0.2)
    assert whole.tokens == first.tokens + rest.tokens
    assert model.loglikelihood("", ["The"]).continuations[0].logprob < 0
