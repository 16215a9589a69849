"""Bundle files: what they hold, how they are laid out, and what becomes of damaged ones and of killed processes."""

from __future__ import annotations

import gc
import gzip
import json
import re
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunResult, RunStore, SqliteRunStore, verify
from themis.api.bundles import files, transfer
from themis.api.bundles.compression import compressed
from themis.api.bundles.files import import_bundle_file, read_bundle, write_bundle
from themis.api.bundles.transfer import (
    export_bundle,
    export_generation_bundle,
    export_score_bundle,
    import_generation_bundle,
)
from themis.pure.bundles.records import BUNDLE_TYPES, KINDS, BundleKind
from themis.pure.errors import DataError, SchemaVersionError
from themis.pure.json import decode
from themis.testing.pipelines import dataset

from .conftest import is_untouched
from .drawn import JUDGED, PLAIN


@pytest.mark.parametrize("ending", ["json", "json.gz", "json.zst"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_what_the_bundle_holds(store: RunStore, tmp_path: Path, kind: BundleKind, ending: str) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    path = write_bundle(here, run_id, kind, tmp_path / f"run.{ending}")
    bundle = read_bundle(path)
    assert bundle == export_bundle(here, run_id, BUNDLE_TYPES[kind])
    taken = import_bundle_file(store, path)
    assert (taken.run_id, taken.kind) == (run_id, kind)
    assert taken.new_events == store.head(run_id).count > 0
    assert import_bundle_file(store, path).new_events == 0
    assert export_bundle(store, run_id, BUNDLE_TYPES[kind]) == bundle
    again = write_bundle(store, run_id, kind, tmp_path / f"again.{ending}")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*run.*")) == [path.name]


def test_a_file_is_plain_json_of_one_line_a_record(tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    path = write_bundle(here, run_id, "score", tmp_path / "run.json")
    bundle = export_score_bundle(here, run_id)
    assert json.loads(path.read_text(encoding="utf-8")) == bundle.to_dict()
    lines = path.read_text(encoding="utf-8").splitlines()
    events = lines[lines.index(']},"records":[') + 1 : -1]
    assert len(events) == len([*bundle.events()]) > len(bundle.records) > 0
    assert [json.loads(line.removesuffix(","))["event_type"] for line in events] == [
        event.event_type for event, _ in bundle.events()
    ]


def test_other_layouts_are_read_too(store: RunStore, tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    data = export_score_bundle(here, run_id).to_dict()
    (tmp_path / "pretty.json").write_text(json.dumps(data, indent=2), encoding="utf-8")
    import_bundle_file(store, tmp_path / "pretty.json")
    assert export_score_bundle(store, run_id) == export_score_bundle(here, run_id)
    assert verify(store, run_id, experiment=PLAIN.experiment()).ok


@pytest.mark.parametrize("ending", ["json", "json.gz", "json.zst"])
def test_a_damaged_file_is_named_and_nothing_of_it_is_stored(store: RunStore, tmp_path: Path, ending: str) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    path = write_bundle(here, run_id, "evaluation", tmp_path / f"run.{ending}")
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 20, len(whole) - 3):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=path.name):
            import_bundle_file(store, path)
        with pytest.raises(DataError, match=path.name):
            read_bundle(path)
        assert is_untouched(store)
    if ending == "json":
        path.write_bytes(whole + b"{}")
        with pytest.raises(DataError, match="more after the bundle's end"):
            import_bundle_file(store, path)
    else:
        path.write_bytes(b"not compressed at all")
        with pytest.raises(DataError, match="can't be read"):
            import_bundle_file(store, path)
    with pytest.raises(DataError, match="there is no such file"):
        import_bundle_file(store, tmp_path / "missing.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that has a line of each sort: several cases of two datasets, and events of every stage."""
    here = InMemoryRunStore()
    experiment = JUDGED.experiment().evolve(datasets=[dataset(2, "one"), dataset(3, "two")])
    return write_bundle(
        here, experiment.run(store=here).run_id, "evaluation", tmp_path_factory.mktemp("a") / "run.json"
    )


def damaged(content: bytes | bytearray, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return why a damaged file is refused; nothing of it is stored."""
    path, store = tmp_path_factory.mktemp("damaged") / "run.json", InMemoryRunStore()
    path.write_bytes(content)
    with pytest.raises((DataError, SchemaVersionError), match=r"run\.json") as caught:
        import_bundle_file(store, path)
    assert is_untouched(store)
    return str(caught.value)


def line_of(message: str) -> int:
    """Return the line that an error names."""
    found = re.search(r"run\.json:(\d+): ", message)
    assert found is not None, message
    return int(found[1])


@given(data=st.data())
def test_a_file_that_is_cut_anywhere_is_refused(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = whole.read_bytes()
    content = content[: data.draw(st.integers(0, len(content) - 2))]  # the last byte ends the last line
    message = damaged(content, tmp_path_factory)
    if lines := content.count(b"\n"):  # or it is of no layout that is known
        assert line_of(message) in (lines, lines + 1)


@given(data=st.data())
def test_a_file_with_two_lines_swapped_is_refused(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    one, other = sorted(data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True)))
    lines[one], lines[other] = lines[other], lines[one]
    if same(content := b"".join(lines), whole.read_bytes()):
        return  # the case is in both datasets
    message = damaged(content, tmp_path_factory)
    if one > lines.index(b']},"records":[\n'):
        assert line_of(message) in (one + 1, one + 2)


@given(data=st.data())
def test_a_file_without_one_of_its_lines_is_refused(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    message = damaged(b"".join(lines[:place] + lines[place + 1 :]), tmp_path_factory)
    if place > lines.index(b']},"records":[\n'):
        assert line_of(message) in (place, place + 1)


@settings(max_examples=200)
@given(data=st.data())
def test_a_file_with_a_byte_flipped_is_refused(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = whole.read_bytes().splitlines(keepends=True)
    line = data.draw(st.integers(0, len(lines) - 1))  # or nearly all would be in the longest
    content = bytearray(whole.read_bytes())
    content[sum(map(len, lines[:line])) + data.draw(st.integers(0, len(lines[line]) - 1))] ^= data.draw(
        st.integers(1, 255)
    )
    if same(content, whole.read_bytes()):
        return
    message = damaged(content, tmp_path_factory)
    if line > lines.index(b']},"records":[\n'):
        assert line_of(message) in (line + 1, line + 2)
    else:
        assert re.search(r"run\.json:\d|dataset (one|two)|datasets|snapshot|not JSON", message)


def test_a_comma_that_is_missing_or_too_many_is_named_by_its_line(
    whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = whole.read_bytes().splitlines()
    for number, line in enumerate(lines[:-1]):
        other = line[:-1] if line.endswith(b",") else line + b","
        message = damaged(b"\n".join([*lines[:number], other, *lines[number + 1 :], b""]), tmp_path_factory)
        if not line.endswith(b"["):  # or the line itself is read otherwise
            assert f"run.json:{number + 2}: a comma is missing before this line, or one is too many" in message


def same(one: bytes | bytearray, other: bytes) -> bool:
    """Tell whether two documents say the same: `1e2` and `1E2` do, and a blank is none of the contents."""
    try:
        return bool(decode(bytes(one)) == decode(other))
    except ValueError:
        return False


def edited(path: Path, line: int, old: str, new: str) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_bad_record_of_a_file_is_named_by_line(store: RunStore, tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id

    def written() -> tuple[Path, int]:
        path = write_bundle(here, run_id, "generation", tmp_path / "run.json")
        return path, path.read_text(encoding="utf-8").splitlines().index(']},"records":[') + 2

    for old, new, problem in [
        ('"candidate_index":0', '"candidate_index":"0"', "candidate_index: int expected"),
        ('"candidate_index":0', '"candidate_index":0,"surprise":1', "surprise"),
        ('"candidate_index":0', '"candidate_index":', "not|JSON|unexpected"),
    ]:
        path, line = written()
        edited(path, line, old, new)
        with pytest.raises(DataError, match=rf"run.json:{line + 1}: .*({problem})"):
            import_bundle_file(store, path)
        assert is_untouched(store)
    path, line = written()
    edited(path, 0, '"schema_version":2', '"schema_version":3')
    with pytest.raises(SchemaVersionError, match="upgrade"):
        import_bundle_file(store, path)
    path, line = written()
    edited(path, 0, '"schema_version":2', '"schema_version":1')
    with pytest.raises(SchemaVersionError, match=r"run.json:1: .*before the first release.*export the run again"):
        import_bundle_file(store, path)
    path, line = written()
    edited(path, 0, '"kind":', '"surprise":1,"kind":')
    with pytest.raises(DataError, match="surprise"):
        import_bundle_file(store, path)
    path, line = written()
    edited(path, line, '"case_id":"1"', '"case_id":"0"')
    with pytest.raises(DataError, match=r"run.json.*generation record of case 4:made:1"):
        import_bundle_file(store, path)
    assert is_untouched(store)


def test_wrong_names_are_said(tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    with pytest.raises(DataError, match="did you mean score"):
        write_bundle(here, run_id, "scores", tmp_path / "x.json")
    with pytest.raises(DataError, match="can't be written"):
        write_bundle(here, run_id, "score", tmp_path / "no folder" / "x.json")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="a bundle is a JSON object, and list was found"):
        read_bundle(tmp_path / "list.json")


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    one = write_bundle(here, run_id, "score", tmp_path / "one.json.gz").read_bytes()
    two = write_bundle(here, run_id, "score", tmp_path / "two.json.gz").read_bytes()
    assert one == two
    assert gzip.decompress(one).startswith(b'{"completed_through_stage":"judge"')


# --- memory -----------------------------------------------------------------------------------------------


def peak_of(call: Callable[[], object]) -> int:
    """Return how many bytes of Python objects a call held at most."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_eight_times_the_records_need_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BATCH", 50)
    peaks: dict[str, list[int]] = {"export": [], "import": [], "held": []}
    for cases in (20, 150, 1200):  # the first compiles what reads records
        file = tmp_path / f"{cases}.json.gz"
        with SqliteRunStore(tmp_path / f"{cases}.here") as here, SqliteRunStore(tmp_path / f"{cases}.there") as there:
            run_id = attrs.evolve(PLAIN, cases=cases).experiment().run(store=here).run_id
            peaks["export"].append(peak_of(lambda: write_bundle(here, run_id, "score", file)))  # noqa: B023  # called at once
            peaks["import"].append(peak_of(lambda: import_bundle_file(there, file)))  # noqa: B023  # called at once
            peaks["held"].append(peak_of(lambda: read_bundle(file)))  # noqa: B023  # called at once
    assert peaks["held"][2] > 2 * peaks["held"][1]  # or the measurement means nothing
    assert peaks["export"][2] < 1.3 * peaks["export"][1]
    assert peaks["import"][2] < 1.3 * peaks["import"][1]


# --- SIGKILL ----------------------------------------------------------------------------------------------

CHILD = Path(__file__).parent / "files_child.py"
MANY = attrs.evolve(PLAIN, cases=350)
"""More cases than three batches of the child's."""


def killed(*arguments: object) -> bool:
    done = subprocess.run(
        [sys.executable, str(CHILD), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def state_of(path: Path) -> list[tuple[str, int]]:
    database = sqlite3.connect(path)
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()
    with SqliteRunStore(path) as store:
        return [(line.run_id, line.event_count) for line in store.list_runs()]


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True], ids=["new run", "known run"])
def test_sigkill_during_an_import_leaves_the_store_as_before_or_as_after(known: bool, tmp_path: Path) -> None:
    here = InMemoryRunStore()
    whole = MANY.experiment().run(store=here)
    file = write_bundle(here, whole.run_id, "score", tmp_path / "run.json.gz")
    path = tmp_path / "store.sqlite3"
    with SqliteRunStore(path) as store:
        if known:
            import_generation_bundle(store, export_generation_bundle(here, whole.run_id))
    before = state_of(path)
    deaths = 0
    for where, number in [("insert into event", 1), ("insert into event", 2), ("insert into event", 4), ("commit", 0)]:
        deaths += killed("import", path, file, where, number)
        assert state_of(path) == before
    assert deaths == 4
    for microseconds in (100, 1000, 5000):  # while it commits, or just after
        killed("import", path, file, "committing", microseconds)
        if state_of(path) != before:
            break
    with SqliteRunStore(path) as store:
        head = store.head(whole.run_id)
        new = import_bundle_file(store, file).new_events
        assert new == 0 or head.count == dict(before).get(whole.run_id, 0)
        assert RunResult(snapshot=whole.snapshot, store=store).digest == whole.digest
        assert verify(store, whole.run_id, experiment=MANY.experiment()).ok


@pytest.mark.slow
def test_sigkill_during_an_export_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path, file = tmp_path / "store.sqlite3", tmp_path / "run.json"
    with SqliteRunStore(path) as store:
        run_id = MANY.experiment().run(store=store).run_id
        write_bundle(store, run_id, "generation", file)
    before, old = state_of(path), file.read_bytes()
    for number in (1, 350, 1399):
        assert killed("export", path, file, "event", number)
        assert file.read_bytes() == old
    assert state_of(path) == before
    assert not killed("export", path, file, "event", 0)
    assert read_bundle(file).kind == "evaluation"


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("place", ["first line", "a case", "behind the end", "one line"])
def test_a_small_file_that_unpacks_to_more_than_there_is_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, ending: str
) -> None:
    monkeypatch.setattr(files, "_LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(files, "_LARGEST_WHOLE", 1 << 20)
    here, bomb = InMemoryRunStore(), b" " * (64 << 20)
    run_id = JUDGED.experiment().run(store=here).run_id
    plain = write_bundle(here, run_id, "score", tmp_path / "plain.json").read_bytes()
    first, rest = plain.split(b"\n", 1)
    made = {
        "first line": bomb + plain,
        "a case": first + b"\n" + bomb + rest,
        "behind the end": plain + b"x" * len(bomb),
        "one line": plain.replace(b"\n", b"") + bomb,
    }[place]
    path = tmp_path / f"bomb.json.{ending}"
    with path.open("wb") as raw, compressed(raw, path.suffix) as file:
        file.write(made)
    assert path.stat().st_size < 1 << 20
    there = InMemoryRunStore()

    def refuse() -> None:
        with pytest.raises(DataError, match=r"which no record has|not laid out in lines|more after the bundle's end"):
            import_bundle_file(there, path)

    assert peak_of(refuse) < 16 << 20
    assert there.list_runs() == ()
