"""A worker process of `verify`: it is told where a run is, and then which of its cases to look at."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any

from themis.api.experiment.many.manifest import experiment_of, read_manifest
from themis.api.experiment.verify import CaseVerifier, components_at_hand
from themis.api.stores import open_existing
from themis.effects.host import run_anywhere
from themis.effects.jobs import answers
from themis.effects.reading import stored_part
from themis.pure.pipeline.run import planned_run
from themis.pure.protocols import ReadsParts
from themis.pure.records.config import StorageConfig

_open = contextlib.ExitStack()
"""Modules of the experiment can be imported until the process ends."""


def part_verifier(told: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Open the run, and return what looks at a part of it: first case, first case after it, those beyond the run."""
    store = open_existing(StorageConfig.from_dict(told["storage"]))
    assert isinstance(store, ReadsParts)
    snapshot = store.load_snapshot(told["run_id"])
    given = None
    if told["manifest"] is not None:
        given = _open.enter_context(experiment_of(read_manifest(told["manifest"]))).components()
    components, _ = components_at_hand(snapshot, given)  # the notes are those of the process that asks
    cases = CaseVerifier(store, snapshot, planned_run(snapshot, components), told["through"], told["most"])

    def verified(part: tuple[int, int, list[int]]) -> Any:
        first, stop, beyond = part
        stored = stored_part(store, snapshot, range(first, stop))
        is_planned = functools.partial(_is_not_in, frozenset(beyond))
        return run_anywhere(functools.partial(cases.verified, stored, is_planned)).to_dict()

    return verified


def _is_not_in(numbers: frozenset[int], number: int) -> bool:
    return number not in numbers


if __name__ == "__main__":
    answers(part_verifier)
