"""How often nominal 95 % intervals of statistics that are no means hold the truth.

    python benchmarks/coverage_of_statistics.py [--simulations 1000] [--seed 0]

Prints one table: paired bootstraps, differences of pass@k, strengths from pairwise judgments, ranks, the intraclass
correlation, effect sizes, correlations, and exact bounds, whose coverage is computed and not drawn. Exits with 1 if one
leaves 92 to 98 % where that is promised, by more than twice its error; exact bounds and ranks cover at least 95 %.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from themis import stats
from themis.pure.stats.distributions import binomial_pmf
from themis.pure.stats.records import Interval

LOW, HIGH = 0.92, 0.98
COEFFICIENTS: tuple[Any, ...] = ("pearson", "spearman", "kendall")


class Row(NamedTuple):
    """One interval method in one setting."""

    setting: str
    method: str
    coverage: float
    error: float
    low: float = LOW
    high: float = HIGH
    promised: bool = True

    @property
    def verdict(self) -> str:
        """Whether coverage is what is promised."""
        if self.low - 2.0 * self.error - 1e-9 <= self.coverage <= self.high + 2.0 * self.error + 1e-9:
            return "ok"
        return "BROKEN PROMISE" if self.promised else "too short" if self.coverage < self.low else "too wide"


def simulated(
    setting: str, method: str, simulations: int, holds: Callable[[int], bool], *, promised: bool = True
) -> Row:
    """Count how often an interval holds the truth."""
    share = sum(map(holds, range(simulations))) / simulations
    return Row(setting, method, share, math.sqrt(share * (1.0 - share) / simulations), promised=promised)


def bootstraps(simulations: int, seed: int) -> Iterator[Row]:
    """Latencies of two runs: log-normal, alike by case; the second takes 0.9 of the first's time."""
    truths: dict[tuple[str, str], float] = {
        ("median", "difference"): -0.1,
        ("median", "ratio"): 0.9,
        ("mean", "difference"): -0.1 * math.exp((0.8**2 + 0.5**2) / 2.0),
        ("mean", "ratio"): 0.9,
        ("p90", "ratio"): 0.9,
    }
    for (statistic, contrast), truth in truths.items():
        for size in (30, 100):
            for method in ("bca", "studentised") if statistic == "mean" else ("bca",):
                rng = random.Random(f"{seed}/{statistic}/{contrast}/{size}")

                def holds(
                    number: int,
                    rng: random.Random = rng,
                    size: int = size,
                    words: tuple[Any, Any, Any] = (statistic, contrast, method),
                    truth: float = truth,
                ) -> bool:
                    shared = [rng.gauss(0.0, 0.8) for _ in range(size)]
                    a, b = (
                        [(str(i), scale * math.exp(x + rng.gauss(0.0, 0.5))) for i, x in enumerate(shared)]
                        for scale in (1.0, 0.9)
                    )
                    of = stats.Quantile(0.9) if words[0] == "p90" else words[0]
                    found = stats.paired_statistic(
                        a, b, of, contrast=words[1], method=words[2], resamples=999, seed=number
                    )
                    return found.interval.contains(truth)

                names = {"bca": "BCa", "studentised": "studentised"}
                # Nothing holds 95 % of means of log-normal values, nor of a quantile with three cases beyond it.
                promised = statistic == "median" or (size == 100 and contrast == "ratio")
                setting = f"latency, {contrast} of {statistic}s, n = {size}"
                yield simulated(setting, names[method], simulations, holds, promised=promised)


def clustered_bootstraps(simulations: int, seed: int) -> Iterator[Row]:
    """Medians of graded differences in 30 clusters of 2 to 8 cases."""
    rng = random.Random(f"{seed}/clusters")
    keys = [cluster for cluster in range(30) for _ in range(2 + cluster % 7)]
    clusters = {str(case): str(key) for case, key in enumerate(keys)}

    def holds(number: int) -> bool:
        shared = [rng.gauss(0.3, 0.5) for _ in range(30)]
        a = [rng.gauss(0.0, 1.0) for _ in keys]
        b = [x + shared[key] + rng.gauss(0.0, 0.5) for x, key in zip(a, keys, strict=True)]
        rows = [[(str(i), value) for i, value in enumerate(side)] for side in (a, b)]
        found = stats.paired_statistic(
            rows[0], rows[1], "median", contrast="of_differences", clusters=clusters, resamples=999, seed=number
        )
        return found.interval.contains(0.3)

    yield simulated("median of differences, 30 clusters", "BCa over clusters", simulations, holds)


