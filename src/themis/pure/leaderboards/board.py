"""A leaderboard, from the scores by row, benchmark and metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from themis.pure.json import EMPTY
from themis.pure.leaderboards.columns import Claim, Family, compared, decided, heat_map, macro_claim
from themis.pure.leaderboards.records import Cell, Column, HeatMap
from themis.pure.leaderboards.scores import RunScores, case_scores, cell_estimate, shared_range
from themis.pure.report.stopped import not_covered
from themis.pure.stats.estimates import observed_clusters, range_of
from themis.pure.stats.groups import estimate_by_group
from themis.pure.stats.pairs import CaseScores
from themis.pure.stats.records import Estimate, PairedComparison

Scores: TypeAlias = Mapping[tuple[str, str, str], Sequence[RunScores]]
"""Row, benchmark and metric -> the scores of its runs."""


@attrs.frozen(kw_only=True)
class Asked:
    """What a leaderboard is asked to show.

    Attributes:
        family: how rows are compared.
        benchmarks: the columns' benchmarks, in order.
        metrics: the metrics, in order.
        lower_is_better: metrics whose lowest mean is best.
        weights: of benchmarks in macro averages.
    """

    family: Family
    benchmarks: Sequence[str]
    metrics: Sequence[str]
    lower_is_better: frozenset[str] = frozenset()
    weights: Mapping[str, float] = EMPTY


@attrs.frozen(kw_only=True)
class _Built:
    """A column of scores, and what averages are made of."""

    column: Column
    cells: Mapping[str, Cell]
    parts: Mapping[str, Sequence[RunScores]]
    comparisons: Mapping[tuple[str, str], PairedComparison]
    heat: HeatMap
    score_range: tuple[float, float] | None


@attrs.frozen(kw_only=True)
class Columns:
    """The columns of a leaderboard, with the cells of each by row; `notes` say which averages there are not."""

    columns: Sequence[Column]
    cells: Sequence[Mapping[str, Cell]]
    heat: Sequence[HeatMap]
    notes: Sequence[str]


def short_metric(metric_id: str) -> str:
    """Return a metric's id as people say it."""
    return metric_id.removeprefix("builtin/")


def columns_of(scores: Scores, rows: Sequence[str], asked: Asked) -> Columns:
    """Return all columns: a metric on a benchmark each, then the averages.

    A column of scores depends on nothing but its own scores.

    Args:
        scores: what there is.
        rows: all rows.
        asked: what to show.
    """
    built = [
        _built(
            benchmark,
            metric,
            {row: scores[row, benchmark, metric] for row in rows if (row, benchmark, metric) in scores},
            rows,
            asked,
        )
        for benchmark in asked.benchmarks
        for metric in asked.metrics
        if any((row, benchmark, metric) in scores for row in rows)
    ]
    averages, notes = list[tuple[Column, Mapping[str, Cell]]](), list[str]()
    for group in _averaged(built):
        whole = [row for row in rows if not _lacking(row, group)]
        if whole:
            averages += _averages(group, rows, whole, asked, of_all=len(group) == len(built))
        else:
            notes.append(f"no average: no row has all of {', '.join(each.column.name for each in group)}")
    return Columns(
        columns=[*(each.column for each in built), *(column for column, _ in averages)],
        cells=[*(each.cells for each in built), *(cells for _, cells in averages)],
        heat=[each.heat for each in built],
        notes=notes,
    )


