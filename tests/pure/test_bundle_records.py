"""Bundle records: collecting a case's events and expanding the records again comes to the same state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.effects.reading import read_cases
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.bundles.collecting import case_records, kept_events
from themis.pure.bundles.expanding import record_events
from themis.pure.bundles.merging import CaseMerge
from themis.pure.bundles.records import (
    BUNDLE_TYPES,
    KINDS,
    RECORD_TYPES,
    Bundle,
    BundleKind,
    CaseRecords,
    GenerationBundle,
    bundle_from_dict,
    stage_reached,
)
from themis.pure.errors import DataError, InvalidRecordError, SchemaVersionError
from themis.pure.json import decode, encode
from themis.pure.plan import CaseItem, MetricSlot, RunPlan, make_plan, metric_slots
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.state import CaseState, fold_case, new_state
from themis.testing import strategies
from themis.testing.pipelines import Pipeline, pipelines

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GENERATED = Pipeline(
    cases=2, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
)
SNAPSHOT = GENERATED.experiment().compile()


def bundles_of(kind: BundleKind) -> st.SearchStrategy[Bundle]:
    """Any bundle of a kind; the snapshot has its own test of round trips."""
    return st.builds(
        BUNDLE_TYPES[kind],
        run_id=st.just(SNAPSHOT.run_id),
        snapshot=st.just(SNAPSHOT),
        records=st.lists(strategies.records(RECORD_TYPES[kind]), max_size=2),
        upstream=st.lists(strategies.records(CaseRecords), max_size=1),
        completed_through_stage=st.none() | st.just("judge"),
        started_at=st.none() | strategies.times(),
    )


BUNDLES = st.sampled_from(KINDS).flatmap(bundles_of)


def collected(pipeline: Pipeline) -> list[tuple[RunPlan, CaseItem, CaseState, CaseRecords]]:
    """Run a pipeline; return its cases with their states and their records."""
    store = InMemoryRunStore()
    snapshot = pipeline.experiment().run(store=store).snapshot
    plan, metrics = make_plan(snapshot), metric_slots(snapshot)
    return [
        (plan, item, state, _records(store, snapshot, item, metrics)) for item, state in read_cases(store, snapshot)
    ]


def _records(
    store: InMemoryRunStore, snapshot: RunSnapshot, item: CaseItem, metrics: tuple[MetricSlot, ...]
) -> CaseRecords:
    stored = store.case_events(snapshot.run_id, item.case_no)
    return case_records(item, kept_events(stored, store.blob, "evaluation"), metrics)


def fresh(item: CaseItem) -> CaseState:
    return new_state(item.case.case_id, item.dataset_id, item.case_key)


@given(pipelines())
def test_records_hold_all_that_the_events_came_to(pipeline: Pipeline) -> None:
    for plan, item, state, records in collected(pipeline):
        events = [made.event for made in record_events(plan.run_id, records, NOW)]
        assert fold_case(fresh(item), events) == state


@given(pipelines())
def test_a_run_takes_all_of_its_own_records_and_none_of_them_twice(pipeline: Pipeline) -> None:
    for plan, item, state, records in collected(pipeline):
        first = CaseMerge(plan, item, fresh(item), records, NOW)
        assert not first.faults
        assert fold_case(fresh(item), [entry.event for entry in first.entries]) == state
        second = CaseMerge(plan, item, state, records, NOW)
        assert (second.faults, second.entries) == ([], [])


@given(pipelines(), st.sampled_from(KINDS))
def test_what_was_taken_before_makes_no_difference(pipeline: Pipeline, kind: BundleKind) -> None:
    for plan, item, state, records in collected(pipeline):
        earlier = records.before(kind)
        if earlier is not None:
            taken = CaseMerge(plan, item, fresh(item), earlier, NOW)
            assert not taken.faults
            partly = fold_case(fresh(item), [entry.event for entry in taken.entries])
            rest = CaseMerge(plan, item, partly, records, NOW)
            assert not rest.faults
            assert fold_case(partly, [entry.event for entry in rest.entries]) == state


@settings(max_examples=10)  # each is many records
@given(BUNDLES)
def test_every_bundle_survives_json(bundle: Bundle) -> None:
    assert bundle_from_dict(decode(encode(bundle.to_dict()))) == bundle
    assert type(bundle).from_dict(bundle.to_dict()) == bundle
    assert bundle.compute_hash() == bundle.evolve().compute_hash()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_schema_is_refused_whatever_else_is_new(kind: BundleKind, version: int) -> None:
    bundle = BUNDLE_TYPES[kind](run_id=SNAPSHOT.run_id, snapshot=SNAPSHOT, records=())
    data = {**bundle.to_dict(), "schema_version": version, "surprise": 1, "kind": "dream"}
    with pytest.raises(SchemaVersionError, match="upgrade"):
        bundle_from_dict(data)
    with pytest.raises(SchemaVersionError, match="upgrade"):
        type(bundle).from_dict(data)
    with pytest.raises(SchemaVersionError, match="upgrade"):
        bundle.evolve(schema_version=version)


def a_bundle() -> dict[str, Any]:
    from themis.api.bundles import export_generation_bundle

    store = InMemoryRunStore()
    return export_generation_bundle(store, GENERATED.experiment().run(store=store).run_id).to_dict()


def test_unknown_keys_are_refused_with_their_paths() -> None:
    data = a_bundle()
    data["records"][1]["result"]["surprise"] = 1
    data["records"][0]["candidate_index"] = "0"
    with pytest.raises(InvalidRecordError) as caught:
        bundle_from_dict(data)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "records[0].candidate_index",
        "records[1].result",
    ]
    assert "surprise" in str(caught.value)
    with pytest.raises(DataError, match="'generations' is unknown; did you mean generation"):
        bundle_from_dict({**data, "kind": "generations"})
    with pytest.raises(InvalidRecordError, match="schema_version"):
        GenerationBundle.from_dict({**data, "schema_version": 0})


@pytest.mark.parametrize(
    ("kind", "families", "reached"),
    [
        ("generation", [], "generate"),
        ("reduction", ["pure"], "reduce"),
        ("parse", [], "judge"),
        ("parse", ["pure"], "parse"),
        ("score", ["pure"], "judge"),
        ("score", ["pure", "llm"], "score"),
        ("score", ["pure", "execution", "llm"], "parse"),
        ("evaluation", ["pure", "execution", "llm"], "judge"),
    ],
)
def test_a_bundle_reaches_as_far_as_what_it_holds(kind: BundleKind, families: list[str], reached: str) -> None:
    metrics = [MetricSlot(family, family, "") for family in families]
    assert stage_reached(kind, "judge", metrics) == reached
    assert stage_reached(kind, "generate", metrics) == "generate"
    assert stage_reached(kind, None, metrics) is None


def faults(plan: RunPlan, item: CaseItem, state: CaseState, records: CaseRecords) -> str:
    merge = CaseMerge(plan, item, state, records, NOW)
    return "\n".join(merge.faults)


def test_what_a_record_says_wrongly_is_named() -> None:
    (plan, item, state, records), *_ = collected(GENERATED)
    generation, score = records.generation[0], records.score[0]
    nothing, result = fresh(item), generation.result
    assert result is not None

    def with_generation(**changes: Any) -> CaseRecords:
        return records.evolve(generation=[generation.evolve(**changes)])

    assert "counted from 0" in faults(plan, item, nothing, with_generation(candidate_index=1))
    assert "is named '0-candidate-0', and 'x'" in faults(plan, item, nothing, with_generation(candidate_id="x"))
    assert "of case '7'" in faults(plan, item, nothing, with_generation(case_id="7"))
    assert "result_blob_ref" in faults(plan, item, nothing, with_generation(result_blob_ref="0" * 64))
    other = result.evolve(final_output="something else")
    assert "changes no result" in faults(plan, item, state, with_generation(result=other))
    assert not faults(plan, item, state, with_generation(result=result.evolve(latency_ms=77.0)))
    assert "candidates that are missing: 0" in faults(plan, item, nothing, records.evolve(generation=()))
    assert "reduction that is missing" in faults(plan, item, nothing, records.evolve(reduction=()))
    assert "usable parsed answer" in faults(plan, item, nothing, records.evolve(parse=()))
    stranger = score.evolve(score=score.score.evolve(metric_id="stranger"))
    assert "no pure metric 'stranger'" in faults(plan, item, nothing, records.evolve(score=[stranger]))
    assert len(CaseMerge(plan, item, nothing, records.evolve(generation=()), NOW).faults) == 1
