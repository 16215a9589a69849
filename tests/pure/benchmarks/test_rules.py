"""The rules of single benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from themis.pure.benchmarks.columns import RowMisfitError
from themis.pure.benchmarks.images import image_addresses
from themis.pure.benchmarks.recipe import LeftOut, read_case
from themis.pure.benchmarks.registry import find_recipe, samples_of
from themis.pure.components.judging.prompts import judge_prompt
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.judging import JudgeCall
from themis.pure.wire.exchange import prompt_of

CALL = JudgeCall(call_id="1", judge_model_id="judge")
CONTEXT = EvalScoreContext(
    run_id="r",
    case=Case(case_id="1", input="?"),
    parsed_output=ParsedOutput(value="a"),
    dataset_id="d",
    case_key="1:d:1",
)
PNG = b"\x89PNG\r\n\x1a\n...."


def row_of(name: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    return {**samples_of(name)[number].row, **changes}


def case_of(name: str, row: Mapping[str, Any]) -> Case:
    found = read_case(*find_recipe(name), row, 1)
    assert isinstance(found, Case), found
    return found


def fault_of(name: str, row: Mapping[str, Any]) -> str:
    found = read_case(*find_recipe(name), row, 1)
    assert isinstance(found, list), found
    return "; ".join(f"{fault.column}: {fault.problem}" for fault in found)


def expected(case: Case) -> Any:
    return case.expected_output


# --- choice -----------------------------------------------------------------------------------------------


def test_babe_labels_become_letters() -> None:
    assert expected(case_of("babe", row_of("babe", label=0))) == "A"
    assert expected(case_of("babe", row_of("babe", label=1))) == "B"
    assert "0 (factual) or 1 (opinionated) expected, found 2" in fault_of("babe", row_of("babe", label=2))


def test_mmlu_pro_letters_up_to_ten_options() -> None:
    options = [f"option {number}" for number in range(10)]
    case = case_of("mmlu_pro", row_of("mmlu_pro", options=options, answer="J"))
    assert expected(case) == "J"
    assert "J. option 9" in str(case.input)
    for answer in ("D", "AB", "ABC", ""):
        row = row_of("mmlu_pro", options=options[:3], answer=answer)
        assert fault_of("mmlu_pro", row).startswith("answer: ")
    assert "answer: the letter of an option expected (A, B, C), found 'AB'" in fault_of(
        "mmlu_pro", row_of("mmlu_pro", options=options[:3], answer="AB")
    )


def test_mmmlu_options_are_columns_and_may_be_numbers() -> None:
    case = case_of("mmmlu:DE_DE", row_of("mmmlu", A=1, B="2", C=3.5, D="4", Answer="c"))
    assert str(case.input).endswith("A. 1\nB. 2\nC. 3.5\nD. 4")
    assert expected(case) == "C"


def test_gpqa_is_asked_as_it_stands() -> None:
    row = row_of("gpqa_diamond")
    assert case_of("gpqa_diamond", row).input == row["question"]


def test_superchem_wants_all_letters_and_leaves_empty_options_out() -> None:
    options = {"A": "Neon", "B": "Nitrogen", "C": "Argon", "D": None}
    case = case_of("superchem:en", row_of("superchem", options_en=options, answer_en=["C", "A"]))
    assert expected(case) == "AC"
    assert "D." not in str(case.input)
    fault = fault_of("superchem:en", row_of("superchem", options_en=options, answer_en=["D"]))
    assert "answer_en: the letter of an option expected (A, B, C), found 'D'" in fault


def test_superchem_reads_the_columns_of_its_variant() -> None:
    row = row_of("superchem", question_zh="问题", options_zh={"A": "甲", "B": "乙"}, answer_zh=["B"])
    case = case_of("superchem:zh", row)
    assert expected(case) == "B"
    assert str(case.input["text"]).startswith("问题")  # type: ignore[index, call-overload]  # an object: it has images


# --- code -------------------------------------------------------------------------------------------------


def test_humaneval_runs_check_with_the_function() -> None:
    row = row_of("humaneval_plus")
    assert expected(case_of("humaneval_plus", row)) == {
        "mode": "function",
        "prompt": row["prompt"],
        "test": row["test"],
        "entry_point": "doubled",
    }
    assert "defines check(candidate) expected" in fault_of("humaneval_plus", {**row, "test": "assert True"})
    assert "no function 'halved'" in fault_of("humaneval_plus", {**row, "entry_point": "halved"})


def test_livecodebench_programs_read_standard_input() -> None:
    case = case_of("livecodebench", row_of("livecodebench"))
    assert expected(case)["mode"] == "stdio"
    assert expected(case)["language"] == "python"
    assert expected(case)["tests"][0] == {"input": "1 2\n", "output": "3\n"}


def functional(**changes: Any) -> dict[str, Any]:
    return row_of("livecodebench", 1, **changes)


def test_livecodebench_functions_are_named_by_metadata_or_by_the_starter_code() -> None:
    assert expected(case_of("livecodebench", functional()))["entry_point"] == "addAll"
    for metadata in ("{}", "", "no json", None):
        case = case_of("livecodebench", functional(metadata=metadata))
        assert expected(case) == {
            "mode": "call",
            "entry_point": "addAll",
            "tests": [{"input": "[1, 2, 3]\n4", "output": "10"}, {"input": "[]\n-1", "output": "-1"}],
        }
    assert "class Solution" in str(case_of("livecodebench", functional()).input)


def test_livecodebench_refuses_what_it_can_not_run() -> None:
    assert "neither metadata (func_name) nor starter_code" in fault_of(
        "livecodebench", functional(metadata="{}", starter_code="")
    )
    mixed = [{"input": "1", "output": "1", "testtype": kind} for kind in ("stdin", "functional")]
    assert "of one testtype" in fault_of("livecodebench", functional(public_test_cases=json.dumps(mixed)))


def test_limits_come_in_seconds_and_megabytes() -> None:
    codeforces = expected(case_of("codeforces", row_of("codeforces", time_limit=2.5, memory_limit=512.0)))
    assert (codeforces["time_limit_s"], codeforces["memory_limit_mb"]) == (2.5, 512)
    aethercode = expected(case_of("aethercode", row_of("aethercode", time_limit=1500)))
    assert (aethercode["time_limit_s"], aethercode["memory_limit_mb"]) == (1.5, 256)
    without = row_of("aethercode")
    del without["memory_limit"]
    assert expected(case_of("aethercode", without))["memory_limit_mb"] is None


def test_an_empty_checker_is_none() -> None:
    assert expected(case_of("aethercode", row_of("aethercode", checker="")))["checker"] is None
    assert expected(case_of("codeforces", row_of("codeforces", generated_checker=None)))["checker"] is None
    assert expected(case_of("codeforces", row_of("codeforces", generated_checker="print(1)")))["checker"] == "print(1)"


def test_codeforces_language_is_the_rows() -> None:
    assert expected(case_of("codeforces", row_of("codeforces", language="cpp")))["language"] == "cpp"
    assert "python or cpp expected, found 'rust'" in fault_of("codeforces", row_of("codeforces", language="rust"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input_mode": "file"}, "reads a file"),
        ({"interaction_format": "Ask."}, "interactive"),
        ({"official_tests_complete": False}, "incomplete"),
    ],
)
def test_codeforces_keeps_what_tests_decide(change: Mapping[str, Any], reason: str) -> None:
    # A row that is left out may lack what the others need.
    found = read_case(*find_recipe("codeforces"), row_of("codeforces", **change, official_tests=[]), 1)
    assert isinstance(found, LeftOut)
    assert reason in found.reason


def test_codeforces_does_not_leave_rows_out_for_a_column_that_is_missing() -> None:
    row = row_of("codeforces")
    del row["official_tests_complete"]
    assert "official_tests_complete: is missing" in fault_of("codeforces", row)


# --- judged and exact -------------------------------------------------------------------------------------


def test_hle_text_only_drops_rows_with_an_image() -> None:
    with_image, without = row_of("hle", 1), row_of("hle", 0)
    assert isinstance(read_case(*find_recipe("hle:text_only"), with_image, 1), LeftOut)
    assert case_of("hle:text_only", without).input == without["question"]
    shown = case_of("hle", with_image).input
    assert shown == {"text": with_image["question"], "images": [with_image["image"]]}


def test_images_reach_the_model_and_not_the_judge() -> None:
    recipe, _ = find_recipe("hle")
    case = case_of("hle", row_of("hle", 1))
    [message] = prompt_of(case.input, recipe.entry.prompt_spec).messages
    assert message["content"][0]["text"].startswith("Which animal is shown?")
    assert message["content"][1]["image_url"]["url"] == row_of("hle", 1)["image"]
    shown = judge_prompt(CALL, CONTEXT.evolve(case=case), "Judge.", [("question", case.input)], "Say so.").content
    assert "Which animal is shown?" in str(shown)
    assert "[image/png, not shown]" in str(shown)
    assert "base64" not in str(shown)


def test_hle_variants_name_categories_too() -> None:
    row = row_of("hle", 0, category="Biology/Medicine", answer_type="exactMatch")
    assert isinstance(read_case(*find_recipe("hle:text_only,biology/medicine"), row, 1), Case)
    assert isinstance(read_case(*find_recipe("hle:text_only,exactmatch"), row, 1), Case)
    assert isinstance(read_case(*find_recipe("hle:math"), row, 1), LeftOut)


def test_procbench_takes_any_final_value_and_one_task() -> None:
    for final in (12, "abc", ["y", "x"], 0, "", [[1, 2], [3]]):
        row = row_of("procbench", 1, label={"final": final, "intermediate": []})
        assert expected(case_of("procbench:task07", row)) == final
    assert isinstance(read_case(*find_recipe("procbench:task08"), row_of("procbench", 1), 1), LeftOut)


def test_healthbench_keeps_negative_points_and_wants_something_to_earn() -> None:
    case = case_of("healthbench", row_of("healthbench", 1))
    assert [item["points"] for item in expected(case)["rubrics"]] == [8, 4, -3]
    only_faults = [{"criterion": "Is rude", "points": -5, "tags": []}]
    assert "an item with positive points expected" in fault_of(
        "healthbench", row_of("healthbench", rubrics=only_faults)
    )


def test_rolebench_sets_the_role_and_takes_the_first_reference() -> None:
    case = case_of("rolebench", row_of("rolebench"))
    messages: Any = case.input
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "Sherlock Holmes" in messages[0]["content"]
    assert "consulting detective" in messages[0]["content"]
    assert expected(case).startswith("The red clay")


def test_lpfqa_hands_the_judges_instructions_on() -> None:
    row = row_of("lpfqa")
    assert expected(case_of("lpfqa", row)) == {
        "reference": row["response_reference"],
        "judging_instructions": row["judge_system_prompt"],
    }


# --- images -----------------------------------------------------------------------------------------------


def test_images_become_addresses() -> None:
    uri = "data:image/png;base64,iVBORw0KGgouLi4u"
    assert image_addresses(PNG) == [uri]
    assert image_addresses({"bytes": PNG, "path": None}) == [uri]
    assert image_addresses([uri, "iVBORw0KGgouLi4u", "https://example.org/a.png"]) == [
        uri,
        uri,
        "https://example.org/a.png",
    ]
    assert image_addresses(None) == image_addresses("") == image_addresses([]) == []


@pytest.mark.parametrize("value", ["no image, just text", b"no image", {"bytes": b"???"}])
def test_what_is_no_image_is_refused(value: Any) -> None:
    with pytest.raises(RowMisfitError, match="expected, found"):
        image_addresses(value)
