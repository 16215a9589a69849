"""A run as a data frame of pandas or polars: one row per metric and answer, with the question and answer beside it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Final

from themis.api.runs.view import RunView
from themis.pure.errors import MissingExtraError
from themis.pure.json import encode
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report.table import COLUMNS, flat_row
from themis.pure.state import CaseState

_TEXTS: Final = ("input", "expected_output", "answer", "parsed")
_COLUMNS: Final = (*COLUMNS[:3], *_TEXTS, *COLUMNS[3:])


def frame_columns(view: RunView) -> dict[str, list[Any]]:
    """Return the columns of a run's data frame: `value` has numbers, the others text; what is not there is `None`.

    What is no text (a structured input, `details`) is JSON text.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for row in _rows(view):
        for name, value in row.items():
            columns[name].append(value)
    return columns


def library(name: str) -> Any:
    """Return a library of data frames.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"to_{name}() needs {name}: install it with pip install {name}") from error


def _rows(view: RunView) -> Iterator[dict[str, Any]]:
    for item, state in view.cases():
        asked = {"input": _text(item.case.input), "expected_output": _text(item.case.expected_output)}
        for row in view.rows_of(state):
            yield {**flat_row(row), **asked, **_answer(state, row)}


def _answer(state: CaseState, row: BenchmarkScoreRow) -> dict[str, Any]:
    """Return what a row is about: nothing where it compares all of a case's answers, or there is none."""
    named = {candidate.candidate_id: candidate for candidate in state.candidates.values()}
    answer = state.answers.get(row.candidate_id or "", state)
    made = answer.reduced or named.get(row.candidate_id or "")
    return {
        "answer": None if made is None else _text(made.final_output),
        "parsed": None if answer.parsed is None else _text(answer.parsed.value),
    }


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else encode(value).decode()
