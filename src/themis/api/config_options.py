"""Changing a loaded experiment as the command line's options say: fewer cases, other seeds, another store."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from themis.effects.sources.files import FileCases
from themis.pure.errors import SpecError
from themis.pure.plan import candidate_count
from themis.pure.records.config import StorageConfig
from themis.pure.records.dataset import Dataset

if TYPE_CHECKING:
    from themis.api.experiment import Experiment


def with_options(
    experiment: Experiment,
    *,
    limit: int | None = None,
    seed: int | None = None,
    storage: StorageConfig | None = None,
) -> Experiment:
    """Return an experiment changed as told.

    Args:
        experiment: the experiment.
        limit: take only the first cases of each dataset.
        seed: the first candidate's seed; the others count on from it.
        storage: where to keep the run instead.

    Raises:
        SpecError: the limit is below 1.
    """
    changes: dict[str, Any] = {}
    if limit is not None:
        changes["datasets"] = [limited(dataset, limit) for dataset in experiment.datasets]
    if seed is not None:
        count = candidate_count(experiment.generation.candidate_policy)
        changes["seeds"] = [seed + index for index in range(count)]
    if storage is not None:
        changes["storage"] = storage
    return experiment.evolve(**changes)


def limited(dataset: Dataset, limit: int) -> Dataset:
    """Return a dataset's first cases; a file is still read as needed.

    Raises:
        SpecError: the limit is below 1.
    """
    if limit < 1:
        raise SpecError(f"limit: a number from 1 up expected, found {limit}")
    cases = dataset.cases
    if isinstance(cases, FileCases):
        fewer = limit if cases.limit is None else min(limit, cases.limit)
        return dataset.evolve(cases=FileCases(cases.path, cases.fields, fewer, cases.stated_kind))
    return dataset.evolve(cases=tuple(itertools.islice(cases, limit)))
