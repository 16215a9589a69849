"""Comparing two stored runs: the same cases, pair by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from themis.api.runs.view import RunView
from themis.pure.identity import case_hash
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.comparison import identity_notes
from themis.pure.report.grouping import group_name
from themis.pure.stats.engine import StatsEngine
from themis.pure.stats.records import RunComparison


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
    snapshot: RunSnapshot
    rows: list[_Row]
    content: dict[str, str]
    clusters: dict[str, str]


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
) -> RunComparison:
    """Compare two runs on the metrics they share; differences are `b` minus `a`.

    Cases are paired by case key, never by case id alone. A case that was added, removed or changed (input,
    reference or metadata) is listed and left out.

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
        engine: level, power and seed.

    Raises:
        RunNotFoundError: a store has no such run.
        DataError: a metric asked for, or named in `margins`, is in neither run.
    """
    a = _side(store_a, run_a, cluster_by)
    b = _side(store_b, run_b, cluster_by)
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
    )
    notes = identity_notes(a.snapshot, b.snapshot)
    return chosen.with_equivalence(compared.evolve(run_a=run_a, run_b=run_b, notes=notes), margins or {})


def _side(store: RunStore, run_id: str, cluster_by: str | None) -> _Side:
    view = RunView.of(store, run_id)
    side = _Side(view.snapshot, [], {}, {})
    for case in view.scored():
        key, cluster = case.item.case_key, group_name(case.item.case.metadata.get(cluster_by or ""))
        side.content[key] = case_hash(case.item.case)
        if cluster_by is not None and cluster is not None:
            side.clusters[key] = cluster
        # With the key of the plan, which the hashes hold already, so that each is kept once.
        side.rows.extend(
            _Row(case_key=key, metric_id=row.metric_id, value=row.value, outcome=row.outcome) for row in case.rows
        )
    return side
