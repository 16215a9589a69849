"""Strengths of models from pairwise judgments, ties included: Bradley and Terry's model with Davidson's ties.

A model i with strength s_i beats j with a chance in proportion to exp(s_i), loses with exp(s_j), and ties with
exp(t + (s_i + s_j) / 2), t being how readily judges call a tie. With an order effect p, what is shown first has
exp(s_i + p) in place of exp(s_i).

Strengths are logarithms of odds and known up to a constant alone: here their mean is 0.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.json import EMPTY, FrozenDict, freeze_mapping
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Level, checked_arguments, refuse_unless
from themis.pure.stats.intervals import t_interval
from themis.pure.stats.records import DEFAULT_LEVEL, Interval, SignificanceTest
from themis.pure.stats.significance import t_test

Verdict: TypeAlias = Literal["first", "second", "tie"]
Judgment: TypeAlias = tuple[str, str, Verdict | None]
"""What was shown first, what second, and which won; `None` is a judgment without a verdict."""

_STEPS: Final = 100
_LARGEST: Final = 30.0
"""A strength or effect past this is no estimate: the likelihood grows without end."""

_FEW: Final = 20


@attrs.frozen(kw_only=True)
class Strength(HashableModel):
    """One model's strength.

    Attributes:
        name: the model.
        strength: in logarithms of odds, above (or below) the mean of all models; `None` if not defined.
        standard_error: of the strength.
        interval: of the strength.
        wins: judgments that it won.
        losses: judgments that it lost.
        ties: judgments that were ties.
    """

    name: str
    strength: float | None = None
    standard_error: float | None = None
    interval: Interval
    wins: int = 0
    losses: int = 0
    ties: int = 0


@attrs.frozen(kw_only=True)
class StrengthDifference(HashableModel):
    """How two models compare.

    Attributes:
        name_a: the first model.
        name_b: the second.
        difference: the strength of `b` less that of `a`: the logarithm of the odds that `b` beats `a`, ties aside.
        standard_error: of the difference.
        interval: of the difference.
        win_probability: the chance that `b` beats `a` where neither ties nor order count.
        test: of no difference, by a t test.
        judgments: between these two alone; strengths rest on all.
    """

    name_a: str
    name_b: str
    difference: float | None = None
    standard_error: float | None = None
    interval: Interval
    win_probability: float | None = None
    test: SignificanceTest
    judgments: int = 0


@attrs.frozen(kw_only=True)
class PairwiseStrengths(HashableModel):
    """Bradley-Terry strengths of models, strongest first.

    Attributes:
        strengths: of all models; in the order of names where they are not defined.
        differences: of every two models, in the order of names.
        tie_effect: how readily judges call a tie: of two equals, exp(t) / (2 + exp(t)) of judgments are ties. `None` if
            there is no tie.
        tie_interval: of `tie_effect`.
        order_effect: the logarithm of the odds that what is shown first gains by it; `None` if it was not asked for.
        order_interval: of `order_effect`.
        judgments: with a verdict: what the strengths are of.
        left_out: judgments without a verdict.
        clusters: how many clusters the errors rest on, by default cases; `None` if judgments count as independent.
        degrees_of_freedom: of the intervals: clusters, or judgments, less one.
        log_likelihood: at the estimate.
        undefined: for each figure that is `None` for want of an estimate, the reason.
        reason: why there is no estimate.
        warnings: what a reader should know.
    """

    strengths: tuple[Strength, ...] = attrs.field(converter=sequence)
    differences: tuple[StrengthDifference, ...] = attrs.field(default=(), converter=sequence)
    tie_effect: float | None = None
    tie_interval: Interval
    order_effect: float | None = None
    order_interval: Interval
    judgments: int
    left_out: int = 0
    clusters: int | None = None
    degrees_of_freedom: float | None = None
    log_likelihood: float | None = None
    undefined: FrozenDict = attrs.field(default=EMPTY, converter=freeze_mapping)
    reason: str | None = None
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@checked_arguments
def bradley_terry(
    judgments: Iterable[Judgment],
    *,
    clusters: Sequence[Hashable] | None = None,
    order_effect: bool = False,
    level: Level = DEFAULT_LEVEL,
) -> PairwiseStrengths:
    """Estimate the strengths of models from judgments of two at a time.

    Errors are of the sandwich form, over clusters where these are named: judgments of one case are not independent, and
    the errors hold if the model does not.

    Args:
        judgments: (shown first, shown second, verdict): `first`, `second` or `tie`; `None` where there is no verdict.
        clusters: one key per judgment: the case that it is of.
        order_effect: estimate how much what is shown first gains by it. Show each pair in both orders.
        level: nominal coverage.

    There is an estimate only if no set of models has won every judgment against all others, or was never judged against
    them: the strengths would be infinitely apart, or not comparable (Ford 1957). `reason` then names the sets.

    Raises:
        StatisticsError: a model is judged against itself, there are not as many clusters as judgments, or another
            verdict.

    Source: Bradley and Terry (1952), Biometrika 39, 324-345; ties: Davidson (1970), Journal of the American Statistical
    Association 65, 317-328; order: Davidson and Beaver (1977), Biometrics 33, 693-702; existence: Ford (1957), American
    Mathematical Monthly 64 (8), 28-33; errors: Liang and Zeger (1986), Biometrika 73, 13-22.

    >>> games = [("x", "y", "first")] * 6 + [("x", "y", "second")] * 3 + [("y", "x", "tie")]
    >>> found = bradley_terry(games)
    >>> [(each.name, round(each.strength, 3)) for each in found.strengths]
    [('x', 0.347), ('y', -0.347)]
    >>> round(found.differences[0].win_probability, 3)
    0.333
    """
    rows = list(judgments)
    refuse_unless(
        clusters is None or len(clusters) == len(rows), "bradley_terry", "clusters", clusters, f"{len(rows)} of them"
    )
    keys: Sequence[Hashable] = range(len(rows)) if clusters is None else clusters
    alone = next((first for first, second, _ in rows if first == second), None)
    refuse_unless(alone is None, "bradley_terry", "a judgment's second model", alone, "another one than its first")
    kept = [(first, second, verdict, key) for (first, second, verdict), key in zip(rows, keys, strict=True) if verdict]
    names = sorted({name for row in rows for name in row[:2]})
    data = _Data(names, kept, order_effect)
    base = _counted(data, level, len(rows) - len(kept))
    reason = data.fault()
    fit = None
    if reason is None:
        fit = _fitted(data)
        if fit is None:
            reason = (
                "the likelihood grows without end, or strengths and order can't be told apart: show each pair in both "
                "orders"
            )
    if fit is None:
        none = Interval(level=level, method=_METHOD, reason=reason)
        return base.evolve(
            strengths=[each.evolve(interval=none) for each in base.strengths],
            tie_interval=none,
            order_interval=none,
            undefined=dict.fromkeys(("differences", "tie_effect", "order_effect", "log_likelihood"), reason),
            reason=reason,
        )
    return _estimated(base, data, fit, clusters is not None, level)


_METHOD: Final = "Wald, sandwich errors, Student t"


class _Data:
    """The judgments as counts of what was shown, what was said and in which cluster."""

    def __init__(
        self, names: Sequence[str], rows: Sequence[tuple[str, str, Verdict, Hashable]], order_effect: bool
    ) -> None:
        self.names, self.rows, self.with_order = names, rows, order_effect
        place = {name: index for index, name in enumerate(names)}
        self.counts = Counter((place[first], place[second], verdict) for first, second, verdict, _ in rows)
        self.with_ties = any(verdict == "tie" for _, _, verdict in self.counts)
        self.clusters: defaultdict[Hashable, Counter[tuple[int, int, Verdict]]] = defaultdict(Counter)
        for first, second, verdict, key in rows:
            self.clusters[key][place[first], place[second], verdict] += 1

    @property
    def size(self) -> int:
        return len(self.names) + self.with_ties + self.with_order

    def features(self, first: int, second: int) -> dict[Verdict, dict[int, float]]:
        """Return what each verdict's chance rests on: the parameters that are added up, each with its weight."""
        at, found = len(self.names), dict[Verdict, dict[int, float]]()
        found["first"], found["second"] = {first: 1.0}, {second: 1.0}
        if self.with_ties:
            found["tie"] = {first: 0.5, second: 0.5, at: 1.0}
            at += 1
        if self.with_order:
            found["first"][at] = 1.0
            if self.with_ties:
                found["tie"][at] = 0.5
        return found

    def fault(self) -> str | None:
        """Return why there is no estimate, as far as the graph of who won against whom tells."""
        if len(self.names) < 2 or not self.rows:
            return f"{len(self.names)} models with {len(self.rows)} verdicts: two models and a verdict are needed"
        if all(verdict == "tie" for _, _, verdict in self.counts):
            return "every judgment is a tie: strengths are equal, and their errors can't be told"
        beats: defaultdict[int, set[int]] = defaultdict(set)
        met: defaultdict[int, set[int]] = defaultdict(set)
        for first, second, verdict in self.counts:
            met[first].add(second)
            met[second].add(first)
            if verdict != "second":
                beats[first].add(second)
            if verdict != "first":
                beats[second].add(first)
        everyone = set(range(len(self.names)))
        part = _reached(0, met)
        if part != everyone:
            return f"{self._said(part)} were never judged against {self._said(everyone - part)}: not comparable"
        beaten_by: defaultdict[int, set[int]] = defaultdict(set)
        for winner, losers in beats.items():
            for loser in losers:
                beaten_by[loser].add(winner)
        below, above = _reached(0, beats), _reached(0, beaten_by)
        if below != everyone:  # none of these has won against one of the rest
            return f"{self._said(everyone - below)} won every judgment against {self._said(below)}: infinitely apart"
        if above != everyone:
            return f"{self._said(above)} won every judgment against {self._said(everyone - above)}: infinitely apart"
        if self.with_ties and self._in_steps():
            return "strengths in equal steps explain every win as a step up, and every tie as less: none are best"
        return None

    def _in_steps(self) -> bool:
        """Whether some strengths differ by at least 1 wherever one won, and by at most 1 wherever there was a tie.

        Multiples of these, with a tie effect that grows along, make the likelihood grow without end. Such strengths
        exist unless a cycle of these bounds adds up to less than 0 (Bellman 1958, Quarterly of Applied Mathematics 16,
        87-90).
        """
        bounds = []
        for first, second, verdict in self.counts:
            if verdict == "tie":
                bounds += [(first, second, 1.0), (second, first, 1.0)]
            else:
                winner, loser = (first, second) if verdict == "first" else (second, first)
                bounds.append((winner, loser, -1.0))
        most = [0.0] * len(self.names)
        for _ in range(len(self.names) + 1):
            tightened = False
            for above, below, step in bounds:  # strength of `below` <= strength of `above` + step
                if most[above] + step < most[below] - 1e-9:
                    most[below], tightened = most[above] + step, True
            if not tightened:
                return True
        return False

    def _said(self, models: set[int]) -> str:
        names = [self.names[place] for place in sorted(models)]
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _reached(start: int, to: Mapping[int, set[int]]) -> set[int]:
    found, waiting = {start}, [start]
    while waiting:
        for each in to.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


