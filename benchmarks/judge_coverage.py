"""How often 95 % intervals of a judged mean hold the truth: those corrected by human labels, and the judge's own.

    python benchmarks/judge_coverage.py [--simulations 2000] [--seed 0]

Prints one table: judges that err in a direction, on 0/1 and on graded answers, with one or four answers a case, and
labels chosen at random or by the judge's uncertainty. Exits with 1 if a corrected interval leaves 93 to 97 %, or if
the judge's own interval reaches 70 % somewhere: then that setting shows nothing.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

from themis.pure.stats.corrected import corrected_mean, rogan_gladen
from themis.pure.stats.labelling import choose_labels, score_uncertainty
from themis.pure.stats.records import Interval

LOW, HIGH, NAIVE = 0.93, 0.97, 0.70


class Drawn(NamedTuple):
    """Answers as they truly are, what the judge says of them, and their cases where they share some."""

    truths: list[float]
    scores: list[float]
    cases: list[Hashable] | None = None


class Row(NamedTuple):
    """One judge with so many labels of so many answers."""

    setting: str
    labels: int
    answers: int
    corrected: float
    judge: float
    half_width: float
    labels_alone: float

    @property
    def holds(self) -> bool:
        """Whether the corrected interval keeps its promise where the judge's own is worth nothing."""
        return LOW <= self.corrected <= HIGH and self.judge < NAIVE


def flipping(share: float, misses: float, false_alarms: float) -> Callable[[random.Random, int], Drawn]:
    """Return a judge of 0/1 answers that misses some of the right ones and lets some of the wrong ones pass."""

    def draw(rng: random.Random, size: int) -> Drawn:
        truths = [float(rng.random() < share) for _ in range(size)]
        wrong = {1.0: misses, 0.0: false_alarms}
        return Drawn(truths, [1.0 - y if rng.random() < wrong[y] else y for y in truths])

    return draw


def graded(bias: float, noise: float) -> Callable[[random.Random, int], Drawn]:
    """Return a judge of graded answers, of mean 2/3, that is off by a bias and by chance."""

    def draw(rng: random.Random, size: int) -> Drawn:
        truths = [rng.betavariate(4, 2) for _ in range(size)]
        return Drawn(truths, [min(1.0, max(0.0, y + bias + rng.gauss(0.0, noise))) for y in truths])

    return draw


