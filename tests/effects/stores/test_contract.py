"""What every store does, whatever it is made of: one suite, run against each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from themis.api.experiment.evaluate import evaluate
from themis.api.experiment.verify import verify
from themis.api.runs.result import RunResult
from themis.api.runs.view import RunView
from themis.api.stores import open_store
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.chain import read_event
from themis.pure.components.basic import DemoModel
from themis.pure.errors import RunLockedError, RunNotFoundError, StoreError
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.records.dataset import Case, CaseSource
from themis.pure.records.results import RunStatus
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.state import fold
from themis.testing.pipelines import Pipeline, pipelines
from themis.testing.stores import MadeRun, made_run, made_runs

Fresh = Callable[[str], StorageConfig]
# The fixtures only name places: every example takes a new one.
# A third of the examples that are usual: each is a whole run in a whole store.
each_store = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=settings().max_examples // 3,
)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=3)


def assert_holds(store: RunStore, run: MadeRun) -> None:
    """A store gives a run back as it was written, whichever way it is asked."""
    run_id, events = run.run_id, run.events
    snapshot = store.load_snapshot(run_id)
    assert snapshot == run.snapshot
    assert snapshot.to_dict() == run.snapshot.to_dict()
    assert snapshot.run_id == run_id
    assert list(store.events(run_id)) == list(events)
    assert store.head(run_id) == ChainHead(events[-1].sequence, events[-1].digest)
    assert list(store.run_events(run_id)) == [event for event in events if event.case_no is None]
    cases = sorted({event.case_no for event in events if event.case_no is not None})
    by_case = {number: [event for event in events if event.case_no == number] for number in cases}
    assert list(store.events_by_case(run_id)) == [event for number in cases for event in by_case[number]]
    assert {number: list(store.case_events(run_id, number)) for number in cases} == by_case
    assert list(store.case_events(run_id, 10**6)) == []
    for ref, content in run.blobs.items():
        assert store.blob(ref) == content
    metrics = [ref.component_id for ref in run.snapshot.identity.metric_refs]
    settled = [
        number
        for number in cases
        if metrics
        and sum(e.event_type == "score_completed" for e in by_case[number]) == len(metrics)
        and not any(e.event_type.endswith("_failed") for e in by_case[number])
    ]
    assert list(store.settled_cases(run_id, len(metrics))) == settled
    assert list(store.settled_cases(run_id, 0)) == []
    line = next(line for line in store.list_runs() if line.run_id == run_id)
    assert (line.event_count, line.status) == (len(events), "completed")
    assert line.total_cases == sum(len(dataset.cases) for dataset in run.snapshot.datasets)
    assert list(line.metric_ids) == metrics
    assert line.started_at is not None
    assert line.updated_at is not None


@given(run=made_runs(), sizes=sizes)
@each_store
def test_runs_come_back_as_they_were_written(kind: str, fresh: Fresh, run: MadeRun, sizes: list[int]) -> None:
    config = fresh(kind)
    with closing(open_store(config)) as store:
        assert store.head(run.run_id) == ChainHead()
        run.write(store, sizes)
        assert_holds(store, run)
        store.persist_snapshot(run.snapshot)
        assert_holds(store, run)
        if kind != "memory":
            with closing(open_store(config)) as other:
                assert_holds(other, run)
    if kind != "memory":
        with closing(open_store(config)) as store:
            assert_holds(store, run)


@given(run=made_runs(), part=st.floats(0, 1))
@each_store
def test_a_listing_and_a_result_say_where_the_fold_says_a_run_stands(
    kind: str, fresh: Fresh, run: MadeRun, part: float
) -> None:
    events = run.events[: round(part * len(run.events))]  # as a crash may leave it
    with closing(open_store(fresh(kind))) as store:
        store.persist_snapshot(run.snapshot)
        store.append(run.run_id, events, run.blobs)
        folded = fold(run.run_id, (read_event(event, store.blob) for event in events))
        (line,) = store.list_runs()
        result = RunResult(snapshot=run.snapshot, store=store)
        # Whether cases have errors is told by what reads them: a listing does not.
        # Whether somebody still writes is told by the store: nobody does here.
        state = RunStatus.INTERRUPTED if folded.status == RunStatus.RUNNING else folded.status
        assert line.status == came_to(state) == came_to(result.status)
        store.acquire(run.run_id)
        (line,) = store.list_runs()
        assert line.status == came_to(folded.status) == came_to(RunView.of(store, run.run_id).status(lambda: False))
        assert line.event_count == len(events)


def came_to(status: RunStatus) -> str:
    return "completed" if status == "partial_failure" else status.value


WORDS = st.sampled_from(["baseline", "t=0", "ünï 🎉", '"event_type":"run_started"', "x" * 300])
ATTEMPTS = st.lists(st.tuples(st.none() | WORDS, st.lists(WORDS, max_size=3)), min_size=1, max_size=4)


@given(attempts=ATTEMPTS)
@each_store
def test_a_run_keeps_its_last_name_and_all_tags_and_stays_the_run(
    kind: str, fresh: Fresh, attempts: list[tuple[str | None, list[str]]]
) -> None:
    said = '{"case_no":null,"event_type":"run_started","name":"forged"}'
    rows = [{"case_id": said, "input": said, "expected_output": said}]
    with closing(open_store(fresh(kind))) as store:
        model, metric = DemoModel(error_rate=0.5), "builtin/exact_match"
        *_, made = [
            evaluate(model=model, data=rows, metric=metric, store=store, name=name, tags=tags)
            for name, tags in attempts
        ]
        (line,) = store.list_runs()
        names = [name for name, _ in attempts if name is not None]
        assert line.name == (names[-1] if names else None)
        assert line.tags == tuple(dict.fromkeys(tag for _, tags in attempts for tag in tags))
        assert line.settings == {"error_rate": 0.5}
        assert (line.name, line.tags) == (made.view.ending.labels.name, made.view.ending.labels.tags)
        assert made.view.ending.attempts == len(attempts)
        assert store.load_snapshot(line.run_id).descriptions["generator"] == {"error_rate": 0.5}
        assert verify(store, line.run_id).ok


@given(runs=st.lists(made_runs(), min_size=1, max_size=3, unique_by=lambda run: run.run_id), sizes=sizes)
@each_store
def test_of_events_under_one_cache_key_the_newest_runs_last_counts(
    kind: str, fresh: Fresh, runs: list[MadeRun], sizes: list[int]
) -> None:
    expected: dict[str, tuple[str, StoredEvent]] = {}
    with closing(open_store(fresh(kind))) as store:
        for run in runs:
            run.write(store, sizes)
            expected.update({e.cache_key: (run.run_id, e) for e in run.events if e.cache_key is not None})
            assert dict(store.cached([*expected, "0" * 64])) == expected
        assert [line.run_id for line in store.list_runs()] == [run.run_id for run in reversed(runs)]


@given(runs=st.lists(made_runs(), min_size=2, max_size=3, unique_by=lambda run: run.run_id), data=st.data())
@each_store
def test_clearing_a_run_takes_what_no_other_run_uses(
    kind: str, fresh: Fresh, runs: list[MadeRun], data: st.DataObject
) -> None:
    with closing(open_store(fresh(kind))) as store:
        for run in runs:
            run.write(store)
        cleared = data.draw(st.sampled_from(runs))
        store.clear_run(cleared.run_id)
        kept = [run for run in runs if run is not cleared]
        for run in kept:
            assert_holds(store, run)
        used = {ref for run in kept for ref in run.blobs}
        for ref in set(cleared.blobs) - used:
            with pytest.raises(StoreError, match=ref):
                store.blob(ref)
        keys = {e.cache_key for run in kept for e in run.events}
        gone = [e.cache_key for e in cleared.events if e.cache_key is not None and e.cache_key not in keys]
        assert not store.cached(gone)
        for ask in (store.load_snapshot, store.clear_run, store.run_events, lambda i: list(store.events(i))):
            with pytest.raises(RunNotFoundError, match=cleared.run_id):
                ask(cleared.run_id)
        assert store.head(cleared.run_id) == ChainHead()
        assert [line.run_id for line in store.list_runs()] == [run.run_id for run in reversed(kept)]
        cleared.write(store)
        for run in runs:
            assert_holds(store, run)


@pytest.fixture(scope="module")
def run() -> MadeRun:
    """A run with a large artifact."""
    store = InMemoryRunStore()
    pipeline = Pipeline(
        cases=5, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    result = pipeline.experiment().run(store=store)
    made = made_run(store, result.run_id)
    return MadeRun(made.snapshot, made.events, {"ab" * 32: b"large"})


@pytest.mark.parametrize("first", [0, 2], ids=["the same again", "a gap"])
def test_events_that_do_not_follow_the_last_are_refused(
    kind: str, fresh: Fresh, opened: Callable[[StorageConfig], RunStore], run: MadeRun, first: int
) -> None:
    store = opened(fresh(kind))
    with pytest.raises(RunNotFoundError, match=run.run_id):
        store.append(run.run_id, run.events[:1], {})
    store.persist_snapshot(run.snapshot)
    store.append(run.run_id, run.events[:1], {})
    store.append(run.run_id, [], {})
    with pytest.raises(StoreError, match="another writer"):
        store.append(run.run_id, run.events[first : first + 2], {"cd" * 32: b"not kept"})
    assert list(store.events(run.run_id)) == [run.events[0]]
    with pytest.raises(StoreError, match="cd" * 32):
        store.blob("cd" * 32)
    store.append(run.run_id, run.events[1:], {})
    assert_holds(store, MadeRun(run.snapshot, run.events, {}))


class Failing(CaseSource):
    """Cases that can't be read to their end."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Case]:
        yield Case(case_id="0", input="fine")
        raise OSError("the disk is gone")


