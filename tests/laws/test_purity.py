"""Law 1: a whole replay runs under an audit hook that forbids files, network, processes and the clock."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import themis.pure

CHILD = Path(__file__).parent / "purity_child.py"
MODULES = sorted(Path(themis.pure.__path__[0]).rglob("*.py"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(CHILD), *arguments], capture_output=True, text=True, check=False)


def test_recomputing_judging_and_reporting_touch_nothing() -> None:
    done = run()
    assert done.stdout == "pure\n", done.stderr


def test_the_hook_would_notice() -> None:
    done = run("--provoke")
    assert done.returncode != 0
    assert "RuntimeError: open" in done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_asks_for_the_time_or_for_global_randomness(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today", "urandom", "uuid4", "getenv", "environ"}, node.lineno
            if isinstance(node.value, ast.Name) and node.value.id == "random":
                assert node.attr in {"Random"}, f"line {node.lineno}: random.{node.attr}"


def test_the_core_loads_nothing_that_does_io() -> None:
    script = (
        "import sys, themis.pure, themis.pure.projections, themis.pure.pipeline.verification;"
        "print([m for m in ('trio', 'httpx', 'httpx2', 'sqlite3', 'sqlite_utils') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
