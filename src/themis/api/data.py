"""Rows and cases as datasets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from themis.effects.files import nearest_files
from themis.effects.sources.files import DEFAULT_METADATA, OTHERS, CaseFields, file_dataset
from themis.effects.sources.tables import rows_of
from themis.pure.benchmarks.registry import recipes
from themis.pure.errors import DataError, SpecError, ThemisError, listed
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.fields import shown

Data: TypeAlias = Dataset | Sequence[Dataset] | Sequence[Case] | Sequence[Mapping[str, Any]] | str | Path | Any
"""A dataset, several, cases, rows, the path of a file, or a table: see `rows_of`."""

_MOST_FAULTS: Final = 10


def as_datasets(
    data: Data, *, input_field: str | None = None, expected_field: str | None = None
) -> tuple[Dataset, ...]:
    """Return data of any accepted kind as datasets.

    Args:
        data: what to evaluate on.
        input_field: the field of rows that is the input; `input` if not given.
        expected_field: the field of the reference; `expected_output` if not given.

    Raises:
        DataError: the data are of no such kind, or a row makes no case.
        SpecError: fields are named, and the data are cases already.
    """
    fields = CaseFields(input=input_field, expected=expected_field, metadata=OTHERS)
    if isinstance(data, str | Path):
        if isinstance(data, str):
            _refuse_other_names(data)
        return (file_dataset(data, fields=fields),)
    items = [data] if isinstance(data, Dataset) else rows_of(data)
    datasets = tuple(item for item in items if isinstance(item, Dataset))
    is_made = any(isinstance(item, Dataset | Case) for item in items)
    if is_made and (input_field or expected_field):
        raise SpecError("input_field and expected_field name fields of rows, and these data are cases already")
    return datasets if items and len(datasets) == len(items) else (as_dataset(items, fields=fields),)


def _refuse_other_names(text: str) -> None:
    """Refuse a text that names data, and no file.

    Raises:
        DataError: it is a benchmark, a dataset of the hub, or the rows themselves.
    """
    if not text.strip() or "\n" in text:
        raise DataError(f"data: the path of a file expected, found {shown(text)}; rows are given as a list")
    if Path(text).exists() or Path(text).suffix:
        return
    if text.partition(":")[0] in recipes():
        raise DataError(f"data: {text!r} is a benchmark, and no file: themis.catalog.run({text!r}, model=...) runs it")
    if re.fullmatch(r"(https://huggingface\.co/datasets/|hf://datasets/)?[\w-]+/[\w.-]+", text):
        name = "/".join(text.split("/")[-2:])
        raise DataError(
            f"data: there is no file {text!r}; a dataset of the hub is given as rows, as in "
            f"datasets.load_dataset({name!r}, split='test'), or named by: themis quick-eval huggingface {name}"
        )
    raise DataError(f"data: there is no file {text!r}{nearest_files(Path(text))}")


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


def as_dataset(rows: Iterable[object], dataset_id: str = "data", fields: CaseFields | None = None) -> Dataset:
    """Return cases, or plain rows, as a dataset; a row without a `case_id` or `id` gets its number.

    What a row holds besides is metadata of its case.

    Raises:
        DataError: a row is neither, or makes no case; names the first ones.
    """
    made, faults = list[Case](), defaultdict[str, list[int]](list)
    for number, row in enumerate(rows):
        try:
            made.append(_case(row, number, fields or CaseFields(metadata=OTHERS)))
        except ThemisError as error:
            faults[str(error)].append(number)
    if faults:
        said = [f"{_places(numbers)}: {fault}" for fault, numbers in faults.items()]
        more = [f"and {len(said) - _MOST_FAULTS} more"] if len(said) > _MOST_FAULTS else []
        raise DataError(listed("the data can't be used", [*said[:_MOST_FAULTS], *more]))
    return Dataset(dataset_id=dataset_id, cases=made)


def _places(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    return f"cases[{numbers[0]}]{more}"


def _case(row: object, number: int, fields: CaseFields) -> Case:
    if isinstance(row, Case):
        return row
    if not isinstance(row, Mapping):
        raise DataError(f"a row with `input`, or a Case, expected; found {shown(row)} ({type(row).__name__})")
    case = fields.case({name: value for name, value in row.items() if name != DEFAULT_METADATA}, number + 1)
    # A file's own metadata become texts; those of a row are taken as they are.
    own = row.get(DEFAULT_METADATA) or {}
    return case.evolve(metadata={**case.metadata, **own} if isinstance(own, Mapping) else own)
