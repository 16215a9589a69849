"""The files of other tools' logs, as the readers of formats ask for them: of folders and archives, in bounds.

A log is a stranger's file: what is read at once is bounded, also after unpacking; links and names that climb out of a
folder are passed over.
"""

from __future__ import annotations

import contextlib
import functools
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
        with _named(path), path.open("rb") as file:
            return _whole(file, path)

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        path = self.folder / name
        with _named(path), path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
                if len(line) > _LONGEST_LINE:
                    raise DataError(f"{path}:{number}: a line of more than {_LONGEST_LINE:,} bytes")
                if line.strip():
                    yield number, line

    def rows(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        return read_rows(self.folder / name, "parquet")


class ZipFiles:
    """The members of a ZIP archive; of several with one name the last one counts, as for its readers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _named(path):
            self._file = path.open("rb")
            try:
                self._zip = zipfile.ZipFile(self._file)
            except BaseException:
                self._file.close()
                raise
        self._room = max(_LARGEST, path.stat().st_size * _UNPACKED_TOO)

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
