"""Two stored runs, compared and told."""

from __future__ import annotations

from typing import Any

import pytest

from themis import InMemoryRunStore, evaluate
from themis.api.runs.compare import compare
from themis.pure.errors import DataError
from themis.pure.report.comparison import comparison_data, comparison_text
from themis.pure.stats import check_regression, parse_regression_gate

METRICS = ["builtin/exact_match", "builtin/f1"]


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"case_id": str(i), "input": f"q{i}", "expected_output": str(i), "metadata": {"topic": str(i % 25)}}
        for i in range(count)
    ]


def test_runs_are_paired_by_case_and_changed_cases_are_left_out() -> None:
    a, b = InMemoryRunStore(), InMemoryRunStore()
    other = [*rows(80)[1:], {"case_id": "new", "input": "x", "expected_output": "y"}]
    other[4] = {**other[4], "input": "changed"}
    first = evaluate(model="builtin/demo_model", data=rows(80), metric=METRICS, store=a).run_id
    second = evaluate(model="builtin/demo_generator", data=other, metric=METRICS, store=b).run_id
    comparison = compare(a, first, b, second, cluster_by="topic", margins={"builtin/f1": 0.9})
    assert (comparison.removed, comparison.added) == (("4:data:0",), ("4:data:new",))
    assert comparison.changed == ("4:data:5",)
    assert comparison.notes == ("the runs differ in: dataset_refs, generator_ref",)
    exact, graded = comparison.comparisons
    assert (exact.pairs, exact.family_size, exact.clusters) == (78, 2, 25)
    assert exact.p_holm is not None
    assert exact.test.p_value is not None
    assert exact.p_holm >= exact.test.p_value
    assert graded.equivalence is not None
    assert graded.equivalence.equivalent
    gate = check_regression(parse_regression_gate("builtin/f1"), comparison)
    assert gate.passed
    text = comparison_text(comparison, [gate])
    assert "passed: builtin/f1" in text
    assert "1 cases whose content differs: 4:data:5" in text
    assert comparison_data(comparison, [gate])["gates"] == [gate.to_dict()]
    with pytest.raises(DataError, match="margins name"):
        compare(a, first, b, second, margins={"nope": 0.1})


def test_a_run_compared_with_itself_tells_nothing_apart() -> None:
    store = InMemoryRunStore()
    run = evaluate(model="builtin/demo_model", data=rows(30), metric=METRICS, store=store).run_id
    comparison = compare(store, run, store, run, ["builtin/f1"])
    (only,) = comparison.comparisons
    assert (only.wins, only.losses, only.ties, only.difference) == (0, 0, 30, 0.0)
    assert comparison.label_a != comparison.label_b
    assert check_regression(parse_regression_gate("builtin/f1"), comparison).passed
