"""Reads rows out of dataset files, one at a time: JSON lines, JSON, CSV, TSV and Parquet, plain or gzipped.

What lives here: file formats. A row comes with its position (a line or row number, from 1), so that a fault in it
can be located. Nothing here knows what a case is.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias, cast, get_args

from themis.effects.files import nearest_files
from themis.pure.errors import DataError, MissingExtraError, nearest
from themis.pure.json import decode
from themis.pure.text import shortened

Row: TypeAlias = Mapping[str, Any]
FileFormat: TypeAlias = Literal["jsonl", "json", "csv", "tsv", "parquet"]

_SUFFIXES: Final[Mapping[str, FileFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_BATCH: Final = 1024
"""Rows of a Parquet file that are held at once."""

_LONGEST_FIELD: Final = 1 << 30
"""A CSV field's bound; the standard library's is 128 KB, which long prompts exceed."""


def file_format(path: Path, stated: str | None = None) -> FileFormat:
    """Return a file's format: the stated one, or what its name ends in.

    Raises:
        DataError: neither says it.
    """
    if stated is not None:
        if stated not in get_args(FileFormat):
            raise DataError(f"{path}: format {stated!r} is not known; {nearest(stated, get_args(FileFormat))}")
        return cast("FileFormat", stated)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    try:
        return _SUFFIXES[suffix.lower()]
    except KeyError:
        raise DataError(
            f"{path}: what kind of file this is can't be told from its name; name it {', '.join(_SUFFIXES)} "
            "(.gz behind it for gzip), or state its format"
        ) from None


def read_rows(path: Path, kind: FileFormat) -> Generator[tuple[int, Row], None, None]:
    """Yield each row with its position, holding one at a time; whoever may stop before the last one closes it.

    Raises:
        DataError: the file is missing or can't be read, or a row is malformed; names file and line.
        MissingExtraError: the file is Parquet, and pyarrow is not installed.
    """
    try:
        yield from _READERS[kind](path)
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from error


def count_rows(path: Path, kind: FileFormat) -> int:
    """Return the number of rows, without reading more of them than it takes."""
    try:
        if kind == "jsonl":
            with opened(path) as lines:
                return sum(1 for line in lines if not line.isspace())
        if kind == "parquet":
            return int(_parquet(path).metadata.num_rows)
        return sum(1 for _ in _READERS[kind](path))
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: there is no such file{nearest_files(path)}")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path}: this is a folder; name a file in it")
    return DataError(f"{path}: can't be read: {error}")


def opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def mark(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written to; nothing for one that is missing, which reading it says."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


# --- JSON -------------------------------------------------------------------------------------------------


def _json_lines(path: Path) -> Iterator[tuple[int, Row]]:
    with opened(path) as lines:
        for number, line in enumerate(lines, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.isspace() or not text:
                continue
            yield number, _object(path, number, _decoded(path, number, text))


def _decoded(path: Path, number: int, text: bytes) -> Any:
    try:
        return decode(text)
    except ValueError as error:
        problem = re.sub(r"line 1 (column \d+) \(char \d+\)", r"\1", str(error))
        found = shortened(text.decode(errors="replace").strip(), 60)
        raise DataError(f"{path}:{number}: this line is not JSON: {problem}; found {found!r}") from None


def _object(path: Path, number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{path}:{number}: an object with the case's fields expected, found {type(value).__name__}")
    return value


def _json_array(path: Path) -> Iterator[tuple[int, Row]]:
    with opened(path) as file:
        text = file.read()
    try:
        rows = decode(text.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}; for one JSON object a line, name the file .jsonl") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: a list of objects expected, found {type(rows).__name__}")
    for number, row in enumerate(rows, 1):
        yield number, _object(path, number, row)


# --- tables -----------------------------------------------------------------------------------------------


def _table(path: Path, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(_LONGEST_FIELD)
    with opened(path) as file:
        reader = csv.DictReader(_text_lines(path, file), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}:{reader.line_num}: this row has not as many fields as the header, which has "
                        f"{len(reader.fieldnames or ())}; quote fields that hold a delimiter or a line break"
                    )
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}") from None


def _text_lines(path: Path, lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: not UTF-8: {error.reason}; save the file as UTF-8") from None


def _parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet files need an extra: pip install 'themis[parquet]'") from None
    try:
        return parquet.ParquetFile(path)
    except ValueError as error:  # what pyarrow raises for malformed files is one
        raise DataError(f"{path}: not a Parquet file: {error}") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    number = 0
    for batch in _parquet(path).iter_batches(batch_size=_BATCH):
        for row in batch.to_pylist():
            number += 1
            yield number, row


_READERS: Final[Mapping[FileFormat, Callable[[Path], Iterator[tuple[int, Row]]]]] = {
    "jsonl": _json_lines,
    "json": _json_array,
    "csv": lambda path: _table(path, ","),
    "tsv": lambda path: _table(path, "\t"),
    "parquet": _parquet_rows,
}
