"""A run that many processes write, in PostgreSQL: who may write what, and who is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

import pytest

from themis import HumanLabel, InMemoryRunStore, export_generation_bundle, give_labels, import_generation_bundle
from themis.api.experiment.many.work import end_run
from themis.api.experiment.verify import verify
from themis.effects.engine import run_started
from themis.effects.reading import read_events
from themis.effects.segments import SegmentChain, begin, divide, end
from themis.effects.stores.postgres import PostgresRunStore
from themis.engines import Processes
from themis.pure.chain import Entry, broken_links, link_all, read_event
from themis.pure.errors import RunLockedError, SpecError, StoreError
from themis.pure.events import GenerationCompletedEvent, RunFailedEvent, RunJoinedEvent
from themis.pure.records.config import StorageConfig
from themis.pure.records.generation import GenerationResult
from themis.pure.records.labels import RunLabels
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, Segment, StoredEvent
from themis.pure.segments import Position, joined_digest
from themis.testing.pipelines import Pipeline

pytestmark = pytest.mark.postgres
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PIPELINE = Pipeline(
    cases=5, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
)
Open = Callable[[], PostgresRunStore]


@pytest.fixture
def opened(fresh: Callable[[str], StorageConfig]) -> Iterator[Open]:
    """Opens the store once more, as another process would."""
    config = fresh("postgres")
    with ExitStack() as stack:

        def another() -> PostgresRunStore:
            return stack.enter_context(PostgresRunStore(**config.parameters))  # type: ignore[arg-type]  # JSON

        yield another


@pytest.fixture
def run(opened: Open) -> RunSnapshot:
    """A run of five cases in segments of two, begun and joined by nobody."""
    snapshot, store = PIPELINE.experiment().compile(), opened()
    store.acquire(snapshot.run_id)
    store.persist_snapshot(snapshot)
    divide(store, snapshot.run_id, 5, 2, NOW)
    store.release(snapshot.run_id)
    store.join(snapshot.run_id)
    begin(store, snapshot.run_id, "{}", run_started(store, snapshot.run_id, RunLabels()))
    store.leave(snapshot.run_id)
    return snapshot


def made(run: RunSnapshot, case: int) -> Entry:
    event = GenerationCompletedEvent(
        run_id=run.run_id,
        occurred_at=NOW,
        case_id=str(case),
        dataset_id="made",
        case_key=f"made/{case}",
        candidate_id=f"{case}-0",
        candidate_index=0,
        result=GenerationResult(candidate_id=f"{case}-0", final_output=str(case)),
    )
    return Entry(case, event)


def append(store: PostgresRunStore, run: RunSnapshot, segment: Segment, case: int) -> ChainHead:
    chain = SegmentChain(store, run.run_id, segment, range(0))
    events, _, _ = link_all(chain.head(), [made(run, case)])
    chain.append(events, {})
    return chain.head()


def claimed(store: PostgresRunStore, run: RunSnapshot, number: int | None = None) -> Segment:
    for _ in range(1_000):  # the server may need a moment to notice that a connection is gone
        found = store.claim(run.run_id, number)
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError("nobody has it, and it can't be claimed")


def test_each_segment_has_one_writer_and_the_next_one_goes_on_where_it_ended(run: RunSnapshot, opened: Open) -> None:
    first, second = opened(), opened()
    first.join(run.run_id)
    second.join(run.run_id)
    ours = [claimed(first, run), claimed(first, run)]
    theirs = claimed(second, run)
    assert [segment.number for segment in (*ours, theirs)] == [0, 1, 2]
    assert first.claim(run.run_id) is None
    assert second.claim(run.run_id, 1) is None
    head = append(first, run, ours[0], 0)
    first.close()  # as when its process dies
    again = claimed(second, run)
    assert again.number == 0
    assert (again.head.count, again.head.digest) == (1, head.digest)
    assert Position.of(again.head.last).claim > Position.of(head.last).claim
    append(second, run, again, 1)
    assert [event.case_no for event in second.events_of_cases(run.run_id, range(5))] == [0, 1]


def test_who_was_taken_for_dead_is_refused_when_it_wakes_up(run: RunSnapshot, opened: Open) -> None:
    zombie, other, onlooker = opened(), opened(), opened()
    zombie.join(run.run_id)
    lost = claimed(zombie, run)
    append(zombie, run, lost, 0)
    with onlooker._reading() as db:
        db.execute(b"select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'process %'")
    other.join(run.run_id)
    taken = claimed(other, run)
    assert taken.number == lost.number
    append(other, run, taken, 1)
    before = list(other.events(run.run_id))
    for _ in range(2):
        with pytest.raises((StoreError, RunLockedError)):
            append(zombie, run, lost, 1)
    with pytest.raises((StoreError, RunLockedError)):
        zombie.finish(run.run_id, lost.number, lost.head)
    other.close()  # and now that nobody has the segment, the claim is stale all the same
    with pytest.raises(StoreError):
        append(zombie, run, lost, 1)
    assert list(onlooker.events(run.run_id)) == before


def test_events_that_do_not_follow_the_segment_s_end_are_refused_and_nothing_is_kept(
    run: RunSnapshot, opened: Open
) -> None:
    store = opened()
    store.join(run.run_id)
    segment = claimed(store, run)
    append(store, run, segment, 0)
    events, blobs, _ = link_all(segment.head, [made(run, 1)])
    with pytest.raises(StoreError, match="another writer"):
        store.append_to(run.run_id, segment.number, events, {"ref": b"content"} | blobs)
    assert store.segment_head(run.run_id, segment.number).count == 1


def test_nobody_has_all_of_a_run_while_others_have_joined_it(run: RunSnapshot, opened: Open) -> None:
    first, second = opened(), opened()
    first.join(run.run_id)
    with pytest.raises(RunLockedError, match="process"):
        second.acquire(run.run_id)
    first.leave(run.run_id)
    second.acquire(run.run_id)
    with pytest.raises(RunLockedError, match="process"):
        first.join(run.run_id)
    second.release(run.run_id)
    first.join(run.run_id)


def test_a_run_is_ended_once_by_whoever_finishes_last(run: RunSnapshot, opened: Open) -> None:
    stores = [opened(), opened(), opened()]
    for number, store in enumerate(stores):
        store.join(run.run_id)
        segment = claimed(store, run)
        head = append(store, run, segment, 2 * number)
        assert not end_run(store, run.run_id, "generate")
        assert not store.is_worked_off(run.run_id)
        store.finish(run.run_id, segment.number, head)
    assert stores[0].is_worked_off(run.run_id)
    assert [end_run(store, run.run_id, "generate") for store in stores] == [True, False, False]
    assert stores[0].manifest(run.run_id) is None
    assert [*broken_links(stores[0].events(run.run_id), stores[0].head(run.run_id))] == []
    (line,) = stores[0].list_runs()
    assert (line.status, line.event_count) == ("completed", len(list(stores[0].events(run.run_id))))


def test_an_attempt_that_failed_is_over_and_the_next_does_every_segment(run: RunSnapshot, opened: Open) -> None:
    store = opened()
    store.join(run.run_id)
    segment = claimed(store, run)
    store.finish(run.run_id, segment.number, append(store, run, segment, 0))
    failed = partial(failure, run)
    assert end(store, run.run_id, failed, done=False)
    assert store.claim(run.run_id) is None
    assert not end(store, run.run_id, failed, done=False)
    begin(store, run.run_id, "{}", run_started(store, run.run_id, RunLabels()))
    assert [claimed(store, run).number for _ in range(3)] == [0, 1, 2]


def failure(run: RunSnapshot, _count: int) -> RunFailedEvent:
    return RunFailedEvent(run_id=run.run_id, occurred_at=NOW, error_message="on purpose")


def test_a_segment_claimed_in_an_attempt_that_is_over_is_not_done_in_the_next(run: RunSnapshot, opened: Open) -> None:
    slow, other = opened(), opened()
    slow.join(run.run_id)
    other.join(run.run_id)
    segment = claimed(slow, run)
    head = append(slow, run, segment, 0)
    assert end(other, run.run_id, partial(failure, run), done=False)
    begin(other, run.run_id, "{}", run_started(other, run.run_id, RunLabels()))
    with pytest.raises(StoreError, match="another writer"):
        slow.finish(run.run_id, segment.number, head)


def test_who_acquires_a_divided_run_writes_behind_its_segments(run: RunSnapshot, opened: Open) -> None:
    worker, alone = opened(), opened()
    worker.join(run.run_id)
    segment = claimed(worker, run)
    append(worker, run, segment, 0)
    worker.leave(run.run_id)
    result = PIPELINE.experiment().run(store=alone)
    assert result.status.value == "completed"
    events = list(read_events(alone, run.run_id))
    assert [event.event_type for event in events][-1] == "run_completed"
    assert verify(alone, run.run_id).broken_links == ()
    with pytest.raises(StoreError):
        append(worker, run, segment, 1)


@pytest.mark.parametrize("how", ["label", "import"])
def test_who_adds_to_a_run_that_many_left_says_where_its_segments_end_and_says_it_once(
    run: RunSnapshot, opened: Open, how: str
) -> None:
    whole, worker, store = InMemoryRunStore(), opened(), opened()
    PIPELINE.experiment().run(store=whole)
    worker.join(run.run_id)
    segment = claimed(worker, run)
    chain = SegmentChain(worker, run.run_id, segment, range(0))
    made = [Entry(0, read_event(one, whole.blob), one.cache_key) for one in whole.case_events(run.run_id, 0)]
    chain.append(link_all(chain.head(), made)[0], {})
    worker.leave(run.run_id)
    bundle = export_generation_bundle(whole, run.run_id)
    for who in ("ada", "grace"):
        if how == "label":
            give_labels(store, run.run_id, [HumanLabel(case_id="0", metric_id="scripted/metric0", value=True, who=who)])
        else:
            import_generation_bundle(store, bundle)
    joined = [event for event in read_events(store, run.run_id) if isinstance(event, RunJoinedEvent)]
    heads = [segment.head for segment in store.segments(run.run_id)]
    assert [each.heads for each in joined][1:] == [joined_digest(heads)]
    assert verify(store, run.run_id, experiment=PIPELINE.experiment()).broken_links == ()


def test_a_divided_run_can_be_cleared_and_made_anew(run: RunSnapshot, opened: Open) -> None:
    store = opened()
    store.clear_run(run.run_id)
    assert store.head(run.run_id) == ChainHead()
    assert store.segment_size(run.run_id) is None
    assert PIPELINE.experiment().run(store=store).status.value == "completed"


def test_the_sequence_of_who_writes_alone_follows_all_that_is_stored(run: RunSnapshot, opened: Open) -> None:
    store = opened()
    store.join(run.run_id)
    segment = claimed(store, run)
    head = append(store, run, segment, 0)
    store.leave(run.run_id)
    store.acquire(run.run_id)
    assert store.head(run.run_id).last > head.last
    stored: list[StoredEvent] = list(store.events(run.run_id))
    assert stored == sorted(stored, key=lambda event: event.sequence)


def test_an_open_store_that_workers_could_not_find_is_refused_before_anything_is_begun(opened: Open) -> None:
    store = opened()
    with pytest.raises(SpecError, match="give its place"):
        PIPELINE.experiment().run(store=store, engine=Processes(workers=1))
    assert store.list_runs() == ()