def of_four(share: float, misses: float, false_alarms: float) -> Callable[[random.Random, int], Drawn]:
    """Return a judge of four answers a case, which it finds as hard, and misjudges, alike."""

    def draw(rng: random.Random, size: int) -> Drawn:
        drawn = Drawn([], [])
        for _ in range(size // 4):
            right = rng.betavariate(2.0 * share, 2.0 * (1.0 - share))
            alarm = rng.betavariate(0.5, 0.5 * (1.0 - false_alarms) / false_alarms)
            for _ in range(4):
                truth = float(rng.random() < right)
                wrong = rng.random() < (misses if truth else alarm)
                drawn.truths.append(truth)
                drawn.scores.append(1.0 - truth if wrong else truth)
        return Drawn(drawn.truths, drawn.scores, [number // 4 for number in range(len(drawn.truths))])

    return draw


def unsure(rng: random.Random, size: int) -> Drawn:
    """Return a judge that states a chance of being right, mostly near 0 or 1, and is a tenth too kind."""
    chances = [rng.betavariate(0.1, 0.05) if rng.random() < 0.8 else 0.5 for _ in range(size)]
    truths = [float(rng.random() < chance) for chance in chances]
    return Drawn(truths, [min(1.0, round(5.0 * chance) / 5.0 + 0.1) for chance in chances])


SETTINGS: tuple[tuple[str, Callable[[random.Random, int], Drawn], float], ...] = (
    ("0/1, 70 % right, passes 30 % of the wrong", flipping(0.7, 0.02, 0.3), 0.7),
    ("0/1, 70 % right, errs in 10 % of each", flipping(0.7, 0.1, 0.1), 0.7),
    ("0/1, 90 % right, passes half of the wrong", flipping(0.9, 0.02, 0.5), 0.9),
    ("0/1, 60 % right, misses 30 % of the right", flipping(0.6, 0.3, 0.1), 0.6),
    ("0/1, 30 % right, passes 10 % of the wrong", flipping(0.3, 0.05, 0.1), 0.3),
    ("0/1, 80 % right, passes 20 % of the wrong", flipping(0.8, 0.0, 0.2), 0.8),
    ("graded, 0.1 too high, noise 0.1", graded(0.1, 0.1), 2 / 3),
    ("graded, 0.1 too high, noise 0.3", graded(0.1, 0.3), 2 / 3),
    ("graded, 0.15 too low, noise 0.2", graded(-0.15, 0.2), 2 / 3),
)
SIZES = ((50, 1000), (100, 1000), (200, 2000), (300, 5000))
CLUSTERED = ("four answers a case, 70 % right, passes 30 %", of_four(0.7, 0.02, 0.3), 0.7)
TRUTH_OF_UNSURE = 0.8 * 0.1 / 0.15 + 0.1


def simulated(
    setting: str,
    draw: Callable[[random.Random, int], Drawn],
    truth: float,
    labels: int,
    answers: int,
    simulations: int,
    seed: int,
    *,
    method: str = "PPI++",
) -> Row:
    """Return how often each interval holds the truth, and how wide they are."""
    rng = random.Random(f"{setting} {labels} {answers} {method} {seed}")
    corrected = judge = 0
    width = alone = 0.0
    for number in range(simulations):
        drawn = draw(rng, answers)
        human: list[float | None] = [None] * answers
        chances: list[float | None] | None = None
        if method == "active":
            chosen = choose_labels(
                [str(place) for place in range(answers)],
                labels,
                uncertainty=[score_uncertainty(score) for score in drawn.scores],
                seed=number + seed * simulations,
            )
            chances = [None] * answers
            for choice in chosen:
                human[int(choice.key)], chances[int(choice.key)] = drawn.truths[int(choice.key)], choice.probability
        else:
            human[:labels] = drawn.truths[:labels]
        if method == "Rogan-Gladen":
            found = rogan_gladen(drawn.scores, human)
        else:
            found = corrected_mean(drawn.scores, human, probabilities=chances, clusters=drawn.cases)
        corrected += found.interval.contains(truth)
        judge += found.judge.interval.contains(truth)
        width += _width(found.interval)
        alone += _width(found.labels.interval)
    return Row(
        f"{setting}{'' if method == 'PPI++' else f' ({method})'}",
        labels,
        answers,
        corrected / simulations,
        judge / simulations,
        width / simulations / 2.0,
        alone / simulations / 2.0,
    )


def _width(interval: Interval) -> float:
    return 0.0 if interval.low is None or interval.high is None else interval.high - interval.low


def coverage_rows(simulations: int, seed: int, sizes: Sequence[tuple[int, int]] = SIZES) -> Iterator[Row]:
    """Yield every row of the table."""
    for setting, draw, truth in SETTINGS:
        for labels, answers in sizes:
            yield simulated(setting, draw, truth, labels, answers, simulations, seed)
    name, draw, truth = CLUSTERED
    yield simulated(name, draw, truth, 200, 2000, simulations, seed)
    for labels, answers in sizes[1:3]:
        for method in ("PPI++", "active"):
            chosen = "random labels" if method == "PPI++" else "labels"
            setting = f"states its chance, 0.1 too kind, {chosen}"
            yield simulated(setting, unsure, TRUTH_OF_UNSURE, labels, answers, simulations, seed, method=method)
    setting, draw, truth = SETTINGS[1]
    yield simulated(setting, draw, truth, *sizes[2], simulations, seed, method="Rogan-Gladen")


def printed(rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"{'judge':<58} {'labels':>6} {'of':>5}  corrected  judge   +-corrected  +-labels alone")
    print("-" * 120)
    for row in rows:
        print(
            f"{row.setting:<58} {row.labels:>6} {row.answers:>5}  {row.corrected:>9.3f}  {row.judge:>5.3f}  "
            f"{row.half_width:>12.3f}  {row.labels_alone:>14.3f}{'' if row.holds else '  BROKEN PROMISE'}"
        )
    print("-" * 120)
    low, high = min(row.corrected for row in rows), max(row.corrected for row in rows)
    error = math.sqrt(0.95 * 0.05)
    print(f"corrected: {low:.3f} to {high:.3f}; the judge's own: at most {max(row.judge for row in rows):.3f}")
    print(f"a simulated coverage is off by {error:.3f} over the root of the number of simulations")


def main() -> int:
    """Run, print, and say by the exit code whether the promise is kept."""
    parser = argparse.ArgumentParser(description="Coverage of judged means corrected by labels.")
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = list(coverage_rows(options.simulations, options.seed))
    printed(rows)
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
