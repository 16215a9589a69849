"""Scores pairs from standard input in both orders, as JSON: `python math_child.py`, run under several hash seeds."""

from __future__ import annotations

import json
import sys

from themis.pure.components.math_metric import MathEquivalence
from themis.testing.single import score_one


def main() -> None:
    pairs: list[tuple[str, str]] = json.load(sys.stdin)
    metric = MathEquivalence()
    order = [*range(len(pairs))]
    outcomes: dict[int, list[str]] = {number: [] for number in order}
    for numbers in (order, order[::-1]):
        for number in numbers:
            reference, answer = pairs[number]
            outcome = score_one(metric, answer, reference)
            outcomes[number].append(str(getattr(outcome, "value", getattr(outcome, "reason", ""))))
    json.dump([outcomes[number] for number in order], sys.stdout)


if __name__ == "__main__":
    main()
