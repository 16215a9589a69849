"""How often nominal 95 % intervals hold the truth: ours, and the naive ones they replace.

    make coverage-table, or python benchmarks/coverage_simulation.py [--simulations 4000] [--seed 0]

Prints a table of coverages, one of the equivalence test's level, and one of the power at the difference that is said
to be detectable. Counts are exact (every outcome weighted by its probability); the rest is simulated from the seed.
Exits with 1 if one of our intervals leaves 92 to 98 % where that is promised: not where ours is too wide rather than
too narrow, as for a handful of disagreements in 100 pairs and for chances close to 1, nor for means of small
heavy-tailed samples, where no method holds 95 %; or if the equivalence test exceeds the 5 % that is claimed, by more
than two Monte Carlo errors where it is simulated; or if a stated power of 80 % is off by more than two points.

To add a setting, write a function that yields its rows and put it into `SETTINGS`.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from themis.pure.stats.distributions import binomial_pmf
from themis.pure.stats.intervals import CONTINUITY, tango_score
from themis.stats import (
    Interval,
    PairedComparison,
    PairedDesign,
    bonett_price_interval,
    describe_skewed,
    equivalence,
    estimate_mean,
    estimate_pass_at_k,
    mcnemar_detectable_effect,
    mcnemar_test,
    paired_compare,
    pass_at_k,
    sign_flip_test,
    t_interval,
    wilson_interval,
)

LOW, HIGH = 0.92, 0.98
Z = 1.959963984540054
Z_90 = 1.6448536269514722
MOST_EQUIVALENT = 0.05
"""How often equivalence may be found at the margin."""
MOST_CLUSTERED = 0.062
"""The same for pairs in 20 clusters, which are simulated: two Monte Carlo errors of 1,000 to 2,000 simulations more."""
POWER_ERROR = 0.02
"""How far a power may be from the 0.8 that is stated."""


class Row(NamedTuple):
    """One interval method in one setting."""

    setting: str
    method: str
    ours: bool
    promised: bool
    coverage: float
    error: float

    @property
    def verdict(self) -> str:
        """Whether coverage lies within 92 to 98 %."""
        if LOW <= self.coverage <= HIGH:
            return "ok"
        if self.ours and self.promised:
            return "BROKEN PROMISE"
        return "too narrow: fails" if self.coverage < LOW else "too wide"


def wald(proportion: float, size: float) -> tuple[float, float]:
    """Return the textbook interval that has no width when all agree."""
    half = Z * math.sqrt(proportion * (1 - proportion) / size)
    return proportion - half, proportion + half


def holds(ends: tuple[float, float] | Interval, truth: float) -> bool:
    """Whether the interval contains the truth; an undefined one does not."""
    if isinstance(ends, Interval):
        return ends.contains(truth)
    return ends[0] <= truth <= ends[1]


def pass_rates(simulations: int, seed: int) -> Iterator[Row]:
    """20 independent 0/1 scores; exact."""
    size = 20
    methods: list[tuple[str, bool, Callable[[float], Interval | tuple[float, float]]]] = [
        ("Wilson", True, lambda p: wilson_interval(p, size)),
        ("Wald (naive)", False, lambda p: wald(p, size)),
    ]
    for truth in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98):
        for name, ours, interval in methods:
            coverage = exact_coverage(interval, truth, size)
            yield Row(f"pass rate {truth:.2f}, n = 20", name, ours, True, coverage, 0.0)


def exact_coverage(interval: Callable[[float], Interval | tuple[float, float]], truth: float, size: int) -> float:
    """Return how often an interval holds a pass rate, over all outcomes of so many scores."""
    return math.fsum(binomial_pmf(ones, size, truth) for ones in range(size + 1) if holds(interval(ones / size), truth))


def paired_differences(simulations: int, seed: int) -> Iterator[Row]:
    """100 paired 0/1 scores; exact over all outcomes."""
    size = 100
    for up, down in ((0.02, 0.01), (0.05, 0.05), (0.10, 0.05), (0.20, 0.10), (0.30, 0.05), (0.25, 0.25)):
        truth = up - down
        ours = naive = unpaired = 0.0
        for wins, losses, chance in outcomes(size, up, down):
            ours += chance * holds(bonett_price_interval(wins, losses, size), truth)
            difference = (wins - losses) / size
            spread = math.sqrt((wins + losses) / size - difference**2) / math.sqrt(size)
            naive += chance * holds((difference - Z * spread, difference + Z * spread), truth)
            # As if the two pass rates, here around 0.7, came from different cases.
            wide = Z * math.sqrt(2 * 0.7 * 0.3 / size)
            unpaired += chance * holds((difference - wide, difference + wide), truth)
        setting = f"paired 0/1, n = 100, +{up:.2f} -{down:.2f}"
        promised = (up + down) * size >= 5
        yield Row(setting, "Bonett-Price", True, promised, ours, 0.0)
        yield Row(setting, "paired Wald (naive)", False, True, naive, 0.0)
        yield Row(setting, "unpaired Wald (naive)", False, True, unpaired, 0.0)


class Level(NamedTuple):
    """How often two runs are called equivalent whose true difference is the margin: nominally in 5 %."""

    setting: str
    ours: float
    wald: float


def equivalence_levels() -> Iterator[Level]:
    """Paired 0/1 scores that differ by the margin; exact over all outcomes."""
    for size, margin, down in (
        (50, 0.1, 0.0),
        (50, 0.1, 0.05),
        (100, 0.05, 0.0),
        (100, 0.05, 0.02),
        (100, 0.1, 0.0),
        (100, 0.1, 0.1),
        (200, 0.05, 0.0),
        (200, 0.05, 0.05),
        (200, 0.1, 0.2),
    ):
        up, ours, wald_level = down + margin, 0.0, 0.0
        for wins, losses, chance in outcomes(size, up, down):
            above = tango_score(wins, losses, size, -margin, CONTINUITY) >= Z_90
            ours += chance * (above and tango_score(wins, losses, size, margin, CONTINUITY) <= -Z_90)
            difference = (wins - losses) / size
            half = Z_90 * math.sqrt(((wins + losses) / size - difference**2) / size)
            wald_level += chance * (-margin <= difference - half and difference + half <= margin)
        yield Level(f"n = {size}, margin {margin:.2f}, +{up:.2f} -{down:.2f}", ours, wald_level)


def outcomes(size: int, up: float, down: float) -> Iterator[tuple[int, int, float]]:
    """Yield wins, losses and their probability, of so many pairs of which these shares are won and lost."""
    for wins in range(size + 1):
        for losses in range(size + 1 - wins):
            chance = multinomial((wins, losses, size - wins - losses), (up, down, 1 - up - down))
            if chance > 1e-12:
                yield wins, losses, chance


def multinomial(counts: Sequence[int], chances: Sequence[float]) -> float:
    """Return the probability of the counts."""
    log = math.lgamma(sum(counts) + 1) - math.fsum(math.lgamma(count + 1) for count in counts)
    return math.exp(
        log + math.fsum(n * math.log(p) if p else -math.inf for n, p in zip(counts, chances, strict=True) if n)
    )


def simulated(
    setting: str,
    truth: float,
    simulations: int,
    draw: Callable[[], Sequence[tuple[str, bool, Interval]]],
    *,
    promised: bool,
) -> Iterator[Row]:
    """Count how often each method's interval holds the truth."""
    hits: dict[tuple[str, bool], int] = {}
    for _ in range(simulations):
        for name, ours, interval in draw():
            hits[name, ours] = hits.get((name, ours), 0) + holds(interval, truth)
    for (name, ours), count in hits.items():
        coverage = count / simulations
        error = math.sqrt(coverage * (1 - coverage) / simulations)
        yield Row(setting, name, ours, promised, coverage, error)


