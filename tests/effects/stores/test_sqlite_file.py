"""The SQLite store's file: older versions are migrated, newer and damaged ones refused and left as they are."""

from __future__ import annotations

import errno
import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import portalocker
import pytest

from themis import Reporter, evaluate
from themis.api.experiment.verify import verify
from themis.api.runs.search import search
from themis.effects.queue import FolderQueue
from themis.effects.stores import sqlite_file
from themis.effects.stores.base import STARTED
from themis.effects.stores.sqlite import SqliteRunStore, sqlite_store
from themis.effects.stores.sqlite_file import SCHEMA_VERSION
from themis.effects.stores.tables import _STARTED, read_schema
from themis.pure.errors import SchemaVersionError, StoreError

FIXTURES = Path(__file__).parent / "fixtures"
CHILD = Path(__file__).parent / "store_process.py"
# What the version that wrote the file said of its runs.
RUNS = {
    "efc06ca860d913591a97bdbe04fa070fb55cd36797c78483847a054d83a3c286": 1,
    "aed238beee3d31fae06f3b8244fc56db5004620fac55443ef23785d65ce0881f": 2,
}
RUNS_OF_2 = (
    "911bbc1496070daaff8d008779be4d7c90ab842592a7906b1e180d29fa144db0",
    "d94737ef1da89d3fa4059c100707175f6157214d09a7546ae24355a984849aa0",
)


def schema(path: Path) -> tuple[int, set[tuple[str, ...]]]:
    """The version, and what the schema says, however it is laid out."""
    with closing(sqlite3.connect(path)) as database:
        version = database.execute("pragma user_version").fetchone()[0]
        rows = database.execute("select type, name, sql from sqlite_schema where name not like '%sqlite%'")
        return version, {(kind, name, " ".join(sql.replace('"', "").lower().split())) for kind, name, sql in rows}


def stored(version: int, folder: Path) -> Path:
    """A store as that version wrote it."""
    path = folder / "old.sqlite3"
    path.write_bytes(gzip.decompress((FIXTURES / f"sqlite_{version}.sqlite3.gz").read_bytes()))
    assert schema(path)[0] == version
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of version 1."""
    return stored(1, tmp_path)


@pytest.fixture
def old_2(tmp_path: Path) -> Path:
    """A store of version 2 from before sqlite-utils made it, with an index of its text."""
    return stored(2, tmp_path)


def test_an_old_store_is_brought_up_to_date(old: Path, tmp_path: Path) -> None:
    with SqliteRunStore(tmp_path / "new.sqlite3"), SqliteRunStore(old) as store:
        assert [line.run_id for line in store.list_runs()] == [*reversed(RUNS)]
        for run_id in RUNS:
            checked = verify(store, run_id)
            assert (checked.broken_links, checked.differences, checked.cases) == ((), (), 4)
    assert schema(old) == schema(tmp_path / "new.sqlite3")
    assert schema(old)[0] == SCHEMA_VERSION


def test_a_store_from_before_migrations_were_listed_is_brought_up_to_date(old_2: Path) -> None:
    before = schema(old_2)
    with SqliteRunStore(old_2) as store:
        assert [line.run_id for line in store.list_runs()] == [*reversed(RUNS_OF_2)]
        for run_id in RUNS_OF_2:
            checked = verify(store, run_id)
            assert (checked.broken_links, checked.differences, checked.cases) == ((), (), 4)
    version, now = schema(old_2)
    assert version == SCHEMA_VERSION
    assert {kind for kind, *_ in before[1] - now} == {"view"}  # tables and indexes are as they were


def test_the_views_of_an_older_version_are_made_anew(tmp_path: Path) -> None:
    path = stored(3, tmp_path)
    with SqliteRunStore(path) as store:
        for line in store.list_runs():
            assert verify(store, line.run_id).broken_links == ()
    query = "select answers, k, pass_at_k from several_answers order by answers, k"
    with closing(sqlite3.connect(path)) as database:
        assert [row[:2] for row in database.execute(query)] == [(1, 1), (3, 1), (3, 2), (3, 3)]


def test_an_index_that_an_older_version_made_is_made_anew(old_2: Path) -> None:
    with SqliteRunStore(old_2) as store:
        first, second = RUNS_OF_2
        found = [{one.case_id for one in search(store, "needle", run_id, limit=100)} for run_id in (None, first)]
        assert found == [{"0", "1", "2", "3"}] * 2
        assert len(search(store, "hay", limit=100)) == 12  # one candidate a case, and then two
        store.clear_run(second)
        assert len(search(store, "hay", limit=100)) == 4
    with closing(sqlite3.connect(old_2)) as database:
        made = "select name from sqlite_schema where sql like 'create virtual%'"
        assert database.execute(made).fetchall() == [("search_text_fts",)]


@pytest.mark.parametrize("version", [1, 2])
def test_the_steps_that_come_next_alone_are_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = stored(version, tmp_path)
    if version == 2:
        edited("delete from blob_use")(path)  # what the second step would fill again
    read = {
        "next_1.sql": "create table next_1 (x text) strict;",
        "next_2.sql": "create table next_2 (x text) strict;",
    }
    monkeypatch.setattr(sqlite_file, "read_schema", lambda name: read.get(name) or read_schema(name))
    steps: tuple[str, ...] = sqlite_file._STEPS
    for number, name in enumerate(
        read, SCHEMA_VERSION + 1
    ):  # the first time without, the second time with a list of what was applied
        steps = (*steps, name)
        monkeypatch.setattr(sqlite_file, "_STEPS", steps)
        monkeypatch.setattr(sqlite_file, "SCHEMA_VERSION", number)
        for _ in range(2):
            with SqliteRunStore(path) as store:
                assert len(store.list_runs()) == 2
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("pragma user_version").fetchone() == (number,)
            applied = database.execute("select name from _sqlite_migrations order by id").fetchall()
            assert applied == [(step,) for step in steps]
            uses = database.execute("select count(*) from blob_use").fetchone()[0]
            assert bool(uses) == (version == 1)
    if version == 1:  # the other one has an index of its text, too
        with SqliteRunStore(tmp_path / "new.sqlite3"):
            assert schema(tmp_path / "new.sqlite3") == schema(path)


def test_a_run_and_a_listing_do_without_sqlite_utils(tmp_path: Path) -> None:
    """It imports pandas where that is installed: 80 MB, and longer than a small run."""
    script = """
