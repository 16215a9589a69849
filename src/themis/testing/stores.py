"""Runs for testing stores: made by real pipelines, some with large artifacts, ready to be written in any batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
from hypothesis import strategies as st

from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.chain import BLOB_FROM
from themis.pure.protocols import RunStore
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.testing.pipelines import pipelines
from themis.testing.strategies import datasets


@attrs.frozen
class MadeRun:
    """A run as a store is to keep it.

    Attributes:
        snapshot: the compiled experiment.
        events: all of its events, in order.
        blobs: the artifacts that its events refer to.
    """

    snapshot: RunSnapshot
    events: tuple[StoredEvent, ...]
    blobs: Mapping[str, bytes]

    @property
    def run_id(self) -> str:
        return self.snapshot.run_id

    def batches(self, sizes: Sequence[int]) -> Iterator[tuple[Sequence[StoredEvent], dict[str, bytes]]]:
        """Yield the events in batches of these sizes, over and over, each with the blobs that it refers to."""
        start = number = 0
        while start < len(self.events):
            size = sizes[number % len(sizes)]
            events = self.events[start : start + size]
            yield events, {ref: blob for ref, blob in self.blobs.items() if any(ref in e.payload for e in events)}
            start, number = start + size, number + 1

    def write(self, store: RunStore, sizes: Sequence[int] = (7,)) -> None:
        """Write the run into a store, as an engine would."""
        store.acquire(self.run_id)
        try:
            store.persist_snapshot(self.snapshot)
            for events, blobs in self.batches(sizes):
                store.append(self.run_id, events, blobs)
        finally:
            store.release(self.run_id)


def made_run(store: InMemoryRunStore, run_id: str) -> MadeRun:
    """Take a run out of a memory store."""
    events = tuple(store.events(run_id))
    texts = "".join(event.payload for event in events)
    blobs = {ref: store.blob(ref) for ref in store.blob_refs() if ref in texts}
    return MadeRun(store.load_snapshot(run_id), events, blobs)


@st.composite
def made_runs(draw: st.DrawFn) -> MadeRun:
    """Any run: any cases, components that fail in every way, two attempts, artifacts small and large."""
    data = draw(datasets(max_size=4))
    if draw(st.booleans()):
        long = Case(case_id="long", input="long", expected_output="long " * (BLOB_FROM // 5))
        data = data.evolve(cases=[*(case for case in data.cases if case.case_id != "long"), long])
    pipeline = draw(pipelines(max_cases=1))
    store = InMemoryRunStore()
    again = Dataset(dataset_id=f"{data.dataset_id}2", cases=data.cases)
    experiment = attrs.evolve(pipeline.experiment(), datasets=[data, again])
    experiment.run(store=store, until_stage=draw(st.sampled_from(["generate", "judge"])))
    result = experiment.run(store=store)
    return made_run(store, result.run_id)
