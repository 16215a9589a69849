"""The statistics of a run's score table, from one seed.

What lives here: the grouping of rows by metric and the passing of seed, level and power. Every number comes
from the functions of this package; nothing here knows a formula.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import attrs

from themis.pure.errors import StatisticsError
from themis.pure.stats import agreement as raters
from themis.pure.stats import equivalence as margins
from themis.pure.stats import pairs
from themis.pure.stats.arguments import (
    Count,
    Level,
    Margin,
    OneOrMore,
    Power,
    Resamples,
    ScoreRange,
    Seed,
    check_fields,
    checked_arguments,
    refuse_unless,
)
from themis.pure.stats.details import DetailedRow, Details, Figure
from themis.pure.stats.estimates import describe_skewed, estimate_mean, observed_clusters
from themis.pure.stats.groups import GroupedEstimate, estimate_by_group
from themis.pure.stats.pass_at_k import estimate_pass_at_k
from themis.pure.stats.power import PairedDesign
from themis.pure.stats.records import (
    DEFAULT_LEVEL,
    DEFAULT_POWER,
    Agreement,
    EquivalenceTest,
    Estimate,
    Interval,
    PairedComparison,
    RunComparison,
    SkewedEstimate,
    UnpairedComparison,
)
from themis.pure.stats.resampling import DEFAULT_RESAMPLES, percentile_bootstrap
from themis.pure.stats.samples import DEFAULT_CORRECTION, Correction
from themis.pure.stats.unpaired import unpaired_compare

Coefficient: TypeAlias = Literal["raw", "cohen", "fleiss", "krippendorff"]


class ScoreRow(Protocol):
    """What statistics need of a row of a run's score table; `BenchmarkScoreRow` has it."""

    @property
    def case_key(self) -> str:
        """Identity of the case within the run."""

    @property
    def metric_id(self) -> str:
        """The metric that gave the score."""

    @property
    def value(self) -> float | None:
        """The score; `None` if there is none."""

    @property
    def outcome(self) -> str:
        """`correct`, `incorrect` or `error`."""

    @property
    def error_category(self) -> str | None:
        """Why there is no score."""


class DetailedScoreRow(ScoreRow, DetailedRow, Protocol):
    """A row with the details of its score."""


class DatasetScoreRow(ScoreRow, Protocol):
    """A row that says which dataset its case is of."""

    @property
    def dataset_id(self) -> str | None:
        """The case's dataset."""


_R = TypeVar("_R", bound=ScoreRow)


