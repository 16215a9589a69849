"""How often a run that stops early decides wrongly, and how many cases it saves: ours, and the naive ways it replaces.

    python benchmarks/stopping_simulation.py [--simulations 400] [--seed 0]

The truth is the value that the rule asks about, so that whatever is decided is wrong one way: by construction a test at
`alpha` = 0.05 may pass in 2.5 % and fail in 2.5 % of runs. Ours looks after every case, the naive ones after every 50:
a fixed-size interval, asked again and again. Exits with 1 if ours is wrong more often than that plus three Monte Carlo
standard errors.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from themis.pure.stats import bonett_price_interval, estimate_mean, wilson_interval
from themis.pure.stats.sequence_units import Unit, unit_of
from themis.pure.stats.sequential import Evidence, run_test

ALPHA, CASES, EVERY = 0.05, 1000, 50

Column = list[float]
Decide = Callable[[Column], tuple[str, int]]


class Row(NamedTuple):
    """One way to decide in one setting: how often it passes and fails, and after how many cases on average."""

    setting: str
    method: str
    ours: bool
    passes: float
    fails: float
    cases: float
    simulations: int
    at_the_value: bool = True


def allowed(simulations: int) -> float:
    """Return the largest share of wrong decisions on one side that half of alpha could show."""
    half = ALPHA / 2.0
    return half + 3.0 * math.sqrt(half * (1.0 - half) / simulations)


def sequential(
    value: float,
    score_range: tuple[float, float] = (0.0, 1.0),
    sizes: Sequence[int] | None = None,
    *,
    finite: bool = False,
) -> Decide:
    """Return ours, which looks after every case, or cluster."""
    low, high = score_range
    largest = max(sizes or (1,))

    def decide(scores: Column) -> tuple[str, int]:
        places = [(score - low) / (high - low) for score in scores]
        evidence = Evidence(">=", value, score_range, ALPHA, float(len(scores)) if finite else None)
        if sizes is None:
            return run_test(((Unit(place, place), 1) for place in places), evidence, 1)
        ends = iter(places)
        units = (([next(ends) for _ in range(size)], size) for size in sizes)
        return run_test(
            ((unit_of([(place, place) for place in held], largest), size) for held, size in units), evidence, 1
        )

    return decide


def peeking(interval: Callable[[Column], tuple[float | None, float | None]], value: float) -> Decide:
    """Return what looks at a fixed-size interval after every 50 cases."""

    def decide(scores: Column) -> tuple[str, int]:
        for seen in range(EVERY, len(scores) + 1, EVERY):
            low, high = interval(scores[:seen])
            if low is not None and low >= value:
                return "passes", seen
            if high is not None and high < value:
                return "fails", seen
        return "undecided", len(scores)

    return decide


def wilson(scores: Column) -> tuple[float | None, float | None]:
    """Return Wilson's interval of 0/1 scores."""
    found = wilson_interval(sum(scores) / len(scores), len(scores))
    return found.low, found.high


def paired(scores: Column) -> tuple[float | None, float | None]:
    """Return the Bonett-Price interval of paired differences of 0/1 scores."""
    found = bonett_price_interval(scores.count(1.0), scores.count(-1.0), len(scores))
    return found.low, found.high


def plain_t(scores: Column) -> tuple[float | None, float | None]:
    """Return Student's interval."""
    found = estimate_mean(scores).interval
    return found.low, found.high


def simulated(
    setting: str,
    draw: Callable[[random.Random], Column],
    methods: Sequence[tuple[str, bool, Decide]],
    simulations: int,
    seed: int,
    *,
    at_the_value: bool = True,
) -> Iterator[Row]:
    """Count what each method decides about the same scores."""
    rng = random.Random(f"{seed}/{setting}")
    found: list[list[tuple[str, int]]] = [[] for _ in methods]
    for _ in range(simulations):
        scores = draw(rng)
        for (_, _, decide), taken in zip(methods, found, strict=True):
            taken.append(decide(scores))
    for (name, ours, _), taken in zip(methods, found, strict=True):
        decisions = [decision for decision, _ in taken]
        passes, fails = (decisions.count(each) / simulations for each in ("passes", "fails"))
        cases = sum(cases for _, cases in taken) / simulations
        yield Row(setting, name, ours, passes, fails, cases, simulations, at_the_value)


