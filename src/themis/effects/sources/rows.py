"""Reads rows out of dataset files, one at a time: JSON lines, JSON, CSV, TSV and Parquet, plain or gzipped.

What lives here: file formats. A row comes with its position (a line or row number, from 1), so that a fault in it
can be located. Nothing here knows what a case is.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import importlib
import itertools
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias, cast, get_args

from themis.effects.files import nearest_files
from themis.pure.errors import DataError, MissingExtraError, nearest, pip_install
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
                first = next(lines, b"").removeprefix(codecs.BOM_UTF8)
                return sum(1 for line in itertools.chain([first], lines) if line.strip())
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


# --- text -------------------------------------------------------------------------------------------------

_OTHER_KINDS: Final[Mapping[bytes, str]] = {
    b"\xff\xfe": "is UTF-16 (or UTF-32); save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"\0\0\xfe\xff": "is UTF-32; save it as UTF-8",
    b"\x1f\x8b": "is gzipped; let its name end in .gz",
    b"PK\x03\x04": "is a ZIP archive or a workbook; save what is in it as CSV or JSON lines",
    b"PAR1": "is a Parquet file; let its name end in .parquet",
    b"version https://git-lfs": "is a Git LFS pointer and not the file itself; fetch that with `git lfs pull`",
}
"""What a file is that begins so, whatever its name says."""


def _lines(path: Path, file: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield lines as text with their numbers.

    Raises:
        DataError: the file is of another kind, or a line is no text in UTF-8.
    """
    for number, line in enumerate(file, 1):
        if number == 1:
            _refuse_other_kinds(path, line)
        yield number, _text(path, number, line)


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    for mark, kind in _OTHER_KINDS.items():
        if head.startswith(mark):
            raise DataError(f"{path}: this file {kind}")


def _text(path: Path, number: int, line: bytes) -> str:
    """Return bytes as text, from line `number` on; of a file's beginning without its byte order mark."""
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        place = number + line.count(b"\n", 0, error.start)
        raise DataError(
            f"{path}:{place}: not UTF-8: {error.reason} ({line[error.start]:#04x}); save the file as UTF-8"
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        place = number + text.count("\n", 0, nul)
        raise DataError(f"{path}:{place}: a NUL character; the file is damaged, or no UTF-8: save it as UTF-8")
    return text


# --- JSON -------------------------------------------------------------------------------------------------

_MAY_BE_KEY: Final = re.compile(rb'"[ \t\r\n]*:')


def _json_lines(path: Path) -> Iterator[tuple[int, Row]]:
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            raw = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip()
            if not raw:
                continue
            try:
                value = decode(raw)
            except ValueError as error:
                raise _no_json(path, number, line, error) from None
            key = _key_given_twice(raw, value)
            if key is not None:
                raise DataError(f"{path}:{number}: key {key[1]!r} is there twice in one object; keep one")
            yield number, _object(path, number, value)


def _no_json(path: Path, number: int, line: bytes, error: ValueError) -> DataError:
    """Return what is wrong with a line that is no JSON, or raise it if it is no text at all."""
    if number == 1:
        _refuse_other_kinds(path, line)
    text = _text(path, number, line).strip()
    problem = re.sub(r"line 1 (column \d+) \(char \d+\)", r"\1", str(error))
    hint = ""
    if number == 1 and text in ("[", "{"):
        hint = "; a JSON lines file has one object a line: for a list of objects, name the file .json"
    elif "\r" in text:
        hint = "; its lines end in a carriage return alone: save the file with line feeds"
    return DataError(f"{path}:{number}: this line is not JSON: {problem}; found {shortened(text, 60)!r}{hint}")


def _object(path: Path, number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{path}:{number}: an object with the case's fields expected, found {type(value).__name__}")
    return value


def _json_array(path: Path) -> Iterator[tuple[int, Row]]:
    with opened(path) as file:
        raw = file.read()
    _refuse_other_kinds(path, raw)
    text = _text(path, 1, raw)
    try:
        rows = decode(text)
    except ValueError as error:
        problem = "it is empty" if not text.strip() else str(error)
        raise DataError(f"{path}: not JSON: {problem}; for one JSON object a line, name the file .jsonl") from None
    if not isinstance(rows, list):
        raise DataError(f"{path}: a list of objects expected, found {type(rows).__name__}")
    key = _key_given_twice(raw, rows)
    if key is not None:
        raise DataError(f"{path}:{key[0]}: key {key[1]!r} is there twice in one object; keep one")
    for number, row in enumerate(rows, 1):
        yield number, _object(path, number, row)


def _key_given_twice(raw: bytes, value: Any) -> tuple[int, str] | None:
    """Return a key that some object has twice, with the number of the item that it is in, of a list of items.

    A parser keeps the last of the two, in silence. RFC 8259 leaves open what that means (section 4), so it is refused.
    """
    # Every key is followed by a colon, and so is some text within strings: equal counts leave no room for a second key.
    keys = _keys(value)
    if raw.count(b":") == keys or len(_MAY_BE_KEY.findall(raw)) == keys:
        return None
    twice: list[tuple[str, dict[str, Any]]] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.append((next(name for name in names if names.count(name) > 1), found))
        return found

    again = json.loads(raw.removeprefix(codecs.BOM_UTF8), object_pairs_hook=noted)
    items = again if isinstance(again, list) else [again]
    # Of two values under one key the first is gone, and with it what was wrong within.
    found = ((number, key) for number, item in enumerate(items, 1) for key, holder in twice if _holds(item, holder))
    return next(found, None)


def _keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_keys(item) for item in value.values() if isinstance(item, dict | list))
    return sum(_keys(item) for item in value if isinstance(item, dict | list)) if isinstance(value, list) else 0


def _holds(value: Any, wanted: dict[str, Any]) -> bool:
    if value is wanted:
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds(item, wanted) for item in inner)


