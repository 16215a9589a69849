"""The folder queue: one claim at a time across processes, and none lost when its holder is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import portalocker
import pytest

from themis.effects.queue import MOST_CLAIMS, Claim, FolderQueue, lock_holders
from themis.pure.errors import StoreError

HOLDER = """
import sys
from themis.effects.queue import FolderQueue
claim = FolderQueue(sys.argv[1]).claim()
print(claim.name, flush=True)
sys.stdin.read()
"""
DRAIN = """
import sys
from themis.effects.queue import FolderQueue
queue = FolderQueue(sys.argv[1])
while (claim := queue.claim()) is not None:
    print(claim.name, flush=True)
    claim.finish("ok")
"""


def claimed(queue: FolderQueue) -> Claim:
    claim = queue.claim()
    assert claim is not None
    return claim


def holder(queue: FolderQueue) -> subprocess.Popen[str]:
    """Start a process that claims the first manifest and holds it until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(queue.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_the_longest_waiting_comes_first_and_is_claimed_once(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path)
    for i, name in enumerate(("b", "a")):
        os.utime(queue.put(name, name.upper()), ns=(i, i))
    first, second = claimed(queue), claimed(queue)
    assert [(claim.name, claim.text) for claim in (first, second)] == [("b", "B"), ("a", "A")]
    assert queue.claim() is None
    first.finish("fine")
    second.fail("broken")
    assert (queue.names(), queue.names("done"), queue.names("failed")) == ([], ["b"], ["a"])
    assert (queue.outcome("b"), queue.outcome("a")) == ("fine", "broken")
    assert not list(tmp_path.glob("*.lock"))


def test_what_is_released_waits_on_as_if_never_claimed(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path)
    queue.put("a", "A")
    for _ in range(MOST_CLAIMS + 2):
        claimed(queue).release()
    assert queue.names() == ["a"]


def test_putting_again_brings_back_what_was_done(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path)
    queue.put("a", "A")
    claimed(queue).finish("fine")
    queue.put("a", "B")
    assert (queue.names(), queue.names("done"), queue.outcome("a")) == (["a"], [], None)
    again = claimed(queue)
    assert again.text == "B"
    again.release()


def test_a_killed_holder_s_manifest_is_taken_over(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path)
    queue.put("a", "A")
    process = holder(queue)
    assert queue.claim() is None
    assert dict(lock_holders(queue))["a"].startswith(f"process {process.pid} on ")
    kill(process)
    claimed(queue).finish("fine")
    assert queue.names("done") == ["a"]


def test_what_kills_its_workers_again_and_again_is_given_up(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path)
    queue.put("a", "A")
    for _ in range(MOST_CLAIMS):
        kill(holder(queue))
    assert queue.claim() is None
    assert queue.names("failed") == ["a"]
    assert "never finished" in (queue.outcome("a") or "")


def test_several_processes_share_a_queue_without_doing_anything_twice(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path)
    for i in range(60):
        queue.put(f"m{i}", "x")
    workers = [
        subprocess.Popen([sys.executable, "-c", DRAIN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    counts = Counter(name for worker in workers for name in worker.communicate()[0].split())
    assert counts == Counter({f"m{i}": 1 for i in range(60)})
    assert len(queue.names("done")) == 60
    assert not list(tmp_path.glob("*.lock"))


def test_a_lock_on_a_file_that_was_replaced_guards_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that opened the lock file just before its holder finished must not count as a holder of the next."""
    queue = FolderQueue(tmp_path)
    queue.put("a", "A")
    first, lock = claimed(queue), portalocker.lock

    def late(*arguments: Any) -> None:
        first.finish("fine")
        queue.put("a", "B")
        lock(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(portalocker, "lock", late)
        assert queue.claim_named("a") is None
    second = claimed(queue)
    assert second.text == "B"
    second.release()


@pytest.mark.parametrize("name", ["../a", "", ".a", "a/b"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="can't name a manifest"):
        FolderQueue(tmp_path / "queue").put(name, "x")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="can't be written"):
        FolderQueue(tmp_path / "file").put("a", "x")
