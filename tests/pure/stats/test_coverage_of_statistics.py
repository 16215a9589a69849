"""The coverage table of statistics that are no means: what is computed keeps its promise, what is drawn can be made."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "coverage_of_statistics.py"


def test_exact_bounds_keep_their_promise_and_simulated_rows_can_be_made() -> None:
    if not SCRIPT.exists():
        pytest.skip("the benchmarks are not part of this checkout")
    spec = importlib.util.spec_from_file_location("coverage_of_statistics", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["coverage_of_statistics"] = script
    spec.loader.exec_module(script)
    exact = list(script.exact_bounds())
    assert [row.verdict for row in exact] == ["ok"] * 8
    for rows in (script.pass_differences, script.ranks, script.likeness):
        assert all(0.0 <= row.coverage <= 1.0 for row in rows(2, 0))
