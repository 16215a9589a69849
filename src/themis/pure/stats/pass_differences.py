"""pass@k or pass^k of two runs on the same problems, compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from themis.pure.stats.arguments import Count, OneOrMore, checked_arguments, refused
from themis.pure.stats.pairs import CaseScores, PairedMethod, adjusted, compare_cases
from themis.pure.stats.pass_at_k import chances
from themis.pure.stats.records import PairedComparison

Samples: TypeAlias = tuple[Count, Count]
"""How many samples of a problem are scored, and how many of these are correct."""


@checked_arguments
def compare_pass_at_k(
    problems_a: Mapping[str, Samples],
    problems_b: Mapping[str, Samples],
    k: OneOrMore,
    *,
    every: bool = False,
    planned: OneOrMore | None = None,
    clusters: Mapping[str, str] | None = None,
    label_a: str = "a",
    label_b: str = "b",
    method: PairedMethod | None = None,
) -> PairedComparison:
    """Compare pass@k of two runs, problem by problem: the difference of their unbiased estimates.

    Args:
        problems_a: problem -> (scored samples n, correct samples c) of the first run.
        problems_b: the same of the second; they may have other numbers of samples.
        k: how many samples are drawn.
        every: pass^k, all k correct, in place of pass@k, at least one correct.
        planned: samples planned per problem in both runs, for what missing ones could change; by default those scored.
        clusters: problem -> cluster; a problem without one is a cluster of its own.
        label_a: the first run's name.
        label_b: the second run's name.
        method: intervals and tests; those of graded scores, as a problem's chance lies between 0 and 1.

    A problem with fewer than k scored samples in either run is left out and counted, unless what is known decides.

    Source: Chen et al. (2021), arXiv 2107.03374; Yao et al. (2024), arXiv 2406.12045; pairs: Miller (2024), arXiv
    2411.00640, section 4.

    >>> a = {f"p{i}": (4, i % 3) for i in range(30)}
    >>> b = {f"p{i}": (8, 2 * (i % 5)) for i in range(30)}
    >>> found = compare_pass_at_k(a, b, 2)
    >>> found.metric_id, found.pairs, round(found.difference, 3)
    ('pass@2', 30, 0.198)
    """
    faults = [
        f"problem {problem!r} of {label} has {correct} correct of {samples} samples; allowed: at most as many"
        for label, problems in ((label_a, problems_a), (label_b, problems_b))
        for problem, (samples, correct) in problems.items()
        if correct > samples
    ]
    if faults:
        raise refused("compare_pass_at_k", faults)
    compared = compare_cases(
        _scores(problems_a, k, planned, every=every),
        _scores(problems_b, k, planned, every=every),
        metric_id=f"pass{'^' if every else '@'}{k}",
        label_a=label_a,
        label_b=label_b,
        clusters=clusters,
        score_range=(0.0, 1.0),
        method=method or PairedMethod(),
    )
    return adjusted([compared])[0]


def _scores(problems: Mapping[str, Samples], k: int, planned: int | None, *, every: bool) -> CaseScores:
    counts = list(problems.values())
    totals = [max(planned or 0, samples) for samples, _ in counts]
    values, lows, highs = chances(counts, totals, k, every=every)
    ranges = {
        problem: (low, high)
        for problem, low, high in zip(problems, lows, highs, strict=True)
        if low is not None and high is not None and low < high
    }
    scores = {problem: () if value is None else (value,) for problem, value in zip(problems, values, strict=True)}
    return CaseScores(scores=scores, ranges=ranges, whole=set(totals) == {k})
