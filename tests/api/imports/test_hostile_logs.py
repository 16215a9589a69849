"""Logs of every format as strangers send them: what is harmless is read, and the rest is one clear error."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from themis import InMemoryRunStore, import_logs
from themis.api.config.record import EvaluationConfig
from themis.api.imports.logs import opened_logs
from themis.effects import log_files
from themis.pure.errors import DataError

from .test_logs import made_logs, written, zip_of

Change = Callable[[bytes], bytes]


def texts(value: bytes) -> Change:
    """Put a value in place of every text."""
    return lambda data: re.sub(rb': "(?:[^"\\]|\\.)*"', lambda _: b": " + value, data)


def numbers(value: bytes) -> Change:
    return lambda data: re.sub(rb": -?[0-9.]+(?=[,\n}\]])", lambda _: b": " + value, data)


def deep(data: bytes) -> bytes:
    at = data.rfind(b': "')
    return data if at < 0 else data[: at + 2] + b"[" * 9999 + b"]" * 9999 + data[data.index(b'"', at + 3) + 1 :]


HARMLESS: dict[str, Change] = {
    "BOM": lambda data: b"\xef\xbb\xbf" + data,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "blank lines": lambda data: b"\n \n" + data + b"\n\n",
    "keys twice": lambda data: data.replace(b"{", b'{"a": 1, "a": 2, ', 1),
    "gzip": gzip.compress,
}
HOSTILE: dict[str, Change] = {
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "not UTF-8": lambda data: data.replace(b"a", b"\xe4", 3),
    "cut off": lambda data: data[: len(data) * 2 // 3],
    "cut off gzip": lambda data: gzip.compress(data)[:-20],
    "NUL": lambda data: data + b"\0",
    "deep": deep,
    "halves of characters": texts(b'"\\ud800x"'),
    "long texts": texts(b'"' + b"x" * 30_000 + b'"'),
    "control characters": texts(b'"\\u0000\\u001b[31m\\u202e"'),
    "names that climb": texts(b'"../../../etc/passwd"'),
    "lists": texts(b"[[]]"),
    "NaN": numbers(b"NaN"),
    "past any float": numbers(b"1e999"),
    "5,000 digits": numbers(b"9" * 5000),
    "negative": numbers(b"-1"),
}


def changed(made: Any, change: Change, folder: Path) -> Path:
    content = {name: change(data) if isinstance(data, bytes) else data for name, data in made.written().content.items()}
    files = made_logs.MemoryFiles(content)
    return written(
        type("Changed", (), {"archive": made.archive, "name": made.name, "written": lambda _: files})(), folder
    )


def found_in(path: Path) -> list[tuple[int, int, int]]:
    with opened_logs(path, EvaluationConfig()) as (found, _):
        return [(each.cases, each.answers, each.errors) for each in found]


def whole(path: Path, made: Any) -> Path:
    """Return what is named of a log: what says which model it was stands elsewhere in lighteval's folder."""
    return path.parents[3] if made.name.startswith("details/") else path


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_is_harmless_is_read_as_it_was(kind: str, tmp_path: Path) -> None:
    for name, made in made_logs.MADE.items():
        if kind == "gzip" and made.archive:
            continue  # its members are packed as it is
        (folder := tmp_path / name).mkdir()
        path = whole(changed(made, HARMLESS[kind], folder), made)
        assert (name, found_in(path)) == (name, [tuple(run[2:5]) for run in made.runs])


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_hostile_is_read_or_one_clear_error(kind: str, tmp_path: Path) -> None:
    for name, made in made_logs.MADE.items():
        (folder := tmp_path / name).mkdir()
        path, error = whole(changed(made, HOSTILE[kind], folder), made), ""
        try:
            found_in(path)
        except DataError as refused:
            error = str(refused)
        assert not error or str(folder) in error
        assert len(error) < 4000
        assert error.replace("\n", "").isprintable()
        assert "sys." not in error
    assert {path.name for path in tmp_path.iterdir()} == set(made_logs.MADE)


def test_a_gzipped_log_is_told_from_a_bundle_and_a_table(tmp_path: Path) -> None:
    path = written(made_logs.INSPECT_JSON, tmp_path)
    packed = tmp_path / "sums.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    [run], [other] = import_logs(packed), import_logs(path)
    assert run.run_id == other.run_id


def test_what_unpacks_to_many_times_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_LARGEST", 1 << 16)
    monkeypatch.setattr(log_files, "_UNPACKED_TOO", 10)
    line = made_logs.encoded("a.jsonl", [made_logs._lm_eval_row(0, "none", 1.0, repeats=1)])
    (tmp_path / "bomb.jsonl").write_bytes(gzip.compress(line + (b" " * 60_000 + b"\n") * 9))
    store = InMemoryRunStore()
    with pytest.raises(DataError, match=r"bomb\.jsonl: unpacked it is more than 10 times its size"):
        import_logs(tmp_path / "bomb.jsonl", store=store)
    assert not store.list_runs()


def test_an_archive_of_too_many_members_is_refused_before_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(zip_of(made_logs.INSPECT.written().content))
    assert import_logs(path)
    monkeypatch.setattr(log_files, "_MOST_FILES", 3)
    with pytest.raises(DataError, match=r"a\.eval: 7 members, and up to 3 are read"):
        import_logs(path)


def test_what_a_log_says_of_itself_is_kept_in_a_few_words(tmp_path: Path) -> None:
    report = {**made_logs.PYDANTIC_EVALS.files["report.json"], "dataset_name": "d" * 9000, "trace_id": "t" * 9000}
    made = made_logs.Made(files={"report.json": report}, name="report.json", runs=[])
    [run] = import_logs(written(made, tmp_path))
    about: Any = run.snapshot.provenance.provider_metadata["imported"]
    assert (len(run.view.dataset_ids[0]), len(about["trace"])) == (300, 2000)