def _built(
    benchmark: str, metric: str, parts: Mapping[str, Sequence[RunScores]], rows: Sequence[str], asked: Asked
) -> _Built:
    name = f"{benchmark} {short_metric(metric)}"
    column = Column(
        name=name, benchmark=benchmark, metric_id=metric, higher_is_better=metric not in asked.lower_is_better
    )
    cells = {}
    for row in rows:
        if row not in parts:
            cells[row] = Cell(column=name, absent=f"no run of {benchmark} scored by {short_metric(metric)}")
            continue
        estimate = cell_estimate(parts[row], metric, asked.family.clusters, asked.family.level)
        cells[row] = Cell(
            column=name,
            estimate=estimate,
            runs=[part.run_id for part in parts[row]],
            marks=[*_marks(parts[row], estimate)],
        )
    tables = {row: case_scores(of_row, row) for row, of_row in parts.items()}
    score_range = shared_range([part for of_row in parts.values() for part in of_row])
    comparisons = compared(tables, metric, score_range, asked.family)
    column, decided_cells = decided(column, [Claim.of(each) for each in comparisons], cells, asked.family)
    if any(part.stop is not None for of_row in parts.values() for part in of_row):
        note = "runs that a rule could end early: comparisons are those of a number of cases fixed beforehand"
        column = column.evolve(notes=[*column.notes, note])
    return _Built(
        column=column,
        cells=decided_cells,
        parts=parts,
        comparisons={(each.label_a, each.label_b): each for each in comparisons},
        heat=heat_map(name, tables, score_range),
        score_range=score_range,
    )


def _marks(parts: Sequence[RunScores], estimate: Estimate) -> Iterator[str]:
    """Yield what keeps a cell from being what one whole run would say."""
    if len(parts) > 1:
        yield f"{len(parts)} runs pooled"
    for part in parts:
        if part.stop is not None and part.stop.cases < part.stop.of:
            yield f"stopped early, after {part.stop.cases:,} of {part.stop.of:,} cases"
    counts = dict(estimate.missing_by_category)
    waiting = counts.pop("not_reached", 0)
    if waiting:
        yield f"{waiting:,} of {estimate.planned:,} {estimate.unit}s not done"
    errors = sum(counts.values())
    if errors:
        yield f"{errors:,} {estimate.unit}{'' if errors == 1 else 's'} without a score"


# --- averages ---------------------------------------------------------------------------------------------


def _averaged(built: Sequence[_Built]) -> Iterator[Sequence[_Built]]:
    """Yield the columns that are averaged: all, if each benchmark has one metric, or else those of each metric.

    Only scores of one scale are averaged: those with the same range, and the same end as best.
    """
    if len({each.column.benchmark for each in built}) == len(built):
        groups = [built]
    else:
        metrics = dict.fromkeys(each.column.metric_id for each in built)
        groups = [[each for each in built if each.column.metric_id == metric] for metric in metrics]
    for group in groups:
        if len(group) > 1 and _are_of_one_scale(group):
            yield group


def _are_of_one_scale(group: Sequence[_Built]) -> bool:
    ranges = {_range_of(each) for each in group}
    return len(ranges) == 1 and None not in ranges and len({each.column.higher_is_better for each in group}) == 1


def _range_of(each: _Built) -> tuple[float, float] | None:
    scores = [value for parts in each.parts.values() for part in parts for value in part.scores() if value is not None]
    return range_of(scores, each.score_range)