def pass_differences(simulations: int, seed: int) -> Iterator[Row]:
    """pass@5 of two runs with 10 samples of a problem."""
    for size in (20, 50, 164):
        rng = random.Random(f"{seed}/pass/{size}")
        truth = _pass_truth(random.Random(seed))

        def holds(_: int, rng: random.Random = rng, size: int = size, truth: float = truth) -> bool:
            problems: list[dict[str, tuple[int, int]]] = [{}, {}]
            for problem in range(size):
                chance = rng.betavariate(0.6, 0.9)
                for run, rate in enumerate((chance, chance**0.8)):
                    problems[run][str(problem)] = (10, sum(rng.random() < rate for _ in range(10)))
            return stats.compare_pass_at_k(problems[0], problems[1], 5).interval.contains(truth)

        yield simulated(f"pass@5 difference, {size} problems", "paired t", simulations, holds)


def _pass_truth(rng: random.Random) -> float:
    draws = [rng.betavariate(0.6, 0.9) for _ in range(200_000)]
    return math.fsum((1.0 - p) ** 5 - (1.0 - p**0.8) ** 5 for p in draws) / len(draws)


STRENGTHS = {"a": 0.8, "b": 0.2, "c": -0.3, "d": -0.7}


def judged(
    rng: random.Random, cases: int, strengths: dict[str, float], tie: float | None, spread: float
) -> tuple[list[Any], list[int]]:
    """Draw the judgments of all pairs of models on some cases, on each of which their strengths are their own."""
    rows: list[Any] = []
    keys = []
    names = sorted(strengths)
    for case in range(cases):
        own = {name: strengths[name] + rng.gauss(0.0, spread) for name in names}
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                first, second = (one, other) if rng.random() < 0.5 else (other, one)
                weights = [math.exp(own[first]), math.exp(own[second])]
                weights.append(0.0 if tie is None else math.exp(tie + (own[first] + own[second]) / 2.0))
                rows.append((first, second, rng.choices(("first", "second", "tie"), weights)[0]))
                keys.append(case)
    return rows, keys


def strengths(simulations: int, seed: int) -> Iterator[Row]:
    """Differences of Bradley-Terry strengths of four models, all six at a time."""
    for cases, tie, spread in ((50, None, 0.0), (50, -0.5, 0.0), (50, -0.5, 1.0)):
        rng = random.Random(f"{seed}/judged/{cases}/{tie}/{spread}")
        truth = {(one, other): STRENGTHS[other] - STRENGTHS[one] for one in STRENGTHS for other in STRENGTHS}
        if spread:  # then the model does not hold, and what it tends to is the truth
            large = stats.bradley_terry(judged(random.Random(seed), 20_000, STRENGTHS, tie, spread)[0])
            truth = {(each.name_a, each.name_b): each.difference or 0.0 for each in large.differences}
        hits = {"over cases": 0, "judgments as independent (naive)": 0}
        count = 0
        for _ in range(simulations):
            rows, keys = judged(rng, cases, STRENGTHS, tie, spread)
            for name, clusters in (("over cases", keys), ("judgments as independent (naive)", None)):
                for each in stats.bradley_terry(rows, clusters=clusters).differences:
                    hits[name] += each.interval.contains(truth[each.name_a, each.name_b])
                    count += name == "over cases"
        for name, found in hits.items():
            share = found / count
            setting = (
                f"strengths, {cases} cases{', ties' if tie is not None else ''}{', unlike cases' if spread else ''}"
            )
            error = math.sqrt(share * (1.0 - share) / simulations)  # the six of a simulation are not independent
            yield Row(setting, f"Bradley-Terry, {name}", share, error, promised="naive" not in name)


def ranks(simulations: int, seed: int) -> Iterator[Row]:
    """All ranks of five runs at once: a lower bound is promised."""
    rates = (0.8, 0.75, 0.75, 0.6, 0.4)
    best, worst = (1, 2, 2, 4, 5), (1, 3, 3, 4, 5)
    rng = random.Random(f"{seed}/ranks")

    def holds(_: int) -> bool:
        table = {
            f"r{run}": [(str(i), float(rng.random() < rate)) for i in range(100)] for run, rate in enumerate(rates)
        }
        found = {each.name: each for each in stats.rank_runs(table).ranks}
        return all(found[f"r{run}"].best <= best[run] and found[f"r{run}"].worst >= worst[run] for run in range(5))

    yield simulated("all ranks of 5 runs, 100 cases", "pairwise tests, Holm", simulations, holds)._replace(
        low=0.95, high=1.0
    )


def likeness(simulations: int, seed: int) -> Iterator[Row]:
    """The intraclass correlation, 0.3, of graded and of 0/1 scores."""
    for kind, count, size in (("normal", 20, 10), ("normal", 50, 4), ("0/1, mean 0.65", 50, 10), ("skewed", 100, 5)):
        keys = [cluster for cluster in range(count) for _ in range(size)]
        for method in ("jackknife", "f"):
            rng = random.Random(f"{seed}/{kind}/{count}")

            def holds(
                _: int, rng: random.Random = rng, kind: str = kind, keys: Sequence[int] = keys, method: Any = method
            ) -> bool:
                found = stats.intraclass_correlation(_alike(rng, kind, keys), keys, method=method)
                return found.interval.contains(0.3)

            promised = kind == "normal" or (method == "jackknife" and kind != "skewed")
            setting = f"ICC 0.3, {kind}, {count} clusters of {size}"
            yield simulated(setting, method, simulations, holds, promised=promised)


