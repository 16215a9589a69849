"""Runs a program in the local sandbox, or surveys a Python, and is killed at a step of that.

Usage: killed_child.py STEP SECONDS MARK; the kill comes that many seconds after the step. Steps: see `STEPS`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import trio

from themis.effects.sandboxes import local
from themis.pure.records.sandbox import SandboxRequest

STEP, DELAY, MARK = sys.argv[1], float(sys.argv[2]), sys.argv[3]


def die(*first: int) -> NoReturn:
    time.sleep(DELAY)
    for pid in (*first, os.getpid()):
        os.kill(pid, signal.SIGKILL)
    raise AssertionError


def before(name: str, owner: Any, act: Callable[..., Any]) -> None:
    """Let something be done right before a function is called."""
    real = getattr(owner, name)

    def called(*arguments: Any, **options: Any) -> Any:
        act()
        return real(*arguments, **options)

    setattr(owner, name, called)


def spawned(act: Callable[[int], None]) -> None:
    """Let something be done right after bubblewrap was started."""
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = real(*arguments, **options)
        act(process.pid)
        return process

    setattr(subprocess, "Popen", popen)  # noqa: B010  # for this process alone; a plain assignment has another type


def once_cloned(pid: int) -> None:
    """Die with bubblewrap's outer process as soon as there is an inner one: what binds them is not there yet."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not children.read_text(encoding="ascii"):
        pass
    die(pid)


def in_the_background() -> None:
    threading.Thread(target=die).start()


STEPS: dict[str, Callable[[], None]] = {
    "before it starts": lambda: before("command_line", local, die),
    "it is started": lambda: spawned(lambda pid: die()),
    "its first process is there": lambda: spawned(once_cloned),
    "it is met": lambda: before("let_go", local._Spawned, die),
    "it is let go": lambda: before("let_go", local._Spawned, in_the_background),
}

if __name__ == "__main__":
    box = local.LocalSandbox()
    if STEP == "a survey":
        in_the_background()
        slow = Path(sys.argv[4])
        slow.write_text(f"#!/bin/sh\nwhile sleep 0.01; do :; done # {MARK}\n", encoding="ascii")
        slow.chmod(0o755)
        local.LocalSandbox(python=str(slow)).check(["python"])
    assert not box.check()
    STEPS[STEP]()
    request = SandboxRequest(command=("sleep", MARK), time_s=600)
    if DELAY > 0.1:  # built for a long time
        request = SandboxRequest(command=("./x",), build=("sleep", MARK), artifact="x", files={"x": ""})
    trio.run(box.run, request)
