"""What changed, told: both runs side by side on a terminal, in Markdown and on a page."""

from __future__ import annotations

from typing import Any

import pytest

from themis.pure.changes import CasesOfKind, ChangedCase, MetricChanges, ShownAnswer, ShownCase, ShownScore
from themis.pure.report.changes import changed_case_text, changes_html, changes_markdown, changes_text

HOSTILE = "</pre><script>alert(1)</script>\x1b[2J``` | \u202e"


def side(answer: Any, parsed: Any = None, prompt: str = "How many?", dataset: str = "data") -> ShownCase:
    score = ShownScore(metric_id="m", value=float(parsed == "4"), outcome="correct" if parsed == "4" else "incorrect")
    return ShownCase(
        case_id="c",
        dataset_id=dataset,
        case_key=f"{len(dataset)}:{dataset}:c",
        prompt=[{"role": "user", "content": prompt}],
        expected_output="4",
        answers=[ShownAnswer(candidate_id="c-0", answer=answer, parsed=parsed, scores=[score])],
    )


def case(a: ShownCase, b: ShownCase) -> ChangedCase:
    return ChangedCase(case_id="c", dataset_id="data", case_key="4:data:c", kinds={"m": "right_to_wrong"}, a=a, b=b)


def test_lines_that_are_alike_are_not_marked() -> None:
    told = changed_case_text(case(side("first\nlast 4", "4"), side("first\nlast 5", "5")), "before", "after", 40)
    assert told.split("\n") == [
        "case c of dataset data",
        "  m: right to wrong",
        "prompt:",
        "  How many?",
        "expected:",
        "  4",
        "answer",
        "  a: before          b: after",
        "  first            | first",
        "  last 4           ! last 5",
        "parsed",
        "  a: before          b: after",
        "  4                ! 5",
        "scores",
        "  a: before          b: after",
        "  m: 1 (correct)   ! m: 0 (incorrect)",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_case_keeps_to_the_width(width: int) -> None:
    long = "word " * 200 + "x" * 300
    told = changed_case_text(
        case(side(long, "4", prompt=long), side(f"{long} end", "5", prompt=long)), "a" * 90, "b", width
    )
    assert max(map(len, told.split("\n"))) <= width
    assert "more lines]" in told or width > 100


def test_what_models_say_means_nothing_wherever_it_is_told() -> None:
    both = case(side(HOSTILE, "4"), side(f"{HOSTILE} more", HOSTILE))
    metrics = [
        MetricChanges(metric_id=HOSTILE, kinds=[CasesOfKind(kind="right_to_wrong", count=1, case_keys=["1:d:c"])])
    ]
    page = "".join(changes_html(metrics, [both], HOSTILE, "b"))
    assert "<script" not in page
    assert "&lt;/pre&gt;" in page
    for told in (
        page,
        changes_text(metrics),
        changes_markdown(metrics, [both], HOSTILE, "b"),
        changed_case_text(both, HOSTILE, "b"),
    ):
        assert "\x1b" not in told
        assert "\u202e" not in told
    assert "````\n" in changes_markdown(metrics, [both], "a", "b")


def test_cases_are_named_with_their_datasets_where_there_are_several() -> None:
    one = MetricChanges(
        metric_id="m",
        kinds=[
            CasesOfKind(kind="right_to_wrong", count=9, worse=9, case_keys=[f"1:d:{n}" for n in range(9)]),
            CasesOfKind(kind="same", count=1, equal=1),
        ],
    )
    assert changes_text([one]) == "m: 9 cases of 10 changed\n  right to wrong (9): 0, 1, 2, 3, 4, 5, 6, 7, and 1 more"
    other = MetricChanges(metric_id="n", kinds=[CasesOfKind(kind="score_rose", count=1, case_keys=["3:e:f:1:2"])])
    assert changes_text([one, other]).endswith("n: 1 case of 1 changed\n  score rose (1): e:f/1:2")