def clustered_scores(simulations: int, seed: int) -> Iterator[Row]:
    """20 clusters of 0/1 scores at mean 0.65, alike within clusters to several degrees."""
    for sizes, correlation in (([5], 0.1), ([10], 0.3), ([10], 0.6), ([50], 0.3), ([3, 8, 13, 16], 0.3)):
        rng = random.Random(f"{seed}/{sizes}/{correlation}")
        keys = [cluster for cluster in range(20) for _ in range(sizes[cluster % len(sizes)])]

        def draw(
            rng: random.Random = rng, rho: float = correlation, keys: list[int] = keys
        ) -> Sequence[tuple[str, bool, Interval]]:
            # A beta-binomial with this mean and intra-cluster correlation.
            strength = 1 / rho - 1
            chances = [rng.betavariate(0.65 * strength, 0.35 * strength) for _ in range(20)]
            scores = [float(rng.random() < chances[cluster]) for cluster in keys]
            estimate = estimate_mean(scores, clusters=keys)
            assert estimate.naive_interval is not None
            return [
                ("clustered Wilson (CR2)", True, estimate.interval),
                ("Wilson, clusters ignored (naive)", False, estimate.naive_interval),
            ]

        size = f"{min(sizes)} to {max(sizes)}" if len(sizes) > 1 else f"{sizes[0]}"
        setting = f"20 clusters of {size}, mean 0.65, ICC {correlation}"
        yield from simulated(setting, 0.65, simulations, draw, promised=True)


