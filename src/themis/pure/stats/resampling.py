"""Resampling: bootstrap intervals and sign-flip permutation, from a seed.

The rule of the room: the same seed gives the same bits, with numpy or without. Three things make it so:

- indices are `int(u * n)` of the doubles of a Mersenne Twister, which `random.Random` and numpy draw alike;
- sums are taken over integers (fixed point), so no order of additions can change them;
- what is resampled is put in order first, so the order of rows does not matter either.

`int(u * n)` favours no index by more than n / 2^53.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from themis.pure.stats.arguments import Level, Resamples, Seed, checked_arguments, same_length
from themis.pure.stats.distributions import as_p_value, normal_cdf
from themis.pure.stats.intervals import hall_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Interval, SignificanceTest
from themis.pure.stats.samples import ClusteredSample, grouped, is_constant

if TYPE_CHECKING:
    import numpy as np

DEFAULT_RESAMPLES: Final = 1999
"""B + 1 is a multiple of 40, so that the 2.5 % and 97.5 % points are order statistics (Davison and Hinkley 1997)."""

_BOOTSTRAP_LIMIT: Final = 1000
"""Above this many values or clusters the default is Hall's formula: as accurate, and it draws nothing."""

_EXACT_FLIPS: Final = 26
"""Up to this many nonzero differences, all sign flips are counted (two halves of 2^13)."""

_FIXED_POINT_BITS: Final = 40
_NUMPY_CHUNK: Final = 1 << 20


def fixed_point(values: Sequence[float], bits: int = _FIXED_POINT_BITS) -> tuple[list[int], float]:
    """Return integers q and a unit with `values[i]` close to `q[i] * unit`, to 2^-bits of the largest value."""
    largest = max(map(abs, values), default=0.0)
    if largest == 0.0:
        return [0] * len(values), 1.0
    exponent = math.frexp(largest)[1] - bits
    return [round(math.ldexp(value, -exponent)) for value in values], math.ldexp(1.0, exponent)


# --- drawing with replacement -----------------------------------------------------------------------------


def resampled_sums(
    columns: Sequence[Sequence[int]], resamples: int, seed: int, *, vectorised: bool | None = None
) -> list[tuple[int, ...]]:
    """Draw rows with replacement and sum each column, `resamples` times over.

    Args:
        columns: integer columns of one length n, each below 2^62 / n in size.
        resamples: how many times n rows are drawn.
        seed: of the random stream.
        vectorised: with numpy or without; by default, with it if it is there. The result is the same.
    """
    found = numpy_chunks(len(columns[0]), resamples, seed, vectorised)
    if found is not None:
        numpy, chunks = found
        arrays = [numpy.array(column, dtype=numpy.int64) for column in columns]
        parts = ([array[rows].sum(axis=1).tolist() for array in arrays] for rows in chunks)
        return [sums for part in parts for sums in zip(*part, strict=True)]
    draw = resampled_rows(len(columns[0]), seed)
    picks = [column.__getitem__ for column in columns]
    sums = []
    for _ in range(resamples):
        rows = draw()
        sums.append(tuple(sum(map(pick, rows)) for pick in picks))
    return sums


def resampled_rows(size: int, seed: int) -> Callable[[], list[int]]:
    """Return a source of resamples: each call draws `size` row numbers from the one stream of `seed`."""
    draw = random.Random(seed).random  # noqa: S311  # statistics, not secrets
    return lambda: [int(draw() * size) for _ in range(size)]


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        return None
    return np


def _numpy_stream(numpy: Any, seed: int) -> np.random.Generator:
    # numpy's Mersenne Twister makes doubles as CPython does, from the same state.
    state = random.Random(seed).getstate()[1]  # noqa: S311  # statistics, not secrets
    bits = numpy.random.MT19937()
    words = {"key": numpy.array(state[:-1], dtype=numpy.uint32), "pos": state[-1]}
    bits.state = {"bit_generator": "MT19937", "state": words}
    generator: np.random.Generator = numpy.random.Generator(bits)
    return generator


