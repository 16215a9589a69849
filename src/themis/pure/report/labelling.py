"""What human labels say of a metric: how far it agrees with people, and its mean corrected by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.human_label import HumanLabel, LabelValue, label_score
from themis.pure.stats import StatsEngine
from themis.pure.stats.agreement import Weights, cohen_kappa, krippendorff_alpha, raw_agreement
from themis.pure.stats.corrected import CorrectedEstimate, corrected_mean, rogan_gladen
from themis.pure.stats.records import Agreement
from themis.pure.stats.samples import is_binary, mean

_RESAMPLES: Final = 999
_MOST_CATEGORIES: Final = 11
"""Up to this many distinct ratings are categories of kappa; of finer ones alpha alone is told."""


@attrs.frozen(kw_only=True)
class Labeller(HashableModel):
    """One labeller: how many answers, and the agreement with the metric on them.

    Attributes:
        who: who it is.
        labels: how many labels count.
        raw: the share of answers that metric and labeller score alike.
        kappa: Cohen's kappa, with quadratic weights where scores are not just 0 and 1; `None` of fine-grained ones.
    """

    who: str
    labels: int
    raw: Agreement
    kappa: Agreement | None = None


@attrs.frozen(kw_only=True)
class LabelledMetric(HashableModel):
    """One metric and the labels that it is held against.

    Attributes:
        metric_id: the metric.
        answers: how many answers have a label that counts.
        cases: of how many cases.
        outdated: labels of answers that were made anew since; they do not count.
        words: labels that are words, which no score can be held against; agreement among labellers counts them.
        labellers: each person who labelled.
        alpha: Krippendorff's alpha of the metric and all labellers, with a bootstrap interval over answers.
        among_labellers: the same of the labellers alone; `None` if there is one.
        corrected: the metric's mean, corrected by the labels; an answer's label is the mean of its labellers'.
        rogan_gladen: the same from sensitivity and specificity; `None` unless scores and labels are 0 or 1, and the
            labels a random sample.
    """

    metric_id: str
    answers: int
    cases: int
    outdated: int = 0
    words: int = 0
    labellers: tuple[Labeller, ...] = attrs.field(default=(), converter=sequence)
    alpha: Agreement
    among_labellers: Agreement | None = None
    corrected: CorrectedEstimate
    rogan_gladen: CorrectedEstimate | None = None


@attrs.define
class Labelling:
    """Takes the labels of one metric's rows: a few numbers for each labelled answer."""

    metric_id: str
    _by_row: dict[int, dict[str, LabelValue]] = attrs.field(factory=dict, init=False)
    _probabilities: dict[int, float | None] = attrs.field(factory=dict, init=False)
    _cases: set[str] = attrs.field(factory=set, init=False)
    _outdated: int = 0

    def add(self, row: int, case_key: str, labels: Sequence[HumanLabel]) -> None:
        """Take the labels of a row; `row` is its place among the metric's rows."""
        for label in labels:
            if label.outdated:
                self._outdated += 1
                continue
            self._by_row.setdefault(row, {})[label.who] = label.value
            self._probabilities[row] = label.probability or self._probabilities.get(row)
            self._cases.add(case_key)

    def found(
        self,
        read_scores: Callable[[], Sequence[float | None]],
        read_clusters: Callable[[], Sequence[Hashable] | None],
        engine: StatsEngine,
    ) -> LabelledMetric | None:
        """Return what the labels say; `None` if there is none, and then no scores are read.

        Args:
            read_scores: returns those of all the metric's rows.
            read_clusters: returns those of the same rows.
            engine: level and seed.
        """
        if not self._by_row and not self._outdated:
            return None
        scores, clusters = read_scores(), read_clusters()
        rows = sorted(self._by_row)
        given: defaultdict[str, dict[int, LabelValue]] = defaultdict(dict)
        for row in rows:
            for who, value in self._by_row[row].items():
                given[who][row] = value
        numbers = {who: {row: label_score(value) for row, value in values.items()} for who, values in given.items()}
        labels: list[float | None] = [None] * len(scores)
        for row in rows:
            known = [score for values in numbers.values() if (score := values.get(row)) is not None]
            labels[row] = mean(known) if known else None
        stated = [probability for probability in self._probabilities.values() if probability is not None]
        is_whole = is_binary([value for value in (*scores, *labels) if value is not None])
        name, level = self.metric_id, engine.level
        metric = [scores[row] for row in rows]
        keys = None if clusters is None else [clusters[row] for row in rows]
        columns = [[values.get(row) for row in rows] for _, values in sorted(numbers.items())]
        words = [[values.get(row) for row in rows] for _, values in sorted(given.items())]
        return LabelledMetric(
            metric_id=self.metric_id,
            answers=len(rows),
            cases=len(self._cases),
            outdated=self._outdated,
            words=sum(isinstance(value, str) for values in given.values() for value in values.values()),
            labellers=[_labeller(*each, metric, keys, engine) for each in zip(sorted(given), columns, strict=True)],
            alpha=_alpha([metric, *columns], keys, engine),
            among_labellers=_alpha(columns, keys, engine, words) if len(given) > 1 else None,
            corrected=corrected_mean(
                scores,
                labels,
                probabilities=[self._probabilities.get(row) for row in range(len(scores))] if stated else None,
                clusters=clusters,
                metric_id=name,
                level=level,
            ),
            rogan_gladen=rogan_gladen(scores, labels, metric_id=name, level=level)
            if is_whole and not stated and clusters is None and rows
            else None,
        )


def _labeller(
    who: str,
    labels: Sequence[float | None],
    metric: Sequence[float | None],
    clusters: Sequence[Hashable] | None,
    engine: StatsEngine,
) -> Labeller:
    values = {value for value in (*metric, *labels) if value is not None}
    is_coarse = len(values) <= _MOST_CATEGORIES
    weights: Weights = "none" if is_binary(values) else "quadratic"
    return Labeller(
        who=who,
        labels=sum(label is not None for label in labels),
        raw=raw_agreement([metric, labels], level=engine.level),
        kappa=cohen_kappa(metric, labels, weights=weights, clusters=clusters, level=engine.level)
        if is_coarse
        else None,
    )


def _alpha(
    ratings: Sequence[Sequence[float | None]],
    clusters: Sequence[Hashable] | None,
    engine: StatsEngine,
    words: Sequence[Sequence[LabelValue]] = (),
) -> Agreement:
    """Return alpha of numbers, or of words where some labels are."""
    rated: Sequence[Sequence[LabelValue]] = ratings
    if any(isinstance(value, str) for column in words for value in column):
        rated = words
    values = [value for column in rated for value in column if value is not None]
    is_nominal = rated is words or is_binary(float(value) for value in values if not isinstance(value, str))
    return krippendorff_alpha(
        rated,
        scale="nominal" if is_nominal else "interval",
        level=engine.level,
        resamples=_RESAMPLES,
        clusters=clusters,
        seed=engine.seed,
    )