@attrs.frozen
class _Fit:
    parameters: list[float]
    log_likelihood: float
    inverse: list[list[float]]
    """Of the information: the covariance, if judgments are independent and the model holds."""


def _chances(data: _Data, parameters: Sequence[float], first: int, second: int) -> dict[Verdict, float]:
    features = data.features(first, second)
    logs = {v: math.fsum(weight * parameters[at] for at, weight in f.items()) for v, f in features.items()}
    most = max(logs.values())
    weights = {verdict: math.exp(value - most) for verdict, value in logs.items()}
    total = math.fsum(weights.values())
    return {verdict: weight / total for verdict, weight in weights.items()}


def _score(
    data: _Data, chances: Mapping[Verdict, float], first: int, second: int, verdict: Verdict
) -> dict[int, float]:
    """Return the gradient of one judgment's log-likelihood: the verdict's features less their expectation."""
    features = data.features(first, second)
    found = defaultdict(float, features[verdict])
    for other, chance in chances.items():
        for at, weight in features[other].items():
            found[at] -= chance * weight
    return found


def _fitted(data: _Data) -> _Fit | None:
    """Maximise the likelihood, which is concave in these parameters, by Newton's method with halved steps.

    The mean of strengths is held at 0 by the square of their sum, which the likelihood does not depend on.
    """
    shown: defaultdict[tuple[int, int], Counter[Verdict]] = defaultdict(Counter)
    for (first, second, verdict), count in sorted(data.counts.items()):
        shown[first, second][verdict] += count
    size = data.size

    def value(at: Sequence[float]) -> float:
        parts = []
        for (first, second), verdicts in shown.items():
            chances = _chances(data, at, first, second)
            parts += [count * math.log(max(chances[v], 1e-300)) for v, count in verdicts.items()]
        return math.fsum(parts)

    parameters = [0.0] * size
    current = value(parameters)
    for _ in range(_STEPS):
        gradient, information = _slopes(data, shown, parameters)
        inverse = _inverse(information)
        if inverse is None:
            return None
        step = [math.fsum(a * b for a, b in zip(row, gradient, strict=True)) for row in inverse]
        if max(map(abs, step)) < 1e-10:
            return _Fit(parameters, current, inverse)
        there, found = parameters, -math.inf
        while found < current - 1e-12 * abs(current) and max(map(abs, step)) >= 1e-10:
            there = [at + by for at, by in zip(parameters, step, strict=True)]
            found = value(there)
            step = [by / 2.0 for by in step]
        parameters, current = there, found
        if max(map(abs, parameters)) > _LARGEST:
            return None
    return None


