"""Files of strangers' logs: found, unpacked in bounds, and refused by name where they are damaged."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.effects import log_files
from themis.effects.log_files import FolderFiles, ZipFiles
from themis.pure.errors import DataError

zstandard: Any = pytest.importorskip("zstandard")
ZSTD = 93


def zip_of(members: Mapping[str, bytes], method: int = ZSTD, frames: int = 1) -> bytes:
    """Return a ZIP archive whose members are packed by a method that `zipfile` may not write."""
    out, central = io.BytesIO(), io.BytesIO()
    for name, content in members.items():
        step = -(-len(content) // frames) or 1
        pieces = [content[start : start + step] for start in range(0, len(content), step)] or [b""]
        packed = {
            zipfile.ZIP_STORED: lambda data: b"".join(data),
            zipfile.ZIP_DEFLATED: lambda data: _deflated(b"".join(data)),
            ZSTD: lambda data: b"".join(map(zstandard.ZstdCompressor().compress, data)),
        }[method](pieces)
        raw, extra = name.encode(), b"\x00\x00\x04\x00abcd"
        common = struct.pack(
            "<HHHHHIIIHH", 20, 0x800, method, 0, 0, zlib.crc32(content), len(packed), len(content), len(raw), len(extra)
        )
        offset = out.tell()
        out.write(b"PK\x03\x04" + common + raw + extra + packed)
        central.write(b"PK\x01\x02\x14\x00" + common + struct.pack("<HHHII", 0, 0, 0, 0, offset) + raw + extra)
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(central.getvalue()), out.tell(), 0)
    return out.getvalue() + central.getvalue() + b"PK\x05\x06" + end


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, ZSTD])
@pytest.mark.parametrize("frames", [1, 3])
def test_members_of_every_method_are_read(method: int, frames: int, tmp_path: Path) -> None:
    path, members = tmp_path / "a.eval", {"header.json": b"{}", "samples/a b.json": os.urandom(5000), "empty": b""}
    path.write_bytes(zip_of(members, method, frames))
    with closing(ZipFiles(path)) as files:
        assert {name: files.read(name) for name in files.names} == members
        assert list(files.lines("header.json")) == [(1, b"{}")]


def test_of_two_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", "old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("header.json", "new")
    with closing(ZipFiles(path)) as files:
        assert files.names == ["header.json"]
        assert files.read("header.json") == b"new"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, ZSTD])
def test_what_unpacks_to_more_than_is_held_is_refused(
    method: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "_LARGEST", 10_000)
    path = tmp_path / "bomb.eval"
    path.write_bytes(zip_of({"header.json": b"\0" * 1_000_000}, method))
    with closing(ZipFiles(path)) as files, pytest.raises(DataError, match=r"header\.json: it holds more than 10,000"):
        files.read("header.json")


def test_many_members_that_unpack_to_a_thousand_times_the_archive_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "_LARGEST", 100_000)
    monkeypatch.setattr(log_files, "_UNPACKED_TOO", 10)
    path = tmp_path / "bomb.eval"
    path.write_bytes(zip_of({f"{n}": b"\0" * 99_000 for n in range(50)}))
    with closing(ZipFiles(path)) as files, pytest.raises(DataError, match="more than 10 times its size"):
        [*map(files.read, files.names)]


@given(place=st.integers(0, 600), damage=st.binary(min_size=1, max_size=4), cut=st.booleans())
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, ZSTD])
def test_a_damaged_archive_is_read_or_refused_by_name(
    method: int, place: int, damage: bytes, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = zip_of({"header.json": b'{"a": 1}' * 20, "samples/1_epoch_1.json": b"{}" * 40}, method)
    rest = b"" if cut else whole[place + len(damage) :]
    path = tmp_path_factory.getbasetemp() / "damaged.eval"
    path.write_bytes(whole[:place] + damage + rest)
    refused = "damaged.eval"
    try:
        with closing(ZipFiles(path)) as files:
            for name in files.names:
                files.read(name)
    except DataError as error:
        refused = str(error)
    assert "damaged.eval" in refused


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    whole = bytearray(zip_of({"header.json": b"{}"}, zipfile.ZIP_DEFLATED))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(mark) + flags] |= 1
    path.write_bytes(whole)
    with closing(ZipFiles(path)) as files, pytest.raises(DataError, match="encrypted"):
        files.read("header.json")


def test_a_folder_shows_its_files_and_no_links(tmp_path: Path) -> None:
    (tmp_path / "logs" / "in").mkdir(parents=True)
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "logs" / "in" / "a.json").write_text("{}\n\n[]\r\n")
    (tmp_path / "logs" / "link.json").symlink_to(tmp_path / "secret.json")
    files = FolderFiles(tmp_path / "logs")
    assert files.names == ["in/a.json"]
    assert list(files.lines("in/a.json")) == [(1, b"{}\n"), (3, b"[]\r\n")]
    assert FolderFiles(tmp_path / "logs", deep=False).names == []
    with pytest.raises(DataError, match="there is no such file"):
        files.read("b.json")


def test_a_line_and_a_file_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_LARGEST", 10)
    monkeypatch.setattr(log_files, "_LONGEST_LINE", 10)
    (tmp_path / "a.jsonl").write_text("{}\n" + "x" * 100)
    files = FolderFiles(tmp_path)
    with pytest.raises(DataError, match=r"a\.jsonl: it holds more than 10 bytes"):
        files.read("a.jsonl")
    with pytest.raises(DataError, match=r"a\.jsonl:2: a line of more than 10 bytes"):
        list(files.lines("a.jsonl"))
    monkeypatch.setattr(log_files, "_MOST_FILES", 0)
    with pytest.raises(DataError, match="more than 0 files"):
        _ = FolderFiles(tmp_path).names
