"""A study whose cells are done by an engine's workers, with a real server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import pytest

from themis import Study
from themis.engines import Task, Worked, work_on
from themis.testing.endpoint import FakeEndpoint

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
pytestmark = pytest.mark.postgres

CASES = 12


class Here:
    """An engine whose one worker is this process."""

    def work(self, task: Task, segments: Sequence[int], stopped: threading.Event) -> Iterator[Worked]:
        for segment in segments:
            yield work_on(task, segment)


def test_cells_by_an_engine_are_those_of_one_process(postgres_dsn: str) -> None:
    name = f"study_{os.getpid()}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    store = postgres_dsn.replace("/postgres", f"/{name}")
    with FakeEndpoint() as endpoint:
        study = Study(
            name="many",
            models={m: {"id": f"vllm/{m}", "base_url": endpoint.base_url, "max_tokens": 5} for m in ("one", "two")},
            datasets={"sums": [{"input": f"{n}+{n}", "expected_output": f"echo: {n}+{n}"} for n in range(CASES)]},
            evaluation={"metrics": "builtin/exact_match"},
            runtime={"generation_retry_delay": 0.001, "max_concurrent_tasks": 1},
        )
        alone = study.run()
        calls = len(endpoint.log)
        assert calls == 2 * CASES
        done = study.run(store=store, engine=Here(), segment_size=4)
        assert done.is_complete
        assert (done.digest, done.study_id) == (alone.digest, alone.study_id)
        assert len(endpoint.log) == 2 * calls, "what was stored is not asked again"
        assert {run.name for run in done.store.list_runs()} == {"many/one,sums", "many/two,sums"}
        done.store.close()
