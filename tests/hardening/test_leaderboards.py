"""Fifty runs of ten thousand cases compared, every two of them, in the memory that is promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import leaderboard
from tests.hardening.conftest import Report, part_of

pytestmark = pytest.mark.hardening

RUNS = 50
CASES = 10_000
MOST_MB = 500


def test_fifty_runs_of_ten_thousand_cases_are_compared(tmp_path: Path, report: Report) -> None:
    runs, cases = part_of(RUNS), part_of(CASES)
    leaderboard.prepare(tmp_path, runs, cases)
    for metric in leaderboard.METRICS:
        found = leaderboard.measured(tmp_path, metric)
        assert found["pairs"] == runs * (runs - 1) / 2
        assert found["peak_mb"] < MOST_MB
        report(
            f"{runs} runs of {cases:,} cases compared, {metric}",
            f"{found['pairs']:,} pairs, {found['cpu_s']:.1f} CPU s, {found['peak_mb']:.0f} MB at most",
        )
