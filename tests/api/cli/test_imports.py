"""`themis import outputs` and `themis score`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Themis

CSV = """\
id,question,answer,response,topic
1,1+1,2,2,sums
1,1+1,2,It is 2,sums
2,2*2,4,5,products
2,2*2,4,,products
"""
NAMED = ("--input-field", "question", "--expected-field", "answer", "--output-field", "response")


@pytest.fixture(autouse=True)
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("answers.csv")
    path.write_text(CSV, encoding="utf-8")
    return path


def test_answers_are_stored_listed_scored_and_verified(themis: Themis) -> None:
    done = themis("import", "outputs", "answers.csv", "--as", "theirs", *NAMED)
    assert done.code == 0
    assert "imported answers (outputs): 2 cases, 4 answers, 1 empty\n" in done.out
    assert "to score the answers: themis score " in done.out
    assert "theirs" in themis("list").out
    scored = themis("score", "theirs", "--metric", "builtin/contains", "--by", "topic", "--as", "again", "--json")
    assert scored.code == 0
    assert scored.data["metrics"]["builtin/contains"]["mean"] == 0.5
    assert (
        scored.data["scored"]
        == themis("import", "outputs", "answers.csv", "--as", "theirs", *NAMED, "--json").data["run_id"]
    )
    assert themis("verify", "again").out.endswith("verified\n")
    assert themis("report", "again").code == 0
    assert themis("compare", "again", "again").code == 0
    assert themis("search", "It is 2").code == 0
    assert "1 empty" not in themis("list").out


def test_they_are_scored_as_they_come_in(themis: Themis) -> None:
    words = ("import", "outputs", "answers.csv", "--as", "theirs", *NAMED, "--metric", "exact_match", "--by", "topic")
    done = themis(*words)
    assert done.code == 0
    assert done.out.startswith("imported answers (outputs): 2 cases, 4 answers, 1 empty\n")
    assert "builtin/exact_match by topic" in done.out
    assert themis(*words, "--require", "exact_match>=0.9").code == 1
    data = themis(*words, "--reducer", "builtin/majority_vote", "--json").data
    assert data["imported"]["answers_per_case"] == 2
    assert data["metrics"]["builtin/exact_match"]["planned"] == 2


def test_all_that_is_wrong_is_said_and_nothing_is_stored(themis: Themis) -> None:
    done = themis("import", "outputs", "answers.csv", "--as", "theirs", "--output-field", "respnse")
    assert done.code == 2
    assert done.err.splitlines()[0] == "themis: error: answers.csv can't be imported; 2 problems:"
    assert "there is no field 'input' for the input" in done.err
    assert "there is no field 'respnse' for the answer; did you mean response?" in done.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "there is nothing to import"),
        ("a.csv", "input,output\n", "there is nothing to import"),
        ("a.csv", 'input,output\n"q,o\n', "a quote that is never closed"),
        ("a.csv", "input,output\nq\n", "a.csv:2: this row has not as many fields as the header"),
        ("a.csv", "input,input,output\n", "columns 1 and 2 are both called 'input'"),
        ("a.jsonl", "[]\n", "a.jsonl:1: an object with the case's fields expected"),
        ("a.jsonl", '{"input": "q", "output": "o"}\n{"inp', "a.jsonl:2: this line is not JSON"),
        ("a.json", '{"input": "q"}', "a list of objects expected"),
        ("a.txt", "x", "what kind of file this is can't be told"),
        ("a.parquet", "x", "not a Parquet file"),
    ],
)
def test_a_wrong_file_is_one_error(name: str, content: str, said: str, themis: Themis) -> None:
    Path(name).write_text(content, encoding="utf-8")
    done = themis("import", "outputs", name, "--as", "x")
    assert done.code == 2
    assert said in done.err
    assert not Path("runs").exists()


def test_a_missing_file_and_an_unknown_run_are_said(themis: Themis) -> None:
    assert "there is no such file; did you mean answers.csv?" in themis("import", "outputs", "answer.csv").err
    assert themis("import", "outputs", "answers.csv", *NAMED).code == 0
    assert "no run 'theirs'" in themis("score", "theirs", "--metric", "f1").err
    assert "no metric 'f2'" in themis("score", "latest", "--metric", "f2").err


# --- logs -------------------------------------------------------------------------------------------------

REPORT: dict[str, Any] = {
    "name": "task",
    "dataset_name": "sums",
    "cases": [
        {
            "name": f"c{n}",
            "inputs": f"{n}+0?",
            "expected_output": str(n),
            "output": str(n) if n else "wrong",
            "assertions": {"EqualsExpected": {"value": n > 0}},
        }
        for n in range(3)
    ],
    "failures": [],
    "analyses": [],
}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in ("a.json", "b.json"):
        (folder / name).write_text(json.dumps({**REPORT, "name": name}), encoding="utf-8")
    (folder / "notes.txt").write_text("notes", encoding="utf-8")
    return folder


def test_a_log_is_told_by_its_content_and_its_scores_stand_apart(themis: Themis, logs: Path) -> None:
    done = themis("import", logs / "a.json", "--as", "theirs")
    assert done.code == 0
    assert done.out.startswith(
        "imported a.json on sums (pydantic-evals): 3 cases, 3 answers, scored elsewhere: EqualsExpected 0.6667 (n=3)\n"
    )
    scored = themis("score", "theirs", "--metric", "exact_match", "--as", "again")
    assert scored.code == 0
    assert "builtin/exact_match | 0.6667" in scored.out
    report = themis("report", "again").out
    assert "Scored elsewhere" in report
    assert "scorer (imported)" in report


@pytest.mark.parametrize("named", ["logs", "logs/*.json", "logs/a.json logs/b.json"])
def test_folders_patterns_and_several_files_are_imported(named: str, themis: Themis, logs: Path) -> None:
    done = themis("import", *named.split(), "--metric", "exact_match", "--json")
    assert done.code == 0
    assert [found["metrics"]["builtin/exact_match"]["mean"] for found in done.data] == pytest.approx([2 / 3, 2 / 3])
    assert ("notes.txt" in done.err) == (named == "logs")


def test_a_bundle_is_still_one_and_a_table_is_taken_for_answers(themis: Themis, logs: Path) -> None:
    assert themis("import", "answers.csv", "--as", "theirs", *NAMED).code == 0
    assert themis("export", "score", "theirs", "bundle.json.gz").code == 0
    moved = themis("import", "bundle.json.gz", "--store", "runs/other.sqlite3", "--json").data
    assert moved["kind"] == "score"
    assert moved["new_events"] > 4
    assert themis("export", "score", "theirs", "bundle.json").code == 0
    assert themis("import", "bundle.json", "--store", "runs/third.sqlite3", "--json").data == moved


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "name a file, a folder or a pattern"),
        (["nothing.eval"], "nothing.eval: there is no such file or folder"),
        (["logs/*.eval"], "there is no such file or folder"),
        (["logs/notes.txt"], "logs/notes.txt: this is no log of a format that is read: Inspect, lm-eval"),
        (["logs/a.json", "nothing.eval"], "nothing.eval: there is no such file"),
    ],
)
def test_what_is_no_log_is_said_and_nothing_is_stored(typed: list[str], said: str, themis: Themis, logs: Path) -> None:
    done = themis("import", *typed)
    assert done.code == 2
    assert said in done.err
    assert not Path("runs").exists()


def test_logs_are_compared_by_their_files(themis: Themis, logs: Path) -> None:
    other = {**REPORT, "name": "b", "dataset_name": "other"}
    cases = [{**case, "name": f"other-{case['name']}", "output": case["expected_output"]} for case in REPORT["cases"]]
    (logs / "b.json").write_text(json.dumps({**other, "cases": cases}), encoding="utf-8")
    done = themis("compare", "logs/a.json", "logs/b.json", "--metric", "exact_match", "--parser", "builtin/text")
    assert done.code == 0
    assert "0.6667" in done.out
    assert "0.3333" in done.out
    assert "3 cases were paired by content, for the ids differ" in done.out
    assert not Path("runs").exists()
    assert "scored by --metric" in themis("compare", "logs/a.json", "logs/b.json").err
    assert "no store" in themis("compare", "logs/a.json", "logs/missing.json", "--metric", "exact_match").err


def test_a_log_of_several_runs_is_no_side_of_a_comparison(themis: Themis, logs: Path) -> None:
    rows = [
        {
            "schema_version": "0.3.0",
            "model_id": "m",
            "evaluation_name": task,
            "sample_id": "1",
            "input": {"raw": "q", "reference": ["a"]},
            "output": {"raw": ["a"]},
            "evaluation": {"score": 1},
        }
        for task in ("one", "two")
    ]
    Path("two.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = themis("compare", "two.jsonl", "logs/a.json", "--metric", "exact_match")
    assert done.code == 2
    assert "one run expected, and it holds 2 (m on one, m on two)" in done.err
