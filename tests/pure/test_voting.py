"""Votes: the commonest answer wins, ties go to the first, and `holds` is true of every way missing answers could go."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.records.generation import ParsedOutput
from themis.pure.voting import Ballot, ballot, majority

BALLOTS = st.lists(st.sampled_from([b"1", b"2", b"3", None]), max_size=7)


@given(BALLOTS)
def test_no_answer_has_more_votes_than_the_winner(ballots: list[Ballot]) -> None:
    vote, counts = majority(ballots), Counter(cast for cast in ballots if cast is not None)
    if not counts:
        assert vote.winner is None
        return
    assert vote.winner is not None
    winner = ballots[vote.winner] or b""
    assert counts[winner] == vote.votes == max(counts.values())
    firsts = {cast: ballots.index(cast) for cast, count in counts.items() if count == vote.votes}
    assert vote.winner == min(firsts.values())
    assert vote.tied == len(firsts)
    assert vote.cast == sum(counts.values())


@given(st.lists(st.sampled_from([b"1", b"2", None]), max_size=4), st.integers(0, 3))
def test_a_winner_that_holds_wins_whatever_is_added(ballots: list[Ballot], missing: int) -> None:
    vote = majority(ballots)
    won = None if vote.winner is None else ballots[vote.winner]
    outcomes = set()
    for added in itertools.product([b"1", b"2", b"9", None], repeat=missing):
        for first in (True, False):
            everyone = [*added, *ballots] if first else [*ballots, *added]
            again = majority(everyone)
            outcomes.add(None if again.winner is None else everyone[again.winner])
    assert vote.holds(missing) == (outcomes == {won})


def test_values_that_are_equal_as_json_vote_for_one_answer() -> None:
    same = [ParsedOutput(value={"a": 1, "b": [2]}), ParsedOutput(value={"b": [2], "a": 1})]
    assert len({ballot(parsed) for parsed in same}) == 1
    assert ballot(ParsedOutput(value="x", metadata={"invalid": True})) is None
    assert ballot(None) is None
