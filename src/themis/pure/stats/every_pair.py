"""Every two of several runs compared: what `compare_cases` says of each two, in the time that a leaderboard has.

Fifty runs make 1,225 pairs. Where runs have the same cases with one score each, and nothing is missing, what depends on
one run alone is worked out once for it; of scores that are all 0 or 1, the counts of a pair's wins and losses are all
that its comparison depends on. Other pairs are compared one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.stats.bounds import Range
from themis.pure.stats.estimates import range_of, within_range
from themis.pure.stats.pairs import CaseScores, PairedMethod, compare_cases, compare_differences, differences_of
from themis.pure.stats.records import Interval, PairedComparison, SignificanceTest
from themis.pure.stats.samples import is_binary, mean

_LEFT_OUT: Final = SignificanceTest(method="none", reason="only the test that decides was made")


@attrs.frozen(kw_only=True)
class _Plain:
    """A run whose cases have one score each.

    Attributes:
        values: in the order of the case keys.
        ones: of scores that are 0 or 1, a binary digit for each that is 1; `None` if there are others.
    """

    values: Sequence[float]
    mean: float
    low: float
    high: float
    ones: int | None

    @classmethod
    def of(cls, values: Sequence[float]) -> _Plain:
        ones = int("".join("1" if value else "0" for value in values), 2) if is_binary(values) else None
        return cls(values=values, mean=mean(values), low=min(values), high=max(values), ones=ones)


def compare_every(
    runs: Mapping[str, CaseScores],
    pairs: Iterable[tuple[str, str]],
    *,
    metric_id: str,
    clusters: Mapping[str, str] | None = None,
    score_range: Range | None = None,
    method: PairedMethod,
) -> list[PairedComparison]:
    """Compare these pairs of runs, in their order, as `compare_cases` does; only the test that decides is made.

    What depends on the family of comparisons is left to whoever knows it.

    Args:
        runs: scores by case, by the runs' names.
        pairs: names of two runs each; differences are the second's less the first's.
        metric_id, clusters, score_range, method: as for `paired_compare`.
    """
    layouts: dict[tuple[str, ...], int] = {}
    plain: dict[str, tuple[int, _Plain]] = {}
    for name, table in runs.items():
        if clusters is None and table.scores and table.whole and not table.missing and not table.ranges:
            keys = tuple(sorted(table.scores))
            values = [score for key in keys for score in table.scores[key]]
            if len(values) == len(keys):
                within_range("compare_every", values, score_range)
                plain[name] = layouts.setdefault(keys, len(layouts)), _Plain.of(values)
    found = []
    for a, b in pairs:
        (layout_a, plain_a), (layout_b, plain_b) = plain.get(a, _NOT_PLAIN), plain.get(b, _NOT_PLAIN)
        if plain_a is not None and plain_b is not None and layout_a == layout_b:
            found.append(_compared(plain_a, plain_b, (metric_id, a, b), score_range, method))
        else:
            compared = compare_cases(
                runs[a],
                runs[b],
                metric_id=metric_id,
                label_a=a,
                label_b=b,
                clusters=clusters,
                score_range=score_range,
                method=method,
            )
            found.append(compared.evolve(sign_test=_LEFT_OUT, wilcoxon=_LEFT_OUT))
    return found


_NOT_PLAIN: Final = (-1, None)


def _compared(
    a: _Plain, b: _Plain, names: tuple[str, str, str], score_range: Range | None, method: PairedMethod
) -> PairedComparison:
    count = len(a.values)
    binary = a.ones is not None and b.ones is not None
    if a.ones is not None and b.ones is not None:
        wins, losses = (b.ones & ~a.ones).bit_count(), (a.ones & ~b.ones).bit_count()
        differences = [1.0] * wins + [-1.0] * losses + [0.0] * (count - wins - losses)
    else:
        differences = differences_of(a.values, b.values)
    base = PairedComparison(
        metric_id=names[0],
        label_a=names[1],
        label_b=names[2],
        pairs=count,
        rows_a=count,
        rows_b=count,
        mean_a=a.mean,
        mean_b=b.mean,
        binary=binary,
        score_range=range_of((min(a.low, b.low), max(a.high, b.high)), score_range),
        interval=Interval(level=method.level, method="none"),
        test=_LEFT_OUT,
        sign_test=_LEFT_OUT,
        wilcoxon=_LEFT_OUT,
        alpha=round(1.0 - method.level, 12),
        power=method.power,
    )
    return compare_differences(base, differences, None, method)


def every_two(names: Iterable[str]) -> Sequence[tuple[str, str]]:
    """Return all pairs of names, the earlier first.

    >>> every_two("abc")
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    return list(itertools.combinations(names, 2))
