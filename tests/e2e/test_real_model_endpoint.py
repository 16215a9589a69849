"""A real model behind a real server: both protocols, log-probabilities, concurrency, determinism, and judging.

Needs a server on loopback that speaks OpenAI's protocols (`REAL_MODEL_URL`, by default port 8081), with four slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from tests.e2e.real_model import URL, needs_server

from themis import RuntimeConfig, adapters, evaluate
from themis.effects.providers.http import pooled_clients
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult

COUNTRIES = ("France", "Italy", "Spain", "Japan", "Egypt", "Peru", "Norway", "Kenya")

pytestmark = [pytest.mark.real_model, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _server() -> None:
    needs_server()


def model(**options: Any) -> Any:
    settings = {"api": "completions", "temperature": 0.0, "max_tokens": 12, "seed": 7, "stop": "\n", **options}
    return adapters.openai("gemma-3-270m", base_url=URL, **settings)


def rows() -> list[dict[str, Any]]:
    return [{"case_id": name, "input": f"The country {name} lies on the continent of"} for name in COUNTRIES]


def context(name: str) -> GenerateContext:
    return GenerateContext(
        run_id="r", case_id=name, dataset_id="d", case_key=f"d/{name}", candidate_id=f"{name}:0", seed=7
    )


def ask(asked: Any, text: str) -> GenerationResult:
    result: GenerationResult = trio.run(asked.generate, Case(case_id="a", input=text), context("a"))
    return result


def facts(result: GenerationResult) -> Mapping[str, Any]:
    return result.to_dict()["artifacts"]  # type: ignore[no-any-return]  # an object, as the assertions below show


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_both_protocols_answer_with_all_that_is_recorded(api: str) -> None:
    result = ask(model(api=api), "The opposite of hot is")
    artifacts = facts(result)
    print(api, repr(result.final_output), artifacts["finish_reason"], dict(result.token_usage or {}))
    assert isinstance(result.final_output, str)
    assert artifacts["finish_reason"] in {"stop", "length"}
    assert artifacts["model"]
    assert artifacts["request"]["seed"] == 7
    assert artifacts["transport"]["response_id"]
    assert result.token_usage is not None
    assert result.token_usage["prompt_tokens"] > 0
    assert (result.latency_ms or 0) > 0


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_log_probabilities_come_back_for_every_token(api: str) -> None:
    result = ask(model(api=api, logprobs=2, stop=None, max_tokens=5), "One, two, three,")
    tokens = facts(result)["logprobs"]
    entries = tokens["content"] if isinstance(tokens, Mapping) else tokens
    print(api, [(entry["token"], round(entry["logprob"], 3)) for entry in entries])
    assert len(entries) == (result.token_usage or {})["completion_tokens"]
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 2 for entry in entries)


def test_four_slots_answer_side_by_side() -> None:
    asked, under_way, most = model(max_tokens=24, stop=None), 0, 0

    async def one(name: str) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        result = await asked.generate(Case(case_id=name, input=f"A story about {name}:"), context(name))
        assert result.final_output
        under_way -= 1

    async def main() -> None:
        async with pooled_clients(), trio.open_nursery() as nursery:
            for name in COUNTRIES[:4]:
                nursery.start_soon(one, name)

    trio.run(main)
    assert most == 4


def test_the_same_seed_at_temperature_0_gives_the_same_digest_twice() -> None:
    # One call at a time and no reuse of earlier calls' cache: slots that work side by side share one matrix product,
    # and llama.cpp's rounding depends on who else is in it.
    asked = model(extra={"cache_prompt": False})
    data = [{**row, "expected_output": "Europe"} for row in rows()]
    digests = set()
    for _ in range(2):
        result = evaluate(model=asked, data=data, metric="builtin/f1", runtime=RuntimeConfig(max_concurrent_tasks=1))
        print([case.generated_candidates[0].final_output for case in result.cases], result.digest)
        digests.add(result.digest)
    assert len(digests) == 1


def test_a_judge_that_answers_beside_the_point_gives_errors_and_no_scores() -> None:
    result = evaluate(
        model=model(),
        data=rows(),
        metric="builtin/llm_rubric",
        judge=model(max_tokens=16, stop=None),
        workflow_overrides={"rubric": "The answer names the right continent."},
        runtime=RuntimeConfig(max_concurrent_tasks=4),
    )
    counts = result.benchmark.outcome_counts["builtin/llm_rubric"]
    print(dict(counts), {str(k): v for k, v in result.benchmark.error_counts.items()})
    assert result.completed_through_stage == "judge"
    assert sum(counts.values()) == len(COUNTRIES)
    executions = [case.evaluation_executions[0] for case in result.cases]
    assert all(execution.judge_responses for execution in executions)
    print([execution.judge_responses[0].raw_response for execution in executions][:2])
    # A verdict that can't be read is an error of its case; none is taken for a number.
    unusable = sum(bool(execution.failures) for execution in executions)
    assert counts["error"] == unusable > 0
    assert not any(execution.scores for execution in executions if execution.failures)
