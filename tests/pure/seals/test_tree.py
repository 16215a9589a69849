"""The tree of hashes: that of RFC 9162, by another way of computing it, and its paths."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.seals.tree import Root, leaf_hash, node_hash, path_length, paths, root_of_path


def by_the_rfc(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 9162, section 2.1.1, defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + by_the_rfc(leaves[:half]) + by_the_rfc(leaves[half:])).digest()


def test_the_root_is_the_rfcs_and_every_path_leads_to_it() -> None:
    for count in range(34):
        leaves = [bytes([number]) for number in range(count)]
        root, hashes = Root(), [leaf_hash(leaf) for leaf in leaves]
        for each in hashes:
            root.add(each)
        assert root.digest() == by_the_rfc(leaves)
        for number, path in enumerate(paths(hashes, range(count))):
            assert len(path) == path_length(number, count)
            assert root_of_path(hashes[number], number, count, path) == root.digest()
            others = {
                root_of_path(hashes[number], other, count, path)
                for other in range(count)
                if path_length(other, count) == len(path) and other != number
            }
            assert root.digest() not in others


@given(st.lists(st.binary(max_size=3), min_size=2, max_size=9), st.data())
def test_no_other_leaf_and_no_other_path_leads_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(leaves) - 1))
    hashes = [leaf_hash(leaf) for leaf in leaves]
    (path,) = paths(hashes, [number])
    root = root_of_path(hashes[number], number, len(leaves), path)
    place = data.draw(st.integers(0, len(path) - 1))
    changed = [*path[:place], leaf_hash(b"another"), *path[place + 1 :]]
    assert root_of_path(hashes[number], number, len(leaves), changed) != root
    assert root_of_path(leaf_hash(b"another"), number, len(leaves), path) != root


def test_a_node_passes_for_no_leaf() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert leaf_hash(left + right) != node_hash(left, right)
