"""Several runs or models at once: every two of them compared in one family, and the ranks that follow, with intervals.

A rank is 1 for the best. A model's rank is at least 1 more than the number of those that are shown to be better, and at
most the number of models less those that are shown to be worse. Where all comparisons are decided in one family, so
that no decision at all is wrong with the stated chance, all these intervals hold at once with that chance.

Source: Mogstad, Romano, Shaikh and Wilhelm (2024), Review of Economic Studies 91, 476-518, section 3; Al Mohamad, van
Zwet, Goeman and Solari (2021), Electronic Journal of Statistics 15, 5701-5730; the family by Holm (1979).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.stats.arguments import Alpha, ScoreRange, checked_arguments, refuse_unless
from themis.pure.stats.bradley_terry import PairwiseStrengths
from themis.pure.stats.pairs import CaseScores, PairedMethod, Scored, adjusted, compare_cases, largest_p
from themis.pure.stats.records import DEFAULT_ALPHA, PairedComparison
from themis.pure.stats.samples import mean
from themis.pure.stats.significance import holm

Shown = tuple[str, str, float | None, float | None]
"""Two names, by how much the second exceeds the first, and the two-sided p-value of no difference."""


@attrs.frozen(kw_only=True)
class Rank(HashableModel):
    """One run's or model's rank: 1 is the best.

    Attributes:
        name: of the run or the model.
        value: what it is ranked by; `None` if there is nothing to rank it by, which leaves every rank possible.
        rank: by `value` alone: 1 more than how many are better. Equal ones share it. `None` without a value.
        best: the lowest rank that it could have.
        worst: the highest.
        best_if_missing: `best`, whatever scores are missing; `None` if none is.
        worst_if_missing: `worst`, whatever scores are missing.
        scored: how many cases it has a score of.
        missing: how many cases that another run has lack a score here.
    """

    name: str
    value: float | None = None
    rank: int | None = None
    best: int
    worst: int
    best_if_missing: int | None = None
    worst_if_missing: int | None = None
    scored: int | None = None
    missing: int | None = None


@attrs.frozen(kw_only=True)
class Ranking(HashableModel):
    """Several runs on one metric: every two compared, and ranks with intervals.

    Attributes:
        metric_id: the metric.
        ranks: best first; equal ones by name.
        comparisons: of every two runs, adjusted over all of them; the later name's score less the earlier's.
        level: how often all rank intervals hold at once, nominally.
        method: how they were made.
        warnings: what a reader should know.
    """

    metric_id: str
    ranks: tuple[Rank, ...] = attrs.field(converter=sequence)
    comparisons: tuple[PairedComparison, ...] = attrs.field(default=(), converter=sequence)
    level: float
    method: str = "pairwise tests, Holm (Mogstad et al. 2024)"
    warnings: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@checked_arguments
def rank_runs(
    runs: Mapping[str, Iterable[Scored]],
    *,
    metric_id: str = "score",
    clusters: Mapping[str, str] | None = None,
    score_range: ScoreRange | None = None,
    higher_is_better: bool = True,
    method: PairedMethod | None = None,
) -> Ranking:
    """Compare every two of several runs over the cases that both scored, in one family, and rank all.

    Args:
        runs: name -> (case key, score or `None`), a row per sample.
        metric_id: the metric's name, for the record.
        clusters: case key -> cluster; a case without one is a cluster of its own.
        score_range: lowest and highest possible score, for what missing scores could change; (0, 1) if all lie there.
        higher_is_better: whether rank 1 is the highest mean, or the lowest.
        method: of the comparisons; its level is that of all rank intervals at once.

    A run's value is the mean over its own scored cases; comparisons are over what two runs share, which may order two
    runs otherwise where many scores are missing.

    Raises:
        StatisticsError: fewer than two runs.

    >>> right = {"x": 9, "y": 5, "z": 5}
    >>> runs = {name: [(str(i), float(i % 10 < of_ten)) for i in range(200)] for name, of_ten in right.items()}
    >>> [(each.name, each.rank, each.best, each.worst) for each in rank_runs(runs).ranks]
    [('x', 1, 1, 1), ('y', 2, 2, 3), ('z', 2, 2, 3)]
    """
    refuse_unless(len(runs) > 1, "rank_runs", "runs", sorted(runs), "two runs at least")
    usual = method or PairedMethod()
    tables = {name: CaseScores.of(runs[name], name) for name in sorted(runs)}
    compared = adjusted(
        [
            compare_cases(
                tables[a],
                tables[b],
                metric_id=metric_id,
                label_a=a,
                label_b=b,
                clusters=clusters,
                score_range=score_range,
                method=usual,
            )
            for a, b in itertools.combinations(tables, 2)
        ]
    )
    alpha, better = round(1.0 - usual.level, 12), 1.0 if higher_is_better else -1.0
    cases = {key for table in tables.values() for key in table.scores}
    values = {
        name: mean([mean(scores) for scores in table.scores.values() if scores]) if any(table.scores.values()) else None
        for name, table in tables.items()
    }
    ranks = ranked(
        {name: None if value is None else better * value for name, value in values.items()},
        [(c.label_a, c.label_b, _times(better, c.difference), c.test.p_value) for c in compared],
        alpha=alpha,
    )
    missing = [c.if_left_out or c.if_missing for c in compared]
    worst = ranked(
        dict.fromkeys(values),
        [
            (c.label_a, c.label_b, _times(better, c.difference), largest_p(c, gone))
            for c, gone in zip(compared, missing, strict=True)
        ],
        alpha=alpha,
    )
    at_worst = {each.name: each for each in worst} if any(missing) else {}
    finished = []
    for each in ranks:
        scored = sum(bool(scores) for scores in tables[each.name].scores.values())
        held = at_worst.get(each.name)
        finished.append(
            each.evolve(
                value=values[each.name],
                scored=scored,
                missing=len(cases) - scored,
                best_if_missing=None if held is None else held.best,
                worst_if_missing=None if held is None else held.worst,
            )
        )
    gaps = [f"{each.missing} cases lack a score in {each.name}" for each in finished if each.missing]
    return Ranking(metric_id=metric_id, ranks=finished, comparisons=compared, level=usual.level, warnings=gaps)


def _times(sign: float, difference: float | None) -> float | None:
    return None if difference is None else sign * difference


@checked_arguments
def rank_strengths(strengths: PairwiseStrengths, *, alpha: Alpha = DEFAULT_ALPHA) -> tuple[Rank, ...]:
    """Rank models by their Bradley-Terry strengths, with intervals that hold at once with chance 1 - alpha.

    >>> from themis.pure.stats.bradley_terry import bradley_terry
    >>> games = [("x", "y", "first")] * 30 + [("y", "x", "first")] * 9 + [("y", "z", "first"), ("z", "y", "first")] * 20
    >>> [(each.name, each.best, each.worst) for each in rank_strengths(bradley_terry(games))]
    [('x', 1, 1), ('y', 2, 3), ('z', 2, 3)]
    """
    known = {each.name for each in strengths.strengths}
    strange = next((n for each in strengths.differences for n in (each.name_a, each.name_b) if n not in known), None)
    refuse_unless(strange is None, "rank_strengths", "a difference's model", strange, "one that has a strength")
    return ranked(
        {each.name: each.strength for each in strengths.strengths},
        [(each.name_a, each.name_b, each.difference, each.test.p_value) for each in strengths.differences],
        alpha=alpha,
    )


def directed(shown: Sequence[Shown]) -> list[float]:
    """Return for each comparison the p-value of the claim that the one that is ahead is better, adjusted over all.

    Each comparison is of two one-sided hypotheses, of which the one against what was observed has half of the two-sided
    p-value. Holm's adjustment is over all of them, so that neither a decision nor its direction is wrong.

    >>> directed([("x", "y", 0.25, 0.01), ("x", "z", 0.0, None)])
    [0.02, 1.0]
    """
    halves = [1.0 if p is None or not difference else p / 2.0 for _, _, difference, p in shown]
    return [1.0 if p is None else p for p in holm([*halves, *([1.0] * len(halves))])[: len(halves)]]


def ranked(values: Mapping[str, float | None], shown: Sequence[Shown], *, alpha: float) -> tuple[Rank, ...]:
    """Return the ranks of some values, with what comparisons of every two of them allow.

    Args:
        values: by which the ranks go; higher is better.
        shown: of every two names; each is decided as `directed` says.
        alpha: the error rate of all decisions together.
    """
    better, worse = dict.fromkeys(values, 0), dict.fromkeys(values, 0)
    for (a, b, difference, _), p in zip(shown, directed(shown), strict=True):
        if p <= alpha and difference:
            above, below = (b, a) if difference > 0.0 else (a, b)
            better[below] += 1
            worse[above] += 1
    known = [value for value in values.values() if value is not None]
    ranks = [
        Rank(
            name=name,
            value=value,
            rank=None if value is None else 1 + sum(other > value for other in known),
            best=1 + better[name],
            worst=len(values) - worse[name],
        )
        for name, value in values.items()
    ]
    return tuple(sorted(ranks, key=lambda each: (each.rank is None, each.rank or 0, each.name)))
