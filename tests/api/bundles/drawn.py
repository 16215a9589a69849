"""Runs to hand on: drawn pipelines, behind connections that fail once or for good, and in several attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunResult
from themis.api.experiment.experiment import Experiment
from themis.effects.reading import read_cases, read_events, stored_cases
from themis.pure.bundles.records import BundleKind
from themis.pure.chain import Entry, link_all, read_event
from themis.pure.events import RunEvent
from themis.pure.plan import UntilStage
from themis.pure.protocols import RunStore
from themis.pure.records.stored import ChainHead
from themis.pure.state import CaseState
from themis.testing.pipelines import Pipeline, pick, scripts, whole_pipelines

UNTIL: dict[BundleKind, UntilStage] = {
    "generation": "generate",
    "reduction": "reduce",
    "parse": "parse",
    "score": "score",
    "evaluation": "judge",
}
JUDGED = Pipeline(
    cases=6,
    samples=2,
    generator=("right", "wrong", "right", "raise"),
    reducer=("right",),
    parser=("right", "right", "null"),
    metrics=(("right", "error"),),
    judge=("right", "wrong", "raise"),
    repeats=2,
)
PLAIN = Pipeline(
    cases=3, samples=1, generator=("right", "wrong"), reducer=None, parser=None, metrics=(("right",),), judge=None
)


@attrs.define
class Unsteady:
    """A generator or a judge behind a connection that fails by script: never, at first, or each time."""

    component: Any
    script: tuple[str, ...]
    seen: Counter[str] = attrs.field(factory=Counter, eq=False)

    @property
    def component_id(self) -> str:
        return str(self.component.component_id)

    @property
    def version(self) -> str:
        return str(self.component.version)

    @property
    def calls(self) -> Any:
        return self.component.calls

    def fingerprint(self) -> str:
        return f"{self.component.fingerprint()} {','.join(self.script)}"

    async def generate(self, case: Any, ctx: Any) -> Any:
        self._connect(f"{ctx.case_key}/{ctx.candidate_index}")
        return await self.component.generate(case, ctx)

    async def judge(self, prompt: Any, *, seed: int | None = None) -> Any:
        self._connect(prompt.content)
        return await self.component.judge(prompt, seed=seed)

    def _connect(self, name: str) -> None:
        self.seen[name] += 1
        behaviour = pick(self.script, name)
        if behaviour == "gone" or (behaviour == "late" and self.seen[name] == 1):
            raise ConnectionError(f"no connection for {name}")


@attrs.frozen
class Drawn:
    """A pipeline, with what else can happen to a run of it; `stops` are where earlier attempts at it ended."""

    pipeline: Pipeline
    connection: tuple[str, ...] = ("fine",)
    judges_connection: tuple[str, ...] = ("fine",)
    stops: tuple[UntilStage, ...] = ()

    def experiment(self) -> Experiment:
        made = self.pipeline.experiment()
        generation, evaluation = made.generation, made.evaluation
        judges = [Unsteady(judge, self.judges_connection) for judge in evaluation.judge_models]
        return made.evolve(
            generation=generation.evolve(generator=Unsteady(generation.generator, self.connection)),
            evaluation=evaluation.evolve(judge_models=judges),
            runtime=made.runtime.evolve(generation_retry_delay=0.0, judge_retry_delay=0.0),
        )

    def run(self, store: RunStore, until: UntilStage = "judge") -> RunResult:
        """Run the pipeline, attempt after attempt."""
        experiment = self.experiment()
        for stop in self.stops:
            experiment.run(store=store, until_stage=stop)
        return experiment.run(store=store, until_stage=until)


def drawn(max_cases: int = 4) -> st.SearchStrategy[Drawn]:
    """Any run."""
    return st.builds(
        Drawn,
        whole_pipelines(max_cases),
        st.just(("fine",)) | scripts("fine", "late", "gone"),
        st.just(("fine",)) | scripts("fine", "late", "gone"),
        st.lists(st.sampled_from([*UNTIL.values()]), max_size=2).map(lambda stops: tuple(sorted(stops, key=_ORDER))),
    )


_ORDER = [*UNTIL.values()].index


def states_of(store: RunStore, run_id: str) -> list[CaseState]:
    return [state for _, state in read_cases(store, store.load_snapshot(run_id))]


def event_types(store: RunStore, run_id: str) -> set[type[RunEvent]]:
    return {type(event) for event in read_events(store, run_id)}


def without(store: RunStore, run_id: str, *left_out: type[RunEvent]) -> InMemoryRunStore:
    """Return a store with the run as if it had been interrupted before events of these types."""
    other, head, snapshot = InMemoryRunStore(), ChainHead(), store.load_snapshot(run_id)
    other.persist_snapshot(snapshot)
    other.acquire(run_id)
    for entries in _entries(store, run_id, left_out):
        events, blobs, head = link_all(head, entries)
        other.append(run_id, events, blobs)
    other.release(run_id)
    return other


def _entries(store: RunStore, run_id: str, left_out: tuple[type[RunEvent], ...]) -> Iterator[list[Entry]]:
    for _, stored in stored_cases(store, store.load_snapshot(run_id)):
        read = [(one, read_event(one, store.blob)) for one in stored]
        yield [Entry(one.case_no, event, one.cache_key) for one, event in read if not isinstance(event, left_out)]
