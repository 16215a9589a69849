"""What of a case is asked, where a continuation begins, and what a prompt that asks for nothing is called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import DataError, SpecError
from themis.pure.identity import content_hash
from themis.pure.json import decode, encode
from themis.pure.likelihoods import asked_likelihoods, at_boundary, split_tokens
from themis.pure.records.dataset import Case
from themis.pure.records.likelihoods import Likelihood
from themis.pure.records.prompt import PromptSpec
from themis.testing.bigram import BEGIN, PIECES, tokens_of

CHOICES = PromptSpec(continuations="choices")


def asked(value: Any, spec: PromptSpec = CHOICES, **fields: Any) -> Any:
    found = asked_likelihoods(Case(case_id="a", input=value, **fields), spec)
    return None if found is None else (found.context, found.continuations)


@pytest.mark.parametrize(
    ("value", "metadata", "context"),
    [
        ({"question": "Is it?", "choices": ["yes", "no"]}, {}, "Q: Is it? A:"),
        ({"text": "Is it?", "choices": ["yes", "no"], "label": 1}, {}, "Q: Is it? A:"),
        ("Is it?", {"choices": ["yes", "no"]}, "Q: Is it? A:"),
        ({"choices": ["yes", "no"]}, {}, "Q:  A:"),
        ({"a": 1, "choices": ["yes", "no"]}, {}, 'Q: {"a":1} A:'),
    ],
)
def test_choices_are_found_in_the_input_or_the_metadata(value: Any, metadata: Any, context: str) -> None:
    spec = PromptSpec(prefix="Q: ", suffix=" A:", continuations="choices")
    assert asked(value, spec, metadata=metadata) == (context, ("yes", "no"))


def test_messages_are_the_context_as_text() -> None:
    turns = [{"role": "user", "content": "Is it?"}]
    assert asked({"messages": turns, "choices": ["yes"]}) == ("Is it?", ("yes",))


def test_without_a_field_nothing_of_the_kind_is_asked() -> None:
    assert asked({"choices": ["yes"]}, PromptSpec(prefix="x")) is None


@pytest.mark.parametrize("found", [None, [], "yes", ["yes", ""], ["yes", 1], {"a": "yes"}, [["yes"]]])
def test_a_case_without_texts_there_is_refused_by_name(found: Any) -> None:
    with pytest.raises(DataError, match=r"case 'a': prompt_spec.continuations names the field 'choices'.*found"):
        asked({"text": "Is it?", "choices": found})


# --- the boundary -----------------------------------------------------------------------------------------

texts = st.text(st.sampled_from("ab \nthein"), max_size=12)


@given(texts, texts.filter(bool))
def test_blanks_go_to_the_continuation_and_nothing_is_lost(context: str, continuation: str) -> None:
    before, behind = at_boundary(context, continuation)
    assert before + behind == context + continuation
    assert before == before.rstrip()
    assert behind.endswith(continuation)
    assert before or not context.strip()


def encode_text(text: str) -> list[int]:
    return [BEGIN, *tokens_of(text)]


@given(texts, texts.filter(bool))
def test_the_tokens_are_those_of_both_texts_without_as_many_as_the_context_has(context: str, text: str) -> None:
    whole = encode_text(context + text)
    try:
        before, own = split_tokens(encode_text, BEGIN, context, text)
    except SpecError:
        assert len(whole) <= len(encode_text(context.rstrip()))
        return
    assert before + own == whole
    assert len(before) == len(encode_text(context.rstrip()))


@given(texts, texts.filter(bool))
def test_a_model_without_a_token_for_the_beginning_begins_with_another(context: str, text: str) -> None:
    try:
        before, own = split_tokens(tokens_of, 7, context, text)
    except SpecError:
        return
    whole, kept = tokens_of(context + text), len(tokens_of(context.rstrip()))
    assert (before, own) == (whole[:kept] or [7], whole[kept:])


def test_a_token_that_holds_the_end_of_one_and_the_beginning_of_the_other_is_not_counted_twice() -> None:
    before, own = split_tokens(encode_text, BEGIN, "a", "ba")  # `ab` is one token
    assert [PIECES[token] for token in before + own] == [b"", b"ab", b"a"]
    assert len(own) == 1


def test_a_continuation_without_a_token_of_its_own_is_an_error() -> None:
    with pytest.raises(SpecError, match="no token of its own"):
        split_tokens(encode_text, BEGIN, "a", "b")


# --- records and names ------------------------------------------------------------------------------------


def test_a_prompt_that_asks_for_no_likelihoods_is_written_as_before() -> None:
    plain = PromptSpec(instructions="Be brief.", prefix="Q: ")
    assert decode(encode(plain)) == {"blocks": [], "instructions": "Be brief.", "prefix": "Q: ", "suffix": None}
    assert content_hash(plain) == content_hash(
        {"blocks": [], "instructions": "Be brief.", "prefix": "Q: ", "suffix": None}
    )
    stated = plain.evolve(continuations="choices")
    assert decode(encode(stated))["continuations"] == "choices"
    assert stated.compute_hash() != plain.compute_hash()
    assert PromptSpec.from_dict(stated.to_dict()) == stated
    assert PromptSpec.from_dict(plain.to_dict()) == plain


@pytest.mark.parametrize("logprob", [0.5, float("nan"), float("inf"), "-1", True])
def test_a_log_probability_is_a_number_up_to_0(logprob: Any) -> None:
    with pytest.raises(ValueError, match="logprob"):
        Likelihood(text="a", logprob=logprob, tokens=1, bytes=1, is_greedy=False)


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=20), st.text(min_size=1, max_size=9))
def test_a_likelihood_sums_up_its_tokens(logprobs: list[float], text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    found = Likelihood.of(text, logprobs, is_greedy=True)
    assert (found.tokens, found.bytes) == (len(logprobs), len(text.encode()))
    assert found.logprob == pytest.approx(sum(logprobs))
    assert Likelihood.from_dict(found.to_dict()) == found
