"""One run by many workers into PostgreSQL: `python -m benchmarks.many_workers [CASES] [WORKERS,...] [SHARE]`.

By default 1,000,000 cases by one worker, and by four; then 10,000,000 is `make ten-million`. The server, a process of
its own on this machine, is started here. Each case goes through a model that answers at once, `builtin/first`,
the text as it is and one metric, and is stored for good. Each run is a process of its own, so that its peak memory is.

SHARE holds all processes of a run, but not the server, to that share of a processor for each worker (by control groups,
as root): so four workers on a machine of two processors show what they would do on one of many.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.postgres_server import postgres_server

from benchmarks.engine import TrivialModel, equal
from themis import EvaluationConfig, Experiment, GenerationConfig, PostgresRunStore, RunResult, StorageConfig, verify
from themis.effects.sources.files import file_dataset
from themis.engines import Processes

_GROUPS = Path("/sys/fs/cgroup/cpu")
_PERIOD_US = 100_000
MOST_VERIFIED = 1_000_000


def write_cases(path: Path, cases: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for i in range(cases):
            file.write(json.dumps({"case_id": str(i), "input": f"{i} + {i}", "expected_output": str(2 * i)}) + "\n")


def experiment_of(path: Path, dsn: str, workers: int) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=TrivialModel(), reducer="builtin/first"),
        evaluation=EvaluationConfig(metrics=[equal]),
        datasets=file_dataset(path),
        storage=StorageConfig(store="postgres", parameters={"dsn": dsn, "schema": f"workers_{workers}"}),
    )


def measured_run(path: Path, dsn: str, workers: int) -> dict[str, Any]:
    """Run, and return what it took: seconds, seconds of processors, and memory."""
    over, peaks = threading.Event(), [0]
    threading.Thread(target=_note_peaks, args=(over, peaks), daemon=True).start()
    started, busy = time.perf_counter(), _busy()
    result = experiment_of(path, dsn, workers).run(engine=Processes(workers=workers))
    seconds, busy = time.perf_counter() - started, _busy() - busy
    over.set()
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    of_workers, of_this = (used.ru_utime + used.ru_stime for used in (theirs, mine))
    return {
        "seconds": seconds,
        "workers_s": of_workers,
        "others_s": busy - of_workers - of_this,
        "peak_mb": mine.ru_maxrss / 1024,
        "worker_mb": max(peaks) / 1024,
        "run_id": result.run_id,
        "status": result.status,
    }


def measured_reading(path: Path, dsn: str, workers: int, run_id: str, cases: int) -> str:
    """Read what the workers stored, and say in a few words what was found and how long that took."""
    experiment = experiment_of(path, dsn, workers)
    with PostgresRunStore(dsn, f"workers_{workers}") as store:
        result = RunResult(snapshot=store.load_snapshot(run_id), store=store)
        if cases > MOST_VERIFIED:
            return f"{store.head(run_id).count} events"
        said = []
        started = time.perf_counter()
        said.append(f"digest {result.digest[:12]} in {time.perf_counter() - started:.0f} s")
        for jobs in (1, os.cpu_count() or 1):
            started = time.perf_counter()
            verdict = verify(store, run_id, experiment=experiment, jobs=jobs).verdict
            said.append(f"{verdict} by {jobs} in {time.perf_counter() - started:.0f} s")
        return ", ".join(said)


def _note_peaks(over: threading.Event, peaks: list[int]) -> None:
    """Note the peak memory of this process's children, in KB; what the system says of them afterwards is of both."""
    while not over.wait(1):
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                said = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
                if int(said["PPid"]) == os.getpid() and "VmHWM" in said:
                    peaks.append(int(said["VmHWM"].split()[0]))


def _busy() -> float:
    """Return how many seconds this machine's processors have worked."""
    user, nice, system = map(int, Path("/proc/stat").read_text(encoding="ascii").split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _held_to(processors: float | None) -> Iterator[None]:
    """Hold this process, and those that it starts, to so many processors."""
    if processors is None:
        yield
        return
    group = Path(tempfile.mkdtemp(prefix="themis-", dir=_GROUPS))
    (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US), encoding="ascii")
    (group / "cpu.cfs_quota_us").write_text(str(int(processors * _PERIOD_US)), encoding="ascii")
    (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    try:
        yield
    finally:
        (_GROUPS / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        group.rmdir()


def main(cases: int, numbers: list[int], share: float | None) -> None:
    print(f"{cases} cases" + (f", {share} of a processor for each worker" if share else ""))
    print(
        f"{'workers':>7} {'seconds':>8} {'cases/s':>8} {'workers s':>9} {'others s':>8} {'peak MB':>8} {'a worker':>8}"
    )
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        path = Path(folder) / "cases.jsonl"
        write_cases(path, cases)
        rates = []
        for workers in numbers:
            place = [str(path), server.dsn, str(workers)]
            command = [sys.executable, "-m", "benchmarks.many_workers", "--run", *place]
            with _held_to(share and share * workers):
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout)
            rates.append(cases / found["seconds"])
            print(
                f"{workers:>7} {found['seconds']:>8.1f} {rates[-1]:>8.0f} {found['workers_s']:>9.1f} "
                f"{found['others_s']:>8.1f} {found['peak_mb']:>8.0f} {found['worker_mb']:>8.0f}  {found['status']}",
                flush=True,
            )
            print("       ", measured_reading(path, server.dsn, workers, found["run_id"], cases), flush=True)
    for workers, rate in zip(numbers[1:], rates[1:], strict=True):
        print(f"{workers} workers: {rate / rates[0]:.2f} times {numbers[0]}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        print(json.dumps(measured_run(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))))
    else:
        words = dict(enumerate(sys.argv[1:]))
        several = [int(word) for word in words.get(1, "1,4").split(",")]
        main(int(words.get(0, 1_000_000)), several, float(words[2]) if 2 in words else None)