def rows(simulations: int, seed: int) -> Iterator[Row]:
    """Yield every row of the table."""
    for share in (0.05, 0.3, 0.5, 0.8, 0.95):
        methods = [("betting", True, sequential(share)), ("Wilson, peeking", False, peeking(wilson, share))]
        yield from simulated(
            f"pass rate {share:g}, value {share:g}",
            lambda rng, share=share: [float(rng.random() < share) for _ in range(CASES)],  # type: ignore[misc]  # bound now
            methods,
            simulations,
            seed,
        )
    yield from simulated(
        "graded, mean 2/3, value 2/3",
        lambda rng: [rng.betavariate(2, 1) for _ in range(CASES)],
        [("betting", True, sequential(2 / 3)), ("t, peeking", False, peeking(plain_t, 2 / 3))],
        simulations // 4,
        seed,
    )
    for up, down in ((0.08, 0.1), (0.0, 0.02)):
        yield from simulated(
            f"difference -0.02 (+{up:g} -{down:g}), value -0.02",
            lambda rng, up=up, down=down: rng.choices((1.0, -1.0, 0.0), (up, down, 1 - up - down), k=CASES),  # type: ignore[misc]
            [
                ("betting", True, sequential(-0.02, (-1.0, 1.0))),
                ("Bonett-Price, peeking", False, peeking(paired, -0.02)),
            ],
            simulations,
            seed,
        )
    sizes = [1 + 8 * (cluster % 10 == 0) for cluster in range(500)]
    yield from simulated(
        "clusters of 1 and 9, mean 0.5, value 0.5",
        lambda rng: _clustered(rng, sizes),
        [("betting, by cluster", True, sequential(0.5, sizes=sizes)), ("Wilson, peeking", False, peeking(wilson, 0.5))],
        simulations,
        seed,
    )
    yield from simulated(
        "these 1,000 cases, 800 right, value 0.8",
        lambda rng: rng.sample([1.0] * 800 + [0.0] * 200, CASES),
        [("betting, without replacement", True, sequential(0.8, finite=True))],
        simulations,
        seed,
    )
    for share, value in ((0.9, 0.8), (0.85, 0.8), (0.7, 0.8), (0.8, 0.5)):
        yield from simulated(
            f"pass rate {share:g}, value {value:g}",
            lambda rng, share=share: [float(rng.random() < share) for _ in range(CASES)],  # type: ignore[misc]
            [
                ("betting", True, sequential(value)),
                ("betting, without replacement", True, sequential(value, finite=True)),
            ],
            simulations // 2,
            seed,
            at_the_value=False,
        )


def _clustered(rng: random.Random, sizes: Sequence[int]) -> Column:
    return [score for size in sizes for score in [float(rng.random() < 0.5)] * size]


def main() -> int:
    """Run, print, and say by the exit code whether the promise is kept."""
    parser = argparse.ArgumentParser(description="Errors and savings of runs that stop early.")
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'setting':<46} {'method':<30} {'passes':>7} {'fails':>7} {'cases of 1,000':>15}")
    print("-" * 109)
    broken = False
    for row in rows(options.simulations, options.seed):
        wrong = max(row.passes, row.fails)
        is_wrong = row.ours and row.at_the_value and wrong > allowed(row.simulations)
        broken |= is_wrong
        verdict = "  BROKEN PROMISE" if is_wrong else ""
        print(f"{row.setting:<46} {row.method:<30} {row.passes:>7.3f} {row.fails:>7.3f} {row.cases:>15,.0f}{verdict}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