def _slopes(
    data: _Data, shown: Mapping[tuple[int, int], Mapping[Verdict, int]], parameters: Sequence[float]
) -> tuple[list[float], list[list[float]]]:
    """Return the gradient of the log-likelihood and its information, with 1 added for the mean of strengths."""
    models, size = len(data.names), data.size
    gradient, information = [0.0] * size, [[0.0] * size for _ in range(size)]
    for (first, second), verdicts in shown.items():
        chances, features = _chances(data, parameters, first, second), data.features(first, second)
        total = sum(verdicts.values())
        expected: defaultdict[int, float] = defaultdict(float)
        for verdict, chance in chances.items():
            for i, weight in features[verdict].items():
                gradient[i] += (verdicts.get(verdict, 0) - total * chance) * weight
                expected[i] += chance * weight
                for j, other in features[verdict].items():
                    information[i][j] += total * chance * weight * other
        for i, x in expected.items():
            for j, y in expected.items():
                information[i][j] -= total * x * y
    for i in range(models):
        for j in range(models):
            information[i][j] += 1.0
    return gradient, information


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]] | None:
    """Invert a positive definite matrix by Gauss and Jordan's elimination; `None` if it is singular."""
    size = len(matrix)
    rows = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    largest = max(abs(value) for row in matrix for value in row)
    for i in range(size):
        pivot = max(range(i, size), key=lambda row: abs(rows[row][i]))
        if abs(rows[pivot][i]) <= 1e-13 * largest:
            return None
        rows[i], rows[pivot] = rows[pivot], rows[i]
        head = rows[i][i]
        rows[i] = [value / head for value in rows[i]]
        for j in range(size):
            factor = rows[j][i]
            if j != i and factor:
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]


