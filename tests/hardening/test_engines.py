"""What befalls a run by many workers from outside: the scheduler dies, the server's disk fills, clocks are off."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest
from tests.hardening.conftest import Report
from tests.hardening.test_full_disks import STEPS_KB, small_disk
from tests.laws.many.coordinator import CASES, SAMPLES, experiment
from tests.laws.test_killed_workers import ROOT, Attempts, acknowledging, asked_again, end_in_order
from tests.postgres_server import PostgresServer

from themis.api.experiment.many.run import submit_to_store
from themis.api.experiment.verify import verify
from themis.effects.host import run_sync
from themis.pure.records.config import StorageConfig

__all__ = ["small_disk"]
pytestmark = pytest.mark.postgres
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")


def check(attempts: Attempts) -> None:
    """Look whether the run is whole, was paid for once, and is verified."""
    assert asked_again(attempts.log) == []
    with attempts.store() as store:
        (line,) = store.list_runs()
        assert line.status == "completed"
        events = [one.event_type for one in store.events(line.run_id)]
        assert events.count("generation_completed") == CASES * SAMPLES
        assert verify(store, line.run_id, experiment=experiment(str(attempts.log))).verdict == "verified"


def calls(attempts: Attempts) -> int:
    return attempts.log.read_text(encoding="utf-8").count("call")


# --- a scheduler of its own -------------------------------------------------------------------------------


@attrs.define
class Cluster:
    """Dask's scheduler and two workers, each a process that a supervisor starts again."""

    folder: Path
    port: int
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.scheduler = self._started("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        self.workers = [self._started("worker", self.address, "--nthreads", "1", "--no-dashboard") for _ in range(2)]

    def kill(self) -> None:
        """Kill the scheduler; its workers end by themselves, at the latest when they are told to."""
        assert self.scheduler is not None
        self.scheduler.kill()
        self.scheduler.wait()
        for worker in self.workers:
            worker.terminate()
            worker.wait(timeout=60)

    def _started(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "cluster").open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            )


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="extra dask is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = Cluster(tmp_path, free.getsockname()[1])
    made.start()
    try:
        yield made
    finally:
        made.kill()


def test_a_scheduler_that_is_killed_and_started_again(
    cluster: Cluster, server: PostgresServer, tmp_path: Path, rng: random.Random, report: Report
) -> None:
    whole = experiment(str(tmp_path / "whole")).run()
    attempts = Attempts(server.dsn, "scheduler", tmp_path / "log", "dask", 2, cluster.address)
    attempts.log.touch()
    kills = begun = 0
    with acknowledging(attempts):
        said = ""
        while not said:
            process, begun = attempts.begin(), begun + 1
            while process.poll() is None and kills < 4:
                before = calls(attempts)
                most = before + rng.randint(5, 25)
                while process.poll() is None and calls(attempts) < most:
                    time.sleep(0.01)
                if process.poll() is None:
                    cluster.kill()
                    time.sleep(rng.uniform(0.0, 3.0))
                    cluster.start()
                    kills += 1
            said, err = process.communicate(timeout=300)
            assert process.returncode == 0 or "WorkFailedError" in err, err
    assert said == f"{whole.status} {whole.digest} {CASES}\n"
    assert kills >= 2
    check(attempts)
    report(
        "Dask's scheduler killed and started again",
        f"{kills} kills, in {begun} attempts: the digest of an undisturbed run, no stored call made again",
    )


# --- the server's disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_a_full_disk_of_the_server_under_many_workers(
    engine: str, server: PostgresServer, small_disk: Path, tmp_path: Path, rng: random.Random, report: Report
) -> None:
    if engine == "dask":
        pytest.importorskip("distributed", reason="extra dask is not installed")
    place, size_kb, full = small_disk / "tables", 64, 0
    place.mkdir()
    server.own(place)
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f"create tablespace small_{engine} location '{place}'".encode())
    whole = experiment(str(tmp_path / "whole")).run()
    dsn = f"{server.dsn}?options=-cdefault_tablespace%3Dsmall_{engine}"
    attempts = Attempts(dsn, f"full_{engine}", tmp_path / "log", engine, 2)
    attempts.log.touch()
    with acknowledging(attempts):
        said = ""
        while not said:
            process = attempts.begin()
            said, err = process.communicate(timeout=300)
            assert said or "the server's disk is full" in err, err
            if not said:
                full += 1
                size_kb += rng.randint(*STEPS_KB)
                subprocess.run(["mount", "-o", f"remount,size={size_kb}k", str(small_disk)], check=True)
    assert said == f"{whole.status} {whole.digest} {CASES}\n"
    assert full > 1
    check(attempts)
    report(
        f"full disk of the server, workers of {engine}",
        f"{full} times full, each one clear error, and room made: the digest of an undisturbed run, no stored call "
        "made again",
    )
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f"drop schema full_{engine} cascade".encode())
        db.execute(f"drop tablespace small_{engine}".encode())


# --- clocks -----------------------------------------------------------------------------------------------

FAKETIME = Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "faketime" / "libfaketime.so.1"
CLOCKS: tuple[Mapping[str, str], ...] = (
    {"FAKETIME": "-900d"},
    {"FAKETIME": "+900d"},
    {"FAKETIME": "+0 x20"},
    {},
)


def test_clocks_that_are_years_apart(
    server: PostgresServer, tmp_path: Path, rng: random.Random, report: Report
) -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed (Debian's package faketime)")
    whole = experiment(str(tmp_path / "whole")).run()
    attempts = Attempts(server.dsn, "clocks", tmp_path / "log", "workers", 4)
    attempts.log.touch()
    storage = StorageConfig(store="postgres", parameters={"dsn": server.dsn, "schema": "clocks"})
    made = experiment(str(attempts.log), storage)
    run_id = run_sync(lambda: submit_to_store(made, segment_size=3, modules=ROOT), "submit").run_id
    kills = 0

    def start(clock: Mapping[str, str]) -> subprocess.Popen[str]:
        script = (
            "import sys; from themis.api.experiment.many.work import Task, work_on; "
            "from themis.pure.records.config import StorageConfig; "
            "work_on(Task(run_id=sys.argv[1], storage=StorageConfig(store='postgres', "
            "parameters={'dsn': sys.argv[2], 'schema': 'clocks'})))"
        )
        faked = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **clock} if clock else {}
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-c", script, run_id, server.dsn]
        return subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path, **faked}
        )

    with acknowledging(attempts):
        workers = [start(clock) for clock in CLOCKS]
        while any(worker.poll() is None for worker in workers):
            time.sleep(0.2)
            if kills < 4 and calls(attempts) > (kills + 1) * 15:
                number = rng.randrange(len(CLOCKS))
                with contextlib.suppress(ProcessLookupError):
                    workers[number].send_signal(signal.SIGKILL)
                workers[number].communicate()
                workers[number], kills = start(CLOCKS[number]), kills + 1
        said = [worker.communicate()[1] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * len(CLOCKS), said
    assert kills >= 2
    check(attempts)
    with attempts.store() as store:
        years = {str(one.payload).partition('"occurred_at":"')[2][:4] for one in store.events(run_id)}
        assert len(years) >= 3, years  # the clocks were off indeed
    assert end_in_order(Attempts(server.dsn, "clocks", attempts.log, "processes", 1)).split()[1] == whole.digest
    report(
        "clocks years apart, and one twenty times too fast",
        f"4 workers, {kills} of them killed: the digest of an undisturbed run, no stored call made again",
    )
