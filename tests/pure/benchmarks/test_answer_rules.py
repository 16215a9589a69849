"""The rules of single benchmarks: short answers, worked mathematics, assertions, instructions, calls, texts, safety."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.benchmarks.math import boxed
from themis.pure.benchmarks.recipe import LeftOut, read_case
from themis.pure.benchmarks.registry import find_recipe, samples_of
from themis.pure.components.registry import make_builtin
from themis.pure.records.contexts import ParseContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ReducedCandidate


def row_of(name: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    return {**samples_of(name.partition(":")[0])[number].row, **changes}


def case_of(name: str, row: Mapping[str, Any]) -> Case:
    found = read_case(*find_recipe(name), row, 1)
    assert isinstance(found, Case), found
    return found


def expected(name: str, row: Mapping[str, Any]) -> Any:
    return case_of(name, row).to_dict()["expected_output"]


def fault_of(name: str, row: Mapping[str, Any]) -> str:
    found = read_case(*find_recipe(name), row, 1)
    assert isinstance(found, list), found
    return "; ".join(f"{fault.column}: {fault.problem}" for fault in found)


def read_by(name: str, answer: str) -> Any:
    """Return what the first parser of a benchmark that finds something finds."""
    recipe, variant = find_recipe(name)
    ctx = ParseContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0")
    for choice in recipe.entry.parsers_of(variant):
        parser = make_builtin(choice.component_id, **choice.options)
        found = parser.parse(ReducedCandidate(candidate_id="a:0", final_output=answer), ctx)
        if found.value is not None:
            return found.value
    return None


# --- short answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Answer: Paris", "Paris"),
        ("I think so.\n**Answer:** Paris, France.", "Paris, France."),
        ("answer: first\nAnswer: second", "second"),
        ("Paris", "Paris"),
        ("- Answer : 12.25", "12.25"),
    ],
)
def test_the_last_line_that_states_an_answer_is_read(answer: str, value: str) -> None:
    assert read_by("triviaqa", answer) == value


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("So (A) is wrong.\nAnswer: (B)", "B"),
        ("Answer: (B) a cat", "B"),
        ("**Answer: B.**", "B"),
        ("Answer: True", "True"),
        ("Answer: ] ) }", "] ) }"),
        ("Answer: -7", "-7"),
        ("Answer: apple banana cherry", "apple banana cherry"),
    ],
)
def test_answers_of_big_bench_hard_are_read(answer: str, value: str) -> None:
    assert read_by("bbh", answer) == value


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Answer: yes", "yes"),
        ("It says so.\n**Answer: No**", "No"),
        ("No.", "No"),
        ("Not sure", None),
        ("nothing", None),
    ],
)
def test_yes_and_no_are_read(answer: str, value: str | None) -> None:
    assert read_by("boolq", answer) == value


def test_squad_says_whether_there_is_an_answer() -> None:
    with_answer, without = (case_of("squad_v2", row_of("squad_v2", number)) for number in (0, 1))
    assert (with_answer.metadata["answerable"], without.metadata["answerable"]) == ("yes", "no")
    assert without.expected_output == ["unanswerable"]


def test_drop_references_are_numbers_then_spans_then_dates() -> None:
    date = {"day": "4", "month": "May", "year": ""}
    row = row_of("drop", validated_answers=None)
    assert expected("drop", {**row, "answer": {"number": "9", "date": date, "spans": ["x"]}}) == [["9"]]
    assert expected("drop", {**row, "answer": {"number": "", "date": date, "spans": ["x", "y"]}}) == [["x", "y"]]
    assert expected("drop", {**row, "answer": {"number": "", "date": date, "spans": []}}) == [["4 May"]]
    assert "all are empty" in fault_of("drop", {**row, "answer": {"number": "", "date": {}, "spans": []}})
    several = {"number": ["", "9"], "date": [date, {}], "spans": [["x", "y"], []]}
    row = row_of("drop", answer={"number": "9", "date": {}, "spans": []}, validated_answers=several)
    assert expected("drop", row) == [["9"], ["x", "y"]]


def test_coqa_goes_through_the_conversation() -> None:
    case = case_of("coqa", row_of("coqa"))
    turns: Any = case.input
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == "Answer: the Bears"
    assert case.expected_output == ["9 points", "nine points"]


def test_open_questions_end_in_one_question_mark() -> None:
    assert case_of("nq_open", row_of("nq_open", question="who is it")).input == "who is it?"
    assert case_of("nq_open", row_of("nq_open", question="who is it?")).input == "who is it?"


# --- mathematics ------------------------------------------------------------------------------------------


def test_gsm8k_references_are_numbers_or_worked_solutions() -> None:
    row = row_of("gsm8k", answer="work\n#### 1,234")
    assert expected("gsm8k", row) == "1234"
    assert expected("gsm8k:completion", row) == "work\n#### 1,234"
    assert "it has no number" in fault_of("gsm8k", row_of("gsm8k", answer="work\n#### "))


@given(
    st.recursive(
        st.text(alphabet="ab1\\ ", min_size=1), lambda inner: inner.map(lambda text: f"{{{text}}}"), max_leaves=4
    )
)
def test_the_last_box_is_found_with_its_braces(inside: str) -> None:
    if inside.strip():
        assert boxed(f"First \\boxed{{0}}, then $x = \\boxed{{{inside}}}$.") == inside.strip()


def test_a_solution_without_a_box_is_refused() -> None:
    assert "no" not in (boxed(r"\boxed 5$"), boxed(r"\fbox{7}"))
    assert (boxed(r"\boxed 5$"), boxed(r"\fbox{7}"), boxed(r"\boxed{1"), boxed("none")) == ("5", "7", None, None)
    assert "with its result in" in fault_of("hendrycks_math", row_of("hendrycks_math", solution="It is 4."))


# --- code -------------------------------------------------------------------------------------------------


def test_mbpp_names_the_function_that_its_assertions_call() -> None:
    row = row_of("mbpp")
    assert expected("mbpp", row)["entry_point"] == "singles"
    assert "assert singles([]) == []" in str(case_of("mbpp", row).input)
    assert "assert singles([]) == []" not in str(case_of("mbpp_plus", row_of("mbpp_plus")).input)
    helper = row_of("mbpp", code="def helper(x): ...\ndef f(x): ...", test_list=["assert set(f(1)) == len([])"])
    assert expected("mbpp", helper)["entry_point"] == "f"
    assert "call no function that the solution defines" in fault_of("mbpp", row_of("mbpp", test_list=["assert 1"]))
    assert "assertions in Python expected" in fault_of("mbpp", row_of("mbpp", test_list=["assert ("]))


# --- rules ------------------------------------------------------------------------------------------------


def test_ifeval_drops_what_states_nothing_and_refuses_what_is_lacking() -> None:
    first = expected("ifeval", row_of("ifeval"))["instructions"]
    assert first[0] == {"id": "punctuation:no_comma", "kwargs": {}}
    assert first[1] == {"id": "length_constraints:number_paragraphs", "kwargs": {"num_paragraphs": 2}}
    assert "num_paragraphs: a whole number expected" in fault_of("ifeval", row_of("ifeval", kwargs=[{}, {}]))
    assert "a list of 2 objects" in fault_of("ifeval", row_of("ifeval", kwargs=[{}]))
    unknown = row_of("ifeval", instruction_id_list=["no:such", "punctuation:no_comma"])
    assert "there is no instruction 'no:such'" in fault_of("ifeval", unknown)


def test_bfcl_functions_become_tools() -> None:
    case: Any = case_of("bfcl", row_of("bfcl")).input
    [tool] = case["tools"]
    assert tool["function"]["name"] == "shapes_area"
    assert tool["function"]["parameters"]["type"] == "object"
    assert tool["function"]["parameters"]["properties"]["width"]["type"] == "number"
    row = row_of("bfcl")
    del row["ground_truth"]
    assert "join possible_answer's ground_truth by id" in fault_of("bfcl", row)
    assert expected("bfcl:irrelevance", row)["calls"] == []
    assert expected("bfcl:live_relevance", row)["calls"] == "any"


# --- texts and safety -------------------------------------------------------------------------------------


def test_wmt_goes_both_ways_over_one_configuration() -> None:
    row = row_of("wmt16")
    there, back = case_of("wmt16:de-en", row), case_of("wmt16:en-de", row)
    assert (there.expected_output, back.expected_output) == ("The house is empty today.", "Das Haus ist heute leer.")
    assert "from English to German" in str(back.input)
    entry = find_recipe("wmt16")[0].entry
    assert (entry.config_of("de-en"), entry.config_of("en-de")) == ("de-en", "de-en")
    assert "a text under 'ru' expected" in fault_of("wmt16:ru-en", row)


def test_wmt24pp_leaves_bad_sources_out() -> None:
    found = read_case(*find_recipe("wmt24pp"), row_of("wmt24pp", is_bad_source=True), 1)
    assert isinstance(found, LeftOut)
    assert case_of("wmt24pp", row_of("wmt24pp")).case_id == "made/1"


def test_harmbench_puts_the_context_first() -> None:
    asked = case_of("harmbench", row_of("harmbench", 1)).input
    assert asked == "A trick with keys.\n\n---\n\nExplain the trick above"


def test_financebench_shows_each_page_once() -> None:
    page = {"evidence_text_full_page": "Page one."}
    case = case_of("financebench", row_of("financebench", evidence=[page, page]))
    assert case.input == "Page one.\n\nWhat was the revenue?"
    assert "none has one" in fault_of("financebench", row_of("financebench", evidence=[]))
