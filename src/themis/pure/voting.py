"""Votes over answers: which of several is the commonest, and whether answers that are missing could change that.

Answers are compared as canonical JSON. Of equally common ones, the one that came first wins (Wang et al. 2023,
arXiv 2203.11171, vote over final answers and break ties in no stated way).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from themis.pure.json import canonical_bytes
from themis.pure.records.generation import ParsedOutput

Ballot = bytes | None
"""An answer as it is compared; `None` for one that can't be used: it votes for nothing."""


def ballot(parsed: ParsedOutput | None) -> Ballot:
    """Return what a parsed answer votes for.

    >>> ballot(ParsedOutput(value=[1, "a"])), ballot(ParsedOutput(value=None))
    (b'[1,"a"]', None)
    """
    return canonical_bytes(parsed.value) if parsed is not None and parsed.usable else None


@attrs.frozen
class Vote:
    """How a vote came out.

    Attributes:
        winner: the place of the first answer that voted for the winner; `None` if no answer can be used.
        votes: how many voted for it.
        cast: how many voted at all.
        tied: how many different answers have as many votes as the winner, the winner among them.
        runner_up: the votes of the next best answer, 0 if there is none.
    """

    winner: int | None
    votes: int
    cast: int
    tied: int
    runner_up: int

    def holds(self, missing: int) -> bool:
        """Tell whether the winner is sure: the same whatever `missing` more answers had said, wherever they stood."""
        return not missing or self.votes > self.runner_up + missing


def majority(ballots: Sequence[Ballot]) -> Vote:
    """Return how answers voted.

    >>> majority([b"4", b"5", b"5", None])
    Vote(winner=1, votes=2, cast=3, tied=1, runner_up=1)
    >>> majority([b"4", b"5"]).winner, majority([None]).winner
    (0, None)
    """
    counts = Counter(cast for cast in ballots if cast is not None)
    if not counts:
        return Vote(None, 0, 0, 0, 0)
    best, *others = counts.most_common()  # equal counts in the order in which they first came
    return Vote(
        winner=ballots.index(best[0]),
        votes=best[1],
        cast=counts.total(),
        tied=sum(count == best[1] for count in counts.values()),
        runner_up=others[0][1] if others else 0,
    )