@attrs.frozen(kw_only=True)
class StatsEngine:
    """Statistics of score tables; the same seed and rows give the same result, whatever the rows' order.

    Attributes:
        seed: of every resampling.
        level: nominal coverage of intervals; decisions have error rate 1 - level.
        power: for minimum detectable effects and cases needed.
        correction: of cluster-robust standard errors: `CR2`, with Bell and McCaffrey's degrees of freedom, or `CR1`.
    """

    seed: Seed = 0
    level: Level = DEFAULT_LEVEL
    power: Power = DEFAULT_POWER
    correction: Correction = DEFAULT_CORRECTION

    def __attrs_post_init__(self) -> None:
        check_fields(self)
        allowed = f"above the error rate of {1.0 - self.level:g} and below 1"
        refuse_unless(1.0 - self.level < self.power, "StatsEngine", "power", self.power, allowed)

    # --- one run ---------------------------------------------------------------------------------------

    @checked_arguments
    def aggregate(
        self,
        rows: Iterable[ScoreRow],
        *,
        clusters: Mapping[str, str] | None = None,
        planned: Mapping[str, Count] | None = None,
        score_ranges: Mapping[str, ScoreRange] | None = None,
    ) -> dict[str, Estimate]:
        """Estimate every metric's mean.

        Args:
            rows: one per case, candidate and metric, errors included. A row without a value, or whose outcome
                is `error`, is missing.
            clusters: case key -> cluster; without it, cases that have several rows are the clusters.
            planned: metric -> rows planned, where the table does not hold all of them yet.
            score_ranges: metric -> lowest and highest score, for the bounds.

        Returns:
            metric id -> estimate, in the order of metric ids.
        """
        return {
            metric_id: self._estimate(
                _scores(metric_id, table, score_ranges), table, clusters, (planned or {}).get(metric_id)
            )
            for metric_id, table in sorted(_by_metric(rows).items())
        }

    @checked_arguments
    def by_group(
        self,
        rows: Iterable[ScoreRow],
        groups: Mapping[str, str | None],
        *,
        by: str = "group",
        clusters: Mapping[str, str] | None = None,
        score_ranges: Mapping[str, ScoreRange] | None = None,
    ) -> dict[str, GroupedEstimate]:
        """Estimate every metric's mean in each group of cases, over all cases, and over the groups.

        Args:
            rows: as for `aggregate`.
            groups: case key -> group; the cases that are not listed, or have `None`, are a group of their own.
            by: what the groups are made by, for the record.
            clusters: case key -> cluster; without it, cases that have several rows are the clusters.
            score_ranges: metric -> lowest and highest score, for the bounds.

        Returns:
            metric id -> estimates, in the order of metric ids.
        """
        estimates = {}
        for metric_id, table in sorted(_by_metric(rows).items()):
            scores = _scores(metric_id, table, score_ranges)
            estimates[metric_id] = estimate_by_group(
                scores.values,
                [groups.get(row.case_key) for row in table],
                by=by,
                metric_id=metric_id,
                clusters=observed_clusters([row.case_key for row in table], clusters),
                categories=scores.categories,
                score_range=scores.score_range,
                level=self.level,
                correction=self.correction,
            )
        return estimates

    @checked_arguments
    def by_dataset(
        self,
        rows: Iterable[DatasetScoreRow],
        *,
        clusters: Mapping[str, str] | None = None,
        score_ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> dict[str, GroupedEstimate]:
        """Estimate every metric's mean in each dataset, over all cases (micro) and over the datasets (macro).

        Datasets are strata, so that the macro average's error is that of a stratified mean (Cochran 1977, chapter 5).
        Arguments as `by_group`.
        """
        table = list(rows)
        groups = {row.case_key: row.dataset_id for row in table}
        return self.by_group(table, groups, by="dataset", clusters=clusters, score_ranges=score_ranges)

    @checked_arguments
    def details(
        self, rows: Iterable[DetailedScoreRow], path: str, *, clusters: Mapping[str, str] | None = None
    ) -> dict[str, Estimate]:
        """Estimate the mean of each number or boolean in the scores' details, at a path or below it.

        Args:
            rows: as for `aggregate`, with their `details`; a row that lacks the path is missing.
            path: keys, and places in lists, with dots between, such as `fields.name`.
            clusters: case key -> cluster; without it, cases that have several rows are the clusters.

        Returns:
            `METRIC:PATH` -> estimate, in this order.

        Raises:
            StatisticsError: no row has the path; names those there are, the nearest first.
        """
        tables, details = _by_metric(rows), Details(path)
        for row in itertools.chain.from_iterable(tables.values()):
            details.add(row)
        return {figure.name: self._estimate(figure, tables[figure.metric_id], clusters) for figure in details.figures()}

    def _estimate(
        self,
        figure: Figure,
        table: Sequence[ScoreRow],
        clusters: Mapping[str, str] | None,
        planned: int | None = None,
    ) -> Estimate:
        return estimate_mean(
            figure.values,
            metric_id=figure.name,
            clusters=observed_clusters([row.case_key for row in table], clusters),
            planned=planned,
            categories=figure.categories,
            score_range=figure.score_range,
            level=self.level,
            correction=self.correction,
        )

    @checked_arguments
    def describe_skewed(
        self,
        values: Sequence[float | None],
        *,
        name: str = "value",
        clusters: Sequence[Hashable] | None = None,
        planned: Count | None = None,
    ) -> SkewedEstimate:
        """Describe cost, latency or another skewed quantity by mean, median and high percentiles."""
        return describe_skewed(values, name=name, clusters=clusters, planned=planned, level=self.level, seed=self.seed)

    @checked_arguments
    def bootstrap(
        self,
        rows: Sequence[Any],
        statistic: Callable[[Sequence[Any]], float | None],
        *,
        clusters: Sequence[Hashable] | None = None,
        resamples: Resamples = DEFAULT_RESAMPLES,
    ) -> Interval:
        """Return the percentile bootstrap interval of a statistic that is not a mean, such as corpus BLEU.

        Args:
            rows: what the statistic is computed from, in any order: rows of cases are put in the order of their keys.
            statistic: a function of a list of rows; `None`, NaN or infinite where it is not defined.
            clusters: one key per row; clusters are then drawn whole.
            resamples: how many resamples.
        """
        return percentile_bootstrap(
            rows, statistic, clusters=clusters, level=self.level, resamples=resamples, seed=self.seed
        )

    @checked_arguments
    def pass_at_k(
        self,
        rows: Iterable[ScoreRow],
        k: OneOrMore,
        *,
        metric_id: str | None = None,
        clusters: Mapping[str, str] | None = None,
        threshold: float = 1.0,
    ) -> Estimate:
        """Estimate pass@k over cases: the chance that at least one of k samples is correct.

        Args:
            rows: one per sample of a case.
            k: how many samples are drawn.
            metric_id: which metric's rows to take; not needed if there is one.
            clusters: case key -> cluster.
            threshold: the score from which a sample is correct.
        """
        return self._pass(_samples(rows, metric_id, threshold), k, clusters, every=False)

    @checked_arguments
    def pass_hat_k(
        self,
        rows: Iterable[ScoreRow],
        k: OneOrMore,
        *,
        metric_id: str | None = None,
        clusters: Mapping[str, str] | None = None,
        threshold: float = 1.0,
    ) -> Estimate:
        """Estimate pass^k over cases: the chance that all of k samples are correct. Arguments as `pass_at_k`."""
        return self._pass(_samples(rows, metric_id, threshold), k, clusters, every=True)

    def _pass(
        self, cases: Mapping[str, Sequence[bool | None]], k: int, clusters: Mapping[str, str] | None, *, every: bool
    ) -> Estimate:
        keys = sorted(cases)
        return estimate_pass_at_k(
            [(sum(sample is not None for sample in cases[key]), sum(map(bool, cases[key]))) for key in keys],
            k,
            every=every,
            planned=[len(cases[key]) for key in keys],
            clusters=None if clusters is None else observed_clusters(keys, clusters),
            level=self.level,
            correction=self.correction,
        )

    # --- two runs --------------------------------------------------------------------------------------

    @checked_arguments
    def paired_compare(
        self,
        rows_a: Iterable[ScoreRow],
        rows_b: Iterable[ScoreRow],
        *,
        metrics: Sequence[str] | None = None,
        content_a: Mapping[str, str] | None = None,
        content_b: Mapping[str, str] | None = None,
        clusters: Mapping[str, str] | None = None,
        label_a: str = "a",
        label_b: str = "b",
        mid_p: bool = False,
        score_ranges: Mapping[str, ScoreRange] | None = None,
        figures: Mapping[str, tuple[pairs.CaseScores, pairs.CaseScores]] | None = None,
    ) -> RunComparison:
        """Compare two runs on every metric they share; differences are `b` minus `a`.

        Args:
            rows_a: the first run's rows.
            rows_b: the second's.
            metrics: which metrics, and so the family that is adjusted over; by default all shared ones.
            content_a: case key -> content hash of the first run's cases. With both runs' hashes, cases whose
                content differs are listed and left out.
            content_b: the same of the second.
            clusters: case key -> cluster.
            label_a: the first run's name.
            label_b: the second's.
            mid_p: McNemar's mid-p in place of the exact test.
            score_ranges: metric -> lowest and highest score, for what missing scores could change; (0, 1) for a metric
                whose scores all lie there.
            figures: further figures of the cases, such as pass@k, by name: of the first run, and of the second. They
                belong to the family, too.

        Raises:
            StatisticsError: a metric asked for is in neither run.
        """
        a, b = _by_metric(rows_a), _by_metric(rows_b)
        chosen = sorted(a.keys() & b.keys()) if metrics is None else list(metrics)
        unknown = [metric for metric in chosen if metric not in a and metric not in b]
        if unknown:
            raise StatisticsError(f"no rows of metric {unknown} in either run; found {sorted(a.keys() | b.keys())}")
        cases_a = set(content_a) if content_a is not None else _cases(a)
        cases_b = set(content_b) if content_b is not None else _cases(b)
        before, after = content_a or {}, content_b or {}
        changed = tuple(sorted(key for key in before.keys() & after.keys() if before[key] != after[key]))
        method = pairs.PairedMethod(
            level=self.level, power=self.power, mid_p=mid_p, correction=self.correction, seed=self.seed
        )
        tables = {metric: (_case_scores(a.get(metric, ())), _case_scores(b.get(metric, ()))) for metric in chosen}
        compared = [
            pairs.compare_cases(
                scores_a,
                scores_b,
                metric_id=name,
                label_a=label_a,
                label_b=label_b,
                clusters=clusters,
                changed=changed,
                score_range=(score_ranges or {}).get(name),
                method=method,
            )
            for name, (scores_a, scores_b) in {**tables, **(figures or {})}.items()
        ]
        return RunComparison(
            label_a=label_a,
            label_b=label_b,
            comparisons=pairs.adjusted(compared),
            added=tuple(sorted(cases_b - cases_a)),
            removed=tuple(sorted(cases_a - cases_b)),
            changed=changed,
            content_checked=content_a is not None and content_b is not None,
            metrics_only_a=tuple(sorted(a.keys() - b.keys())),
            metrics_only_b=tuple(sorted(b.keys() - a.keys())),
        )

    @checked_arguments
    def adjust(self, comparisons: Sequence[PairedComparison]) -> tuple[PairedComparison, ...]:
        """Adjust a family of comparisons, over metrics or candidates, by Holm and Benjamini-Hochberg."""
        return pairs.adjusted(comparisons)

    @checked_arguments
    def unpaired_compare(
        self, values_a: Iterable[float | None], values_b: Iterable[float | None]
    ) -> UnpairedComparison:
        """Compare two runs that share no cases (Welch, Newcombe); paired runs lose precision by it."""
        return unpaired_compare(values_a, values_b, level=self.level)

    @checked_arguments
    def equivalence(self, comparison: PairedComparison, *, margin: Margin) -> EquivalenceTest:
        """Test whether the difference lies within a margin declared beforehand (TOST)."""
        return margins.equivalence(comparison, margin=margin, alpha=round(1.0 - self.level, 12))

    @checked_arguments
    def with_equivalence(self, comparison: RunComparison, margins: Mapping[str, Margin]) -> RunComparison:
        """Add an equivalence test to each metric that has a margin.

        Args:
            comparison: of two runs.
            margins: metric -> the largest difference that counts as none, declared before the data are seen.

        Raises:
            StatisticsError: a margin of a metric that is not compared, or one that is not above 0.
        """
        known = [each.metric_id for each in comparison.comparisons]
        unknown = sorted(margins.keys() - set(known))
        if unknown:
            raise StatisticsError(f"margins name {unknown}, which are not compared; compared: {known}")
        return comparison.evolve(
            comparisons=tuple(
                each.evolve(equivalence=self.equivalence(each, margin=margins[each.metric_id]))
                if each.metric_id in margins
                else each
                for each in comparison.comparisons
            )
        )

    # --- raters and planning ---------------------------------------------------------------------------

    @checked_arguments
    def agreement(
        self,
        ratings: Sequence[Sequence[Hashable | None]],
        *,
        coefficient: Coefficient = "krippendorff",
        scale: raters.Scale = "nominal",
        weights: raters.Weights = "none",
        categories: Sequence[Hashable] | None = None,
    ) -> Agreement:
        """Return the agreement of raters over the same units, `None` where a rater gave no rating.

        Args:
            ratings: one sequence of units per rater.
            coefficient: raw agreement, Cohen's kappa (two raters), Fleiss' kappa or Krippendorff's alpha.
            scale: of Krippendorff's alpha.
            weights: of Cohen's kappa.
            categories: all categories in order, for ordinal scales and weights.
        """
        if coefficient == "raw":
            return raters.raw_agreement(ratings, level=self.level)
        if coefficient == "fleiss":
            return raters.fleiss_kappa(ratings, level=self.level)
        if coefficient == "krippendorff":
            return raters.krippendorff_alpha(ratings, scale=scale, categories=categories, level=self.level)
        if len(ratings) != 2:
            raise StatisticsError(
                f"Cohen's kappa is of two raters; found {len(ratings)}: use 'fleiss' or 'krippendorff'"
            )
        return raters.cohen_kappa(ratings[0], ratings[1], weights=weights, categories=categories, level=self.level)

    @checked_arguments
    def paired_power(self, design: PairedDesign, effect: float) -> float:
        """Return the chance that the test of a design finds a true difference of `effect`, in score units."""
        return design.power(effect, alpha=1.0 - self.level)

    @checked_arguments
    def minimum_detectable_effect(self, design: PairedDesign) -> float | None:
        """Return the smallest true difference that a design finds with this engine's power.

        `None` if it has too few cases to find any.
        """
        return design.minimum_detectable_effect(power=self.power, alpha=1.0 - self.level)

    @checked_arguments
    def cases_needed(self, design: PairedDesign, effect: float) -> int | None:
        """Return from how many cases on a true difference of `effect` is found with this engine's power."""
        return design.cases_needed(effect, power=self.power, alpha=1.0 - self.level)


def score_of(row: ScoreRow) -> float | None:
    """Return what a row counts as: its value, or `None` where there is an error."""
    return None if row.outcome == "error" else row.value


def _case_scores(rows: Iterable[ScoreRow]) -> pairs.CaseScores:
    return pairs.CaseScores.of([(row.case_key, score_of(row)) for row in rows], "score")


def _scores(metric_id: str, table: Sequence[ScoreRow], score_ranges: Mapping[str, ScoreRange] | None) -> Figure:
    return Figure(
        name=metric_id,
        metric_id=metric_id,
        values=[score_of(row) for row in table],
        categories=[row.error_category for row in table],
        score_range=(score_ranges or {}).get(metric_id),
    )


def _by_metric(rows: Iterable[_R]) -> dict[str, list[_R]]:
    tables: defaultdict[str, list[_R]] = defaultdict(list)
    for row in rows:
        tables[row.metric_id].append(row)
    return tables


def _samples(rows: Iterable[ScoreRow], metric_id: str | None, threshold: float) -> Mapping[str, list[bool | None]]:
    """Return whether each sample of a case is correct on one metric; `None` where it has no score."""
    tables = _by_metric(rows)
    if metric_id not in tables and (metric_id is not None or len(tables) > 1):
        raise StatisticsError(f"name one metric of the table: found {sorted(tables)}, asked for {metric_id!r}")
    cases: defaultdict[str, list[bool | None]] = defaultdict(list)
    for row in next(iter(tables.values()), ()) if metric_id is None else tables[metric_id]:
        score = score_of(row)
        cases[row.case_key].append(None if score is None else score >= threshold)
    return cases


def _cases(tables: Mapping[str, Sequence[ScoreRow]]) -> set[str]:
    return {row.case_key for table in tables.values() for row in table}