import sys
from themis import SqliteRunStore, evaluate
with SqliteRunStore(sys.argv[1]) as store:
    data = [{"input": "1 + 1", "expected_output": "2"}]
    evaluate(model="builtin/demo_model", data=data, metric="builtin/exact_match", store=store)
    assert len(store.list_runs()) == 1
    store.clear_run(store.list_runs()[0].run_id)
assert "sqlite_utils" not in sys.modules
"""
    place = str(tmp_path / "s.sqlite3")
    done = subprocess.run(
        [sys.executable, "-c", script, place], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_clearing_runs_of_an_old_store_clears_their_blobs(old: Path) -> None:
    with SqliteRunStore(old) as store:
        first, second = RUNS
        store.clear_run(second)
        assert verify(store, first).broken_links == ()
        store.clear_run(first)
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("select count(*) from blob").fetchone() == (0,)
        assert database.execute("select count(*) from dataset_case").fetchone() == (0,)


@pytest.mark.slow
def test_a_kill_during_migration_leaves_the_file_as_before_or_as_after(old: Path) -> None:
    before, after = schema(old), None
    content = old.read_bytes()
    seen = set()
    for statement in range(60):
        old.write_bytes(content)
        for log in ("-wal", "-shm", "-journal"):
            Path(f"{old}{log}").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, str(CHILD), "migrate", str(old), str(statement)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        found = schema(old)
        if done.returncode == 0:
            after = found
            break
        assert done.returncode == -9, done.stderr
        seen.add(found[0])
        assert found == before or found[0] == SCHEMA_VERSION
        with SqliteRunStore(old) as store:
            assert len(store.list_runs()) == len(RUNS)
    assert after is not None
    assert after[0] == SCHEMA_VERSION
    assert seen == {1, SCHEMA_VERSION}
    assert statement > 8


def edited(statement: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute(statement)
            database.commit()

    return edit


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (edited(f"pragma user_version = {SCHEMA_VERSION + 1}"), SchemaVersionError, "upgrade Themis"),
        (edited("pragma application_id = 7"), StoreError, "something else"),
        (edited("drop table blob"), StoreError, "it has no blob; restore it from a copy"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9000]), StoreError, "is cut off: .* restore it"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), StoreError, "cut off"),
        (lambda path: path.write_bytes(b"not a database at all"), StoreError, "is not a SQLite file"),
        (lambda path: path.write_bytes(b"SQLite format 4\0" + path.read_bytes()[16:]), StoreError, "is not a SQLite"),
    ],
    ids=["newer", "other program", "no table", "truncated", "stump", "text", "wrong magic"],
)
def test_what_is_no_store_of_ours_is_refused_and_left_as_it_is(
    old: Path, damage: Callable[[Path], None], kind: type[StoreError], message: str
) -> None:
    damage(old)
    before = old.read_bytes()
    with pytest.raises(kind, match=message) as caught:
        SqliteRunStore(old).initialize()
    assert str(old) in str(caught.value)
    assert old.read_bytes() == before
    assert [path.name for path in old.parent.iterdir()] == [old.name]


def test_a_view_that_is_not_there_is_named_in_a_file_of_this_version_and_made_anew_in_an_older_one(old: Path) -> None:
    edited("drop view score_rows")(old)
    with SqliteRunStore(old) as store:
        store.initialize()
    edited("drop view score_rows")(old)
    with pytest.raises(StoreError, match="it has no score_rows; restore it from a copy"):
        SqliteRunStore(old).initialize()


def test_a_damaged_page_is_named_when_it_is_read(old: Path) -> None:
    content = bytearray(old.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    old.write_bytes(content)
    with pytest.raises(StoreError, match=r"old\.sqlite3 is damaged .* restore it from a copy"):
        SqliteRunStore(old).list_runs()


def test_a_missing_blob_is_named(old: Path) -> None:
    edited("delete from blob")(old)
    with SqliteRunStore(old) as store:
        checked = verify(store, next(iter(RUNS)))
    assert any("blob" in broken and "restore the store" in broken for broken in checked.broken_links)


def test_a_path_that_can_not_be_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "s.sqlite3"):
        with pytest.raises(StoreError, match=str(path)):
            SqliteRunStore(path).initialize()


def test_a_listing_reads_the_starts_of_runs_and_not_all_their_events(tmp_path: Path) -> None:
    with closing(sqlite_store(tmp_path / "store.sqlite3")):
        pass
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as db:
        plan = db.execute(f"explain query plan {_STARTED.format(row='id')}", {"started": STARTED}).fetchall()
    steps = [step for *_, step in plan]
    assert any("event_by_case" in step for step in steps)
    assert not any(step.startswith("SCAN e") for step in steps), steps


ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n"


@pytest.mark.parametrize("table", ["run", "dataset", "dataset_case", "run_dataset", "event", "blob"])
def test_what_only_has_the_names_of_a_store_is_refused_before_it_is_read(tmp_path: Path, table: str) -> None:
    path = tmp_path / "theirs.sqlite3"
    SqliteRunStore(path).close()
    with SqliteRunStore(path):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma legacy_alter_table=on")
        db.execute(f"alter table {table} rename to was_{table}")
        db.execute(f"create view {table} as {ENDLESS}")
        db.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"is no store that Themis made: its .*view {table}"):
        SqliteRunStore(path).list_runs()
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["event", "search_text"])
@pytest.mark.parametrize("begin", ["begin", "BEGIN insert into search_text_fts (rowid, text) values (1, 'x');"])
def test_a_trigger_that_changes_a_store_is_nothing_that_a_store_has(tmp_path: Path, table: str, begin: str) -> None:
    path = tmp_path / "theirs.sqlite3"
    with SqliteRunStore(path) as store:
        assert not store.find_text("x", None, 1)  # makes the index, and its triggers
    with SqliteRunStore(path) as store:
        assert store.list_runs() == ()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"create trigger changes after insert on {table} {begin} delete from dataset_case; end")
        db.commit()
    with pytest.raises(StoreError, match="trigger changes"):
        SqliteRunStore(path).list_runs()


def test_a_view_of_ones_own_may_be_in_a_store(tmp_path: Path) -> None:
    path = tmp_path / "ours.sqlite3"
    with SqliteRunStore(path) as store:
        store.list_runs()
    with closing(sqlite3.connect(path)) as db:
        db.execute("create view mine as select run_id from run")
        db.execute("create table notes (run_id text, note text)")
        db.commit()
    with SqliteRunStore(path) as store:
        assert store.list_runs() == ()


# --- a file that may be read alone ------------------------------------------------------------------------


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files look as they do to someone who may not write them; the tests may run as root, who may."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


@pytest.mark.parametrize("log", [False, True], ids=["at rest", "with a log"])
def test_a_file_that_may_not_be_written_is_read_and_left_as_it_is(
    tmp_path: Path, log: bool, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "it is # ours?.sqlite3"
    rows = [{"case_id": str(i), "input": "x", "expected_output": "y"} for i in range(3)]
    writer = SqliteRunStore(path)
    result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", store=writer)
    if not log:
        writer.close()
    request.getfixturevalue("read_only")
    before = files(tmp_path)
    assert bool(before.get(f"{path.name}-wal")) is log
    with SqliteRunStore(path) as store:
        assert [line.run_id for line in store.list_runs()] == [result.run_id]
        assert verify(store, result.run_id).ok
        assert len(json.loads(Reporter(store).export_json(result.run_id))["metrics"]) == 1
        with pytest.raises(StoreError, match=r"readonly|read-only"):
            store.clear_run(result.run_id)
    assert files(tmp_path) == before
    writer.close()


@pytest.mark.usefixtures("read_only")
def test_an_older_file_that_may_not_be_written_says_what_to_do(tmp_path: Path) -> None:
    path = stored(1, tmp_path)
    with pytest.raises(StoreError, match=r"of schema version 1, and may not be written here: copy it"):
        SqliteRunStore(path).list_runs()


def test_a_file_system_that_locks_nothing_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise portalocker.exceptions.LockException(OSError(errno.ENOLCK, "No locks available"))

    monkeypatch.setattr(portalocker, "lock", no_locks)
    with (
        SqliteRunStore(tmp_path / "a.sqlite3") as store,
        pytest.raises(StoreError, match=r"locks no files.*local disk"),
    ):
        store.acquire("a" * 64)
    queue = FolderQueue(tmp_path / "queue")
    queue.put("a", "A")
    with pytest.raises(StoreError, match=r"locks no files.*local disk"):
        queue.claim()
