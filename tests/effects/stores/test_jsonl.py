"""The JSONL store's files: what a crash leaves is taken away by the next writer alone, and damage is named."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import portalocker
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from themis.effects.stores.jsonl import JsonlRunStore
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.chain import broken_links
from themis.pure.errors import SchemaVersionError, StoreError
from themis.pure.records.stored import StoredEvent
from themis.testing.pipelines import Pipeline
from themis.testing.stores import MadeRun, made_run


@pytest.fixture(scope="module")
def run() -> MadeRun:
    pipeline = Pipeline(
        cases=4, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    store = InMemoryRunStore()
    result = pipeline.experiment().run(store=store)
    made = made_run(store, result.run_id)
    return MadeRun(made.snapshot, made.events, {"ab" * 32: b"large"})


@pytest.fixture
def folder(tmp_path: Path, run: MadeRun) -> Path:
    with JsonlRunStore(tmp_path / "store") as store:
        store.persist_snapshot(run.snapshot)
        store.append(run.run_id, run.events[:9], {})
        store.append(run.run_id, run.events[9:12], run.blobs)
    return tmp_path / "store"


def events_file(folder: Path, run: MadeRun) -> Path:
    return folder / "runs" / run.run_id / "events.jsonl"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "locks" not in path.parts}


def test_every_line_is_an_event_that_any_tool_can_read(folder: Path, run: MadeRun) -> None:
    lines = [json.loads(line) for line in events_file(folder, run).read_text(encoding="utf-8").splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, 13))
    assert [line["sequence"] for line in lines if line["ends_batch"]] == [9, 12]
    assert lines[0]["event"]["event_type"] == "run_started"
    names = [path.name for path in folder.rglob("*")]
    assert all(name == name.lower() and len(name) < 80 and name.isascii() for name in names)


def test_the_folder_can_be_copied(folder: Path, run: MadeRun, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    with JsonlRunStore(tmp_path / "copy") as store:
        assert tuple(store.events(run.run_id)) == run.events[:12]
        store.append(run.run_id, run.events[12:], {})
        assert not list(broken_links(store.events(run.run_id), store.head(run.run_id)))


@pytest.mark.parametrize("cut", range(1, 12))
def test_of_a_batch_that_was_cut_off_nothing_is_kept(folder: Path, run: MadeRun, cut: int) -> None:
    file = events_file(folder, run)
    whole = file.read_bytes()
    third = [line + b"\n" for line in whole.splitlines()][9:12]
    # Cut anywhere within the last batch: in a line, or after one.
    size = len(b"".join(third))
    file.write_bytes(whole[: len(whole) - size * cut // 11])
    before = contents(folder)
    with JsonlRunStore(folder) as store:
        assert tuple(store.events(run.run_id)) == run.events[:9]
        assert store.head(run.run_id).count == 9
        assert store.list_runs()[0].event_count == 9
        assert contents(folder) == before, "a reader changed the store"
        # One event at first: a short batch must not leave the end of a longer one behind it.
        store.append(run.run_id, run.events[9:10], {})
        assert tuple(store.events(run.run_id)) == run.events[:10]
        store.append(run.run_id, run.events[10:], {})
    with JsonlRunStore(folder) as store:
        assert tuple(store.events_by_case(run.run_id))
        assert tuple(store.events(run.run_id)) == run.events


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_of_a_batch_with_parts_that_a_loss_of_power_left_out_nothing_is_kept(
    folder: Path, run: MadeRun, data: st.DataObject
) -> None:
    path = events_file(folder, run)
    whole = path.read_bytes()
    synced = len(b"".join(whole.splitlines(keepends=True)[:9]))
    sectors = range(synced // 64, len(whole) // 64 + 1)  # smaller than real ones, so that there are many
    left_out = data.draw(st.sets(st.sampled_from(sectors), min_size=1))
    torn = bytearray(whole)
    for sector in left_out:
        start, end = max(synced, sector * 64), min(len(whole), sector * 64 + 64)
        torn[start:end] = bytes(end - start)
    assume(torn != whole)
    path.write_bytes(torn)
    try:
        with JsonlRunStore(folder) as store:
            assert tuple(store.events(run.run_id)) == run.events[:9]
            assert store.head(run.run_id).count == 9
            store.append(run.run_id, run.events[9:12], run.blobs)
            assert tuple(store.events(run.run_id)) == run.events[:12]
        assert path.read_bytes() == whole
    finally:
        path.write_bytes(whole)


def test_what_could_not_be_written_whole_is_taken_away(folder: Path, run: MadeRun) -> None:
    two_lines = StoredEvent(0, "parse_completed", None, '{\n"event_type":"x"}', "0" * 64, 13)
    before = contents(folder)
    with JsonlRunStore(folder) as store:
        with pytest.raises(StoreError, match="more than one line"):
            store.append(run.run_id, [two_lines], {})
        assert contents(folder) == before
        store.append(run.run_id, run.events[12:], {})
        assert tuple(store.events(run.run_id)) == run.events


def line(number: int, change: Callable[[bytes], bytes]) -> Callable[[Path, MadeRun], Path]:
    def damage(folder: Path, run: MadeRun) -> Path:
        file = events_file(folder, run)
        lines = file.read_bytes().splitlines(keepends=True)
        lines[number] = change(lines[number])
        file.write_bytes(b"".join(lines))
        return file

    return damage


def changed(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path, MadeRun], Path]:
    def damage(folder: Path, _: MadeRun) -> Path:
        (path,) = folder.glob(pattern)
        path.write_bytes(change(path.read_bytes()))
        return path

    return damage


def gone(pattern: str) -> Callable[[Path, MadeRun], Path]:
    def damage(folder: Path, _: MadeRun) -> Path:
        (path,) = folder.glob(pattern)
        path.unlink()
        return path

    return damage


def read_all(store: JsonlRunStore, run: MadeRun) -> None:
    store.initialize()
    store.list_runs()
    list(store.events(run.run_id))
    for dataset in store.load_snapshot(run.run_id).datasets:
        list(dataset.cases)
    for ref in run.blobs:
        store.blob(ref)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (line(4, lambda text: text[: len(text) // 2] + b"\n"), StoreError),
        (line(4, lambda text: text[: len(text) // 2]), StoreError),
        (line(11, lambda _: b"{}\n"), StoreError),
        (changed("datasets/*.jsonl", lambda text: text[:-20]), StoreError),
        (changed("datasets/*.jsonl", lambda text: text[: text.index(b"\n") + 1]), StoreError),
        (changed("runs/*/run.json", lambda text: text[:-20]), StoreError),
        (changed("themis-store.json", lambda text: text[:-20]), StoreError),
        (changed("themis-store.json", lambda text: text.replace(b"themis-jsonl", b"other")), StoreError),
        (changed("themis-store.json", lambda text: text.replace(b":1", b":2")), SchemaVersionError),
        (gone("datasets/*.jsonl"), StoreError),
        (gone("blobs/*/*"), StoreError),
    ],
    ids=[
        "half a line in the middle", "a lost line feed", "no event", "half a case", "cases gone", "half a header",
        "half a mark", "another's mark", "a newer version", "no cases", "no blob",
    ],
)  # fmt: skip
def test_damage_is_named_and_nothing_is_changed(
    folder: Path, run: MadeRun, damage: Callable[[Path, MadeRun], Path], kind: type[StoreError]
) -> None:
    path = damage(folder, run)
    before = contents(folder)
    with closing(JsonlRunStore(folder)) as store, pytest.raises(kind) as caught:
        read_all(store, run)
    assert str(path) in str(caught.value) or str(folder) in str(caught.value)
    assert any(word in str(caught.value) for word in ("restore", "upgrade", "name another path"))
    assert contents(folder) == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match="a folder of something else"):
        JsonlRunStore(tmp_path).initialize()
    with pytest.raises(StoreError, match="Not a directory"):
        JsonlRunStore(tmp_path / "thesis.tex").initialize()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("run_id", ["../../etc", "none", "", "/", "a" * 63 + "/"])
def test_no_run_id_leads_out_of_the_folder(folder: Path, run_id: str) -> None:
    with JsonlRunStore(folder) as store, pytest.raises(StoreError, match="no run"):
        store.load_snapshot(run_id)


def test_what_a_model_wrote_ends_no_batch(folder: Path, run: MadeRun) -> None:
    payload = '{"event_type":"parse_completed","result":{"ends_batch":true,"x":1}}'
    events = [StoredEvent(0, "parse_completed", None, payload, f"{number:064}", number) for number in (13, 14)]
    with JsonlRunStore(folder) as store:
        store.append(run.run_id, events, {})
    file = events_file(folder, run)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    with JsonlRunStore(folder) as store:
        assert store.head(run.run_id).count == 12


# --- a folder that a stranger made ------------------------------------------------------------------------

NAMES = [
    "../../x",
    "../../../x",
    "/etc/passwd",
    "..",
    "",
    "a" * 63,
    "A" * 64,
    "none",
    "../datasets/" + "a" * 64,
    7,
    None,
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_in_a_file_that_is_no_hash_becomes_no_path(folder: Path, run: MadeRun, name: object) -> None:
    outside = folder.parent / "x.jsonl"
    outside.write_text("precious\n", encoding="utf-8")
    header = folder / "runs" / run.run_id / "run.json"
    said = json.loads(header.read_text(encoding="utf-8"))
    said["datasets"][0]["key"] = name
    header.write_text(json.dumps(said), encoding="utf-8")
    with JsonlRunStore(folder) as store:
        before = contents(folder.parent)
        for use in (store.load_snapshot, store.clear_run, lambda _: store.list_runs()):
            with pytest.raises(StoreError, match=r"run\.json"):
                use(run.run_id)
        assert contents(folder.parent) == before


@pytest.mark.parametrize("place", ["events", "lock of the run", "lock of what is shared"])
def test_nothing_is_written_through_a_link(folder: Path, run: MadeRun, place: str) -> None:
    events = events_file(folder, run)
    path = {
        "events": events,
        "lock of the run": folder / "locks" / f"{run.run_id[:32]}.lock",
        "lock of what is shared": folder / "locks" / "shared.lock",
    }[place]
    outside = folder.parent / "outside"
    outside.write_bytes(events.read_bytes() if place == "events" else b"precious")
    before = outside.read_bytes()
    path.unlink(missing_ok=True)
    path.symlink_to(outside)

    def write(store: JsonlRunStore) -> None:
        if place == "lock of what is shared":
            store.persist_snapshot(run.snapshot.evolve(metric_kinds={"x": "pure"}))
        store.acquire(run.run_id)
        store.append(run.run_id, run.events[12:], {})

    with JsonlRunStore(folder) as store:
        with pytest.raises(StoreError, match="is a symbolic link, which a store does not write through"):
            write(store)
        store.release(run.run_id)
    assert outside.read_bytes() == before


def test_a_file_system_that_locks_nothing_is_said_to_be_one(
    tmp_path: Path, run: MadeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise portalocker.exceptions.LockException(OSError(errno.ENOLCK, "No locks available"))

    monkeypatch.setattr(portalocker, "lock", no_locks)
    with JsonlRunStore(tmp_path / "store") as store, pytest.raises(StoreError, match=r"locks no files.*local disk"):
        store.persist_snapshot(run.snapshot)
