"""The promise of the intervals: the coverage table's own rows, with fewer simulations."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "coverage_simulation.py"


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    if not SCRIPT.exists():
        pytest.skip("the benchmarks are not part of this checkout")
    spec = importlib.util.spec_from_file_location("coverage_simulation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["coverage_simulation"] = module
    spec.loader.exec_module(module)
    return module


def test_intervals_cover_what_they_promise_and_the_naive_ones_do_not(
    benchmark_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = benchmark_module.coverage_rows(800, 0)
    ours = [row for row in rows if row.ours and row.promised]
    assert len(ours) >= 18
    assert all(0.92 <= row.coverage <= 0.98 for row in ours)
    settings = {row.setting for row in rows if not row.ours and row.coverage < 0.92}
    assert any("pass rate" in setting for setting in settings)
    assert any("paired 0/1" in setting for setting in settings)
    assert any("20 clusters" in setting for setting in settings)
    benchmark_module.printed(rows)
    assert "worst naive interval: 0.33 (Wald" in capsys.readouterr().out


def test_equivalence_of_0_1_scores_holds_its_level_where_wald_s_does_not(benchmark_module: ModuleType) -> None:
    levels = list(benchmark_module.equivalence_levels())
    assert all(level.ours <= benchmark_module.MOST_EQUIVALENT for level in levels)
    assert sum(level.ours for level in levels) / len(levels) <= 0.05
    assert max(level.wald for level in levels) > 0.1
