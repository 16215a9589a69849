"""Law 7, for every column of every table: an edit of a stored run that changes a number is never called verified.

Edits are drawn from the tables themselves, so that a new column is edited from its first day. Each is tried as it is,
and with the hash chain mended afterwards, as one who knows how could.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis import RunResult, SqliteRunStore, verify
from themis.api.experiment.experiment import Experiment
from themis.pure.errors import ThemisError
from themis.testing.pipelines import Pipeline

PIPELINE = Pipeline(
    cases=4,
    samples=2,
    generator=("right", "wrong"),
    reducer=("right",),
    parser=("right", "right", "right", "null"),
    metrics=(("right",), ("right", "error")),
    judge=("right", "wrong"),
    selector=("right", "first"),
)
PIPELINES = {"one answer": PIPELINE, "several answers": attrs.evolve(PIPELINE, reducer=None, selector=None)}
TABLES = ("run", "dataset", "dataset_case", "run_dataset", "event", "blob", "blob_use")
NUMBERS = "select metric_id, planned, scored, mean, correct, incorrect, errors from run_summary order by metric_id"


def experiment(kind: str) -> Experiment:
    made = PIPELINES[kind].experiment()
    big = [case.evolve(expected_output=f"{'x' * 70_000}{case.case_id}") for case in made.datasets[0].cases]
    return made.evolve(datasets=made.datasets[0].evolve(cases=big))


@pytest.fixture(scope="module", params=PIPELINES)
def original(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[str, Path, str, str, Any]:
    path, kind = tmp_path_factory.mktemp("edits") / "s.sqlite3", request.param
    with SqliteRunStore(path) as store:
        result = experiment(kind).run(store=store)
        assert verify(store, result.run_id, experiment=experiment(kind)).verdict == "verified"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    return kind, path, result.run_id, *numbers_of(path, result.run_id)


def columns() -> list[tuple[str, str]]:
    """Return every table with every column of it, read from a new store."""
    with tempfile.TemporaryDirectory() as folder:
        with SqliteRunStore(Path(folder) / "s.sqlite3") as store:
            store.initialize()
        with contextlib.closing(sqlite3.connect(Path(folder) / "s.sqlite3")) as database:
            return [(table, row[1]) for table in TABLES for row in database.execute(f"pragma table_info({table})")]


def edits() -> list[str]:
    """Return what is tried: each column changed in the first and the last row and swapped; rows added and dropped."""
    made = []
    for table, column in columns():
        made += [f"change {table} {column} first", f"change {table} {column} last", f"swap {table} {column}"]
    for table in TABLES:
        made += [f"drop {table} first", f"drop {table} last", f"drop {table} half", f"add {table}"]
    return made


def other(value: Any) -> Any:
    """Return another value of the same kind, as near to the old one as may be."""
    if value is None:
        return None
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"x"
    for old, new in (('"value":1.0', '"value":0.0'), ("answer", "anwser"), ("right", "wrong"), ("0", "1"), ("1", "2")):
        if old in value:
            return value.replace(old, new, 1)
    return f"{value}x"


def keys(database: sqlite3.Connection, table: str) -> tuple[list[str], list[str]]:
    info = database.execute(f"pragma table_info({table})").fetchall()
    return [row[1] for row in info], [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]


def edit(database: sqlite3.Connection, what: str) -> bool:
    """Carry an edit out; return whether it changed anything."""
    kind, table, *rest = what.split()
    names, key = keys(database, table)
    order, where = ", ".join(key), " and ".join(f"{name} = ?" for name in key)
    rows = [dict(zip(names, row, strict=True)) for row in database.execute(f"select * from {table} order by {order}")]
    if not rows:
        return False
    if kind == "change":
        column, place = rest
        row = rows[0] if place == "first" else rows[-1]
        changed = other(row[column])
        database.execute(f"update {table} set {column} = ? where {where}", (changed, *(row[name] for name in key)))
        return bool(changed != row[column])
    if kind == "swap":
        (column,) = rest
        pair = next(((a, b) for a in rows for b in reversed(rows) if a[column] != b[column]), None)
        if pair is None or column in key:
            return False
        for row, new in zip(pair, reversed(pair), strict=True):
            database.execute(f"update {table} set {column} = ? where {where}", (new[column], *(row[n] for n in key)))
        return True
    if kind == "drop":
        gone = {"first": rows[:1], "last": rows[-1:], "half": rows[len(rows) // 2 :]}[rest[0]]
        for row in gone:
            database.execute(f"delete from {table} where {where}", [row[name] for name in key])
        return True
    new = {**rows[-1], key[-1]: other(rows[-1][key[-1]])}
    database.execute(f"insert into {table} values ({', '.join('?' * len(names))})", [new[name] for name in names])
    return True


def mend(database: sqlite3.Connection) -> None:
    """Make the chain whole again: every digest, the positions, and what the run says of its end."""
    for (run_no,) in database.execute("select run_no from run").fetchall():
        digest, count = "0" * 64, 0
        rows = database.execute("select id, cache_key, payload from event where run_no = ? order by id", (run_no,))
        for number, key, payload in rows.fetchall():
            count += 1
            body = f"{digest}\n{key.hex() if key else ''}\n{payload}".encode()
            digest = hashlib.sha256(body).hexdigest()
            sequence = (run_no << 40) + count
            database.execute(
                "update event set digest = ?, id = ? where id = ?", (bytes.fromhex(digest), sequence, number)
            )
        database.execute("update run set head_digest = ?, head_count = ? where run_no = ?", (digest, count, run_no))


@pytest.mark.parametrize("mended", [False, True], ids=["as it is", "with its chain mended"])
@pytest.mark.parametrize("what", edits())
def test_an_edit_that_changes_a_number_is_never_verified(
    original: tuple[str, Path, str, str, Any], tmp_path: Path, what: str, mended: bool
) -> None:
    kind, path, run_id, digest, numbers = original
    copy = Path(shutil.copy2(path, tmp_path))
    database = sqlite3.connect(copy)
    try:
        with database:
            if not edit(database, what):
                pytest.skip("there is nothing of the kind to edit in this run")
            if mended:
                mend(database)
    except sqlite3.IntegrityError as error:
        pytest.skip(f"the table's own constraints refuse it: {error}")
    finally:
        database.close()
    verdict = judged(copy, run_id, kind)
    if verdict == "verified":
        assert numbers_of(copy, run_id) == (digest, numbers)


def judged(path: Path, run_id: str, kind: str) -> str:
    """Return what `verify` says of a run, or how it refuses to read it."""
    with SqliteRunStore(path) as store:
        try:
            return verify(store, run_id, experiment=experiment(kind)).verdict
        except ThemisError as error:
            return f"refused: {error}"


def numbers_of(path: Path, run_id: str) -> tuple[str, Any]:
    """Return what a run comes to: by the library, and in SQL."""
    with SqliteRunStore(path) as store:
        digest = RunResult(snapshot=store.load_snapshot(run_id), store=store).digest
    with contextlib.closing(sqlite3.connect(path)) as database:
        return digest, database.execute(NUMBERS).fetchall()
