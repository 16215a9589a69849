"""The overview of a run, from one pass over its cases: counts, estimates, distributions.

An `Overview` takes one case at a time and keeps a few numbers of each, never its texts, so that a report of a
million cases fits into memory.
"""

from __future__ import annotations

import functools
import itertools
import math
from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.case_view import is_graded
from themis.pure.human_labels import current_labels
from themis.pure.json import EMPTY
from themis.pure.plan import ONE_ANSWER, CaseItem, RunPlan
from themis.pure.projections import Digest, Tallies, Thresholds, case_result, case_votes, is_unread
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.results import BenchmarkResult, BenchmarkScoreRow
from themis.pure.report.dimensions import Dimension, DimensionScores
from themis.pure.report.failures import Kind, failures_of
from themis.pure.report.grouping import cluster_of, group_of
from themis.pure.report.imported import Agreement, ImportedCounts, ImportedScores
from themis.pure.report.labelling import LabelledMetric, Labelling
from themis.pure.report.served import ServedCounts
from themis.pure.report.stopped import (
    at_the_stop,
    groups_not_covered,
    labels_not_covered,
    not_covered,
    several_not_covered,
)
from themis.pure.report.summary import SummaryRow, summary_row
from themis.pure.report.suspicions import Suspicion, Suspicions
from themis.pure.state import CaseState, has_failures
from themis.pure.stats import Estimate, SkewedEstimate, StatsEngine, estimate_mean
from themis.pure.stats.details import Details, Figure
from themis.pure.stats.estimates import observed_clusters
from themis.pure.stats.groups import GroupedEstimate, estimate_by_group
from themis.pure.stats.several import Ballots, SeveralAnswers, checked_at, default_at, describe_several
from themis.pure.stopping import Stop

_BINS = 20
_SHARED = 1000
FEW_VALUES = 12
"""Up to this many distinct values, a distribution is shown value by value."""

_FIRST_ERRORS = 20
"""How many errors a report shows one by one."""

_UNITS: Final = {"latency_ms": "ms", "prompt_tokens": "tokens", "completion_tokens": "tokens"}
"""What is measured of every candidate, in which unit."""


@attrs.frozen(kw_only=True)
class Bin(HashableModel):
    """How many values lie from `low` to `high`; both are the value itself where values are counted one by one."""

    low: float
    high: float
    count: int


@attrs.frozen(kw_only=True)
class Quantity(HashableModel):
    """A measured quantity: its description and its distribution."""

    unit: str
    described: SkewedEstimate
    bins: tuple[Bin, ...] = attrs.field(default=(), converter=sequence)
    log_scale: bool = False


@attrs.frozen(kw_only=True)
class FailureCount(HashableModel):
    """How often something failed in the same way: `what` says what is counted."""

    what: str
    kind: str
    count: int


@attrs.frozen(kw_only=True)
class RunOverview:
    """All figures of a run.

    Attributes:
        benchmark: counts and means.
        metrics: the result table.
        scores: each metric's distribution of scores.
        quantities: latency and tokens of the generated candidates, as far as they were measured.
        several: where each case has several answers, what they say together of each metric that scores answers.
        details: means of what stands in the scores' details, where they were asked for.
        groups: each metric's mean by group, for all that the cases were grouped by; each detail's, too.
        dimensions: each judged metric's mean by dimension, where its verdicts have several.
        graded: the metrics that state no threshold and whose scores are not all 0 or 1: neither right nor wrong.
        candidates: how many candidates were generated.
        truncated: how many of them were cut by their length limit.
        empty: how many of them hold nothing, or nothing but blanks.
        failures: what failed and was not made good, by kind, the commonest first.
        first_errors: the first score rows that are errors, or of answers that could not be parsed.
        digest: the hash of all results, without times and transport facts; `None` if it was not asked for.
        suspicions: why a metric that scored 0 everywhere may have done so.
        labelled: what human labels say of each metric that has any.
        imported: what another tool scored the answers, where they were imported.
        agreements: how far those scores are what each metric makes of the answers.
        has_failed: a case failed, or lacks a score that the run was asked for.
    """

    benchmark: BenchmarkResult
    metrics: tuple[SummaryRow, ...] = attrs.field(default=(), converter=sequence)
    scores: Mapping[str, tuple[Bin, ...]] = attrs.field(default=EMPTY)
    quantities: tuple[Quantity, ...] = attrs.field(default=(), converter=sequence)
    several: tuple[SeveralAnswers, ...] = attrs.field(default=(), converter=sequence)
    details: tuple[Estimate, ...] = attrs.field(default=(), converter=sequence)
    groups: tuple[GroupedEstimate, ...] = attrs.field(default=(), converter=sequence)
    dimensions: tuple[Dimension, ...] = attrs.field(default=(), converter=sequence)
    graded: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    candidates: int = 0
    truncated: int = 0
    empty: int = 0
    failures: tuple[FailureCount, ...] = attrs.field(default=(), converter=sequence)
    first_errors: tuple[BenchmarkScoreRow, ...] = attrs.field(default=(), converter=sequence)
    digest: str | None = None
    suspicions: tuple[Suspicion, ...] = attrs.field(default=(), converter=sequence)
    labelled: tuple[LabelledMetric, ...] = attrs.field(default=(), converter=sequence)
    imported: tuple[ImportedScores, ...] = attrs.field(default=(), converter=sequence)
    agreements: tuple[Agreement, ...] = attrs.field(default=(), converter=sequence)
    has_failed: bool = False


