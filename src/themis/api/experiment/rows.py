"""Rows and cases as datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from themis.pure.errors import DataError, SpecError
from themis.pure.records.dataset import Case, Dataset

Data = Dataset | Sequence[Dataset] | Sequence[Case] | Sequence[Mapping[str, Any]]


def as_datasets(data: Data) -> tuple[Dataset, ...]:
    """Return data of any accepted kind as datasets."""
    items = [data] if isinstance(data, Dataset) else list(data)
    datasets = tuple(item for item in items if isinstance(item, Dataset))
    return datasets if items and len(datasets) == len(items) else (as_dataset(items),)


def inline_rows(questions: Sequence[str], expected: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return questions, with their answers if there are any, as rows.

    Raises:
        SpecError: not as many answers as questions.

    >>> inline_rows(["1+1"], ["2"])
    [{'input': '1+1', 'expected_output': '2'}]
    """
    if expected is None:
        return [{"input": question} for question in questions]
    if len(expected) != len(questions):
        raise SpecError(f"{len(expected)} expected answers for {len(questions)} questions; give one for each")
    return [
        {"input": question, "expected_output": answer} for question, answer in zip(questions, expected, strict=True)
    ]


def as_dataset(rows: Iterable[object], dataset_id: str = "data") -> Dataset:
    """Return cases, or plain rows, as a dataset; a row without a `case_id` gets its number.

    Raises:
        DataError: a row is neither; names the first.
    """
    cases = [row if isinstance(row, Case) else _numbered(row, i) for i, row in enumerate(rows, 1)]
    return Dataset(dataset_id=dataset_id, cases=cases)


def _numbered(row: object, number: int) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(
            f"data[{number - 1}]: a row with `input`, or a Case, expected; found {type(row).__name__}: {row!r:.80}"
        )
    return {"case_id": str(number), **row}
