"""Log-likelihoods: what of a case is asked, where a context ends and a continuation begins, and what is kept.

**The boundary.** A model reads tokens, and a token may hold the end of one text and the beginning of the next. The rule
is that of lm-evaluation-harness (`TemplateLM._encode_pair` in lm_eval/api/model.py), so that figures can be compared:

1. blanks at the end of the context belong to the continuation, for tokenizers put them in front of words;
2. the continuation's tokens are those of context and continuation together, without as many from the front as the
   context alone has: `encode(context + continuation)[len(encode(context)):]`;
3. an empty context is the token that begins a text, or, for a model that has none, the one that ends it.

Where a token holds the end of the context and the beginning of the continuation, it stands before the continuation, as
a server that is sent texts has it; there the harness puts the context's own tokens in its place.

Blanks that the context gives are scored as a part of every continuation, and counted in none: `bytes` are those of
the text as the case has it, without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from themis.pure.errors import DataError, SpecError
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.likelihoods import AskedLikelihoods, LogLikelihoods
from themis.pure.records.prompt import TEXT_FIELDS, PromptSpec
from themis.pure.text import shortened
from themis.pure.wire.exchange import prompt_of

Encode = Callable[[str], Sequence[int]]
"""From a text to tokens, with the one that begins a text in front where the model has one."""


def asked_likelihoods(case: Case, spec: PromptSpec | None) -> AskedLikelihoods | None:
    """Return what a model is asked about a case; `None` if it is to write an answer.

    Raises:
        DataError: the case has no texts in the field that the prompt names.

    >>> case = Case(case_id="a", input={"question": "Is snow white?", "choices": ["yes", "no"]})
    >>> asked_likelihoods(case, PromptSpec(suffix=" Answer: ", continuations="choices"))
    AskedLikelihoods(context='Is snow white? Answer: ', continuations=('yes', 'no'))
    """
    if spec is None or spec.continuations is None:
        return None
    field, value = spec.continuations, case.input
    inputs = value if isinstance(value, Mapping) else EMPTY
    texts = inputs[field] if field in inputs else case.metadata.get(field)
    if not isinstance(texts, Sequence) or isinstance(texts, str) or not texts or not all(map(_is_text, texts)):
        found = "nothing" if texts is None else shortened(repr(texts), 80)
        raise DataError(
            f"case {case.case_id!r}: prompt_spec.continuations names the field {field!r}, and a list of texts is "
            f"expected there, in the input or the metadata; found {found}"
        )
    if field in inputs:
        value = {name: item for name, item in inputs.items() if name != field} or ""
    return AskedLikelihoods(context=_context(value, spec, case), continuations=[str(text) for text in texts])


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _context(value: JSONValue, spec: PromptSpec, case: Case) -> str:
    named = [value[name] for name in TEXT_FIELDS if name in value] if isinstance(value, Mapping) else []
    return prompt_of(named[0] if named else value, spec, of=case).text


def at_boundary(context: str, continuation: str) -> tuple[str, str]:
    """Return context and continuation with the blanks between them at the beginning of the continuation.

    >>> at_boundary("The answer is: ", "yes")
    ('The answer is:', ' yes')
    """
    kept = context.rstrip()
    return kept, context[len(kept) :] + continuation


def split_tokens(encode: Encode, start: int, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Return the tokens that stand before a continuation, at least one, and its own.

    Args:
        encode: the model's tokenizer.
        start: the token that stands for an empty context.

    Raises:
        SpecError: the continuation has no token of its own.
    """
    context, continuation = at_boundary(context, continuation)
    before, whole = list(encode(context)), list(encode(context + continuation))
    own = whole[len(before) :]
    if not own:
        raise SpecError(
            f"the continuation {shortened(repr(continuation), 80)} has no token of its own behind its context: "
            "the tokenizer makes one of both"
        )
    return whole[: len(before)] or [start], own


def as_generation(found: LogLikelihoods, candidate_id: str) -> GenerationResult:
    """Return likelihoods as a case's answer: a list of objects, as `Likelihood` has them."""
    return GenerationResult(
        candidate_id=candidate_id,
        final_output=[likelihood.to_dict() for likelihood in found.continuations],
        artifacts=found.artifacts,
        token_usage=found.token_usage,
        latency_ms=found.latency_ms,
    )
