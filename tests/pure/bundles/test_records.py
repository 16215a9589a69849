"""What a bundle is: its document comes back whole, or is refused with what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.api.bundles.transfer import export_bundle
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.bundles.records import (
    BUNDLE_TYPES,
    KINDS,
    RECORD_TYPES,
    Bundle,
    BundleKind,
    GenerationBundle,
    ScoreBundle,
    bundle_from_dict,
    record_name,
    stage_reached,
)
from themis.pure.errors import DataError, InvalidRecordError, SchemaVersionError, ThemisError
from themis.pure.events import CaseRunEvent, StepCompletedEvent
from themis.pure.json import decode, encode
from themis.pure.plan import MetricSlot
from themis.testing import strategies
from themis.testing.pipelines import Pipeline

GENERATED = Pipeline(
    cases=2, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
)
SNAPSHOT = GENERATED.experiment().compile()
KEYS = ["4:made:0", "4:made:1"]


def events_of(kinds: tuple[type[CaseRunEvent], ...]) -> st.SearchStrategy[list[CaseRunEvent]]:
    """Any events, of the run's cases and in their order."""
    keyed = st.tuples(st.one_of([strategies.records(kind) for kind in kinds]), st.sampled_from(KEYS))
    events = st.lists(keyed.map(lambda pair: pair[0].evolve(case_key=pair[1])), max_size=2, unique_by=record_name)
    return events.map(lambda events: sorted(events, key=lambda event: event.case_key))


def bundles_of(kind: BundleKind) -> st.SearchStrategy[Bundle]:
    """Any bundle of a kind; the snapshot has its own test of round trips."""
    return st.builds(
        BUNDLE_TYPES[kind],
        run_id=st.just(SNAPSHOT.run_id),
        snapshot=st.just(SNAPSHOT),
        records=events_of(RECORD_TYPES[kind]),
        upstream=events_of((StepCompletedEvent,)),
        completed_through_stage=st.none() | st.just("judge"),
        started_at=st.none() | strategies.times(),
    )


BUNDLES = st.sampled_from(KINDS).flatmap(bundles_of)


@settings(max_examples=10)  # each is many records
@given(BUNDLES, st.booleans())
def test_every_bundle_survives_json(bundle: Bundle, has_keys: bool) -> None:
    bundle = bundle.with_events((event, record_name(event) if has_keys else None) for event, _ in bundle.events())
    assert bundle_from_dict(decode(encode(bundle.to_dict()))) == bundle
    assert type(bundle).from_dict(bundle.to_dict()) == bundle
    assert bundle.compute_hash() == bundle.evolve().compute_hash()


def a_bundle(kind: type[Bundle] = GenerationBundle) -> Any:
    store = InMemoryRunStore()
    return export_bundle(store, GENERATED.experiment().run(store=store).run_id, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("version", "help_"), [(1, "export the run again"), (3, "upgrade"), (99, "upgrade")])
def test_another_schema_is_refused_whatever_else_is_other(kind: BundleKind, version: int, help_: str) -> None:
    bundle: Any = BUNDLE_TYPES[kind]
    bundle = bundle(run_id=SNAPSHOT.run_id, snapshot=SNAPSHOT, records=())
    data = {**bundle.to_dict(), "schema_version": version, "surprise": 1, "kind": "dream"}
    for refuse in (bundle_from_dict, type(bundle).from_dict, lambda _: bundle.evolve(schema_version=version)):
        with pytest.raises(SchemaVersionError, match=rf"bundle of schema version {version}\b.*{help_}"):
            refuse(data)


def test_all_faults_of_the_records_are_named_with_their_paths() -> None:
    data = a_bundle().to_dict()
    data["records"][1]["result"]["surprise"] = 1
    data["records"][0]["candidate_index"] = "0"
    data["records"] += [7, {**data["records"][0], "cache_key": 5}]
    with pytest.raises(InvalidRecordError) as caught:
        bundle_from_dict(data)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "records[0].candidate_index",
        "records[1].result",
        "records[2]",
        "records[3].cache_key",
    ]
    assert "surprise" in str(caught.value)


def test_what_is_no_bundle_is_refused() -> None:
    data = a_bundle().to_dict()
    with pytest.raises(DataError, match="'generations' is unknown; did you mean generation"):
        bundle_from_dict({**data, "kind": "generations"})
    with pytest.raises(InvalidRecordError, match="schema_version"):
        GenerationBundle.from_dict({**data, "schema_version": 0})
    with pytest.raises(DataError, match="ScoreBundle expected, GenerationBundle found"):
        ScoreBundle.from_dict(data)
    with pytest.raises(InvalidRecordError, match="records: a list expected, int found"):
        bundle_from_dict({**data, "records": 5})
    with pytest.raises(InvalidRecordError, match="upstream: no field"):
        bundle_from_dict({**data, "upstream": []})
    started = {"event_type": "run_started", "run_id": "x", "occurred_at": "2026-01-02T00:00:00+00:00"}
    with pytest.raises(DataError, match="an event of a case expected, run_started found"):
        bundle_from_dict({**data, "records": [started]})


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in a document there is something that is no object and no list."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    return [path] if items is None else [found for key, item in items for found in paths(item, (*path, key))]


DOCUMENT = encode(a_bundle(ScoreBundle).to_dict())
PATHS = [path for path in paths(decode(DOCUMENT)) if path[:2] != ("snapshot", "datasets")]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_no_value_of_a_document_can_be_changed(path: tuple[Any, ...]) -> None:
    """Datasets are held to the run's identity when they are imported."""
    data = decode(DOCUMENT)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    old = inner[path[-1]]
    inner[path[-1]] = not old if isinstance(old, bool) else f"{old}x" if isinstance(old, str) else 77
    with pytest.raises(ThemisError):
        bundle_from_dict(data)


@given(st.data())
def test_no_record_of_a_document_can_be_dropped_repeated_or_moved(draw: st.DataObject) -> None:
    data = decode(DOCUMENT)
    records = data["records"]
    count = len(records)
    place = draw.draw(st.integers(0, count - 1))
    record = records.pop(place)
    to = draw.draw(st.none() | st.integers(0, count - 1).filter(lambda to: to != place))
    if to is not None:
        records.insert(to, record)
        records[to : to + 1] *= draw.draw(st.integers(1, 2))
    with pytest.raises(DataError, match=r"place is not what was written|last records are missing"):
        bundle_from_dict(data)


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