def _averages(
    group: Sequence[_Built], rows: Sequence[str], whole: Sequence[str], asked: Asked, *, of_all: bool
) -> Iterator[tuple[Column, Mapping[str, Cell]]]:
    """Yield the macro and the micro average of some columns; the rows that are `whole` have all of them."""
    names = [each.column.name for each in group]
    metrics = {each.column.metric_id for each in group}
    metric = metrics.pop() if len(metrics) == 1 else None
    over = "average" if of_all else short_metric(metric or "")
    weights = {each.column.name: asked.weights.get(each.column.benchmark or "", 1.0) for each in group}
    base = Column(
        name=f"macro {over}",
        kind="macro",
        metric_id=metric,
        of=names,
        weights=weights if asked.weights else EMPTY,
        higher_is_better=group[0].column.higher_is_better,
    )
    micro = base.evolve(name=f"micro {over}", kind="micro", weights=EMPTY)
    macro_cells, micro_cells = dict[str, Cell](), dict[str, Cell]()
    for row in rows:
        if row not in whole:
            absent = f"no average without {', '.join(_lacking(row, group))}"
            macro_cells[row] = Cell(column=base.name, absent=absent)
            micro_cells[row] = Cell(column=micro.name, absent=absent)
            continue
        estimates = _estimates(row, group, weights, metric or "score", asked)
        runs = list(dict.fromkeys(run for each in group for run in each.cells[row].runs))
        marks = list(dict.fromkeys(f"{each.column.name}: {mark}" for each in group for mark in each.cells[row].marks))
        macro_cells[row], micro_cells[row] = (
            Cell(column=column.name, estimate=estimate, runs=runs, marks=marks)
            for column, estimate in zip((base, micro), estimates, strict=True)
        )
    shared = _share_clusters(group, asked.family.clusters)
    claims = [
        macro_claim(
            [(each.comparisons[pair], weights[each.column.name]) for each in group],
            asked.family.level,
            "benchmarks are not independent: they share clusters" if shared else None,
        )
        for pair in asked.family.pairs(whole)
    ]
    yield decided(base, claims, macro_cells, asked.family)
    tables = {row: _merged(row, group) for row in whole}
    family = attrs.evolve(asked.family, clusters=_merged_clusters(group, asked.family.clusters))
    comparisons = compared(tables, metric or "score", _range_of(group[0]), family)
    yield decided(micro, [Claim.of(each) for each in comparisons], micro_cells, asked.family)


def _estimates(
    row: str, group: Sequence[_Built], weights: Mapping[str, float], metric: str, asked: Asked
) -> tuple[Estimate, Estimate]:
    """Return a row's macro and micro average."""
    parts = [(each.column.name, part) for each in group for part in each.parts[row]]
    clusters = asked.family.clusters
    keys = [_key(name, key) for name, part in parts for key in part.keys]
    found = estimate_by_group(
        [value for _, part in parts for value in part.scores()],
        [name for name, part in parts for _ in part.keys],
        by="benchmark",
        metric_id=metric,
        unit="case" if len(set(keys)) == len(keys) else "answer",
        clusters=observed_clusters(keys, _merged_clusters(group, clusters)),
        categories=[category for _, part in parts for category in part.categories],
        score_range=_range_of(group[0]),
        level=asked.family.level,
        weights=weights,
    )
    macro, micro = found.macro.evolve(unit="benchmark"), found.micro
    if any(part.stop is not None for _, part in parts):
        return not_covered(macro), not_covered(micro)
    return macro, micro


def _lacking(row: str, group: Sequence[_Built]) -> list[str]:
    """Return the columns of a group that a row has no mean in."""
    estimates = [(each.column.name, each.cells[row].estimate) for each in group]
    return [name for name, estimate in estimates if estimate is None or estimate.mean is None]


def _share_clusters(group: Sequence[_Built], clusters: Mapping[str, str] | None) -> bool:
    """Tell whether cases of two columns are in one cluster."""
    if clusters is None:
        return False
    found = [
        {clusters[key] for parts in each.parts.values() for part in parts for key in part.keys if key in clusters}
        for each in group
    ]
    return sum(map(len, found)) > len(set().union(*found))


def _key(column: str, key: str) -> str:
    return f"{column}\n{key}"


def _merged(row: str, group: Sequence[_Built]) -> CaseScores:
    rows = [
        (_key(each.column.name, key), value)
        for each in group
        for part in each.parts[row]
        for key, value in zip(part.keys, part.scores(), strict=True)
    ]
    return CaseScores.of(rows, row)


def _merged_clusters(group: Sequence[_Built], clusters: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Return clusters by the keys of merged cases: cases of two benchmarks may be in one."""
    if clusters is None:
        return None
    keys = {
        (each.column.name, key)
        for each in group
        for parts in each.parts.values()
        for part in parts
        for key in part.keys
    }
    return {_key(name, key): clusters[key] for name, key in keys if key in clusters}
