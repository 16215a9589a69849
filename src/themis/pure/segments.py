"""How a run that many processes write is divided, and where its events stand.

A run is divided into *segments* of consecutive cases, once, by a `run_divided` event. From there on each segment has a
hash chain of its own, which begins at that event's digest; the run's own chain goes on beside them. So a run is a tree
of chains whose root is the division, and `run_joined`, which holds the hash over the segments' ends, closes it again.
The division says nothing of what the run is: identity, results and digest are those of a run that one process made.

Each time that a process takes a segment to write it, or the whole run, that is a *claim*, and the run numbers them. An
event's sequence says by which claim it was stored, in which chain, and as which event of that:

>>> position = Position(claim=2, chain=5, number=7)
>>> Position.of(position.sequence) == position
True

So sequences grow in the order in which a case's events came to be, whoever wrote them, and what one process wrote
before the run was divided keeps its place: it is of claim 0 and chain 0, where a sequence is the number of the event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

import attrs

from themis.pure.errors import SpecError
from themis.pure.records.stored import ChainHead

_NUMBER_BITS: Final = 29
_CHAIN_BITS: Final = 14
_NUMBERS: Final = 1 << _NUMBER_BITS
MOST_SEGMENTS: Final = (1 << _CHAIN_BITS) - 1
MOST_CLAIMS: Final = (1 << 63 - _NUMBER_BITS - _CHAIN_BITS) - 1
"""What fits into a sequence, which stores keep in 64 bits with a sign."""

RUN_CHAIN: Final = 0
"""The run's own chain; that of segment n is n + 1."""


class Position(NamedTuple):
    """Where an event of a divided run stands.

    Attributes:
        claim: the claim by which it was stored; 0 before the run was divided.
        chain: the run's own chain, or one more than the segment whose chain it is.
        number: which event of that chain it is, from 1.
    """

    claim: int
    chain: int
    number: int

    @property
    def sequence(self) -> int:
        return (self.claim << _CHAIN_BITS | self.chain) << _NUMBER_BITS | self.number

    @classmethod
    def of(cls, sequence: int) -> Position:
        above, number = divmod(sequence, _NUMBERS)
        claim, chain = divmod(above, MOST_SEGMENTS + 1)
        return cls(claim, chain, number)


@attrs.frozen
class Division:
    """A run's cases in segments of equal size; the last may be shorter.

    Attributes:
        cases: how many cases the run has.
        size: how many a segment has.

    >>> division = Division(cases=5, size=2)
    >>> len(division), list(division[0]), list(division[2])
    (3, [0, 1], [4])
    """

    cases: int
    size: int

    def __len__(self) -> int:
        """Return the number of segments."""
        return -(-self.cases // self.size)

    def __getitem__(self, segment: int) -> range:
        """Return the numbers of a segment's cases."""
        if not 0 <= segment < len(self):
            raise IndexError(f"segment {segment}: the run has {len(self)}")
        return range(segment * self.size, min((segment + 1) * self.size, self.cases))


def divided(cases: int, size: int) -> Division:
    """Return how so many cases are divided into segments of a size.

    Raises:
        SpecError: there would be none, or more than a run can have.
    """
    if cases < 1:
        raise SpecError("a run without cases can't be divided")
    division = Division(cases=cases, size=size) if size > 0 else None
    if division is None or len(division) > MOST_SEGMENTS:
        least = -(-cases // MOST_SEGMENTS)
        raise SpecError(f"segment size: at least {least:,} of {cases:,} cases expected, found {size:,}")
    return division


def first_digest(division_digest: str, segment: int) -> str:
    """Return what the first event of a segment is chained to.

    Args:
        division_digest: the digest of the `run_divided` event.
        segment: the segment, from 0.
    """
    return hashlib.sha256(f"{division_digest}\nsegment {segment}".encode()).hexdigest()


def joined_digest(heads: Iterable[ChainHead]) -> str:
    """Return the hash over the ends of all segments' chains, in the order of the segments."""
    hashed = hashlib.sha256()
    for head in heads:
        hashed.update(f"{head.count} {head.digest}\n".encode())
    return hashed.hexdigest()
