"""The promise of judged means that labels correct: the table's own rows, with fewer simulations."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "judge_coverage.py"


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    if not SCRIPT.exists():
        pytest.skip("the benchmarks are not part of this checkout")
    spec = importlib.util.spec_from_file_location("judge_coverage", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge_coverage"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_corrected_means_cover_what_they_promise_and_the_judge_s_own_do_not(
    benchmark_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*benchmark_module.coverage_rows(120, 0, ((60, 600), (100, 600), (150, 600)))]
    assert len(rows) >= 30
    assert all(row.corrected >= 0.87 for row in rows)  # 120 simulations are off by 0.02
    assert 0.935 <= sum(row.corrected for row in rows) / len(rows) <= 0.97
    assert all(row.judge < 0.75 for row in rows)
    benchmark_module.printed(rows)
    assert "the judge's own: at most" in capsys.readouterr().out
