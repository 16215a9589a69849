"""`themis import outputs` and `themis score`, as they are typed."""

from __future__ import annotations

from pathlib import Path

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
