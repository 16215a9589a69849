"""Comparing two stored runs: the same cases, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from themis.api.runs.view import RunView, ScoredCase
from themis.pure.identity import case_hash
from themis.pure.plan import make_plan
from themis.pure.projections import case_votes
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.comparison import identity_notes
from themis.pure.report.grouping import check_cluster_by, group_name
from themis.pure.stats.engine import StatsEngine
from themis.pure.stats.pairs import CaseScores
from themis.pure.stats.records import RunComparison
from themis.pure.stats.several import Ballots, checked_at, figures_by_case


@attrs.frozen(kw_only=True)
class _Row:
    """What statistics need of a score row, and nothing more: a million of them must fit into memory."""

    case_key: str
    metric_id: str
    value: float | None
    outcome: str
    error_category: str | None = None


@attrs.frozen
class _Side:
    """One run: its rows, and of each case its content's hash and its cluster, by case key.

    Attributes:
        figures: what several answers a case say together, by the names of metric and figure.
    """

    view: RunView
    rows: list[_Row] = attrs.field(factory=list)
    content: dict[str, str] = attrs.field(factory=dict)
    clusters: dict[str, str] = attrs.field(factory=dict)
    figures: dict[str, CaseScores] = attrs.field(factory=dict)
    failed: list[str] = attrs.field(factory=list)

    @property
    def status(self) -> str:
        return self.view.ending.status(lambda: bool(self.failed)).value


def compare(
    store_a: RunStore,
    run_a: str,
    store_b: RunStore,
    run_b: str,
    metric_ids: Sequence[str] | None = None,
    *,
    label_a: str | None = None,
    label_b: str | None = None,
    cluster_by: str | None = None,
    margins: Mapping[str, float] | None = None,
    mid_p: bool = False,
    engine: StatsEngine | None = None,
    at: Sequence[int] | None = None,
) -> RunComparison:
    """Compare two runs on the metrics they share; differences are `b` minus `a`.

    Cases are paired by case key, never by case id alone. A case that was added, removed or changed (input,
    reference or metadata) is listed and left out. What the cases that were left out could change is said beside.

    Args:
        store_a: where the first run, the baseline, is kept.
        run_a: its id.
        store_b: where the second run is kept; may be the same store.
        run_b: its id.
        metric_ids: which metrics, and so the family that p-values are adjusted over; by default all shared ones.
        label_a: what to call the first run; by default the start of its id, and the store's place if ids are equal.
        label_b: what to call the second run.
        cluster_by: a key of the cases' metadata; cases with the same value there stay together.
        margins: metric -> the largest difference that counts as none, declared beforehand: adds an equivalence test.
        mid_p: McNemar's mid-p in place of the exact test.
        engine: level, power, seed, and `correction` (CR1 or CR2) of cluster-robust errors.
        at: for which k to compare pass@k, pass^k and maj@k, where both runs have several answers a case. Each is a
            comparison of its own, `METRIC:pass@4`, and p-values are adjusted over them, too.

    Raises:
        RunNotFoundError: a store has no such run.
        SpecError: no case of either run has the key `cluster_by`.
        DataError: a metric asked for, or named in `margins`, is in neither run; or a k exceeds the answers of a case.
    """
    view_a, view_b = RunView.of(store_a, run_a), RunView.of(store_b, run_b)
    check_cluster_by(cluster_by, (*view_a.snapshot.datasets, *view_b.snapshot.datasets))
    ks = () if at is None else checked_at(at, shared_answers(view_a.snapshot, view_b.snapshot))
    a, b = _side(view_a, cluster_by, ks), _side(view_b, cluster_by, ks)
    chosen = engine or StatsEngine()
    same = run_a == run_b
    compared = chosen.paired_compare(
        a.rows,
        b.rows,
        metrics=metric_ids,
        content_a=a.content,
        content_b=b.content,
        clusters={**b.clusters, **a.clusters} if cluster_by is not None else None,
        label_a=label_a or (f"{run_a[:12]} (a)" if same else run_a[:12]),
        label_b=label_b or (f"{run_b[:12]} (b)" if same else run_b[:12]),
        mid_p=mid_p,
        score_ranges=_score_ranges(a.view, b.view),
        figures={
            name: (a.figures[name], b.figures[name])
            for name in sorted(a.figures.keys() & b.figures.keys())
            if metric_ids is None or name.rpartition(":")[0] in metric_ids
        },
    )
    named = compared.evolve(
        run_a=run_a,
        run_b=run_b,
        status_a=a.status,
        status_b=b.status,
        notes=identity_notes(a.view.snapshot, b.view.snapshot),
    )
    return chosen.with_equivalence(named, margins or {})


def shared_answers(a: RunSnapshot, b: RunSnapshot) -> int:
    """Return how many answers a case has in both runs."""
    return min(len(make_plan(a).answers), len(make_plan(b).answers))


def _score_ranges(a: RunView, b: RunView) -> dict[str, tuple[float, float]]:
    """Return the range of each metric that states one, and the same one in both runs."""
    in_a = {metric.metric_id: metric.score_range for metric in a.metrics}
    return {
        metric.metric_id: metric.score_range
        for metric in b.metrics
        if metric.score_range is not None and in_a.get(metric.metric_id) == metric.score_range
    }


def _side(view: RunView, cluster_by: str | None, at: Sequence[int]) -> _Side:
    side = _Side(view)
    several = _Several(view, at) if at else None
    for case in view.scored():
        key, cluster = case.item.case_key, group_name(case.item.case.metadata.get(cluster_by or ""))
        side.content[key] = case_hash(case.item.case)
        if cluster_by is not None and cluster is not None:
            side.clusters[key] = cluster
        if case.failed:
            side.failed.append(key)
        if several is not None:
            several.add(case)
        # With the key of the plan, which the hashes hold already, so that each is kept once.
        side.rows.extend(
            _Row(case_key=key, metric_id=row.metric_id, value=row.value, outcome=row.outcome) for row in case.rows
        )
    if several is not None:
        side.figures.update(several.figures(tuple(side.content)))
    return side


class _Several:
    """Collects what the answers of each case say together."""

    def __init__(self, view: RunView, at: Sequence[int]) -> None:
        self._view = view
        self._ballots = Ballots(len(view.plan.answers), at)
        self._scores: dict[str, list[float | None]] = {m.metric_id: [] for m in view.metrics if m.is_of_answers}

    def add(self, case: ScoredCase) -> None:
        self._ballots.add(*case_votes(self._view.plan, self._view.state_of(case.item)))
        for row in case.rows:
            if row.metric_id in self._scores:
                self._scores[row.metric_id].append(None if row.outcome == "error" else row.value)

    def figures(self, keys: Sequence[str]) -> Iterator[tuple[str, CaseScores]]:
        for metric in self._view.metrics:
            if metric.metric_id in self._scores:
                found = figures_by_case(
                    self._scores[metric.metric_id],
                    self._ballots,
                    keys,
                    threshold=self._view.thresholds.of(metric.metric_id),
                    unparsed=metric.unparsed,
                    score_range=metric.score_range,
                )
                yield from ((f"{metric.metric_id}:{figure}", scores) for figure, scores in found.items())
