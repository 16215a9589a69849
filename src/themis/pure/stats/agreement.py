"""Agreement of raters: judges among each other, or a judge with human labels.

The rule of the room: a rating is any hashable label (numbers for interval and ratio scales), `None` where a
rater gave none. Where all ratings are the same, chance-corrected agreement is not defined: it is `None`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from themis.pure.errors import StatisticsError
from themis.pure.stats.arguments import (
    LARGEST,
    Level,
    Resamples,
    Seed,
    checked_arguments,
    refuse_unless,
    same_length,
)
from themis.pure.stats.distributions import normal_quantile
from themis.pure.stats.estimates import estimate_mean
from themis.pure.stats.records import DEFAULT_LEVEL, Agreement, Interval
from themis.pure.stats.resampling import percentiles, resampled_rows
from themis.pure.stats.samples import grouped, is_constant, variance

Label: TypeAlias = Hashable
Scale: TypeAlias = Literal["nominal", "ordinal", "interval", "ratio"]
Weights: TypeAlias = Literal["none", "linear", "quadratic"]

_ONE_LABEL = "no variation: all ratings are the same, so chance agreement can't be told from real"
_NO_UNIT = "no unit is rated by two raters"


@checked_arguments
def raw_agreement(ratings: Sequence[Sequence[Label | None]], *, level: Level = DEFAULT_LEVEL) -> Agreement:
    """Return the mean share of rater pairs that agree on a unit.

    Args:
        ratings: one sequence of units per rater, all of one length; `None` where a rater gave no rating.
        level: nominal coverage of the interval over units: Wilson's where units agree wholly or not at all, as with
            two raters, else Student's t.

    Source: the observed agreement of Fleiss (1971), Psychological Bulletin 76, 378-382; units with missing ratings
    count with the raters they have.

    >>> raw_agreement([["yes", "no", "yes"], ["yes", "yes", "yes"]]).value
    0.6666666666666666
    """
    units, dropped = _units(ratings)
    shares = [_agreeing_share(Counter(unit), len(unit)) for unit in units]
    estimate = estimate_mean(list(shares), metric_id="agreement", unit="unit", level=level)
    return Agreement(
        method="raw agreement",
        value=estimate.mean,
        units=len(units),
        dropped_units=dropped,
        raters=len(ratings),
        standard_error=estimate.standard_error,
        interval=estimate.interval.evolve(reason=estimate.interval.reason if units else _NO_UNIT),
        reason=None if units else _NO_UNIT,
    )


def _agreeing_share(counts: Mapping[Label, int], raters: int) -> float:
    return sum(n * (n - 1) for n in counts.values()) / (raters * (raters - 1))


def _units(ratings: Sequence[Sequence[Label | None]]) -> tuple[list[list[Label]], int]:
    if len(ratings) < 2 or len({len(rater) for rater in ratings}) != 1:
        raise StatisticsError(
            f"agreement needs two or more raters over the same units; found {len(ratings)} raters with "
            f"{sorted({len(rater) for rater in ratings})} units: put None where a rater gave no rating"
        )
    if any(isinstance(label, float) and math.isnan(label) for rater in ratings for label in rater):
        raise StatisticsError("a rating is NaN: put None where a rater gave no rating")
    columns = [[label for label in unit if label is not None] for unit in zip(*ratings, strict=True)]
    units = [unit for unit in columns if len(unit) > 1]
    return units, len(columns) - len(units)


# --- two raters -------------------------------------------------------------------------------------------


@checked_arguments
def cohen_kappa(
    first: Sequence[Label | None],
    second: Sequence[Label | None],
    *,
    weights: Weights = "none",
    categories: Sequence[Label] | None = None,
    clusters: Sequence[Hashable] | None = None,
    level: Level = DEFAULT_LEVEL,
) -> Agreement:
    """Return Cohen's kappa of two raters, with the large-sample normal interval.

    Args:
        first: the first rater's labels.
        second: the second's.
        weights: how disagreement grows with the distance of categories: not at all, linearly, quadratically.
        categories: all categories in order; by default those that occur, sorted.
        clusters: one key per unit, where units are not independent: the standard error is then a jackknife over them.
        level: nominal coverage.

    Source: Cohen (1960), Educational and Psychological Measurement 20, 37-46; weights: Cohen (1968),
    Psychological Bulletin 70, 213-220; standard error: Fleiss, Cohen and Everitt (1969), ibid. 72, 323-327; over
    clusters: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 11.

    >>> round(cohen_kappa([1, 1, 0, 0], [1, 0, 0, 0]).value, 4)
    0.5
    """
    same_length("cohen_kappa", first=first, clusters=clusters)
    units, dropped = _units([first, second])
    method = "Cohen's kappa" if weights == "none" else f"Cohen's kappa ({weights} weights)"
    how = "normal (Fleiss-Cohen-Everitt)" if clusters is None else "jackknife over clusters"
    empty = Interval(level=level, method=how, reason=_NO_UNIT)
    base = Agreement(method=method, units=len(units), dropped_units=dropped, raters=2, interval=empty, reason=_NO_UNIT)
    if not units:
        return base
    order = {label: place for place, label in enumerate(_categories(units, categories))}
    size = len(units)
    cells = {
        (order[a], order[b]): count / size for (a, b), count in Counter(map(tuple, units)).items()
    }  # fmt: skip
    kappa, error = _kappa_and_error(cells, len(order), weights, size)
    if kappa is None:
        return base.evolve(reason=_ONE_LABEL, interval=empty.evolve(reason=_ONE_LABEL))
    if error == 0.0:
        flat = empty.evolve(reason=_flat_reason(cells))
        return base.evolve(value=kappa, reason=None, interval=flat)
    if clusters is not None:
        groups = [*grouped(units, _of_units([first, second], clusters))]
        left = [_kappa_without(group, cells, size, len(order), weights, order) for group in groups]
        error = _jackknife_error([(value, 1) for value in left if value is not None])
        if len(left) < 3 or None in left or error <= 1e-12:
            reason = f"{len(left)} clusters: a jackknife needs three that differ, none of which holds all variation"
            return base.evolve(value=kappa, reason=None, interval=empty.evolve(reason=reason))
    half = normal_quantile(0.5 + level / 2.0) * error
    interval = empty.evolve(low=max(-1.0, kappa - half), high=min(1.0, kappa + half), reason=None)
    return base.evolve(value=kappa, standard_error=error, reason=None, interval=interval)


def _kappa_without(
    group: Sequence[Sequence[Label]],
    cells: Mapping[tuple[int, int], float],
    size: int,
    categories: int,
    weights: Weights,
    order: Mapping[Label, int],
) -> float | None:
    """Return kappa of all units but those of a group; `None` where it is not defined."""
    left = size - len(group)
    counts = {cell: share * size for cell, share in cells.items()}
    for first, second in group:
        counts[order[first], order[second]] -= 1.0
    return (
        _kappa_and_error({cell: count / left for cell, count in counts.items()}, categories, weights, left)[0]
        if left
        else None
    )


def _of_units(ratings: Sequence[Sequence[Label | None]], keys: Sequence[Hashable]) -> list[Hashable]:
    """Return the keys of the units that `_units` keeps."""
    rated = (sum(label is not None for label in unit) > 1 for unit in zip(*ratings, strict=True))
    return [key for key, counts in zip(keys, rated, strict=True) if counts]


def _jackknife_error(left: Sequence[tuple[float, int]]) -> float:
    """Return the standard error from the values without one unit or cluster, each with how often it occurs."""
    size = sum(count for _, count in left)
    if not size:
        return 0.0
    centre = math.fsum(value * n for value, n in left) / size
    return math.sqrt((size - 1) / size * math.fsum(n * (value - centre) ** 2 for value, n in left))


def _flat_reason(cells: Mapping[tuple[int, int], float]) -> str:
    if all(i == j for i, j in cells):
        return "no variation: the raters agree on every unit"
    if len({i for i, _ in cells}) == 1 or len({j for _, j in cells}) == 1:
        return "no variation: one rater gave the same rating to every unit"
    return "no variation: the estimated standard error is 0"


def _categories(units: Sequence[Sequence[Label]], given: Sequence[Label] | None) -> Sequence[Label]:
    found = {label for unit in units for label in unit}
    if given is None:
        return _sorted_labels(found)
    refuse_unless(len(set(given)) == len(given), "agreement", "categories", given, "each category once")
    unknown = found - set(given)
    if unknown:
        raise StatisticsError(f"ratings outside the categories {list(given)}: {_sorted_labels(unknown)}")
    return given


def _sorted_labels(labels: set[Label]) -> list[Label]:
    try:
        return sorted(labels)  # type: ignore[type-var]  # labels of one type are comparable; if not, see below
    except TypeError:
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def _kappa_and_error(
    cells: Mapping[tuple[int, int], float], size: int, weights: Weights, units: int
) -> tuple[float | None, float]:
    rows = [math.fsum(p for (i, _), p in cells.items() if i == r) for r in range(size)]
    columns = [math.fsum(p for (_, j), p in cells.items() if j == c) for c in range(size)]
    weight = _weight(weights, size)
    grid = [[weight(i, j) for j in range(size)] for i in range(size)]
    observed = math.fsum(grid[i][j] * p for (i, j), p in cells.items())
    expected = math.fsum(grid[i][j] * rows[i] * columns[j] for i in range(size) for j in range(size))
    if 1.0 - expected <= 1e-12:
        return None, 0.0
    kappa = (observed - expected) / (1.0 - expected)
    row_means = [math.fsum(grid[i][j] * columns[j] for j in range(size)) for i in range(size)]
    column_means = [math.fsum(grid[i][j] * rows[i] for i in range(size)) for j in range(size)]
    moment = math.fsum(
        p * (grid[i][j] - (row_means[i] + column_means[j]) * (1.0 - kappa)) ** 2 for (i, j), p in cells.items()
    )
    spread = moment - (kappa - expected * (1.0 - kappa)) ** 2
    error = math.sqrt(max(0.0, spread) / units) / (1.0 - expected)
    return kappa, error if error > 1e-9 else 0.0


def _weight(weights: Weights, size: int) -> Callable[[int, int], float]:
    if weights == "none":
        return lambda i, j: float(i == j)
    power = 1 if weights == "linear" else 2
    largest = max(1, size - 1) ** power
    return lambda i, j: 1.0 - abs(i - j) ** power / largest


# --- any number of raters ---------------------------------------------------------------------------------


@checked_arguments
def fleiss_kappa(ratings: Sequence[Sequence[Label | None]], *, level: Level = DEFAULT_LEVEL) -> Agreement:
    """Return Fleiss' kappa; units that some rater did not rate are left out and counted.

    Args:
        ratings: one sequence of units per rater.
        level: nominal coverage; the interval is not defined here (see `krippendorff_alpha`).

    Source: Fleiss (1971), Psychological Bulletin 76, 378-382.

    >>> round(fleiss_kappa([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]]).value, 4)
    0.3333
    """
    units, _ = _units(ratings)
    full = [unit for unit in units if len(unit) == len(ratings)]
    dropped = len(ratings[0]) - len(full)
    none = Interval(level=level, method="none", reason="no interval is given for Fleiss' kappa")
    base = Agreement(method="Fleiss' kappa", units=len(full), dropped_units=dropped, raters=len(ratings), interval=none)
    if not full:
        return base.evolve(reason="no unit is rated by every rater")
    observed = math.fsum(_agreeing_share(Counter(unit), len(unit)) for unit in full) / len(full)
    totals = Counter(label for unit in full for label in unit)
    if len(totals) == 1:
        return base.evolve(reason=_ONE_LABEL)
    size = len(full) * len(ratings)
    expected = math.fsum((count / size) ** 2 for count in totals.values())
    return base.evolve(value=(observed - expected) / (1.0 - expected))


@checked_arguments
def krippendorff_alpha(
    ratings: Sequence[Sequence[Label | None]],
    *,
    scale: Scale = "nominal",
    categories: Sequence[Label] | None = None,
    level: Level = DEFAULT_LEVEL,
    resamples: Resamples | None = None,
    clusters: Sequence[Hashable] | None = None,
    seed: Seed = 0,
) -> Agreement:
    """Return Krippendorff's alpha; any number of raters, ratings may be missing.

    Args:
        ratings: one sequence of units per rater; numbers for interval and ratio scales.
        scale: how far apart two ratings are; ratio scales have a true zero, so their ratings are 0 or more.
        categories: for ordinal labels that do not sort by themselves: all of them, from low to high.
        level: nominal coverage of the interval: a delete-one jackknife over units, or ...
        resamples: ... the percentile bootstrap over units, with so many draws.
        clusters: one key per unit, where units are not independent: the bootstrap then draws clusters whole. The
            jackknife takes none.
        seed: of the bootstrap.

    The cost grows with the number of distinct ratings squared on a ratio scale, and linearly on the others.

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability; (2019), Content Analysis, 4th
    ed., chapter 12; jackknife and bootstrap: Efron and Tibshirani (1993), chapters 11 and 13.

    >>> round(krippendorff_alpha([[1, 2, 3, 3], [1, 2, 3, 4]], scale="interval").value, 4)
    0.8889
    """
    units, dropped = _units(ratings)
    method = f"Krippendorff's alpha ({scale})"
    where = "krippendorff_alpha"
    same_length(where, ratings=ratings[0] if ratings else (), clusters=clusters)
    refuse_unless(clusters is None or resamples is not None, where, "clusters", clusters, "None without resamples")
    drawn = "units" if clusters is None else "clusters"
    how = "jackknife over units" if resamples is None else f"percentile bootstrap over {drawn} (B={resamples})"
    none = Interval(level=level, method=how, reason=_NO_UNIT)
    base = Agreement(
        method=method, units=len(units), dropped_units=dropped, raters=len(ratings), interval=none, reason=_NO_UNIT
    )
    if not units:
        return base
    kinds = Counter(map(tuple, units))
    distances = _Distances(kinds, scale, categories)
    value = distances.alpha()
    if value is None:
        return base.evolve(reason=_ONE_LABEL, interval=none.evolve(reason=_ONE_LABEL))
    if resamples is None:
        error, interval = _jackknife(distances, value, level)
    else:
        keys = range(len(units)) if clusters is None else _of_units(ratings, clusters)
        alphas = _resampled_alphas(grouped(units, keys), scale, categories, resamples, seed)
        error, interval = _percentiles(alphas, none)
    return base.evolve(value=value, standard_error=error, reason=None, interval=interval)


class _Distances:
    """Observed and expected disagreement of units on one scale."""

    def __init__(
        self, units: Mapping[tuple[Label, ...], int], scale: Scale, categories: Sequence[Label] | None
    ) -> None:
        self.scale = scale
        self.totals: Counter[Label] = Counter()
        for unit, count in units.items():
            for label in unit:
                self.totals[label] += count
        self.size = self.totals.total()
        self.place = self._places(categories)
        self.counts = sorted((self.place[label], count) for label, count in self.totals.items())
        # Equal units disagree equally: each kind is worked out once.
        self.kinds: Counter[tuple[float, ...]] = Counter()
        for unit, count in units.items():
            self.kinds[tuple(sorted(map(self.place.__getitem__, unit)))] += count
        self.observed = math.fsum(self.within(kind) * count for kind, count in self.kinds.items())
        self.reach = self._reaches()
        self.expected = math.fsum(self.reach[place] * count for place, count in self.counts)

    def _places(self, categories: Sequence[Label] | None) -> dict[Label, float]:
        if self.scale in ("interval", "ratio"):
            return {label: _number(label, self.scale) for label in self.totals}
        ordered = _categories([list(self.totals)], categories)
        if self.scale == "nominal":
            return {label: float(index) for index, label in enumerate(ordered)}
        # Ordinal distance is the squared difference of mean ranks (Krippendorff 2011, section E).
        places, below = {}, 0
        for label in ordered:
            places[label] = below + self.totals[label] / 2.0
            below += self.totals[label]
        return places

    def _reaches(self) -> dict[float, float]:
        # The sum of distances from a place to all ratings.
        if self.scale == "nominal":
            return {place: float(self.size - count) for place, count in self.counts}
        if self.scale == "ratio":
            return {
                place: math.fsum(n * self.distance(place, other) for other, n in self.counts)
                for place, _ in self.counts
            }
        centre = math.fsum(place * n for place, n in self.counts) / self.size
        spread = math.fsum(n * (place - centre) ** 2 for place, n in self.counts)
        return {place: self.size * (place - centre) ** 2 + spread for place, _ in self.counts}

    def distance(self, a: float, b: float) -> float:
        """Squared difference of two places on the scale."""
        if self.scale == "nominal":
            return float(a != b)
        if self.scale == "ratio":
            return ((a - b) / (a + b)) ** 2 if a + b else 0.0
        return (a - b) ** 2

    def within(self, places: Sequence[float]) -> float:
        """Sum of distances over a unit's ordered pairs of ratings, over its raters less one."""
        counts = sorted(Counter(places).items())
        pairs = (n * m * self.distance(a, b) for index, (a, n) in enumerate(counts) for b, m in counts[:index])
        return 2.0 * math.fsum(pairs) / (len(places) - 1)

    def alpha(self, without: Sequence[float] = ()) -> float | None:
        """Return alpha of all units, or of all but one of the given kind (ordinal ranks then stay as they are)."""
        size, observed, expected = self.size - len(without), self.observed, self.expected
        if without:
            inside = self.within(without)
            observed -= inside
            expected -= 2.0 * math.fsum(self.reach[place] for place in without) - inside * (len(without) - 1)
        if len(self.totals) < 2 or expected <= 1e-12 * self.expected:
            return None
        return 1.0 - observed * (size - 1) / expected


