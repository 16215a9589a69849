"""What changed between runs, on the command line: as text, JSON, Markdown and a page, and after a replay."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from .conftest import Themis

ANSWERS = """
from themis import generator

@generator(component_id="lab/first")
def first(case):
    return f"#### {case.expected_output}"

@generator(component_id="lab/second")
def second(case):
    number = int(case.case_id)
    if number == 3:
        return "<script>alert(1)</script> | *no*"
    return f"#### {case.expected_output if number else 'nil'}"
"""
CONFIG = """
datasets: [{path: questions.csv}]
generation: {generator: "answers:first"}
evaluation:
  metrics: builtin/exact_match
  parsers: {id: builtin/regex, pattern: '#### (\\S+)'}
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, themis: Themis) -> Path:
    """Return a folder with two runs, by name `first` and `second`."""
    monkeypatch.chdir(tmp_path)
    lines = [
        "id,input,expected_output,topic",
        *(f"{n},{n} + {n}?,{2 * n},{'law' if n % 2 else 'art'}" for n in range(6)),
    ]
    Path("questions.csv").write_text("\n".join(lines), encoding="utf-8")
    Path("answers.py").write_text(ANSWERS, encoding="utf-8")
    Path("experiment.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("first", "second"):
        words = ("run", "experiment.yaml", f"generation.generator=answers:{name}", "--name", name)
        assert themis(*words).code == 0
    return tmp_path


def test_compare_names_the_cases_that_changed(runs: Path, themis: Themis) -> None:
    told = themis("compare", "first", "second").out
    assert "builtin/exact_match: 2 cases of 6 changed\n  right to wrong (1): 0\n  parsed to unparsed (1): 3\n" in told
    assert "--cases 5 shows" in told
    shown = themis("compare", "first", "second", "--cases", "5").out
    assert "--cases 5 shows" not in shown
    assert "  #### 0                               ! #### nil" in shown
    assert "prompt:\n  3 + 3?\nexpected:\n  6\n" in shown
    changed = shown[shown.index("case 0 of dataset") :]
    assert max(map(len, changed.splitlines())) <= 80
    one = themis("compare", "first", "second", "--kind", "right_to_wrong").out
    assert "case 0 of" in one
    assert "case 3 of" not in one


def test_compare_says_the_same_in_every_format(runs: Path, themis: Themis) -> None:
    data = themis("compare", "first", "second", "--json").data
    [metric] = data["changes"]["metrics"]
    assert [(each["kind"], each["count"], each["worse"]) for each in metric["kinds"]] == [
        ("right_to_wrong", 1, 1),
        ("parsed_to_unparsed", 1, 1),
        ("same", 4, 0),
    ]
    assert data["changes"]["cases"] == []
    full = themis("compare", "first", "second", "--cases", "1", "--format", "json").data["changes"]["cases"]
    assert [(case["case_id"], case["kind"]) for case in full] == [("0", "right_to_wrong"), ("3", "parsed_to_unparsed")]
    assert full[1]["a"]["answers"][0]["parsed"] == "6"
    assert full[1]["b"]["answers"][0]["scores"][0]["value"] == 0.0
    written = themis("compare", "first", "second", "--cases", "1", "--output", "out/changes.md")
    assert (written.code, written.err) == (0, "wrote out/changes.md\n")
    text = Path("out/changes.md").read_text(encoding="utf-8")
    assert text.startswith("# Comparison of two runs\n")
    assert "| builtin/exact\\_match | right to wrong | 1 | 0 |" in text
    assert "```\n<script>alert(1)</script> | *no*\n```" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.marked: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("del", "ins"):
            self.marked.append(data)
            self.tags.append("")


def test_a_page_shows_both_runs_side_by_side_and_runs_nothing(runs: Path, themis: Themis) -> None:
    words = ("compare", "first", "second", "--statistic", "median", "-o", "changes.html")
    assert themis(*words).code == 0
    page = Path("changes.html").read_text(encoding="utf-8")
    found = Tags()
    found.feed(page)
    assert "script" not in found.tags
    assert "script-src" not in page
    assert "default-src 'none'" in page
    assert "&lt;script&gt;alert" in page
    assert found.marked[:2] == ["0", "nil"]
    assert "builtin/exact_match, median: " in page
    assert '<h2 id="right_to_wrong">Right to wrong</h2>' in page


def test_a_replay_says_which_cases_it_changed(runs: Path, themis: Themis) -> None:
    lenient = "evaluation.parsers=builtin/text"
    words = ("replay", "experiment.yaml", "generation.generator=answers:second", lenient, "--stage", "parse")
    told = themis(*words, "--changes").out
    assert "what changed since run" in told
    assert "  right to wrong (4): 1, 2, 4, 5\n  unparsed to parsed (1): 3\n" in told
    second = next(line["run_id"] for line in themis("list", "--name", "second", "--json").data)
    data = themis(*words, "--against", "second", "--cases", "1", "--json").data["changes"]
    assert data["run_before"] == second
    assert [case["case_id"] for case in data["cases"]] == ["0", "1", "3"]
    assert "changes" not in themis(*words, "--json").data
    alone = ("replay", "experiment.yaml", "--stage", "parse", "--changes")
    assert "no case changed" in themis(*alone).out


def test_a_metric_of_one_run_alone_changes_nothing(runs: Path, themis: Themis) -> None:
    assert themis("run", "experiment.yaml", "evaluation.metrics=[builtin/f1]", "--name", "third").code == 0
    told = themis("compare", "first", "third", "--metric", "exact_match", "f1")
    assert (told.code, "changed" in told.out) == (0, False), told
    assert "builtin/exact_match to builtin/f1: no case changed" in themis("compare", "first", "third").out


def test_what_can_not_be_shown_is_refused_before_anything_is_read(runs: Path, themis: Themis) -> None:
    wrong = themis("compare", "first", "second", "--kind", "right_to_wrng")
    assert (wrong.code, wrong.out) == (2, "")
    assert "right_to_wrong" in wrong.err
    both = themis("compare", "first", "second", "--json", "--format", "html")
    assert (both.code, "one of them expected" in both.err) == (2, True)
    assert "a number from 0 up" in themis("compare", "first", "second", "--cases", "-1").err
