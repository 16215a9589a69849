"""Themis beside its peers: `python -m benchmarks.peers [--rounds N] [--folder FOLDER]`.

Each peer is installed from the package index into a virtual environment of its own, kept in the folder for the
next time, and evaluates the same trivial cases: a model that answers at once (an echo; lm-eval's dummy says one
word), and exact match. All take turns, round by round, and are quoted as medians; the ratio to Themis is the median
of the rounds' ratios. What can't be installed or run says so in its row.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

HERE = Path(__file__).parent
DEFAULT_FOLDER = HERE.parent.parent / "build" / "peers"
SIZES = (200, 2_000)
INSTALL_S, RUN_S = 1_200, 300
SLOW_S = 30.0
"""A peer that takes longer over a round is asked once, and not for more cases."""


@attrs.frozen
class Peer:
    """A package of the index.

    Attributes:
        name: its name there; its script is named after it.
        keeps: what is left of an evaluation when the process ends.
        also: packages that it needs for this and doesn't bring.
        python: the least version of Python that it installs under.
    """

    name: str
    keeps: str
    also: Sequence[str] = ()
    python: tuple[int, int] = (3, 11)

    @property
    def script(self) -> Path:
        return HERE / f"with_{self.name.replace('-', '_')}.py"


OURS = Peer("themis", "SQLite")
PEERS = (
    Peer("inspect-ai", "a log file"),
    Peer("lm-eval", "nothing"),
    Peer("pydantic-evals", "nothing"),
    Peer("themis-eval", "nothing", python=(3, 12)),
)


class UnavailableError(Exception):
    """A peer can't be installed or run here; the message says why."""


@attrs.define
class Measured:
    """What a peer took over so many cases; a note says why there is nothing, or not more."""

    peer: Peer
    cases: int
    seconds: dict[int, float] = attrs.field(factory=dict)
    version: str = "?"
    note: str = ""


def interpreter(least: tuple[int, int]) -> str:
    """Return a Python of at least that version: this one, one of the path, or one of pyenv."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    named = [shutil.which(f"python3.{minor}") for minor in range(least[1], least[1] + 4)]
    installed = sorted(map(str, root.glob("versions/*/bin/python3")))
    check = f"import sys, venv, ensurepip; sys.exit(sys.version_info < {least})"
    for candidate in (sys.executable, *filter(None, named), *installed):
        if subprocess.run([candidate, "-c", check], check=False, capture_output=True).returncode == 0:
            return candidate
    raise UnavailableError(f"needs Python {least[0]}.{least[1]}, and there is none")


def install(peer: Peer, folder: Path) -> str:
    """Return the interpreter of the peer's environment, which is made if it is not there."""
    home = folder / peer.name
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        call([interpreter(peer.python), "-m", "venv", "--clear", str(home)], INSTALL_S)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        call([*command, peer.name, *peer.also], INSTALL_S)
        (home / "installed").touch()
    return str(python)


def call(command: Sequence[str], seconds: float) -> str:
    """Return the last line that a command prints."""
    # A path to our sources would shadow a peer's package of the same name.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ours = command[0] == sys.executable
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=None if ours else environment,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"no end within {seconds:.0f} s") from error
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise UnavailableError(f"{' '.join(map(str, command[1:3]))}: {last[:160]}")
    return done.stdout.strip().rpartition("\n")[2]


def once(measured: Measured, python: str, number: int) -> None:
    try:
        found = json.loads(call([python, str(measured.peer.script), str(measured.cases)], RUN_S))
    except UnavailableError as error:
        measured.note = str(error)
    else:
        measured.seconds[number] = found["seconds"]
        measured.version = found["version"]
        if found["seconds"] > SLOW_S:
            measured.note = f"one round only: it took {found['seconds']:.0f} s"


def side_by_side(pythons: dict[Peer, str], cases: int, rounds: int) -> list[Measured]:
    """Measure all that can be, in turns."""
    found = [Measured(peer, cases) for peer in pythons]
    for number in range(rounds):
        for measured in found:
            if not measured.note:
                once(measured, pythons[measured.peer], number)
    return found


def line(measured: Measured, ours: Measured) -> str:
    name = f"{measured.peer.name} {measured.version}"
    start = f"{name:<24} {measured.peer.keeps:<12} {measured.cases:>7,}"
    if not measured.seconds:
        return f"{start}  {measured.note}"
    seconds = statistics.median(measured.seconds.values())
    ratios = [measured.seconds[n] / ours.seconds[n] for n in measured.seconds if n in ours.seconds]
    ratio = f"{statistics.median(ratios):>8.1f}" if ratios else f"{'?':>8}"
    spread = f"{min(ratios):.1f}-{max(ratios):.1f}" if ratios else ""
    return f"{start} {seconds:>9.3f} {measured.cases / seconds:>9,.0f} {ratio} {spread:>13}  {measured.note}".rstrip()


def main(folder: Path, rounds: int, results: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pythons, missing = {OURS: sys.executable}, dict[Peer, str]()
    for peer in PEERS:
        try:
            pythons[peer] = install(peer, folder)
        except UnavailableError as error:
            missing[peer] = str(error)
    print(f"{'package':<24} {'keeps':<12} {'cases':>7} {'seconds':>9} {'cases/s':>9} {'times':>8} {'spread':>13}")
    data = []
    for cases in SIZES:
        found = side_by_side(pythons, cases, rounds)
        found += [Measured(peer, cases, note=f"not measured: {why}") for peer, why in missing.items()]
        for measured in found:
            print(line(measured, found[0]), flush=True)
            if measured.note and measured.peer in pythons:
                pythons.pop(measured.peer)
                missing[measured.peer] = f"{cases:,} cases: {measured.note}"
        data += [{**attrs.asdict(each), "seconds": list(each.seconds.values())} for each in found]
    print("times: how many times as long as Themis took in the same round")
    results.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the environments are kept")
    parser.add_argument("--json", type=Path, default=HERE.parent / "results_peers.json", help="where the figures go")
    given = parser.parse_args()
    main(given.folder, given.rounds, given.json)
