"""How far a run is, where stderr is a file or a pipe: seldom, and at once where an endpoint makes it wait."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from themis.api import progress as live
from themis.effects.options import Progress


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_INTERVAL_S", 0.001)
    monkeypatch.setattr(live, "_LOG_INTERVAL_S", 0.05)


def until_said(out: io.StringIO, text: str) -> list[str]:
    for _ in range(2_000):
        if text in out.getvalue():
            break
        time.sleep(0.005)
    return out.getvalue().splitlines()


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[io.StringIO]:
    with contextlib.redirect_stderr(io.StringIO()) as out, live.shown(progress):
        yield out


@pytest.mark.usefixtures("fast")
def test_a_line_now_and_then() -> None:
    with shown(Progress(total=10, done=4)) as stderr:
        lines = until_said(stderr, "4/10 done")
    assert lines[0].startswith("themis: ")


def test_a_short_run_says_nothing() -> None:
    with shown(Progress(total=1, done=1)) as stderr:
        pass
    assert not stderr.getvalue()


def test_a_long_wait_is_said_at_once_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_INTERVAL_S", 0.001)
    progress = Progress(total=10)
    with shown(progress) as stderr:
        progress.wait("openai", 2.0)
        progress.wait("groq", 250.0)
        lines = until_said(stderr, "groq")
        for _ in range(20):
            progress.wait("groq", 250.5)
            time.sleep(0.002)
        assert until_said(stderr, "groq") == lines
    assert "groq asked to be left alone until " in lines[0]
    assert "(250 s)" in lines[0]


def test_the_line_of_a_terminal_names_who_waits() -> None:
    progress = Progress()
    assert live.waits(progress, time.monotonic()) == ""
    progress.wait("openai", 280.0)
    assert "openai asked to be left alone until" in live.waits(progress, time.monotonic())
    assert live.waits(progress, time.monotonic() + 281.0) == ""


CELL = """
import trio
from themis import evaluate_async, generator

@generator
async def slow(case):
    await trio.sleep(3 if case.case_id == "1" else 0)
    return "1"

rows = [{"case_id": str(n), "input": "1", "expected_output": "1"} for n in range(4)]
result = await evaluate_async(model=slow, data=rows, metric="builtin/exact_match")
result
"""


def test_a_notebook_shows_progress_below_its_cell_and_a_result_as_a_table() -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    client.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    shown = [each.data["text/plain"] for each in outputs if each.output_type == "display_data"]
    assert len(shown) == 1
    assert shown[0].startswith("4/4 done, 0 errors")
    (table,) = [each.data["text/html"] for each in outputs if each.output_type == "execute_result"]
    assert "<table>" in table
    assert not [each for each in outputs if each.output_type == "stream"]


SCRIPT = """
import sys, trio
from themis import evaluate, generator

@generator
async def slow(case):
    await trio.sleep(1)
    return "1"

rows = [{"input": "1", "expected_output": "1"}]
evaluate(model=slow, data=rows, metric="builtin/exact_match", runtime=RUNTIME)
"""


@pytest.mark.parametrize("progress", [True, False])
def test_a_script_on_a_terminal_shows_progress_unless_it_is_told_not_to(tmp_path: Path, progress: bool) -> None:
    runtime = f"__import__('themis').RuntimeConfig(progress={progress})"
    (tmp_path / "script.py").write_text(SCRIPT.replace("RUNTIME", runtime), encoding="utf-8")
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "script.py"], stderr=follower, check=True, cwd=tmp_path)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # its end
        while True:
            shown += os.read(leader, 1 << 16)
    os.close(leader)
    assert (b"0/1 done" in shown) == progress
    assert shown.endswith(b"\r\x1b[K") == progress


def test_of_several_runs_a_terminal_shows_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_INTERVAL_S", 0.001)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with contextlib.redirect_stderr(Terminal()) as out, live.shown(Progress(total=1)):
        until_said(out, "0/1 done")
        with live.shown(Progress(total=2)):
            time.sleep(0.05)
        with live.shown(Progress(total=3)):
            time.sleep(0.05)
    assert "0/2" not in out.getvalue()
    assert "0/3" not in out.getvalue()


def test_a_process_without_a_console_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with live.shown(Progress(total=1)):
        pass
