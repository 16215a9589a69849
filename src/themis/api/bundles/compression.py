"""Compressed files: gzip and Zstandard, chosen by the ending of a file's name, read and written as a stream."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

from themis.pure.errors import DataError, MissingExtraError, ThemisError, pip_install

_GZIP_LEVEL: Final = 4
_BUFFER: Final = 1 << 20


@contextlib.contextmanager
def compressed(raw: IO[bytes], suffix: str, mode: Literal["rb", "wb"] = "wb") -> Iterator[IO[bytes]]:
    """Compress what is written, or unpack what is read, as the ending of the file's name asks for it."""
    if suffix == ".gz":
        # No name and no time in the header: the same run gives the same bytes.
        with gzip.GzipFile("", mode, _GZIP_LEVEL, raw, mtime=0) as file:
            yield cast("IO[bytes]", file)
    elif suffix == ".zst":
        library, buffered = _zstandard(), io.BufferedReader if mode == "rb" else io.BufferedWriter
        try:
            with library.open(raw, mode) as inner, buffered(inner, _BUFFER) as file:
                yield file
        except library.ZstdError as error:
            raise OSError(str(error)) from error
    else:
        yield raw


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked as its name asks for it.

    Raises:
        DataError: what is wrong with the file, by its name.
    """
    try:
        with path.open("rb") as raw, compressed(raw, path.suffix, "rb") as file:
            yield file
    except ThemisError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else f"can't be read: {error}"
        raise DataError(f"{path}: {problem}") from error


def _zstandard() -> Any:
    """Return the standard library's Zstandard (Python 3.14 and newer), or the extra's."""
    for name in ("compression.zstd", "zstandard"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise MissingExtraError(f".zst files need an extra: {pip_install('zstd')}")