def _alike(rng: random.Random, kind: str, keys: Sequence[int]) -> list[float]:
    count = max(keys) + 1
    if kind.startswith("0/1"):
        chances = [rng.betavariate(0.65 * 7.0 / 3.0, 0.35 * 7.0 / 3.0) for _ in range(count)]
        return [float(rng.random() < chances[key]) for key in keys]

    def draw() -> float:
        return rng.expovariate(1.0) - 1.0 if kind == "skewed" else rng.gauss(0.0, 1.0)

    middles = [math.sqrt(0.3) * draw() for _ in range(count)]
    return [middles[key] + math.sqrt(0.7) * draw() for key in keys]


def effects_and_correlations(simulations: int, seed: int) -> Iterator[Row]:
    """Cohen's d and h, Cliff's delta, and correlations of grades from 1 to 5, of 40 or 100 pairs."""
    rng = random.Random(f"{seed}/effects")

    def graded(size: int, rng: random.Random) -> tuple[list[float], list[float]]:
        a, b = [], []
        for _ in range(size):
            x = rng.gauss(0.0, 1.0)
            a.append(float(min(5, max(1, round(3.0 + x)))))
            b.append(float(min(5, max(1, round(3.3 + 0.6 * x + 0.8 * rng.gauss(0.0, 1.0))))))
        return a, b

    a, b = graded(60_000, random.Random(seed))
    truth = {coefficient: stats.correlation(a, b, coefficient=coefficient).value or 0.0 for coefficient in COEFFICIENTS}
    truth["delta"] = stats.cliff_delta(a, b).value or 0.0
    for coefficient in COEFFICIENTS:

        def correlated(_: int, coefficient: Any = coefficient) -> bool:
            found = stats.correlation(*graded(40, rng), coefficient=coefficient)
            return found.interval.contains(truth[coefficient])

        yield simulated(f"{coefficient.title()}, grades, n = 40", "Fisher z, linearised", simulations, correlated)
    yield simulated(
        "Cliff's delta, grades, n = 40",
        "U statistic, Fisher z",
        simulations,
        lambda _: stats.cliff_delta(*graded(40, rng)).interval.contains(truth["delta"]),
    )

    def standardised(_: int) -> bool:
        x = [rng.gauss(0.0, 1.0) for _ in range(40)]
        y = [value + rng.gauss(0.5, 1.0) for value in x]
        return stats.cohen_d(x, y).interval.contains(0.5)

    yield simulated("Cohen's d 0.5, n = 40", "noncentral t", simulations, standardised)

    def angles(_: int) -> bool:
        pairs = [(rng.random(), rng.random()) for _ in range(100)]
        x = [float(u < 0.6) for u, _ in pairs]
        y = [float(u < 0.6 or v < 0.4) for u, v in pairs]
        return stats.cohen_h(x, y).interval.contains(2.0 * (math.asin(math.sqrt(0.76)) - math.asin(math.sqrt(0.6))))

    yield simulated("Cohen's h, 0.60 and 0.76, n = 100", "linearised arcsine", simulations, angles)


def exact_bounds() -> Iterator[Row]:
    """Clopper and Pearson's bounds: the coverage, summed over all outcomes."""
    for side in ("both", "upper"):
        for size, rate in ((20, 0.02), (20, 0.5), (100, 0.01), (100, 0.9)):
            intervals: list[Interval] = [stats.exact_interval(hits, size, side=side) for hits in range(size + 1)]
            share = math.fsum(
                binomial_pmf(hits, size, rate) for hits, each in enumerate(intervals) if each.contains(rate)
            )
            method = f"Clopper-Pearson, {'both ends' if side == 'both' else 'upper bound'}"
            yield Row(f"pass rate {rate:.2f}, n = {size}", method, share, 0.0, 0.95, 1.0)


def coverage_rows(simulations: int, seed: int) -> Iterator[Row]:
    """Yield every row of the table."""
    yield from exact_bounds()
    for each in (
        bootstraps,
        clustered_bootstraps,
        pass_differences,
        strengths,
        ranks,
        likeness,
        effects_and_correlations,
    ):
        yield from each(simulations, seed)


def main() -> int:
    """Run, print, and say by the exit code whether the promise is kept."""
    parser = argparse.ArgumentParser(description="Coverage of 95 % intervals of statistics that are no means.")
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'setting':<42} {'method':<48} {'coverage':>8} {'+-':>6}")
    broken = False
    for row in coverage_rows(options.simulations, options.seed):
        error = f"{row.error:.3f}" if row.error else "exact"
        print(f"{row.setting:<42} {row.method:<48} {row.coverage:>8.3f} {error:>6}  {row.verdict}", flush=True)
        broken |= row.verdict == "BROKEN PROMISE"
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
