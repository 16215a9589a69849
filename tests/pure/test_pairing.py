"""Cases that are the same though two tools call them otherwise."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.identity import case_key
from themis.pure.pairing import paired, same_cases
from themis.pure.plan import CaseItem
from themis.pure.records.dataset import Case

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), min_size=1, max_size=8)


def items(dataset: str, *cases: Case) -> list[CaseItem]:
    return [CaseItem(case, number, dataset, case_key(dataset, case.case_id), {}) for number, case in enumerate(cases)]


def case(case_id: str, asked: Any, reference: Any = None, **metadata: Any) -> Case:
    return Case(case_id=case_id, input=asked, expected_output=reference, metadata=metadata)


def names(a: list[CaseItem], b: list[CaseItem]) -> dict[str, str]:
    ids = {item.case_key: item.case.case_id for item in (*a, *b)}
    return {ids[key]: ids[found] for key, found in paired(a, b).names.items()}


@pytest.mark.parametrize(
    ("ours", "theirs", "is_one"),
    [
        (case("a", "1 + 1?", "2"), case("7", "1 + 1?", "2"), True),
        (case("a", "1 + 1?", "2"), case("7", " 1 +\n1? ", "2", topic="sums"), True),
        (case("a", "1 + 1?"), case("7", "1 + 1?", "2"), True),
        (case("a", "1 + 1?", "2"), case("7", "1 + 1?", "3"), False),
        (case("a", "1 + 1?", "2"), case("7", "1 + 2?", "2"), False),
        (
            case("a", "1 + 1?", "2"),
            case("7", [{"role": "system", "content": "x"}, {"role": "user", "content": "1 + 1?"}]),
            True,
        ),
        (case("a", "1 + 1?", "2"), case("7", "Q: 1 + 1?\nA:", "2", question="1 + 1?"), True),
        (case("a", "Q: 1 + 1?\nA:", "2", question="1 + 1?"), case("7", "1 + 1?", "2"), True),
        (case("a", "x?", "2", topic="sums"), case("7", "y?", "2", topic="sums"), False),
        (case("a", {"q": 1}), case("7", {"q": 1}), True),
    ],
)
def test_what_is_one_case(ours: Case, theirs: Case, is_one: bool) -> None:
    assert names(items("a", ours), items("b", theirs)) == ({"7": "a"} if is_one else {})


def test_a_text_that_several_cases_have_pairs_none_of_them() -> None:
    a = items("a", case("1", "same?"), case("2", "same?"), case("3", "other?"))
    assert names(a, items("b", case("x", "same?"), case("y", "other?"))) == {"y": "3"}
    assert names(items("b", case("x", "same?"), case("y", "other?")), a) == {"3": "y"}


def test_what_has_one_key_is_one_case_whatever_it_asks() -> None:
    a, b = items("d", case("1", "a?"), case("2", "b?")), items("d", case("1", "b?"), case("3", "a?"))
    assert paired(a, b).names == {}


def test_how_many_prompts_differ_is_said_with_one_of_them() -> None:
    a = items("a", case("1", "1 + 1?", "2"), case("2", "2 + 2?", "4"))
    b = items("b", case("x", "Q: 1 + 1?\nA:", "2", question="1 + 1?"), case("y", "2 + 2?", "4"))
    assert list(paired(a, b).notes()) == [
        "2 cases were paired by content, for the ids differ; the prompts of 1 of them differ, as in '1 + 1?' and "
        "'Q: 1 + 1? A:'"
    ]
    assert list(paired(a, a).notes()) == []


@given(TEXTS, st.randoms(use_true_random=False))
def test_a_shuffled_renamed_run_is_paired_whole(texts: list[str], rng: random.Random) -> None:
    kept = list({" ".join(text.split()): text for text in texts}.values())
    order = rng.sample(range(len(kept)), len(kept))
    a = items("a", *(case(str(n), text, n) for n, text in enumerate(kept)))
    b = items("b", *(case(f"other-{n}", f" {kept[n]} ", n) for n in order))
    assert names(a, b) == {f"other-{n}": str(n) for n in range(len(kept))}
    assert names(b, a) == {str(n): f"other-{n}" for n in range(len(kept))}


def same(a: list[CaseItem], b: list[CaseItem]) -> dict[str, str]:
    ids = {item.case_key: item.case.case_id for item in (*a, *b)}
    return {ids[key]: ids[found] for key, found in same_cases(a, b).items()}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # What has one key and asks the same is one case, edited reference or not.
        ([case("1", "1 + 1?", "2")], [case("1", "1 + 1?", "3")], {"1": "1"}),
        # Ids that are row numbers say nothing of what is asked.
        (
            [case("0", "a?", "1"), case("1", "b?", "2")],
            [case("0", "b?", "2"), case("1", "c?", "3")],
            {"0": "1"},
        ),
        # Of several that ask the same, the first is the first.
        (
            [case("1", "same?", "2"), case("2", "same?", "2")],
            [case("x", "same?", "2"), case("y", "same?", "2"), case("z", "same?", "2")],
            {"x": "1", "y": "2"},
        ),
        # Other ids and an edited reference: one case, where nothing else asks it.
        ([case("1", "a?", "2"), case("2", "b?", "2")], [case("x", "a?", "3")], {"x": "1"}),
        ([case("1", "a?", "2"), case("2", "a?", "4")], [case("x", "a?", "3")], {}),
        # An edited question keeps its key, its reference and most of its words.
        ([case("1", "How much is 1 + 1?", "2")], [case("1", "How much is, please, 1 + 1?", "2")], {"1": "1"}),
        ([case("1", "How much is 1 + 1?", "2")], [case("1", "Who wrote Faust, part 2?", "2")], {}),
        ([case("1", "How much is 1 + 1?", "2")], [case("1", "How much is 1 + 4?", "5")], {}),
        # Another tool shows the whole prompt, and logs the question beside it.
        ([case("1", "a?", "2")], [case("7", "Q: a? A:", "2", question="a?")], {"7": "1"}),
    ],
)
def test_the_cases_that_both_runs_have(a: list[Case], b: list[Case], expected: dict[str, str]) -> None:
    assert same(items("one", *a), items("one", *b)) == expected


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=6), st.data())
def test_a_case_is_one_of_the_other_run_at_most(asked: list[tuple[str, str]], data: st.DataObject) -> None:
    a = items("a", *(case(f"a{n}", text, reference) for n, (text, reference) in enumerate(asked)))
    order = data.draw(st.permutations(asked))
    b = items("b", *(case(f"b{n}", text, reference) for n, (text, reference) in enumerate(order)))
    found = same_cases(a, b)
    assert len(set(found.values())) == len(found) == len(asked)
    assert all(one.case_key == found[one.case_key] for one in a if one.case_key in found)
