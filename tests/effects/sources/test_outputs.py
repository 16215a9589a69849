"""Rows of answers made elsewhere: what makes a case, what makes its answer, and what is wrong with a row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.sources.files import OTHERS, CaseFields
from themis.effects.sources.outputs import OutputFields, RowError, number_in, samples_of
from themis.effects.spool import Faults, Spool
from themis.pure.errors import DataError
from themis.pure.interchange.records import LoggedSample
from themis.testing.strategies import json_values

USUAL = OutputFields(case=CaseFields(metadata=OTHERS))


def read(row: dict[str, Any], fields: OutputFields = USUAL) -> LoggedSample:
    return fields.sample_of(row, 1, "rows:1")


def test_a_row_is_a_case_and_an_answer() -> None:
    sample = read(
        {
            "case_id": 7,
            "input": "1+1",
            "expected_output": "2",
            "output": "two",
            "topic": "sums",
            "prompt_tokens": "12",
            "completion_tokens": 3.0,
            "latency_ms": "81.5",
            "model": "m-1",
            "finish_reason": "stop",
            "error": "",
        }
    )
    assert (sample.case.case_id, sample.case.input, sample.case.expected_output) == ("7", "1+1", "2")
    assert sample.case.metadata == {"topic": "sums"}
    assert sample.result is not None
    assert sample.result.final_output == "two"
    assert sample.result.token_usage == {"prompt_tokens": 12, "completion_tokens": 3}
    assert sample.result.latency_ms == 81.5
    assert sample.result.artifacts == {"finish_reason": "stop", "model": "m-1"}
    assert sample.error is None


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"output": "x", "error": "HTTP 500"}, "HTTP 500"),
        ({"error": "HTTP 500"}, "HTTP 500"),
        ({"output": None}, "the file has no answer here, and no error"),
        ({"output": "", "error": ""}, None),
        ({"output": "x", "error": None}, None),
        ({"output": 0}, None),
    ],
)
def test_an_error_and_a_null_are_no_answers_and_an_empty_one_is(row: dict[str, Any], error: str | None) -> None:
    sample = read({"input": "q", **row})
    assert sample.error == error
    assert (sample.result is None) == (error is not None)


def test_columns_are_named_as_those_of_cases_are_and_reach_into_objects() -> None:
    fields = OutputFields(
        case=CaseFields(input="doc.question", expected="doc.answer", case_id="n", metadata=OTHERS),
        output="response.text",
        sample="epoch",
        error="problem",
        scores=("grade",),
    )
    row = {
        "doc": {"question": "q", "answer": "a"},
        "n": 3,
        "response": {"text": "t"},
        "epoch": "1",
        "problem": None,
        "grade": "0.5",
        "topic": "x",
    }
    sample = read(row, fields)
    assert (sample.case.case_id, sample.index) == ("3", 1)
    assert sample.result is not None
    assert sample.result.final_output == "t"
    assert sample.case.metadata == {"topic": "x"}
    assert [(score.name, score.value, score.number) for score in sample.scores] == [("grade", "0.5", 0.5)]


def test_a_column_that_is_named_for_the_case_may_be_one_of_the_answer_too() -> None:
    sample = read({"input": "q", "output": "o", "model": "m"}, OutputFields(case=CaseFields(metadata="model")))
    assert sample.case.metadata == {"model": "m"}


def test_all_faults_of_a_row_are_said() -> None:
    fields = OutputFields(output="response", sample="try", scores=("grade",))
    with pytest.raises(RowError) as caught:
        read({"question": "q", "answer": "a"}, fields)
    assert [problem.partition(";")[0] for problem in caught.value.problems] == [
        "there is no field 'input' for the input (fields found: question, answer)",
        "there is no field 'try' for the number of the answer (--sample-field)",
        "there is no field 'response' for the answer",
        "there is no field 'grade' for the score (--score-field)",
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt_tokens": "-1"}, "prompt_tokens: a whole number from 0 on expected, found '-1'"),
        ({"prompt_tokens": "many"}, "prompt_tokens: a whole number"),
        ({"prompt_tokens": True}, "prompt_tokens: a whole number"),
        ({"token_usage": {"total_tokens": 1.5}}, "total_tokens: a whole number"),
        ({"latency_ms": "nan"}, "latency_ms: a number expected, found 'nan'"),
        ({"candidate_index": "first"}, "candidate_index: a whole number from 0 on expected, found 'first'"),
        ({"candidate_index": "9" * 40}, "candidate_index: a whole number"),
        ({"output": float("nan")}, "final_output"),
        ({"input": None}, "has no input"),
    ],
)
def test_a_value_of_another_kind_is_refused(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(RowError, match=problem.replace("(", r"\(")):
        read({"input": "q", "output": "o", **row})


def test_rows_without_an_id_and_with_a_number_are_answers_to_one_case() -> None:
    first, second = (read({"input": "q", "output": str(n), "candidate_index": n}) for n in range(2))
    other = read({"input": "another", "output": "0", "candidate_index": 0})
    assert first.case == second.case != other.case
    assert read({"input": "q", "output": "1"}).case.case_id == "1"


@given(st.dictionaries(st.sampled_from(["input", "output", "error", "candidate_index", "id", "x"]), json_values()))
def test_a_row_of_anything_is_an_answer_or_a_stated_error(row: dict[str, Any]) -> None:
    faults = Faults()
    with Spool("data") as spool:
        spool.fill(samples_of([("rows:1", row)], USUAL, faults), faults)
        assert bool(faults) == (spool.samples == 0)
    if faults:
        with pytest.raises(DataError, match="rows:1"):
            faults.refuse("rows")


@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.text(), st.none(), st.lists(st.integers())))
def test_a_number_in_a_score_is_finite(value: Any) -> None:
    found = number_in(value)
    assert found is None or abs(found) < float("inf")
