"""A column of a leaderboard: its rows compared in one family, ranked, and those that can't be told apart.

Every claim of a column, that one row is better than another, is decided together with all others of the column, so
that all of them, the intervals of ranks and the letters hold at once with the stated chance. A column knows nothing of
other columns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from themis.pure.leaderboards.letters import letter_groups, letters_of
from themis.pure.leaderboards.records import Cell, Column, Difference, HeatMap, Verdict
from themis.pure.stats.every_pair import compare_every, every_two
from themis.pure.stats.groups import satterthwaite
from themis.pure.stats.intervals import t_interval
from themis.pure.stats.pairs import CaseScores, PairedMethod, largest_p
from themis.pure.stats.ranks import Rank, Shown, directed, ranked
from themis.pure.stats.records import Interval, PairedComparison, SignificanceTest
from themis.pure.stats.significance import t_test

_MACRO: Final = "stratified paired Student t (Satterthwaite)"


@attrs.frozen(kw_only=True)
class Family:
    """How the rows of a column are compared.

    Attributes:
        level: nominal coverage of intervals, and of all decisions of a column at once.
        baseline: the row that others are compared with; `None` if every two are.
        clusters: case key -> cluster, if cases are clustered.
    """

    level: float
    baseline: str | None = None
    clusters: Mapping[str, str] | None = None

    @property
    def alpha(self) -> float:
        """The error rate of all decisions of a column."""
        return round(1.0 - self.level, 12)

    def pairs(self, names: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Return which rows are compared; the baseline comes first in each pair."""
        if self.baseline is None:
            return every_two(sorted(names))
        if self.baseline not in names:
            return []
        return [(self.baseline, name) for name in sorted(names) if name != self.baseline]


def compared(
    tables: Mapping[str, CaseScores], metric_id: str, score_range: tuple[float, float] | None, family: Family
) -> list[PairedComparison]:
    """Compare the rows of a column by their cases' scores."""
    return compare_every(
        tables,
        family.pairs(list(tables)),
        metric_id=metric_id,
        clusters=family.clusters,
        score_range=score_range,
        method=PairedMethod(level=family.level, power=max(PairedMethod().power, (2.0 - family.level) / 2.0)),
    )


@attrs.frozen(kw_only=True)
class Claim:
    """Two rows compared, before all claims of the column are decided together.

    Attributes:
        difference: what is known; its decision is not.
        worst: the largest p-value that what is left out allows; `None` if nothing is left out.
    """

    difference: Difference
    worst: float | None = None

    @classmethod
    def of(cls, found: PairedComparison) -> Claim:
        """Return the claim of a paired comparison."""
        gone = found.if_left_out or found.if_missing
        return cls(
            difference=Difference(
                a=found.label_a,
                b=found.label_b,
                pairs=found.pairs,
                left_out=found.unmatched_a + found.unmatched_b + found.unscored + found.changed,
                difference=found.difference,
                interval=found.interval,
                test=found.test,
            ),
            worst=None if gone is None else largest_p(found, gone),
        )


def macro_claim(parts: Sequence[tuple[PairedComparison, float]], level: float, reason: str | None = None) -> Claim:
    """Return the comparison of two rows' macro averages, from those on each benchmark.

    The difference is the sum of the benchmarks' differences by their weights, and its variance the sum of theirs by the
    squares; benchmarks are independent of each other. `reason` says why they are not, if it is known.

    Source: Cochran (1977), Sampling Techniques, 3rd edition, sections 5.3 and 5.4.
    """
    first, total = parts[0][0], math.fsum(weight for _, weight in parts)
    difference: float | None = None
    spreads = list[tuple[float, float]]()
    for found, weight in parts:
        error, freedom = _error_of(found)
        if error is None:
            reason = reason or f"none on a benchmark: {found.test.reason or found.interval.reason or 'no spread'}"
        else:
            spreads.append(((error * weight / total) ** 2, freedom))
    if all(found.difference is not None for found, _ in parts):
        difference = math.fsum((found.difference or 0.0) * weight / total for found, weight in parts)
    error = math.sqrt(math.fsum(variance for variance, _ in spreads))
    if error == 0.0:
        reason = reason or "no variation on any benchmark"
    if reason is not None or difference is None:
        interval, test = (
            Interval(level=level, method=_MACRO, reason=reason),
            SignificanceTest(method=_MACRO, reason=reason),
        )
    else:
        freedom = satterthwaite(spreads)
        interval = t_interval(difference, error, freedom, level=level, method=_MACRO)
        test = t_test(difference, error, freedom).evolve(method=_MACRO)
    return Claim(
        difference=Difference(
            a=first.label_a, b=first.label_b, pairs=len(parts), difference=difference, interval=interval, test=test
        )
    )


def _error_of(found: PairedComparison) -> tuple[float | None, float]:
    """Return the standard error of a difference and its degrees of freedom; 0 where every pair differs by the same."""
    if found.pairs > 1 and (found.ties == found.pairs or found.constant_difference):
        return 0.0, found.pairs - 1.0
    error = found.standard_error if found.clusters is None else found.clustered_standard_error
    return error, found.degrees_of_freedom or 1.0


# --- decisions --------------------------------------------------------------------------------------------


