"""The promise of the intervals: the coverage table's own rows, with fewer simulations."""

from __future__ import annotations

import pytest
from benchmarks import coverage_simulation


def test_intervals_cover_what_they_promise_and_the_naive_ones_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    rows = coverage_simulation.coverage_rows(800, 0)
    ours = [row for row in rows if row.ours and row.promised]
    assert len(ours) >= 18
    assert all(0.92 <= row.coverage <= 0.98 for row in ours)
    settings = {row.setting for row in rows if not row.ours and row.coverage < 0.92}
    assert any("pass rate" in setting for setting in settings)
    assert any("paired 0/1" in setting for setting in settings)
    assert any("20 clusters" in setting for setting in settings)
    assert any("20 clusters, one of 100" in setting for setting in settings)
    assert any("pass@5 of 20 problems" in setting for setting in settings)
    several = [row for row in rows if row.ours and row.setting.startswith("pass@")]
    assert min(row.coverage for row in several) >= 0.9
    coverage_simulation.printed(rows)
    assert "worst naive interval: 0.2" in capsys.readouterr().out


def test_equivalence_of_0_1_scores_holds_its_level_where_wald_s_does_not() -> None:
    levels = list(coverage_simulation.equivalence_levels())
    assert all(level.ours <= coverage_simulation.MOST_EQUIVALENT for level in levels)
    assert sum(level.ours for level in levels) / len(levels) <= 0.05
    assert max(level.wald for level in levels) > 0.1


def test_what_is_said_to_be_detectable_is_found_that_often(capsys: pytest.CaptureFixture[str]) -> None:
    powers = list(coverage_simulation.stated_powers(1500, 0))
    assert {stated.setting.partition(",")[0] for stated in powers} == {"McNemar", "sign flips"}
    exact = [stated for stated in powers if stated.setting.startswith("McNemar")]
    assert all(abs(stated.power - 0.8) <= 0.001 for stated in exact)
    assert all(abs(stated.power - 0.8) <= coverage_simulation.POWER_ERROR + 0.01 for stated in powers)
    coverage_simulation.printed_powers(powers)
    assert "stated 0.800" in capsys.readouterr().out


def test_equivalence_of_clustered_0_1_scores_holds_its_level() -> None:
    levels = list(coverage_simulation.clustered_levels(200, 0))
    assert all(level.ours <= 0.08 for level in levels)  # two Monte Carlo errors above 5 %
    coverage_simulation.printed_levels(levels)
