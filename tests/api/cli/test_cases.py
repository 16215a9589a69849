"""`themis cases`: a run's cases as a table, Markdown and JSON, and what is said of a wrong condition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Themis

ANSWERS = """
from themis import generator

@generator(component_id="lab/answers")
def answers(case):
    number = int(case.case_id)
    return "no idea" if number % 4 == 3 else f"#### {2 * number + number % 2}"
"""
CONFIG = """
datasets: [{path: questions.csv, metadata_fields: [topic]}]
generation: {generator: "answers:answers"}
evaluation:
  metrics: [builtin/exact_match, builtin/f1]
  parsers: {id: builtin/regex, pattern: '#### (\\S+)'}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, themis: Themis) -> Path:
    monkeypatch.chdir(tmp_path)
    lines = [
        "id,input,expected_output,topic",
        *(f"{n},{n} + {n}?,{2 * n},{'law' if n % 2 else 'art'}" for n in range(30)),
    ]
    Path("questions.csv").write_text("\n".join(lines), encoding="utf-8")
    Path("answers.py").write_text(ANSWERS, encoding="utf-8")
    Path("experiment.yaml").write_text(CONFIG, encoding="utf-8")
    assert themis("run", "experiment.yaml").code == 0
    return tmp_path


def test_cases_are_a_table_of_answers_and_scores(run: Path, themis: Themis) -> None:
    told = themis(
        "cases", "latest", "--outcome", "incorrect", "--metric", "f1", "--where", "topic = 'law'", "--limit", "2"
    )
    header, rule, *rows, empty, count = told.out.splitlines()
    assert [each.strip() for each in header.split("|")] == ["case", "prompt", "expected", "parsed", "answer", "f1"]
    assert set(rule) == {"-", "+"}
    assert [[each.strip() for each in row.split("|")] for row in rows] == [
        ["1", "1 + 1?", "2", "3", "#### 3", "0"],
        ["3", "3 + 3?", "6", "-", "no idea", "0"],
    ]
    assert (empty, count) == ("", "15 of 30 cases; the first 2 are shown, and --limit shows more")
    whole = themis("cases", "latest").out.splitlines()
    assert max(map(len, whole)) <= 80
    assert whole[-1] == "30 cases; the first 20 are shown, and --limit shows more"
    assert len(themis("cases", "latest", "--limit", "30").out.splitlines()) == 34
    assert themis("cases", "latest", "--outcome", "error").out == "0 of 30 cases\n"


def test_cases_are_data_and_documents(run: Path, themis: Themis) -> None:
    data = themis("cases", "latest", "--unparsed", "--json").data
    assert [case["case_id"] for case in data] == [str(n) for n in range(30) if n % 4 == 3]
    assert data[0]["prompt"] == [{"role": "user", "content": "3 + 3?"}]
    [answer] = data[0]["answers"]
    assert (answer["answer"], answer["parsed"]) == ("no idea", None)
    assert [score["value"] for score in answer["scores"]] == [0.0, 0.0]
    lines = themis("cases", "latest", "--unparsed", "--format", "jsonl", "--limit", "3").out.splitlines()
    assert [json.loads(line) for line in lines] == data[:3]
    assert themis("cases", "latest", "--outcome", "error", "--json").data == []
    assert themis("cases", "latest", "--unparsed", "-o", "out/cases.jsonl").err == "wrote out/cases.jsonl\n"
    assert len(Path("out/cases.jsonl").read_text(encoding="utf-8").splitlines()) == len(data)
    text = themis("cases", "latest", "--where", "case in ('1', '3')", "--format", "markdown").out
    assert text.startswith("## Cases\n\n2 of 30 cases\n\n### 1 of questions\n")


def test_a_wrong_condition_is_shown_where_it_is_wrong(run: Path, themis: Themis) -> None:
    wrong = themis("cases", "latest", "--where", "topic = 'law' && score > 1")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.splitlines()[1:] == ["  topic = 'law' && score > 1", "                ^"]
    unknown = themis("cases", "latest", "--where", "topc = 'law'")
    assert "did you mean topic?" in unknown.err
    assert "the cases' metadata have topic" in unknown.err
    assert themis("cases", "latest", "--limit", "-1").code == 2
    assert themis("cases", "latest", "--outcome", "bad").code == 2
