"""What a library offers of a model that it has loaded, and how an answer is drawn from it.

All models in process draw, stop and count alike:

- without a temperature, or with 0, the likeliest token is taken, the first of several;
- otherwise a token is drawn with a random number that comes from the call's seed and nothing else: the same seed gives
  the same answer, whatever is asked at the same time;
- an answer ends before the first stop text that is in it, at a token that ends a text, or at `max_tokens`; it is cut by
  the length if none of the others came first;
- tokens are counted as they were computed: the one that ends the answer is among them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Protocol, TypeAlias

import attrs
import trio

from themis.pure.json import JSONValue
from themis.pure.wire.exchange import Sampling

Row: TypeAlias = Any
"""The logits of the next token: a NumPy array of as many numbers as the model has tokens."""


class Weights(Protocol):
    """A model that is loaded.

    Attributes:
        context: the most tokens of prompt and answer together.
        start: the token that stands for an empty text.
        ends: the tokens that end an answer.
    """

    context: int
    start: int
    ends: frozenset[int]

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens, behind the one that begins a text, where the model has one."""

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the tokens of a conversation up to where the model's answer begins, by the model's own template."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of an answer's tokens, without those that only mark something."""

    def begin(self, prompts: Sequence[Sequence[int]]) -> Sequence[Row]:
        """Read prompts, and return the logits behind each."""

    def go_on(self, tokens: Sequence[int]) -> Sequence[Row]:
        """Read one more token behind each prompt, and return the logits behind it."""

    def likelihoods(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int
    ) -> Sequence[tuple[list[float], bool]]:
        """Return, for tokens behind others, each one's log-probability, and whether all are the likeliest."""


@attrs.frozen(kw_only=True)
class Answer:
    """An answer as it was drawn."""

    text: str
    artifacts: Mapping[str, JSONValue]
    usage: Mapping[str, int]
    latency_ms: float


class Drawn:
    """One answer while it is drawn."""

    def __init__(self, prompt: Sequence[int], sampling: Sampling, max_tokens: int, seed: int | None) -> None:
        self.prompt: Sequence[int] = prompt
        self.tokens: list[int] = []
        self.finish: str = ""
        self.latency_ms: float = 0.0
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._random = Random(sampling.seed_for(seed))  # noqa: S311  # no secret

    def take(self, weights: Weights, row: Row) -> int:
        """Draw the next token."""
        token = likeliest(row) if not self._sampling.temperature else self._at_random(row, self._sampling.temperature)
        self.tokens.append(token)
        if token in weights.ends or (self._sampling.stop and self._cut(weights.decode(self.tokens)) is not None):
            self.finish = "stop"
        elif len(self.tokens) >= self._max_tokens:
            self.finish = "length"
        return token

    def _at_random(self, row: Row, temperature: float) -> int:
        import numpy

        # In double precision, and in the order of the tokens' probabilities, ties in the order of their numbers.
        scaled = numpy.asarray(row, dtype=numpy.float64) / temperature
        shares = numpy.exp(scaled - scaled.max())
        order = numpy.argsort(-shares, kind="stable")
        sums = numpy.cumsum(shares[order])
        top_p = 1.0 if self._sampling.top_p is None else self._sampling.top_p
        # The fewest tokens that have the share `top_p` together (Holtzman et al. 2020, "nucleus sampling").
        kept = int(numpy.searchsorted(sums, top_p * sums[-1])) + 1
        kept = min(kept, len(sums))
        drawn = int(numpy.searchsorted(sums[:kept], self._random.random() * sums[kept - 1], side="right"))
        return int(order[min(drawn, kept - 1)])

    def _cut(self, text: str) -> str | None:
        places = [place for stop in self._sampling.stop or () if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else None

    def answer(self, weights: Weights) -> Answer:
        said = [token for token in self.tokens if token not in weights.ends]
        text = weights.decode(said)
        cut = self._cut(text)
        counted = {"prompt_tokens": len(self.prompt), "completion_tokens": len(self.tokens)}
        return Answer(
            text=text if cut is None else cut,
            artifacts={"finish_reason": self.finish},
            usage={**counted, "total_tokens": sum(counted.values())},
            latency_ms=self.latency_ms,
        )


def likeliest(row: Row) -> int:
    """Return the token with the largest number, the first of several."""
    return int(row.argmax())


def draw(weights: Weights, batch: Sequence[Drawn]) -> None:
    began = time.perf_counter()
    rows = weights.begin([one.prompt for one in batch])
    while True:
        leave_if_cancelled()
        # What is finished already is only kept in step with the others.
        tokens = [
            one.tokens[-1] if one.finish else one.take(weights, row) for one, row in zip(batch, rows, strict=True)
        ]
        if all(one.finish for one in batch):
            break
        rows = weights.go_on(tokens)
    for one in batch:
        one.latency_ms = (time.perf_counter() - began) * 1000 / len(batch)


def leave_if_cancelled() -> None:
    """Raise `trio.Cancelled` if the call that this thread works for is: asked between two steps of the model."""
    with contextlib.suppress(RuntimeError):  # no thread of trio's: somebody calls the model by hand
        trio.from_thread.check_cancelled()
