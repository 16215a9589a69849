"""Files that are written whole: what was there stays until the new one is complete, and no other file is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from themis.effects import files
from themis.effects.files import make_folder, nearest_files, whole_file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_seen_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in (b"first", b"second"):
        before = path.read_bytes() if path.exists() else None
        with whole_file(path) as file:
            file.write(content)
            file.flush()
            assert (path.read_bytes() if path.exists() else None) == before
        assert path.read_bytes() == content
        assert names(tmp_path) == ["a.txt"]


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"before")

    def write_half() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("place", ["missing/a.txt", "file/a.txt"])
def test_a_folder_that_is_none_is_an_error_of_the_file_system(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=place.partition("/")[0]), whole_file(tmp_path / place) as file:
        file.write(b"never")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    with whole_file(tmp_path / "ours"):
        pass
    (tmp_path / "any").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_content_and_then_name_are_on_the_disk_when_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("os.fsync", lambda _: done.append(("content", names(tmp_path))))
    monkeypatch.setattr(files, "sync_folder", lambda folder: done.append(("name", names(folder))))
    with whole_file(tmp_path / "a.txt"):
        pass
    assert [what for what, _ in done] == ["content", "name"]
    assert done[0][1][0].startswith(files.UNFINISHED)
    assert done[1][1] == ["a.txt"]


def test_the_names_of_new_folders_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert set(synced) == {tmp_path, tmp_path / "a"}
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_missing_file_is_told_with_its_neighbours(tmp_path: Path) -> None:
    assert nearest_files(tmp_path / "none" / "a.jsonl") == ""
    assert nearest_files(tmp_path / "a.jsonl") == ""
    (tmp_path / "case.jsonl").write_text("")
    (tmp_path / "cases").mkdir()
    assert nearest_files(tmp_path / "cases.jsonl") == f"; did you mean {tmp_path / 'case.jsonl'}?"
    assert nearest_files(tmp_path / "cased", same_suffix=True) == f"; did you mean {tmp_path / 'cases'}?"
    assert nearest_files(tmp_path / "a.txt", same_suffix=True) == ""
