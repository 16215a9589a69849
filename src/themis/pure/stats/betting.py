"""Betting against a mean: e-values that stay valid however often one looks.

To test that the mean of scores in 0 to 1 is at most `m`, start with a wealth of 1 and, before each score, bet a
fraction of it on the score being high: it is multiplied by `1 - f + f x / m`, whose expected value is at most 1 if the
hypothesis is true. So is the wealth's, at whatever time one stops, and it reaches `1 / alpha` at any time with a
probability of at most `alpha` (Ville 1939). The wealth is the evidence: an e-value.

No fraction is best for all truths, so the wealth is divided over fixed fractions, and their mean is what counts. Fixed
fractions, where others adapt them to the scores seen, buy three properties that everything above rests on:

- the wealth depends on the scores, not on their order;
- a score that is higher never makes it lower, so that what a missing score could do is known by its extremes: no
  completion overturns what was decided with the lowest of them;
- it falls as `m` rises, so that the means it does not refute are an interval.

Units may weigh differently, as clusters of unequal size do: a unit of weight `w` multiplies by `1 - f w + f w x / m`,
which tests the mean over all that the units hold, not the mean over units. Of a finite set that is drawn without
replacement, `m` is replaced by the mean that the rest would have to have.

Source: Waudby-Smith and Ramdas (2024), J. Royal Statistical Society B 86, 1-27 (betting, section 4; diversified bets,
appendix B; without replacement, section 5, after Waudby-Smith and Ramdas 2020, NeurIPS 33); mixtures over fixed bets:
Orabona and Jun (2024), IEEE Trans. Information Theory 70, 436-455.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import attrs

FRACTIONS: Final = tuple(2.0**-power for power in range(10))
"""What is bet: one of them is within a factor of 1.5 of the best for samples of up to about 10^6."""

_RESOLUTION: Final = 1e-11
"""How near to an end of an interval its search stops, on the safe side."""

_STEP: Final = _RESOLUTION / 4.0

_ROUNDING: Final = 1.0 + 1e-12

_MOST_VALUES: Final = 1000
"""Past so many distinct units, scores are laid on a grid."""

_GRID: Final = 256
_PART: Final = 2.0**20
"""What lies between two points of the grid counts in parts at both: of a concave function, such as the logarithm of the
wealth, that gives less than the score itself, and hardly so. The parts are such that their sums are exact."""

_MOST_DRAWS: Final = 20_000
"""Of a larger finite set, as many scores make one bet, by their mean, as bring the bets down to this number."""

_REMEMBERED: Final = 4096

Unit: TypeAlias = tuple[float, float]
"""A score from 0 to 1 and its weight, above 0 and at most 1."""


@attrs.define
class Wealth:
    """The wealth of bets that the mean is above `mean`, score by score.

    Args:
        mean: the hypothesis: the mean is at most this.
        total: the weight of the whole set, if it is finite and drawn without replacement.
    """

    mean: float
    total: float | None = None
    _logs: list[float] = attrs.field(factory=lambda: [0.0] * len(FRACTIONS), init=False)
    _known: dict[Unit, list[float]] = attrs.field(factory=dict, init=False)
    _draw: list[Unit] = attrs.field(factory=list, init=False)
    _sum: float = attrs.field(default=0.0, init=False)
    _weight: float = attrs.field(default=0.0, init=False)
    _known_sum: float = attrs.field(default=0.0, init=False)

    def add(self, score: float, weight: float = 1.0) -> None:
        """Take the next score."""
        if self.total is None:
            unit = (score, weight)
            gains = self._known.get(unit)
            if gains is None:
                gains = _gains(score, weight, self.mean)
                if len(self._known) < _REMEMBERED:
                    self._known[unit] = gains
            self._logs = [log + gain for log, gain in zip(self._logs, gains, strict=True)]
            return
        self._known_sum += score * weight
        self._draw.append((score, weight))
        if len(self._draw) >= _draw_size(self.total):
            self.bet(*_gain(self._draw), self.total)
            self._draw.clear()

    def bet(self, gained: float, weight: float, total: float) -> None:
        """Bet on what was drawn next of a finite set: the sum of its scores, each times its weight, and its weight."""
        rest = total - self._weight
        mean = (total * self.mean - self._sum) / rest if rest > 0.0 else 0.0
        gains = _gains(gained / weight, weight / _draw_size(total), mean)
        self._logs = [log + gain for log, gain in zip(self._logs, gains, strict=True)]
        self._sum, self._weight = self._sum + gained, self._weight + weight

    @property
    def log(self) -> float:
        """The logarithm of the wealth; infinite if the hypothesis is impossible."""
        return math.inf if self._is_impossible else log_mean(self._logs)

    @property
    def _is_impossible(self) -> bool:
        """Whether what was drawn of a finite set is more than the whole set would hold."""
        return self.total is not None and self._known_sum > self.total * self.mean * _ROUNDING

    def reaches(self, log: float) -> bool:
        """Whether the logarithm of the wealth is at least this; quick, for it mostly is not."""
        return self._is_impossible or (max(self._logs) >= log and self.log >= log)


def _draw_size(total: float) -> int:
    return math.ceil(total / _MOST_DRAWS)


def _gain(units: Sequence[Unit]) -> tuple[float, float]:
    return math.fsum(score * weight for score, weight in units), math.fsum(weight for _, weight in units)


def _gains(score: float, weight: float, mean: float) -> list[float]:
    """Return the logarithm of what each fraction's wealth is multiplied by."""
    if mean <= 0.0:
        return [math.inf if score > 0.0 else 0.0] * len(FRACTIONS)  # scores that are all 0 leave nothing to bet on
    excess = score / mean - 1.0
    return [_log_factor(fraction * weight * excess) for fraction in FRACTIONS]


