"""The tree of hashes over a seal's leaves: that of RFC 9162, section 2.1, with SHA-256.

A leaf and a node begin with different bytes before they are hashed, so that no node passes for a leaf: without that, a
file could show two hashes of the tree as if they were a case. Where a level has an odd number of nodes, the last one
goes up as it is; this is the RFC's tree, whose left half is the largest power of two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import attrs

HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@attrs.define
class Root:
    """The root over leaves that come one by one; a few hashes are held.

    >>> root = Root()
    >>> for leaf in (b"a", b"b", b"c"):
    ...     root.add(leaf_hash(leaf))
    >>> root.digest() == node_hash(node_hash(leaf_hash(b"a"), leaf_hash(b"b")), leaf_hash(b"c"))
    True
    """

    count: int = 0
    _whole: list[bytes] = attrs.field(factory=list, init=False)
    """The roots of complete subtrees, the largest first: one for each bit of the count that is set."""

    def add(self, leaf: bytes) -> None:
        count = self.count
        while count & 1:
            leaf = node_hash(self._whole.pop(), leaf)
            count >>= 1
        self._whole.append(leaf)
        self.count += 1

    def digest(self) -> bytes:
        """Return the root; over no leaves, the hash of nothing."""
        if not self._whole:
            return hashlib.sha256().digest()
        *others, found = self._whole
        for left in reversed(others):
            found = node_hash(left, found)
        return found


def paths(leaves: Sequence[bytes], numbers: Sequence[int]) -> Iterator[list[bytes]]:
    """Yield for each of some leaves the hashes that lead from it to the root."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [node_hash(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)]
        levels.append(pairs + below[len(below) & ~1 :])
    for number in numbers:
        yield [level[place] for level, place in zip(levels, _beside(number, len(leaves)), strict=False) if place >= 0]


def path_length(number: int, count: int) -> int:
    """Return how many hashes lead from a leaf to the root over so many leaves."""
    return sum(place >= 0 for place in _beside(number, count))


def root_of_path(leaf: bytes, number: int, count: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a path leads to from a leaf, which is the `number`th of `count`, from 0."""
    hashes = iter(path)
    for place in _beside(number, count):
        if place >= 0:
            leaf = node_hash(next(hashes), leaf) if place & 1 == 0 else node_hash(leaf, next(hashes))
    return leaf


def _beside(number: int, count: int) -> Iterator[int]:
    """Yield, level by level, the place of the node beside the one that is over a leaf; -1 where there is none."""
    while count > 1:
        yield number ^ 1 if number ^ 1 < count else -1
        number, count = number >> 1, count + 1 >> 1
