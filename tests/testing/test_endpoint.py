"""The scripted endpoint as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_it_does_not_outlive_the_process_that_started_it() -> None:
    starter = (
        "import os, subprocess, sys\n"
        "server = subprocess.Popen([sys.executable, '-m', 'themis.testing.endpoint'], stdout=subprocess.PIPE)\n"
        "server.stdout.readline()\n"
        "print(server.pid, flush=True)\n"
        "server.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        server = int(started.stdout.readline())
        os.kill(started.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while b"themis.testing.endpoint" in command_of(server):
        assert time.monotonic() < deadline, "the endpoint lives on"
        time.sleep(0.01)


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