def _log_factor(gain: float) -> float:
    return math.log1p(gain) if gain > -1.0 else -math.inf


def log_mean(logs: Iterable[float]) -> float:
    """Return the logarithm of the mean of numbers, given theirs."""
    known = list(logs)
    most = max(known)
    if math.isinf(most):
        return most
    return most + math.log(math.fsum(math.exp(log - most) for log in known) / len(known))


@attrs.define
class Tally:
    """How often which unit came: all that the wealth depends on, whatever their order."""

    counts: dict[Unit, float] = attrs.field(factory=dict)
    _on_grid: bool = attrs.field(default=False, init=False)

    @classmethod
    def of(cls, units: Iterable[Unit]) -> Tally:
        """Count units."""
        tally = cls()
        for unit, count in Counter(units).items():
            tally.add(unit, count)
        return tally

    def add(self, unit: Unit, count: float = 1.0) -> None:
        """Count one more, or several."""
        if self._on_grid:
            self._add_to_grid(unit, count)
            return
        self.counts[unit] = self.counts.get(unit, 0.0) + count
        if len(self.counts) > _MOST_VALUES:
            counts, self.counts, self._on_grid = self.counts, {}, True
            for known, often in counts.items():
                self._add_to_grid(known, often)

    def _add_to_grid(self, unit: Unit, count: float) -> None:
        score, weight = unit
        point = min(int(score * _GRID), _GRID - 1)
        part = math.floor((score * _GRID - point) * _PART) / _PART
        for place, share in ((point, 1.0 - part), (point + 1, part)):
            if share:
                key = (place / _GRID, weight)
                self.counts[key] = self.counts.get(key, 0.0) + share * count

    def log_wealth(self, mean: float) -> float:
        """Return the logarithm of the wealth of bets against a mean of at most `mean`.

        >>> round(math.exp(Tally.of([(1.0, 1.0)] * 20).log_wealth(0.5)), 1)
        105200.8
        """
        if mean <= 0.0:
            return math.inf if any(score > 0.0 for score, _ in self.counts) else 0.0
        excesses = [(weight * (score / mean - 1.0), count) for (score, weight), count in self.counts.items()]
        return log_mean(
            math.fsum([count * _log_factor(fraction * excess) for excess, count in excesses]) for fraction in FRACTIONS
        )

    def lower_end(self, alpha: float) -> float:
        """Return the largest mean that is refuted at `alpha`: the lower end of the interval of those that are not.

        Its chance to exceed the true mean at any time is at most `alpha`.

        >>> round(Tally.of([(1.0, 1.0)] * 90 + [(0.0, 1.0)] * 10).lower_end(0.025), 4)
        0.7664
        """
        weight = math.fsum(weight * count for (_, weight), count in self.counts.items())
        if not weight:
            return 0.0
        mean = math.fsum(score * weight * count for (score, weight), count in self.counts.items()) / weight
        return refuted(self.log_wealth, mean, alpha)


def lower_end_without_replacement(units: Iterable[Unit], total: float, alpha: float) -> float:
    """Return the same for the mean of a finite set that `units` were drawn from, in their order.

    Args:
        units: scores and weights in the order in which they were drawn, at random.
        total: the weight of the whole set.
        alpha: the chance to exceed the mean of the set at any time.

    >>> round(lower_end_without_replacement([(1.0, 1.0)] * 90, 100, 0.025), 4)
    0.9751
    """
    drawn, size = [*units], _draw_size(total)
    if not drawn:
        return 0.0
    gained, weight = _gain(drawn)
    draws = [_gain(drawn[start : start + size]) for start in range(0, len(drawn) - size + 1, size)]

    def log_wealth_of(mean: float) -> float:
        wealth = Wealth(mean, total)
        for draw in draws:
            wealth.bet(*draw, total)
        return wealth.log

    # What was drawn is known: the mean can't be below what it would be if all others scored 0.
    least = min(gained / total, 1.0)
    return refuted(log_wealth_of, gained / weight, alpha, least)


def refuted(log_wealth_of: Callable[[float], float], most: float, alpha: float, least: float = 0.0) -> float:
    """Return the largest mean from `least` to `most` that is refuted, rounded down by a trifle; `least` if none is.

    Args:
        log_wealth_of: the logarithm of the wealth against a mean of at most this; it falls.
        most: a mean that is taken as not refuted.
        alpha: a mean is refuted by a wealth of 1 over this.
        least: a mean that is refuted, or the least that is possible.
    """
    wanted = -math.log(alpha)
    above, below = math.inf, log_wealth_of(most) - wanted if most > least else 0.0
    kept = 0
    while most - least > _RESOLUTION:
        middle = (least + most) / 2.0
        if math.isfinite(above) and -math.inf < below < 0.0:
            # The Illinois method (Dowell and Jarratt 1971, BIT 11): an end that is kept twice counts half.
            middle = (least * below - most * above) / (below - above)
            middle = min(max(middle, least + _STEP), most - _STEP)
        found = log_wealth_of(middle) - wanted
        if found >= 0.0:
            least, above, kept = middle, found, max(kept, 0) + 1
        else:
            most, below, kept = middle, found, min(kept, 0) - 1
        above, below = above / 2.0 if kept < -1 else above, below / 2.0 if kept > 1 else below
    return least
