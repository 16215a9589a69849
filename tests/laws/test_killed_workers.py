"""Law 5 for runs of many workers: workers and whoever sent them are killed at random, the digest is the same.

Nothing that was acknowledged is asked again: a call whose answer stands in the store is never made once more.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from tests.laws.many.coordinator import CASES, SAMPLES, experiment
from tests.laws.many.logging_components import note
from tests.postgres_server import postgres_server

from themis.api.experiment.verify import verify
from themis.effects.stores.postgres import PostgresRunStore

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")

ROOT = Path(__file__).parents[2]

ENGINES = (
    pytest.param("processes", 4, id="4 processes"),
    pytest.param("dask", 2, id="Dask with 2"),
    pytest.param("dask", 4, id="Dask with 4", marks=pytest.mark.hardening),
    pytest.param("ray", 2, id="Ray with 2", marks=pytest.mark.hardening),
)


@attrs.frozen
class Attempts:
    """Attempts at one run, each a process that has an engine work on it."""

    dsn: str
    schema: str
    log: Path
    engine: str
    workers: int
    address: str = ""

    def begin(self) -> subprocess.Popen[str]:
        words = [self.dsn, self.schema, str(self.log), self.engine, str(self.workers), self.address]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.laws.many.coordinator", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        )

    def store(self) -> PostgresRunStore:
        return PostgresRunStore(self.dsn, self.schema)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        more = children.get(waiting.pop(), [])
        found += more
        waiting += more
    return found


def kill_a_worker(coordinator: subprocess.Popen[str], draw: random.Random) -> bool:
    workers = [pid for pid in descendants(coordinator.pid) if not [*descendants(pid)]]
    if workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(draw.choice(workers), signal.SIGKILL)
    return bool(workers)


@contextlib.contextmanager
def acknowledging(attempts: Attempts) -> Iterator[None]:
    """Note in the log what stands in the store, as soon as it is seen there."""
    over, seen = threading.Event(), set[str]()

    def watch() -> None:
        while not over.is_set():
            with contextlib.suppress(psycopg.Error), psycopg.connect(attempts.dsn, autocommit=True) as connection:
                while not over.wait(0.01):
                    rows = connection.execute(
                        f"select payload::jsonb ->> 'candidate_id' from {attempts.schema}.event "
                        "where event_type = 'generation_completed'"
                    ).fetchall()
                    for (name,) in rows:
                        if name not in seen:
                            seen.add(name)
                            note(str(attempts.log), "acknowledged", name)
            over.wait(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def asked_again(log: Path) -> list[str]:
    """Return the calls that were made although their answers had been seen in the store."""
    acknowledged, again = set[str](), []
    for line in log.read_text(encoding="utf-8").splitlines():
        what, name = line.split()
        if what == "acknowledged":
            acknowledged.add(name)
        elif name in acknowledged:
            again.append(name)
    return again


def end_in_order(attempts: Attempts) -> str:
    process = attempts.begin()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_workers_and_their_coordinator_are_killed_and_the_run_still_ends_in_the_same_digest(
    engine: str, workers: int, tmp_path: Path, postgres_dsn: str
) -> None:
    if engine != "processes":
        pytest.importorskip({"dask": "distributed"}.get(engine, engine), reason=f"extra {engine} is not installed")
    whole = experiment(str(tmp_path / "whole")).run()
    attempts = Attempts(postgres_dsn, f"killed_{engine}_{workers}_{os.getpid()}", tmp_path / "log", engine, workers)
    attempts.log.touch()
    draw, kills, coordinators = random.Random(workers), 0, 0
    with acknowledging(attempts):
        while kills < 6:
            process = attempts.begin()
            calls = len(attempts.log.read_text(encoding="utf-8").splitlines())
            while process.poll() is None and kills < 6:
                if len(attempts.log.read_text(encoding="utf-8").splitlines()) < calls + draw.randint(5, 40):
                    time.sleep(0.01)  # drawn in calls, so that slow and fast machines are hit alike
                    continue
                calls = len(attempts.log.read_text(encoding="utf-8").splitlines())
                if kills == 3 and not coordinators:
                    coordinators += 1
                    process.kill()
                    break
                kills += kill_a_worker(process, draw)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            _, err = process.communicate()
            assert process.returncode in (0, -signal.SIGKILL), err
            if process.returncode == 0:
                break
        said = end_in_order(attempts)
    assert said == f"{whole.status} {whole.digest} {CASES}\n"
    assert kills >= 4
    assert asked_again(attempts.log) == []
    calls_made = {line.split()[1] for line in attempts.log.read_text(encoding="utf-8").splitlines() if "call" in line}
    assert len(calls_made) == CASES * SAMPLES
    with attempts.store() as store:
        (line,) = store.list_runs()
        found = verify(store, line.run_id, experiment=experiment(str(tmp_path / "none")))
        assert (found.verdict, found.broken_links, found.altered, found.differences) == ("verified", (), (), ())
        made = [event for event in store.events(line.run_id) if event.event_type == "generation_completed"]
        assert len(made) == CASES * SAMPLES


@pytest.mark.hardening
@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_the_server_is_stopped_at_once_and_the_run_still_ends_in_the_same_digest(engine: str, tmp_path: Path) -> None:
    whole = experiment(str(tmp_path / "whole")).run()
    draw, stops = random.Random(engine), 0
    with postgres_server() as server:
        attempts = Attempts(server.dsn, "stopped", tmp_path / "log", engine, 4)
        attempts.log.touch()
        with acknowledging(attempts):
            while stops < 8:
                process = attempts.begin()
                calls = len(attempts.log.read_text(encoding="utf-8").splitlines())
                while process.poll() is None and stops < 8:
                    if len(attempts.log.read_text(encoding="utf-8").splitlines()) < calls + draw.randint(5, 40):
                        time.sleep(0.01)
                        continue
                    server.stop()
                    time.sleep(draw.uniform(0.0, 3.0))
                    server.start()
                    stops += 1
                    calls = len(attempts.log.read_text(encoding="utf-8").splitlines())
                _, err = process.communicate(timeout=300)
                assert "Traceback" not in err.rpartition("StoreError")[2], err
                if process.returncode == 0:
                    break
            assert end_in_order(attempts) == f"{whole.status} {whole.digest} {CASES}\n"
        assert stops >= 3
        assert asked_again(attempts.log) == []
        with attempts.store() as store:
            (line,) = store.list_runs()
            assert verify(store, line.run_id, experiment=experiment(str(tmp_path / "none"))).verdict == "verified"