def numpy_chunks(
    size: int, resamples: int, seed: int, vectorised: bool | None = None
) -> tuple[Any, Iterator[Any]] | None:
    """Return numpy and the row numbers of `resampled_rows`, many resamples at a time; `None` without numpy."""
    numpy = _numpy() if vectorised is None or vectorised else None
    if numpy is None:
        return None
    stream, chunk = _numpy_stream(numpy, seed), max(1, _NUMPY_CHUNK // size)
    counts = (min(chunk, resamples - start) for start in range(0, resamples, chunk))
    return numpy, ((stream.random((count, size)) * size).astype(numpy.int64) for count in counts)


# --- bootstrap intervals ----------------------------------------------------------------------------------


@checked_arguments
def percentile_bootstrap(
    rows: Sequence[Any],
    statistic: Callable[[Sequence[Any]], float | None],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
    resamples: Resamples = DEFAULT_RESAMPLES,
    seed: Seed = 0,
) -> Interval:
    """Return the percentile bootstrap interval of any statistic of rows.

    Args:
        rows: what the statistic is computed from, in any order: those with a `case_key` are put in its order, others in
            that of their text.
        statistic: a function of a list of rows; `None`, NaN or infinite where it is not defined for a resample.
        clusters: one key per row; clusters are then drawn whole.
        level: nominal coverage.
        resamples: how many resamples; the cost is this many calls of `statistic`.
        seed: of the random stream.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    >>> interval = percentile_bootstrap([1.0, 2.0, 4.0, 8.0, 9.0], max, seed=1)
    >>> interval.low, interval.high
    (4.0, 9.0)
    """
    same_length("percentile_bootstrap", rows=rows, clusters=clusters)
    method = f"percentile bootstrap (B={resamples})" + (" over clusters" if clusters is not None else "")
    groups = [sorted(group, key=_place) for group in grouped(rows, range(len(rows)) if clusters is None else clusters)]
    groups.sort(key=lambda group: [_place(row) for row in group])
    if len(groups) < 2:
        what = "one cluster" if clusters is not None and groups else f"{len(groups)} rows"
        return Interval(level=level, method=method, reason=f"{what}: nothing to resample; two are needed")
    draw = resampled_rows(len(groups), seed)
    outcomes = [statistic([row for index in draw() for row in groups[index]]) for _ in range(resamples)]
    defined = sorted(value for value in outcomes if value is not None and math.isfinite(value))
    if len(defined) < 0.95 * resamples:
        return Interval(
            level=level,
            method=method,
            reason=f"the statistic is not defined for {resamples - len(defined)} of {resamples} resamples",
        )
    if is_constant(defined):
        return Interval(level=level, method=method, reason="no variation: all resamples give the same value")
    low, high = percentiles(defined, level)
    return Interval(low=low, high=high, level=level, method=method)


def _place(row: Any) -> tuple[str, str]:
    """Return what rows are put in order by, so that their own order does not matter."""
    key = row.get("case_key") if isinstance(row, Mapping) else getattr(row, "case_key", None)
    text = repr(row)
    if " object at 0x" in text and hasattr(row, "__dict__"):  # an address, which is another one in every process
        text = repr(sorted(vars(row).items()))
    return str(key or ""), text


def percentiles(ordered: Sequence[float], level: float) -> tuple[float, float]:
    # Order statistics at (B + 1) p: Davison and Hinkley (1997), section 5.2.
    count, tail = len(ordered) + 1, (1.0 - level) / 2.0
    low = min(max(round(count * tail), 1), len(ordered))
    return ordered[low - 1], ordered[len(ordered) - low]


@checked_arguments
def studentised_bootstrap(
    sample: ClusteredSample,
    *,
    level: Level = DEFAULT_LEVEL,
    resamples: Resamples = DEFAULT_RESAMPLES,
    seed: Seed = 0,
    vectorised: bool | None = None,
) -> Interval:
    """Return the studentised bootstrap interval of a mean, clusters drawn whole.

    Independent values are clusters of one. Each resample's deviation is divided by its own standard error,
    which is what makes the interval follow a skewed distribution.

    Source: Efron and Tibshirani (1993), section 12.5; Davison and Hinkley (1997), section 5.2.2.
    """
    method = f"studentised bootstrap (B={resamples})"
    if sample.clusters < 2:
        return Interval(level=level, method=method, reason="fewer than two independent values")
    sums, units = list(sample.residual_sums), list(map(float, sample.cluster_sizes))
    if is_constant(sums, max(abs(sample.mean), *map(abs, sums))):
        return Interval(level=level, method=method, reason="no variation between the values")
    single = set(sample.cluster_sizes) == {1}
    products = [sums, [u * u for u in sums]]
    if not single:
        products += [units, [u * n for u, n in zip(sums, units, strict=True)], [n * n for n in units]]
    columns, scales = zip(*map(fixed_point, products), strict=True)
    draws = resampled_sums(columns, resamples, seed, vectorised=vectorised)
    clusters = sample.clusters
    ratios = sorted(
        ratio
        for draw in draws
        if (ratio := _studentised([q * s for q, s in zip(draw, scales, strict=True)], clusters)) is not None
    )
    if len(ratios) < 0.95 * resamples:
        return Interval(level=level, method=method, reason="too few distinct values: many resamples have no spread")
    low, high = percentiles(ratios, level)
    error = math.sqrt(math.fsum(u * u for u in sums) * clusters / (clusters - 1)) / sample.size
    return Interval(low=sample.mean - high * error, high=sample.mean - low * error, level=level, method=method)


def _studentised(sums: Sequence[float], clusters: int) -> float | None:
    if len(sums) == 2:
        total, squares, size, crossed, sizes = sums[0], sums[1], float(clusters), sums[0], float(clusters)
    else:
        total, squares, size, crossed, sizes = sums
    shift = total / size
    spread = squares - 2.0 * shift * crossed + shift * shift * sizes
    if spread <= 1e-9 * squares:
        return None
    return shift / (math.sqrt(spread * clusters / (clusters - 1)) / size)


def skewed_mean_interval(
    values: Sequence[float],
    sample: ClusteredSample,
    *,
    level: float = DEFAULT_LEVEL,
    resamples: int | None = None,
    seed: int = 0,
) -> Interval:
    """Return the interval of a skewed mean: studentised bootstrap, or Hall's formula for many values.

    Many clusters enter the formula with their shares of the mean (its linearisation: Sarndal, Swensson and
    Wretman 1992, Model Assisted Survey Sampling, section 5.5). Naming `resamples` asks for the bootstrap.
    """
    if resamples is None and sample.clusters > _BOOTSTRAP_LIMIT:
        if is_constant(sample.residual_sums, max(map(abs, values))):
            return Interval(level=level, method="Hall skewness-corrected t", reason="no variation")
        weight = sample.clusters / sample.size
        return hall_interval([sample.mean + weight * u for u in sample.residual_sums], level=level)
    return studentised_bootstrap(sample, level=level, resamples=resamples or DEFAULT_RESAMPLES, seed=seed)


# --- sign flips -------------------------------------------------------------------------------------------


@checked_arguments
def sign_flip_test(
    differences: Sequence[float], *, resamples: Resamples | None = None, seed: Seed = 0
) -> SignificanceTest:
    """Test whether paired differences are symmetric about zero, by flipping their signs.

    Args:
        differences: one per pair, or one sum per cluster, so that clusters flip whole.
        resamples: draws where not all flips are counted; by default 9,999, and 1,999 past 100,000 differences.
        seed: of the random stream.

    Returns:
        The two-sided p-value, never 0: a share of all flips if at most `_EXACT_FLIPS` differences are nonzero. Past
        1,000 of them, none of which makes up more than a 250th of the variance, it is the saddlepoint
        approximation of that share, which is within one per cent of it. Otherwise it is (hits + 1) / (draws + 1), whose
        Monte Carlo error is sqrt(p (1 - p) / draws).

    Source: Fisher (1935), The Design of Experiments, section 21; Phipson and Smyth (2010), Statistical
    Applications in Genetics and Molecular Biology 9, 39, for the +1; saddlepoint: Robinson (1982), Journal of the Royal
    Statistical Society B 44, 91-101, with the tail formula of Lugannani and Rice (1980).

    >>> sign_flip_test([1.0, 1.0, 1.0, 1.0, 2.0]).p_value
    0.0625
    """
    nonzero = [value for value in differences if value]
    if not nonzero:
        return SignificanceTest(method="sign-flip permutation", reason="no pair differs")
    # Of very many differences fewer bits do: rounding stays below a thousandth of the null's spread.
    signed, _ = fixed_point(nonzero, _FIXED_POINT_BITS if len(nonzero) <= _MANY else 30)
    sizes = sorted(map(abs, signed))
    # Each rounded size may be off by half a unit: sums closer than that are ties.
    threshold = abs(sum(signed)) - len(signed)
    found = SignificanceTest(method="sign-flip permutation (exact)", statistic=math.fsum(nonzero))
    if len(sizes) <= _EXACT_FLIPS and resamples is None:
        return found.evolve(p_value=_exact_flips(sizes, threshold))
    if resamples is None and len(sizes) > _SADDLEPOINT and _none_rules(sizes):
        p_value = _saddlepoint_flips(sizes, abs(sum(signed)))
        return found.evolve(method="sign-flip permutation (saddlepoint)", p_value=p_value)
    draws = resamples or (9999 if len(sizes) <= _MANY else 1999)
    hits = _sampled_flips(sizes, threshold, draws, seed)
    return found.evolve(method="sign-flip permutation (sampled)", p_value=(hits + 1) / (draws + 1), resamples=draws)


_SADDLEPOINT: Final = 1_000
_LARGEST_SHARE: Final = 250


def _none_rules(sizes: Sequence[int]) -> bool:
    """Whether no size of these, in order, makes up more than a 250th of the variance."""
    return sizes[-1] ** 2 * _LARGEST_SHARE <= sum(size * size for size in sizes)


_MANY: Final = 100_000


def _saddlepoint_flips(sizes: Sequence[int], observed: int) -> float:
    """Return the share of flips whose sum is at least `observed` in size.

    The cumulant generating function of the sum is K(t) = sum of log cosh(t size). Sums of whole multiples of g lie 2 g
    apart, so that the tail starts halfway between two of them.
    """
    counts = sorted(Counter(sizes).items())
    scale = math.sqrt(math.fsum(count * size * size for size, count in counts))
    weights = [(size / scale, count) for size, count in counts]
    start = (observed - math.gcd(*(size for size, _ in counts))) / scale
    if start <= 0.0:
        return 1.0
    if start > 38.0:  # the normal tail, which is heavier, is below the smallest double there
        return as_p_value(0.0)
    t, curve = start, 1.0
    for _ in range(50):  # Newton's steps to K'(t) = start; K' is concave for t > 0, which makes them safe from the left
        slopes = [(weight, count, math.tanh(t * weight)) for weight, count in weights]
        curve = math.fsum(count * weight * weight * (1.0 - slope * slope) for weight, count, slope in slopes)
        step = (start - math.fsum(count * weight * slope for weight, count, slope in slopes)) / curve
        t += step
        if abs(step) <= 1e-12 * t:
            break
    height = t * start - math.fsum(count * _log_cosh(t * weight) for weight, count in weights)
    w, u = math.sqrt(2.0 * max(0.0, height)), t * math.sqrt(curve)
    density = math.exp(-0.5 * w * w) / math.sqrt(2.0 * math.pi)
    tail = normal_cdf(-w) + density * (1.0 / u - 1.0 / w if w > 1e-3 else 0.0)
    return as_p_value(2.0 * tail)


def _log_cosh(x: float) -> float:
    return x + math.log1p(math.exp(-2.0 * x)) - math.log(2.0)


def _exact_flips(sizes: Sequence[int], threshold: int) -> float:
    # Meet in the middle: a flip's sum is one of the left half plus one of the right half.
    left, right = _signed_sums(sizes[::2]), sorted(_signed_sums(sizes[1::2]))
    left.sort(reverse=True)
    # The null distribution is symmetric, so the lower tail holds as many flips as the upper one.
    upper, place = 0, 0
    for value in left:
        while place < len(right) and value + right[place] < threshold:
            place += 1
        upper += len(right) - place
        # `value` falls from here on, so fewer of `right` reach the threshold.
    return min(1.0, (2 * upper if threshold > 0 else len(left) * len(right)) / (len(left) * len(right)))


def _signed_sums(sizes: Sequence[int]) -> list[int]:
    sums = [0]
    for size in sizes:
        sums = [total + size for total in sums] + [total - size for total in sums]
    return sums


def _sampled_flips(sizes: Sequence[int], threshold: int, draws: int, seed: int) -> int:
    # Bit planes: one random integer flips all signs at once, and the sum of the flipped sizes is a popcount
    # per binary digit. It needs neither numpy nor a loop over the differences.
    planes = bit_planes(sizes)
    total, count = sum(sizes), len(sizes)
    bits = random.Random(seed).getrandbits  # noqa: S311  # statistics, not secrets
    hits = 0
    for _ in range(draws):
        flips = bits(count)
        flipped = 0
        for weight, plane in planes:
            flipped += (flips & plane).bit_count() << weight
        hits += abs(total - 2 * flipped) >= threshold
    return hits


def bit_planes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return, for each binary digit that occurs in `sizes`, its weight and the integer of that digit in each.

    >>> bit_planes([1, 3])
    [(0, 3), (1, 1)]
    """
    width = max(sizes).bit_length()
    digits = "".join([format(size, f"0{width}b") for size in sizes])
    planes = [(weight, int(digits[width - 1 - weight :: width], 2)) for weight in range(width)]
    return [(weight, plane) for weight, plane in planes if plane]
