"""A stranger's first hour with the installed wheel: an empty environment, an empty folder, and only what pages show.

Nothing of the clone can be imported here: each command and script runs in an environment that the wheel was installed
into, away from the sources.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.test_documentation import BLOCK, ROOT, Session, Shell, assert_shown

pytestmark = pytest.mark.slow

Typed = Callable[..., str]
"""Runs a command that must end with a code (0 unless `code` says otherwise); returns what it printed."""

TOPICS = """\
question,answer,topic
What is the capital of France?,Paris,europe
What is the capital of Italy?,Rome,europe
What is the capital of Norway?,Oslo,europe
What is the capital of Japan?,Tokyo,asia
What is the capital of Nepal?,Kathmandu,asia
What is the capital of Peru?,Lima,america
"""


def must(*words: str | Path, cwd: Path | None = None) -> str:
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=ours)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment that nothing but the built wheel was installed into."""
    folder = tmp_path_factory.mktemp("stranger")
    must(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / "bin"
    try:
        must(programs / "python", "-m", "pip", "install", "--quiet", wheel)
    except AssertionError as error:
        if "CI" not in os.environ and "NewConnectionError" in str(error):
            pytest.skip("what the wheel requires can't be installed: there is no package index")
        raise
    return programs


@pytest.fixture
def typed(installed: Path, tmp_path: Path) -> Typed:
    """Return what types a command in an empty folder."""
    environment = {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "COLUMNS": "80"}

    def run(*words: object, code: int = 0) -> str:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=tmp_path,
            env={**environment, "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


class Stranger(Session):
    """A page's blocks, typed by somebody who has only the installed wheel."""

    def __init__(self, page: Path, shell: Shell, folder: Path) -> None:
        super().__init__(page, shell)
        self._folder = folder

    def run(self, language: str, body: str) -> None:
        if language != "python":
            super().run(language, body)
            return
        (self._folder / "block.py").write_text(body, encoding="utf-8")
        self.printed, code = self.shell.run("python block.py")
        assert code == 0, self.printed


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_pages(page: str, installed: Path, tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    with Shell(tmp_path, programs=installed) as shell:
        assert str(installed.parent) in shell.run('python -c "import themis; print(themis.__file__)"')[0]
        stranger = Stranger(ROOT / page, shell, tmp_path)
        for block in BLOCK.finditer(text):
            if block["reason"] is None:
                stranger.run(block["language"], block["body"])


def test_the_readme_s_commands(installed: Path, tmp_path: Path, typed: Typed) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = makefile.partition("\ndemo:")[2].partition("-m themis ")[2].partition("\n")[0]
    assert command.startswith("quick-eval file examples/sums.jsonl")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "sums.jsonl").write_bytes((ROOT / "examples" / "sums.jsonl").read_bytes())
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0]
    assert_shown(f"{shown}...\n", typed("themis", *command.split()), "make demo")


def test_a_table_with_topics_a_judge_a_comparison_and_a_gate(tmp_path: Path, typed: Typed) -> None:
    (tmp_path / "qa.csv").write_text(TOPICS, encoding="utf-8")
    columns = ["--input-field", "question", "--expected-field", "answer"]
    asked = ["themis", "quick-eval", "file", "qa.csv", *columns, "--metric", "exact_match"]

    said = typed(*asked, "--model", "builtin/demo_generator", "--by", "topic", "--name", "right")
    assert all(topic in said for topic in ("europe", "asia", "america"))
    typed(*asked, "--model", "builtin/demo_model", "--name", "errs")

    judged = ["--metric", "builtin/llm_rubric", "--judge", "builtin/demo_judge"]
    assert "builtin/llm_rubric" in typed(*asked, *judged, "--model", "builtin/demo_generator")

    compared = json.loads(typed("themis", "compare", "right", "errs", "--json"))
    assert compared["comparisons"][0]["pairs"] == 6
    typed("themis", "compare", "right", "errs", "--fail-on-regression", "exact_match:0.02", code=1)
    typed("themis", "compare", "right", "right", "--fail-on-regression", "exact_match:0.02")

    gate = ["--model", "builtin/demo_generator", "--require", "exact_match>=0.5", "--junit", "gate.xml"]
    typed(*asked, *gate)
    assert 'failures="0"' in (tmp_path / "gate.xml").read_text(encoding="utf-8")

    typed("themis", "report", "right", "--format", "html", "--output", "right.html")
    assert '="http' not in (tmp_path / "right.html").read_text(encoding="utf-8")
    assert "verified" in typed("themis", "verify", "right")


SWEEP = """\
import json

from themis import Experiment

for error_rate in (0.0, 0.25, 0.5):
    model = json.dumps({"id": "builtin/demo_model", "error_rate": error_rate})
    swept = Experiment.from_config("experiment.yaml", overrides=[f"generation.generator={model}"]).run()
    print(error_rate, swept.benchmark.metric_means["builtin/exact_match"])
"""


def test_a_sweep(tmp_path: Path, typed: Typed) -> None:
    typed("themis", "init")
    (tmp_path / "sweep.py").write_text(SWEEP, encoding="utf-8")
    said = typed("python", "sweep.py")
    means = [float(line.split()[1]) for line in said.splitlines()]
    assert means == sorted(means, reverse=True)
    assert means[0] == 1.0 > means[-1]
    listed = typed("themis", "list")
    assert all(f"error_rate {rate}" in listed for rate in (0.25, 0.5))
    assert typed("python", "sweep.py") == said


def test_a_notebook_twice_side_by_side(installed: Path, tmp_path: Path) -> None:
    must(installed / "python", "-m", "pip", "install", "--quiet", "nbclient", "ipykernel", "pandas")
    source = ROOT / "examples" / "notebook.ipynb"

    def executed(number: int) -> list[Any]:
        copy = tmp_path / str(number) / source.name
        copy.parent.mkdir()
        copy.write_bytes(source.read_bytes())
        must(installed / "jupyter-execute", "--inplace", copy, cwd=copy.parent)
        cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
        return [
            {name: output[name] for name in ("text", "data") if name in output}
            for cell in cells
            for output in cell.get("outputs", [])
        ]

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(executed, range(2))
    assert first == second != []
