"""Which model answered, by the servers' own word, in every report."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    GenerationResult,
    InMemoryRunStore,
    Reporter,
    evaluate,
)
from themis.api.runs.report import read_report, result_data, result_table
from themis.pure.components.judges import BestOfN, DemoJudge, LlmRubric
from themis.pure.records.judging import JudgeResponse
from themis.pure.report.served import ServedModels, is_model


@attrs.frozen
class Served:
    """A model whose server says a name of its own: that of the case's input."""

    model: str = "gpt-4o"
    component_id: str = "lab/served"
    version: str = "1"

    def generate(self, case: Case, ctx: Any) -> GenerationResult:
        said = {} if case.input == "nothing" else {"model": case.input}
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="ok", artifacts=said)


@attrs.frozen
class ServedJudge:
    model: str = "judge-1"
    component_id: str = "lab/judge"
    version: str = "1"

    async def judge(self, prompt: Any, *, seed: int | None = None) -> JudgeResponse:
        said = await DemoJudge().judge(prompt, seed=seed)
        return said.evolve(judge_model_id=self.component_id, artifacts={"model": "judge-1-0613"})


def result_of(*said: str, **more: Any) -> Any:
    fields = {"model": Served(), "metric": "builtin/exact_match", "store": InMemoryRunStore(), **more}
    return evaluate(data=[{"input": name, "expected_output": "ok"} for name in said], **fields)


DATED = "gpt-4o-2024-08-06"


def test_names_are_counted_over_the_run_and_one_that_was_not_asked_for_is_seen() -> None:
    result = result_of(*[DATED] * 3, "gpt-4o-mini", "nothing")
    (served,) = read_report(result.view).served
    assert served == ServedModels(
        component_id="lab/served", asked="gpt-4o", models={DATED: 3, "gpt-4o-mini": 1}, unstated=1
    )
    assert str(served) == f"{DATED} (3 answers), gpt-4o-mini (1 answer), no name (1 answer)"
    assert served.others == ("gpt-4o-mini",)
    reporter = Reporter(result.store)
    reports = [getattr(reporter, f"export_{kind}")(result.run_id) for kind in ("markdown", "html", "latex")]
    for text in (*reports, result_table(result)):
        plain = text.replace("{-}", "-").replace("\\", "")
        assert f"{DATED} (3 answers)" in plain
        assert "gpt-4o was asked for" in " ".join(plain.split())
    (data,) = json.loads(reporter.export_json(result.run_id))["served_models"]
    assert (data["models"], data["not_asked_for"]) == ({DATED: 3, "gpt-4o-mini": 1}, ["gpt-4o-mini"])
    assert result_data(result)["served_models"] == [data]


def test_judges_are_counted_too_and_nothing_is_said_where_no_server_says_anything() -> None:
    result = result_of(DATED, DATED, metric=LlmRubric(scale=(1.0, 5.0)), judge=ServedJudge(), samples=2)
    assert [(each.component_id, str(each), each.others) for each in read_report(result.view).served] == [
        ("lab/served", f"{DATED} (4 answers)", ()),
        ("lab/judge", "judge-1-0613 (4 answers)", ()),
    ]
    selected = Experiment(
        generation=GenerationConfig(
            generator=Served(), candidate_policy={"num_samples": 2}, selector=BestOfN(), reducer="builtin/first"
        ),
        evaluation=EvaluationConfig(metrics="builtin/exact_match", judge_models=ServedJudge()),
        datasets=Dataset(dataset_id="d", cases=[{"case_id": "1", "input": DATED, "expected_output": "ok"}]),
    ).run(store=InMemoryRunStore())
    assert [each.component_id for each in read_report(selected.view).served] == ["lab/served", "lab/judge"]
    silent = result_of("nothing")
    assert read_report(silent.view).served == ()
    assert "server says" not in result_table(silent)


@pytest.mark.parametrize(
    ("stated", "asked", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4-0613", "gpt-4", True),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet-latest", True),
        ("gemini-1.5-pro-002", "models/gemini-1.5-pro", True),
        ("GPT-4o-2024-08-06", "openai/gpt-4o", True),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4-32k", "gpt-4", False),
        ("llama-3.1", "llama-3", False),
        ("gpt-4", "gpt-4-0613", False),
    ],
)
def test_a_dated_version_is_the_model_and_its_sister_is_not(stated: str, asked: str, same: bool) -> None:
    assert is_model(stated, asked) is same
