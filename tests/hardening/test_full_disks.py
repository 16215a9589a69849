"""The disk is full, or a file may grow no further, again and again: one clear error, and room lets the run go on."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.hardening.attempts import Attempts
from tests.hardening.conftest import Report
from tests.postgres_server import PostgresServer

from themis.pure.records.config import StorageConfig

LONG = 70_000
STEPS_KB = (60, 600)
"""How much room is made after each error, from and to."""
ERROR = re.compile(r"StoreError: [^\n]*(full|No space|too large|disk I/O error)[^\n]*\n")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="themis-small-disk-"))  # a server, which is another user, may look into it
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    folder.chmod(0o755)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


def fill_and_make_room(run: Attempts, whole: Attempts, room: Callable[[], None]) -> int:
    """Run with more and more room, until it ends; return how often there was not enough."""
    undisturbed, errors = whole.to_the_end(), 0
    while True:
        said, error = run.start().communicate()
        if said:
            run.check(said, undisturbed)
            return errors
        assert ERROR.fullmatch(error), error
        errors += 1
        room()
        run.look()


def at(path: Path, kind: str) -> StorageConfig:
    return StorageConfig(store=kind, parameters={"path": str(path / "store")})


def told(errors: int, run: Attempts) -> str:
    return (
        f"{errors} times full, each one clear error, and room made; then the digest of an undisturbed run; {run.again} "
        "calls were lost with an error and made again, none that was stored"
    )


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_full_disk(kind: str, small_disk: Path, tmp_path: Path, rng: random.Random, report: Report) -> None:
    size_kb = 64

    def room() -> None:
        nonlocal size_kb
        size_kb += rng.randint(*STEPS_KB)
        subprocess.run(["mount", "-o", f"remount,size={size_kb}k", str(small_disk)], check=True)

    run = Attempts(tmp_path / "logs", at(small_disk, kind), size=LONG, programs=False)
    errors = fill_and_make_room(run, Attempts(tmp_path / "whole", at(tmp_path, kind), size=LONG, programs=False), room)
    assert errors > 1
    report(f"full disk, {kind}", told(errors, run))


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_limit_on_files(kind: str, tmp_path: Path, rng: random.Random, report: Report) -> None:
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("prlimit is not installed (Debian's package util-linux)")
    # JSONL's files are many, and none of them is large.
    most_kb, steps_kb = (16, (4, 60)) if kind == "jsonl" else (64, STEPS_KB)

    def room() -> None:
        nonlocal most_kb
        most_kb += rng.randint(*steps_kb)
        run.wrapped = (prlimit, f"--fsize={most_kb << 10}")

    (tmp_path / "limited").mkdir()
    run = Attempts(tmp_path / "logs", at(tmp_path / "limited", kind), size=LONG, programs=False)
    run.wrapped = (prlimit, f"--fsize={most_kb << 10}")
    errors = fill_and_make_room(run, Attempts(tmp_path / "whole", at(tmp_path, kind), size=LONG, programs=False), room)
    assert errors > 1
    report(f"limit on a file's size, {kind}", told(errors, run))


@pytest.mark.postgres
def test_a_full_disk_of_a_server(
    server: PostgresServer, small_disk: Path, tmp_path: Path, rng: random.Random, report: Report
) -> None:
    import psycopg

    size_kb = 64

    def room() -> None:
        nonlocal size_kb
        size_kb += rng.randint(*STEPS_KB)
        subprocess.run(["mount", "-o", f"remount,size={size_kb}k", str(small_disk)], check=True)

    place = small_disk / "tables"
    place.mkdir()
    server.own(place)
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f"create tablespace small location '{place}'".encode())

    def schema(name: str, *options: str) -> StorageConfig:
        dsn = "&".join([server.dsn, *options]).replace("&", "?", 1)
        return StorageConfig(store="postgres", parameters={"dsn": dsn, "schema": name})

    run = Attempts(tmp_path / "logs", schema("full", "options=-cdefault_tablespace%3Dsmall"), size=LONG, programs=False)
    whole = Attempts(tmp_path / "whole", schema("roomy"), size=LONG, programs=False)
    errors = fill_and_make_room(run, whole, room)
    assert errors > 1
    report("full disk, PostgreSQL", told(errors, run))
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute('drop schema "full" cascade')
        db.execute("drop tablespace small")