def test_a_snapshot_is_kept_whole_or_not_at_all(
    kind: str, fresh: Fresh, opened: Callable[[StorageConfig], RunStore], run: MadeRun
) -> None:
    if kind == "memory":
        pytest.skip("the memory store keeps the snapshot itself, and reads no cases")
    store = opened(fresh(kind))
    broken = run.snapshot.evolve(datasets=[run.snapshot.datasets[0].evolve(cases=Failing())])
    with pytest.raises((OSError, StoreError), match="the disk is gone"):
        store.persist_snapshot(broken)
    assert not store.list_runs()
    with pytest.raises(RunNotFoundError):
        store.load_snapshot(run.run_id)
    run.write(store)
    assert_holds(store, MadeRun(run.snapshot, run.events, {}))


@pytest.mark.parametrize("there_before", [0, 3])
def test_a_transaction_keeps_all_or_nothing(
    kind: str, fresh: Fresh, opened: Callable[[StorageConfig], RunStore], run: MadeRun, there_before: int
) -> None:
    config = fresh(kind)
    store = opened(config)
    other = store if kind == "memory" else opened(config)
    if there_before:
        store.persist_snapshot(run.snapshot)
        store.append(run.run_id, run.events[:there_before], {})
    before = store.head(run.run_id)
    for fails in (True, False):
        store.acquire(run.run_id)
        with contextlib.suppress(KeyboardInterrupt), store.transaction(run.run_id):
            store.persist_snapshot(run.snapshot)
            for start in range(there_before, len(run.events), 2):
                store.append(run.run_id, run.events[start : start + 2], run.blobs)
            assert store.head(run.run_id).count == len(run.events)
            if kind != "memory":
                assert other.head(run.run_id) == before
            if fails:
                raise KeyboardInterrupt
        store.release(run.run_id)
        if fails:
            assert store.head(run.run_id) == other.head(run.run_id) == before
            assert len(store.list_runs()) == bool(there_before)
    assert_holds(store, run)
    assert_holds(other, run)


