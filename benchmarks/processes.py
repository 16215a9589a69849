"""Measurements in processes of their own, so that time and peak memory are their own and imports are not counted.

A module that measures prints one JSON object; `measured` makes it, `run` reads it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONTRACT_FLOOR = ROOT.parent / "shared" / "bench" / "floor.py"


def measured(do: Callable[[], object], units: int) -> dict[str, float]:
    """Do something once; return its seconds, processor seconds, units per second and the process's peak memory.

    Args:
        do: what to measure.
        units: how many cases it deals with.
    """
    began, used = time.perf_counter(), time.process_time()
    do()
    seconds, busy = time.perf_counter() - began, time.process_time() - used
    return {"seconds": seconds, "cpu_s": busy, "per_s": units / seconds, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Return the most memory that this process has held so far, in MiB."""
    # On Linux getrusage(2) counts what the parent held when it forked, and proc(5) does not.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(module: str, *arguments: object) -> dict[str, float]:
    """Return what a measurement in a process of its own printed."""
    found: dict[str, float] = json.loads(output([sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]))
    return found


def output(command: list[str]) -> str:
    """Return the last line that a command printed; if it fails, say what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout.strip().rpartition("\n")[2]


def floor_file() -> Path:
    """Return the floor to compare with: `THEMIS_FLOOR`, the one shared beside the repository, or our own."""
    if stated := os.environ.get("THEMIS_FLOOR"):
        return Path(stated)
    return CONTRACT_FLOOR if CONTRACT_FLOOR.exists() else Path(__file__).with_name("floor.py")


def floor_speed(cases: int) -> float:
    """Return the floor's cases per second, measured now in a process of its own."""
    return float(output([sys.executable, str(floor_file()), str(cases)]).split()[-1])
