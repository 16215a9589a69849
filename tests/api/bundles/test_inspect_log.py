"""Runs as logs of Inspect: they come back as they were, and Inspect's own reader opens them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from themis import (
    Case,
    Dataset,
    InMemoryRunStore,
    RunResult,
    evaluate,
    import_logs,
    import_outputs,
    score_run,
    write_inspect_log,
)
from themis.pure.errors import DataError

EXACT = "builtin/exact_match"
TURNS = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "2*2?"}]
ROWS: list[dict[str, Any]] = [
    {"id": "a", "input": "1+1", "expected_output": "2", "output": "2", "topic": "sums", "prompt_tokens": 4},
    {
        "id": "a",
        "input": "1+1",
        "expected_output": "2",
        "output": "It is 2",
        "topic": "sums",
        "finish_reason": "length",
    },
    {"id": "../b", "input": TURNS, "expected_output": ["4", "four"], "output": {"z": 1}, "latency_ms": 250.0},
    {"id": "../b", "input": TURNS, "expected_output": ["4", "four"], "error": "HTTP 500"},
    {"id": "c", "input": "no reference", "output": "", "completion_tokens": 3},
]


@pytest.fixture
def run() -> RunResult:
    return import_outputs(ROWS, metric=[EXACT, "builtin/f1"], name="theirs", store=InMemoryRunStore())


def members(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_what_is_written_says_what_the_run_says(run: RunResult, tmp_path: Path) -> None:
    found = members(write_inspect_log(run.store, run.run_id, tmp_path / "logs" / "a.eval"))
    scores = {score["name"]: score for score in found["header.json"]["results"]["scores"]}
    for metric, estimate in run.estimate().items():
        assert scores[metric]["metrics"]["mean"]["value"] == estimate.mean
        assert scores[metric]["scored_samples"] == estimate.scored
        assert scores[metric]["unscored_samples"] == estimate.missing
    assert found["header.json"]["eval"]["dataset"]["sample_ids"] == ["a", "case-2", "c"]
    assert found["header.json"]["stats"]["model_usage"]["imported/outputs"]["input_tokens"] == 4
    assert [name for name in found if ".." in name] == []
    first = found["samples/a_epoch_1.json"]
    assert first["scores"][EXACT] == {"value": 1.0, "answer": "2"}
    assert found["samples/a_epoch_2.json"]["output"]["choices"][0]["stop_reason"] == "max_tokens"
    assert found["samples/case-2_epoch_1.json"]["input"] == TURNS
    assert found["samples/case-2_epoch_2.json"]["error"]["message"] == "HTTP 500"
    assert found["samples/case-2_epoch_2.json"]["scores"] == {}


def test_what_is_written_comes_back_and_is_the_same_each_time(run: RunResult, tmp_path: Path) -> None:
    path = write_inspect_log(run.store, run.run_id, tmp_path / "a.eval")
    again = write_inspect_log(run.store, run.run_id, tmp_path / "b.eval")
    assert path.read_bytes() == again.read_bytes()
    [back] = import_logs(path, store=run.store)
    scored = score_run(run.store, back.run_id, metric=[EXACT, "builtin/f1"])
    assert scored.benchmark.metric_means[EXACT] == run.benchmark.metric_means[EXACT]
    shown = {each["name"]: each for each in scored.to_dict()["imported_scores"]}
    for metric, estimate in run.estimate().items():
        assert (shown[metric]["mean"], shown[metric]["numbers"]) == (estimate.mean, estimate.scored)
    agreed = {each["metric_id"]: each for each in scored.to_dict()["agreements"] if each["name"] == each["metric_id"]}
    assert agreed[EXACT]["scored"] == agreed[EXACT]["equal"]


def test_runs_of_several_datasets_and_reduced_ones_are_one_log(tmp_path: Path) -> None:
    data = [
        Dataset(
            dataset_id=name, cases=[Case(case_id=str(n), input=f"{name}{n}", expected_output="x") for n in range(3)]
        )
        for name in ("one", "two")
    ]
    run = evaluate(
        model="builtin/demo_model",
        data=data,
        metric=EXACT,
        samples=3,
        reducer="builtin/majority_vote",
        store=InMemoryRunStore(),
    )
    [back] = import_logs(write_inspect_log(run.store, run.run_id, tmp_path / "a.eval"))
    assert back.progress.total_cases == 6
    [shown] = back.to_dict()["imported_scores"]
    assert (shown["numbers"], shown["mean"]) == (6, run.benchmark.metric_means[EXACT])


def test_a_name_that_inspect_would_not_open_is_refused(run: RunResult, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"let the name end in \.eval"):
        write_inspect_log(run.store, run.run_id, tmp_path / "a.zip")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="can't be written"):
        write_inspect_log(run.store, run.run_id, tmp_path / "file" / "a.eval")


def test_inspect_itself_opens_what_is_written(run: RunResult, tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log", reason="inspect_ai is not installed")
    read = log.read_eval_log(str(write_inspect_log(run.store, run.run_id, tmp_path / "a.eval")))
    assert {score.name: score.metrics["mean"].value for score in read.results.scores} == pytest.approx(
        run.benchmark.metric_means
    )
    assert len(read.samples) == 6
    for sample in read.samples:
        assert log.read_eval_log_sample(str(tmp_path / "a.eval"), sample.id, sample.epoch).input == sample.input
