"""Whether a run is being written: asked without keeping a writer out."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import portalocker
import pytest

from themis.effects.stores import locks
from themis.effects.stores.locks import is_held, lock_run
from themis.pure.errors import RunLockedError, StoreError

HOLDER = """
import sys, pathlib
from themis.effects.stores.locks import lock_run
release = lock_run(pathlib.Path(sys.argv[1]), "r")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_held_as_long_as_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "r.lock"
    assert not is_held(path)
    release = lock_run(path, "r")
    assert is_held(path)
    release()
    assert not is_held(path)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(path)
        with pytest.raises(RunLockedError, match=f"process {holder.pid}"):
            lock_run(path, "r")
        holder.kill()
    assert path.exists()  # a dead process leaves its file, and no lock
    assert not is_held(path)


def test_who_asks_keeps_no_writer_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.lock"
    path.write_text("process 1 on nowhere", encoding="utf-8")  # what a dead writer left
    with path.open(encoding="utf-8") as asked:  # as `is_held` does, for a moment
        portalocker.lock(asked, portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING)
        monkeypatch.setattr(time, "sleep", lambda seconds: asked.close())
        lock_run(path, "r")()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_without_room_for_the_file_is_said_and_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.lock"
    monkeypatch.setattr(locks, "take", lambda path: open("/dev/full", "w", encoding="utf-8"))  # noqa: SIM115
    with pytest.raises(StoreError, match=r"r\.lock: .*; check .* the disk's space"):
        lock_run(path, "r")
    monkeypatch.undo()
    lock_run(path, "r")()
