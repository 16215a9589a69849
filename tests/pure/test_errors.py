"""How errors are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import nearest


@given(count=st.integers(0, 300))
def test_of_many_names_few_are_listed_with_the_command_that_lists_them_all(count: int) -> None:
    told = nearest("accuracy", [f"~{number:03}" for number in range(count)], "themis catalog list")
    assert told.count("~") == min(count, 12)
    assert ("themis catalog list" in told) is (count > 12)
    assert (f"and {count - 12} more" in told) is (count > 12)
    assert (told == "there are none") is (count == 0)


def test_a_name_of_another_kind_has_nearest_names_too() -> None:
    assert nearest(3, ["1", "2"]) == "known names: 1, 2"  # type: ignore[arg-type]  # as users give them
