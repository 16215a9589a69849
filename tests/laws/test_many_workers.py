"""Laws 4 and 5 for runs of many workers: whoever does which part of a run, it is the run that one process makes."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from themis._stages import UntilStage
from themis.api.experiment.many.work import Worker, end_run
from themis.api.experiment.verify import verify
from themis.api.runs.result import RunResult
from themis.effects.engine import run_started
from themis.effects.options import Progress
from themis.effects.segments import begin, divide
from themis.effects.stores.postgres import PostgresRunStore
from themis.pure.plan import make_plan
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.labels import RunLabels
from themis.testing.pipelines import Pipeline, ScriptedSandbox, whole_pipelines

pytestmark = pytest.mark.postgres
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")

RUNTIME: Final = RuntimeConfig(max_concurrent_tasks=3, progress=False)
_schemas = itertools.count()


class Killed(BaseException):
    """Ends a worker at once, as a kill does."""


@attrs.frozen
class Part:
    """A worker in a thread, which may be cut off after some writes."""

    pipeline: Pipeline
    open_store: Callable[[], PostgresRunStore]
    writes: int | None = None

    def work(self) -> None:
        experiment = self.pipeline.experiment(dawdle=(0, 2, 1))
        snapshot = experiment.compile()
        with closing(self.open_store()) as store:
            if self.writes is not None:
                cut_off_after(store, self.writes)
            worker = Worker(
                store=store,
                snapshot=store.load_snapshot(snapshot.run_id),
                components=experiment.components(),
                runtime=RUNTIME,
                plan=make_plan(snapshot),
                progress=Progress(),
            )
            with contextlib.suppress(Killed):
                trio.run(worker.work)


def cut_off_after(store: PostgresRunStore, writes: int) -> None:
    """Let a store's connection be lost, as by a kill, at a write to come."""
    append_to, left = store.append_to, [writes]

    def counted(*args: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            store.close()
            raise Killed
        append_to(*args)  # type: ignore[arg-type]  # handed on as they are

    store.append_to = counted  # type: ignore[method-assign,assignment]  # in place of this one store's


@pytest.fixture(autouse=True)
def _no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("themis.api.experiment.run", "themis.effects.driver"):
        monkeypatch.setattr(f"{module}.open_sandbox", ScriptedSandbox)


@pytest.fixture
def new_schema(postgres_dsn: str) -> Callable[[], Callable[[], PostgresRunStore]]:
    def make() -> Callable[[], PostgresRunStore]:
        schema = f"w{os.getpid()}_{next(_schemas)}"

        def opened() -> PostgresRunStore:
            store = PostgresRunStore(postgres_dsn, schema)
            store.initialize()
            return store

        return opened

    return make


def prepared(store: PostgresRunStore, pipeline: Pipeline, size: int) -> str:
    snapshot = pipeline.experiment().compile()
    store.acquire(snapshot.run_id)
    store.persist_snapshot(snapshot)
    divide(store, snapshot.run_id, pipeline.cases, size, datetime.now(UTC))
    store.release(snapshot.run_id)
    store.join(snapshot.run_id)
    begin(store, snapshot.run_id, "{}", run_started(store, snapshot.run_id, RunLabels()))
    store.leave(snapshot.run_id)
    return snapshot.run_id


def side_by_side(parts: list[Part]) -> None:
    threads = [threading.Thread(target=part.work) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@given(
    whole_pipelines(max_cases=7),
    st.integers(1, 4),
    st.lists(st.integers(0, 4), max_size=3),
    st.integers(1, 3),
    st.sampled_from((None, "generate", "judge")),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whoever_does_which_part_and_dies_when_it_is_the_run_of_one_process(
    new_schema: Callable[[], Callable[[], PostgresRunStore]],
    pipeline: Pipeline,
    size: int,
    cuts: list[int],
    workers: int,
    begun: UntilStage | None,
) -> None:
    whole = pipeline.experiment().run()
    opened = new_schema()
    with closing(opened()) as store:
        if begun is not None:  # by one process, which does not know that others will go on
            pipeline.experiment().run(store=store, until_stage=begun)
        run_id = prepared(store, pipeline, size)
        cut_off = [Part(pipeline, opened, writes) for writes in cuts]
        side_by_side(cut_off)
        side_by_side([Part(pipeline, opened) for _ in range(workers)])
        assert store.manifest(run_id) is None, "the last worker ends the run"
        assert not end_run(store, run_id, "judge")
        result = RunResult(snapshot=store.load_snapshot(run_id), store=store)
        assert (result.digest, result.status) == (whole.digest, whole.status)
        found = verify(store, run_id, experiment=pipeline.experiment())
        assert (found.broken_links, found.altered, found.differences) == ((), (), ())
        assert store.list_runs()[0].event_count == len(list(store.events(run_id)))
        again = pipeline.experiment().run(store=store)
        assert again.digest == whole.digest
        assert verify(store, run_id, experiment=pipeline.experiment()).broken_links == ()
