"""Labels in every kind of store: kept, carried from one to another, verified, and seen in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from themis import HumanLabel, RunResult, StorageConfig, evaluate, give_labels, verify
from themis.api.bundles.transfer import BATCH, export_bundle, import_bundle
from themis.api.runs.view import RunView
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.bundles.records import BUNDLE_TYPES, BundleKind, bundle_from_dict
from themis.pure.chain import Entry, link_all
from themis.pure.errors import DataError, SchemaVersionError
from themis.pure.events import SCHEMA_VERSION, LabelGivenEvent, event_from_dict
from themis.pure.protocols import RunStore

EXACT = "builtin/exact_match"
Opened = Callable[[StorageConfig], RunStore]
Fresh = Callable[[str], StorageConfig]


def label(case: str, value: Any, who: str = "ada", **more: Any) -> HumanLabel:
    return HumanLabel(case_id=case, metric_id=EXACT, value=value, who=who, **more)


GIVEN = [
    label("c1", True, note="ja, ∑"),
    label("c1", 0.0, "bob"),
    label("c2", "off topic"),
    label("c3", 1, probability=0.5),
]


def run_in(store: RunStore, **changes: Any) -> RunResult:
    rows = [{"case_id": f"c{n}", "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(8)]
    return evaluate(**{"model": "builtin/demo_model", "data": rows, "metric": EXACT, "store": store, **changes})


def labels_in(store: RunStore, run_id: str) -> list[HumanLabel]:
    return [one for case in RunView.of(store, run_id).scored() for one in case.labels]


def test_every_store_keeps_labels(kind: str, fresh: Fresh, opened: Opened) -> None:
    store = opened(fresh(kind))
    result = run_in(store)
    assert give_labels(store, result.run_id, GIVEN).stored == 4
    assert give_labels(store, result.run_id, GIVEN).stored == 0
    assert give_labels(store, result.run_id, [label("c1", None, "bob")]).stored == 1
    found = [
        (each.case_id, each.value, each.who, each.note, each.probability) for each in labels_in(store, result.run_id)
    ]
    assert found == [
        ("c1", True, "ada", "ja, ∑", None),
        ("c2", "off topic", "ada", "", None),
        ("c3", 1.0, "ada", "", 0.5),
    ]
    assert [line.status for line in store.list_runs()] == ["completed"]
    assert RunResult(snapshot=result.snapshot, store=store).digest == result.digest
    assert verify(store, result.run_id).ok
    resumed = run_in(store)
    assert (resumed.progress.completed_cases, len(resumed.labels())) == (8, 3)
    assert verify(store, result.run_id).ok


def test_of_labels_that_are_refused_none_is_stored(kind: str, fresh: Fresh, opened: Opened) -> None:
    store = opened(fresh(kind))
    result = run_in(store)
    count = store.head(result.run_id).count
    with pytest.raises(DataError, match="no case 'c9'"):
        give_labels(store, result.run_id, [*GIVEN, label("c9", True)])
    assert store.head(result.run_id).count == count


@pytest.mark.parametrize("bundle", ["parse", "score", "evaluation"])
def test_labels_travel_in_bundles_to_and_from_every_store(
    bundle: BundleKind, kind: str, fresh: Fresh, opened: Opened
) -> None:
    source, between = opened(fresh(kind)), InMemoryRunStore()
    result = run_in(source)
    give_labels(source, result.run_id, GIVEN)
    give_labels(source, result.run_id, [label("c1", None, "bob")])
    document = export_bundle(source, result.run_id, BUNDLE_TYPES[bundle]).to_dict()
    import_bundle(between, bundle_from_dict(document))
    again = opened(fresh(kind))
    import_bundle(again, export_bundle(between, result.run_id, BUNDLE_TYPES[bundle]))
    events = [
        [event for event in RunView.of(store, result.run_id).events() if isinstance(event, LabelGivenEvent)]
        for store in (between, again)
    ]
    assert events[0] == events[1]
    assert [(event.case_id, event.who, event.value) for event in events[1]] == [
        ("c1", "ada", True),
        ("c1", "bob", None),
        ("c2", "ada", "off topic"),
        ("c3", "ada", 1.0),
    ]
    assert import_bundle(again, export_bundle(between, result.run_id, BUNDLE_TYPES[bundle])) == 0
    if bundle in ("score", "evaluation"):
        assert labels_in(again, result.run_id) == labels_in(source, result.run_id)
        assert verify(again, result.run_id).ok


@pytest.mark.parametrize("bundle", ["generation", "reduction"])
def test_a_bundle_of_what_comes_before_answers_are_read_has_no_labels(bundle: BundleKind) -> None:
    store = InMemoryRunStore()
    result = run_in(store)
    give_labels(store, result.run_id, GIVEN)
    events = export_bundle(store, result.run_id, BUNDLE_TYPES[bundle]).events()
    assert "label_given" not in {event.event_type for event, _ in events}


def test_of_two_stores_labels_the_later_counts() -> None:
    first, second = InMemoryRunStore(), InMemoryRunStore()
    run_id = run_in(first).run_id
    import_bundle(second, export_bundle(first, run_id, BUNDLE_TYPES["evaluation"]))
    give_labels(first, run_id, [label("c1", True), label("c2", True)])
    give_labels(second, run_id, [label("c1", False), label("c3", True)])
    kind = BUNDLE_TYPES["evaluation"]
    there, back = export_bundle(first, run_id, kind), export_bundle(second, run_id, kind)
    import_bundle(second, there)
    import_bundle(first, back)
    said = [("c1", False), ("c2", True), ("c3", True)]
    for store in (first, second):
        assert [(each.case_id, each.value) for each in labels_in(store, run_id)] == said
        assert verify(store, run_id).ok


def test_labels_of_several_answers_travel(kind: str, fresh: Fresh, opened: Opened) -> None:
    source, target = opened(fresh(kind)), opened(fresh(kind))
    result = run_in(source, samples=3)
    give_labels(source, result.run_id, [label("c1", n == 1, candidate_id=f"c1-candidate-{n}") for n in range(3)])
    import_bundle(target, export_bundle(source, result.run_id, BUNDLE_TYPES["evaluation"]))
    assert labels_in(target, result.run_id) == labels_in(source, result.run_id)
    assert len(labels_in(target, result.run_id)) == 3
    assert verify(target, result.run_id).ok
    assert result.digest == RunResult(snapshot=result.snapshot, store=target).digest


# --- what was tampered with -------------------------------------------------------------------------------


def appended(store: RunStore, run_id: str, **changes: Any) -> None:
    """Append a label that was made by hand, in a chain that is whole."""
    result = RunView.of(store, run_id)
    item = next(iter(result.items()))
    answer = {"answer": None}
    event = LabelGivenEvent(
        **{
            "run_id": run_id,
            "occurred_at": result.ending.ended_at,
            "case_id": item.case.case_id,
            "dataset_id": item.dataset_id,
            "case_key": item.case_key,
            "metric_id": EXACT,
            "who": "eve",
            "value": True,
            **answer,
            **changes,
        }
    )
    store.acquire(run_id)
    events, blobs, _ = link_all(store.head(run_id), [Entry(item.case_no, event)])
    store.append(run_id, events, blobs)
    store.release(run_id)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric_id": "builtin/f1"}, "the run has no metric 'builtin/f1'"),
        ({"candidate_id": "c0-candidate-5"}, "the case has one answer, so no candidate is named"),
        ({"answer": "0" * 64}, "it is of another answer than the one that the case had then"),
        ({"value": 7.0}, "scores from 0 to 1; found 7"),
        ({"case_key": "4:data:c1"}, "is of case 4:data:c1"),
    ],
)
def test_a_label_of_nothing_that_the_run_has_is_altered(
    changes: dict[str, Any], said: str, kind: str, fresh: Fresh, opened: Opened
) -> None:
    store = opened(fresh(kind))
    run_id = run_in(store).run_id
    appended(store, run_id, **changes)
    found = verify(store, run_id)
    assert found.verdict == "not verified"
    assert any(said in problem for problem in found.altered)


def test_a_label_that_was_edited_or_taken_out_is_found(fresh: Fresh, opened: Opened) -> None:
    config = fresh("sqlite")
    store = opened(config)
    run_id = run_in(store).run_id
    give_labels(store, run_id, GIVEN)
    path = str(config.parameters["path"])
    place = "event_type = 'label_given' and payload ->> 'case_id' = 'c2'"
    for statement in (
        f"update event set payload = replace(payload, 'off topic', 'spot on') where {place}",
        f"delete from event where {place}",
    ):
        with sqlite3.connect(path) as db:
            db.execute(statement)
        assert verify(store, run_id).broken_links


def test_labels_at_the_end_that_were_cut_off_with_the_chain_s_head_are_found(fresh: Fresh, opened: Opened) -> None:
    """Whoever takes the last label out, and mends the head, leaves an end that counts one event more."""
    config = fresh("sqlite")
    store = opened(config)
    run_id = run_in(store).run_id
    give_labels(store, run_id, GIVEN)
    with sqlite3.connect(str(config.parameters["path"])) as db:
        last = db.execute("select max(id) from event where event_type = 'label_given'").fetchone()[0]
        db.execute("delete from event where id = ?", (last,))
    found = verify(store, run_id)
    assert found.broken_links
    with sqlite3.connect(str(config.parameters["path"])) as db:
        db.execute("delete from event where id > ?", (last,))
        digest = db.execute("select digest from event order by id desc limit 1").fetchone()[0]
        db.execute("update run set head_count = head_count - 2, head_digest = ?", (digest.hex(),))
    found = verify(store, run_id)
    assert found.broken_links == ()
    assert found.verdict == "verified in part"  # the run's end is missing: what else may be cut off is not known
    assert "what may be cut off is not known" in found.not_verified[0]


# --- versions ---------------------------------------------------------------------------------------------


def test_a_run_without_labels_says_nothing_that_an_earlier_version_does_not_read() -> None:
    store = InMemoryRunStore()
    run_id = run_in(store).run_id
    assert {event.schema_version for event in RunView.of(store, run_id).events()} == {2}
    give_labels(store, run_id, GIVEN)
    versions = {(event.event_type, event.schema_version) for event in RunView.of(store, run_id).events()}
    assert {name for name, version in versions if version > 2} == {"label_given"}
    (event, *_) = [event for event in RunView.of(store, run_id).events() if event.event_type == "label_given"]
    assert event.schema_version == 3
    with pytest.raises(SchemaVersionError):
        event_from_dict({**event.to_dict(), "schema_version": SCHEMA_VERSION + 1})


# --- SQL --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_sql", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_view_has_the_labels_that_count(of_sql: str, fresh: Fresh, opened: Opened) -> None:
    store: Any = opened(fresh(of_sql))
    run_id = run_in(store).run_id
    give_labels(store, run_id, GIVEN)
    give_labels(store, run_id, [label("c1", None, "bob"), label("c2", False)])
    with store._reading() as db:
        rows = store._execute(
            db, "select case_id, metric_id, who, value, score, note, probability from labels order by case_id, who", {}
        ).fetchall()
        scores = store._execute(db, "select count(*), count(value) from score_rows", {}).fetchone()
    assert [tuple(row) for row in rows] == [
        ("c1", EXACT, "ada", "true", 1.0, "ja, ∑", None),
        ("c2", EXACT, "ada", "false", 0.0, "", None),
        ("c3", EXACT, "ada", "1.0", 1.0, "", 0.5),
    ]
    assert tuple(scores) == (8, 8)


def test_a_batch_of_many_labels_is_stored_whole(fresh: Fresh, opened: Opened) -> None:
    store = opened(fresh("sqlite"))
    rows = [{"case_id": f"c{n}", "input": "1+1", "expected_output": "2"} for n in range(3 * BATCH)]
    result = run_in(store, data=rows)
    many = [label(f"c{n}", True, who=f"w{k}") for n in range(3 * BATCH) for k in range(7)]
    assert give_labels(store, result.run_id, many).stored == len(many) > 4_000
    assert len(labels_in(store, result.run_id)) == len(many)
    assert verify(store, result.run_id).ok
