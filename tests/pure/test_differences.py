"""In what two texts differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.differences import marked, side_by_side

texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(["a ", "b ", "c\n", "."]), max_size=30).map("".join))


@given(texts, texts)
def test_pieces_are_the_texts_and_what_is_not_marked_is_in_both(a: str, b: str) -> None:
    of_a, of_b = marked(a, b)
    assert "".join(piece for piece, _ in of_a) == a
    assert "".join(piece for piece, _ in of_b) == b
    both = ["".join(piece for piece, is_marked in pieces if not is_marked) for pieces in (of_a, of_b)]
    assert both[0] == both[1]
    assert any(is_marked for _, is_marked in (*of_a, *of_b)) == (a != b)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_lines_side_by_side_are_all_lines_in_order(a: list[str], b: list[str]) -> None:
    rows = [*side_by_side(a, b)]
    assert [left for left, _, _ in rows if left] == a
    assert [right for _, right, _ in rows if right] == b
    assert all((left == right) >= is_alike for left, right, is_alike in rows)


def test_long_texts_are_told_apart_without_matching_them() -> None:
    a, b = "same " + "x y " * 5_000 + "end", "same " + "y z " * 5_000 + "end"
    assert [is_marked for _, is_marked in marked(a, b)[0]] == [False, True, False]
