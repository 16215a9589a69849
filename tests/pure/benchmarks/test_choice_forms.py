"""Multiple choice in two forms: what a chat model is shown, which texts are scored, and the datasets' own rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.benchmarks.choice_forms import in_stated_order
from themis.pure.benchmarks.knowledge import MMLU_GROUPS
from themis.pure.benchmarks.likelihoods import detokenised
from themis.pure.benchmarks.recipe import LeftOut, read_case
from themis.pure.benchmarks.registry import find_recipe, recipes, samples_of
from themis.pure.errors import SpecError
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.records.dataset import Case
from themis.pure.records.likelihoods import AskedLikelihoods

BOTH = sorted(name for name, recipe in recipes().items() if recipe.entry.forms == ("chat", "loglikelihood"))


def case_of(name: str, row: Mapping[str, Any] | None = None) -> Case:
    found = read_case(*find_recipe(name), samples_of(name.partition(":")[0])[0].row if row is None else row, 1)
    assert isinstance(found, Case), found
    return found


def scored(name: str, row: Mapping[str, Any] | None = None) -> AskedLikelihoods:
    recipe, variant = find_recipe(name)
    asked = asked_likelihoods(case_of(name, row), recipe.entry.prompt_of(variant))
    assert asked is not None
    return asked


def fault_of(name: str, row: Mapping[str, Any]) -> str:
    found = read_case(*find_recipe(name), row, 1)
    assert isinstance(found, list), found
    return "; ".join(f"{fault.column}: {fault.problem}" for fault in found)


def row_of(name: str, **changes: Any) -> dict[str, Any]:
    return {**samples_of(name)[0].row, **changes}


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
def test_the_name_of_a_run_states_the_form(name: str) -> None:
    entry = recipes()[name].entry
    for form in entry.forms:
        assert entry.name_of(find_recipe(f"{name}:{form}")[1]) == f"{name}:{form}"
    assert entry.name_of(find_recipe(name)[1]) == f"{name}:chat"


def test_a_form_may_stand_behind_a_part_of_the_data() -> None:
    recipe, variant = find_recipe("belebele:deu_Latn:loglikelihood")
    assert (recipe.entry.config_of(variant), recipe.entry.name_of(variant)) == (
        "deu_Latn",
        "belebele:deu_Latn:loglikelihood",
    )
    assert recipe.entry.name_of(find_recipe("belebele:deu_Latn")[1]) == "belebele:deu_Latn:chat"
    assert find_recipe("musr:team_allocation")[0].entry.split_of("team_allocation:chat") == "team_allocation"


def test_an_unknown_form_is_named_with_those_there_are() -> None:
    with pytest.raises(SpecError, match="arc_easy:loglikelyhood: no such variant; did you mean loglikelihood"):
        find_recipe("arc_easy:loglikelyhood")
    with pytest.raises(SpecError, match="belebele:deu_Latn:words"):
        find_recipe("belebele:deu_Latn:words")
    with pytest.raises(SpecError, match="truthfulqa_mc2:chat: no such variant"):
        find_recipe("truthfulqa_mc2:chat")


# --- both forms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
def test_both_forms_ask_for_the_same_option(name: str) -> None:
    """The letter that a chat model should name stands before the text that should be the likeliest."""
    stem = f"{name}:{samples_of(name)[0].variant}".removesuffix(":chat")
    chat, right = case_of(f"{stem}:chat"), str(case_of(f"{stem}:loglikelihood").expected_output)
    assert right in scored(f"{stem}:loglikelihood").continuations
    if chat.expected_output != right:  # else the options are words, or their letters are scored
        assert f"\n{chat.expected_output}. {right.split()[0]}" in str(chat.input)


@given(st.text(min_size=1), st.lists(st.text(min_size=1), min_size=2, unique=True), st.randoms())
def test_an_order_follows_from_the_texts_alone(question: str, options: list[str], random: Any) -> None:
    shuffled = [*options]
    random.shuffle(shuffled)
    first = [options[place] for place in in_stated_order(question, options)]
    assert first == [shuffled[place] for place in in_stated_order(question, shuffled)]


def test_the_right_option_is_not_always_at_one_place() -> None:
    """Datasets that put it first or last would give it away."""
    places = set()
    for number in range(40):
        row = row_of("sciq", question=f"Which metal is liquid ({number})?")
        places.add(case_of("sciq:chat", row).expected_output)
    assert places == {*"ABCD"}


def test_an_empty_option_can_be_shown_and_not_scored() -> None:
    row = row_of("mmlu_redux", choices=["", "b", "c", "d"])
    assert "A. \nB. b" in str(case_of("mmlu_redux:chat", row).input)
    row = row_of("piqa", sol1="x")
    assert "sol1" in fault_of("piqa:loglikelihood", {**row, "sol1": ""})


# --- the datasets -----------------------------------------------------------------------------------------


def test_mmlu_has_57_subjects_in_four_groups() -> None:
    assert len(MMLU_GROUPS) == 57
    assert {group: [*MMLU_GROUPS.values()].count(group) for group in MMLU_GROUPS.values()} == {
        "stem": 19,
        "humanities": 13,
        "social_sciences": 12,
        "other": 13,
    }
    assert case_of("mmlu").metadata == {"subject": "high_school_geography", "group": "social_sciences"}
    asked = scored("mmlu:loglikelihood")
    assert asked.continuations == ("A", "B", "C", "D")
    assert asked.context.endswith("D. Perth\nAnswer: ")


def test_letters_stand_behind_the_words_of_their_conventions() -> None:
    assert scored("commonsense_qa:loglikelihood").context.startswith("Question: Where does one keep milk")
    assert "\nChoices:\nA. liver" in scored("medmcqa:loglikelihood").context
    assert scored("belebele:eng_Latn:loglikelihood").context.startswith("P: The river rose")


def test_arc_numbers_become_letters_and_texts_are_scored() -> None:
    row = samples_of("arc_easy")[2].row
    assert row["answerKey"] == "2"
    assert case_of("arc_easy", row).expected_output == "B"
    asked = scored("arc_easy:loglikelihood", row)
    assert asked.continuations == ("Sydney", "Canberra", "Melbourne")
    assert asked.context == "Question: Which city is the capital of Australia?\nAnswer: "
    assert "one of A, B, C, D expected, found 'E'" in fault_of("arc_easy", row_of("arc_easy", answerKey="E"))


def test_hellaswag_is_tidied_as_usual() -> None:
    asked = scored("hellaswag:loglikelihood")
    assert asked.context == "Making tea: A woman fills a kettle with water. She "
    assert asked.continuations[3] == " eats the kettle."  # the blank counts in acc_norm, as in the harness
    assert "D. eats the kettle." in str(case_of("hellaswag:chat").input)


def test_winogrande_scores_what_stands_behind_the_blank() -> None:
    asked = scored("winogrande:loglikelihood")
    assert asked.context == "The trophy did not fit into the case, for the "
    assert asked.continuations == ("trophy was too big.", "case was too big.", "trophy", "case")
    first = scored("winogrande:loglikelihood", samples_of("winogrande")[2].row)
    assert (first.context, first.continuations[2:]) == ("", ("Ann", "Eve"))  # no blank before the first word
    assert "a blank" in fault_of("winogrande", row_of("winogrande", sentence="No blank here."))


def test_boolq_is_answered_by_a_word() -> None:
    assert case_of("boolq").expected_output == "no"
    assert str(case_of("boolq").input).endswith("Did the bridge hold?")
    assert scored("boolq:loglikelihood").continuations == ("no", "yes")


def test_musr_choices_are_the_text_of_a_list() -> None:
    assert case_of("musr").expected_output == "B"
    for choices in ("no list", "[1, 2]", "__import__('os')", "[" * 9999):
        assert "choices: the text of a list of texts expected" in fault_of("musr", row_of("musr", choices=choices))


def test_mmlu_redux_leaves_questions_with_an_error_out() -> None:
    found = read_case(*find_recipe("mmlu_redux"), row_of("mmlu_redux", error_type="no_correct_answer"), 1)
    assert isinstance(found, LeftOut)
    assert "no_correct_answer" in found.reason


def test_xcopa_joins_premise_and_choice_by_its_languages_words() -> None:
    assert scored("xcopa:it:loglikelihood").context == "Il ponte crollò perché "
    effect = {"idx": 1, "premise": "下雨了。", "question": "effect", "choice1": "A", "choice2": "b", "label": 0}
    assert scored("xcopa:zh:loglikelihood", effect).context == "下雨了 所以 "
    assert case_of("xcopa:zh:loglikelihood", effect).expected_output == "a"


def test_toxigen_counts_both_ratings() -> None:
    for first, second, answer in ((1.0, 4.5, "no"), (1.5, 4.1, "yes"), (5, 5, "yes")):
        row = row_of("toxigen", toxicity_ai=first, toxicity_human=second)
        assert case_of("toxigen", row).expected_output == answer


def test_truthfulqa_wants_one_true_answer_or_several() -> None:
    targets = {"choices": ["a", "b", "c"], "labels": [1, 1, 0]}
    assert "one 1 among 3 marks expected" in fault_of("truthfulqa_mc1", row_of("truthfulqa_mc1", mc1_targets=targets))
    assert case_of("truthfulqa_mc2", row_of("truthfulqa_mc2", mc2_targets=targets)).expected_output == ["a", "b"]
    none = {"choices": ["a", "b"], "labels": [0, 0]}
    assert "a 1 among 2 marks expected" in fault_of("truthfulqa_mc2", row_of("truthfulqa_mc2", mc2_targets=none))


def test_lambada_asks_for_the_last_word() -> None:
    asked = scored("lambada_openai")
    assert (asked.context, asked.continuations) == ("She had lost the key, and so she knocked on the ", ("door",))
    assert "two words at least" in fault_of("lambada_openai", {"text": "word"})


def test_wikitext_counts_the_page_as_the_dataset_has_it() -> None:
    page = "The leaf 's cost ( 1 @,@ 000 coins ) rose ."
    case = case_of("wikitext", {"page": page})
    assert case.expected_output == {"words": 12, "bytes": len(page)}
    assert scored("wikitext", {"page": page}).continuations == (detokenised(page),)
    assert scored("wikitext", {"page": page}).context == ""


@pytest.mark.parametrize(
    ("page", "plain"),
    [
        ("= = Tea = = \n It is .", "== Tea ==\nIt is ."),
        ("a well @-@ known 2 @.@ 5 m", "a well-known 2.5 m"),
        ('he said " so it is " , and left', 'he said "so it is", and left'),
        ("the dogs ' house [ sic ] ; N people", "the dogs' house [sic]; 1 people"),
    ],
)
def test_wikitext_is_detokenised(page: str, plain: str) -> None:
    assert detokenised(page) == plain
