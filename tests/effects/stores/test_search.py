"""Full-text search and listing: the index finds what a look through everything finds, and keeps up."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.api.experiment.experiment import Experiment
from themis.api.runs.search import find_runs, search
from themis.api.stores import open_store
from themis.effects.stores import sqlite_search
from themis.effects.stores.memory import InMemoryRunStore
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.errors import RunNotFoundError, SpecError
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.records.dataset import Dataset
from themis.testing.pipelines import ScriptedGenerator, ScriptedMetric

WORDS = ("alpha", "beta", "Gamma", "delta", 'not"', "OR", "naïve", "x_y")


def experiment(texts: list[str], dataset_id: str = "d", generator: str = "scripted/generator") -> Experiment:
    """Each case asks a text and answers it backwards."""
    rows: list[Mapping[str, Any]] = [
        {
            "case_id": str(i),
            "input": [{"role": "user", "content": f"\n{text}"}],
            "expected_output": " ".join(reversed(text.split(" "))),
        }
        for i, text in enumerate(texts)
    ]
    return Experiment(
        generation=GenerationConfig(generator=ScriptedGenerator(component_id=generator)),
        evaluation=EvaluationConfig(metrics=ScriptedMetric()),
        datasets=Dataset(dataset_id=dataset_id, cases=rows),
    )


def names(store: RunStore, query: str, run_id: str | None = None) -> set[tuple[str, str, str | None]]:
    found = search(store, query, run_id, limit=1000)
    assert all("[" in one.snippet for one in found)
    return {(one.run_id, one.case_id, one.candidate_id) for one in found}


texts = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=4)


@given(texts=texts, more=texts, query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), phrase=st.booleans())
def test_the_index_finds_what_a_look_through_finds(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], more: list[str], query: list[str], phrase: bool
) -> None:
    words = f'"{" ".join(query)}"' if phrase and 'not"' not in query else " ".join(query)
    memory = InMemoryRunStore()
    with SqliteRunStore(tmp_path_factory.mktemp("s") / "s.sqlite3") as store:
        run_id = ""
        for some in (texts, more):  # the second run is added to an index that is there
            run_id = experiment(some).run(store=memory).run_id
            experiment(some).run(store=store)
            assert names(store, words) == names(memory, words)
        assert names(store, words, run_id) == names(memory, words, run_id)
        store.clear_run(run_id)
        memory.clear_run(run_id)
        assert names(store, words) == names(memory, words)


def test_a_large_output_is_found_though_it_is_a_blob(tmp_path: Path) -> None:
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        run_id = experiment(["needle " + "hay " * 30_000, "hay"]).run(store=store).run_id
        assert names(store, "needle") == {(run_id, "0", None), (run_id, "0", "0-candidate-0")}
        assert len(search(store, "hay", limit=2)) == 2
        with pytest.raises(SpecError, match="no word to look for in '  -'"):
            search(store, "  -")
        with pytest.raises(RunNotFoundError):
            search(store, "hay", "0" * 64)


def test_a_store_that_no_one_searches_has_no_index(tmp_path: Path) -> None:
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        experiment(["a"]).run(store=store)
    with closing(sqlite3.connect(tmp_path / "s.sqlite3")) as database:
        assert not database.execute("select 1 from sqlite_schema where name like 'search%'").fetchall()


def test_runs_are_found_by_what_a_listing_says(kind: str, fresh: Callable[[str], StorageConfig]) -> None:
    began = datetime.now(UTC)
    with closing(open_store(fresh(kind))) as store:
        first = experiment(["a"]).run(store=store).run_id
        second = experiment(["b"], "other", "scripted/second").run(store=store).run_id
        store.persist_snapshot(experiment(["c"], "third").compile())

        def found(**filters: object) -> list[str]:
            return [line.run_id for line in find_runs(store, **filters)]  # type: ignore[arg-type]  # mixed on purpose

        assert found(status="completed") == [second, first]
        assert found(dataset_id="d") == [first]
        assert found(generator_id="scripted/second") == [second]
        assert found(metric_id="scripted/metric", status="completed", since=began) == [second, first]
        assert found(since=began + timedelta(days=1)) == []
        assert found(until=began) == []
        assert len(found(status="pending")) == 1
        assert names(store, "a") >= {(first, "0", None)}


# --- beside runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 300, 10**9])
def test_the_first_search_lets_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Guarded by turns, not by time: between any two transactions of the index another process writes at once."""
    path, begun = tmp_path / "s.sqlite3", list[float]()
    monkeypatch.setattr(sqlite_search, "_MOST", most)
    with SqliteRunStore(path) as store, closing(sqlite3.connect(path, timeout=0)) as other:
        count = 20
        experiment([f"alpha {'beta ' * n}" for n in range(count)]).run(store=store)
        most_at_once = list[int]()

        def write_beside(seconds: float) -> None:
            begun.append(seconds)
            with other:
                other.execute("update run set created_at = created_at")
            indexed = other.execute("select count(*) from search_text").fetchone()[0]
            most_at_once.append(indexed - sum(most_at_once))

        monkeypatch.setattr(sqlite_search, "_pause", write_beside)
        assert len(names(store, "alpha")) == 2 * count
        assert sum(most_at_once) == 2 * count
        assert max(most_at_once) == {1: 1, 300: max(most_at_once), 10**9: count}[most]
        assert (len(begun) == 2) == (most == 10**9)
        begun.clear()
        assert len(names(store, "alpha")) == 2 * count
        assert begun == []  # all of it is there


def test_a_run_that_goes_on_keeps_no_search_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_search, "_MOST", 1)
    with SqliteRunStore(tmp_path / "s.sqlite3") as store, SqliteRunStore(tmp_path / "s.sqlite3") as other:
        experiment(["alpha one", "alpha two"]).run(store=store)
        written = itertools.count()

        def another_run(_: float) -> None:
            experiment([f"alpha {next(written)}"], dataset_id=f"d{next(written)}").run(store=other)

        monkeypatch.setattr(sqlite_search, "_pause", another_run)
        assert len(names(store, "alpha")) == 4
        monkeypatch.setattr(sqlite_search, "_pause", lambda _: None)
        assert len(names(store, "alpha")) == 4 + next(written)
