"""What the workers of a run share in PostgreSQL: a rate, slots for calls under way, a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from themis.effects.stores.postgres import PostgresRunStore
from themis.pure.limits import Budget, Estimate
from themis.pure.records.config import StorageConfig
from themis.testing.pipelines import Pipeline

pytestmark = pytest.mark.postgres
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")

PIPELINE = Pipeline(
    cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
)


@pytest.fixture
def stores(fresh: Callable[[str], StorageConfig]) -> Iterator[list[PostgresRunStore]]:
    """Three workers of one run."""
    config, snapshot = fresh("postgres"), PIPELINE.experiment().compile()
    with ExitStack() as stack:
        opened = [stack.enter_context(PostgresRunStore(**config.parameters)) for _ in range(3)]  # type: ignore[arg-type]  # JSON
        opened[0].persist_snapshot(snapshot)
        for store in opened:
            store.join(snapshot.run_id)
        yield opened


@pytest.fixture
def run_id() -> str:
    return PIPELINE.experiment().compile().run_id


def test_workers_are_counted_while_they_live(stores: list[PostgresRunStore], run_id: str) -> None:
    assert [store.workers(run_id) for store in stores] == [3, 3, 3]
    stores[2].close()
    deadline = time.monotonic() + 60
    while stores[0].workers(run_id) != 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stores[0].workers(run_id) == 2


SECONDS = 6_000.0
RARELY = 60.0 / SECONDS
"""So rarely that the time which the asking takes is nothing beside it."""


def test_a_rate_is_handed_out_evenly_to_all(stores: list[PostgresRunStore], run_id: str) -> None:
    waits = [stores[number % 3].take_rate(run_id, "requests e", RARELY, 1.0) for number in range(9)]
    assert waits == [pytest.approx(SECONDS * number, abs=600.0) for number in range(9)]
    assert stores[0].take_rate(run_id, "requests other", RARELY, 1.0) == 0.0


def test_what_was_not_used_is_given_back_and_none_is_saved_up(stores: list[PostgresRunStore], run_id: str) -> None:
    assert stores[0].take_rate(run_id, "tokens e", RARELY, 100.0) == 0.0
    assert stores[1].take_rate(run_id, "tokens e", RARELY, 1.0) == pytest.approx(100.0 * SECONDS, abs=600.0)
    stores[0].take_rate(run_id, "tokens e", RARELY, -90.0)
    assert stores[1].take_rate(run_id, "tokens e", RARELY, 1.0) == pytest.approx(11.0 * SECONDS, abs=600.0)
    stores[0].take_rate(run_id, "tokens e", RARELY, -1_000.0)  # more than was taken: no credit
    assert stores[1].take_rate(run_id, "tokens e", RARELY, 10.0) == 0.0
    assert stores[1].take_rate(run_id, "tokens e", RARELY, 1.0) == pytest.approx(10.0 * SECONDS, abs=600.0)


def test_slots_are_one_worker_s_at_a_time_and_the_dead_give_theirs_back(
    stores: list[PostgresRunStore], run_id: str
) -> None:
    first = stores[0].take_slots(run_id, "calls", 5, 2)
    second = stores[1].take_slots(run_id, "calls", 5, 2)
    third = stores[2].take_slots(run_id, "calls", 5, 2)
    assert (len(first), len(second), len(third)) == (2, 2, 1)
    assert {*first, *second, *third} == set(range(5))
    assert stores[0].take_slots(run_id, "calls", 5, 1) == []
    assert len(stores[0].take_slots(run_id, "endpoint e", 5, 5)) == 5, "another limit has slots of its own"
    stores[1].give_slots_back(run_id, "calls", second[:1])
    assert stores[2].take_slots(run_id, "calls", 5, 4) == second[:1]
    stores[0].close()
    deadline = time.monotonic() + 60
    freed: list[int] = []
    while len(freed) < 2 and time.monotonic() < deadline:
        freed += stores[1].take_slots(run_id, "calls", 5, 5)
        time.sleep(0.01)
    assert sorted(freed) == sorted(first)


def test_a_budget_has_room_or_may_have_or_never_will(stores: list[PostgresRunStore], run_id: str) -> None:
    def budget() -> Budget:
        return Budget(max_tokens=100)

    ten, most = Estimate(tokens=10), Estimate(tokens=90)
    stores[0].set_spending(run_id, {"generate": (5, 0.0)})
    assert stores[0].reserve(run_id, "generate", most, budget) is True
    assert stores[1].reserve(run_id, "judge", ten, budget) is None, "once the other call has ended there may be room"
    assert stores[1].reserve(run_id, "judge", Estimate(tokens=96), budget) is False
    stores[0].spend(run_id, "generate", freed=most, used=Estimate(tokens=80))
    assert stores[1].reserve(run_id, "judge", ten, budget) is True
    stores[1].spend(run_id, "judge", freed=ten, used=ten)
    assert stores[2].reserve(run_id, "generate", ten, budget) is False


def test_what_the_dead_had_reserved_is_free_again(stores: list[PostgresRunStore], run_id: str) -> None:
    def budget() -> Budget:
        return Budget(max_cost=1.0)

    stores[0].set_spending(run_id, {})
    assert stores[0].reserve(run_id, "generate", Estimate(cost=0.9), budget) is True
    assert stores[1].reserve(run_id, "generate", Estimate(cost=0.2), budget) is None
    stores[0].close()
    deadline = time.monotonic() + 60
    while not (room := stores[1].reserve(run_id, "generate", Estimate(cost=0.2), budget)):
        assert room is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
