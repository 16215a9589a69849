"""What functions of statistics are given is checked by their signatures, in one place."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs
import pytest

from themis.pure.errors import StatisticsError
from themis.pure.stats.arguments import (
    MOST,
    Count,
    Level,
    Score,
    ScoreRange,
    Seed,
    check_fields,
    checked_arguments,
    refuse_unless,
    same_length,
)


class Row(Protocol):
    @property
    def key(self) -> str:
        """The case."""


@attrs.frozen
class Kept:
    key: Any


@checked_arguments
def given(
    values: Sequence[Score] = (),
    *,
    level: Level = 0.95,
    scale: Literal["nominal", "ratio"] = "ratio",
    clusters: Sequence[Hashable] | None = None,
    planned: Count = 0,
    names: Mapping[str, float] | None = None,
    rows: Iterable[tuple[str, Score]] = (),
    kept: Iterable[Row] = (),
    score_range: ScoreRange | None = None,
    seed: Seed = 0,
    every: bool = False,
) -> int:
    """Return how many rows there are."""
    return len(list(rows)) + len(list(kept))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"values": [1.0, math.nan]}, "values[1] is nan; allowed: a finite number of at most 1e+120 in size, or None"),
    ({"values": [10**400]}, "values[0] is 1000"),
    ({"values": ["1"]}, "values[0] is '1'"),
    ({"values": "abc"}, "values is 'abc'; allowed: a list"),
    ({"values": {1: 2}}, "values is {1: 2}; allowed: a list"),
    ({"values": 3}, "values is 3; allowed: a list"),
    ({"values": iter([1.0])}, "allowed: a list"),
    ({"level": 95}, "level is 95; allowed: a number from 1e-9 to 1 - 1e-9, such as 0.95 for 95 %"),
    ({"level": 1.0}, "level is 1.0"),
    ({"level": "0.95"}, "level is '0.95'"),
    ({"level": None}, "level is None"),
    ({"scale": "Ratio"}, "scale is 'Ratio'; allowed: 'nominal' or 'ratio' (did you mean ratio?)"),
    ({"scale": ["ratio"]}, "scale is ['ratio']; allowed: 'nominal' or 'ratio'"),
    ({"clusters": 5}, "clusters is 5; allowed: a list, or None"),
    ({"clusters": ["a", []]}, "clusters[1] is []; allowed: something that can be hashed"),
    ({"planned": -1}, "planned is -1; allowed: a whole number from 0 to 1,000,000,000"),
    ({"planned": MOST + 1}, "planned is 1000000001"),
    ({"planned": 2.0}, "planned is 2.0"),
    ({"planned": True}, "planned is True"),
    ({"names": [("a", 1.0)]}, "names is [('a', 1.0)]; allowed: a mapping"),
    ({"names": {"a": math.inf}}, "names['a'] is inf"),
    ({"names": {1: 1.0}}, "names's key is 1; allowed: a string"),
    ({"rows": [("a", 1.0), ("b", "c")]}, "rows[1][1] is 'c'"),
    ({"rows": (each for each in [("a", 1.0), ("b",)])}, "rows[1] is ('b',); allowed: a tuple of 2"),
    ({"rows": (each for each in [("a", 1.0), ("b", math.nan)])}, "rows[1][1] is nan"),
    ({"rows": "ab"}, "rows is 'ab'; allowed: a list, or another iterable"),
    ({"kept": [Kept("a"), 3]}, "kept[1] is 3; allowed: something with key"),
    ({"kept": [Kept(3)]}, "kept[0].key is 3; allowed: a string"),
    ({"score_range": (1.0, 0.0)}, "score_range is (1.0, 0.0); allowed: (lowest, highest), two numbers in this order"),
    ({"score_range": (math.nan, 1.0)}, "score_range is (nan, 1.0)"),
    ({"score_range": 1.0}, "score_range is 1.0"),
    ({"seed": "0"}, "seed is '0'; allowed: a whole number"),
    ({"every": 1}, "every is 1; allowed: True or False"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_what_a_signature_does_not_allow_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        given(**arguments)
    assert str(caught.value).startswith("given: ")
    assert said in str(caught.value)


ALLOWED: list[dict[str, Any]] = [
    {},
    {"values": [1, None, True, 0.5], "clusters": ("a", 1, None, ("b",))},
    {"values": range(3), "planned": MOST, "level": 1e-9, "seed": -1},
    {"names": {"a": 1}, "score_range": (-math.inf, math.inf), "scale": "nominal", "every": True},
    {"score_range": [0, 1]},
]


@pytest.mark.parametrize("arguments", ALLOWED)
def test_what_it_allows_is_taken(arguments: dict[str, Any]) -> None:
    assert given(**arguments) == 0


def test_iterables_are_read_once() -> None:
    assert given(rows=(each for each in [("a", 1.0), ("b", None)]), kept=iter([Kept("a")])) == 3


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(
        StatisticsError, match=r"^given; 3 problems:\n  - values is 1.*\n  - level is 2.*\n  - planned is -1"
    ):
        given(1, level=2, planned=-1)  # type: ignore[arg-type]  # wrong on purpose


def test_numbers_of_arrays_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert given(numpy.array([0.0, 1.0]), level=numpy.float32(0.5), planned=numpy.int64(3)) == 0
    with pytest.raises(StatisticsError, match=r"values\[1\] is"):
        given(numpy.array([0.0, numpy.nan]))


def test_a_record_checks_its_fields() -> None:
    @attrs.frozen
    class Method:
        level: float = 0.5
        name: str = "t"

        def __attrs_post_init__(self) -> None:
            check_fields(self)

    assert Method(0.7).level == 0.7
    with pytest.raises(StatisticsError, match=r"Method; 2 problems:\n.*level is nan.*\n.*name is 3"):
        Method(math.nan, 3)  # type: ignore[arg-type]  # wrong on purpose


def test_lengths_and_relations_are_refused_in_the_same_words() -> None:
    same_length("f", values=[1], clusters=None, names="a")
    with pytest.raises(StatisticsError, match=r"^f: values, names have 1, 2 entries; allowed: as many of each$"):
        same_length("f", values=[1], clusters=None, names="ab")
    refuse_unless(True, "f", "k", 3, "at most 3")
    with pytest.raises(StatisticsError, match=r"^f: k is 4; allowed: at most 3$"):
        refuse_unless(False, "f", "k", 4, "at most 3")
