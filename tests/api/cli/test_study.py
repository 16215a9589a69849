"""`themis study` and `themis run --grid`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from themis.api.config.schema import study_schema

Themis = Callable[..., Any]
STUDY = """\
models:
  good: {id: builtin/demo_model, error_rate: 0.1}
  bad: {id: builtin/demo_model, error_rate: 0.9}
prompts:
  plain:
  asked: {template: "${oc.env:ASKED,Q}: {input}"}
datasets:
  sums: {path: rows.jsonl}
evaluation: {metrics: builtin/exact_match}
options: {samples: [1, 2]}
exclude: [{model: bad, samples: 2}]
cells:
  best: {model: good, prompt: plain, samples: 2}
  more: {model: good, prompt: plain, samples: 3}
"""
SUITE = """\
models: {good: {id: builtin/demo_model, error_rate: 0.1}}
benchmarks:
  first: {dataset: {path: rows.jsonl}, metrics: builtin/exact_match, require: ["exact_match>=0.5"]}
  second: {dataset: {path: more.jsonl}, metrics: builtin/f1, require: ["f1>=0.85"], tier: should, weight: 3}
gate: {macro: ">=0.5", should: 0.5}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, step in (("rows", 0), ("more", 1)):
        rows = [{"input": f"{n}+{n + step}", "expected_output": str(2 * n + step)} for n in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (tmp_path / "temps.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path


def test_a_study_is_planned_run_and_reported(folder: Path, themis: Themis) -> None:
    planned = themis("study", "plan", "temps.yaml", "--json").data
    names = [cell["name"] for cell in planned["cells"]]
    assert names == [
        "good,plain,sums,samples=1",
        "best",
        "good,asked,sums,samples=1",
        "good,asked,sums,samples=2",
        "bad,plain,sums,samples=1",
        "bad,asked,sums,samples=1",
        "more",
    ]
    assert not (folder / "runs").exists(), "a plan makes nothing"
    before = themis("study", "status", "temps.yaml")
    assert (before.code, before.out.count("pending")) == (3, 7)
    done = themis("study", "run", "temps.yaml", "--json")
    assert (done.code, done.data["status"], done.data["study_id"]) == (0, "completed", planned["study_id"])
    assert sum(cell["answers"] - cell["stored"] for cell in planned["cells"]) == 40 * (3 + 2 + 1 + 1)
    runs = themis("list", "--tag", "study:temps", "--json").data
    assert {run["name"] for run in runs} == {f"temps/{name}" for name in names}
    again = themis("study", "run", "temps.yaml")
    assert again.code == 0
    assert done.data["digest"] in again.out
    status = themis("study", "status", "temps.yaml", "--json").data
    assert [cell["run_id"] for cell in status["cells"]] == [cell["run_id"] for cell in planned["cells"]]
    for kind in ("text", "csv", "json"):
        reported = themis("study", "report", "temps.yaml", "--format", kind)
        assert reported.code == 0
        assert "plain" in reported.out
    assert themis("study", "report", "temps.yaml", "-o", "board.html", "--baseline", "bad,plain,samples=1").code == 0
    assert "<svg" in (folder / "board.html").read_text(encoding="utf-8")
    # Other overrides make other cells, and the study is another one.
    other = themis("study", "plan", "temps.yaml", "evaluation.metrics=builtin/f1", "--json").data
    assert other["study_id"] != planned["study_id"]
    assert all(cell["stored"] == cell["answers"] for cell in other["cells"])


def test_a_suite_s_gate_has_three_answers(folder: Path, themis: Themis) -> None:
    done = themis("study", "run", "suite.yaml", "--junit", "gate.xml")
    assert done.code == 1
    assert "  passed: first builtin/exact_match>=0.5 (must)" in done.out
    assert "  NOT ENOUGH EVIDENCE: second builtin/f1>=0.85 (should, weight 3)" in done.out
    assert "  the suite: NOT ENOUGH EVIDENCE" in done.out
    assert 'failures="2"' in (folder / "gate.xml").read_text(encoding="utf-8")
    passed = themis("study", "status", "suite.yaml", "gate.should=0", "--json")
    assert passed.code == 0
    (decision,) = passed.data["suite"]
    assert decision["answer"] == "pass"
    assert [each["answer"] for each in decision["requirements"]] == ["pass", "not enough evidence", "pass"]
    assert decision["macro"]["unit"] == "benchmark"
    assert decision["micro"]["planned"] == 80
    failed = themis("study", "status", "suite.yaml", "benchmarks.first.require=[exact_match<0.5]")
    assert failed.code == 1
    assert "  FAILED: first builtin/exact_match<0.5" in failed.out
    assert "  the suite: FAILED" in failed.out


def test_faults_of_a_study_s_file_have_their_keys(folder: Path, themis: Themis) -> None:
    (folder / "bad.yaml").write_text(
        """\
models: {a: builtin/demo_modl}
prompts: {x: {templat: a}}
benchmarks: {own: {dataset: {path: rows.jsonl}, tier: always, limit: 0}}
options: {temperature: 1, samples: []}
cells_at_once: 0
gates: {}
""",
        encoding="utf-8",
    )
    told = themis("study", "plan", "bad.yaml")
    assert told.code == 2
    for fault in (
        "models.a: no model 'builtin/demo_modl'; did you mean builtin/demo_model?",
        "prompts.x.templat: unknown key; did you mean template",
        "benchmarks.own.tier: one of 'must', 'should', 'shown' expected",
        "benchmarks.own.limit: a number from 1 up expected",
        "options.temperature: a list expected, found a whole number 1",
        "cells_at_once: a number from 1 up expected, found 0",
        "gates: unknown key; did you mean gate?",
    ):
        assert f"  - {fault}" in told.err
    (folder / "secret.yaml").write_text(
        f"models: {{a: {{id: openai/gpt-4o, headers: {{authorization: Bearer sk-{'a1' * 24}}}}}}}\n", encoding="utf-8"
    )
    refused = themis("study", "run", "secret.yaml")
    assert refused.code == 2
    assert "a credential; put it into the environment" in refused.err
    wrong = themis("study", "run", "suite.yaml", "benchmarks.first.require=[exakt_match>1]", "gate.macro=high")
    assert wrong.code == 2
    assert "benchmarks.first: a gate can't be checked" in wrong.err
    assert "gate.macro: a condition such as '>=0.6' expected, found 'high'" in wrong.err
    assert not (folder / "runs").exists()


def test_a_study_s_schema_is_its_file_s(themis: Themis) -> None:
    schema = themis("schema", "study").data
    assert schema == study_schema()
    assert {"models", "options", "exclude", "gate"} <= set(schema["properties"])
    assert all("description" in key for key in schema["properties"].values())


def test_a_grid_is_a_run_for_each_combination(folder: Path, themis: Themis) -> None:
    config = "generation: {generator: builtin/demo_model}\nevaluation: {metrics: builtin/exact_match}\n"
    (folder / "e.yaml").write_text(f"{config}datasets: [{{path: rows.jsonl}}]\n", encoding="utf-8")
    done = themis("run", "e.yaml", "--grid", "error_rate=0.1,0.9", "--grid", "samples=1,2", "--json")
    assert (done.code, len(done.data["cells"])) == (0, 4)
    alone = themis("run", "e.yaml", "generation.generator.error_rate=0.9", "--samples", "2", "--json").data
    assert alone["run_id"] in [cell["run_id"] for cell in done.data["cells"]]
    gated = themis("run", "e.yaml", "--grid", "error_rate=0.1,0.9", "--require", "exact_match>=0.5")
    assert gated.code == 1
    assert "passed: error_rate=0.1: builtin/exact_match>=0.5" in gated.out
    assert "FAILED: error_rate=0.9: builtin/exact_match>=0.5" in gated.out
    for words, told in (
        (["--grid", "error_rat=1"], "options.error_rat: builtin/demo_model: unknown argument"),
        (["--grid", "error_rate"], "--grid: NAME=VALUE,VALUE expected"),
        (["--grid", "error_rate=1", "--grid", "error_rate=2"], "error_rate is given twice"),
        (["--grid", "error_rate=1", "--junit", "x.xml"], "--junit: of one run, and --grid makes several"),
        (["--grid", "runtime.max_cost=1,2"], "options.runtime.max_cost: runtime is the whole study's"),
    ):
        refused = themis("run", "e.yaml", *words)
        assert (refused.code, told in refused.err) == (2, True), refused.err


def test_suites_are_listed(themis: Themis) -> None:
    assert "gpqa_diamond" in themis("study", "suites").out
    assert {suite["suite_id"] for suite in themis("study", "suites", "--json").data} >= {"open_llm", "safety"}
