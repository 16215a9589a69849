"""Law 7: verification names what was edited, dropped or re-ordered, and what does not follow from what it rests on."""

from __future__ import annotations

import contextlib
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


def mend(path: Path) -> None:
    """Make the hash chain whole again, as one who knows how could."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        digest, count = "0" * 64, 0
        (run_no,) = database.execute("select run_no from run").fetchone()
        for number, key, payload in database.execute("select id, cache_key, payload from event order by id").fetchall():
            count += 1
            body = f"{digest}\n{key.hex() if key else ''}\n{payload}".encode()
            digest = hashlib.sha256(body).hexdigest()
            new = (bytes.fromhex(digest), (run_no << 40) + count, number)
            database.execute("update event set digest = ?, id = ? where id = ?", new)
        database.execute("update run set head_digest = ?, head_count = ?", (digest, count))


def test_a_score_that_was_edited_with_its_chain_mended_is_still_found(run: tuple[Path, str]) -> None:
    tamper(run[0], f"update event set payload = json_set(payload, '$.score.value', 0.25) where id = {FIRST_SCORE}")
    mend(run[0])
    found = verified(run)
    assert not found.broken_links
    assert [difference.stage for difference in found.differences] == ["score"]


LAST_CASE = "position = (select max(position) from dataset_case)"
CASES = "its cases are not those that the run was made of"
HEADER = "header: it is not the one that the run was begun with"


@pytest.mark.parametrize(
    ("named", "statements"),
    [
        (CASES, ["update dataset_case set payload = json_set(payload, '$.metadata.x', '1') where position = 2"]),
        (CASES, [f"delete from dataset_case where {LAST_CASE}", "update dataset set case_count = case_count - 1"]),
        ("it is stored as 9 cases, and has another number", ["update dataset set case_count = 9"]),
        (HEADER, ["update run set header = json_set(header, '$.provenance.python_version', '2.7')"]),
        (HEADER, ["update run set header = json_set(header, '$.provenance.storage.store', 'jsonl')"]),
        (
            HEADER,
            ["""update run set header = json_set(header, '$.metric_thresholds', json('{"scripted/metric0": 0}'))"""],
        ),
        (
            "the id of its identity is",
            ["update run set header = json_set(header, '$.identity.judge_config', json('{\"a\": 1}'))"],
        ),
        (
            "it is stored under case 4:made:3, and is of case 4:made:2",
            ["update event set case_no = 3 where case_no = 2 and event_type = 'score_completed'"],
        ),
        (
            "it is stored under that type, and is a score_completed",
            [f"update event set event_type = 'score_failed' where id = {FIRST_SCORE}"],
        ),
        ("of them are of it or of one of its cases", ["update event set case_no = 99 where case_no = 2"]),
    ],
)
def test_what_was_altered_is_named(run: tuple[Path, str], named: str, statements: list[str]) -> None:
    """None of these touches the chain, and most of them leave every recomputed outcome as it is."""
    tamper(run[0], *statements)
    found = verified(run)
    assert found.verdict == "not verified"
    assert any(named in line for line in (*found.altered, *found.broken_links)), found


def test_a_dropped_event_is_missed_though_the_chain_was_mended(run: tuple[Path, str]) -> None:
    tamper(run[0], "delete from event where event_type = 'step_completed' and case_no = 2")
    mend(run[0])
    found = verified(run)
    assert not found.broken_links
    assert any("(run_completed): the run had" in line for line in found.altered)


def test_a_record_that_no_program_can_work_on_is_a_difference(run: tuple[Path, str]) -> None:
    """A judge's answer that is none any more: named, with its case, and the walk goes on."""
    first = "(select min(id) from event where event_type = 'step_completed')"
    tamper(run[0], f"update event set payload = json_remove(payload, '$.output.raw_response') where id = {first}")
    mend(run[0])
    found = verified(run)
    assert found.cases == 6
    (difference,) = found.differences
    assert difference.stage == "judge"
    assert "raw_response" in difference.expected


def test_an_outcome_that_is_not_there_is_missed_though_all_was_mended(run: tuple[Path, str]) -> None:
    tamper(
        run[0],
        f"delete from event where id = {FIRST_SCORE}",
        "update event set payload = json_set(payload, '$.event_count', json_extract(payload, '$.event_count') - 1) "
        "where event_type = 'run_completed'",
    )
    mend(run[0])
    found = verified(run)
    assert (found.broken_links, found.altered) == ((), ())
    (difference,) = found.differences
    assert (difference.stage, difference.stored) == ("score", "nothing")


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
