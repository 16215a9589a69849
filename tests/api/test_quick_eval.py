"""`themis quick-eval file` as its user runs it: in a process of its own, piped and wrong on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUMS = ROOT / "examples" / "sums.jsonl"


def themis(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "themis", *map(str, arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONUTF8": "1"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)


def quick(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    model = () if "--model" in arguments else ("--model", "builtin/demo_model")
    return themis("quick-eval", "file", *arguments, *model, "--metric", "builtin/exact_match", cwd=cwd)


def test_the_result_is_the_readme_s(tmp_path: Path) -> None:
    done = quick(SUMS, cwd=tmp_path)
    assert done.returncode == 0
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
    assert done.stdout.startswith(shown)
    assert "stored in runs/themis.sqlite3" in done.stdout
    assert done.stderr == ""  # no progress line where there is no terminal
    assert (tmp_path / "runs" / "themis.sqlite3").exists()
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_running_again_reuses_everything_and_says_the_same(tmp_path: Path) -> None:
    first = quick(SUMS, "--json", cwd=tmp_path)
    again = quick(SUMS, "--json", cwd=tmp_path)
    assert json.loads(first.stdout) == json.loads(again.stdout)
    data = json.loads(first.stdout)["metrics"]["builtin/exact_match"]
    assert (data["planned"], data["scored"], data["unparsed"], data["errored"]) == (40, 40, 0, 0)
    assert data["outcomes"] == {"correct": 27, "incorrect": 13, "error": 0}


def test_limit_samples_and_seed(tmp_path: Path) -> None:
    done = quick(SUMS, "--limit", 5, "--samples", 3, "--seed", 7, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["progress"]["total_cases"] == 5


def test_errors_exit_with_3(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"input": "a", "expected_output": "a"}\n{"input": "b"}\n', encoding="utf-8")
    done = quick(rows, cwd=tmp_path)
    assert done.returncode == 3
    assert "| 1 |       2 |" in done.stdout


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
def test_what_is_wrong_is_said_in_one_message(arguments: list[object], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"input": 1}\n{"input": \n', encoding="utf-8")
    done = quick(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr + done.stdout
    assert not (tmp_path / "runs").exists()


def test_help_shows_an_example(tmp_path: Path) -> None:
    done = themis("quick-eval", "file", "--help", cwd=tmp_path)
    assert "For example:\n  themis quick-eval file" in done.stdout
