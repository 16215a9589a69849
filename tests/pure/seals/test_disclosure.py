"""Which cases are shown, by odd names and of odd data."""

from __future__ import annotations

import pytest

from themis.pure.errors import DataError
from themis.pure.json import encode
from themis.pure.seals.disclosure import Disclosure
from themis.pure.seals.layout import Leaf


def leaves_of(*data: object) -> list[Leaf]:
    return [Leaf.of(number, (), bytes(32), encode(each)) for number, each in enumerate(({}, *data))]


CASES = leaves_of(
    {"dataset_id": "a", "case": {"case_id": "run", "metadata": {"hard": True, "tags": ["x"]}}},
    {"dataset_id": "b", "case": {"case_id": "all", "metadata": {"level": 3}}},
    {"dataset_id": "b", "case": {"case_id": "level=3", "metadata": None}},
)


@pytest.mark.parametrize(
    ("hide", "show", "shown"),
    [
        (["run"], None, {1, 2, 3}),
        ([], ["run"], {0}),
        ([], ["1:a:run"], {1}),
        ([], ["1:a:run", "run"], {0, 1}),
        ([], ["all"], {0, 1, 2, 3}),
        ([], ["hard=true"], {1}),
        ([], ['tags=["x"]'], {1}),
        (["level=3"], None, {1}),
        (["1:b:level=3"], None, {1, 2}),
        (["dataset=b"], ["all", "run"], {0, 1}),
    ],
)
def test_names_of_odd_cases(hide: list[str], show: list[str] | None, shown: set[int]) -> None:
    assert Disclosure(hide, show).chosen(CASES) == shown


def test_data_of_no_case_are_not_named() -> None:
    odd = leaves_of({"case": "text"}, {"case": {"metadata": "text"}}, {})
    assert Disclosure(["all"]).chosen(odd) == set()
    with pytest.raises(DataError, match=r"called so, or has this in its metadata; 2 problems:\n  - 'x': "):
        Disclosure(["x"], ["all", "y=1"]).chosen(odd)