def clustered_comparison(simulations: int, seed: int) -> Iterator[Row]:
    """200 cases in 20 clusters, whose differences are alike within clusters."""
    rng = random.Random(f"{seed}/pairs")
    clusters = {f"c{case}": f"g{case // 10}" for case in range(200)}

    def draw() -> Sequence[tuple[str, bool, Interval]]:
        effects = [rng.gauss(0.05, 0.2) for _ in range(20)]
        a = [rng.random() for _ in range(200)]
        b = [score + effects[case // 10] + rng.gauss(0, 0.2) for case, score in enumerate(a)]
        compared = paired_compare(
            [(f"c{case}", score) for case, score in enumerate(a)],
            [(f"c{case}", score) for case, score in enumerate(b)],
            clusters=clusters,
        )
        assert compared.naive_interval is not None
        return [
            ("paired clustered t (CR2)", True, compared.interval),
            ("paired t, clusters ignored (naive)", False, compared.naive_interval),
        ]

    yield from simulated("paired graded, 20 clusters of 10", 0.05, simulations // 8, draw, promised=True)


ONE_LARGE = [100] + [5] * 19
"""The sizes of 20 clusters of which one is large."""


def unequal_clusters(simulations: int, seed: int) -> Iterator[Row]:
    """20 clusters, one of 100 values and 19 of 5: 0/1 and graded scores, alike within clusters."""
    keys = [cluster for cluster, size in enumerate(ONE_LARGE) for _ in range(size)]
    for correlation in (0.05, 0.3):
        rng = random.Random(f"{seed}/unequal/{correlation}")

        def binary(rng: random.Random = rng, rho: float = correlation) -> list[float]:
            strength = 1 / rho - 1
            chances = [rng.betavariate(0.65 * strength, 0.35 * strength) for _ in ONE_LARGE]
            return [float(rng.random() < chances[cluster]) for cluster in keys]

        def graded(rng: random.Random = rng, rho: float = correlation) -> list[float]:
            effects = [rng.gauss(0.65, math.sqrt(rho)) for _ in ONE_LARGE]
            return [rng.gauss(effects[cluster], math.sqrt(1 - rho)) for cluster in keys]

        for kind, method, scores in (("0/1", "Wilson", binary), ("graded", "t", graded)):

            def draw(
                method: str = method, scores: Callable[[], list[float]] = scores
            ) -> Sequence[tuple[str, bool, Interval]]:
                drawn = scores()
                old = estimate_mean(drawn, clusters=keys, correction="CR1")
                return [
                    (f"clustered {method} (CR2)", True, estimate_mean(drawn, clusters=keys).interval),
                    (f"clustered {method} (CR1, naive)", False, old.interval),
                ]

            setting = f"20 clusters, one of 100, {kind}, ICC {correlation}"
            yield from simulated(setting, 0.65, simulations // 2, draw, promised=correlation > 0.1)


WON, LOST = (0.0, 1.0), (1.0, 0.0)
TIED = ((0.0, 0.0), (1.0, 1.0))


def drawn_pairs(
    rng: random.Random, keys: Sequence[int], correlation: float, difference: float = 0.05
) -> list[tuple[float, float]]:
    """Draw pairs of 0/1 scores in clusters: a quarter differs, and the shares that differ and are won are alike."""
    strength, won = 1 / correlation - 1, (1 + difference / 0.25) / 2
    shares = [
        (rng.betavariate(0.25 * strength, 0.75 * strength), rng.betavariate(won * strength, (1 - won) * strength))
        for _ in range(max(keys) + 1)
    ]
    pairs = []
    for differing, up in (shares[cluster] for cluster in keys):
        differs = rng.random() < differing
        pairs.append((WON if rng.random() < up else LOST) if differs else rng.choice(TIED))
    return pairs


def compared_pairs(pairs: Sequence[tuple[float, float]], keys: Sequence[int]) -> PairedComparison:
    """Compare the two runs of the pairs, in clusters."""
    cases = [f"c{place}" for place in range(len(pairs))]
    a, b = ([(case, pair[side]) for case, pair in zip(cases, pairs, strict=True)] for side in (0, 1))
    return paired_compare(a, b, clusters={case: f"g{key}" for case, key in zip(cases, keys, strict=True)})


CLUSTERED = (
    ("100 clusters of one", [1] * 100),
    ("20 clusters of 5", [5] * 20),
    ("20 clusters of 20", [20] * 20),
    ("20 clusters, one of 100", ONE_LARGE),
)


def clustered_pairs(simulations: int, seed: int) -> Iterator[Row]:
    """Pairs of 0/1 scores in clusters, within which wins and losses are alike."""
    for name, sizes in CLUSTERED:
        rng = random.Random(f"{seed}/clustered pairs/{name}")
        keys = [cluster for cluster, size in enumerate(sizes) for _ in range(size)]

        def draw(rng: random.Random = rng, keys: list[int] = keys) -> Sequence[tuple[str, bool, Interval]]:
            found = compared_pairs(drawn_pairs(rng, keys, 0.3), keys)
            assert found.naive_interval is not None
            return [
                ("clustered Bonett-Price (CR2)", True, found.interval),
                ("Bonett-Price, clusters ignored (naive)", False, found.naive_interval),
            ]

        yield from simulated(f"paired 0/1, {name}", 0.05, simulations // 4, draw, promised=True)


def several_samples(simulations: int, seed: int) -> Iterator[Row]:
    """pass@k of 20 problems with 10 samples each, whose chances of success come from beta distributions."""
    for shape in ((1.0, 1.0), (2.0, 1.0), (0.5, 0.5), (1.0, 3.0)):
        for k in (1, 5, 10):
            rng = random.Random(f"{seed}/pass@{k}/{shape}")
            truth = 1.0 - math.exp(log_beta(shape[0], shape[1] + k) - log_beta(*shape))

            def draw(
                rng: random.Random = rng, shape: tuple[float, float] = shape, k: int = k
            ) -> Sequence[tuple[str, bool, Interval]]:
                problems = []
                for _ in range(20):
                    chance = rng.betavariate(*shape)
                    problems.append((10, sum(rng.random() < chance for _ in range(10))))
                chances = [pass_at_k(n, c, k) or 0.0 for n, c in problems]
                spread = math.sqrt(math.fsum((x - math.fsum(chances) / 20) ** 2 for x in chances) / 19)
                plain = t_interval(math.fsum(chances) / 20, spread / math.sqrt(20), 19)
                return [
                    ("with a 0 and a 1 added", True, estimate_pass_at_k(problems, k).interval),
                    ("Student t (naive)", False, plain),
                ]

            setting = f"pass@{k} of 20 problems, beta{shape}"
            yield from simulated(setting, truth, simulations // 4, draw, promised=False)


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def skewed_means(simulations: int, seed: int) -> Iterator[Row]:
    """Latency-like values: log-normal with sigma 1."""
    truth = math.exp(0.5)
    for size in (30, 100):
        rng = random.Random(f"{seed}/skewed/{size}")

        def draw(rng: random.Random = rng, size: int = size) -> Sequence[tuple[str, bool, Interval]]:
            values = [rng.lognormvariate(0.0, 1.0) for _ in range(size)]
            return [
                ("studentised bootstrap", True, describe_skewed(values).mean_interval),
                ("Student t (naive)", False, estimate_mean(values).interval),
            ]

        yield from simulated(f"log-normal mean, n = {size}", truth, simulations // 8, draw, promised=False)


def medians(simulations: int, seed: int) -> Iterator[Row]:
    """The same values' median."""
    rng = random.Random(f"{seed}/median")

    def draw() -> Sequence[tuple[str, bool, Interval]]:
        values = [rng.lognormvariate(0.0, 1.0) for _ in range(50)]
        return [("order statistics", True, describe_skewed(values, resamples=1).median_interval)]

    yield from simulated("log-normal median, n = 50", 1.0, simulations, draw, promised=True)


def printed(rows: Sequence[Row]) -> None:
    """Print the table, ours and naive side by side in settings."""
    print(f"{'setting':<42} {'method':<36} {'coverage':>8} {'+-':>6}  92-98 %")
    print("-" * 104)
    for row in rows:
        error = f"{row.error:.3f}" if row.error else "exact"
        print(f"{row.setting:<42} {row.method:<36} {row.coverage:>8.3f} {error:>6}  {row.verdict}")
    worst = min((row for row in rows if not row.ours), key=lambda row: row.coverage)
    print("-" * 104)
    print(f"worst naive interval: {worst.coverage:.2f} ({worst.method}, {worst.setting})")
    places = [place / 1000 for place in range(500, 981)]
    every = [(exact_coverage(lambda share: wilson_interval(share, 20), place, 20), place) for place in places]
    low, at = min(every)
    outside = sum(not LOW <= coverage <= HIGH for coverage, _ in every)
    print(
        f"Wilson at n = 20 over every pass rate from 0.500 to 0.980: mean {math.fsum(c for c, _ in every) / 481:.3f}; "
        f"{outside} of 481 leave 92 to 98 % (counts jump), lowest {low:.3f} at {at:.3f}"
    )
    kept = [row for row in rows if row.ours and row.promised]
    low, high = min(row.coverage for row in kept), max(row.coverage for row in kept)
    print(f"ours where 92 to 98 % is promised: {low:.3f} to {high:.3f} over {len(kept)} settings")


SETTINGS: tuple[Callable[[int, int], Iterator[Row]], ...] = (
    pass_rates,
    paired_differences,
    clustered_scores,
    unequal_clusters,
    clustered_comparison,
    clustered_pairs,
    several_samples,
    medians,
    skewed_means,
)
"""What yields the rows of the table, given a number of simulations and a seed."""


def coverage_rows(simulations: int, seed: int) -> list[Row]:
    """Return every row of the table."""
    return [row for setting in SETTINGS for row in setting(simulations, seed)]


# --- the level of the equivalence test --------------------------------------------------------------------


def clustered_levels(simulations: int, seed: int) -> Iterator[Level]:
    """How often clustered pairs of 0/1 scores are called equivalent whose true difference is the margin of 0.15."""
    for name, sizes in CLUSTERED:
        rng = random.Random(f"{seed}/clustered equivalence/{name}")
        keys = [cluster for cluster, size in enumerate(sizes) for _ in range(size)]
        ours = naive = 0
        for _ in range(simulations):
            found = compared_pairs(drawn_pairs(rng, keys, 0.1, 0.15), keys)
            ours += bool(equivalence(found, margin=0.15).equivalent)
            if found.difference is not None and found.standard_error is not None:
                half = Z_90 * found.standard_error
                naive += found.difference - half >= -0.15 and found.difference + half <= 0.15
        yield Level(f"{name}, margin 0.15", ours / simulations, naive / simulations)


# --- the power at the detectable effect -------------------------------------------------------------------


class Stated(NamedTuple):
    """How often a difference is found of which it is said that it would be with 80 % power."""

    setting: str
    effect: float
    power: float


def stated_powers(simulations: int, seed: int) -> Iterator[Stated]:
    """McNemar's test, exact over all outcomes; sign flips, simulated."""
    for family in (1, 10):
        alpha = 0.05 / family
        for size, discordant in ((30, 0.3), (100, 0.1), (100, 0.3)):
            effect = mcnemar_detectable_effect(cases=size, discordant=discordant, alpha=alpha)
            assert effect is not None
            share, power = max(discordant, effect), 0.0
            up, down = (share + effect) / 2, (share - effect) / 2
            for wins, losses, chance in outcomes(size, up, down):
                if (mcnemar_test(wins, losses).p_value or 1.0) <= alpha:
                    power += chance
            setting = f"McNemar, {size} pairs, {share:.0%} differ, family of {family}"
            yield Stated(setting, effect, power)
        for size in (8, 12, 20):
            effect = PairedDesign(cases=size, between_variance=1.0, family=family).minimum_detectable_effect()
            if effect is None:
                continue  # too few pairs to find anything
            rng = random.Random(f"{seed}/power/{size}/{family}")
            drawn = ([rng.gauss(effect, 1.0) for _ in range(size)] for _ in range(simulations))
            found = sum((sign_flip_test(differences).p_value or 1.0) <= alpha for differences in drawn)
            yield Stated(f"sign flips, {size} normal pairs, family of {family}", effect, found / simulations)


def printed_levels(levels: Sequence[Level]) -> None:
    """Print how often TOST finds equivalence at its margin."""
    print("\nHow often TOST finds equivalence of 0/1 scores that differ by the margin (nominal 0.050)")
    for level in levels:
        print(f"{level.setting:<42} Tango {level.ours:.3f}   Wald (naive) {level.wald:.3f}")


def printed_powers(powers: Sequence[Stated]) -> None:
    """Print how often the difference is found that is said to be found in 80 %."""
    print("\nHow often the detectable difference is found (stated 0.800)")
    for stated in powers:
        print(f"{stated.setting:<56} difference {stated.effect:.4f}   power {stated.power:.3f}")


def main() -> int:
    """Run, print, and say by the exit code whether the promise is kept."""
    parser = argparse.ArgumentParser(description="Coverage of 95 % intervals.")
    parser.add_argument("--simulations", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = coverage_rows(options.simulations, options.seed)
    printed(rows)
    levels = [*equivalence_levels(), *clustered_levels(options.simulations, options.seed)]
    printed_levels(levels)
    powers = [*stated_powers(options.simulations, options.seed)]
    printed_powers(powers)
    most = (MOST_CLUSTERED if "clusters" in level.setting else MOST_EQUIVALENT for level in levels)
    broken = any(level.ours > limit for level, limit in zip(levels, most, strict=True))
    broken = broken or any(abs(stated.power - 0.8) > POWER_ERROR for stated in powers)
    return int(broken or any(row.verdict == "BROKEN PROMISE" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
