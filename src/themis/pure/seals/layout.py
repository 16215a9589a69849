"""The bytes of a seal.

    "themis-seal/1\\n"  length of the header (4 bytes)  header        what is signed
    0  SHA-256 of that (32 bytes)                                     the mark of a file without a signature
    1  public key (32 bytes)  signature (64 bytes)                    the mark of one with an Ed25519 signature
    0  leaves                                                         all of them: a whole seal
    1  proofs                                                         or single ones, each with its way to the root

Leaf 0 is the run, leaf n the nth case. A leaf is a case's scores and its commitment, which is a hash over a salt and
the case's data; a file has the commitment, or the salt and the data. Why a salt: whoever knows nearly all of a hidden
case, or that it is one of few, would else try what the hash of each is, and know.

There is one way to write each thing, and no byte that nothing depends on: any change is found. Nothing is believed of
a length but that so many bytes must follow, so that a reader holds no more than the file has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import attrs

from themis.pure.errors import DataError, SchemaVersionError
from themis.pure.json import canonical_bytes
from themis.pure.seals.records import SealHeader, read_header
from themis.pure.seals.scores import SealedScore, Take, read_score, score_bytes
from themis.pure.seals.tree import HASH_BYTES, leaf_hash, path_length, paths

SEAL_NAME: Final = b"themis-seal/"
MAGIC: Final = SEAL_NAME + b"1\n"
SALT_BYTES: Final = 32
_LONGEST_HEADER: Final = 1 << 20
_LONGEST_DATA: Final = 1 << 28
"""Bytes of one case, as those of one record of a bundle."""
_CHUNK: Final = 1 << 20
_ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""That of Ed25519's base point (RFC 8032, section 5.1)."""

Parts = Literal["whole", "proofs"]
_UNSIGNED, _SIGNED = b"\x00", b"\x01"
WHOLE, _PROOFS = b"\x00", b"\x01"
_PARTS: Final[dict[bytes, Parts]] = {WHOLE: "whole", _PROOFS: "proofs"}


@attrs.frozen
class Signature:
    """An Ed25519 signature of a seal's header with the public key that it is made by."""

    key: bytes
    signature: bytes


@attrs.frozen
class Leaf:
    """The run (number 0) or a case of a seal.

    Attributes:
        number: which leaf it is.
        written: the bytes of its scores.
        scores: these scores.
        commitment: the hash over its salt and its data.
        salt: `None` if the file hides its data.
        data: JSON.
        path: the hashes that lead from it to the root, in a file of single cases.
    """

    number: int
    written: bytes
    scores: tuple[SealedScore, ...]
    commitment: bytes
    salt: bytes | None = None
    data: bytes | None = None
    path: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, number: int, scores: Iterable[SealedScore], salt: bytes, data: bytes) -> Leaf:
        kept = tuple(scores)
        written = b"".join(score_bytes(*score) for score in kept)
        return cls(number, written, kept, _commitment(salt, data), salt, data)

    @property
    def hash(self) -> bytes:
        return leaf_hash(self.written + self.commitment)


def _commitment(salt: bytes, data: bytes) -> bytes:
    return hashlib.sha256(b"\x02" + salt + data).digest()


# --- writing ----------------------------------------------------------------------------------------------


def to_be_signed(header: SealHeader) -> bytes:
    """Return the beginning of a file: what a signature covers."""
    text = canonical_bytes(header)
    return MAGIC + len(text).to_bytes(4) + text


def mark_bytes(signed: bytes, signature: Signature | None) -> bytes:
    """Return what stands behind the header: the signature, or else the hash of what comes before."""
    if signature is None:
        return _UNSIGNED + hashlib.sha256(signed).digest()
    return _SIGNED + signature.key + signature.signature


def whole_body(leaves: Iterable[Leaf], is_shown: Callable[[Leaf], bool]) -> Iterator[bytes]:
    """Yield the rest of a file that has all leaves: those in a row that are hidden, counted, then the one shown."""
    yield WHOLE
    hidden, count = bytearray(), 0
    for leaf in leaves:
        if leaf.data is not None and is_shown(leaf):
            yield _number(count) + hidden + _shown(leaf)
            hidden, count = bytearray(), 0
        else:
            hidden += leaf.written + leaf.commitment
            count += 1
    if count:
        yield _number(count) + hidden


def behind_shown(leaf: Leaf) -> bytes:
    """Return a leaf that is shown as it stands in a whole seal at its beginning, or behind another that is shown."""
    return _number(0) + _shown(leaf)


def proofs_body(leaves: Iterable[Leaf], is_shown: Callable[[Leaf], bool]) -> Iterator[bytes]:
    """Yield the rest of a file that has single leaves, each with its path. It holds these, and all leaves' hashes."""
    hashes: list[bytes] = []
    shown: list[Leaf] = []
    for leaf in leaves:
        hashes.append(leaf.hash)
        if leaf.data is not None and is_shown(leaf):
            shown.append(leaf)
    yield _PROOFS + _number(len(shown))
    for leaf, path in zip(shown, paths(hashes, [leaf.number for leaf in shown]), strict=True):
        yield _number(leaf.number) + _shown(leaf) + b"".join(path)


def _shown(leaf: Leaf) -> bytes:
    assert leaf.salt is not None
    assert leaf.data is not None
    return leaf.written + leaf.salt + _number(len(leaf.data)) + leaf.data