def _covariance(data: _Data, fit: _Fit) -> tuple[list[list[float]], int]:
    """Return the sandwich covariance of the parameters, G / (G - 1) times, and the number G of clusters."""
    size = data.size
    chances = {(first, second): _chances(data, fit.parameters, first, second) for first, second, _ in data.counts}
    scores = {
        (first, second, verdict): _score(data, chances[first, second], first, second, verdict)
        for first, second, verdict in data.counts
    }
    meat = [[0.0] * size for _ in range(size)]
    repeated: Counter[tuple[tuple[tuple[int, int, Verdict], int], ...]] = Counter(
        tuple(sorted(counts.items())) for counts in data.clusters.values()
    )
    for counts, times in sorted(repeated.items()):
        total: defaultdict[int, float] = defaultdict(float)
        for judged, count in counts:
            for at, value in scores[judged].items():
                total[at] += count * value
        for i, x in total.items():
            for j, y in total.items():
                meat[i][j] += times * x * y
    groups = len(data.clusters)
    factor = groups / (groups - 1.0) if groups > 1 else math.nan
    half = _product(fit.inverse, meat)
    return [[factor * value for value in row] for row in _product(half, fit.inverse)], groups


def _product(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> list[list[float]]:
    columns = list(zip(*b, strict=True))
    return [[math.fsum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a]


def _counted(data: _Data, level: float, left_out: int) -> PairwiseStrengths:
    wins: Counter[str] = Counter()
    losses: Counter[str] = Counter()
    ties: Counter[str] = Counter()
    for first, second, verdict, _ in data.rows:
        if verdict == "tie":
            ties.update((first, second))
        else:
            wins[first if verdict == "first" else second] += 1
            losses[second if verdict == "first" else first] += 1
    none = Interval(level=level, method=_METHOD)
    return PairwiseStrengths(
        strengths=[
            Strength(name=name, interval=none, wins=wins[name], losses=losses[name], ties=ties[name])
            for name in data.names
        ],
        tie_interval=none.evolve(reason="there is no tie"),
        order_interval=none.evolve(reason="no order effect was asked for"),
        judgments=len(data.rows),
        left_out=left_out,
        warnings=[f"{left_out} judgments have no verdict, and were left out"] if left_out else (),
    )


def _estimated(base: PairwiseStrengths, data: _Data, fit: _Fit, clustered: bool, level: float) -> PairwiseStrengths:
    covariance, groups = _covariance(data, fit)
    freedom = groups - 1.0
    few = f"{groups} {'clusters' if clustered else 'judgments'}"
    reason = None if groups > 1 else f"{few}: two are needed for an error"

    def of(weights: Mapping[int, float]) -> tuple[float, float | None, Interval]:
        value = math.fsum(weight * fit.parameters[at] for at, weight in weights.items())
        none = Interval(level=level, method=_METHOD, reason=reason)
        if reason is not None:
            return value, None, none
        spread = math.fsum(x * y * covariance[i][j] for i, x in weights.items() for j, y in weights.items())
        error = math.sqrt(max(0.0, spread))
        if error == 0.0:
            return value, None, none.evolve(reason="no variation between clusters")
        return value, error, t_interval(value, error, freedom, level=level, method=_METHOD)

    strengths = []
    for place, each in enumerate(base.strengths):
        value, error, interval = of({place: 1.0})
        strengths.append(each.evolve(strength=value, standard_error=error, interval=interval))
    met = Counter(frozenset((first, second)) for first, second, _, _ in data.rows)
    differences = []
    for i, name_a in enumerate(data.names):
        for j in range(i + 1, len(data.names)):
            value, error, interval = of({j: 1.0, i: -1.0})
            differences.append(
                StrengthDifference(
                    name_a=name_a,
                    name_b=data.names[j],
                    difference=value,
                    standard_error=error,
                    interval=interval,
                    win_probability=1.0 / (1.0 + math.exp(-value)),
                    test=t_test(value, error, freedom),
                    judgments=met[frozenset((name_a, data.names[j]))],
                )
            )
    found = base.evolve(
        strengths=sorted(strengths, key=lambda each: (-(each.strength or 0.0), each.name)),
        differences=differences,
        clusters=groups if clustered else None,
        degrees_of_freedom=freedom if freedom > 0.0 else None,
        log_likelihood=fit.log_likelihood,
    )
    at = len(data.names)
    if data.with_ties:
        value, _, interval = of({at: 1.0})
        found = found.evolve(tie_effect=value, tie_interval=interval)
        at += 1
    if data.with_order:
        value, _, interval = of({at: 1.0})
        found = found.evolve(order_effect=value, order_interval=interval)
    if groups < _FEW:
        found = found.evolve(warnings=(*found.warnings, f"{few}: under {_FEW} the intervals are too short"))
    return found
