"""Scores of another tool, made again: those that differ are listed, and those that nothing is known of are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from themis import InMemoryRunStore, import_logs, recompute_scores
from themis.api.cli import GATE_FAILED, run_command

SCORED = [("2", "C"), ("It is 2", "C"), ("2 or 3", "C"), ("", "I")]


def inspect_log(scorers: list[dict[str, Any]]) -> dict[str, Any]:
    samples = [
        {
            "id": number,
            "epoch": 1,
            "input": f"question {number}",
            "target": "2",
            "output": {"completion": answer, "choices": [{"message": {"role": "assistant", "content": answer}}]},
            "scores": {"match": {"value": value}, "mine": {"value": 0.5}},
        }
        for number, (answer, value) in enumerate(SCORED, 1)
    ]
    about = {"task": "sums", "model": "m", "dataset": {}, "scorers": scorers}
    return {"version": 2, "status": "success", "eval": about, "samples": samples}


def test_scores_that_differ_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, store = tmp_path / "log.json", str(tmp_path / "a.sqlite3")
    path.write_text(json.dumps(inspect_log([{"name": "inspect_ai/match", "options": {"location": "end"}}])))
    assert run_command(["import", str(path), "--store", store]) == 0
    capsys.readouterr()
    assert run_command(["recompute", "latest", "--store", store, "--json"]) == GATE_FAILED
    match, mine = json.loads(capsys.readouterr().out)["scorers"]
    assert (match["scorer"], match["scored"], match["equal"], match["not_told"]) == ("inspect/match", 4, 3, 0)
    assert match["differing"] == [
        {"case_id": "3", "dataset_id": "sums", "candidate_index": 0, "theirs": 1.0, "ours": 0.0}
    ]
    assert (mine["scored"], mine["equal"], mine["differ"], mine["not_told"]) == (4, 0, 0, 4)
    assert run_command(["recompute", "latest", "--store", store]) == GATE_FAILED
    assert "match: case '3' has 1, and 0 here" in capsys.readouterr().out


def test_scores_that_agree_are_no_failure(tmp_path: Path) -> None:
    path, store = tmp_path / "log.json", tmp_path / "a.sqlite3"
    path.write_text(json.dumps(inspect_log([{"name": "match", "options": {"location": "any"}}])))
    [run] = import_logs(path, store=store)
    told = [(each.name, each.equal, each.differ) for each in recompute_scores(store, run.run_id)]
    assert told == [("match", 4, 0), ("mine", 0, 0)]
    assert run_command(["recompute", run.run_id, "--store", str(store)]) == 0


def test_what_a_task_s_own_code_scored_is_not_told(tmp_path: Path) -> None:
    row = {
        "doc_id": 0,
        "doc": {},
        "target": "2",
        "arguments": [["q", {}]],
        "resps": [["2", "3"]],
        "filter": "strict",
        "exact_match": 0.0,
    }
    filters = [
        {"name": "strict", "filter": [{"function": "regex", "regex_pattern": "(9)"}, {"function": "take_first"}]}
    ]
    config = {"output_type": "generate_until", "metric_list": [{"metric": "exact_match"}], "filter_list": filters}
    told = []
    for number, more in enumerate(({}, {"process_results": "def process_results(doc, results): ..."})):
        folder, time = tmp_path / str(number), "2026-01-01T00-00-00.000000"
        folder.mkdir()
        (folder / f"samples_t_{time}.jsonl").write_text(json.dumps(row))
        (folder / f"results_{time}.json").write_text(json.dumps({"results": {}, "configs": {"t": {**config, **more}}}))
        store = InMemoryRunStore()
        [run] = import_logs(folder, store=store)
        told.append([(each.equal, each.not_told) for each in recompute_scores(store, run.run_id)])
    assert told == [[(1, 0)], [(0, 1)]]


def test_variables_of_promptfoo_are_filled_in(tmp_path: Path) -> None:
    asserted = [
        {"type": "contains", "value": "{{ city }}"},
        {"type": "contains", "value": "{{ city | upper }}"},
        {"type": "equals", "value": "Paris", "transform": "output.trim()"},
    ]
    row = {
        "testIdx": 0,
        "promptIdx": 0,
        "provider": {"id": "m"},
        "vars": {"city": "Paris"},
        "response": {"output": "In Paris"},
        "success": True,
        "score": 1,
        "gradingResult": {"componentResults": [{"score": 1, "assertion": each} for each in asserted]},
    }
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps(row))
    store = InMemoryRunStore()
    [run] = import_logs(path, store=store)
    found = {each.name: each for each in recompute_scores(store, run.run_id)}
    assert found["assert 1 (contains)"].equal == 1
    assert found["assert 2 (contains)"].not_told == found["assert 3 (equals)"].not_told == 1
