"""What servers say of a prompt's tokens, and what is no answer: a 0 for every choice among it."""

from __future__ import annotations

from typing import Any

import pytest

from themis.pure.calls import CallFailure, classify
from themis.pure.records.likelihoods import Likelihood
from themis.pure.wire.likelihoods import (
    Token,
    likelihoods_of,
    prompts_of,
    read_echo,
    read_forced,
    read_prompt_logprobs,
    read_tokens,
)

PROMPTS = ["The", "The end"]
ECHOED = {
    "choices": [
        {
            "index": 1,
            "text": "The end.",
            "logprobs": {
                "tokens": ["The", " end", "."],
                "token_logprobs": [None, -0.5, -1.0],
                "top_logprobs": [None, {" end": -0.5}, {"!": -0.2, ".": -1.0}],
            },
        },
        {
            "index": 0,
            "text": "The a",
            "logprobs": {
                "tokens": ["The", " a"],
                "token_logprobs": [None, -2.0],
                "top_logprobs": [None, {" end": -0.5, " a": -2.0}],
            },
        },
    ]
}
RANKED = {
    "choices": [
        {"index": 0, "text": "", "prompt_logprobs": [None]},
        {
            "index": 1,
            "text": "",
            "prompt_logprobs": [None, {"7": {"logprob": -0.5, "rank": 1, "decoded_token": " end"}}],
        },
    ]
}
FORCED = {
    "content": " end",
    "completion_probabilities": [
        {"id": 7, "token": " end", "logprob": -0.5, "top_logprobs": [{"id": 9, "logprob": -0.25}]}
    ],
}


def changed(payload: Any, *path: Any, to: Any) -> Any:
    """Return a payload with one place changed; `...` takes it out."""
    if not path:
        return to
    first, rest = path[0], path[1:]
    copy = dict(payload) if isinstance(payload, dict) else list(payload)
    if to is ... and not rest:
        del copy[first]
    else:
        copy[first] = changed(copy[first], *rest, to=to)
    return copy


def told(tokens: Any) -> Likelihood:
    found = likelihoods_of([" end"], PROMPTS, tokens)
    assert not isinstance(found, CallFailure)
    (one,) = found
    return one


@pytest.mark.parametrize(("read", "payload"), [(read_echo, ECHOED), (read_prompt_logprobs, RANKED)])
def test_tokens_are_told_by_their_prompt_in_whatever_order_the_answers_come(read: Any, payload: Any) -> None:
    found = told(read(payload, PROMPTS))
    assert (found.text, found.logprob, found.tokens, found.is_greedy) == (" end", -0.5, 1, True)


def test_a_token_that_is_not_the_likeliest_is_not_greedy() -> None:
    ranked = changed(RANKED, "choices", 1, "prompt_logprobs", 1, "7", "rank", to=2)
    echoed = changed(ECHOED, "choices", 0, "logprobs", "top_logprobs", 1, to={"!": -0.1, " end": -0.5})
    for read, payload in ((read_prompt_logprobs, ranked), (read_echo, echoed)):
        assert not told(read(payload, PROMPTS)).is_greedy
    assert read_forced(FORCED, 7) == Token(" end", -0.5, is_likeliest=False)


@pytest.mark.parametrize(
    ("read", "payload"),
    [
        # llama.cpp's server before it refused `echo`: the answer alone, and every choice is as likely as any other.
        (read_echo, changed(ECHOED, "choices", 0, "text", to=".")),
        (read_echo, changed(ECHOED, "choices", 0, "logprobs", to=None)),
        (read_echo, changed(ECHOED, "choices", 0, "logprobs", to={"content": []})),
        (read_echo, changed(ECHOED, "choices", 0, "logprobs", "top_logprobs", to=None)),
        (read_echo, changed(ECHOED, "choices", 0, "logprobs", "token_logprobs", to=[-0.5])),
        (read_echo, changed(ECHOED, "choices", 0, to=...)),
        (read_echo, {"choices": []}),
        (read_echo, {"error": {"message": "echo is not supported"}}),
        (read_prompt_logprobs, changed(RANKED, "choices", 1, "prompt_logprobs", to=...)),
        (read_prompt_logprobs, changed(RANKED, "choices", 1, "prompt_logprobs", to=[])),
        (read_prompt_logprobs, changed(RANKED, "choices", 1, to=...)),
        (read_prompt_logprobs, []),
    ],
)
def test_what_is_not_there_is_a_failure(read: Any, payload: Any) -> None:
    assert isinstance(read(payload, PROMPTS), CallFailure)


@pytest.mark.parametrize(
    "payload",
    [
        {"content": " end"},
        changed(FORCED, "completion_probabilities", to=[]),
        changed(FORCED, "completion_probabilities", 0, "id", to=8),
        changed(FORCED, "completion_probabilities", 0, "top_logprobs", to=[]),
        {"error": {"code": 400, "message": "no"}},
        None,
    ],
)
def test_a_token_that_was_not_forced_is_a_failure(payload: Any) -> None:
    assert isinstance(read_forced(payload, 7), CallFailure)


def test_an_answer_without_tokens_is_none() -> None:
    assert isinstance(read_tokens({"tokens": None}), CallFailure)
    assert isinstance(read_tokens([]), CallFailure)


def test_a_server_that_shows_nothing_of_prompts_is_not_asked_again() -> None:
    failure = read_echo(changed(ECHOED, "choices", 0, "text", to="."), PROMPTS)
    assert isinstance(failure, CallFailure)
    assert not classify(failure).retryable
    assert "llamacpp/..." in failure.message


def test_the_context_is_asked_for_by_itself_unless_it_is_empty() -> None:
    assert prompts_of("It is ", ["so", "not"]) == ["It is", "It is so", "It is not"]
    assert prompts_of(" ", ["so"]) == [" so"]


BEGUN = [Token(None, None), Token("so", -1.0, is_likeliest=True)]


def test_behind_nothing_stands_the_token_that_begins_a_text() -> None:
    found = likelihoods_of(["so"], ["so"], [BEGUN])
    assert not isinstance(found, CallFailure)
    assert [(one.logprob, one.tokens) for one in found] == [(-1.0, 1)]


def test_a_first_token_of_which_nothing_is_known_is_a_failure() -> None:
    failure = likelihoods_of(["so"], ["so"], [[Token("s", None), Token("o", -1.0)]])
    assert isinstance(failure, CallFailure)
    assert "give the prompt a prefix" in failure.message
