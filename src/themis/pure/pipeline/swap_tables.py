"""A case under all combinations of what differs between two runs; what can't be told apart is one factor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from themis.pure.attribution import SwappedCase
from themis.pure.pipeline.effects import Ask
from themis.pure.pipeline.stored_only import UnknownScoreError
from themis.pure.pipeline.swapped import Pair, Tally, tally
from themis.pure.pipeline.swaps import CASES, CUT, PREFIX, SAME, TOGETHER, CaseSide, Side, Sides, Swaps


@attrs.frozen
class Swapped:
    """A case under all combinations of what differs, with what is not known of it.

    Attributes:
        table: its scores.
        asks: judge calls that only new calls could answer, because of which factors stand together.
        lacking: components for want of which they do.
    """

    table: SwappedCase
    asks: tuple[Ask, ...] = ()
    lacking: tuple[str, ...] = ()


def swapped_pair(swaps: Swaps, a: CaseSide, b: CaseSide) -> Swapped:
    """Return a case that both runs have under all combinations of what differs between them."""
    pair = Pair(swaps, (a, b))
    factors = list(pair.factors())
    stored = [tally(side.rows) for side in (a, b)]
    if not factors:
        if stored[0] == stored[1]:
            return Swapped(SwappedCase((), (stored[0][0],), (stored[0][1],)))
        factors = [SAME]
    table = _Table(factors, lambda sides: pair.scores(sides) if factors != [SAME] else stored[0])
    table.known[0], table.known[-1] = stored
    table.fill()
    if "samples" in factors:
        table.add_samples(factors.index("samples"), pair)
    return table.merged()


def swapped_single(swaps: Swaps, side: Side, case: CaseSide) -> Swapped:
    """Return a case that only one of the runs has: with the other's settings, as far as that is known."""
    pair = Pair(swaps, (case, case), only=side)
    factors = [CASES, *(setting for setting in swaps.differing if setting != "samples" or pair.has_samples_for(side))]
    there = tally(case.rows)

    def scores(sides: Sides) -> Tally:
        return pair.scores(sides) if sides.get(CASES, 0) == side else (0.0, 0)

    table = _Table(factors, scores)
    table.known[-1 if side else 0] = there
    table.fill()
    if None in table.known:
        totals, counts = zip(*[there if (at & 1) == side else (0.0, 0) for at in range(2)], strict=True)
        return Swapped(SwappedCase((CASES,), totals, counts))
    return Swapped(table.case())


@attrs.define
class _Table:
    """Scores by combination of factors; a factor's bit says that it is as in the second run."""

    factors: list[str]
    scores: Callable[[Sides], Tally]
    known: list[Tally | None] = attrs.Factory(lambda self: [None] * (1 << len(self.factors)), takes_self=True)
    asks: dict[str, Ask] = attrs.field(factory=dict)
    lacking: dict[str, None] = attrs.field(factory=dict)

    def sides(self, combination: int) -> dict[str, Side]:
        return {name: 1 if combination >> at & 1 else 0 for at, name in enumerate(self.factors)}

    def fill(self) -> None:
        for combination, found in enumerate(self.known):
            if found is None:
                try:
                    self.known[combination] = self.scores(self.sides(combination))
                except UnknownScoreError as error:
                    self.asks |= {ask.key: ask for ask in error.asks}
                    self.lacking |= dict.fromkeys(error.lacking)

    def add_samples(self, place: int, pair: Pair) -> None:
        """Take it that samples which one run alone drew would change the scores of the other's answers as its own."""
        if not pair.answers_factors:
            return
        of_answers, of_samples = 1 << self.factors.index(pair.answers_factors[0]), 1 << place
        for at, found in enumerate(self.known):
            if found is None and bool(at & of_answers) != bool(at & of_samples):
                few, more, fewer = at ^ of_samples, at ^ of_answers, at ^ of_answers ^ of_samples
                parts = [self.known[each] for each in (few, more, fewer)]
                if None not in parts:
                    own, theirs, first = (part for part in parts if part is not None)
                    self.known[at] = (own[0] + theirs[0] - first[0], own[1] + theirs[1] - first[1])

    def case(self) -> SwappedCase:
        found = [each for each in self.known if each is not None]
        return SwappedCase(tuple(self.factors), tuple(total for total, _ in found), tuple(count for _, count in found))

    def merged(self) -> Swapped:
        """Return the case; factors whose combinations are not known are one factor."""
        reasons = tuple(self.asks.values()), tuple(self.lacking)
        factors, known = self.factors, self.known
        while None in known:
            choices = [_joined(factors, known, i, j) for j in range(len(factors)) for i in range(j)]
            factors, known = min(choices, key=lambda choice: choice[1].count(None))
        if factors == self.factors:
            reasons = (), ()
        return Swapped(_Table(factors, self.scores, known).case(), *reasons)


def _joined(
    factors: list[str], known: Sequence[Tally | None], first: int, second: int
) -> tuple[list[str], list[Tally | None]]:
    """Return a table in which two factors are swapped at once."""
    names = [f"{factors[first]}{TOGETHER}{factors[second]}" if at == first else name for at, name in enumerate(factors)]
    del names[second]
    joined: list[Tally | None] = [None] * (len(known) // 2)
    for at, found in enumerate(known):
        if not (at >> first ^ at >> second) & 1:  # the second factor's bit is the first's, and is left out
            joined[at & (1 << second) - 1 | at >> second + 1 << second] = found
    return names, joined


_MOSTLY: Final = 0.8
"""The part of the answers that differ from which on it is no accident that one goes on where the other ends."""


def told_cuts(cases: Sequence[SwappedCase], generation: str) -> str:
    """Return what answers differ by one of which goes on where the other ends: they are cut, or differ as others do."""
    counts = Counter(name for case in cases for name in case.factors if name in (PREFIX, CUT, generation))
    return CUT if counts[PREFIX] + counts[CUT] >= _MOSTLY * counts.total() else generation
