"""Stopping early, as its users meet it: in Python, config files and comparisons; and what is refused before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from themis import (
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    RuntimeConfig,
    StoppingRule,
    catalog,
    compare,
    compare_until,
    evaluate,
    metric,
    next_labels,
)
from themis.api.runs.gates import check_regressions, read_regression_gates
from themis.pure.errors import DataError, SpecError
from themis.pure.estimate import estimate_run
from themis.pure.records.generation import ParsedOutput
from themis.pure.report.stopped import NOT_COVERED

ROWS: list[dict[str, Any]] = [
    {"case_id": str(n), "input": f"{n}+{n}", "expected_output": str(2 * n), "metadata": {"topic": n % 40}}
    for n in range(400)
]


def run(until: Any = None, *, model: str = "builtin/demo_model", rows: Any = ROWS, **fields: Any) -> Any:
    return evaluate(model=model, data=rows, metric=fields.pop("metric", "builtin/exact_match"), until=until, **fields)


def experiment(until: Any, metrics: Any = "builtin/exact_match", **fields: Any) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics=metrics, until=until),
        datasets=Dataset(dataset_id="d", cases=ROWS),
        **fields,
    )


# --- the run's identity -----------------------------------------------------------------------------------


def test_a_rule_is_part_of_what_a_run_is_and_no_rule_leaves_its_id() -> None:
    plain, rule = experiment(None).compile(), experiment("exact_match>=0.5").compile()
    assert plain.run_id != rule.run_id
    assert "until" not in {name for name, value in plain.identity.to_dict().items() if value is not None}
    named = rule.identity.until
    assert named == StoppingRule(metric_id="builtin/exact_match", value=0.5)
    assert experiment("builtin/exact_match >= 0.50, every=50").compile().run_id == rule.run_id
    ids = {
        experiment(f"exact_match>=0.5{options}").compile().run_id
        for options in ("", ", seed=1", ", every=10", ", alpha=0.1", ", of=cases", ", cluster_by=topic")
    }
    assert len(ids) == 6


def test_a_config_file_holds_the_rule(tmp_path: Path) -> None:
    made = experiment("exact_match>=0.5, every=25, cluster_by=topic")
    made.to_config(tmp_path / "e.yaml")
    assert "until: exact_match>=0.5, every=25, cluster_by=topic" in (tmp_path / "e.yaml").read_text("utf-8")
    read = Experiment.from_config(tmp_path / "e.yaml")
    assert read.evaluation.until == made.evaluation.until
    assert read.compile().identity.until == made.compile().identity.until
    changed = Experiment.from_config(tmp_path / "e.yaml", overrides=["evaluation.until=exact_match<0.9"])
    assert str(changed.evaluation.until) == "exact_match<0.9"
    with pytest.raises(SpecError, match=r"evaluation: until: 'high' is no rule for stopping"):
        Experiment.from_config(tmp_path / "e.yaml", overrides=["evaluation.until=high"])


# --- what is refused before anything runs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("exact_mach>=0.5", "until: there is no metric 'exact_mach'"),
        ("exact_match>=1", "a value between 0 and 1 expected"),
        ("exact_match>=80", "a value between 0 and 1 expected"),
        ("exact_match>=0.5, cluster_by=topics", "no case has the key 'topics' in its metadata to cluster by"),
        ("unbounded>=0.5", "unbounded does not state its score_range"),
    ],
)
def test_a_rule_that_can_not_decide_is_refused(until: str, said: str) -> None:
    @metric(component_id="unbounded")
    def unbounded(parsed: ParsedOutput) -> float:
        return 0.5

    with pytest.raises(SpecError) as caught:
        experiment(until, metrics=["builtin/exact_match", unbounded]).compile()
    assert said in str(caught.value)


def test_stopping_before_the_metric_is_scored_and_batches_are_refused_with_all_else(tmp_path: Path) -> None:
    runtime = RuntimeConfig(generation_mode="batch", batch_root=str(tmp_path))
    with pytest.raises(SpecError) as caught:
        experiment("exact_match>=0.5").run(until_stage="parse", runtime=runtime)
    assert "is not scored before stage 'score': run it through that stage, not only through 'parse'" in str(
        caught.value
    )
    assert "until: a batch asks for all cases at once" in str(caught.value)
    assert "has no batch endpoint" in str(caught.value)


# --- what was not planned ---------------------------------------------------------------------------------


def test_a_case_behind_the_stop_is_not_planned_and_says_so() -> None:
    result = run("exact_match>=0.5")
    keys = {case.case_id for case in result.cases}
    assert len(keys) == result.stop.cases < 400
    behind = next(str(n) for n in range(400) if str(n) not in keys)
    assert result.view.find(next(iter(keys))).case.case_id in keys
    with pytest.raises(DataError, match=f"case '{behind}' is not planned: the run ends before it, by its rule"):
        result.view.find(behind)


def test_an_undecided_run_went_through_all_cases_and_has_the_interval_that_is_valid() -> None:
    result = run("exact_match>=0.74")
    assert (result.stop.decision, result.stop.cases, result.stop.of) == ("undecided", 400, 400)
    interval = result.estimate()["builtin/exact_match"].interval
    assert interval == result.stop.interval
    assert interval.low < 0.74 < interval.high
    assert "went through all 400" in str(result.stop)


def test_the_mean_of_these_cases_alone_is_known_at_their_end_and_takes_no_more_of_them() -> None:
    population, cases = run("exact_match>=0.6"), run("exact_match>=0.6, of=cases")
    assert cases.stop.decision == "passes"
    assert cases.stop.cases <= population.stop.cases
    mean = run().benchmark.metric_means["builtin/exact_match"]
    assert run(f"exact_match>={mean - 0.001}, of=cases").stop.decision == "passes"
    assert run(f"exact_match>={mean + 0.001}, of=cases").stop.decision == "fails"
    assert "without replacement" in cases.stop.interval.method


def test_all_metrics_with_a_range_have_the_interval_that_is_valid_and_others_say_that_theirs_is_not() -> None:
    @metric(component_id="unbounded")
    def unbounded(parsed: ParsedOutput) -> float:
        return float(len(str(parsed.value)))

    result = run("exact_match>=0.5", metric=["builtin/exact_match", "builtin/f1", unbounded])
    found = result.estimate()
    assert "valid at any stop" in found["builtin/f1"].interval.method
    assert NOT_COVERED in found["unbounded"].warnings
    assert NOT_COVERED not in found["builtin/f1"].warnings


def test_a_mean_that_labels_correct_says_that_it_does_not_cover_the_stop() -> None:
    result = run("exact_match>=0.5")
    for row in next_labels(result.store, result.run_id, 20):
        result.label(row["case_id"], True, who="ada")
    labelled = result.labelled()["builtin/exact_match"]
    assert labelled.rogan_gladen is not None
    for found in (labelled.corrected, labelled.rogan_gladen):
        assert NOT_COVERED in found.warnings
        assert all(NOT_COVERED in each.warnings for each in (found.judge, found.labels, found.bias))


def test_an_estimate_says_that_it_is_the_most_that_a_run_takes() -> None:
    made = experiment("exact_match>=0.5")
    assumptions = estimate_run(made.compile(), made.components()).assumptions
    assert any("may end earlier, by its rule builtin/exact_match>=0.5" in line for line in assumptions)
    assert "at most: the run ends as soon as builtin/exact_match>=0.5 is decided" in str(made.plan())


def test_a_benchmark_takes_a_rule() -> None:
    rows = [{"problem_idx": n, "problem": f"{n} + {n}?", "answer": str(2 * n)} for n in range(1, 61)]
    result: Any = catalog.run(
        "aime_2026", source=rows, model="builtin/demo_generator", until="math_equivalence>=0.5, every=10"
    )
    assert (result.stop.decision, result.progress.total_cases) == ("passes", 10)


def test_a_replay_goes_on_from_what_is_stored_and_stops_where_its_own_scores_decide() -> None:
    store = InMemoryRunStore()
    made = experiment("exact_match>=0.5")
    first = made.run(store=store)
    again = made.replay(stage="score", store=store)
    assert (again.stop, again.digest) == (first.stop, first.digest)
    other: Any = experiment("exact_match<=0.9").replay(stage="score", store=store)
    assert other.stop.decision == "passes"


# --- comparisons ------------------------------------------------------------------------------------------


def runs(*untils: Any, **fields: Any) -> tuple[InMemoryRunStore, list[str]]:
    store = InMemoryRunStore()
    models = ("builtin/demo_model", "builtin/demo_generator")
    return store, [
        run(until, model=model, store=store, **fields).run_id for until, model in zip(untils, models, strict=True)
    ]


def test_a_comparison_is_decided_along_the_seeded_order() -> None:
    store, (a, b) = runs(None, None)
    found = compare_until(store, a, store, b, "exact_match>=-0.02, every=10")
    assert (found.stop.decision, found.stop.of, found.left_out) == ("passes", 400, 0)
    assert found.stop.cases < 100
    assert found.stop.interval.low is not None
    assert found.stop.interval.low >= -0.02
    assert found.difference == pytest.approx(0.25, abs=0.15)
    back = compare_until(store, b, store, a, StoppingRule(metric_id="exact_match", value=-0.02, every=10))
    assert back.stop.decision == "fails"
    assert compare_until(store, a, store, a, "exact_match>=-0.5").stop.decision == "passes"
    clustered = compare_until(store, a, store, b, "exact_match>=-0.02, every=10, cluster_by=topic")
    assert clustered.stop.cases % 10 == 0
    assert compare_until(store, a, store, b, "exact_match>=0.24, of=cases").stop.decision == "passes"


def test_what_is_missing_added_or_changed_counts_as_worst_both_ways() -> None:
    store = InMemoryRunStore()
    right = evaluate(model="builtin/demo_generator", data=ROWS, metric="builtin/exact_match", store=store).run_id
    changed = [{**row, "input": f"{row['input']} " if n % 2 else row["input"]} for n, row in enumerate(ROWS)]
    other = evaluate(model="builtin/demo_generator", data=changed, metric="builtin/exact_match", store=store).run_id
    found = compare_until(store, right, store, other, "exact_match>=-0.02")
    assert (found.stop.decision, found.left_out, found.difference) == ("undecided", 200, 0.0)
    assert "200 cases are not scored alike in both, and count as worst" in str(found)
    assert compare_until(store, right, store, other, "exact_match>=-0.9").stop.decision == "passes"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("exact_match>=-1", "a difference between -1 and 1 expected"),
        ("f1>=0", "there is no metric 'f1'"),
        ("exact_match>=0, cluster_by=no", "no case has the key 'no' in its metadata to cluster by"),
        ("exact_match", "is no rule for stopping"),
    ],
)
def test_a_comparison_that_can_not_be_decided_is_refused(rule: str, said: str) -> None:
    store, (a, b) = runs(None, None)
    with pytest.raises(SpecError) as caught:
        compare_until(store, a, store, b, rule)
    assert said in str(caught.value)


def test_a_comparison_of_runs_that_ended_early_is_over_what_both_planned_and_says_so() -> None:
    store, (a, b) = runs("exact_match>=0.5", None)
    found = compare(store, a, store, b)
    planned = run("exact_match>=0.5").stop.cases
    (each,) = found.comparisons
    assert (each.pairs, each.unmatched_a, each.unmatched_b) == (planned, 0, 0)
    assert (found.removed, found.added) == ((), ())
    assert "valid at any stop" in each.interval.method
    assert any("could end early" in note for note in found.notes)
    assert any("until builtin/exact_match>=0.5 and (not set)" in note for note in found.notes)
    gates = read_regression_gates(["exact_match:0.5"], store.load_snapshot(a), store.load_snapshot(b))
    (gate,) = check_regressions(gates, found)
    assert gate.passed
    assert "valid at any stop" in gate.reason
