"""Law 5: SIGKILL at any moment; nothing acknowledged is lost, nothing paid is paid twice, the digest is the same."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

CHILD = Path(__file__).parent / "crash" / "child.py"
CASES, SAMPLES = 120, 2


def attempt(folder: Path, number: int, kill: str, answers: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHILD), str(folder / "s.sqlite3"), str(folder), str(number), kill, answers],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines(path: Path) -> list[tuple[int, str]]:
    if not path.exists():
        return []
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [(int(number), name) for number, name in pairs]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    outputs = {}
    for answers in ("one", "several", "until"):
        done = attempt(tmp_path_factory.mktemp("whole"), 0, "never", answers)
        assert done.returncode == 0, done.stderr
        outputs[answers] = done.stdout
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "seed"), [("one", 0), ("one", 1), ("one", 2), ("several", 3), ("several", 4), ("until", 5)]
)
def test_ten_kills_each_and_the_run_still_ends_in_the_same_digest(
    answers: str, seed: int, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    rng = random.Random(seed)
    killed = in_commit = number = 0
    output = ""
    while not output:
        number += 1
        # Drawn in calls, and in milliseconds after one, so that slow and fast machines are hit alike.
        moment = f"call:{rng.randint(1, 12)}:{rng.uniform(0.0, 0.03):.4f}"
        kill = f"commit:{rng.randint(1, 3)}" if number % 3 == 0 else moment
        done = attempt(tmp_path, number, kill if killed < 10 else "never", answers)
        if done.returncode == -signal.SIGKILL:
            killed += 1
            in_commit += kill.startswith("commit")
        else:
            assert done.returncode == 0, done.stderr
            output = done.stdout
    assert output == uninterrupted[answers]
    planned = int(output.split()[-1])
    assert (planned < CASES) == (answers == "until")
    assert_nothing_acknowledged_was_asked_again(tmp_path, planned)
    assert_the_store_is_whole(tmp_path / "s.sqlite3", planned)
    assert killed == 10
    assert in_commit >= 2


def assert_nothing_acknowledged_was_asked_again(folder: Path, planned: int) -> None:
    acknowledged_in = {name: number for number, name in reversed(lines(folder / "acknowledged"))}
    calls: dict[str, list[int]] = defaultdict(list)
    for number, name in lines(folder / "calls"):
        calls[name].append(number)
    assert len(calls) == planned * SAMPLES
    for name, attempts in calls.items():
        assert len(attempts) == len(set(attempts)), f"{name} was asked twice within one attempt"
        # One that died between the commit and the telling acknowledged nothing: there is nothing to hold it to.
        assert all(number <= acknowledged_in.get(name, number) for number in attempts), (
            f"{name} was asked again after it was stored"
        )


def assert_the_store_is_whole(path: Path, planned: int) -> None:
    database = sqlite3.connect(path)
    try:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        generated = "select count(*), count(distinct payload ->> 'candidate_id') from event where event_type = ?"
        assert database.execute(generated, ("generation_completed",)).fetchone() == (planned * SAMPLES,) * 2
    finally:
        database.close()
