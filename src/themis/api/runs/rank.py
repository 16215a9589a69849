"""Several stored runs on one metric: every two compared, and ranks with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from themis.api.arguments import checked
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.pure.compilation import whole_name
from themis.pure.errors import DataError, SpecError
from themis.pure.identity import case_hash
from themis.pure.protocols import RunStore
from themis.pure.report.grouping import check_cluster_by, cluster_of
from themis.pure.stats.engine import score_of
from themis.pure.stats.pairs import PairedMethod
from themis.pure.stats.ranks import Ranking, rank_runs


@checked
def rank(
    store: RunStore | Storage,
    run_ids: Sequence[str],
    metric_id: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    cluster_by: str | None = None,
    higher_is_better: bool = True,
    method: PairedMethod | None = None,
) -> Ranking:
    """Compare every two of several runs on one metric, in one family of tests, and rank them with intervals.

    Cases are paired by case key, and the content of a case must be the same: where runs differ on it, or one of them
    lacks the case, the two are compared without it.

    Args:
        store: where the runs are kept.
        run_ids: of two runs at least.
        metric_id: the metric; `builtin/` before its name may be left out, and all of it if the runs share one alone.
        labels: run id -> what to call the run; by default the start of its id.
        cluster_by: a key of the cases' metadata; cases with the same value there stay together.
        higher_is_better: whether rank 1 has the highest mean, or the lowest.
        method: of the comparisons: level, mid-p, seed.

    Raises:
        RunNotFoundError: the store has no such run.
        SpecError: a run is named twice, or fewer than two are, or not every run has the metric, or no case has the key
            `cluster_by`.
        DataError: the runs share several metrics and none was named.

    Source: see `themis.stats.rank_runs`.
    """
    if len(run_ids) < 2 or len(set(run_ids)) < len(run_ids):
        raise SpecError(f"rank: two or more different runs expected, found {list(run_ids)}")
    store = at_hand(store)
    views = [RunView.of(store, run_id) for run_id in run_ids]
    check_cluster_by(cluster_by, tuple(dataset for view in views for dataset in view.snapshot.datasets))
    shared = set.intersection(*({slot.metric_id for slot in view.metrics} for view in views))
    if metric_id is None and len(shared) == 1:
        (metric_id,) = shared
    if metric_id is None:
        raise DataError(f"name one metric that all runs have, of {', '.join(sorted(shared)) or 'none'}")
    metric_id = whole_name(metric_id, sorted(shared))
    names = dict(labels or {})
    runs: dict[str, list[tuple[str, float | None]]] = {}
    clusters: dict[str, str] = {}
    for view in views:
        rows: list[tuple[str, float | None]] = []
        for case in view.scored():
            # Another content is another case: its key never meets that of the first.
            key = f"{case.item.case_key} {case_hash(case.item.case)}"
            cluster = cluster_of(case.item.case, cluster_by)
            if cluster is not None:
                clusters[key] = cluster
            rows += [(key, score_of(row)) for row in case.rows if row.metric_id == metric_id]
        runs[names.get(view.run_id, view.run_id[:12])] = rows
    if len(runs) < len(views):
        raise SpecError(f"rank: each run needs a label of its own, found {sorted(runs)}")
    ranges = {slot.score_range for view in views for slot in view.metrics if slot.metric_id == metric_id}
    return rank_runs(
        runs,
        metric_id=metric_id,
        clusters=clusters if cluster_by is not None else None,
        score_range=ranges.pop() if len(ranges) == 1 else None,
        higher_is_better=higher_is_better,
        method=method,
    )
