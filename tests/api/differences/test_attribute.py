"""Planted differences between two runs of scripted models: the cause is named, with its share."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    GenerationResult,
    InMemoryRunStore,
    ParsedOutput,
    PromptSpec,
    RunResult,
    Score,
    evaluate,
    explain_difference,
    import_outputs,
)
from themis import parser as custom_parser
from themis.core import JudgeResponse
from themis.pure.components.registry import make_builtin
from themis.pure.errors import DataError, SpecError
from themis.pure.pipeline.swaps import TOGETHER
from themis.pure.records.difference import DifferenceExplanation

CASES: Final = 37
SALT: Final = 3


def rows(first: int = 0, last: int = CASES) -> list[dict[str, Any]]:
    return [
        {"case_id": f"q{n}", "input": f"How much is {n} and {n + 1}?", "expected_output": str(2 * n + 1)}
        for n in range(first, last)
    ]


def luck(*parts: object) -> float:
    """Return a number from 0 to 1 that depends on nothing but what is given."""
    return int.from_bytes(hashlib.sha256(repr((SALT, *parts)).encode()).digest()[:4]) / 2**32


@attrs.frozen
class Scripted:
    """A model by script: right where luck has it, which rests on all that it is asked with."""

    model: str = "small"
    temperature: float = 0.0
    max_tokens: int = 100
    marks: bool = False
    failing: float = 0.0
    wordy: float = 0.3
    keep: int | None = None
    component_id: str = "scripted"

    async def generate(self, case: Case, ctx: Any) -> GenerationResult:
        if luck("fails", case.input) < self.failing:
            raise ConnectionError("the endpoint is down")
        spec = (ctx.prompt_spec or PromptSpec()).to_dict()
        sampled = ctx.candidate_index if self.temperature or ctx.candidate_index else 0
        asked = (case.input, self.model, self.temperature, sorted(spec.items(), key=str), sampled)
        right = sum(map(int, re.findall(r"\d+", str(case.input))))
        number = right if luck(*asked) < 0.6 else right + 1
        say = "The answer is" if luck("words", case.input) < 1 - self.wordy else "I would say that it is"
        words = f"Let me see what that is. {say} {number}.".split(" ")
        cut = words[: self.max_tokens]
        text = " ".join(cut)
        if self.marks:
            text = f"<think>It may be {right + 3}, or not.</think>\n{text}"
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=text[: self.keep],
            artifacts={"finish_reason": "length" if len(cut) < len(words) else "stop"},
            token_usage={"prompt_tokens": 20, "completion_tokens": len(cut)},
        )


@attrs.frozen
class Judge:
    """A judge by script, more or less severe."""

    severe: float = 0.2
    component_id: str = "judge"
    verdicts: tuple[str, str] = ("Verdict: correct", "Verdict: incorrect")

    async def judge(self, prompt: Any, *, seed: int | None = None) -> JudgeResponse:
        good = luck("judge", str(prompt.content), seed) >= self.severe
        return JudgeResponse(judge_model_id=self.component_id, raw_response=self.verdicts[0 if good else 1])


@attrs.frozen
class Moody(Judge):
    """A judge that says one thing today and another tomorrow; by its settings it is the same."""

    mood: int = attrs.field(default=0, repr=False)

    def fingerprint(self) -> str:
        return "moody"

    async def judge(self, prompt: Any, *, seed: int | None = None) -> JudgeResponse:
        good = luck("judge", str(prompt.content), self.mood) >= 0.4
        return JudgeResponse(
            judge_model_id=self.component_id, raw_response=f"Verdict: {'correct' if good else 'incorrect'}"
        )


@attrs.frozen
class Numbers:
    """A metric with an option."""

    tolerance: int = 0
    fails_above: int | None = None
    component_id: str = "numbers"
    metric_family: str = "pure"
    score_range: tuple[float, float] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: Any) -> Score:
        off = abs(int(parsed.value) - int(case.expected_output))  # type: ignore[arg-type]
        return Score(metric_id=self.component_id, value=float(off <= self.tolerance))


STRICT: Final = make_builtin("builtin/regex", pattern=r"answer is (\d+)\.$")
FLEXIBLE: Final = make_builtin("builtin/regex", pattern=r"(\d+)\.?$")


@custom_parser
def last_word(answer: Any) -> str:
    """Read the last word; it is no builtin, and nothing imports it."""
    return str(answer.final_output).split()[-1].rstrip(".")


@custom_parser
def first_number(answer: Any) -> str | None:
    found = re.search(r"\d+", str(answer.final_output))
    return None if found is None else found[0]


@custom_parser
def last_word_of_all(answer: Any) -> str:
    return str(answer.final_output).split()[-1]


def run(store: InMemoryRunStore, **options: Any) -> RunResult:
    """Run the usual evaluation with some things as they are given."""
    usual = {"model": Scripted(), "data": rows(), "metric": "builtin/exact_match", "parser": FLEXIBLE}
    runtime = {"generation_retry_attempts": 1, "progress": False}
    return evaluate(store=store, runtime=runtime, **{**usual, **options})


def explained(a: Mapping[str, Any], b: Mapping[str, Any], **more: Any) -> DifferenceExplanation:
    store = InMemoryRunStore()
    first, second = run(store, **a), run(store, **b)
    return explain_difference(store, first.run_id, store, second.run_id, **more)


def edited(each: int, field: str, text: str) -> list[dict[str, Any]]:
    """Return the rows, of some of which a field is another text: `{0}` is the first number, `{1}` the answer."""
    return [
        {**row, field: text.format(number, row["expected_output"])} if number % each == 0 else row
        for number, row in enumerate(rows())
    ]


WORDED: Final = edited(3, "expected_output", "The {1}")
JUDGED: Final = {"metric": "builtin/majority_vote_judge", "judge": Judge()}
RENAMED: Final = [{**row, "case_id": f"q{number}"} for number, row in enumerate(rows(10, 55))]
SHOTS: Final = [{"input": f"How much is {n} and 1?", "output": str(n + 1)} for n in (90, 91)]

PLANTED: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any], str]]] = {
    "a suffix": ({}, {"prompt": PromptSpec(suffix=" Think.")}, "prompt"),
    "a system message": ({}, {"prompt": PromptSpec(instructions="Be terse.")}, "prompt"),
    "another few-shot": (
        {"prompt": PromptSpec(blocks=SHOTS[:1])},
        {"prompt": PromptSpec(blocks=SHOTS)},
        "prompt",
    ),
    "a template": ({}, {"prompt": PromptSpec(template="Q: {input}")}, "prompt"),
    "strict and flexible": ({"parser": STRICT}, {}, "parser"),
    "a chain of parsers": ({"parser": STRICT}, {"parser": [STRICT, FLEXIBLE]}, "parser"),
    "a parser of one's own": ({"parser": last_word}, {"parser": last_word_of_all}, "parser"),
    "dropped cases": ({}, {"data": rows(9)}, "cases"),
    "a split with overlap": ({}, {"data": rows(10, 55)}, "cases"),
    "a split whose ids are row numbers": ({}, {"data": Dataset(dataset_id="other", cases=RENAMED)}, "cases"),
    "duplicate cases": (
        {},
        {"data": [*rows(), *({**row, "case_id": f"{row['case_id']} again"} for row in rows(0, 20))]},
        "cases",
    ),
    "reasoning marks": ({"parser": first_number}, {"parser": first_number, "model": Scripted(marks=True)}, "reasoning"),
    "reasoning taken out": (
        {"parser": first_number, "model": Scripted(marks=True)},
        {"parser": first_number},
        "reasoning",
    ),
    "cut answers": ({}, {"model": Scripted(max_tokens=11)}, "cut"),
    "a judge": (JUDGED, {**JUDGED, "judge": Judge(severe=0.6)}, "judge"),
    "how often a judge is asked": (JUDGED, {**JUDGED, "judge_config": {"repeats": 3}}, "judge"),
    "a rubric": (JUDGED, {**JUDGED, "workflow_overrides": {"rubric": "Is it polite?"}}, "judge"),
    "another normalisation": (
        {"data": WORDED, "metric": "builtin/exact_match"},
        {"data": WORDED, "metric": "builtin/exact_match_normalized"},
        "metric",
    ),
    "options of a metric": ({"metric": Numbers()}, {"metric": Numbers(tolerance=1)}, "metric"),
    "options of a builtin": (
        {"data": WORDED, "metric": make_builtin("builtin/exact_match_normalized", normalization="unicode")},
        {"data": WORDED, "metric": "builtin/exact_match_normalized"},
        "metric",
    ),
    "a reducer": (
        {"samples": 3, "model": Scripted(temperature=1.0), "reducer": "builtin/first"},
        {"samples": 3, "model": Scripted(temperature=1.0), "reducer": "builtin/majority_vote"},
        "reducer",
    ),
    "more samples": (
        {"model": Scripted(temperature=1.0)},
        {"model": Scripted(temperature=1.0), "samples": 5},
        "samples",
    ),
    "more samples and their vote": (
        {"model": Scripted(temperature=1.0)},
        {"model": Scripted(temperature=1.0), "samples": 5, "reducer": "builtin/majority_vote"},
        "samples",
    ),
    "answers cut without a word of it": ({}, {"model": Scripted(keep=33)}, "cut"),
    "a metric that asks a judge": ({}, JUDGED, "metric"),
    "edited references": ({}, {"data": edited(5, "expected_output", "7")}, "references"),
    "errors": ({}, {"model": Scripted(failing=0.3)}, "errors"),
    "temperature": ({}, {"model": Scripted(temperature=1.0)}, "sampling"),
    "a model": ({}, {"model": Scripted(model="large")}, "model"),
    "what unparsed answers count as": ({"parser": STRICT}, {"parser": STRICT, "unparsed": "missing"}, "unparsed"),
    "edited questions": (
        {},
        {"data": edited(4, "input", "How much is {0} and {0} and 2, please?")},
        "inputs",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_cause_of_a_planted_difference_is_named_with_its_share(name: str) -> None:
    a, b, factor = PLANTED[name]
    found = explained(a, b)
    assert abs(found.difference) > 0.004  # something is to be explained
    assert found.factors[0].factor == factor
    assert found.shares[factor] == pytest.approx(found.difference, abs=1e-3)
    assert found.factors[0].cases
    for each in found.factors[1:]:
        assert abs(each.points) < 0.1


KNOBS: Final[Mapping[str, tuple[str, Any]]] = {
    "suffix": ("prompt", PromptSpec(suffix=" Think.")),
    "strict": ("parser", STRICT),
    "own": ("parser", last_word),
    "normalised": ("metric", "builtin/exact_match_normalized"),
    "dropped": ("data", rows(7)),
    "overlap": ("data", rows(25, 50)),
    "edited": ("data", edited(4, "expected_output", "7")),
    "samples": ("samples", 3),
    "missing": ("unparsed", "missing"),
    "marks": ("model", Scripted(marks=True)),
    "cut": ("model", Scripted(max_tokens=11)),
    "errors": ("model", Scripted(failing=0.3)),
    "warm": ("model", Scripted(temperature=1.0)),
    "large": ("model", Scripted(model="large", max_tokens=11, failing=0.1)),
}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(sorted(KNOBS)), min_size=2, max_size=5, unique_by=lambda knob: KNOBS[knob][0]), st.data()
)
def test_shares_of_several_planted_at_once_add_up(knobs: list[str], data: st.DataObject) -> None:
    in_a = data.draw(st.sets(st.sampled_from(knobs)))
    a, b = (dict(KNOBS[knob] for knob in knobs if (knob in in_a) is of_a) for of_a in (True, False))
    store = InMemoryRunStore()
    runs = [run(store, **given).run_id for given in (a, b)]
    found = explain_difference(store, runs[0], store, runs[1])
    assert sum(found.shares.values()) == pytest.approx(found.difference, abs=1e-9)
    for each in explain_difference(store, runs[0], store, runs[1], cases=1000).factors:
        assert sum(case.share for case in each.cases) == pytest.approx(each.share, abs=1e-9)
    back = explain_difference(store, runs[1], store, runs[0])
    assert back.difference == pytest.approx(-found.difference, abs=1e-12)
    assert {name: -share for name, share in back.shares.items()} == pytest.approx(dict(found.shares), abs=1e-9)


RECOMPUTED: Final[Mapping[str, tuple[str, Any]]] = {
    "prompt": ("prompt", PromptSpec(suffix=" Think.")),
    "parser": ("parser", STRICT),
    "metric": ("metric", make_builtin("builtin/exact_match_normalized", normalization="unicode")),
    "unparsed": ("unparsed", "missing"),
    "references": ("data", edited(4, "expected_output", "The {1}")),
}


@settings(max_examples=4, deadline=None)
@given(st.lists(st.sampled_from(sorted(RECOMPUTED)), min_size=2, max_size=3, unique=True))
def test_shares_are_those_of_runs_that_were_made_with_every_combination(factors: list[str]) -> None:
    store = InMemoryRunStore()
    usual = {"metric": "builtin/exact_match_normalized", "data": edited(3, "expected_output", "The {1}")}
    runs = {
        swapped: run(store, **usual | dict(RECOMPUTED[factor] for factor in swapped))
        for size in range(len(factors) + 1)
        for swapped in map(frozenset, itertools.combinations(factors, size))
    }
    means = {swapped: next(iter(each.benchmark.metric_means.values())) for swapped, each in runs.items()}
    expected = dict.fromkeys(factors, 0.0)
    orders = list(itertools.permutations(factors))
    for order in orders:
        for place, factor in enumerate(order):
            step = means[frozenset(order[: place + 1])] - means[frozenset(order[:place])]
            expected[factor] += step / len(orders)
    first, last = runs[frozenset()], runs[frozenset(factors)]
    found = explain_difference(store, first.run_id, store, last.run_id)
    assert dict(found.shares) == pytest.approx(expected, abs=1e-9)
    assert (found.mean_a, found.mean_b) == pytest.approx((means[frozenset()], means[frozenset(factors)]))


SUFFIX: Final = PromptSpec(suffix=" Think.")


def test_a_prompt_and_a_model_that_both_differ_have_one_share_and_the_calls_that_would_tell() -> None:
    prices = {"scripted": {"prompt": 1.0, "completion": 0.0}}
    found = explained({}, {"prompt": SUFFIX, "model": Scripted(model="large")}, prices=prices)
    (only,) = found.factors
    assert (only.factor, only.known) == ("prompt+model", "needs new calls")
    assert only.share == pytest.approx(found.difference)
    assert only.before == 'suffix (not set); model "small"'
    assert only.new_calls is not None
    assert only.new_calls.calls == 2 * CASES  # each model with the other's prompt
    assert only.new_calls.cost == pytest.approx(2 * CASES * 20 / 1e6)


def test_stored_runs_with_the_prompt_of_one_and_the_model_of_the_other_tell_them_apart() -> None:
    store, large = InMemoryRunStore(), Scripted(model="large")
    made = {
        (prompt, model): run(store, **({"prompt": SUFFIX} if prompt else {}), **({"model": large} if model else {}))
        for prompt in (0, 1)
        for model in (0, 1)
    }
    mean = {sides: each.benchmark.metric_means["builtin/exact_match"] for sides, each in made.items()}
    found = explain_difference(store, made[0, 0].run_id, store, made[1, 1].run_id)
    of_prompt = (mean[1, 0] - mean[0, 0] + mean[1, 1] - mean[0, 1]) / 2
    assert dict(found.shares) == pytest.approx({"prompt": of_prompt, "model": found.difference - of_prompt})
    assert {each.known for each in found.factors} == {"stored answers"}
    assert all(made[0, 1].run_id[:12] in str(each.notes) for each in found.factors)


def test_a_judge_is_told_from_a_prompt_where_the_answers_are_the_same() -> None:
    found = explained(JUDGED, {**JUDGED, "judge": Judge(severe=0.6), "prompt": SUFFIX}, cases=CASES)
    together = next(each for each in found.factors if each.factor == "prompt+judge")
    alone = next(each for each in found.factors if each.factor == "judge")
    assert together.known == "needs new calls"
    assert together.new_calls is not None
    answers = [(case.answer_a, case.answer_b) for case in together.cases]
    assert answers
    assert all(one != other for one, other in answers)
    assert all(case.answer_a == case.answer_b for case in alone.cases)
    differing = int(together.notes[0].split()[3])
    assert together.new_calls.calls == 2 * differing  # each judge about the other's answers


def test_verdicts_of_the_same_judge_that_differ_are_the_judge() -> None:
    stores = InMemoryRunStore(), InMemoryRunStore()
    runs = []
    for number, store in enumerate(stores):
        moody = Moody(mood=number)
        runs.append(run(store, metric="builtin/majority_vote_judge", judge=moody).run_id)
    found = explain_difference(stores[0], runs[0], stores[1], runs[1])
    assert found.factors[0].factor == "judge"
    assert found.shares["judge"] == pytest.approx(found.difference)


def test_a_component_that_is_not_at_hand_is_named_and_found_in_an_experiment() -> None:
    a, b = {"parser": last_word}, {"parser": last_word_of_all, "prompt": SUFFIX}
    found = explained(a, b)
    together = next(each for each in found.factors if TOGETHER in each.factor)
    assert together.known == "not at hand"
    assert any("last_word" in note and "--config" in note for note in found.notes)
    given = [
        Experiment(
            generation=GenerationConfig(generator=Scripted()),
            evaluation=EvaluationConfig(metrics="builtin/exact_match", parsers=[each]),
            datasets=[Dataset(dataset_id="data", cases=rows())],
        )
        for each in (last_word, last_word_of_all)
    ]
    apart = explained(a, b, experiments=given)
    assert set(apart.shares) == {"parser", "prompt"}
    assert not apart.notes


def test_what_differs_and_changed_nothing_is_shown_with_no_share() -> None:
    found = explained({}, {"model": Scripted(wordy=0.31)})
    assert dict(found.shares) == {"model": 0.0}
    assert explained({}, {}).factors == ()


def test_answers_made_elsewhere_are_explained_as_far_as_they_go(tmp_path: Path) -> None:
    store, rows_there = InMemoryRunStore(), rows(5)
    path = tmp_path / "answers.jsonl"
    lines = [
        {
            "id": f"x{n}",
            "input": f"Q: {row['input']}",
            "question": row["input"],
            "expected_output": row["expected_output"],
            "output": f"So the answer is {row['expected_output']}.",
        }
        for n, row in enumerate(rows_there)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    theirs = import_outputs(
        path, name="theirs", metric="builtin/exact_match", parser=STRICT, metadata_fields=["question"], store=store
    )
    ours = run(store)
    found = explain_difference(store, theirs.run_id, store, ours.run_id)
    assert found.shared_cases == len(rows_there)
    assert sum(found.shares.values()) == pytest.approx(found.difference)
    assert set(found.shares) == {"inputs+model", "parser", "cases"}
    asked = next(each for each in found.factors if each.factor == "inputs+model")
    assert asked.known == "needs new calls"
    assert "Q: How much is 5 and 6?" in asked.before


def test_nothing_is_written_and_nobody_is_asked() -> None:
    store = InMemoryRunStore()
    a, b = run(store, **JUDGED), run(store, **{**JUDGED, "prompt": SUFFIX})
    before = [store.head(each.run_id) for each in (a, b)]
    explain_difference(store, a.run_id, store, b.run_id)
    assert [store.head(each.run_id) for each in (a, b)] == before
    assert len(store.list_runs()) == 2


def test_what_cannot_be_explained_is_refused() -> None:
    store = InMemoryRunStore()
    one = run(store, metric=["builtin/exact_match", "builtin/contains"])
    two = run(store, metric="builtin/f1", prompt=SUFFIX)
    with pytest.raises(DataError, match="name one of each: builtin/exact_match, builtin/contains; builtin/f1"):
        explain_difference(store, one.run_id, store, two.run_id)
    with pytest.raises(DataError, match="name one metric that both runs have, of builtin/exact_match"):
        explain_difference(store, one.run_id, store, one.run_id)
    with pytest.raises(DataError, match="score a run by it first"):
        explain_difference(store, one.run_id, store, two.run_id, "exact_match")
    with pytest.raises(SpecError, match="cases: a number from 0 up"):
        explain_difference(store, one.run_id, store, two.run_id, "contains", metric_b="f1", cases=-1)
    with pytest.raises(SpecError, match="allowed: a list of Experiment"):
        explain_difference(
            store,
            one.run_id,
            store,
            two.run_id,
            "contains",
            metric_b="f1",
            experiments=["x"],  # type: ignore[list-item]  # on purpose
        )
    found = explain_difference(store, one.run_id, store, two.run_id, "contains", metric_b="f1")
    assert (found.metric_a, found.metric_b) == ("builtin/contains", "builtin/f1")


def test_a_run_without_a_score_has_no_mean_to_explain() -> None:
    with pytest.raises(DataError, match="has no score of the metric"):
        explained({}, {"model": Scripted(failing=1.0)})


def test_samples_are_told_from_a_prompt_by_the_run_that_has_them() -> None:
    store, warm = InMemoryRunStore(), Scripted(temperature=1.0)
    one = run(store, model=warm)
    first = run(store, model=warm, prompt=SUFFIX)
    several = run(store, model=warm, prompt=SUFFIX, samples=4)
    means = [each.benchmark.metric_means["builtin/exact_match"] for each in (one, first, several)]
    found = explain_difference(store, one.run_id, store, several.run_id)
    expected = {"prompt": means[1] - means[0], "samples": means[2] - means[1]}
    assert dict(found.shares) == pytest.approx(expected)


def test_recorded_verdicts_are_put_together_in_another_way() -> None:
    panel = [
        Judge(severe=severe, component_id=f"judge-{severe}", verdicts=("Score: 5", "Score: 2"))
        for severe in (0.1, 0.5, 0.8)
    ]
    mean, median = (make_builtin("builtin/panel_of_judges", method=each) for each in ("mean", "median"))
    stores = InMemoryRunStore()
    combinations = {
        (method, judges): run(stores, metric=metric, judge=panel[:judges], parser="builtin/text")
        for method, metric in (("mean", mean), ("median", median))
        for judges in (2, 3)
    }
    means = {sides: each.benchmark.metric_means["builtin/panel_of_judges"] for sides, each in combinations.items()}
    assert len(set(means.values())) > 2
    first, last = combinations["mean", 2], combinations["median", 3]
    found = explain_difference(stores, first.run_id, stores, last.run_id)
    of_metric = (means["median", 2] - means["mean", 2] + means["median", 3] - means["mean", 3]) / 2
    assert dict(found.shares) == pytest.approx({"metric": of_metric, "judge": found.difference - of_metric})
