"""The promise of judged means that labels correct: the table's own rows, with fewer simulations."""

from __future__ import annotations

import pytest
from benchmarks import judge_coverage


@pytest.mark.slow
def test_corrected_means_cover_what_they_promise_and_the_judge_s_own_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*judge_coverage.coverage_rows(120, 0, ((60, 600), (100, 600), (150, 600)))]
    assert len(rows) >= 30
    assert all(row.corrected >= 0.87 for row in rows)  # 120 simulations are off by 0.02
    assert 0.935 <= sum(row.corrected for row in rows) / len(rows) <= 0.97
    assert all(row.judge < 0.75 for row in rows)
    judge_coverage.printed(rows)
    assert "the judge's own: at most" in capsys.readouterr().out
