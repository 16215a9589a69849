"""Nothing of a sandbox lives on, whenever Themis is killed."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.sandbox

CHILD = Path(__file__).with_name("killed_child.py")
SOURCES = Path(__file__).parents[3] / "src"
STEPS = ["before it starts", "it is started", "its first process is there", "it is met", "it is let go"]


def bearing(mark: str) -> dict[int, list[str]]:
    """Return the living processes whose command line has a word in it."""
    found = {}
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = line.read_bytes()
        except OSError:
            continue
        if mark.encode() in text:
            found[int(line.parent.name)] = text.decode(errors="replace").split("\0")[:2]
    return found


def killed(step: str, delay: float, folder: Path) -> None:
    mark = f"9{secrets.randbelow(10**12)}.5"
    command = [sys.executable, str(CHILD), step, str(delay), mark, str(folder / "python")]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(command, env=environment, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    deadline = time.monotonic() + 30
    while left := bearing(mark):
        assert time.monotonic() < deadline, f"{step}, {delay} s: {left}"
        time.sleep(0.01)


@pytest.mark.parametrize("step", [*STEPS, "a survey"])
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.02, 0.3])
def test_nothing_outlives_a_kill(step: str, delay: float, tmp_path: Path) -> None:
    killed(step, delay, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_nothing_outlives_a_kill_at_any_moment(step: str, tmp_path: Path) -> None:
    for number in range(30):
        killed(step, number / 3000, tmp_path)
