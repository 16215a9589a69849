"""Statistics of two runs, such as a median latency, and rankings of several, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from themis.pure.report.terminal import plain_table
from themis.pure.stats.paired_bootstrap import PairedStatistic
from themis.pure.stats.ranks import Ranking
from themis.pure.stats.wording import number, p_text
from themis.pure.text import printable

_CONTRASTS = {"difference": "b - a", "ratio": "b / a", "of_differences": "of b - a"}


def statistics_text(found: Sequence[PairedStatistic]) -> str:
    """Return comparisons of statistics for a terminal: a table, what decides on each, and what was left out."""
    contrast = _CONTRASTS[found[0].contrast] if found else ""
    level = found[0].interval.level if found else 0.95
    header = ["measure", "statistic", "a", "b", contrast, f"{100 * level:g}% interval", "p (Holm)", "pairs"]
    table = plain_table(header, [_cells(each) for each in found])
    return printable("\n\n".join([table, "\n".join(line for each in found for line in _sentences(each))]))


def _cells(each: PairedStatistic) -> Sequence[str]:
    ends = each.interval.low, each.interval.high
    return (
        each.name,
        each.statistic,
        *("-" if value is None else number(value) for value in (each.value_a, each.value_b, each.value)),
        " to ".join("-" if end is None else number(end) for end in ends) if each.interval.defined else "-",
        "-" if each.p_holm is None else "<0.0001" if each.p_holm < 0.0001 else number(round(each.p_holm, 4)),
        str(each.pairs),
    )


def _sentences(each: PairedStatistic) -> Iterator[str]:
    """Say what a comparison of a statistic found, and what was left out of it."""
    what = f"{each.name}, {each.statistic}"
    if each.value is None or not each.interval.defined:
        yield f"{what}: no interval: {each.interval.reason}"
    else:
        null = 1.0 if each.contrast == "ratio" else 0.0
        apart = not each.interval.contains(null)
        p_value = each.test.p_value if each.p_holm is None else each.p_holm
        if p_value is not None and p_value > 1.0 - each.interval.level + 1e-12:
            apart = False  # in this family
        verb = "is lower" if each.value < null else "is higher"
        said = f"{each.label_b} {verb} than {each.label_a}" if apart else "the runs are not told apart"
        error = max(each.monte_carlo_low or 0.0, each.monte_carlo_high or 0.0)
        drawn = "" if each.resamples is None else f", its ends good to {number(error)}"
        p_said = "" if p_value is None else f"; {p_text(p_value)}"
        yield f"{what}: {said} ({each.interval.method}{drawn}{p_said})"
    if each.lowest is not None and each.highest is not None:
        yield f"{what}: counting what is missing, b - a lies between {number(each.lowest)} and {number(each.highest)}"
    yield from (f"{what}: warning: {warning}" for warning in each.warnings)


def ranking_text(ranking: Ranking) -> str:
    """Return a ranking for a terminal: a table, and every two runs that are told apart."""
    header = ["run", ranking.metric_id, "rank", f"{100 * ranking.level:g}% interval", "cases", "missing"]
    bounded = any(each.best_if_missing is not None for each in ranking.ranks)
    if bounded:
        header.append("if missing")
    rows = [
        [
            each.name,
            "-" if each.value is None else f"{each.value:.4f}",
            "-" if each.rank is None else str(each.rank),
            _span(each.best, each.worst),
            "-" if each.scored is None else str(each.scored),
            "-" if each.missing is None else str(each.missing),
            *([_span(each.best_if_missing or each.best, each.worst_if_missing or each.worst)] if bounded else ()),
        ]
        for each in ranking.ranks
    ]
    apart = [each for each in ranking.comparisons if each.significant]
    pairs = f"{len(apart)} of {len(ranking.comparisons)} pairs of runs are told apart ({ranking.method})."
    notes = [f"warning: {warning}" for warning in ranking.warnings]
    return printable("\n\n".join([plain_table(header, rows), "\n".join([pairs, *notes])]))


def _span(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best} to {worst}"