def _number(value: int) -> bytes:
    """Write a whole number in groups of seven bits, the lowest first (LEB128)."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


# --- reading ----------------------------------------------------------------------------------------------


@attrs.define
class SealReader:
    """Reads a seal from its beginning to its end, holding one leaf at a time.

    Attributes:
        header: what it states.
        signed: the bytes that are signed.
        signature: the signature, which is not checked; `None` without one.
        parts: whether it has all leaves, or single ones with their paths.
    """

    _read: Callable[[int], bytes]
    header: SealHeader
    signed: bytes
    signature: Signature | None
    parts: Parts

    @classmethod
    def of(cls, read: Callable[[int], bytes]) -> SealReader:
        """Read a file's beginning.

        Args:
            read: gives the next bytes: up to so many, and none at the end.

        Raises:
            SchemaVersionError: a newer Themis wrote it.
            DataError: it is no seal, is cut off, or was changed.
        """
        take = _taking(read)
        check_magic(read(len(MAGIC)))
        size = take(4)
        if int.from_bytes(size) > _LONGEST_HEADER:
            raise DataError(
                f"its header would have {int.from_bytes(size):,} bytes; at most {_LONGEST_HEADER:,} allowed"
            )
        text = take(int.from_bytes(size))
        signed = MAGIC + size + text
        mark, signature = take(1), None
        if mark == _SIGNED:
            signature = Signature(take(32), take(64))
            # The check of a signature need not look at this, and a number with the order added to it passes then, too.
            if int.from_bytes(signature.signature[32:], "little") >= _ED25519_ORDER:
                raise DataError("its signature is not written in the one way that there is (RFC 8032, section 5.1.7)")
        elif mark != _UNSIGNED or take(HASH_BYTES) != hashlib.sha256(signed).digest():
            raise DataError("its header was changed: the hash behind it is that of another")
        parts = _PARTS.get(take(1))
        if parts is None:
            raise DataError(
                "it has neither all cases nor single ones: the byte behind its signature is neither 0 nor 1"
            )
        return cls(read, read_header(text), signed, signature, parts)

    @property
    def count(self) -> int:
        """How many leaves the tree has: the run and its cases."""
        return self.header.cases + 1

    def leaves(self) -> Iterator[Leaf]:
        """Yield the leaves that the file has; to be called once.

        Raises:
            DataError: the file is cut off, goes on behind its end, or is not laid out as a seal is.
        """
        take = _taking(self._read)
        yield from self._all(take) if self.parts == "whole" else self._single(take)
        if self._read(1):
            raise DataError("there is more behind its end")

    def _all(self, take: Take) -> Iterator[Leaf]:
        number = 0
        while number < self.count:
            hidden = _read_number(take)
            if hidden > self.count - number:
                raise DataError(f"{hidden:,} hidden cases in a row, where {self.count - number:,} are left")
            for _ in range(hidden):
                written, scores = self._scores(take, number)
                yield Leaf(number, written, scores, take(HASH_BYTES))
                number += 1
            if number < self.count:
                yield self._read_shown(take, number)
                number += 1

    def _single(self, take: Take) -> Iterator[Leaf]:
        before = -1
        for _ in range(_read_number(take)):
            number = _read_number(take)
            if not before < number < self.count:
                raise DataError(f"case {number} behind case {before}, of {self.header.cases}")
            before = number
            leaf = self._read_shown(take, number)
            path = [take(HASH_BYTES) for _ in range(path_length(number, self.count))]
            yield attrs.evolve(leaf, path=tuple(path))

    def _read_shown(self, take: Take, number: int) -> Leaf:
        written, scores = self._scores(take, number)
        salt, size = take(SALT_BYTES), _read_number(take)
        if size > _LONGEST_DATA:
            raise DataError(f"case {number} would have {size:,} bytes; at most {_LONGEST_DATA:,} allowed")
        data = take(size)
        return Leaf(number, written, scores, _commitment(salt, data), salt, data)

    def _scores(self, take: Take, number: int) -> tuple[bytes, tuple[SealedScore, ...]]:
        if number == 0:
            return b"", ()
        read = [
            read_score(take, metric.unparsed_score) for metric in self.header.metrics for _ in range(metric.answers)
        ]
        return b"".join(written for written, _ in read), tuple(score for _, score in read)


def check_magic(start: bytes) -> None:
    """Check that a file begins as a seal does.

    Raises:
        SchemaVersionError: a newer Themis wrote it.
        DataError: it is no seal.
    """
    if start.startswith(SEAL_NAME) and start != MAGIC:
        version = start.removeprefix(SEAL_NAME).partition(b"\n")[0].decode(errors="replace")
        raise SchemaVersionError(
            f"a seal of version {version!r}, and this Themis reads version 1: upgrade it to read the file"
        )
    if start != MAGIC:
        raise DataError("it is no seal, for it does not begin as one; `themis seal RUN` makes one")


def _taking(read: Callable[[int], bytes]) -> Take:
    def take(size: int) -> bytes:
        pieces = []
        while size:
            piece = read(min(size, _CHUNK))
            if not piece:
                raise DataError("it is cut off: its end is missing")
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    return take


def _read_number(take: Take) -> int:
    value = 0
    for shift in range(0, 49, 7):
        group = take(1)[0]
        value |= (group & 0x7F) << shift
        if group < 0x80:
            if shift and not group:
                break
            return value
    raise DataError("a number in it is not written in the one way that there is")
