"""Two stored runs, compared and told."""

from __future__ import annotations

from typing import Any

import pytest

from themis import (
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    PromptSpec,
    evaluate,
    generator,
)
from themis.adapters import openai
from themis.api.runs.compare import compare
from themis.pure.components.metrics import NumericMatch
from themis.pure.components.parsers import Regex
from themis.pure.errors import DataError
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.comparison import comparison_data, comparison_text, identity_notes
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
    assert comparison.notes == (
        "the runs differ in: dataset_refs, generator builtin/demo_model and builtin/demo_generator, "
        "error_rate 0.25 and (not set)",
    )
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
    assert compare(store, run, store, run, ["f1"]) == comparison
    (only,) = comparison.comparisons
    assert (only.wins, only.losses, only.ties, only.difference) == (0, 0, 30, 0.0)
    assert comparison.label_a != comparison.label_b
    assert check_regression(parse_regression_gate("builtin/f1:0.1"), comparison).passed
    assert check_regression(parse_regression_gate("builtin/f1", "mean"), comparison).passed
    assert check_regression(parse_regression_gate("builtin/f1"), comparison).passed


def failing(case_ids: range, component_id: str) -> Any:
    def answer(case: Any) -> str:
        if int(case.case_id) in case_ids:
            raise RuntimeError("the server is down")
        return str(case.case_id)

    return generator(component_id=component_id)(answer)


def test_what_unscored_answers_could_overturn_is_said() -> None:
    store = InMemoryRunStore()
    a = evaluate(model=failing(range(0), "all"), data=rows(100), metric=METRICS[:1], store=store)
    worse = [
        {**row, "expected_output": "x" if 88 <= i < 98 else row["expected_output"]} for i, row in enumerate(rows(100))
    ]
    base = evaluate(model=failing(range(0), "all"), data=worse, metric=METRICS[:1], store=store)
    assert a.run_id != base.run_id
    holes = evaluate(model=failing(range(80, 90), "holes"), data=rows(100), metric=METRICS[:1], store=store)
    comparison = compare(store, a.run_id, store, holes.run_id, label_a="all", label_b="holes")
    assert (comparison.status_a, comparison.status_b) == ("completed", "partial_failure")
    (each,) = comparison.comparisons
    assert each.if_missing is not None
    assert (each.if_missing.pairs, each.if_missing.lowest, each.if_missing.highest) == (10, -0.1, 0.0)
    text = comparison_text(comparison)
    assert "10 pairs lack a score: counting them, holes - all lies between -0.1 and +0" in text
    assert "holes is not complete (partial_failure)" in text
    assert "-0.100 to +0.000" in text
    assert comparison_data(comparison)["comparisons"][0]["if_missing"]["lowest"] == -0.1


def test_figures_of_several_answers_are_compared_case_by_case() -> None:
    def answers(share: int, component_id: str) -> Any:
        def answer(case: Any, ctx: Any) -> str:
            return str(case.case_id) if (int(case.case_id) + ctx.seed) % share else "wrong"

        return generator(component_id=component_id)(answer)

    store = InMemoryRunStore()
    a, b = (
        evaluate(
            model=answers(share, f"one-of-{share}"),
            data=rows(40),
            metric=METRICS[:1],
            samples=4,
            seeds=[0, 1, 2, 3],
            store=store,
        )
        for share in (2, 5)
    )
    comparison = compare(store, a.run_id, store, b.run_id, at=[1, 4])
    found = {each.metric_id.removeprefix("builtin/exact_match"): each for each in comparison.comparisons}
    assert list(found) == ["", ":maj@1", ":maj@4", ":pass@1", ":pass@4", ":pass^1", ":pass^4"]
    assert {each.family_size for each in comparison.comparisons} == {7}
    assert found[":pass@1"].difference == pytest.approx(found[""].difference)
    for name in (":pass@4", ":pass^4", ":maj@4"):
        for result, mean in ((a, found[name].mean_a), (b, found[name].mean_b)):
            several = result.several_answers([4])[METRICS[0]]
            figures = {":pass@4": several.pass_at, ":pass^4": several.pass_all, ":maj@4": several.majority}
            assert mean == pytest.approx(figures[name][0].mean)
    with pytest.raises(DataError, match="k = 5: each case has 4 answers"):
        compare(store, a.run_id, store, b.run_id, at=[5])
    one = evaluate(model=answers(5, "one"), data=rows(40), metric=METRICS[:1], store=store)
    with pytest.raises(DataError, match="each case has one answer"):
        compare(store, a.run_id, store, one.run_id, at=[1])


