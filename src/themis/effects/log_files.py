"""The files of other tools' logs, as the readers of formats ask for them: of folders and archives, in bounds.

A log is a stranger's file: what is read at once is bounded, also after unpacking; links and names that climb out of a
folder are passed over.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import importlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from themis.effects.files import nearest_files
from themis.effects.sources.rows import read_rows
from themis.pure.errors import DataError, MissingExtraError, ThemisError, pip_install

_LARGEST: Final = 1 << 28
"""Bytes of one file, or of one member of an archive once it is unpacked, that are held at once."""
_LONGEST_LINE: Final = 1 << 27
_MOST_FILES: Final = 100_000
"""Files of a folder, or members of an archive."""
_LONGEST_END: Final = (1 << 16) + 22 + 20 + 56
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = 93
"""The compression method of Zstandard (APPNOTE.TXT 6.3.10, 4.4.5), which `zipfile` reads from Python 3.14 on."""
_UNPACKED_TOO: Final = 1000
"""How many times its size an archive may be in whole once it is unpacked; text comes to a tenth of that."""


class FolderFiles:
    """The files of a folder, and of those below it unless it is not `deep`."""

    def __init__(self, folder: Path, *, deep: bool = True) -> None:
        self.folder: Path = folder
        self._deep = deep

    @property
    def where(self) -> str:
        return str(self.folder)

    @functools.cached_property
    def names(self) -> Sequence[str]:
        found: list[str] = []
        for path in sorted(self.folder.rglob("*") if self._deep else self.folder.iterdir()):
            if path.is_file() and not path.is_symlink():
                found.append(path.relative_to(self.folder).as_posix())
            if len(found) > _MOST_FILES:
                raise DataError(f"{self.folder}: more than {_MOST_FILES:,} files; name a folder of fewer")
        return found

    def read(self, name: str) -> bytes:
        path = self.folder / name
        with _named(path), opened_log(path) as file:
            return _whole(file, path)

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        path, room = self.folder / name, _room(self.folder / name)
        with _named(path), opened_log(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
                if len(line) > _LONGEST_LINE:
                    raise DataError(f"{path}:{number}: a line of more than {_LONGEST_LINE:,} bytes")
                room -= len(line)
                if room < 0:
                    raise DataError(f"{path}: unpacked it is more than {_UNPACKED_TOO:,} times its size")
                if line.strip():
                    yield number, line

    def rows(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        return read_rows(self.folder / name, "parquet")


@contextlib.contextmanager
def opened_log(path: Path) -> Iterator[IO[bytes]]:
    """Open a file; of one that is gzipped what is in it."""
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        unpacked: Any = gzip.GzipFile(fileobj=file) if packed else contextlib.nullcontext(file)
        with unpacked as content:
            yield content


def _room(path: Path) -> int:
    """Return how many bytes a file may be unpacked."""
    return max(_LARGEST, path.stat().st_size * _UNPACKED_TOO) if path.is_file() else _LARGEST


class ZipFiles:
    """The members of a ZIP archive; of several with one name the last one counts, as for its readers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _named(path):
            self._file = path.open("rb")
            try:
                _refuse_many(self._file, path)
                self._zip = zipfile.ZipFile(self._file)
            except BaseException:
                self._file.close()
                raise
        self._room = _room(path)

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    @property
    def where(self) -> str:
        return str(self.path)

    @functools.cached_property
    def names(self) -> Sequence[str]:
        return list(dict.fromkeys(self._zip.namelist()))

    def read(self, name: str) -> bytes:
        with _named(self.path, name):
            info = self._zip.getinfo(name)
            content = self._zstd(info) if info.compress_type == _ZSTD else self._plain(info)
        self._room -= len(content)
        if self._room < 0:
            raise DataError(f"{self.path}: unpacked it is more than {_UNPACKED_TOO:,} times its size")
        return content

    def _plain(self, info: zipfile.ZipInfo) -> bytes:
        with self._zip.open(info) as member:
            return _whole(member, f"{self.path}, {info.filename}")

    def _zstd(self, info: zipfile.ZipInfo) -> bytes:
        self._file.seek(info.header_offset)
        header = self._file.read(30)
        if header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("a member does not begin where it should")
        self._file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
        with _zstd_reader(io.BytesIO(self._file.read(info.compress_size)), self.path) as member:
            content = _whole(member, f"{self.path}, {info.filename}")
        if zlib.crc32(content) != info.CRC:
            raise zipfile.BadZipFile("its checksum is another")
        return content

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        lines = enumerate(self.read(name).splitlines(), 1)
        return ((number, line) for number, line in lines if line.strip())

    def rows(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        raise DataError(f"{self.path}: no Parquet files are read out of archives; unpack it")


def _refuse_many(file: IO[bytes], path: Path) -> None:
    """Refuse an archive of more members than are held, by what its end says (APPNOTE.TXT 6.3.10, 4.3.14 to 4.3.16)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _LONGEST_END))
    end = file.read()
    for sign, place, width in ((b"PK\x05\x06", 10, 2), (b"PK\x06\x06", 32, 8)):
        at = end.rfind(sign)
        count = int.from_bytes(end[at + place : at + place + width], "little") if at >= 0 else 0
        if count > _MOST_FILES and not (width == 2 and count == 0xFFFF):
            raise DataError(f"{path}: {count:,} members, and up to {_MOST_FILES:,} are read")
    file.seek(0)


def _whole(file: IO[bytes], path: object) -> bytes:
    content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise DataError(f"{path}: it holds more than {_LARGEST:,} bytes, which are not read at once")
    return content


def _zstd_reader(data: io.BytesIO, path: Path) -> Any:
    with contextlib.suppress(ImportError):  # Python 3.14 and newer
        return importlib.import_module("compression.zstd").ZstdFile(data)
    try:
        library = importlib.import_module("zstandard")
    except ImportError:
        raise MissingExtraError(f"{path}: it is compressed by Zstandard, which needs {pip_install('zstd')}") from None
    return library.ZstdDecompressor().stream_reader(data, read_across_frames=True)


@contextlib.contextmanager
def _named(path: Path, member: str | None = None) -> Iterator[None]:
    """Say of what goes wrong with a file which one it was."""
    where = str(path) if member is None else f"{path}, {member}"
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{where}: there is no such file{nearest_files(path)}") from None
    except ThemisError:
        raise
    except Exception as error:
        # What the libraries of archives raise for damaged ones is of many kinds, and theirs alone.
        raise DataError(f"{where}: can't be read: {str(error) or type(error).__name__}") from error
