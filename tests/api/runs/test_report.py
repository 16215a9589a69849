"""The reporter over stored runs: every format from one run, the same figures, and files whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import attrs
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    PromptSpec,
    RunResult,
    adapters,
    evaluate,
    generator,
)
from themis.api.runs.gates import check_gates, read_gates
from themis.api.runs.report import Reporter, read_report, result_data, result_table
from themis.api.runs.view import RunView
from themis.core import GenerateContext
from themis.pure.errors import MissingExtraError, RunNotFoundError, SpecError
from themis.pure.plan import CaseItem
from themis.pure.projections import Digest
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report import markdown, overview
from themis.pure.report.sample import CaseSample, page_case
from themis.pure.report.table import COLUMNS
from themis.pure.stats import StatsEngine
from themis.testing.endpoint import FakeEndpoint
from themis.testing.hostile import HOSTILE
from themis.testing.pipelines import Pipeline, pipelines


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"case_id": str(i), "input": f"q{i}", "expected_output": str(i), "metadata": {"topic": str(i % 25)}}
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def stored() -> tuple[InMemoryRunStore, str]:
    store = InMemoryRunStore()
    metrics = ["builtin/exact_match", "builtin/f1"]
    return store, evaluate(model="builtin/demo_model", data=rows(60), metric=metrics, store=store).run_id


@given(pipelines())
def test_one_pass_gives_what_the_result_gives(pipeline: Pipeline) -> None:
    store = InMemoryRunStore()
    result = pipeline.experiment().run(store=store)
    overview = read_report(result.view).overview
    assert overview.digest == result.digest
    assert overview.benchmark.evolve(score_rows=()) == result.benchmark.evolve(score_rows=())
    estimates = StatsEngine().aggregate(result.benchmark.score_rows)
    for row in overview.metrics:
        expected = estimates[row.metric_id]
        assert (row.estimate.mean, row.estimate.interval) == (expected.mean, expected.interval)
        assert row.estimate.planned == row.estimate.scored + row.estimate.missing == sum(row.outcomes.values())
        assert row.estimate.missing == row.unparsed - row.estimate.unparsed + row.errored
    assert list(Reporter(store).iter_score_table(result.run_id)) == [
        {name: row.to_dict()[name] for name in COLUMNS} for row in result.benchmark.score_rows
    ]
    text = Reporter(store).export_html(result.run_id, sample=2)
    assert text.startswith("<!doctype html>")
    assert result_data(result)["status"] == result.status.value


def test_rows_go_straight_into_pandas_and_polars(stored: tuple[InMemoryRunStore, str]) -> None:
    table = Reporter(stored[0]).export_score_table(stored[1])
    assert [list(row) for row in table] == [list(COLUMNS)] * 120
    frame, other = pd.DataFrame(table), pl.DataFrame(table, infer_schema_length=None)
    assert frame["value"].mean() == pytest.approx(other["value"].mean())
    assert len(frame) == len(other) == 120


def test_csv_and_parquet_files_say_the_same(stored: tuple[InMemoryRunStore, str], tmp_path: Path) -> None:
    reporter = Reporter(stored[0])
    reporter.write_csv(stored[1], tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_bytes().decode() == reporter.export_csv(stored[1])
    reporter.write_parquet(stored[1], tmp_path / "rows.parquet")
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    read = list(csv.DictReader(io.StringIO(reporter.export_csv(stored[1]), newline="")))
    assert frame.columns == list(COLUMNS)
    assert frame["value"].to_list() == [float(row["value"]) for row in read]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.parquet"]


def test_a_report_that_fails_leaves_the_old_file(stored: tuple[InMemoryRunStore, str], tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(RunNotFoundError):
        Reporter(stored[0]).write_html("nope", target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_parquet_without_its_extra_says_what_to_install(
    stored: tuple[InMemoryRunStore, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"themis-evals\[parquet\]"):
        Reporter(stored[0]).write_parquet(stored[1], tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_named_clusters_are_shown_beside_the_naive_interval(stored: tuple[InMemoryRunStore, str]) -> None:
    data = json.loads(Reporter(stored[0], cluster_by="topic").export_json(stored[1]))
    estimate = data["metrics"]["builtin/exact_match"]
    assert estimate["clusters"] == 25
    assert estimate["naive_interval"]["method"] == "Wilson score"
    assert "clustered" in estimate["interval"]["method"]
    assert (estimate["planned"], estimate["parse_rate"]) == (60, 1.0)


def test_results_are_hashed_only_where_the_digest_is_shown(
    stored: tuple[InMemoryRunStore, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Noted(Digest):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(overview, "Digest", Noted)
    result = evaluate(model="builtin/demo_model", data=rows(6), metric="builtin/exact_match", samples=2)
    assert result.several_answers()
    assert result.by_group("topic")
    assert result.suspicions == ()
    gates = read_gates(["exact_match>=0", "exact_match:pass@2>=0"], "mean", ["builtin/exact_match"], 2)
    assert all(gate.passed for gate in check_gates(gates, result))
    assert "exact_match" in result_table(result)
    assert made == []
    assert result_data(result)["digest"] == made[0].hexdigest() == result.digest


def test_a_large_run_is_sampled_evenly_and_says_so(stored: tuple[InMemoryRunStore, str]) -> None:
    store, run_id = stored
    view = RunView.of(store, run_id)
    sample = CaseSample(60, 10, page_case)
    read_report(view, sample=sample)
    chosen = [json.loads(data) for data in sample.cases()]
    assert len(chosen) == 10
    assert [int(case["case_id"]) for case in chosen] == sorted(int(case["case_id"]) for case in chosen)
    sentence = sample.sentence()
    assert sentence is not None
    assert "10 of 60 cases are listed" in sentence
    assert sentence in Reporter(store).export_html(run_id, sample=10).replace("&#x27;", "'")
    whole = CaseSample(60, None, page_case)
    read_report(view, sample=whole)
    assert (len(list(whole.cases())), whole.sentence()) == (60, None)


def test_a_sample_keeps_nothing_of_the_cases_that_it_does_not_show() -> None:
    looked_at: list[int] = []
    sample = CaseSample(20_000, 10, lambda view: looked_at.append(1))
    view: Any = None
    for number in range(20_000):
        item = CaseItem(Case(case_id=str(number), input="?"), number, "d", f"1:d:{number}", {})
        failed = number % 3 == 0
        facts: dict[str, Any] = {"outcome": "error"} if failed else {"outcome": "correct", "value": 1.0}
        row = BenchmarkScoreRow(case_id="c", dataset_id="d", case_key="k", metric_id="m", **facts)
        sample.add(item, [row], lambda: view)
    assert len(list(sample.cases())) == 10
    assert len(looked_at) < 400  # the lowest ranks so far, of each kind: about 10 (1 + ln(n / 10))
    assert len(sample._errors) + len(sample._others) == 20


SYSTEM = "Answer with the number alone."


@pytest.fixture(scope="module")
def asked() -> tuple[InMemoryRunStore, str]:
    """Return a run whose model recorded what it was sent, and stated what it used."""
    store = InMemoryRunStore()
    cases = [Case(case_id=str(n), input=f"{n} + {n}", expected_output=str(2 * n)) for n in range(9)]
    with FakeEndpoint() as endpoint:
        experiment = Experiment(
            generation=GenerationConfig(
                generator=adapters.openai("tiny", base_url=endpoint.base_url),
                prompt_spec=PromptSpec(instructions=SYSTEM, prefix="Q: ", suffix="\n```\n# not a heading"),
            ),
            evaluation=EvaluationConfig(metrics=["builtin/contains", "builtin/llm_rubric"], judge_models=[OwnJudge()]),
            datasets=Dataset(dataset_id="d", cases=cases),
            runtime={"prices": {"openai/tiny": {"prompt": 1.0, "completion": 2.0}}},
        )
        return store, experiment.run(store=store).run_id


@attrs.frozen
class OwnJudge:
    """A judge that states no usage."""

    component_id: str = "own_judge"
    version: str = "1"

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        return JudgeResponse(judge_model_id=self.component_id, raw_response="Score: 3")


def test_markdown_shows_cases_with_the_messages_that_were_sent(asked: tuple[InMemoryRunStore, str]) -> None:
    text = Reporter(asked[0]).export_markdown(asked[1])
    shown = text.partition("\n## Cases\n")[2]
    assert shown.count("\n### ") == 6
    assert "A sample\\: 6 of 9 cases are listed" in shown
    assert shown.count(f"sent (system)\n\n```\n{SYSTEM}\n```") == 6
    assert "sent (user)\n\n````\nQ: " in shown  # the fence is longer than the one in the text
    assert "llm\\_rubric, overall, own\\_judge\\: answered\n\n```\nScore: 3\n```" in shown
    assert "## Cases" not in Reporter(asked[0]).export_markdown(asked[1], sample=0)


@example("a ````` b")
@given(st.text(st.characters(codec="utf-8")) | st.text("`~\n ") | st.sampled_from(HOSTILE))
def test_no_text_ends_its_block_of_markdown(text: str) -> None:
    fence, *inner, last = markdown.fenced(text).split("\n")
    assert fence == last == "`" * len(fence)
    assert all(len(fence) > run for line in inner for run in map(len, re.findall("`+", line)))
    assert not set("".join(inner)) & {"\x1b", "\x07", "\u202e", "\u2028", "\r"}


def test_costs_name_model_and_judge_apart_and_say_what_they_leave_out(asked: tuple[InMemoryRunStore, str]) -> None:
    prices = {"openai/tiny": {"prompt": 1000.0, "completion": 2000.0}}
    data = json.loads(Reporter(asked[0], prices=prices).export_json(asked[1]))["costs"]
    model, judges = data["rows"]
    assert (model["stage"], model["model"], model["calls"], model["unpriced_calls"]) == (
        "generate",
        "openai/tiny",
        9,
        0,
    )
    assert (judges["stage"], judges["calls"], judges["unstated_calls"], judges["cost"]) == ("judge", 9, 9, None)
    assert (
        data["cost"] == model["cost"] == pytest.approx((model["prompt_tokens"] + 2 * model["completion_tokens"]) / 1e3)
    )
    assert data["is_lower_bound"]
    assert data["notice"] == "no usage stated, nothing counted: own_judge (9 calls)"
    for text in (
        Reporter(asked[0], prices=prices).export_markdown(asked[1], sample=0).replace("\\", ""),
        Reporter(asked[0], prices=prices).export_html(asked[1], sample=0),
        Reporter(asked[0], prices=prices).export_latex(asked[1]).replace("\\", "").replace("{,}", ","),
        result_table(RunResult(snapshot=asked[0].load_snapshot(asked[1]), store=asked[0]), prices=prices),
    ):
        assert f"at least ${data['cost']:.4f}" in text
        assert "no usage stated, nothing counted: own_judge (9 calls)" in " ".join(text.split())


def test_a_run_costs_what_its_own_prices_say(asked: tuple[InMemoryRunStore, str]) -> None:
    costs = json.loads(Reporter(asked[0]).export_json(asked[1]))["costs"]
    model = costs["rows"][0]
    assert model["cost"] == pytest.approx((model["prompt_tokens"] + 2 * model["completion_tokens"]) / 1e6)


def test_nothing_is_said_of_costs_where_all_ran_in_this_process(stored: tuple[InMemoryRunStore, str]) -> None:
    store, run_id = stored
    assert "cost" not in result_table(RunResult(snapshot=store.load_snapshot(run_id), store=store))
    assert "All models ran in this process, for nothing." in Reporter(store).export_markdown(run_id)
    assert json.loads(Reporter(store).export_json(run_id))["costs"]["cost"] == 0.0


def test_latex_is_a_table_of_results_and_not_of_cases(stored: tuple[InMemoryRunStore, str]) -> None:
    text = Reporter(stored[0]).export_latex(stored[1])
    results, settings = text.split(r"\begin{table}")[1:]
    assert r"metric & mean ± stderr & 95\% interval & n \\" in results
    assert sum(line.endswith(r"\\") for line in results.splitlines()) == 3  # the header, and a line for each metric
    assert "How the model was asked" in settings


@given(pipelines())
def test_a_page_holds_what_a_view_of_the_case_holds(pipeline: Pipeline) -> None:
    store = InMemoryRunStore()
    view = RunView.of(store, pipeline.experiment().run(store=store).run_id)
    sample = CaseSample(view.total_cases, None, page_case)
    read_report(view, sample=sample)
    for data, (item, events) in zip(map(json.loads, sample.cases()), view.case_events(), strict=True):
        full = view.in_full(item, events)
        assert (data["case_id"], data["input"]) == (full.case_id, full.input)
        assert [row["outcome"] for row in data["score_rows"]] == [row.outcome for row in full.score_rows]
        shown, result = data["result"], full.result
        outputs = [each.final_output for each in result.generated_candidates]
        assert [each["final_output"] for each in shown.get("generated_candidates", [])] == outputs
        assert [each["error_message"] for each in data.get("history", [])] == [e.error_message for e in full.history]
        assert len(shown.get("judged", [])) == len(shown.get("evaluation_executions", []))
        assert data["result"].get("judged", []) == [name for name in view.plan.judged_ids if name in full.result.judged]
        assert ("parsed_output" in shown) == (result.parsed_output is not None)
        assert not {"case_key", "dataset_id"} & {*data["result"], *(name for row in data["score_rows"] for name in row)}


def test_a_page_keeps_empty_things_of_the_data_and_cuts_long_texts() -> None:
    store = InMemoryRunStore()
    case = {"case_id": "1", "input": {"a": None, "b": [], "c": "x" * 30_000}, "expected_output": "y" * 30_000}
    run_id = evaluate(model="builtin/demo_model", data=[case, {"case_id": "2", "input": {"a": None, "b": []}}],
                      metric="builtin/exact_match", store=store).run_id  # fmt: skip
    sample = CaseSample(2, None, page_case)
    read_report(RunView.of(store, run_id), sample=sample)
    long, short = (json.loads(data) for data in sample.cases())
    assert short["input"] == {"a": None, "b": []}
    assert long["input"].startswith('{"a":null,"b":[],"c":"xxx')
    assert "[cut here: 30,000 characters in all; the store has them]" in long["expected_output"]
    assert len(long["input"]) < 21_000


@generator
async def adds(case: Case, ctx: GenerateContext) -> str:
    return str(sum(map(int, str(case.input).split("+"))))


def two_datasets(samples: int = 1) -> tuple[InMemoryRunStore, RunResult]:
    """Return a run in which one dataset's answers are all right, and the other's are all wrong."""
    store = InMemoryRunStore()
    datasets = [
        Dataset(
            dataset_id=name,
            cases=[
                Case(
                    case_id=str(n), input=f"{n}+{n}", expected_output=answer.format(2 * n), metadata={"odd": n % 2 == 1}
                )
                for n in range(count)
            ],
        )
        for name, count, answer in (("large", 100, "{}"), ("small", 10, "not {}"))
    ]
    result = evaluate(model=adds, data=datasets, metric="builtin/exact_match", store=store, samples=samples)
    return store, result


def test_several_datasets_are_told_apart_unless_that_is_left_out() -> None:
    store, result = two_datasets()
    text = result_table(result)
    assert "0.9091" in text
    assert "The means pool 2 datasets: each counts by how many scores it has." in text
    lines = [line.split(" | ")[:3] for line in text.splitlines()]
    for name, mean, count in (
        ("large", "1.0000", "100"),
        ("small", "0.0000", "10"),
        ("micro average", "0.9091", "110"),
    ):
        assert [mean, count] in [[each[1].split()[0], each[2].strip()] for each in lines if each[0].strip() == name]
    assert "0.5000" in text
    without = result_table(result, by=())
    assert "by dataset" not in without
    assert "The means pool 2 datasets" in without
    data = json.loads(Reporter(store).export_json(result.run_id))["groups"]
    found = data["dataset"]["builtin/exact_match"]
    assert [(each["name"], each["estimate"]["mean"]) for each in found["groups"]] == [("large", 1.0), ("small", 0.0)]
    assert (round(found["micro"]["mean"], 4), found["macro"]["mean"]) == (0.9091, 0.5)
    assert json.loads(Reporter(store, by="none").export_json(result.run_id))["groups"] == {}
    chosen = json.loads(Reporter(store, by=["odd", "dataset"]).export_json(result.run_id))["groups"]
    assert list(chosen) == ["odd", "dataset"]
    assert [each["name"] for each in chosen["odd"]["builtin/exact_match"]["groups"]] == ["false", "true"]


def test_one_dataset_pools_nothing(stored: tuple[InMemoryRunStore, str]) -> None:
    text = Reporter(stored[0]).export_markdown(stored[1])
    assert "by dataset" not in text
    assert "The means pool" not in text


def test_groups_by_a_key_that_no_case_has_are_refused(stored: tuple[InMemoryRunStore, str]) -> None:
    with pytest.raises(SpecError, match=r"by: 'topics' is no key of any case's metadata; did you mean topic\?"):
        Reporter(stored[0], by="topics").export_html(stored[1])


def test_the_answers_of_a_case_are_one_cluster_of_its_group() -> None:
    _, result = two_datasets(samples=3)
    found = result.by_group()["builtin/exact_match"]
    assert [(group.name, group.estimate.scored, group.estimate.clusters) for group in found.groups] == [
        ("large", 300, 100),
        ("small", 30, 10),
    ]
    assert found.micro == read_report(result.view).overview.metrics[0].estimate


@given(pipelines())
def test_groups_of_a_run_are_those_of_its_score_table(pipeline: Pipeline) -> None:
    result = pipeline.experiment().run(store=InMemoryRunStore())
    groups = {case.case_key: case.dataset_id for case in result.cases}
    ranges = result.snapshot.metric_ranges
    expected = StatsEngine().by_group(result.benchmark.score_rows, groups, by="dataset", score_ranges=ranges)
    for metric_id, grouped in result.by_group().items():
        for group in grouped.groups:
            of_table = expected[metric_id][group.name]
            assert group.estimate.evolve(unit="row", warnings=()) == of_table.evolve(warnings=())
        assert (grouped.macro.mean, grouped.macro.interval) == (
            expected[metric_id].macro.mean,
            expected[metric_id].macro.interval,
        )


@pytest.fixture(scope="module")
def structured() -> tuple[InMemoryRunStore, RunResult]:
    """Objects of three fields, the last of which is never right, and one case whose answer has no reference."""
    store = InMemoryRunStore()
    cases = [
        {
            "case_id": str(n),
            "input": json.dumps({"name": n, "total": n % 2, "city": "x"}),
            "expected_output": {"name": n, "total": 1, "city": "y"} if n else None,
            "metadata": {"topic": "odd" if n % 2 else "even"},
        }
        for n in range(9)
    ]

    @generator
    async def echo(case: Case, ctx: GenerateContext) -> str:
        return str(case.input)

    metrics = ["builtin/json_fields", "builtin/exact_match"]
    return store, evaluate(model=echo, data=cases, metric=metrics, parser="builtin/json", store=store)


def test_the_accuracy_of_each_field_is_one_call(structured: tuple[InMemoryRunStore, RunResult]) -> None:
    _, result = structured
    found = result.estimate(details="fields")
    assert {name.removeprefix("builtin/json_fields:fields."): estimate.mean for name, estimate in found.items()} == {
        "city": 0.0,
        "name": 1.0,
        "total": 0.5,
    }
    rows = result.benchmark.score_rows
    assert {name: one.evolve(unit="row", warnings=()) for name, one in found.items()} == {
        name: one.evolve(warnings=()) for name, one in StatsEngine().details(rows, "fields").items()
    }
    one = found["builtin/json_fields:fields.name"]
    assert (one.planned, one.scored, one.missing_by_category) == (9, 8, {"score_failure": 1})
    whole = StatsEngine().aggregate(rows)
    assert {name: one.mean for name, one in result.estimate().items()} == {
        name: one.mean for name, one in whole.items()
    }
    with pytest.raises(SpecError, match=r"at 'field'; there are fields.\w+, fields.\w+, fields.\w+, unexpected"):
        result.estimate(details="field")


def test_details_are_grouped_as_metrics_are(structured: tuple[InMemoryRunStore, RunResult]) -> None:
    found = structured[1].by_group("topic", details="fields.total")
    assert list(found) == ["builtin/json_fields", "builtin/exact_match", "builtin/json_fields:fields.total"]
    total = found["builtin/json_fields:fields.total"]
    assert [(group.name, group.estimate.mean, group.estimate.missing) for group in total.groups] == [
        ("even", 0.0, 1),
        ("odd", 1.0, 0),
    ]


def test_details_are_in_every_report(structured: tuple[InMemoryRunStore, RunResult]) -> None:
    store, result = structured
    reporter = Reporter(store, details="fields", by="none")
    found = json.loads(reporter.export_json(result.run_id))["details"]
    assert found["builtin/json_fields:fields.total"]["mean"] == 0.5
    for text in (reporter.export_markdown(result.run_id), reporter.export_html(result.run_id)):
        assert "Details of the scores" in text
        assert "1 of 9 planned cases have no score (score failure 1); 0.444 to 0.556 if all were wrong, or all" in text
    assert r"builtin/json\_fields:fields.total" in reporter.export_latex(result.run_id)
    without = Reporter(store).export_markdown(result.run_id)
    assert "Details of the scores" not in without
