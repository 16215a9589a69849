"""How long it takes to be there: `import themis` and `themis --help`, beside `python -c pass` in the same run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

COMMANDS: Mapping[str, Sequence[str]] = {
    "python -c pass": ("-c", "pass"),
    "import themis": ("-c", "import themis"),
    "themis --help": ("-m", "themis", "--help"),
}


PEAK = """
import atexit, runpy, sys
sys.argv = ["themis", *sys.argv[1:]]
def tell():
    lines = open("/proc/self/status").read().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
atexit.register(tell)
"""
DO: Mapping[str, str] = {
    "python -c pass": PEAK,
    "import themis": f"{PEAK}import themis",
    "themis --help": f"{PEAK}sys.argv.append('--help'); runpy.run_module('themis', run_name='__main__')",
}


def start(arguments: Sequence[str]) -> float:
    """Return the seconds until a fresh interpreter has done its work and ended."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def peak_mb(name: str) -> float:
    """Return the most memory that a command held, in MiB (Linux)."""
    done = subprocess.run([sys.executable, "-c", DO[name]], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


def compare(rounds: int) -> dict[str, list[float]]:
    """Return every round's seconds, by command; the commands take turns."""
    for arguments in COMMANDS.values():
        start(arguments)  # compiles what is not compiled yet, and fills the disk's cache
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            found[name].append(start(arguments))
    return found
