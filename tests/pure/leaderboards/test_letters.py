"""Letters: two rows share one exactly if they are not told apart, whatever the pattern of decisions."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.leaderboards.letters import letter_groups, letters_of

NAMES = "abcdefgh"
PAIRS = [frozenset(pair) for pair in itertools.combinations(NAMES, 2)]


@given(st.sets(st.sampled_from(PAIRS)), st.permutations(NAMES))
def test_two_rows_share_a_letter_exactly_if_they_are_not_told_apart(
    apart: set[frozenset[str]], names: list[str]
) -> None:
    letters = letters_of(letter_groups(names, apart))
    assert all(letters[name] for name in NAMES)
    for a, b in itertools.combinations(NAMES, 2):
        assert (not set(letters[a]) & set(letters[b])) == (frozenset((a, b)) in apart)


@given(st.sets(st.sampled_from(PAIRS)))
def test_no_letter_could_be_left_out(apart: set[frozenset[str]]) -> None:
    groups = letter_groups(NAMES, apart)
    for group in groups:
        rest = [other for other in groups if other is not group]
        covered = {frozenset(pair) for other in rest for pair in itertools.combinations(other, 2)}
        assert (
            not rest
            or not all(frozenset(pair) in covered for pair in itertools.combinations(group, 2))
            or len(group) == 1
        )


def test_thirty_rows_of_which_every_two_in_fifteen_pairs_differ_take_no_time() -> None:
    # All largest groups of rows that are not told apart would be 2^15.
    names = [f"r{i:02d}" for i in range(30)]
    apart = {frozenset((names[i], names[i + 1])) for i in range(0, 30, 2)}
    groups = letter_groups(names, apart)
    letters = letters_of(groups)
    assert 52 < len(groups) < 388
    for a, b in itertools.combinations(names, 2):
        shared = set(letters[a]) & set(letters[b])
        assert bool(shared) == (frozenset((a, b)) not in apart)
