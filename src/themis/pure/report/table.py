"""The score table: one plain row per case and metric, as data frames and CSV want it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from themis.pure.json import encode
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report.plain import printable

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
_QUOTED: Final = re.compile(r'[",\r\n]')


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
    yield ",".join(COLUMNS) + "\r\n"
    for row in rows:
        flat = flat_row(row)
        yield ",".join([csv_cell(flat[name]) for name in COLUMNS]) + "\r\n"


def csv_cell(value: str | float | None) -> str:
    """Return a value as one field of CSV.

    >>> csv_cell("=1+1"), csv_cell(-0.5), csv_cell('say "hi"'), csv_cell(None)
    ("'=1+1", '-0.5', '"say ""hi\"""', '')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(float(value))
    guard = "'" if _FORMULA.match(value) else ""
    text = guard + printable(value)
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if _QUOTED.search(text) else text
