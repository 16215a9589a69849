"""What is read of processes while they change: no number may be another's, and nothing may be raised."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from themis.effects.sandboxes import process_usage
from themis.effects.sandboxes.process_usage import held_by_files, parent_of, proportional, usage_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def gone() -> int:
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


class Processes:
    """Processes as /proc(5) tells of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, pid: int, parent: int, *, ticks: int = 0, pages: int = 0, threads: tuple[str, ...] = ("",)) -> None:
        own = self._folder / str(pid)
        fields = ["S", str(parent), *["0"] * 9, str(ticks), *["0"] * 9, str(pages)]
        own.mkdir()
        (own / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}\n")
        for number, children in enumerate(threads):
            (own / "task" / str(pid + number)).mkdir(parents=True)
            (own / "task" / str(pid + number) / "children").write_text(children)


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    monkeypatch.setattr(process_usage, "_PROC", tmp_path)
    return Processes(tmp_path)


def test_a_tree_is_measured(processes: Processes) -> None:
    processes.add(10, 9, ticks=100, pages=1, threads=("11 ", "12 "))
    processes.add(11, 10, ticks=200, pages=2, threads=("13 ",))
    processes.add(12, 10, ticks=400, pages=4)
    processes.add(13, 10, ticks=800, pages=8)  # its parent has ended since, and the root has adopted it
    found = usage_of(10, 9)
    assert found.pids[0] == 10
    assert sorted(found.pids) == [10, 11, 12, 13]
    assert found.cpu_s == 1500 / os.sysconf("SC_CLK_TCK")
    assert found.resident == 15 * os.sysconf("SC_PAGE_SIZE")


def test_a_child_that_one_thread_leaves_to_another_counts_once(processes: Processes) -> None:
    processes.add(10, 9, threads=("20 ", "20 "))
    processes.add(20, 10, ticks=100, pages=5)
    found = usage_of(10, 9)
    assert found.pids == (10, 20)
    assert found.resident == 5 * os.sysconf("SC_PAGE_SIZE")


def test_a_number_that_another_process_has_taken_is_not_measured(processes: Processes) -> None:
    processes.add(10, 9, threads=("20 ",))
    processes.add(20, 1, ticks=10**9, pages=10**9, threads=("21 ",))
    processes.add(21, 20, ticks=10**9, pages=10**9)
    assert usage_of(10, 9) == process_usage.Usage((10,), 0.0, 0)
    assert usage_of(20, 9) == process_usage.Usage((), 0.0, 0)


def test_real_processes(child: subprocess.Popen[bytes]) -> None:
    assert usage_of(child.pid, os.getpid()).pids == (child.pid,)
    assert usage_of(child.pid, child.pid).pids == ()
    assert parent_of(child.pid) == os.getpid()


def test_a_process_that_has_ended_holds_nothing() -> None:
    pid = gone()
    assert usage_of(pid, os.getpid()).pids == ()
    assert parent_of(pid) is None
    assert proportional((pid,)) == 0
    assert held_by_files(pid, ["/tmp"]) == 0


def test_files_of_this_machine_are_not_a_programs(child: subprocess.Popen[bytes]) -> None:
    assert held_by_files(child.pid, ["/", "/tmp", "/dev/shm"]) == 0


def test_a_world_without_the_folders_is_being_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/proc").stat().st_dev == Path("/").stat().st_dev:
        pytest.skip("needs another file system")
    monkeypatch.setattr(process_usage, "_PROC", tmp_path)
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "root").symlink_to("/proc")
    assert held_by_files(10, ["/self", "/no-such-folder"]) == 0


@pytest.mark.parametrize("error", [PermissionError, ProcessLookupError, FileNotFoundError])
def test_what_a_process_that_ends_makes_of_a_look_is_not_raised(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str) -> os.stat_result:
        raise error(path)

    monkeypatch.setattr(os, "stat", fails)
    assert held_by_files(os.getpid(), ["/tmp"]) == 0
