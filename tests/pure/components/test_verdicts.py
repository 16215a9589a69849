"""Verdicts are read robustly or not at all: hand-checked answers of judges, and what no text may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.judging.verdicts import read_label, read_score

GRADES = ("correct", "incorrect", "not attempted")
PAIR = ("A", "B", "tie")

READ = [
    ("Verdict: correct", GRADES, "correct"),
    ("verdict: INCORRECT", GRADES, "incorrect"),
    ("**Verdict:** correct", GRADES, "correct"),
    ("**Verdict: incorrect**", GRADES, "incorrect"),
    ("### Verdict: correct.", GRADES, "correct"),
    ("> Verdict: correct", GRADES, "correct"),
    ("- Verdict: `correct`", GRADES, "correct"),
    ("Final verdict: correct", GRADES, "correct"),
    ("My final verdict is incorrect.", GRADES, "incorrect"),
    ("The verdict is: correct", GRADES, "correct"),
    ("Grade: not attempted", GRADES, "not attempted"),
    ("Grade: NOT_ATTEMPTED", GRADES, "not attempted"),
    ("grade = not-attempted", GRADES, "not attempted"),
    ("correct", GRADES, "correct"),
    ("  Incorrect.\n", GRADES, "incorrect"),
    ("**correct**", GRADES, "correct"),
    ('"correct"', GRADES, "correct"),
    ("The sum is off by one.\n\nincorrect", GRADES, "incorrect"),
    ("Correct in its first half, but the result is wrong.\nVerdict: incorrect", GRADES, "incorrect"),
    ("Incorrect at first sight; yet it holds.\nVerdict: correct", GRADES, "correct"),
    ("Verdict: incorrect\nOn second thought, it is fine.\nVerdict: correct", GRADES, "correct"),
    ('{"verdict": "correct"}', GRADES, "correct"),
    ('```json\n{"verdict": "incorrect", "why": "off by one"}\n```', GRADES, "incorrect"),
    ('Here you are: {"reasoning": "ok {really}", "label": "correct"} Thanks!', GRADES, "correct"),
    ('{"Verdict": "Correct"}', GRADES, "correct"),
    ('{"a": 1}\nVerdict: correct', GRADES, "correct"),
    ("<think>Verdict: incorrect? No.</think>Verdict: correct", GRADES, "correct"),
    ("<thinking>hm\nincorrect\n</thinking>\ncorrect", GRADES, "correct"),
    ("Verdict: A", PAIR, "A"),
    ("[[B]]", PAIR, "B"),
    ("Both are good, the second is better. [[B]]", PAIR, "B"),
    ("My verdict is [[A]].", PAIR, "A"),
    ("Verdict: [[tie]]", PAIR, "tie"),
    ("Winner: B", PAIR, "B"),
    ("A good answer on the whole; the other is better.\nVerdict: B", PAIR, "B"),
    ("B", PAIR, "B"),
    ("(A)", PAIR, "A"),
    ("Verdict: Tie!", PAIR, "tie"),
    ("Decision: b", PAIR, "B"),
    ("Verdict: met", ("met", "not met"), "met"),
    ("Verdict: not met", ("met", "not met"), "not met"),
    ("The criterion is met only in part.\nVerdict: not_met", ("met", "not met"), "not met"),
]

UNREADABLE = [
    ("", GRADES),
    ("Correct in its first half, but the result is wrong.", GRADES),
    ("A good answer on the whole.", PAIR),
    ("I can't decide.", GRADES),
    ("Verdict: maybe", GRADES),
    ("Verdict: correct or incorrect", GRADES),
    ("Verdict:", GRADES),
    ("The answer could be correct, the answer could be incorrect", GRADES),
    ('{"verdict": "perhaps"}', GRADES),
    ('{"verdict": null}', GRADES),
    ("A\nB", ("correct", "incorrect")),
    ("Both A and B", PAIR),
    ("Verdict: C", PAIR),
    ("correct incorrect", GRADES),
    ("<think>correct</think>", GRADES),
    ("1", GRADES),
]


@pytest.mark.parametrize(("text", "labels", "expected"), READ, ids=range(len(READ)))
def test_labels_that_are_read(text: str, labels: tuple[str, ...], expected: str) -> None:
    assert read_label(text, labels) == expected


@pytest.mark.parametrize(("text", "labels"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_is_no_verdict_is_an_error(text: str, labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="verdict"):
        read_label(text, labels)


SCORES = [
    ("Score: 4", 4.0),
    ("Score: 4/5", 4.0),
    ("**Score: 3.5**", 3.5),
    ("Final score: 2 out of 5", 2.0),
    ("Score: [[5]]", 5.0),
    ("[[1]]", 1.0),
    ("Rating: 8/10", 4.0),
    ("Score: 80%", 4.0),
    ("4", 4.0),
    ("I would say 2 things are wrong.\nScore: 3", 3.0),
    ("Of 5 points, 2 are lost.\n3", 3.0),
    ('{"score": 4}', 4.0),
    ('{"score": "4/5", "why": "x"}', 4.0),
    ('```json\n{"rating": 2.5}\n```', 2.5),
    ("Score: 2\nCorrection.\nScore: 3", 3.0),
    ("The overall score is 5.", 5.0),
    ("Score = 1", 1.0),
]


@pytest.mark.parametrize(("text", "expected"), SCORES, ids=range(len(SCORES)))
def test_scores_that_are_read(text: str, expected: float) -> None:
    assert read_score(text, 1, 5) == expected


@pytest.mark.parametrize(
    "text",
    ["", "Good.", "Score: 7", "Score: 0", "Score: -1", "Score: 4 or 5", "6/5", "Score: high", '{"score": null}', "nan"],
)
def test_what_is_no_score_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="score"):
        read_score(text, 1, 5)


@given(st.text() | st.text('{}[]":,Verdict score ABtie\n0123456789/%'))
def test_no_text_raises_anything_but_a_value_error(text: str) -> None:
    for read in (lambda: read_label(text, PAIR), lambda: read_score(text, 1, 5)):
        try:
            found = read()
        except ValueError:
            continue
        assert found in PAIR or 1 <= float(found) <= 5


def test_long_answers_are_read_from_their_end_in_time() -> None:
    assert read_label("{" * 50_000 + "}" * 50_000 + "\nVerdict: A", PAIR) == "A"
    assert read_label("verdict " * 100_000 + "\nVerdict: B", PAIR) == "B"
