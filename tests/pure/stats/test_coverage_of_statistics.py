"""The coverage table of statistics that are no means: what is computed keeps its promise, what is drawn can be made."""

from __future__ import annotations

from benchmarks import coverage_of_statistics as script


def test_exact_bounds_keep_their_promise_and_simulated_rows_can_be_made() -> None:
    exact = list(script.exact_bounds())
    assert [row.verdict for row in exact] == ["ok"] * 8
    for rows in (script.pass_differences, script.ranks, script.likeness):
        assert all(0.0 <= row.coverage <= 1.0 for row in rows(2, 0))