def decided(
    column: Column, claims: Sequence[Claim], cells: Mapping[str, Cell], family: Family
) -> tuple[Column, dict[str, Cell]]:
    """Return a column with its claims decided, and its cells with what follows: ranks, letters, and what is best.

    Args:
        column: the column.
        claims: the comparisons.
        cells: of each row; those without an estimate stay as they are.
        family: how rows are compared.
    """
    sign = 1.0 if column.higher_is_better else -1.0
    shown = [_shown(claim.difference, sign, claim.difference.test.p_value) for claim in claims]
    at_worst = [
        _shown(claim.difference, sign, claim.difference.test.p_value if claim.worst is None else claim.worst)
        for claim in claims
    ]
    any_left_out = any(claim.worst is not None for claim in claims)
    differences = [
        _decision(claim, p, p_worst, family.alpha)
        for claim, p, p_worst in zip(claims, directed(shown), directed(at_worst), strict=True)
    ]
    values = {
        name: sign * cell.estimate.mean
        for name, cell in cells.items()
        if cell.estimate is not None and cell.estimate.mean is not None
    }
    best = max(values.values(), default=None)
    firsts = {name for name, value in values.items() if value == best}
    found = dict(cells)
    for name in values:
        found[name] = found[name].evolve(is_best=name in firsts)
    if family.baseline is not None:
        found = _against(found, differences, family.baseline, sign)
    else:
        held = ranked(dict.fromkeys(values), at_worst, alpha=family.alpha) if any_left_out else ()
        found = _ranked(found, ranked(values, shown, alpha=family.alpha), held, sign)
        apart = {frozenset((each.a, each.b)) for each in differences if each.apart}
        letters = letters_of(letter_groups(sorted(values, key=lambda name: (-values[name], name)), apart))
        for name in values:
            alike = name not in firsts and any(frozenset((name, first)) not in apart for first in firsts)
            found[name] = found[name].evolve(letters=letters[name], is_like_best=alike)
    return column.evolve(differences=differences, notes=[*column.notes, *_notes(differences, family.alpha)]), found


def _shown(found: Difference, sign: float, p: float | None) -> Shown:
    return found.a, found.b, None if found.difference is None else sign * found.difference, p


def _decision(claim: Claim, p: float, p_worst: float, alpha: float) -> Difference:
    found = claim.difference
    apart = p <= alpha and bool(found.difference)
    holds = p_worst <= alpha if apart and claim.worst is not None else None
    return found.evolve(p_adjusted=None if found.test.p_value is None else p, apart=apart, holds=holds)


def _against(
    cells: Mapping[str, Cell], differences: Sequence[Difference], baseline: str, sign: float
) -> dict[str, Cell]:
    found = dict(cells)
    for each in differences:
        verdict: Verdict = "not told apart"
        if each.apart and each.difference:
            verdict = "better" if sign * each.difference > 0.0 else "worse"
        found[each.b] = found[each.b].evolve(against=verdict)
    return found


def _ranked(cells: Mapping[str, Cell], ranks: Sequence[Rank], held: Sequence[Rank], sign: float) -> dict[str, Cell]:
    found, at_worst = dict(cells), {each.name: each for each in held}
    for each in ranks:
        estimate, worst = cells[each.name].estimate, at_worst.get(each.name)
        assert estimate is not None  # only these have values
        found[each.name] = cells[each.name].evolve(
            rank=each.evolve(
                value=estimate.mean,
                scored=estimate.scored,
                missing=estimate.missing,
                best_if_missing=None if worst is None else worst.best,
                worst_if_missing=None if worst is None else worst.worst,
            )
        )
    return found


def _notes(differences: Sequence[Difference], alpha: float) -> list[str]:
    notes = []
    apart = sum(each.apart for each in differences)
    if differences:
        notes.append(f"{apart} of {len(differences)} pairs of rows are told apart")
    uneven = [each for each in differences if each.left_out]
    if uneven:
        most = max(each.left_out for each in uneven)
        notes.append(
            f"{len(uneven)} of {len(differences)} comparisons leave cases out that one of the rows lacks, has no score "
            f"for, or has with another content: {most:,} at most"
        )
    lost = [each for each in differences if each.holds is False]
    if lost:
        notes.append(f"{len(lost)} of these decisions could be overturned by what is left out")
    drawn = [each.test.resamples for each in differences if each.test.resamples]
    if drawn and len(differences) / (min(drawn) + 1) > alpha:
        notes.append(
            f"of {len(differences)} comparisons none whose p-value is drawn can be decided: {min(drawn):,} draws can't "
            "show one that is small enough"
        )
    return notes


# --- the heat map -----------------------------------------------------------------------------------------

_MOST_BANDS: Final = 60


def heat_map(column: str, tables: Mapping[str, CaseScores], score_range: tuple[float, float] | None) -> HeatMap:
    """Return how rows did on the cases, those that all found hardest first, in bands of as many cases each.

    Args:
        column: its name.
        tables: scores by case, by row, in the order of the rows.
        score_range: the lowest and the highest possible score, if they are known.
    """
    totals: dict[str, list[float]] = {}
    for table in tables.values():
        for key, scores in table.scores.items():
            if scores:
                totals.setdefault(key, []).append(scores[0] if len(scores) == 1 else math.fsum(scores) / len(scores))
    order = sorted(totals, key=lambda key: (math.fsum(totals[key]) / len(totals[key]), key))
    count = min(len(order), _MOST_BANDS)
    edges = [round(len(order) * i / count) for i in range(count + 1)] if count else [0]
    bands = [[_band(table, order[a:b]) for a, b in itertools.pairwise(edges)] for table in tables.values()]
    every = [value for row in bands for value in row if value is not None]
    low, high = score_range if score_range is not None else (min([0.0, *every]), max([1.0, *every]))
    return HeatMap(
        column=column, rows=list(tables), cases=len(order), bands=[tuple(row) for row in bands], low=low, high=high
    )


def _band(table: CaseScores, keys: Sequence[str]) -> float | None:
    found = [math.fsum(scores) / len(scores) for key in keys if (scores := table.scores.get(key))]
    return math.fsum(found) / len(found) if found else None
