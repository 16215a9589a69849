"""Every benchmark validates with made rows, and a validation that fails says why."""

from __future__ import annotations

from typing import Any

import pytest

from themis import catalog
from themis.api.catalog import validate
from themis.pure.benchmarks.registry import samples_of
from themis.pure.benchmarks.samples import Sample

NAMES = catalog.list_benchmark_ids()
COMPILED = ("aethercode", "codeforces")  # a C++ compiler takes its seconds


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in COMPILED else name for name in NAMES]
)
def test_a_benchmark_validates(name: str) -> None:
    result = catalog.validate_benchmark(name)
    assert result.ok, result.problems
    if result.skipped:
        pytest.skip("; ".join(result.skipped))
    assert [check.name for check in result.checks] == [
        "rows",
        "prompt",
        "components",
        "right answers",
        "wrong answers",
    ]


def rows_of(name: str) -> list[dict[str, Any]]:
    return [dict(sample.row) for sample in samples_of(name)]


@pytest.mark.parametrize("name", NAMES)
def test_a_validation_fails_with_the_column_and_the_reason(name: str) -> None:
    entry, rows = catalog.get_benchmark(name), rows_of(name)
    column = next(
        c for c in entry.columns_of(entry.default_variant) if c.role in ("question", "context", "options")
    ).name
    missing = [{key: value for key, value in row.items() if key != column} for row in rows]
    renamed = [{**without, f"{column}_2": row[column]} for without, row in zip(missing, rows, strict=True)]
    retyped = [{**row, column: 7} for row in rows]
    for misfits, reason in ((missing, "is missing"), (renamed, f"{column}_2"), (retyped, "expected, found int 7")):
        result = catalog.validate_benchmark(name, source=misfits)
        assert not result.ok
        assert any(repr(column) in problem and reason in problem for problem in result.problems), result.problems
        assert [check.status for check in result.checks] == ["failed"]


def test_a_benchmark_that_scores_wrongly_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of scores can fail: with right and wrong answers swapped, and with an answer that is neither."""

    def swapped(name: str) -> tuple[Sample, ...]:
        return tuple(Sample(row=s.row, right=s.wrong, wrong=s.right) for s in samples_of(name))

    monkeypatch.setattr(validate, "samples_of", swapped)
    result = catalog.validate_benchmark("simpleqa_verified")
    assert [check.status for check in result.checks] == ["passed", "passed", "passed", "failed", "failed"]
    assert any("scores 0, and 1 was expected" in problem for problem in result.problems)
    assert any("scores 1, and 0 was expected" in problem for problem in result.problems)


def test_the_name_of_a_variant_checks_that_variant() -> None:
    result = catalog.validate_benchmark("hle:text_only")
    assert (result.variant, result.ok) == ("text_only", True)
    assert result.checks[0].details == ("1 cases",)


def test_a_result_survives_json() -> None:
    result = catalog.validate_benchmark("hle")
    assert type(result).from_dict(result.to_dict()) == result