def _number(label: Label, scale: str) -> float:
    if not isinstance(label, int | float) or not abs(label) <= LARGEST:
        raise StatisticsError(
            f"{scale} ratings are finite numbers of at most {LARGEST:g} in size; found {label!r}: "
            "use scale='nominal' or 'ordinal'"
        )
    if scale == "ratio" and label < 0:
        raise StatisticsError(f"ratio ratings are 0 or more; found {label!r}: use scale='interval'")
    return float(label)


def _jackknife(distances: _Distances, value: float, level: float) -> tuple[float | None, Interval]:
    empty = Interval(level=level, method="jackknife over units")
    size = distances.kinds.total()
    if size < 3:
        return None, empty.evolve(reason=f"{size} units: a jackknife needs three")
    left: list[tuple[float, int]] = []
    for kind, count in distances.kinds.items():
        alpha = distances.alpha(kind)
        if alpha is None:
            return None, empty.evolve(reason="all variation comes from one unit")
        left.append((alpha, count))
    error = _jackknife_error(left)
    if error <= 1e-12:
        return None, empty.evolve(reason="no variation between units")
    half = normal_quantile(0.5 + level / 2.0) * error
    return error, empty.evolve(low=value - half, high=min(1.0, value + half))


def _resampled_alphas(
    groups: Iterable[Sequence[Sequence[Label]]],
    scale: Scale,
    categories: Sequence[Label] | None,
    draws: int,
    seed: int,
) -> list[float | None]:
    """Return alpha of units drawn with replacement, in groups; `None` where a draw has one rating only."""
    # In order, so that the order of units changes nothing; the labels of a unit are of raters, and stay as they are.
    ordered = sorted((sorted(map(tuple, group), key=repr) for group in groups), key=repr)
    draw = resampled_rows(len(ordered), seed)
    samples = (Counter(unit for index in draw() for unit in ordered[index]) for _ in range(draws))
    return [_Distances(sample, scale, categories).alpha() for sample in samples]


def _percentiles(drawn: Sequence[float | None], empty: Interval) -> tuple[float | None, Interval]:
    defined = sorted(alpha for alpha in drawn if alpha is not None)
    if len(defined) < max(2.0, 0.95 * len(drawn)):
        left = len(drawn) - len(defined)
        return None, empty.evolve(reason=f"alpha is not defined for {left} of {len(drawn)} resamples")
    if is_constant(defined, 1.0):
        return None, empty.evolve(reason="no variation between units")
    low, high = percentiles(defined, empty.level)
    return math.sqrt(variance(defined)), empty.evolve(low=low, high=high, reason=None)
