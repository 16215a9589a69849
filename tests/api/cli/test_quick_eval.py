"""`themis quick-eval file` as its user runs it: in a process of its own, piped and wrong on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SUMS = ROOT / "examples" / "sums.jsonl"


Themis = Callable[..., Any]
"""Runs a command: `code`, `out`, `err`, `data` (see `conftest`)."""


@pytest.fixture
def quick(themis: Themis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Themis:
    """Return what runs `quick-eval file` in a folder of the test's own, by default with the demo model."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Any:
        model = () if "--model" in arguments else ("--model", "builtin/demo_model")
        return themis("quick-eval", "file", *arguments, *model, "--metric", "builtin/exact_match")

    return call


def test_the_result_is_the_readme_s(tmp_path: Path) -> None:
    words = ["quick-eval", "file", str(SUMS), "--model", "builtin/demo_model", "--metric", "builtin/exact_match"]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "themis", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
    assert done.stdout.startswith(shown)
    assert "stored in runs/themis.sqlite3" in done.stdout
    assert done.stderr == ""  # no progress line where there is no terminal
    assert (tmp_path / "runs" / "themis.sqlite3").exists()
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_running_again_reuses_everything_and_says_the_same(quick: Themis, tmp_path: Path) -> None:
    first = quick(SUMS, "--json")
    again = quick(SUMS, "--json")
    assert first.data == again.data
    data = first.data["metrics"]["builtin/exact_match"]
    assert (data["planned"], data["scored"], data["unparsed"], data["errored"]) == (40, 40, 0, 0)
    assert data["outcomes"] == {"correct": 27, "incorrect": 13, "error": 0}


def test_limit_samples_and_seed(quick: Themis, tmp_path: Path) -> None:
    done = quick(SUMS, "--limit", 5, "--samples", 3, "--seed", 7, "--json")
    assert done.data["progress"]["total_cases"] == 5


def test_until_takes_a_rule_and_no_stage(quick: Themis) -> None:
    stopped = quick(SUMS, "--until", "exact_match>=0.2, every=10", "--json").data
    assert stopped["metrics"]["builtin/exact_match"]["planned"] == 20
    refused = quick(SUMS, "--until", "parse")
    assert refused.code == 2
    assert "'parse' is no rule for stopping" in refused.err


def test_errors_exit_with_3(quick: Themis, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"input": "a", "expected_output": "a"}\n{"input": "b"}\n', encoding="utf-8")
    done = quick(rows)
    assert done.code == 3
    assert "| 1 |       2 |" in done.out


WRONG = [
    (["nothing.jsonl"], ["nothing.jsonl"]),
    (["broken.jsonl"], ["broken.jsonl", "2", "not JSON"]),
    ([SUMS, "--metric", "builtin/exact_mach"], ["builtin/exact_mach", "did you mean builtin/exact_match"]),
    ([SUMS, "--parser", "nosuch"], ["nosuch"]),
    ([SUMS, "--input-field", "question"], ["question"]),
    ([SUMS, "--model", "builtin/exact_match"], ["generate()"]),
    ([SUMS, "--store", "broken.jsonl"], ["broken.jsonl", "not a SQLite file"]),
    ([SUMS, "--limit", "many"], ["many"]),
    ([SUMS, "--no-such-option"], ["--no-such-option"]),
]


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG, ids=[str(words[0]) + str(i) for i, (_, words) in enumerate(WRONG)]
)
def test_what_is_wrong_is_said_in_one_message(
    arguments: list[object], words: list[str], quick: Themis, tmp_path: Path
) -> None:
    (tmp_path / "broken.jsonl").write_text('{"input": 1}\n{"input": \n', encoding="utf-8")
    done = quick(*arguments)
    assert done.code == 2
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err + done.out
    assert not (tmp_path / "runs").exists()


def test_a_dataset_of_the_hub_comes_from_the_cache(tmp_path: Path) -> None:
    """The cache is laid out as the library lays it out; offline, nothing else is asked."""
    commit, cache = "c" * 40, tmp_path / "home" / "hub" / "datasets--org--sums"
    files = cache / "snapshots" / commit
    (files / "data").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit, encoding="utf-8")
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: data/test-*.jsonl\n---\n"
    (files / "README.md").write_text(card, encoding="utf-8")
    for part in (1, 2):
        rows = "".join(f'{{"question": "{part}+{i}", "answer": "{part + i}"}}\n' for i in range(3))
        (files / "data" / f"test-{part}.jsonl").write_text(rows, encoding="utf-8")
    words = ["quick-eval", "huggingface", "org/sums", "--input-field", "question", "--expected-field", "answer"]
    words += ["--model", "builtin/demo_generator", "--metric", "exact_match", "--limit", "5", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "themis", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["progress"]["total_cases"] == 5


QUESTIONS = "input,expected_output,topic,level\n1 + 1,2,sums,1\n1 + 2,3,sums,2\n2 * 3,6,products,1\n9 / 3,3,,3\n"


def test_further_columns_of_a_file_are_what_its_cases_are_grouped_by(quick: Themis, tmp_path: Path) -> None:
    (tmp_path / "questions.csv").write_text(QUESTIONS)
    done = quick("questions.csv", "--by", "topic,level", "--json")
    names = {by: [g["name"] for g in of["builtin/exact_match"]["groups"]] for by, of in done.data["groups"].items()}
    assert names == {"topic": ["products", "sums", None], "level": ["1", "2", "3"]}
    shown = quick("questions.csv", "--by", "topic", "--by", "level").out
    assert ["(no topic)" in shown, "by level" in shown, max(map(len, shown.splitlines())) <= 80] == [True] * 3
    assert "by topic" not in quick("questions.csv").out


def test_metadata_fields_can_be_chosen(quick: Themis, themis: Themis, tmp_path: Path) -> None:
    (tmp_path / "questions.csv").write_text(QUESTIONS)
    chosen = ("--metadata-field", "level", "--metadata-field", "topic")
    assert list(quick("questions.csv", *chosen, "--by", "topic", "--json").data["groups"]) == ["topic"]
    done = quick("questions.csv", "--metadata-field", "level", "--by", "topic", "--store", "other.sqlite3")
    assert done.code == 2
    assert "by: 'topic' is no key of any case's metadata; known names: dataset, level" in done.err
    assert not (tmp_path / "other.sqlite3").exists()  # before anything is asked, or stored
    assert "by level" in themis("report", "latest", "--by", "level").out
    assert themis("report", "latest", "--by", "levl").code == 2


def test_options_of_a_file_do_not_change_how_answers_are_read(themis: Themis, tmp_path: Path) -> None:
    row = {"input": "Which? A. Rome B. Paris", "expected_output": "B", "options": ["Rome", "Paris"]}
    texts = {**row, "options": "Rome or Paris"}
    for name, each in (("lists", row), ("texts", texts), ("none", {k: row[k] for k in ("input", "expected_output")})):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps(each))
        words = ("--model", "builtin/demo_generator", "--metric", "builtin/choice_accuracy")
        done = themis(
            "quick-eval", "file", path, *words, "--parser", "builtin/choice_letter", "--store", "memory", "--json"
        )
        assert done.data["metrics"]["builtin/choice_accuracy"]["mean"] == 1.0


def test_a_model_of_the_folder_it_stands_in(themis: Themis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from themis import generator\n\n@generator\nasync def adds(case):\n    return '3'\n"
    (tmp_path / "models_that_lie_here.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    asked = ("inline", "1+2", "--expected", "3", "--metric", "exact_match")
    assert themis("quick-eval", *asked, "--model", "models_that_lie_here:adds").code == 0
