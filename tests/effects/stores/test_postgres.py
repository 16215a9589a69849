"""PostgreSQL: no password anywhere, newer and damaged schemas refused, lost connections found again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, cast

import attrs
import pytest

from themis.api.stores import open_store
from themis.effects.reading import read_events
from themis.effects.stores.memory import InMemoryRunStore
from themis.effects.stores.postgres import PostgresRunStore
from themis.effects.stores.postgres_server import SCHEMA_VERSION
from themis.pure.errors import LiteralSecretError, SchemaVersionError, StoreError
from themis.pure.events import GenerationCompletedEvent
from themis.pure.records.config import StorageConfig
from themis.testing.pipelines import Pipeline

pytestmark = pytest.mark.postgres
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
Fresh = Callable[[str], StorageConfig]


def query(config: StorageConfig, text: str) -> list[tuple[Any, ...]]:
    parameters: Any = config.parameters
    with psycopg.connect(parameters["dsn"], autocommit=True) as connection:
        connection.execute("set jit to off")
        connection.execute(f"set search_path to {parameters['schema']}")
        cursor = connection.execute(text)
        return list(cursor.fetchall()) if cursor.description else []


def test_the_views_read_what_jsonb_can_not_hold(fresh: Fresh) -> None:
    config = fresh("postgres")
    pipeline = Pipeline(
        cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    experiment = pipeline.experiment()
    rows = [{"case_id": "zero \0", "input": "\0\0 \\u0000 \\\0", "expected_output": "\0\\\0\\\\u0000"}]
    data = experiment.datasets[0].evolve(cases=rows, dataset_id="d")
    with closing(open_store(config)) as store:
        result = type(experiment)(
            generation=experiment.generation, evaluation=experiment.evaluation, datasets=[data]
        ).run(store=store)
        assert result.cases[0].generated_candidates[0].final_output == rows[0]["expected_output"]
    assert query(config, "select value, outcome from score_rows") == [(1.0, "correct")]


def test_the_password_is_in_no_name_no_error_and_no_store(
    fresh: Fresh, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_DSN", postgres_dsn.replace("themis@", "themis:hunter2@"))
    storage = StorageConfig(store="postgres", parameters={**fresh("postgres").parameters, "dsn": "${oc.env:STORE_DSN}"})
    pipeline = Pipeline(
        cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    result = pipeline.experiment(storage=storage).run()
    assert "hunter2" not in result.store.location + repr(result.store)
    header = result.store.load_snapshot(result.run_id).header()
    assert header["provenance"]["storage"]["parameters"]["dsn"] == "${oc.env:STORE_DSN}"
    result.store.close()
    monkeypatch.setenv("STORE_DSN", "postgresql://themis:hunter2@127.0.0.1:9/none")
    with pytest.raises(StoreError, match="check that the server runs") as caught:
        open_store(storage)
    assert "hunter2" not in str(caught.value)
    for dsn in ("postgresql://me:hunter2@host/db", "host=x password=hunter2", "postgresql://host/db?password=hunter2"):
        with pytest.raises(LiteralSecretError, match="dsn") as refused:
            open_store(StorageConfig(store="postgres", parameters={"dsn": dsn}))
        assert "hunter2" not in str(refused.value)
        with pytest.raises(LiteralSecretError):
            pipeline.experiment(storage=StorageConfig(store="postgres", parameters={"dsn": dsn})).run(
                store=InMemoryRunStore()
            )


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        ("update store set version = 99", SchemaVersionError, "schema version 99"),
        ("drop table blob cascade", StoreError, "it has no blob, run_summary, score_rows, several_answers"),
        ("drop table store", StoreError, "holds tables of something else"),
    ],
)
def test_a_schema_that_is_not_ours_is_refused(fresh: Fresh, damage: str, kind: type[StoreError], message: str) -> None:
    config = fresh("postgres")
    open_store(config).close()
    query(config, damage)
    tables = "select table_name from information_schema.tables where table_schema = current_schema() order by 1"
    before = query(config, tables)
    with pytest.raises(kind, match=message):
        open_store(config)
    assert query(config, tables) == before


def test_a_store_of_an_older_version_is_brought_up_to_date(fresh: Fresh) -> None:
    config = fresh("postgres")
    with closing(open_store(config)) as store:
        run = Pipeline(2, 2, ("right", "wrong"), None, None, (("right",),), None).experiment().run(store=store)
    rows = query(config, "select * from score_rows order by case_no, metric_id, candidate_id")
    assert rows
    for damage in (
        "update store set version = 1",
        "drop view several_answers, run_summary, score_rows, answer_fate, run_answers",
        "create view score_rows as select 1 as old",
        "drop table segment, rate, spending, reservation",
        "alter table run drop head_last, drop segment_size, drop claims, drop writer, drop attempt, drop manifest",
    ):
        query(config, damage)
    for _ in range(2):
        with closing(open_store(config)) as store:
            assert len(list(store.events(run.run_id))) == store.head(run.run_id).count == store.head(run.run_id).last
        assert query(config, "select * from score_rows order by case_no, metric_id, candidate_id") == rows
        assert query(config, "select version from store") == [(SCHEMA_VERSION,)]


def test_a_writer_whose_connection_was_cut_takes_its_lock_again(fresh: Fresh) -> None:
    config = fresh("postgres")
    pipeline = Pipeline(
        cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    snapshot = pipeline.experiment().compile()
    with closing(open_store(config)) as store:
        assert isinstance(store, PostgresRunStore)
        store.acquire(snapshot.run_id)
        query(config, "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'process %'")
        with pytest.raises(StoreError, match="check that the server runs"):
            store.persist_snapshot(snapshot)
        store.persist_snapshot(snapshot)  # the journal tries again, and so do we
        with closing(open_store(config)) as other, pytest.raises(StoreError, match="is being written by process"):
            other.acquire(snapshot.run_id)


def test_what_other_runs_have_is_looked_up_for_many_cases_at_once(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    cached = PostgresRunStore.cached

    def counted(self: PostgresRunStore, keys: Any) -> Any:
        asked.append(len(keys))
        return cached(self, keys)

    monkeypatch.setattr(PostgresRunStore, "cached", counted)
    first = Pipeline(
        cases=64, samples=2, generator=("right",), reducer=("right",), parser=None, metrics=(("right",),), judge=None
    )
    with closing(open_store(fresh("postgres"))) as store:
        run = first.experiment().run(store=store)
        assert asked == []  # there is nothing else in the store
        other = attrs.evolve(first, metrics=(("right",), ("wrong",))).experiment().run(store=store)
        made = [event for event in read_events(store, other.run_id) if isinstance(event, GenerationCompletedEvent)]
    assert {event.source_run_id for event in made} == {run.run_id}
    assert sum(asked) == 128
    assert len(asked) < 32, "a trip to the server for each candidate"


def test_an_error_is_told_once(fresh: Fresh, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"ref": str(number), "content": None if number == 1_000 else b"some"} for number in range(2_000)]
    with (
        cast(PostgresRunStore, open_store(fresh("postgres"))) as store,
        pytest.raises(StoreError, match="not-null"),
        store._transaction() as db,
    ):
        store._execute_many(db, "insert into blob values (:ref, :content)", rows)
    assert not caplog.messages


def test_a_store_that_is_closed_leaves_no_connection_of_a_reader_that_does_not_read_on(fresh: Fresh) -> None:
    config = fresh("postgres")
    pipeline = Pipeline(
        cases=3, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    store = open_store(config)
    run_id = pipeline.experiment().run(store=store).run_id
    events = store.events(run_id)
    assert next(events).event_type == "run_started"
    reading = "select count(*) from pg_stat_activity where state like 'idle in transaction%'"
    assert query(config, reading) == [(1,)]
    store.close()
    for _ in range(1_000):  # the server may need a moment to notice
        if query(config, reading) == [(0,)]:
            break
    assert query(config, reading) == [(0,)]
    del events