# --- tables -----------------------------------------------------------------------------------------------


def _table(path: Path, delimiter: str) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a table of text (RFC 4180): a header, then rows of as many fields; blank lines are none.

    Raises:
        DataError: two columns have one name, a row has more or fewer fields, a quote is not closed.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    with opened(path) as file:
        reader = csv.reader((line for _, line in _lines(path, file)), delimiter=delimiter, strict=True)
        header: list[str] = []
        begin = 1
        try:
            for fields in reader:
                if not fields:
                    pass
                elif not header:
                    header = fields
                    _refuse_equal_columns(path, begin, header)
                elif len(fields) != len(header):
                    raise DataError(
                        f"{path}:{begin}: this row has not as many fields as the header, which has {len(header)}: it "
                        f"has {len(fields)}; quote fields that hold a delimiter or a line break"
                    )
                else:
                    yield begin, dict(zip(header, fields, strict=True))
                begin = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{path}:{begin}: {_in_words(error)}") from None


def _refuse_equal_columns(path: Path, line: int, header: Sequence[str]) -> None:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header, 1):
        places.setdefault(name, []).append(place)
    equal = [
        f"columns {', '.join(map(str, found[:-1]))} and {found[-1]} are "
        + (
            f"both called {name!r}"
            if name and len(found) == 2
            else f"all called {name!r}"
            if name
            else "without a name"
        )
        for name, found in places.items()
        if len(found) > 1
    ]
    if equal:
        raise DataError(f"{path}:{line}: {'; '.join(equal)}; give each column a name of its own")


def _in_words(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "the row that begins here has a quote that is never closed (unexpected end of data)"
    if "new-line character" in str(error):
        return "a carriage return within a line; save the file with line feeds, and quote fields that hold line breaks"
    return f"{error}; quote fields that hold a delimiter, a quote (doubled) or a line break"


def _parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet files need an extra: {pip_install('parquet')}") from None
    try:
        return parquet.ParquetFile(path)
    except ValueError as error:  # what pyarrow raises for malformed files is one
        raise DataError(f"{path}: not a Parquet file: {error}") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    number, table = 0, _parquet(path)
    _refuse_equal_columns(path, 1, table.schema_arrow.names)
    for batch in table.iter_batches(batch_size=_BATCH):
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
