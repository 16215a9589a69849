"""Law 11: missing never flatters. A failed call is nobody's answer; an answer that can't be read is the model's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, get_args

from hypothesis import assume, given
from hypothesis import strategies as st

from themis import GenerationResult, ParsedOutput, evaluate, metric, parser
from themis.api.runs.report import read_report
from themis.api.runs.result import RunResult
from themis.pure.components.functions import generator
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ReducedCandidate
from themis.pure.records.snapshot import Unparsed
from themis.pure.stats.records import Estimate

ANSWERS: Final = ("right", "wrong", "also wrong", "babble")
FAILED: Final = "failed"
Answers: TypeAlias = tuple[tuple[str, ...], ...]
"""What becomes of each answer of each case: one of `ANSWERS`, or a call that failed."""


@parser
def readable(candidate: ReducedCandidate) -> str | None:
    return None if candidate.final_output == "babble" else str(candidate.final_output)


@metric(score_range=(-1.0, 1.0))
def graded(parsed: ParsedOutput) -> float:
    return {"right": 1.0, "wrong": 0.25, "also wrong": -0.5}[str(parsed.value)]


@metric
def of_unknown_range(parsed: ParsedOutput) -> float:
    return float(parsed.value == "right")


def run(answers: Answers, unparsed: Unparsed = "incorrect") -> RunResult:
    @generator
    def scripted(case: Case, ctx: GenerateContext) -> GenerationResult:
        said = answers[int(case.case_id)][ctx.candidate_index]
        if said == FAILED:
            raise ValueError("no answer")
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=said)

    cases = [
        {"case_id": str(number), "input": "?", "expected_output": "right", "metadata": {"topic": str(number % 2)}}
        for number in range(len(answers))
    ]
    metrics = ["builtin/exact_match", graded, of_unknown_range]
    return evaluate(
        model=scripted, data=cases, metric=metrics, parser=readable, samples=len(answers[0]), unparsed=unparsed
    )


def figures(answers: Answers, unparsed: Unparsed = "incorrect") -> dict[str, Estimate]:
    """Return every figure that a report of such a run has."""
    overview = read_report(run(answers, unparsed).view, by=["topic"], with_digest=False).overview
    found = {row.metric_id: row.estimate for row in overview.metrics}
    for each in overview.several:
        for estimate in (*each.pass_at, *each.pass_all, *each.majority, each.agreement):
            found[f"{each.metric_id} {estimate.metric_id}"] = estimate
    for grouped in overview.groups:
        found[f"{grouped.metric_id} micro"] = grouped.micro
        found[f"{grouped.metric_id} macro"] = grouped.macro
        for group in grouped.groups:
            found[f"{grouped.metric_id} {group.name}"] = group.estimate
    return found


def made(kinds: Sequence[str]) -> st.SearchStrategy[Answers]:
    case = st.sampled_from(kinds)
    return st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
        lambda size: st.tuples(*[st.tuples(*[case] * size[1])] * size[0])
    )


def places(answers: Answers, kind: str) -> list[tuple[int, int]]:
    return [(i, j) for i, case in enumerate(answers) for j, said in enumerate(case) if said == kind]


def with_answers(answers: Answers, at: Sequence[tuple[int, int]], said: Sequence[str]) -> Answers:
    changed = [list(case) for case in answers]
    for (i, j), one in zip(at, said, strict=True):
        changed[i][j] = one
    return tuple(map(tuple, changed))


def completions(answers: Answers) -> Iterator[Answers]:
    """Yield the runs that this one could have been, had no call failed."""
    missing = places(answers, FAILED)
    return (with_answers(answers, missing, said) for said in itertools.product(ANSWERS, repeat=len(missing)))


@given(made((*ANSWERS, FAILED)), st.sampled_from(get_args(Unparsed)))
def test_no_figure_leaves_its_bounds_whatever_the_missing_answers_would_have_said(
    answers: Answers, unparsed: Unparsed
) -> None:
    assume(1 <= len(places(answers, FAILED)) <= 2)
    bounded = figures(answers, unparsed)
    for whole in completions(answers):
        for name, estimate in figures(whole, unparsed).items():
            bound = bounded[name]
            if bound.if_missing_wrong is None or bound.if_missing_right is None:
                assert bound.undefined["if_missing_wrong"], name
                continue
            if estimate.mean is None:
                continue
            assert bound.if_missing_wrong - 1e-9 <= estimate.mean <= bound.if_missing_right + 1e-9, (name, whole)


@given(made(ANSWERS), st.data())
def test_an_answer_that_cannot_be_read_never_raises_a_figure(answers: Answers, data: st.DataObject) -> None:
    right = places(answers, "right")
    assume(right)
    before, after = figures(answers), figures(with_answers(answers, [data.draw(st.sampled_from(right))], ["babble"]))
    for name, estimate in after.items():
        if "of_unknown_range" in name or "agreement" in name:
            continue
        mean = before[name].mean
        assert estimate.mean is not None
        assert mean is not None
        assert estimate.mean <= mean + 1e-9, name


@given(made((*ANSWERS, FAILED)))
def test_totals_add_up_and_both_figures_are_there(answers: Answers) -> None:
    result = run(answers)
    benchmark, said = result.benchmark, [one for case in answers for one in case]
    for outcomes in benchmark.outcome_counts.values():
        assert sum(outcomes.values()) == len(said)
    counts = {kind: said.count(kind) for kind in (*ANSWERS, FAILED)}
    wrong = counts["wrong"] + counts["also wrong"]
    known = {"correct": counts["right"], "incorrect": wrong + counts["babble"], "error": counts[FAILED]}
    unknown = {"correct": counts["right"], "incorrect": wrong, "error": counts[FAILED] + counts["babble"]}
    assert benchmark.outcome_counts["builtin/exact_match"] == known
    assert benchmark.outcome_counts["graded"] == known
    assert benchmark.outcome_counts["of_unknown_range"] == unknown
    for name, lowest in (("builtin/exact_match", 0.0), ("graded", -1.0)):
        unread = [row for row in benchmark.score_rows if row.metric_id == name and row.error_category == "parse_null"]
        assert [row.value for row in unread] == [lowest] * counts["babble"]
    estimate = figures(answers)["builtin/exact_match"]
    assert estimate.missing == counts[FAILED]
    assert estimate.unparsed == counts["babble"]
    read = counts["right"] + wrong
    assert estimate.parsed_mean == (counts["right"] / read if read else None)
    assert result.status.value == ("partial_failure" if counts[FAILED] else "completed")
