"""The command as a process of its own: what it loads, pipes that close, a terminal's interrupt, completion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("cattrs", "httpx", "httpx2", "orjson", "sqlite3", "sqlite_utils", "trio", "themis.pure", "yaml")
LOADED = """
import sys
from themis.api.cli import run_command
assert run_command(sys.argv[1:]) == 0
print(*sys.modules, file=sys.stderr)
"""
COMMAND = [sys.executable, "-m", "themis"]
SLOW = """
import trio
from themis import generator

@generator
async def slow(case):
    print("asked", flush=True)
    await trio.sleep(0.02 if case.case_id < "2" else 3600)
    return case.expected_output
"""


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"]])
def test_help_loads_nothing_that_takes_long(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "cyclopts" in loaded
    assert not loaded & set(HEAVY)


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, "schema"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_an_interrupted_run_exits_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, "init"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    run = [*COMMAND, "run", "experiment.yaml", "generation.generator=slow:slow", "--concurrency", "9"]
    process = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(9):
        assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "what finished is stored in sqlite:runs/themis.sqlite3" in said


@pytest.mark.parametrize("store", ["sqlite", "jsonl"])
def test_a_killed_run_is_called_interrupted_and_what_it_left_is_not_done_yet(tmp_path: Path, store: str) -> None:
    subprocess.run([*COMMAND, "init"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    address = "runs/s" if store == "sqlite" else "jsonl:runs/s"
    changes = ["generation.generator=slow:slow", f"storage.store={store}", "storage.parameters.path=runs/s"]

    def told(*words: str) -> Any:
        done = subprocess.run(
            [*COMMAND, *words, "--store", address, "--json"], cwd=tmp_path, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    run = [*COMMAND, "run", "experiment.yaml", *changes, "--concurrency", "9"]
    process = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        for _ in range(9):
            assert process.stdout.readline() == "asked\n"
        while told("quickcheck", "latest")["metrics"][0]["scored"] < 2:
            assert process.poll() is None
        assert [line["status"] for line in told("list")] == ["running"]
    finally:
        process.kill()
        process.communicate()
    assert [line["status"] for line in told("list", "--status", "interrupted")] == ["interrupted"]
    check = told("quickcheck", "latest")
    metric = check["metrics"][0]
    assert check["status"] == "interrupted"
    assert (metric["errors"], metric["scored"] + metric["not_reached"]) == (0, metric["planned"])
    assert metric["not_reached"] > 0
    assert told("inspect", "state", "latest")["status"] == "interrupted"


def test_colour_and_width_follow_the_environment(tmp_path: Path) -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    coloured = subprocess.run([*COMMAND, "--help"], env=environment, capture_output=True, text=True, check=True).stdout
    plain = subprocess.run(
        [*COMMAND, "--help"], env={**environment, "NO_COLOR": "1"}, capture_output=True, text=True, check=True
    ).stdout
    assert "\x1b[3" in coloured
    assert "\x1b[3" not in plain