# --- in what runs differ ----------------------------------------------------------------------------------


def compiled(**changes: Any) -> RunSnapshot:
    """Return an experiment of a hundred settings, some of them changed."""
    fields: dict[str, Any] = {
        "model": openai("gpt-4o", temperature=0.0, base_url="http://host/v1"),
        "parsers": [Regex("a"), Regex("b")],
        "metrics": [NumericMatch(), "builtin/exact_match"],
        "policy": {},
        "prompt": None,
        **changes,
    }
    return Experiment(
        generation=GenerationConfig(
            generator=fields["model"], candidate_policy=fields["policy"], prompt_spec=fields["prompt"]
        ),
        evaluation=EvaluationConfig(parsers=fields["parsers"], metrics=fields["metrics"]),
        datasets=Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x"}]),
    ).compile()


DIFFERENCES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "a setting of the model": (
        {"model": openai("gpt-4o", temperature=1.0, base_url="http://host/v1")},
        "temperature 0.0 and 1.0",
    ),
    "a setting that one has not": (
        {"model": openai("gpt-4o", temperature=0.0, max_tokens=9, base_url="http://host/v1")},
        "max_tokens (not set) and 9",
    ),
    "the model": (
        {"model": openai("gpt-4.1", temperature=0.0, base_url="http://host/v1")},
        "generator openai/gpt-4o and openai/gpt-4.1, model gpt-4o and gpt-4.1",
    ),
    "one of two parsers": ({"parsers": [Regex("a"), Regex("c")]}, "builtin/regex (2) pattern b and c"),
    "a metric": ({"metrics": ["builtin/exact_match"]}, "metrics builtin/numeric_match, builtin/exact_match and "),
    "its setting": ({"metrics": [NumericMatch(abs_tol=0.5)]}, "builtin/numeric_match abs_tol (not set) and 0.5"),
    "the policy": ({"policy": {"num_samples": 4}}, "candidate_policy.num_samples (not set) and 4"),
    "the prompt": (
        {"prompt": PromptSpec(instructions="Be brief.", prefix="Q: ")},
        "generation_prompt_spec.instructions (not set) and Be brief., generation_prompt_spec.prefix (not set) and Q: ",
    ),
    "many settings": (
        {"model": openai("gpt-4o", base_url="http://host/v1", extra={f"option_{n}": n for n in range(20)})},
        "9 more settings",
    ),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_runs_say_the_single_settings_that_they_differ_in(what: str) -> None:
    changes, expected = DIFFERENCES[what]
    a, b = compiled(), compiled(**changes)
    notes = identity_notes(a, b)
    assert bool(notes) == bool(expected)
    assert not notes or notes[0].startswith("the runs differ in: ")
    assert expected in "".join(notes)
    assert "_ref" not in "".join(notes)


def test_without_descriptions_runs_name_the_part_that_differs() -> None:
    a, b = compiled(), compiled(model=openai("gpt-4o", temperature=1.0, base_url="http://host/v1"))
    for pair in ((a.evolve(descriptions={}), b), (a, b.evolve(descriptions={}))):
        assert identity_notes(*pair) == ("the runs differ in: generator_ref",)


def test_components_that_describe_themselves_alike_are_named() -> None:
    def asking(style: str) -> Any:
        def ask(case: Any) -> str:
            return style

        made = generator(ask)
        made.describe = lambda: {"model": "mine"}  # type: ignore[attr-defined]  # as an author may
        return made

    assert identity_notes(compiled(model=asking("a")), compiled(model=asking("b"))) == (
        "the runs differ in: generator_ref",
    )
