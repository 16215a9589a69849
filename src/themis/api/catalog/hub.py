"""Datasets of the Hugging Face hub, as they are at one commit."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from themis.effects.sources.files import CaseFields
from themis.effects.sources.hub import fetch_files
from themis.effects.sources.rows import file_format, read_rows
from themis.pure.errors import DataError, ThemisError
from themis.pure.records.dataset import Case, Dataset


def hub_dataset(
    name: str,
    *,
    split: str = "test",
    config: str | None = None,
    revision: str | None = None,
    fields: CaseFields | None = None,
    limit: int | None = None,
) -> Dataset:
    """Return a split, or its first cases, as a dataset, whose revision is the commit.

    Arguments and errors as for `fetch_files`; `fields` say which columns make a case.
    """
    files = fetch_files(name, split=split, config=config, revision=revision)
    columns = fields or CaseFields()

    def cases() -> Iterator[Case]:
        every = ((path, place, row) for path in files.paths for place, row in read_rows(path, file_format(path)))
        with contextlib.closing(every) as rows:
            for number, (path, place, row) in enumerate(rows, 1):
                try:
                    yield columns.case(row, number)
                except ThemisError as error:
                    raise DataError(f"{name}: {path.name}:{place}: {error}") from None

    facts = {"split": split, **({"config": config} if config is not None else {})}
    held = tuple(itertools.islice(cases(), limit))
    return Dataset(dataset_id=name, cases=held, revision=files.revision, metadata=facts)
