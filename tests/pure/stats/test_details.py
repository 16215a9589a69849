"""What stands in the details of scores is estimated as scores are: every row counted, none of them flattered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import SpecError
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.stats import StatsEngine
from themis.pure.stats.details import NO_DETAIL, Details


def row(case: str, details: Any, metric: str = "m", category: Any = None) -> BenchmarkScoreRow:
    return BenchmarkScoreRow(
        case_id=case,
        dataset_id="d",
        case_key=case,
        metric_id=metric,
        value=None if category else 1.0,
        outcome="error" if category else "correct",
        error_category=category,
        details=details,
    )


ROWS = [
    row("a", {"fields": {"name": True, "total": False}, "faults": 0}),
    row("b", {"fields": {"name": False}, "faults": 1, "note": "text"}),
    row("c", {}, category="parse_null"),
    row("d", {"fields": {"name": True, "total": True}, "tests": [{"ms": 3.5}, {"ms": 4}]}),
    row("a", {"rule": "other"}, metric="n"),
]


def test_each_number_and_boolean_below_a_path_is_a_figure() -> None:
    found = StatsEngine().details(ROWS, "fields")
    assert list(found) == ["m:fields.name", "m:fields.total"]
    name, total = found.values()
    assert name.mean == pytest.approx(2 / 3)
    assert (name.scored, name.planned) == (3, 4)
    assert name.missing_by_category == {"parse_null": 1}
    assert (name.if_missing_wrong, name.if_missing_right) == (0.5, 0.75)
    assert (total.mean, total.missing_by_category) == (0.5, {"parse_null": 1, NO_DETAIL: 1})
    assert (total.if_missing_wrong, total.if_missing_right) == (0.25, 0.75)


def test_a_path_may_name_one_figure_and_a_place_in_a_list() -> None:
    engine = StatsEngine()
    assert list(engine.details(ROWS, "fields.name")) == ["m:fields.name"]
    assert engine.details(ROWS, "tests.1.ms")["m:tests.1.ms"].mean == 4.0
    assert list(engine.details(ROWS, "tests")) == ["m:tests.0.ms", "m:tests.1.ms"]


def test_numbers_have_no_bounds_even_if_all_of_them_lie_between_0_and_1() -> None:
    faults = StatsEngine().details(ROWS, "faults")["m:faults"]
    assert (faults.mean, faults.missing) == (0.5, 2)
    assert (faults.if_missing_wrong, faults.if_missing_right) == (None, None)
    assert faults.undefined["if_missing_wrong"] == "the metric's score range is not declared"


def test_a_path_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(SpecError) as caught:
        StatsEngine().details(ROWS, "fields.nam")
    assert str(caught.value) == (
        "details: no score has a number or a boolean at 'fields.nam'; "
        "there are fields.name, fields.total, tests.0.ms, tests.1.ms, faults"
    )
    with pytest.raises(SpecError, match="no score's details have one"):
        StatsEngine().details(ROWS[-1:], "fields")


def test_what_no_float_can_hold_is_no_figure() -> None:
    details = Details("n")
    details.add(row("a", {"n": 10**400}))
    with pytest.raises(SpecError):
        details.figures()


def test_several_rows_of_a_case_are_one_cluster() -> None:
    rows = [row(f"c{n // 3}", {"ok": n % 3 > 0}) for n in range(30)]
    assert StatsEngine().details(rows, "ok")["m:ok"].clusters == 10


detail = st.none() | st.booleans()


@given(st.lists(st.dictionaries(st.sampled_from("xy"), detail, max_size=2), min_size=1, max_size=12), st.randoms())
def test_every_row_is_counted_and_no_order_or_missing_row_flatters(details: list[dict[str, Any]], random: Any) -> None:
    rows = [row(f"c{number}", {"f": each}) for number, each in enumerate(details)]
    shuffled = random.sample(rows, len(rows))
    if not any(isinstance(value, bool) for each in details for value in each.values()):
        with pytest.raises(SpecError):
            StatsEngine().details(rows, "f")
        return
    found = StatsEngine().details(rows, "f")
    assert StatsEngine().details(shuffled, "f") == found
    for name, estimate in found.items():
        values = [each.get(name.removeprefix("m:f.")) for each in details]
        known = [value for value in values if value is not None]
        assert (estimate.planned, estimate.scored) == (len(values), len(known))
        assert estimate.missing_by_category == (
            {NO_DETAIL: len(values) - len(known)} if len(known) < len(values) else {}
        )
        assert estimate.mean == pytest.approx(sum(known) / len(known))
        assert estimate.if_missing_wrong == pytest.approx(sum(known) / len(values))
