"""Log-likelihoods over HTTP: what servers that complete text are asked, and what their answers say of each token.

Three ways, by what a server has. The first two read all texts in one request, with the context alone as the first, so
that its tokens are counted by the server's own tokenizer (`themis.pure.likelihoods` has the rule):

- `echo` and `logprobs`: OpenAI's completions of old, and servers that follow them: the prompt's tokens come back before
  the answer's, with the log-probability of each. One token is asked for and left out, for some servers refuse none.
- `prompt_logprobs`: vLLM's own field (docs.vllm.ai, "OpenAI-Compatible Server"). Each token of the prompt has its rank.
- llama.cpp's server has neither (ggml-org/llama.cpp, issue 27174), but says of a token that it generates how likely it
  was *before* anything was done to its chances (`post_sampling_probs` is false; tools/server/README.md). So it is asked
  for one token at a time, and each is made certain by `logit_bias`.

A server that leaves out a field in silence would make every continuation as likely as any other: whatever is not there
is a failure, and never a 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.calls import CallFailure, FailureKind
from themis.pure.likelihoods import at_boundary
from themis.pure.records.base import FrozenModel
from themis.pure.records.likelihoods import Likelihood
from themis.pure.wire.failures import failure_in, malformed

_CERTAIN: Final = 1e6
_NO_PROMPT: Final = (
    "the server shows no log-probabilities of the prompt ({}); those of llama.cpp are asked as llamacpp/..., "
    "vLLM's as vllm/...; others may have none to show"
)


@attrs.frozen
class Token(FrozenModel):
    """A token of a prompt, as a server describes it; what it says nothing of is `None`."""

    text: str | None
    logprob: float | None
    is_likeliest: bool = False


def prompts_of(context: str, continuations: Sequence[str]) -> list[str]:
    """Return the texts of a request: the context alone, unless it is empty, and what each continuation makes of it."""
    pairs = [at_boundary(context, text) for text in continuations]
    before = pairs[0][0]
    return [*([before] if before else []), *(kept + text for kept, text in pairs)]


def echo_body(model: str, prompts: Sequence[str]) -> dict[str, Any]:
    """Return the body of a request that has its prompts echoed."""
    return {"model": model, "prompt": list(prompts), "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}


def prompt_logprobs_body(model: str, prompts: Sequence[str]) -> dict[str, Any]:
    """Return the body of a request for the log-probabilities of prompts, in vLLM's words."""
    return {"model": model, "prompt": list(prompts), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}


def read_echo(payload: Any, prompts: Sequence[str]) -> list[list[Token]] | CallFailure:
    """Return the tokens of each prompt out of an answer that echoes them."""
    choices = _choices(payload, len(prompts))
    if isinstance(choices, CallFailure):
        return choices
    found = []
    for choice, prompt in zip(choices, prompts, strict=True):
        logprobs = choice.get("logprobs")
        if not str(choice.get("text")).startswith(prompt) or not isinstance(logprobs, Mapping):
            return _shows_none("it does not echo it", payload)
        names, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
        tops = logprobs.get("top_logprobs")
        if not names or not values or not tops or not len(names) == len(values) == len(tops):
            return malformed("tokens, token_logprobs and top_logprobs are not one list each, of one length", payload)
        tokens = [Token(*token) for token in zip(names, values, map(_is_top, values, tops), strict=True)]
        found.append(tokens[:-1])
    return found


def _is_top(value: float | None, top: Mapping[str, float] | None) -> bool:
    return value is not None and bool(top) and value >= max((top or {}).values())


def read_prompt_logprobs(payload: Any, prompts: Sequence[str]) -> list[list[Token]] | CallFailure:
    """Return the tokens of each prompt out of an answer with `prompt_logprobs`."""
    choices = _choices(payload, len(prompts))
    if isinstance(choices, CallFailure):
        return choices
    found = []
    for choice in choices:
        entries = choice.get("prompt_logprobs")
        if not isinstance(entries, Sequence) or not entries:
            return _shows_none("no choices[].prompt_logprobs", payload)
        # An entry has the prompt's own token first, and likelier ones behind it, if any were asked for.
        firsts = [next(iter(entry.values())) if entry else {} for entry in entries]
        found.append([Token(e.get("decoded_token"), e.get("logprob"), e.get("rank") == 1) for e in firsts])
    return found


def _choices(payload: Any, count: int) -> Sequence[Mapping[str, Any]] | CallFailure:
    if (failure := failure_in(payload, "choices")) is not None:
        return failure
    choices = payload.get("choices") if isinstance(payload, Mapping) else None
    if not isinstance(choices, Sequence) or len(choices) != count:
        return _shows_none(f"{count} prompts in one request, and not as many answers", payload)
    return sorted(choices, key=lambda choice: choice["index"])


def _shows_none(found: str, payload: Any) -> CallFailure:
    told = malformed(_NO_PROMPT.format(found), payload)
    return told.evolve(kind=FailureKind.FAILED, retryable=False)


def likelihoods_of(
    continuations: Sequence[str], prompts: Sequence[str], tokens: Sequence[Sequence[Token]]
) -> list[Likelihood] | CallFailure:
    """Return the likelihood of each continuation, from the tokens of the prompts that `prompts_of` made."""
    has_context = len(prompts) > len(continuations)
    wholes = tokens[1:] if has_context else tokens
    found = []
    for text, prompt, whole in zip(continuations, prompts[has_context:], wholes, strict=True):
        own = whole[len(tokens[0]) if has_context else _begun(prompt, whole) :]
        logprobs = [token.logprob for token in own if token.logprob is not None]
        if not own or len(logprobs) != len(own):
            return CallFailure(
                kind=FailureKind.FAILED,
                retryable=False,
                message=f"the server says nothing of the first token of {text[:80]!r}: where nothing stands before a "
                "text, a model that has no token for its beginning can't be asked; give the prompt a prefix",
            )
        found.append(Likelihood.of(text, logprobs, is_greedy=all(token.is_likeliest for token in own)))
    return found


def _begun(prompt: str, tokens: Sequence[Token]) -> int:
    """Return 1 if the first token stands for the beginning of a text, for all of the text stands behind it."""
    return int("".join(token.text or "" for token in tokens[1:]) == prompt)


# --- llama.cpp --------------------------------------------------------------------------------------------


def tokenize_body(text: str) -> dict[str, Any]:
    return {"content": text, "add_special": True}


def read_tokens(payload: Any) -> list[int] | CallFailure:
    tokens = payload.get("tokens") if isinstance(payload, Mapping) else None
    return list(tokens) if isinstance(tokens, Sequence) else malformed("no tokens", payload)


def forced_body(before: Sequence[int], token: int) -> dict[str, Any]:
    """Return the body of a request of llama.cpp's for one token that is certain to come."""
    return {
        "prompt": list(before),
        "n_predict": 1,
        "temperature": 0,
        "n_probs": 1,
        "logit_bias": [[token, _CERTAIN]],
        "cache_prompt": True,
    }


def read_forced(payload: Any, token: int) -> Token | CallFailure:
    """Return how likely the token was."""
    if (failure := failure_in(payload, "completion_probabilities", "content")) is not None:
        return failure
    entries = payload.get("completion_probabilities") if isinstance(payload, Mapping) else None
    if not entries or entries[0].get("id") != token or not entries[0].get("top_logprobs"):
        return _shows_none("no completion_probabilities of the token asked for", payload)
    entry = entries[0]
    return Token(entry.get("token"), entry["logprob"], entry["logprob"] >= entry["top_logprobs"][0]["logprob"])
