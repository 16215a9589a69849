"""What is read out of log-likelihoods."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.likelihoods import (
    GreedyContinuation,
    LikelierContext,
    Likeliest,
    LikeliestChoice,
    Perplexity,
    RightProbability,
    likeliest,
    meant,
    read_likelihoods,
)
from themis.pure.components.registry import make_builtin
from themis.pure.errors import SpecError
from themis.pure.records.contexts import ParseContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.likelihoods import Likelihood
from themis.pure.records.scoring import Score, ScoreError


def one(text: str, logprob: float, tokens: int = 1, greedy: bool = False) -> Likelihood:
    return Likelihood(text=text, logprob=logprob, tokens=tokens, bytes=len(text.encode()), is_greedy=greedy)


# The bare sum is for the first, tokens for the second, bytes for the third.
THREE = (one("no", -2.0), one("yes it is", -3.0, tokens=3, greedy=True), one("in all likelihood", -4.0, tokens=2))


def output(found: Any) -> Any:
    return [likelihood.to_dict() for likelihood in found]


def parse(parser: Any, value: Any) -> ParsedOutput:
    ctx = ParseContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0")
    parsed: ParsedOutput = parser.parse(ReducedCandidate(candidate_id="a:0", final_output=value), ctx)
    return parsed


def score(metric: Any, found: Any, expected: Any = None) -> Score | ScoreError:
    value = output(found) if isinstance(found, tuple) else found
    case = Case(case_id="a", input="x", expected_output=expected)
    parsed = ParsedOutput(value="whatever the parser says")
    ctx = ScoreContext(
        run_id="r",
        case=case,
        parsed_output=parsed,
        dataset_id="d",
        case_key="d/a",
        candidate=GenerationResult(candidate_id="a:0", final_output=value),
    )
    outcome: Score | ScoreError = metric.score(parsed, case, ctx)
    return outcome


def value(outcome: Score | ScoreError) -> float:
    assert isinstance(outcome, Score), outcome
    return outcome.value


@pytest.mark.parametrize(("normalize", "place"), [("none", 0), ("tokens", 1), ("bytes", 2), ("characters", 2)])
def test_lengths_decide_by_the_normalisation(normalize: Any, place: int) -> None:
    assert likeliest(THREE, normalize) == place
    for gives, wanted in (("letter", "ABC"[place]), ("index", place), ("text", THREE[place].text)):
        found = parse(Likeliest(normalize=normalize, gives=gives), output(THREE))  # type: ignore[arg-type]
        assert (found.value, found.metadata["index"]) == (wanted, place)
    for right in range(3):
        assert value(score(LikeliestChoice(normalize=normalize), THREE, right)) == (right == place)


def test_the_first_of_equals_wins_and_blanks_around_a_text_are_none_of_its() -> None:
    found = parse(Likeliest(gives="text"), output([one(" a ", -1.0), one(" b ", -1.0)]))
    assert found.value == "a"


@pytest.mark.parametrize(
    "answer", ["A", None, [], {}, [1], [{"text": "a"}], [*output(THREE), 1], {"text": "a", "logprob": -1}, [None]]
)
def test_what_is_no_likelihoods_is_said_to_be_none(answer: Any) -> None:
    assert read_likelihoods(answer) is None
    found = parse(Likeliest(), answer)
    assert found.value is None
    assert "prompt_spec.continuations" in str(found.metadata["reason"])
    for metric in (LikeliestChoice(), RightProbability(), GreedyContinuation(), Perplexity()):
        assert isinstance(score(metric, answer, "A"), ScoreError)


def test_there_are_letters_for_26_choices() -> None:
    many = output([one(f"t{i}", -1.0 - i) for i in range(27)])
    assert parse(Likeliest(), many[:26]).value == "A"
    assert "gives='index'" in str(parse(Likeliest(), many).metadata["reason"])
    assert parse(Likeliest(gives="index"), many).value == 0


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        *(("red", 0), (" green ", 1), (2, 2), ("2", 2), ("B", 1), ("b", None), ("D", None), (3, None), (-1, None)),
        *((True, None), (1.0, None), ("", None), ("AB", None), ("²", None), (None, None), ("-1", None), ("10", None)),
    ],
)
def test_a_reference_names_a_choice_by_text_number_or_letter(reference: Any, place: int | None) -> None:
    assert meant(reference, [" red", " green", " blue"]) == place


def test_the_text_goes_before_number_and_letter() -> None:
    assert [meant(said, ["1", "2", "3"]) for said in ("1", "2", 1)] == [0, 1, 1]
    assert [meant(said, ["B", "A"]) for said in ("A", "B")] == [1, 0]


@given(st.integers(1, 26), st.data())
def test_parser_and_metric_agree_on_every_form_of_reference(count: int, data: Any) -> None:
    found = tuple(
        one(f"choice {i}", data.draw(st.floats(-20, 0)), tokens=data.draw(st.integers(1, 5))) for i in range(count)
    )
    normalize = data.draw(st.sampled_from(["none", "tokens", "bytes", "characters"]))
    for gives in ("letter", "index", "text"):
        said = parse(Likeliest(normalize=normalize, gives=gives), output(found)).value
        assert value(score(LikeliestChoice(normalize=normalize), found, said)) == 1.0


@given(st.lists(st.floats(-800, 0), min_size=1, max_size=6), st.data())
def test_probabilities_of_right_choices_add_up(logprobs: list[float], data: Any) -> None:
    found = tuple(one(f"t{i}", logprob) for i, logprob in enumerate(logprobs))
    right = data.draw(st.sets(st.integers(0, len(found) - 1), min_size=1))
    share = value(score(RightProbability(), found, sorted(right)))
    wrong = set(range(len(found))) - right
    rest = value(score(RightProbability(), found, sorted(wrong))) if wrong else 0.0
    assert 0.0 <= share <= 1.0
    assert share + rest == pytest.approx(1.0)


def test_mc2_by_hand() -> None:
    found = (one("a", math.log(0.2)), one("b", math.log(0.1)), one("c", math.log(0.1)))
    assert value(score(RightProbability(), found, ["a", "b"])) == pytest.approx(0.75)


@pytest.mark.parametrize(("expected", "wanted"), [(1, 1.0), (0, 0.0), ([0, 1], 1.0)])
def test_greedy_continuations(expected: Any, wanted: float) -> None:
    assert value(score(GreedyContinuation(), THREE, expected)) == wanted


@pytest.mark.parametrize("greedy", [True, False])
def test_of_one_continuation_no_reference_is_needed(greedy: bool) -> None:
    assert value(score(GreedyContinuation(), (one("end", -1.0, greedy=greedy),))) == greedy


@pytest.mark.parametrize("metric", [LikeliestChoice(), RightProbability(), GreedyContinuation()])
@pytest.mark.parametrize("expected", [None, "purple", 7, [], ["no", "purple"], {"a": 1}])
def test_a_reference_that_names_no_choice_is_an_error_and_no_0(metric: Any, expected: Any) -> None:
    assert isinstance(score(metric, THREE, expected), ScoreError)


@pytest.mark.parametrize(("per", "units"), [("token", 4), ("word", 3), ("byte", 12)])
def test_perplexity_by_hand(per: Any, units: int) -> None:
    text = one("one two, tre", -6.0, tokens=4)
    outcome = score(Perplexity(per=per), (text,))
    assert value(outcome) == pytest.approx(math.exp(6.0 / units))
    assert isinstance(outcome, Score)
    assert outcome.details["bits_per_byte"] == pytest.approx(6.0 / math.log(2) / 12)
    assert [outcome.details[name] for name in ("logprob", "tokens", "words", "bytes")] == [-6.0, 4, 3, 12]


def test_perplexity_is_that_of_one_text_and_a_number() -> None:
    assert "there are 3 continuations" in score(Perplexity(), THREE).reason  # type: ignore[union-attr]
    assert "past any number" in score(Perplexity(), (one("a", -5000.0),)).reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "option"),
    [("likeliest", "normalize"), ("likeliest", "gives"), ("likeliest_choice", "normalize"), ("perplexity", "per")],
)
def test_options_are_told_apart(name: str, option: str) -> None:
    with pytest.raises(SpecError, match=f"builtin/{name}: {option} must be one of"):
        make_builtin(f"builtin/{name}", **{option: "tokens?"})


def test_characters_and_bytes_differ_where_letters_have_several_bytes() -> None:
    found = (one("ääää", -4.0), one("bbbbb", -4.5))  # 8 bytes in 4 characters, 5 in 5
    assert (likeliest(found, "bytes"), likeliest(found, "characters")) == (0, 1)


@given(
    behind=st.lists(st.floats(-100, 0), min_size=2, max_size=5),
    before=st.lists(st.floats(-100, 0), min_size=5, max_size=5),
    right=st.integers(0, 4),
)
def test_a_beginning_is_judged_by_the_text_behind_it_alone(
    behind: list[float], before: list[float], right: int
) -> None:
    """However likely the beginnings are by themselves, the one that makes the text behind it likeliest is chosen."""
    names = [f"name{number}" for number in range(len(behind))]
    whole = [one(f"{name} won.", begun + rest) for name, begun, rest in zip(names, before, behind, strict=False)]
    alone = [one(name, begun) for name, begun in zip(names, before, strict=False)]
    differences = [w.logprob - a.logprob for w, a in zip(whole, alone, strict=True)]
    right %= len(names)
    found = score(LikelierContext(), (*whole, *alone), whole[right].text)
    assert value(found) == float(differences.index(max(differences)) == right)


def test_choices_that_are_no_two_halves_are_an_error() -> None:
    for found in ((one("a b", -1), one("c d", -1), one("a", -1)), (one("a b", -1), one("c", -1))):
        assert isinstance(score(LikelierContext(), found, 0), ScoreError)


def test_the_reference_may_state_the_size_of_another_text() -> None:
    found = (one("two words", -6.0),)
    stated = score(Perplexity(per="word"), found, {"words": 3, "bytes": 18})
    assert value(stated) == pytest.approx(math.exp(2))
    assert isinstance(stated, Score)
    assert stated.details["bits_per_byte"] == pytest.approx(6 / math.log(2) / 18)
    assert value(score(Perplexity(per="word"), found, "two words")) == pytest.approx(math.exp(3))