def test_a_run_has_one_writer_at_a_time(
    kind: str, fresh: Fresh, opened: Callable[[StorageConfig], RunStore], run: MadeRun
) -> None:
    config = fresh(kind)
    first = opened(config)
    second = first if kind == "memory" else opened(config)
    first.acquire(run.run_id)
    with pytest.raises(RunLockedError, match="process"):
        second.acquire(run.run_id)
    second.acquire("f" * 64)  # another run is free
    first.release(run.run_id)
    second.acquire(run.run_id)
    second.release(run.run_id)


@given(pipeline=pipelines(max_cases=4))
@settings(each_store, max_examples=settings().max_examples // 5)
def test_an_experiment_comes_to_the_same_in_every_store(kind: str, fresh: Fresh, pipeline: Pipeline) -> None:
    config = fresh(kind)
    expected = pipeline.experiment().run(store=InMemoryRunStore())
    with closing(open_store(config)) as store:
        pipeline.experiment().run(store=store, until_stage="parse")
        result = pipeline.experiment().run(store=store)
        assert result.digest == expected.digest
        assert result.status == expected.status
        assert result.benchmark.metric_means == expected.benchmark.metric_means
        checked = verify(store, result.run_id, experiment=pipeline.experiment())
        assert checked.broken_links == ()
        assert checked.differences == ()
        assert checked.cases == pipeline.cases
