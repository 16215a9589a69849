"""Outputs that were produced elsewhere: plain rows become a generation bundle, and can be scored without the model."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs

from themis.api.bundles.transfer import first_faults, in_memory
from themis.api.experiment.experiment import Experiment
from themis.effects.sources.rows import file_format, read_rows
from themis.pure.bundles.records import GenerationBundle, Keyed
from themis.pure.errors import DataError, ThemisError, nearest
from themis.pure.events import GenerationCompletedEvent
from themis.pure.identity import candidate_id
from themis.pure.pipeline.names import asked_generation
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.plan import CaseItem, RunPlan, case_items, make_plan
from themis.pure.records.generation import GenerationResult
from themis.pure.records.snapshot import RunSnapshot

_MOST_NAMES: Final = 2000
"""Case ids that are searched for one that an unknown one may mean."""


def generation_bundle_from_outputs(
    experiment: Experiment | RunSnapshot,
    outputs: str | Path | Iterable[Mapping[str, Any]],
    *,
    allow_missing: bool = False,
) -> GenerationBundle:
    """Return outputs that were produced elsewhere as a bundle of a run, to import and score.

    A row has `case_id` and `output`; where the run has several datasets, `dataset_id`; where it has several
    candidates a case, one row each, in order or with their `candidate_index`, from 0. Other fields are passed over.

    Args:
        experiment: what the outputs are scored by; its generator names who produced them, and is not called.
        outputs: a JSONL or CSV file (or one of the other formats of datasets), or rows in memory.
        allow_missing: take outputs of some cases only; a run from there asks the generator for the others.

    Raises:
        DataError: unknown, duplicate and missing cases and malformed rows, all at once, each with file and line.
    """
    reading = _Reading.of(experiment, outputs)
    reading.read()
    missing = [place for place in reading.places() if place not in reading.outputs]
    if missing and not allow_missing:
        reading.faults["missing"] = [f"case {key}, candidate {index}" for key, index in missing]
    reading.refuse_faults()
    header = GenerationBundle(
        run_id=reading.snapshot.run_id,
        snapshot=in_memory(reading.snapshot),
        records=(),
        completed_through_stage=None if missing else "generate",
    )
    return header.with_events(reading.events(datetime.now(UTC)))


@attrs.define
class _Reading:
    snapshot: RunSnapshot
    run: Run | None
    rows: Iterator[tuple[str, Mapping[str, Any]]]
    plan: RunPlan
    source: str
    items: dict[str, CaseItem] = attrs.field(factory=dict)
    by_id: dict[str, list[str]] = attrs.field(factory=lambda: defaultdict(list))
    outputs: dict[tuple[str, int], tuple[str, Any]] = attrs.field(factory=dict)
    faults: dict[str, list[str]] = attrs.field(factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, experiment: Experiment | RunSnapshot, outputs: str | Path | Iterable[Mapping[str, Any]]) -> _Reading:
        if isinstance(experiment, RunSnapshot):
            snapshot, run = experiment, None
        else:
            components = experiment.components()
            snapshot = experiment.compile_with(components)
            run = planned_run(snapshot, components)
        source = str(outputs) if isinstance(outputs, str | Path) else "rows"
        reading = cls(snapshot, run, _rows(outputs), make_plan(snapshot), source)
        for item in case_items(snapshot):
            reading.items[item.case_key] = item
            reading.by_id[item.case.case_id].append(item.case_key)
        return reading

    def read(self) -> None:
        """Take every row in; what is wrong with one becomes a fault."""
        try:
            for where, row in self.rows:
                self._take(where, row)
        except ThemisError as error:  # a row that is no row; what comes after it can't be read
            self.faults["malformed"].append(str(error))

    def _take(self, where: str, row: Mapping[str, Any]) -> None:
        absent = [name for name in ("case_id", "output") if row.get(name) is None]
        if absent:
            found = ", ".join(map(str, row)) or "none"
            self.faults["malformed"].append(f"{where}: no {' and no '.join(absent)} (fields found: {found})")
            return
        key = self._case_key(where, str(row["case_id"]), row.get("dataset_id"))
        if key is None:
            return
        index = self._index(where, key, row.get("candidate_index"))
        if index is None:
            return
        if (key, index) in self.outputs:
            first = self.outputs[key, index][0]
            self.faults["duplicate"].append(f"{where}: case {key}, candidate {index} is at {first} already")
            return
        self.outputs[key, index] = (where, row["output"])

    def _case_key(self, where: str, case_id: str, dataset_id: Any) -> str | None:
        keys = [key for key in self.by_id.get(case_id, ()) if dataset_id in (None, "", self.items[key].dataset_id)]
        if len(keys) == 1:
            return keys[0]
        if keys:
            datasets = ", ".join(self.items[key].dataset_id for key in keys)
            self.faults["ambiguous"].append(f"{where}: case {case_id!r} is in datasets {datasets}: add dataset_id")
            return None
        hint = f"; {nearest(case_id, self.by_id)}" if len(self.by_id) <= _MOST_NAMES else ""
        of = f" of dataset {dataset_id!r}" if dataset_id else ""
        self.faults["unknown"].append(f"{where}: the run has no case {case_id!r}{of}{hint}")
        return None

    def _index(self, where: str, key: str, stated: Any) -> int | None:
        count = self.plan.candidate_count
        if stated is None or stated == "":
            # One row too many is a duplicate of the last.
            return next((i for i in range(count) if (key, i) not in self.outputs), count - 1)
        text = str(stated)
        if not (text.isascii() and text.isdigit() and int(text) < count):
            self.faults["malformed"].append(
                f"{where}: candidate_index {stated!r}: a whole number from 0 to {count - 1} expected"
            )
            return None
        return int(text)

    def places(self) -> Iterator[tuple[str, int]]:
        """Yield the run's candidates in their order, each by its case's key and its index."""
        return itertools.product(self.items, range(self.plan.candidate_count))

    def refuse_faults(self) -> None:
        if not self.faults:
            return
        lines = [f"{self.source}: these are not the outputs of run {self.snapshot.run_id}"]
        for kind, found in self.faults.items():
            lines += [f"{len(found)} {kind}:", *(f"  - {fault}" for fault in first_faults(found))]
        if "missing" in self.faults:
            lines.append("To score the others all the same, pass allow_missing=True.")
        raise DataError("\n".join(lines))

    def events(self, now: datetime) -> Iterator[Keyed]:
        """Yield the outputs as events, in the order of the run."""
        for key, index in self.places():
            if (key, index) in self.outputs:
                yield self._event(self.items[key], index, now, *self.outputs[key, index])

    def _event(self, item: CaseItem, index: int, now: datetime, where: str, output: Any) -> Keyed:
        name = candidate_id(item.case.case_id, index)
        asked = asked_generation(self.run, item, index) if self.run is not None else None
        stated = self.plan.seeds[index] if self.plan.seeds else None  # all that is known without the generator
        try:
            result = GenerationResult(candidate_id=name, final_output=output)
        except ThemisError as error:
            raise DataError(f"{where}: {error}") from None
        event = GenerationCompletedEvent(
            run_id=self.plan.run_id,
            occurred_at=now,
            case_id=item.case.case_id,
            dataset_id=item.dataset_id,
            case_key=item.case_key,
            candidate_id=name,
            candidate_index=index,
            seed=asked.ctx.seed if asked is not None else stated,
            result=result,
        )
        return event, asked.key if asked is not None else None


def _rows(outputs: str | Path | Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(outputs, str | Path):
        path = Path(outputs)
        for line, row in read_rows(path, file_format(path)):
            yield f"{path}:{line}", row
        return
    for number, row in enumerate(outputs):
        if not isinstance(row, Mapping):
            raise DataError(f"rows[{number}]: an object with case_id and output expected, found {type(row).__name__}")
        yield f"rows[{number}]", row
