"""The score table: one plain row per metric and answer of a case, as data frames and CSV want it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from themis.pure.json import encode
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.text import printable

COLUMNS: Final = (
    "case_id",
    "dataset_id",
    "case_key",
    "metric_id",
    "value",
    "candidate_id",
    "outcome",
    "error_category",
    "error_message",
    "details",
)
"""Every row has all of these; what is not there is `None`."""

_FORMULA: Final = re.compile(r"^[\s]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]|^[\t\r\n]")


def table_row(row: BenchmarkScoreRow) -> dict[str, Any]:
    """Return a score row as plain data, its columns in the order of `COLUMNS`; `details` is an object."""
    data = row.to_dict()
    return {name: data.get(name) for name in COLUMNS}


def flat_row(row: BenchmarkScoreRow) -> dict[str, str | float | None]:
    """Return a score row whose `details` are JSON text, so that every column has one type."""
    flat: dict[str, str | float | None] = {name: getattr(row, name) for name in COLUMNS[:-1]}
    flat["details"] = encode(row.details).decode()
    return flat


def csv_lines(rows: Iterable[BenchmarkScoreRow]) -> Iterator[str]:
    r"""Yield the table as lines of CSV (RFC 4180), the header first.

    Text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV Injection), and
    control characters are written out: for the text as it is, take JSON or Parquet. Numbers stay numbers.
    """
    return csv_of(COLUMNS, (flat_row(row).values() for row in rows))


def csv_of(header: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield any table as `csv_lines` does."""
    writer = csv.writer(_Line())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([as_cell(value) if isinstance(value, str) else value for value in row])


def as_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula."""
    return ("'" if _FORMULA.match(text) else "") + printable(text)


def of_cell(cell: str) -> str:
    """Return the text that `as_cell` made a cell of, but for control characters.

    >>> of_cell(as_cell("=1+1")), of_cell("it's")
    ('=1+1', "it's")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


class _Line:
    """A file that hands back what is written to it, as `writerow` then does."""

    def write(self, text: str) -> str:
        return text
