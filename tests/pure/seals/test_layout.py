"""The bytes of a seal: that they are read as they were written, and that no other bytes are."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import DataError, SchemaVersionError
from themis.pure.json import canonical_bytes
from themis.pure.seals.layout import MAGIC, Leaf, SealReader, Signature, mark_bytes, to_be_signed
from themis.pure.seals.scores import SealedScore

from .made import columns, file_of, header_of, leaves_of, metric_of, read, sealed

RIGHT, WRONG, LOST = SealedScore(1.0, None), SealedScore(0.0, None), SealedScore(None, "generation_failure")
METRIC = metric_of()
ROWS = [[RIGHT], [WRONG], [SealedScore(0.25, None)], [LOST], [RIGHT]]
FILE = sealed([METRIC], ROWS, lambda leaf: leaf.number in (2, 5))
ALONE = sealed([METRIC], ROWS, lambda leaf: leaf.number in (2, 5), alone=True)


def problem(file: bytes) -> str:
    """Return the first thing that is wrong with a file; nothing, if nothing is."""
    try:
        return next(iter(read(file).altered), "")
    except DataError as error:
        return str(error)
    except SchemaVersionError as error:
        return str(error)


@given(st.data())
def test_a_seal_is_read_as_it_was_written(data: st.DataObject) -> None:
    metrics, rows = data.draw(columns(data.draw(st.integers(0, 6))))
    shown = data.draw(st.sets(st.integers(0, len(rows))))
    alone = data.draw(st.booleans())
    leaves = leaves_of(metrics, rows)
    header = header_of(metrics, leaves)
    file = file_of(header, leaves, lambda leaf: leaf.number in shown, alone=alone)
    reader = SealReader.of(io.BytesIO(file).read)
    assert reader.header == header
    found = list(reader.leaves())
    assert [leaf.number for leaf in found] == (sorted(shown) if alone else list(range(len(leaves))))
    for leaf in found:
        made = leaves[leaf.number]
        assert (leaf.scores, leaf.hash) == (made.scores, made.hash)
        assert leaf.data == (made.data if leaf.number in shown else None)
    seen = read(file)
    assert not seen.altered
    assert seen.shown == len(shown - {0})
    assert any(note.startswith("the results:") for note in seen.not_verified) is alone


@pytest.mark.parametrize("file", [FILE, ALONE], ids=["whole", "alone"])
def test_every_changed_byte_is_found(file: bytes) -> None:
    assert not problem(file)
    for place in range(len(file)):
        for flipped in (0x01, 0x80) if place % 7 else (0x20, 0xFF):
            changed = file[:place] + bytes([file[place] ^ flipped]) + file[place + 1 :]
            assert problem(changed), place


@pytest.mark.parametrize("file", [FILE, ALONE], ids=["whole", "alone"])
def test_what_is_cut_off_added_or_swapped_is_found(file: bytes) -> None:
    for place in range(len(file)):
        assert problem(file[:place]), place
        assert problem(file[:place] + b"\x00" + file[place:]), place
    assert problem(file + b"\x00")
    assert problem(file + file)
    start = len(to_be_signed(SealReader.of(io.BytesIO(file).read).header)) + 34
    for place in range(start, len(file) - 40):
        swapped = file[:place] + file[place + 8 : place + 40] + file[place : place + 8] + file[place + 40 :]
        assert swapped == file or problem(swapped), place


def test_cases_that_change_places_are_found() -> None:
    leaves = leaves_of([METRIC], ROWS)
    header = header_of([METRIC], leaves)
    swapped = [leaves[0], leaves[2], leaves[1], *leaves[3:]]
    assert "not those that were sealed" in problem(file_of(header, swapped))
    assert "not those that were sealed" in problem(file_of(header, swapped, lambda leaf: False))


def test_a_mean_that_does_not_follow_is_found_though_all_else_is_sealed_so() -> None:
    leaves = leaves_of([METRIC], ROWS)
    header = header_of([METRIC], leaves)
    lies: list[dict[str, Any]] = [
        {"mean": 0.75},
        {"scored": 5},
        {"missing": {}},
        {"missing": {"score_failure": 1}},
        {"if_missing_wrong": 0.5},
        {"planned": 4},
    ]
    for lie in lies:
        stated = header.evolve(metrics=[header.metrics[0].evolve(**lie)])
        assert "which follows from its scores" in problem(file_of(stated, leaves))
        assert "which follows from its scores" in problem(file_of(stated, leaves, lambda leaf: False))


def test_data_with_other_scores_than_the_case_counts_with_are_found() -> None:
    leaves = leaves_of([METRIC], ROWS)
    leaves[1] = Leaf.of(1, [WRONG], bytes(32), leaves[1].data or b"")
    found = read(file_of(header_of([METRIC], leaves), leaves))
    assert found.altered == ("case 1: the scores in its data are not those that it counts with",)


def test_the_same_data_have_another_hash_with_another_salt() -> None:
    first, second = (Leaf.of(1, [RIGHT], bytes([salt]) * 32, b"{}") for salt in (1, 2))
    assert first.commitment != second.commitment


def test_lengths_that_no_file_has_take_no_memory() -> None:
    header = header_of([METRIC], leaves_of([METRIC], ROWS))
    signed, end = to_be_signed(header), b"\xff\xff\xff\xff\xff\xff\x7f"
    mark = mark_bytes(signed, None)
    most = to_be_signed(header.evolve(cases=2**53))
    many = to_be_signed(header.evolve(metrics=[header.metrics[0].evolve(answers=2**40)]))
    hostile = [
        MAGIC + b"\xff\xff\xff\xff" + bytes(100),
        MAGIC + (1 << 20).to_bytes(4) + bytes(100),
        signed + mark + b"\x00" + end,
        signed + mark + b"\x00\x00" + bytes(32) + end,
        signed + mark + b"\x00\x00" + bytes(32) + b"\x80\x80\x80\x80\x01" + bytes(1000),
        signed + mark + b"\x01" + end,
        signed + mark + b"\x01\x01" + end,
        most + mark_bytes(most, None) + b"\x00" + end + bytes(1000),
        many + mark_bytes(many, None) + b"\x00\x01" + bytes(1000),
    ]
    tracemalloc.start()
    try:
        assert all(problem(file) for file in hostile)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_numbers_have_one_form_and_cases_one_order() -> None:
    header = header_of([METRIC], leaves_of([METRIC], ROWS))
    start = len(to_be_signed(header)) + 33
    assert (FILE[start : start + 2], ALONE[start : start + 2]) == (b"\x00\x02", b"\x01\x02")
    assert "one way" in problem(FILE[: start + 1] + b"\x82\x00" + FILE[start + 2 :])
    assert "one way" in problem(FILE[: start + 1] + b"\x80" * 7 + FILE[start + 2 :])
    assert "200 hidden cases in a row, where 6 are left" in problem(FILE[: start + 1] + b"\xc8\x01" + FILE[start + 2 :])
    one = sealed([METRIC], ROWS, lambda leaf: leaf.number == 2, alone=True)[start + 2 :]
    other = sealed([METRIC], ROWS, lambda leaf: leaf.number == 5, alone=True)[start + 2 :]
    assert ALONE[start + 2 :] == one + other
    assert "case 2 behind case 2" in problem(ALONE[: start + 2] + one + one)
    assert "case 2 behind case 5" in problem(ALONE[: start + 2] + other + one)
    assert "case 6" in problem(ALONE[: start + 2] + b"\x06" + one[1:] + other)


def test_json_that_is_nested_too_deep_is_an_error_like_any_other() -> None:
    deep = b'{"scores":[],"case":' + b"[" * 900 + b"]" * 900 + b"}"
    leaves = [Leaf.of(0, (), bytes(32), deep), Leaf.of(1, [RIGHT], bytes(32), deep)]
    assert "nested deeper" in problem(file_of(header_of([METRIC], leaves), leaves))


def test_a_header_is_written_in_one_way_and_is_a_seals() -> None:
    signed = to_be_signed(header_of([METRIC], leaves_of([METRIC], ROWS)))
    text = signed[len(MAGIC) + 4 :]
    others = {
        text.replace(b'"cases":5', b'"cases": 5'): "canonical",
        text.replace(b'"cases":5', b'"cases":5,"cases":5'): "canonical",
        text.replace(b'"cases":5', b'"cases":5.0'): "cases",
        text.replace(b'"cases":5', b'"cases":-1'): "-1 cases",
        text.replace(b'"model"', b'"modem"'): "modem",
        b"[]": "an object expected",
        b"\xff": "not JSON",
    }
    for other, said in others.items():
        changed = MAGIC + len(other).to_bytes(4) + other
        assert said in problem(changed + mark_bytes(changed, None) + b"\x00\x06" + bytes(1000))


def test_a_newer_version_is_told_from_what_is_no_seal() -> None:
    with pytest.raises(SchemaVersionError, match="version '2', and this Themis reads version 1: upgrade it"):
        read(FILE.replace(MAGIC, b"themis-seal/2\n"))
    with pytest.raises(DataError, match="it is no seal"):
        read(b"PK\x03\x04 and more than that")


def test_a_signature_has_one_form() -> None:
    leaves = leaves_of([METRIC], ROWS)
    order = 2**252 + 27742317777372353535851937790883648493
    for number, is_one in ((order - 1, True), (order, False), (order + 5, False)):
        signature = Signature(bytes(32), bytes(32) + number.to_bytes(32, "little"))
        assert (not problem(file_of(header_of([METRIC], leaves), leaves, signature=signature))) is is_one


def test_a_hidden_case_takes_forty_bytes_at_most_and_the_rest_a_kilobyte() -> None:
    third = SealedScore(1 / 3, None)
    for row in ([third], [RIGHT], [LOST]):
        for cases in (1, 100, 1000):
            file = sealed([METRIC], [row] * cases, lambda leaf: False)
            assert len(file) <= 1024 + 40 * cases
    assert len(canonical_bytes(header_of([METRIC], leaves_of([METRIC], ROWS)))) < 600
