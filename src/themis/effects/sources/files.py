"""Dataset files as lazy case sources: read from the first row each time, one row at a time.

A run reads its cases several times (to name them, to store them, to run them): the file must not change
meanwhile, and a change is noticed.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from themis.effects.files import from_here
from themis.effects.sources.rows import FileFormat, Row, count_rows, file_format, mark, read_rows
from themis.pure.errors import DataError, ThemisError
from themis.pure.json import encode, freeze
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.records.fields import text
from themis.pure.rows import MISSING, lookup

DEFAULT_INPUT: Final = "input"
DEFAULT_EXPECTED: Final = "expected_output"
DEFAULT_IDS: Final = ("case_id", "id")
DEFAULT_METADATA: Final = "metadata"
OTHERS: Final = "*"
"""Stands, among the fields of the metadata, for all those that make nothing else of a case."""


def _names(value: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class CaseFields:
    """Which fields of a row make a case. A dotted name reaches into objects: `doc.question`.

    Attributes:
        input: what the model is asked; `input` if not given.
        expected: the reference; `expected_output` if not given, and then a row may lack it.
        case_id: the case's id; `case_id` or `id` if not given, and the row's number where there is neither.
        metadata: fields to keep as the case's metadata, as text, beside those of an object named `metadata`. Among
            them `*` stands for every field that makes nothing else of the case: texts, numbers, booleans and lists are
            kept as they are, and what is empty, an object, or no JSON is left out.
    """

    input: str | None = attrs.field(default=None, validator=text)
    expected: str | None = attrs.field(default=None, validator=text)
    case_id: str | None = None
    metadata: tuple[str, ...] = attrs.field(default=(), converter=_names)

    def case(self, row: Row, number: int) -> Case:
        """Return a row as a case; the row's number, from 1, is the id of a case without one.

        Raises:
            DataError: a field that was asked for is not there; names those that are.
        """
        if number == 1 and self.expected is None:
            _refuse_near_miss(row, DEFAULT_EXPECTED)
        return Case(
            case_id=self._id(row, number),
            input=self._stated(row, self.input or DEFAULT_INPUT, "input"),
            expected_output=row.get(DEFAULT_EXPECTED)
            if self.expected is None
            else self._stated(row, self.expected, "expected output"),
            metadata=self._metadata(row),
        )

    def _id(self, row: Row, number: int) -> str:
        if self.case_id is not None:
            return _as_text(self._stated(row, self.case_id, "case id"))
        for name in DEFAULT_IDS:
            if row.get(name) is not None:
                return _as_text(row[name])
        return str(number)

    def _metadata(self, row: Row) -> dict[str, Any]:
        own = row.get(DEFAULT_METADATA)
        facts = dict(own) if isinstance(own, Mapping) else {}
        for name in self.metadata:
            if name != OTHERS:
                facts[name] = self._stated(row, name, "metadata")
        stated = {str(name): _as_text(value) for name, value in facts.items() if value is not None}
        return {**self._others(row), **stated} if OTHERS in self.metadata else stated

    def _others(self, row: Row) -> dict[str, Any]:
        return {str(name): row[name] for name in self.further(row) if _is_fact(row[name])}

    def further(self, row: Row) -> list[str]:
        """Return the fields of a row that make nothing else of a case."""
        stated = (self.input or DEFAULT_INPUT, self.expected or DEFAULT_EXPECTED, DEFAULT_METADATA)
        ids = DEFAULT_IDS if self.case_id is None else (self.case_id,)
        taken = {name if name in row else name.partition(".")[0] for name in (*stated, *ids)}
        return [name for name in row if name not in taken]

    def _stated(self, row: Row, name: str, what: str) -> Any:
        value = lookup(row, name)
        if value is MISSING:
            close = difflib.get_close_matches(name, map(str, row), n=1, cutoff=0.6)
            found = f"{', '.join(map(str, row)) or 'none'}{f'; did you mean {close[0]}?' if close else ''}"
            raise DataError(
                f"there is no field {name!r} for the {what} (fields found: {found}){_OPTIONS.get(what, '')}"
                f"{_OTHER_DELIMITER if len(row) == 1 and _DELIMITERS & set(*row) else ''}"
            )
        return value


_DELIMITERS: Final = frozenset(";\t|")
_OTHER_DELIMITER: Final = (
    "; it looks like several names in one: a .csv file is read with commas between its fields, a .tsv file with tabs"
)
_OPTIONS: Final = {
    what: f"; say which field is the {name} with --{option}-field (`{option}_field` in a config or for evaluate)"
    for what, name, option in (("input", "input", "input"), ("expected output", "reference", "expected"))
}


def _is_fact(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_fact, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value != "" and isinstance(value, str | bool | int)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else encode(freeze(value)).decode()


def _refuse_near_miss(row: Row, name: str) -> None:
    """Refuse a row whose reference is there under a misspelt name: unnoticed, every answer would count as wrong."""
    close = difflib.get_close_matches(name, map(str, row), n=1, cutoff=0.9)
    if close and close[0] != name:
        raise DataError(f"{name!r} is missing, and {close[0]!r} is there: is it misspelt?")


class FileCases(CaseSource):
    """The cases of a file.

    Args:
        path: a JSONL, JSON, CSV, TSV or Parquet file; gzipped, if its name ends in `.gz`.
        fields: which fields make a case.
        limit: take only the first cases.
        kind: the file's format, where its name does not tell.

    Raises:
        DataError: the file is missing, or its format is not known.
    """

    def __init__(
        self, path: str | Path, fields: CaseFields | None = None, limit: int | None = None, kind: str | None = None
    ) -> None:
        self.path: Path = Path(path).absolute()  # wherever the process goes from here
        self.fields: CaseFields = fields or CaseFields()
        self.limit = limit
        self.stated_kind = kind
        self._kind: FileFormat = file_format(self._shown, kind)
        self._length: int | None = None
        self._seen = self._mark()

    def __repr__(self) -> str:
        return f"FileCases({str(self._shown)!r})"

    @property
    def _shown(self) -> Path:
        return Path(from_here(str(self.path)))

    def _mark(self) -> tuple[int, int] | None:
        found = mark(self._shown)
        if found is None:
            next(read_rows(self._shown, self._kind), None)  # raises what is wrong, in words
        return found

    def _refuse_change(self) -> None:
        if self._mark() != self._seen:
            raise DataError(
                f"{self._shown}: the file was changed after it was first read; start again with it as it is"
            )

    def __iter__(self) -> Iterator[Case]:
        self._refuse_change()
        with contextlib.closing(read_rows(self._shown, self._kind)) as rows:
            for number, (position, row) in enumerate(itertools.islice(rows, self.limit), 1):
                try:
                    case = self.fields.case(row, number)
                except ThemisError as error:
                    raise DataError(f"{self._shown}:{position}: {error}") from None
                yield case
        self._refuse_change()

    def further_fields(self) -> list[str]:
        with contextlib.closing(read_rows(self._shown, self._kind)) as rows:
            _, row = next(rows, (0, dict[str, Any]()))
        return self.fields.further(row)

    def __len__(self) -> int:
        if self._length is None:
            rows = count_rows(self._shown, self._kind)
            self._length = rows if self.limit is None else min(rows, self.limit)
        return self._length


def file_dataset(
    path: str | Path,
    *,
    dataset_id: str | None = None,
    fields: CaseFields | None = None,
    limit: int | None = None,
    kind: str | None = None,
    revision: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Dataset:
    """Return a file as a dataset that is read as needed; its name, if not given, is the file's without endings.

    The other arguments are those of `FileCases` and `Dataset`.
    """
    cases = FileCases(path, fields, limit, kind)
    name = dataset_id or Path(path).name.partition(".")[0] or "data"
    return Dataset(dataset_id=name, cases=cases, revision=revision, metadata=metadata or {})
