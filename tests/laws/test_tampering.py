"""Law 7: verification names what was edited, dropped or re-ordered, and what does not follow from what it rests on."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from themis import SqliteRunStore, verify
from themis.pure.pipeline.verification import Verification
from themis.testing.pipelines import Pipeline

PIPELINE = Pipeline(
    cases=6,
    samples=1,
    generator=("right", "wrong"),
    reducer=None,
    parser=("right",),
    metrics=(("right",),),
    judge=("right", "wrong"),
)


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, str]:
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        return store.path, PIPELINE.experiment().run(store=store).run_id


def tamper(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


def verified(run: tuple[Path, str]) -> Verification:
    path, run_id = run
    with SqliteRunStore(path) as store:
        return verify(store, run_id, experiment=PIPELINE.experiment())


def test_an_untouched_run_is_whole(run: tuple[Path, str]) -> None:
    found = verified(run)
    assert found.ok
    assert not found.not_verified
    assert dict(found.recomputed) == {"reduce": 6, "parse": 6, "score": 6, "judge": 6}


FIRST_SCORE = "(select min(id) from event where event_type = 'score_completed')"


def test_an_edited_score_is_named(run: tuple[Path, str]) -> None:
    tamper(
        run[0],
        f"update event set payload = json_set(payload, '$.score.value', 0.25) where id = {FIRST_SCORE}",
    )
    found = verified(run)
    assert any("score_completed" in line and "changed" in line for line in found.broken_links)
    assert found.differences[0].stage == "score"
    assert '"value":0.25' in found.differences[0].stored
    assert found.differences[0].case_key in str(found.differences[0])


def test_a_dropped_event_is_named(run: tuple[Path, str]) -> None:
    tamper(run[0], f"delete from event where id = {FIRST_SCORE}")
    assert any("missing" in line for line in verified(run).broken_links)


def test_a_dropped_last_event_is_named(run: tuple[Path, str]) -> None:
    tamper(run[0], "delete from event where id = (select max(id) from event)")
    assert any("missing" in line for line in verified(run).broken_links)


def test_two_swapped_events_are_named(run: tuple[Path, str]) -> None:
    last = "(select max(id) from event where event_type = 'score_completed')"
    tamper(
        run[0],
        f"create temp table pair as select {FIRST_SCORE} as a, {last} as b",
        "create temp table kept as select * from event where id in (select a from pair union select b from pair)",
        "delete from event where id in (select id from kept)",
        "insert into event select (select a + b from pair) - id, run_no, case_no, event_type, cache_key, payload, "
        "digest from kept",
    )
    assert len(verified(run).broken_links) >= 2


def test_a_score_that_was_edited_with_its_chain_mended_is_still_found(run: tuple[Path, str]) -> None:
    path, _ = run
    tamper(path, f"update event set payload = json_set(payload, '$.score.value', 0.25) where id = {FIRST_SCORE}")
    database = sqlite3.connect(path)
    digest = "0" * 64
    rows = database.execute("select id, cache_key, payload from event order by id").fetchall()
    with database:
        for number, key, payload in rows:
            body = f"{digest}\n{key.hex() if key else ''}\n{payload}".encode()
            digest = hashlib.sha256(body).hexdigest()
            database.execute("update event set digest = ? where id = ?", (bytes.fromhex(digest), number))
        database.execute("update run set head_digest = ?", (digest,))
    database.close()
    found = verified(run)
    assert not found.broken_links
    assert [difference.stage for difference in found.differences] == ["score"]


def test_an_edited_blob_is_named(tmp_path: Path) -> None:
    pipeline = PIPELINE
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        experiment = pipeline.experiment()
        big = experiment.datasets[0].evolve(
            cases=[case.evolve(expected_output="x" * 100_000) for case in experiment.datasets[0].cases]
        )
        experiment = experiment.evolve(datasets=big)
        run_id = experiment.run(store=store).run_id
        assert verify(store, run_id, experiment=experiment).ok
    database = sqlite3.connect(tmp_path / "s.sqlite3")
    # Content is stored once, however many events share it.
    blobs = database.execute("select count(*) from blob").fetchone()[0]
    users = database.execute("select count(*) from event where payload like '%_blob_ref\":\"%'").fetchone()[0]
    assert 0 < blobs < users
    with database:
        database.execute("update blob set content = cast(replace(cast(content as text), 'xxx', 'yyy') as blob)")
    database.close()
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        assert any("blob" in line for line in verify(store, run_id, experiment=experiment).broken_links)
