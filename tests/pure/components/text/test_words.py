"""Words in any script, and the metrics that compare them."""

from __future__ import annotations

import tracemalloc
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.metrics import F1, Contains, ExactMatchNormalized, RougeL
from themis.pure.components.text.rouge import rouge_l
from themis.pure.components.text.squad import normal_words, normalize_answer, token_f1
from themis.pure.components.text.words import bounded, tokens
from themis.testing.single import score_one

OTHER_WORDS = [
    ("हिन्दु", "हिन्दी"),  # vowel signs alone differ
    ("কলি", "কলা"),
    ("தமிழ்", "தமிழா"),
    ("ไม้", "ไม่"),  # tone marks alone differ
    ("กิน", "กัน"),
    ("كِتَاب", "كُتَّاب"),
    ("naïve", "naive"),
]
SAME_WORDS = [
    ("café", "cafe\u0301"),
    ("हिन्दी", unicodedata.normalize("NFD", "हिन्दी")),
    ("Ångström", "A\u030angstro\u0308m"),
]


@pytest.mark.parametrize(("first", "second"), OTHER_WORDS)
def test_marks_make_other_words(first: str, second: str) -> None:
    assert tokens(first) != tokens(second)
    for metric in (RougeL(), F1(), Contains(), ExactMatchNormalized()):
        outcome: Any = score_one(metric, first, second)
        assert outcome.value < 1, metric.component_id


@pytest.mark.parametrize(("first", "second"), SAME_WORDS)
def test_the_form_of_unicode_is_no_difference(first: str, second: str) -> None:
    assert tokens(first) == tokens(second)
    for metric in (RougeL(), F1(), Contains(), ExactMatchNormalized()):
        outcome: Any = score_one(metric, first, second)
        assert outcome.value == 1, metric.component_id


@pytest.mark.parametrize(
    ("answer", "reference", "there"),
    [
        ("埃菲尔铁塔在巴黎。", "巴黎", 1.0),
        ("私は東京に住んでいます。", "東京", 1.0),
        ("ฉันอยู่กรุงเทพฯ", "กรุงเทพ", 1.0),
        ("यह हिन्दी है।", "हिन्दी", 1.0),
        ("यह हिन्दी है।", "हिन्द", 0.0),
        ("comparison", "paris", 0.0),
        ("用Python写", "Python", 1.0),
        ("12345", "234", 0.0),
        ("파리에 있다", "파리", 0.0),  # Korean has blanks: a particle makes another word
    ],
)
def test_contains_whole_words(answer: str, reference: str, there: float) -> None:
    outcome: Any = score_one(Contains(), answer, reference)
    assert outcome.value == there


def test_texts_without_blanks_share_what_they_share() -> None:
    assert 0.5 < rouge_l("我住在北京", "我住在南京") < 1
    assert 0.5 < token_f1("我住在北京", "我住在南京") < 1
    assert token_f1("我住在北京", "我住在南京", squad=True) == 0
    assert 0 < rouge_l("ฉันชอบกินข้าว", "ฉันชอบกินปลา") < 1


@given(st.text(max_size=60))
def test_every_text_is_like_itself_in_any_form(text: str) -> None:
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text)
        assert tokens(text) == tokens(other)
        assert token_f1(text, other) == 1
    assert bounded(text).replace("\x00", "") == text.replace("\x00", "")


@given(st.lists(st.sampled_from(["a", "cat", "हि", "東京", "12", "é", "กิ", ".", "-"]), min_size=1, max_size=8))
def test_whole_words_are_found_between_blanks(words: list[str]) -> None:
    text = " ".join(words)
    assert all(bounded(word) in bounded(text) for word in words)


def test_texts_that_are_too_long_are_an_error() -> None:
    outcome: Any = score_one(RougeL(), "a b " * 50_000, "b a c " * 40_000)
    assert "too long to be compared" in outcome.reason
    outcome = score_one(RougeL(), "a b " * 250_000, "a b " * 250_000)
    assert outcome.value == 1


# --- numbers in normalised text ---------------------------------------------------------------------------

NUMBERS = [
    "314",
    "3.14",
    "31.4",
    "-3.14",
    "1/2",
    "12",
    "-12",
    "1-2",
    "1:2",
    "1e-5",
    "1e5",
    "0.5",
    ".5",
    "5",
    "-5",
    "3,5",
]


def test_no_two_numbers_are_one_unless_the_paper_says_so() -> None:
    assert len({normal_words(number) for number in NUMBERS}) == len(NUMBERS)
    assert len({normalize_answer(number) for number in NUMBERS}) < len(NUMBERS)
    for metric, same in (
        (ExactMatchNormalized(), 0),
        (ExactMatchNormalized(squad=True), 1),
        (F1(), 0),
        (F1(squad=True), 1),
    ):
        outcome: Any = score_one(metric, "3.14", "314")
        assert outcome.value == same


@pytest.mark.parametrize("around", ["({})", "{}.", "${}", '"{}"', "«{}»", "{}!", "[{}],", "the {}", "{}%"])
@given(number=st.decimals(-(10**6), 10**6, places=2))
def test_signs_around_a_number_go_and_its_own_stay(around: str, number: Any) -> None:
    text = f"{number:.2f}"
    assert normal_words(around.format(text)) == text
    assert normal_words(around.format(text.replace("-", "\u2212"))) == text


@pytest.mark.parametrize("distinct", [63_000, 63_000 // 16, 63_000 // 17, 40])
def test_rouge_l_takes_little_memory_of_many_words(distinct: int) -> None:
    """The worst length that is compared; the bits of all words' places would take 500 MB."""
    words = [f"w{n % distinct}" for n in range(63_000)]
    answer, reference = " ".join(words), " ".join(reversed(words[: len(words) - 1]))
    tracemalloc.start()
    try:
        assert 0 < rouge_l(answer, reference) < 1
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_rouge_l_of_a_long_and_a_short_text_takes_little_memory() -> None:
    words = [f"w{n}" for n in range(170_000)]
    tracemalloc.start()
    try:
        assert rouge_l(" ".join(words), " ".join(words[1:20_001])) > 0
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
