"""Runs as Every Eval Ever: what is written says what the run says, holds to the schema, and comes back."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from themis import InMemoryRunStore, RunResult, evaluate, import_logs, import_outputs, score_run, write_eee
from themis.pure.errors import DataError, SpecError

ROOT = Path(__file__).parents[3]
SAMPLES = Path(os.environ.get("THEMIS_LOG_SAMPLES") or ROOT.parent / "shared" / "samples")
EXACT = "builtin/exact_match"
ROWS: list[dict[str, Any]] = [
    {"id": "a", "input": "1+1", "expected_output": "2", "output": "2", "prompt_tokens": 4, "completion_tokens": 1},
    {"id": "a", "input": "1+1", "expected_output": "2", "output": "It is 2", "latency_ms": 12.5},
    {"id": "b", "input": [{"role": "user", "content": "Ω?"}], "expected_output": ["x", "y"], "output": {"z": 1}},
    {"id": "b", "input": [{"role": "user", "content": "Ω?"}], "expected_output": ["x", "y"], "error": "HTTP 500"},
]


@pytest.fixture
def run() -> RunResult:
    return import_outputs(ROWS, metric=EXACT, name="theirs", store=InMemoryRunStore())


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    lines = (path.parent / data["detailed_evaluation_results"]["file_path"].rpartition("/")[2]).read_bytes()
    assert hashlib.sha256(lines).hexdigest() == data["detailed_evaluation_results"]["checksum"]
    return data, [json.loads(line) for line in lines.splitlines()]


def test_what_is_written_says_what_the_run_says(run: RunResult, tmp_path: Path) -> None:
    data, rows = read(write_eee(run.store, run.run_id, tmp_path / "new" / "folder"))
    [result] = data["evaluation_results"]
    estimate = run.estimate()[EXACT]
    assert result["score_details"]["score"] == estimate.mean
    assert result["score_details"]["details"] == {"planned": "4", "missing": "1"}
    assert result["score_details"]["uncertainty"]["num_samples"] == 3
    assert data["detailed_evaluation_results"]["total_rows"] == len(rows) == 4
    assert [(row["sample_id"], row["evaluation"]["score"], row["evaluation"]["is_correct"]) for row in rows] == [
        ("a", 1.0, True),
        ("a", 0.0, False),
        ("b", 0.0, False),
        ("b", 0.0, False),
    ]
    assert rows[0]["token_usage"] == {"input_tokens": 4, "output_tokens": 1, "total_tokens": 5}
    assert rows[1]["performance"] == {"latency_ms": 12.5}
    assert rows[2]["output"] == {"raw": ['{"z":1}']}
    assert rows[2]["input"]["reference"] == ["x", "y"]
    assert "HTTP 500" in rows[3]["error"]
    assert rows[3]["output"] == {"raw": []}


def test_what_is_written_comes_back(run: RunResult, tmp_path: Path) -> None:
    [back] = import_logs(write_eee(run.store, run.run_id, tmp_path), store=run.store)
    again = score_run(run.store, back.run_id, metric=EXACT)
    assert again.benchmark.outcome_counts == run.benchmark.outcome_counts
    assert again.benchmark.metric_means == run.benchmark.metric_means
    [score, _] = again.to_dict()["imported_scores"]
    assert (score["name"], score["mean"]) == ("score", run.benchmark.metric_means[EXACT])
    assert all(each["scored"] == each["equal"] for each in again.to_dict()["agreements"])


def test_several_datasets_are_several_results(tmp_path: Path) -> None:
    from themis import Case, Dataset

    data = [
        Dataset(
            dataset_id=name, cases=[Case(case_id=str(n), input=f"{name}{n}", expected_output="x") for n in range(3)]
        )
        for name in ("one", "two")
    ]
    run = evaluate(model="builtin/demo_generator", data=data, metric=[EXACT, "builtin/f1"], store=InMemoryRunStore())
    with pytest.raises(SpecError, match="name one with --metric"):
        write_eee(run.store, run.run_id, tmp_path)
    path = write_eee(run.store, run.run_id, tmp_path, metric="f1")
    written, rows = read(path)
    assert [each["evaluation_name"] for each in written["evaluation_results"]] == ["one", "two"]
    assert len(rows) == 6
    assert len(import_logs(path)) == 2


def test_a_run_without_scores_is_refused(tmp_path: Path) -> None:
    unscored = import_outputs(ROWS, store=InMemoryRunStore())
    with pytest.raises(SpecError, match="has no metric"):
        write_eee(unscored.store, unscored.run_id, tmp_path)
    failed = import_outputs([{"input": "q", "expected_output": "x", "error": "e"}], metric=EXACT, store=unscored.store)
    with pytest.raises(DataError, match="has no score on answers"):
        write_eee(failed.store, failed.run_id, tmp_path)
    with pytest.raises(SpecError, match="no metric 'f2'"):
        write_eee(failed.store, failed.run_id, tmp_path, metric="f2")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("x")
    scored = import_outputs(ROWS, metric=EXACT, store=unscored.store)
    with pytest.raises(DataError, match="can't be written"):
        write_eee(scored.store, scored.run_id, tmp_path / "file")


@pytest.mark.skipif(not (SAMPLES / "eee").is_dir(), reason="the schemas are not at hand (THEMIS_LOG_SAMPLES)")
def test_what_is_written_holds_to_the_schemas(run: RunResult, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    data, rows = read(write_eee(run.store, run.run_id, tmp_path))
    for name, values in (("eval.schema.json", [data]), ("instance_level_eval.schema.json", rows)):
        schema = json.loads((SAMPLES / "eee" / name).read_text(encoding="utf-8"))
        for value in values:
            jsonschema.validate(value, schema)
