"""The table of what events stand for: nothing of a state is left out of a bundle, and no event is forgotten."""

from __future__ import annotations

from typing import Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.reading import fresh_state, read_cases
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.bundles.holding import HOLDS, RUN_FIELDS, held_events, refuse_forgotten, shape_of
from themis.pure.bundles.records import KINDS, BundleKind
from themis.pure.events import EVENT_TYPES, CaseRunEvent, StepEvent
from themis.pure.state import fold_case
from themis.testing.pipelines import Pipeline, pipelines


@given(pipelines())
def test_a_bundle_holds_all_that_the_events_came_to(pipeline: Pipeline) -> None:
    store = InMemoryRunStore()
    snapshot = pipeline.experiment().run(store=store).snapshot
    for item, state in read_cases(store, snapshot):
        stored = [*store.case_events(snapshot.run_id, item.case_no)]
        held = held_events(shape_of(snapshot), item, stored, store.blob, "evaluation")
        assert fold_case(fresh_state(item), [event for event, _ in held]) == state
        assert {key for _, key in held} <= {one.cache_key for one in stored}


@given(pipelines(max_cases=2), st.sampled_from(KINDS[:-1]))
def test_a_kind_holds_what_the_next_one_holds_too(pipeline: Pipeline, kind: str) -> None:
    store = InMemoryRunStore()
    snapshot = pipeline.experiment().run(store=store).snapshot
    place = next(number for number, name in enumerate(KINDS) if name == kind)
    for item, _ in read_cases(store, snapshot):
        stored = [*store.case_events(snapshot.run_id, item.case_no)]
        less, more = (
            held_events(shape_of(snapshot), item, stored, store.blob, name) for name in KINDS[place : place + 2]
        )
        assert [keyed for keyed in more if keyed in less] == less
        assert {kept.kind for event, _ in less if (kept := HOLDS[type(event)])} <= {*KINDS[: place + 1]}


JUDGED = Pipeline(
    cases=1,
    samples=2,
    generator=("right",),
    reducer=None,
    parser=None,
    metrics=(),
    judge=("right",),
    judges_selection=True,
)


def test_the_steps_of_a_workflow_come_with_its_outcome() -> None:
    store = InMemoryRunStore()
    snapshot = JUDGED.experiment().run(store=store).snapshot
    (item, _), *_ = read_cases(store, snapshot)
    stored = [*store.case_events(snapshot.run_id, 0)]

    def workflows(kind: BundleKind) -> set[str]:
        held = held_events(shape_of(snapshot), item, stored, store.blob, kind)
        return {event.workflow_id for event, _ in held if isinstance(event, StepEvent)}

    selector, metric = "scripted/judging_selector", "scripted/judged"
    assert [workflows(kind) for kind in KINDS] == [set(), {selector}, {selector}, {selector}, {selector, metric}]


@attrs.frozen(kw_only=True)
class NewEvent(CaseRunEvent):
    event_type: Literal["new"] = "new"


def test_an_event_without_a_row_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="bundles know nothing of NewEvent"):
        refuse_forgotten({**HOLDS, **RUN_FIELDS}, [*EVENT_TYPES.values(), NewEvent])
    for kind in EVENT_TYPES.values():
        rows = {known: None for known in (*HOLDS, *RUN_FIELDS) if known is not kind}
        with pytest.raises(TypeError, match=kind.__name__):
            refuse_forgotten(rows, EVENT_TYPES.values())
    assert all(issubclass(kind, CaseRunEvent) for kind in HOLDS)
    assert not any(issubclass(kind, CaseRunEvent) for kind in RUN_FIELDS)
