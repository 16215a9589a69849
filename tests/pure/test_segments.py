"""Runs of many writers: positions, divisions, and chains that are a tree; every tampering with one is named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.chain import Entry, broken_links, link_all
from themis.pure.errors import SpecError
from themis.pure.events import (
    GenerationCompletedEvent,
    RunCompletedEvent,
    RunDividedEvent,
    RunEvent,
    RunJoinedEvent,
    RunStartedEvent,
)
from themis.pure.records.generation import GenerationResult
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.segments import (
    MOST_CLAIMS,
    MOST_SEGMENTS,
    RUN_CHAIN,
    Division,
    Position,
    divided,
    first_digest,
    joined_digest,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(0, MOST_CLAIMS), st.integers(0, MOST_SEGMENTS), st.integers(0, 2**29 - 1))
def test_a_sequence_says_its_position_and_fits_into_64_bits(claim: int, chain: int, number: int) -> None:
    position = Position(claim, chain, number)
    assert Position.of(position.sequence) == position
    assert 0 <= position.sequence < 2**63


@given(st.integers(1, 2**29 - 1))
def test_a_run_that_is_not_divided_counts_its_events(number: int) -> None:
    assert Position.of(number) == (0, RUN_CHAIN, number)


@given(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 99)), st.data())
def test_a_later_claim_comes_later(first: tuple[int, int, int], data: st.DataObject) -> None:
    later = data.draw(st.tuples(st.integers(first[0] + 1, 99), st.integers(0, 9), st.integers(1, 99)))
    assert Position(*first).sequence < Position(*later).sequence


@given(st.integers(1, 10**7), st.integers(1, 10**4))
def test_a_division_has_every_case_once_in_order(cases: int, size: int) -> None:
    division = Division(cases=cases, size=size)
    assert division[0].start == 0
    assert division[len(division) - 1].stop == cases
    assert all(1 <= len(division[number]) <= size for number in {0, len(division) // 2, len(division) - 1})
    middle = len(division) // 2
    assert middle == 0 or division[middle - 1].stop == division[middle].start


@pytest.mark.parametrize(("cases", "size"), [(0, 1), (10, 0), (10, -1), (MOST_SEGMENTS + 1, 1)])
def test_a_run_that_can_not_be_divided_so_says_what_it_can(cases: int, size: int) -> None:
    with pytest.raises(SpecError, match=r"at least|without cases"):
        divided(cases, size)
    assert len(divided(MOST_SEGMENTS, 1)) == MOST_SEGMENTS


# --- trees of chains ---------------------------------------------------------------------------------------


def made(case: int) -> RunEvent:
    return GenerationCompletedEvent(
        run_id="r",
        occurred_at=NOW,
        case_id=str(case),
        dataset_id="d",
        case_key=f"d/{case}",
        candidate_id=f"c{case}",
        candidate_index=0,
        result=GenerationResult(candidate_id=f"c{case}", final_output=str(case)),
    )


@attrs.define
class Written:
    """A run as several processes write it."""

    events: list[StoredEvent] = attrs.field(factory=list)
    heads: dict[int, ChainHead] = attrs.field(factory=lambda: {RUN_CHAIN: ChainHead()})
    claim: int = 0
    segments: int = 0

    def write(self, chain: int, *entries: Entry) -> None:
        head = self.heads[chain]
        start = ChainHead(head.count, head.digest, Position(self.claim, chain, head.count).sequence)
        events, _, self.heads[chain] = link_all(start, entries)
        self.events += events

    def divide(self, segments: int) -> None:
        self.write(RUN_CHAIN, Entry(None, RunDividedEvent(run_id="r", occurred_at=NOW, segment_size=10)))
        root = self.heads[RUN_CHAIN].digest
        self.segments = segments
        self.heads |= {n + 1: ChainHead(0, first_digest(root, n)) for n in range(segments)}

    def join(self, *then: RunEvent) -> None:
        self.claim += 1
        heads = joined_digest(self.heads[n + 1] for n in range(self.segments))
        joined = RunJoinedEvent(run_id="r", occurred_at=NOW, segments=self.segments, heads=heads)
        self.write(RUN_CHAIN, Entry(None, joined), *(Entry(None, event) for event in then))

    @property
    def head(self) -> ChainHead:
        run = self.heads[RUN_CHAIN]
        return ChainHead(len(self.events), run.digest, run.last)

    def ordered(self) -> list[StoredEvent]:
        return sorted(self.events, key=lambda event: event.sequence)


@st.composite
def written_runs(draw: st.DrawFn) -> Written:
    """Runs that one process may have begun, that many went on with, died in between, and ended."""
    run, segments = Written(), draw(st.integers(1, 4))
    run.write(RUN_CHAIN, Entry(None, RunStartedEvent(run_id="r", occurred_at=NOW)))
    for case in draw(st.lists(st.integers(0, 39), max_size=3)):
        run.write(RUN_CHAIN, Entry(case, made(case)))
    run.divide(segments)
    for _ in range(draw(st.integers(1, 2))):
        run.join(RunStartedEvent(run_id="r", occurred_at=NOW))
        for chain in draw(st.lists(st.integers(1, segments), max_size=8)):
            run.claim += 1
            cases = draw(st.lists(st.integers(10 * (chain - 1), 10 * chain - 1), min_size=1, max_size=3))
            run.write(chain, *(Entry(case, made(case)) for case in cases))
        if draw(st.booleans()):
            run.join(RunCompletedEvent(run_id="r", occurred_at=NOW, completed_through_stage="judge"))
    run.join(RunCompletedEvent(run_id="r", occurred_at=NOW, completed_through_stage="judge"))
    return run


@given(written_runs())
def test_the_chains_of_a_run_of_many_writers_are_whole(run: Written) -> None:
    assert [*broken_links(run.ordered(), run.head)] == []


def _changed(event: StoredEvent, **fields: Any) -> StoredEvent:
    return attrs.evolve(event, **fields)


@given(written_runs(), st.data())
def test_what_is_changed_taken_away_or_put_elsewhere_is_named(run: Written, data: st.DataObject) -> None:
    events = run.ordered()
    place = data.draw(st.integers(0, len(events) - 1))
    how = data.draw(st.sampled_from(("payload", "key", "drop", "tail", "chain")))
    tampered: Sequence[StoredEvent]
    if how == "drop":
        tampered = events[:place] + events[place + 1 :]
    elif how == "tail":  # the end of a chain, head and all
        chain = Position.of(events[place].sequence).chain
        last = max(i for i, event in enumerate(events) if Position.of(event.sequence).chain == chain)
        tampered = events[:last] + events[last + 1 :]
    else:
        position = Position.of(events[place].sequence)
        other = position._replace(chain=position.chain + 1).sequence
        fields: dict[str, dict[str, Any]] = {
            "payload": {"payload": events[place].payload.replace("2026", "2027")},
            "key": {"cache_key": "ff"},
            "chain": {"sequence": other},
        }
        tampered = sorted(
            [*events[:place], _changed(events[place], **fields[how]), *events[place + 1 :]],
            key=lambda event: event.sequence,
        )
    assert [*broken_links(tampered, run.head)] != []


@given(written_runs(), st.data())
def test_events_of_two_chains_of_one_case_can_not_change_places(run: Written, data: st.DataObject) -> None:
    """What one process wrote of a case, and another later, is of one order: that of the claims."""
    moved = [event for event in run.ordered() if Position.of(event.sequence).chain != RUN_CHAIN]
    if not moved:
        return
    chain = Position.of(data.draw(st.sampled_from(moved)).sequence).chain
    claims = [Position.of(event.sequence).claim for event in moved if Position.of(event.sequence).chain == chain]
    offset = data.draw(st.sampled_from([run.claim + 1, -min(claims)]))

    def elsewhere(event: StoredEvent) -> StoredEvent:
        position = Position.of(event.sequence)
        if position.chain != chain:
            return event
        return _changed(event, sequence=position._replace(claim=position.claim + offset).sequence)

    tampered = sorted(map(elsewhere, run.events), key=lambda event: event.sequence)
    assert [*broken_links(tampered, run.head)] != []
