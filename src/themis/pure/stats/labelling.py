"""Which answers people should label next, so that what is estimated from their labels stays unbiased.

The rule of the room: an answer's place in the order is drawn from the seed and its name alone. So the first 50 and the
next 50 are a random sample of 100; no order of rows, and nothing that was labelled, changes who comes next.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from typing import Final

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.stats.arguments import (
    OneOrMore,
    ScoreRange,
    Seed,
    Size,
    checked_arguments,
    refuse_unless,
    same_length,
)

_UNIFORM_PART: Final = 0.5
"""The part of the weights that is the same for all: an answer that looks sure is labelled now and then, too.

With less of it a sure answer that is wrong weighs so much that it widens the interval (Zrnic and Candes, section 4).
"""


@attrs.frozen
class LabelChoice(HashableModel):
    """An answer to label.

    Attributes:
        key: its name.
        probability: with what probability it was chosen; `None` in a simple random sample.
        is_labelled: whether it has a label already; `probability` is then what its label has to state now.
    """

    key: str
    probability: float | None = None
    is_labelled: bool = False


@checked_arguments
def choose_labels(
    keys: Sequence[str],
    count: OneOrMore,
    *,
    uncertainty: Sequence[Size] | None = None,
    labelled: Collection[str] = (),
    seed: Seed = 0,
) -> list[LabelChoice]:
    """Choose which answers to label next: the next of a random sample, or more of those that are uncertain.

    A random sample comes in the order of random numbers, one per answer, which depend on the seed and its key alone.
    Where an uncertainty is given, answers come by weight over random number (priority sampling): an answer is among the
    chosen with the probability min(1, weight / threshold), the threshold being the first priority that was left out.
    Sums weighed by the inverse of these probabilities are unbiased. They grow with the number of labels, so answers
    that are labelled already come again with their new probability.

    Args:
        keys: the answers' names, each once.
        count: how many more to label; fewer are returned where there are not so many.
        uncertainty: how unsure the judge is of each, 0 or more; without it, all are as likely.
        labelled: the keys that have a label.
        seed: of the random numbers; the same for all labels of a run.

    Raises:
        StatisticsError: a key that occurs twice, or an uncertainty that is the same for all.

    Source: Duffield, Lund and Thorup (2007), Priority sampling for estimation of arbitrary subset sums, Journal of the
    ACM 54, article 32; weights: Zrnic and Candes (2024), Active Statistical Inference, arXiv 2403.03208.

    >>> [choice.key for choice in choose_labels(["a", "b", "c", "d"], 2, seed=1)]
    ['d', 'b']
    >>> [choice.key for choice in choose_labels(["d", "c", "b", "a"], 1, labelled=["d"], seed=1)]
    ['b']
    """
    same_length("choose_labels", keys=keys, uncertainty=uncertainty)
    refuse_unless(len(set(keys)) == len(keys), "choose_labels", "keys", len(keys), "each answer's name once")
    known = set(labelled)
    if uncertainty is None:
        ordered = sorted(keys, key=lambda key: (_drawn(seed, key), key))
        return [LabelChoice(key) for key in ordered if key not in known][:count]
    weights = _weights(keys, uncertainty)
    priority = {key: weight / _drawn(seed, key) for key, weight in weights.items()}
    ordered = sorted(keys, key=lambda key: (-priority[key], key))
    size, new = 0, 0
    while size < len(ordered) and new < count:
        new += ordered[size] not in known
        size += 1
    threshold = priority[ordered[size]] if size < len(ordered) else 0.0
    return [
        LabelChoice(key, 1.0 if weights[key] >= threshold else weights[key] / threshold, key in known)
        for key in ordered[:size]
    ]


def _drawn(seed: int, key: str) -> float:
    """Return an answer's random number, above 0 and below 1."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    return (int.from_bytes(digest[:6]) + 0.5) / 2.0**48


def _weights(keys: Sequence[str], uncertainty: Sequence[float]) -> dict[str, float]:
    varies = len(keys) > 0 and max(uncertainty) > min(uncertainty)
    allowed = "values that differ; of answers that are all as sure, take a random sample"
    refuse_unless(varies, "choose_labels", "uncertainty", uncertainty[:1], allowed)
    most = max(uncertainty)
    shares = [value / most for value in uncertainty]
    middle = math.fsum(shares) / len(shares)
    return {
        key: _UNIFORM_PART + (1.0 - _UNIFORM_PART) * share / middle for key, share in zip(keys, shares, strict=True)
    }


@checked_arguments
def score_uncertainty(score: float, score_range: ScoreRange = (0.0, 1.0)) -> float:
    """Return how unsure a judge is that gave this score: most in the middle of the range, not at all at its ends.

    It is the standard deviation of a 0/1 label that is 1 with the probability the score stands for.

    >>> score_uncertainty(0.5), score_uncertainty(1.0)
    (0.5, 0.0)
    """
    low, high = score_range
    refuse_unless(high - low < 1e100, "score_uncertainty", "score_range", score_range, "two finite numbers")
    share = min(1.0, max(0.0, (score - low) / (high - low)))
    return float((share * (1.0 - share)) ** 0.5)