@attrs.define
class _Column:
    """One metric's scores, NaN where there is none (nothing outside this module sees it), and why."""

    values: array[float] = attrs.field(factory=lambda: array("d"))
    categories: list[str | None] = attrs.field(factory=list)
    unread: int = 0

    def add(self, row: BenchmarkScoreRow) -> None:
        self.unread += is_unread(row)
        self.values.append(math.nan if row.value is None else row.value)
        self.categories.append(row.error_category)

    def scores(self) -> list[float | None]:
        return [None if math.isnan(value) else value for value in _shared(self.values)]


def _shared(values: Iterable[float]) -> Iterator[float]:
    """Yield values; a million zeros and ones are two numbers then, each of them held once."""
    known: dict[float, float] = {}
    for value in values:
        yield known.setdefault(value, value) if len(known) < _SHARED else known.get(value, value)


class Overview:
    """Takes a run's cases in plan order, one at a time.

    Args:
        plan: the run's shape.
        engine: level and seed of the intervals.
        cluster_by: a key of the cases' metadata that names clusters.
        by: what to group the cases by: keys of their metadata, or `dataset`.
        at: for which k to report pass@k and the like, where each case has several answers.
        details: the path of the details to estimate, if any.
        thresholds: of each metric, from which value a score counts as correct.
        with_digest: whether to hash all results, which takes a fifth of the time of a pass.
        stop: where the run's rule ended it, if it has one.
        through: the stage that the run ended after, as it was asked to; `None` if it did not.
    """

    def __init__(
        self,
        plan: RunPlan,
        *,
        engine: StatsEngine | None = None,
        cluster_by: str | None = None,
        by: Sequence[str] = (),
        at: Sequence[int] | None = None,
        details: str | None = None,
        thresholds: Thresholds | None = None,
        with_digest: bool = True,
        stop: Stop | None = None,
        through: str | None = None,
    ) -> None:
        self._plan = plan
        self._stop = stop
        self._engine = engine or StatsEngine()
        self._cluster_by = cluster_by
        self._thresholds = thresholds or Thresholds()
        self._ballots: Ballots | None = None
        if at is not None or not plan.is_reduced:
            count = len(plan.answers)
            self._ballots = Ballots(count, default_at(count) if at is None else checked_at(at, count))
        self._tallies = Tallies(plan.metrics, through)
        self._suspicions = Suspicions(plan)
        self.served: ServedCounts = ServedCounts()
        self._digest = Digest() if with_digest else None
        self._ranges = {metric.metric_id: metric.score_range for metric in plan.metrics}
        self._details = None if details is None else Details(details)
        self._columns = {metric.metric_id: _Column() for metric in plan.metrics}
        self._clusters: dict[int, str] = {}
        self._groups: dict[str, list[str | None]] = {name: [] for name in by}
        self._names: dict[str, str] = {}
        self._measured: dict[str, array[float]] = {name: array("d") for name in _UNITS}
        self._owners: dict[str, array[int]] = {name: array("i") for name in _UNITS}
        self._cases = 0
        self._candidates = 0
        self._truncated = 0
        self._empty = 0
        self._dimensions = {metric.metric_id: DimensionScores() for metric in plan.metrics if metric.stage == "judge"}
        self._labelling = {metric.metric_id: Labelling(metric.metric_id) for metric in plan.metrics}
        self._one_answer = {each.metric_id for each in plan.metrics if plan.answers_of(each) == ONE_ANSWER}
        self._failures: Counter[Kind] = Counter()
        self._first_errors: list[BenchmarkScoreRow] = []
        self._imported = ImportedCounts()

    def add(self, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow]) -> None:
        """Take the next case with its score rows."""
        self._tallies.add(rows, failed=has_failures(state))
        self._suspicions.add(item.case, state, rows)
        self.served.add(state)
        if self._digest is not None:
            self._digest.add(case_result(self._plan, state))
        self._failures.update(failures_of(state, is_reduced=self._plan.is_reduced))
        self._add_labels(item, state, rows)
        for row in rows:
            self._columns[row.metric_id].add(row)
            if (dimensions := self._dimensions.get(row.metric_id)) is not None:
                answer = state.answers.get(row.candidate_id or "", state)
                dimensions.add(self._cases, row, answer.executions.get(row.metric_id))
            if self._details is not None:
                self._details.add(row)
            if (
                row.error_category is not None
                and row.outcome != "not_reached"
                and len(self._first_errors) < _FIRST_ERRORS
            ):
                self._first_errors.append(row)
        if self._ballots is not None:
            self._ballots.add(*case_votes(self._plan, state))
        cluster = cluster_of(item.case, self._cluster_by)
        if cluster is not None:
            self._clusters[self._cases] = cluster
        for key, names in self._groups.items():
            name = group_of(item, key)
            names.append(None if name is None else self._names.setdefault(name, name))  # each text is held once
        for candidate in state.candidates.values():
            self._truncated += candidate.is_truncated
            self._empty += candidate.is_empty
            usage = candidate.token_usage or EMPTY
            for name in _UNITS:
                value = candidate.latency_ms if name == "latency_ms" else usage.get(name)
                if value is not None:
                    self._measured[name].append(value)
                    self._owners[name].append(self._cases)
        self._imported.add(state, rows)
        self._candidates += len(state.candidates)
        self._cases += 1

    def _add_labels(self, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow]) -> None:
        if not state.labels:
            return
        labels, places = [*current_labels(self._plan, state)], Counter[str]()
        for row in rows:
            answer = None if row.metric_id in self._one_answer else row.candidate_id
            of_row = [each for each in labels if (each.metric_id, each.candidate_id) == (row.metric_id, answer)]
            place = len(self._columns[row.metric_id].values) + places[row.metric_id]
            self._labelling[row.metric_id].add(place, item.case_key, of_row)
            places[row.metric_id] += 1

    def result(self, run_id: str, dataset_ids: Iterable[str]) -> RunOverview:
        benchmark = self._tallies.result(run_id, dataset_ids)
        metrics = [self._estimate(self._scores(name)) for name in benchmark.metric_ids]
        figures = [] if self._details is None else self._details.figures()
        details = [self._estimate(figure) for figure in figures]
        return RunOverview(
            benchmark=benchmark,
            metrics=[summary_row(benchmark, each, self._columns[each.metric_id].unread) for each in metrics],
            scores={name: histogram([v for v in c.scores() if v is not None]) for name, c in self._columns.items()},
            quantities=[self._quantity(name, unit) for name, unit in _UNITS.items() if self._measured[name]],
            several=[*self._several()],
            details=details,
            groups=[
                self._grouped(by, figure, whole)
                for by in self._groups
                for figure, whole in zip(self._figures(figures), (*metrics, *details), strict=True)
            ],
            dimensions=[*self._by_dimension()],
            graded=[name for name, column in self._columns.items() if self._is_graded(name, column)],
            candidates=self._candidates,
            truncated=self._truncated,
            empty=self._empty,
            failures=[
                FailureCount(what=what, kind=kind, count=count)
                for (what, kind), count in sorted(self._failures.items(), key=lambda pair: (-pair[1], pair[0]))
            ],
            first_errors=self._first_errors,
            digest=None if self._digest is None else self._digest.hexdigest(),
            suspicions=self._suspicions.found(),
            labelled=[*self._labelled()],
            imported=[*self._imported.found()],
            agreements=[*self._imported.agreements()],
            has_failed=self._tallies.has_failed(),
        )

    def _labelled(self) -> Iterator[LabelledMetric]:
        for name, labelling in self._labelling.items():
            found = labelling.found(
                self._columns[name].scores, functools.partial(self._clusters_of, name), self._engine
            )
            if found is not None:
                yield found if self._stop is None else labels_not_covered(found)

    def _figures(self, details: Iterable[Figure]) -> Iterator[Figure]:
        """Yield all that is estimated; a metric's scores are made anew each time, for they may be a million."""
        yield from (self._scores(metric.metric_id) for metric in self._plan.metrics)
        yield from details

    def _scores(self, metric_id: str) -> Figure:
        column = self._columns[metric_id]
        return Figure(
            name=metric_id,
            metric_id=metric_id,
            values=column.scores(),
            categories=column.categories,
            score_range=self._ranges[metric_id],
        )

    def _estimate(self, figure: Figure) -> Estimate:
        clusters = self._clusters_of(figure.metric_id)
        found = estimate_mean(
            figure.values,
            metric_id=figure.name,
            unit=self._unit(figure.metric_id),
            clusters=clusters,
            categories=figure.categories,
            score_range=figure.score_range,
            level=self._engine.level,
            correction=self._engine.correction,
        )
        if self._stop is None:
            return found
        return at_the_stop(found, figure.values, self._stop, clusters, figure.score_range)

    def _grouped(self, by: str, figure: Figure, whole: Estimate) -> GroupedEstimate:
        names = self._groups[by]
        found = estimate_by_group(
            figure.values,
            [names[case] for case in self._cases_of(figure.metric_id)],
            by=by,
            metric_id=figure.name,
            unit=whole.unit,
            clusters=self._clusters_of(figure.metric_id),
            categories=figure.categories,
            score_range=figure.score_range,
            level=self._engine.level,
            correction=self._engine.correction,
            micro=whole,
        )
        return found if self._stop is None else groups_not_covered(found)

    def _by_dimension(self) -> Iterator[Dimension]:
        for metric_id, dimensions in self._dimensions.items():
            for name, scores, cases in dimensions.columns():
                named = None if self._cluster_by is None else self._clusters
                estimate = estimate_mean(
                    scores,
                    metric_id=metric_id,
                    unit=self._unit(metric_id),
                    clusters=observed_clusters(cases, named),
                    level=self._engine.level,
                    correction=self._engine.correction,
                )
                covered = estimate if self._stop is None else not_covered(estimate)
                yield Dimension(metric_id=metric_id, name=name, estimate=covered)

    def _is_graded(self, metric_id: str, column: _Column) -> bool:
        return any(is_graded(value, metric_id, self._thresholds) for value in column.scores())

    def _cases_of(self, metric_id: str) -> list[int]:
        """Return the case of each of a metric's scores: its number."""
        count = len(self._columns[metric_id].values)
        answers = count // self._cases if self._cases else 1
        return [case for case in range(self._cases) for _ in range(answers)]

    def _unit(self, metric_id: str) -> str:
        return "case" if len(self._columns[metric_id].values) <= self._cases else "answer"

    def _clusters_of(self, metric_id: str) -> list[Hashable] | None:
        # The answers of a case are no independent samples: the case is their cluster, unless a larger one is named.
        named = None if self._cluster_by is None else self._clusters
        return observed_clusters(self._cases_of(metric_id), named)

    def _several(self) -> Iterator[SeveralAnswers]:
        if self._ballots is None or not self._cases:
            return
        named = None if self._cluster_by is None else observed_clusters(range(self._cases), self._clusters)
        for metric in self._plan.metrics:
            if metric.is_of_answers:
                found = describe_several(
                    self._columns[metric.metric_id].scores(),
                    self._ballots,
                    metric_id=metric.metric_id,
                    threshold=self._thresholds.of(metric.metric_id),
                    unparsed=metric.unparsed,
                    score_range=metric.score_range,
                    clusters=named,
                    level=self._engine.level,
                    correction=self._engine.correction,
                )
                yield found if self._stop is None else several_not_covered(found)

    def _quantity(self, name: str, unit: str) -> Quantity:
        values = [*_shared(self._measured[name])]
        repeated = self._candidates > self._cases
        owners = [case for case, of_case in itertools.groupby(self._owners[name]) for _ in of_case]
        described = self._engine.describe_skewed(
            values, name=name, clusters=owners if repeated else None, planned=self._candidates
        )
        log_scale = min(values) > 0 and max(values) > 20 * min(values)
        bins = histogram(values, log_scale=log_scale)
        return Quantity(unit=unit, described=described, bins=bins, log_scale=log_scale)


def histogram(values: Sequence[float], *, log_scale: bool = False) -> tuple[Bin, ...]:
    """Count values: one by one if few are distinct, else in bins of equal width, or of equal ratio on a log scale.

    >>> [(b.low, b.count) for b in histogram([0.0, 1.0, 1.0])]
    [(0.0, 1), (1.0, 2)]
    >>> len(histogram([i / 100 for i in range(101)]))
    20
    """
    if not values:
        return ()
    counts = Counter(values)
    if len(counts) <= FEW_VALUES:
        return tuple(Bin(low=value, high=value, count=count) for value, count in sorted(counts.items()))
    scale, back = (math.log, math.exp) if log_scale else (float, float)
    low, high = scale(min(counts)), scale(max(counts))
    width = (high - low) / _BINS
    bins = [0] * _BINS
    for value, count in counts.items():
        bins[min(_BINS - 1, int((scale(value) - low) / width))] += count
    return tuple(
        Bin(low=back(low + i * width), high=back(low + (i + 1) * width), count=count) for i, count in enumerate(bins)
    )
