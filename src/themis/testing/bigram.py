"""A language model of 290 tokens that knows nothing: for tests of what is asked of real ones.

    model = bigram_model(batch_size=4, temperature=1.0, max_tokens=8)
    model.loglikelihood("The ", ["theory", "rain"])

How likely a token is rests on the one before it, and on nothing else; its numbers are drawn once, by a fixed seed, and
are the same everywhere. Tokens are single bytes, letters with a blank before them, and a few longer ones, so that a
text's tokens do change with what stands behind it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, ClassVar, Final

import attrs

from themis.effects.providers.drawing import Row, Weights
from themis.effects.providers.in_process import InProcessModel, split_in_process
from themis.pure.json import JSONValue

BEGIN: Final = 0
END: Final = 1
_FIRST_BYTE: Final = 2
_LONGER: Final = (*(f" {letter}".encode() for letter in "abcdefghijklmnopqrstuvwxyz"), b"ab", b"the", b"ory", b"in")
PIECES: Final = (b"", b"", *(bytes([byte]) for byte in range(256)), *_LONGER)
"""What each token stands for; the first two are the beginning and the end of a text."""

_NUMBER: Final = {piece: number for number, piece in enumerate(PIECES) if number >= _FIRST_BYTE}
_LONGEST: Final = max(map(len, PIECES))


def tokens_of(text: str) -> list[int]:
    """Return a text's tokens: from the left, the longest that fits.

    >>> tokens_of("a") == [ord("a") + 2], len(tokens_of("the abc"))
    (True, 4)
    """
    data, place, found = text.encode(), 0, []
    while place < len(data):
        piece = next(
            data[place : place + size] for size in range(_LONGEST, 0, -1) if data[place : place + size] in _NUMBER
        )
        found.append(_NUMBER[piece])
        place += len(piece)
    return found


def text_of(tokens: Sequence[int]) -> str:
    return b"".join(PIECES[token] for token in tokens).decode(errors="replace")


@functools.cache
def logprobs_after(token: int) -> tuple[float, ...]:
    """Return the log-probability of each token behind another."""
    random = Random(token)  # noqa: S311  # no secret
    numbers = [random.uniform(0.0, 6.0) for _ in PIECES]
    numbers[BEGIN] = -20.0  # nothing begins twice
    numbers[END] = 3.0
    total = math.log(math.fsum(map(math.exp, numbers)))
    return tuple(number - total for number in numbers)


def likeliest_after(token: int) -> int:
    numbers = logprobs_after(token)
    return numbers.index(max(numbers))


class _Bigrams:
    """The weights, for `InProcessModel`."""

    context: int = 4096
    start: int = BEGIN
    ends: frozenset[int] = frozenset({END})

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, text: str) -> list[int]:
        return [BEGIN, *tokens_of(text)]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        turns = "".join(f"<{message['role']}>{message.get('content') or ''}\n" for message in messages)
        return self.encode(f"{turns}<assistant>")

    def decode(self, tokens: Sequence[int]) -> str:
        return text_of(tokens)

    def begin(self, prompts: Sequence[Sequence[int]]) -> Sequence[Row]:
        self.batches.append(len(prompts))
        return self.go_on([prompt[-1] for prompt in prompts])

    def go_on(self, tokens: Sequence[int]) -> Sequence[Row]:
        import numpy

        return [numpy.array(logprobs_after(token)) for token in tokens]

    def likelihoods(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int
    ) -> Sequence[tuple[list[float], bool]]:
        self.batches.append(len(pairs))
        return [self._scored([before[-1], *own]) for before, own in pairs]

    def _scored(self, tokens: Sequence[int]) -> tuple[list[float], bool]:
        steps = [*itertools.pairwise(tokens)]
        return [logprobs_after(a)[b] for a, b in steps], all(likeliest_after(a) == b for a, b in steps)


@attrs.frozen(kw_only=True)
class BigramModel(InProcessModel):
    """A model in process without a library behind it; needs NumPy where it generates.

    Attributes:
        weights: what it is made of; `weights.batches` lists how many prompts were computed at once.
    """

    provider: ClassVar[str] = "bigram"
    extra: ClassVar[str] = "stats"
    libraries: ClassVar[Mapping[str, str]] = MappingProxyType({"numpy": "numpy"})

    weights: _Bigrams = attrs.field(factory=_Bigrams, eq=False, repr=False)

    def _content(self) -> str:
        return "bigram 1"

    def _settings(self) -> dict[str, JSONValue]:
        return {}

    def _load(self) -> Weights:
        return self.weights


def bigram_model(**options: Any) -> BigramModel:
    """Return a model with the options of the adapters for models in process."""
    sampling, own = split_in_process("bigram", options, ("api", "batch_size", "component_id"))
    return BigramModel(model="toy", sampling=sampling, **own)
