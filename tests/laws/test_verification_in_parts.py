"""Law 7: what verification finds is the same whoever looks at which cases."""

from __future__ import annotations

import functools
import itertools
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from themis import EvaluationConfig, Experiment, GenerationConfig, InMemoryRunStore, SqliteRunStore, verify
from themis.api.experiment import verify as verifying
from themis.api.experiment.verify import CaseVerifier
from themis.effects.reading import stored_cases, stored_part
from themis.effects.stores.postgres import PostgresRunStore
from themis.pure.errors import SpecError
from themis.pure.pipeline.run import planned_run
from themis.pure.pipeline.verification import Findings
from themis.pure.protocols import RunStore
from themis.testing.pipelines import Pipeline, ScriptedSandbox, dataset, whole_pipelines

_files = itertools.count()
EDITS = {
    "nothing": "",
    "answers": """update event set payload = replace(payload, '"right"', '"wrong"') where case_no in ({cases})""",
    "scores": """update event set payload = replace(payload, '"value":1', '"value":2') where case_no in ({cases})""",
    "gone": "delete from event where event_type = 'score_completed' and case_no in ({cases})",
    "torn": "update event set payload = substr(payload, 1, 40) where case_no in ({cases})",
    "moved": "update event set event_type = 'parse_completed' where case_no in ({cases})",
}


@pytest.fixture(autouse=True)
def _sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("themis.effects.driver", "themis.api.experiment.run"):
        monkeypatch.setattr(f"{module}.open_sandbox", ScriptedSandbox)


def edit(path: Path, kind: str, cases: set[int]) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        if EDITS[kind] and cases:
            db.execute(EDITS[kind].format(cases=",".join(map(str, cases))))


@given(
    whole_pipelines(max_cases=6), st.sampled_from(sorted(EDITS)), st.sets(st.integers(0, 5)), st.sets(st.integers(1, 5))
)
def test_parts_of_a_run_come_to_what_the_whole_does(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline, kind: str, cases: set[int], cuts: set[int]
) -> None:
    experiment = pipeline.experiment()
    path = tmp_path_factory.getbasetemp() / f"part{next(_files)}.sqlite3"
    with SqliteRunStore(path) as store:
        run_id = experiment.run(store=store).run_id
    edit(path, kind, cases)
    with SqliteRunStore(path) as store:
        snapshot = store.load_snapshot(run_id)
        looking = CaseVerifier(store, snapshot, planned_run(snapshot, experiment.components()), "judge", 3)
        everything: Callable[[int], bool] = lambda number: True  # noqa: E731
        whole = trio.run(looking.verified, stored_cases(store, snapshot), everything)
        ends = [0, *sorted(cut for cut in cuts if cut < pipeline.cases), pipeline.cases]
        parts = [stored_part(store, snapshot, range(*ends)) for ends in itertools.pairwise(ends)]
        found = [trio.run(looking.verified, part, everything) for part in parts]
        assert functools.reduce(lambda before, more: before.and_then(more, 3), found, Findings()) == whole
    path.unlink()


def named(cases: int) -> Experiment:
    """Return an experiment whose components have names that another process imports."""
    return Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics=["builtin/exact_match", "tests.laws.many.logging_components:Length"]),
        datasets=dataset(cases),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    if request.param == "sqlite":
        return SqliteRunStore(tmp_path / "runs.sqlite3")
    return PostgresRunStore(request.getfixturevalue("postgres_dsn"), f"parts_{os.getpid()}")


def test_worker_processes_find_what_one_process_does(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_PART", 3)
    monkeypatch.chdir(Path(__file__).parents[2])  # where the workers import from
    experiment = named(10)
    run_id = experiment.run(store=store).run_id
    alone = verify(store, run_id, experiment=experiment)
    assert (alone.verdict, alone.recomputed["score"]) == ("verified", 20)
    assert verify(store, run_id, experiment=experiment, jobs=2) == alone
    assert verify(store, run_id, jobs=2) == verify(store, run_id)
    store.close()


def test_a_store_that_others_can_not_open_is_refused() -> None:
    store = InMemoryRunStore()
    run_id = named(1).run(store=store).run_id
    with pytest.raises(SpecError, match=r"jobs: worker processes can't open the store memory .*; use one in SQLite"):
        verify(store, run_id, jobs=2)
    with pytest.raises(SpecError, match="jobs: at least 1 expected, found 0"):
        verify(store, run_id, jobs=0)
