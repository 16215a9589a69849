"""Comparing two stored runs: the same cases, pair by pair."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import attrs

from themis.api.arguments import checked
from themis.api.runs.view import RunView, ScoredCase
from themis.api.stores import Storage
from themis.pure.compilation import whole_name
from themis.pure.errors import SpecError
from themis.pure.identity import case_hash
from themis.pure.json import EMPTY
from themis.pure.pairing import Pairing, pairing_of
from themis.pure.plan import case_items, make_plan
from themis.pure.projections import case_votes
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stopping import StoppingRule, as_rule
from themis.pure.report.comparison import identity_notes
from themis.pure.report.grouping import check_cluster_by, cluster_of
from themis.pure.report.stopped import NOT_COVERED
from themis.pure.stats.engine import StatsEngine, score_of
from themis.pure.stats.estimates import observed_clusters
from themis.pure.stats.pairs import CaseScores
from themis.pure.stats.records import Interval, PairedComparison, RunComparison
from themis.pure.stats.samples import mean
from themis.pure.stats.sequence_units import difference_bounds, units_of
from themis.pure.stats.sequences import interval_of
from themis.pure.stats.several import Ballots, checked_at, figures_by_case
from themis.pure.stopping import PairedStop, order_of, stop_of


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
        return self.view.status(lambda: bool(self.failed)).value


@checked
def compare(
    store_a: RunStore | Storage,
    run_a: str,
    store_b: RunStore | Storage,
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

    Cases are paired by case key, never by case id alone; and those whose keys only one run has, such as of two tools'
    logs, by their content (`themis.pure.pairing`), which a note counts. A case that was added, removed or changed
    (input, reference or metadata) is listed and left out. What the cases that were left out could change is said
    beside.

    Args:
        store_a: where the first run, the baseline, is kept.
        run_a: its id.
        store_b: where the second run is kept; may be the same store.
        run_b: its id.
        metric_ids: which metrics, and so the family that p-values are adjusted over; `builtin/` before a name may be
            left out. By default all shared ones.
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
    pairing = pairing_of(view_a.snapshot, view_b.snapshot)
    a, b = _sides(view_a, view_b, cluster_by, ks, pairing)
    chosen = engine or StatsEngine()
    metrics = whole_names(metric_ids, view_a, view_b)
    name_a, name_b = labels_of_two(run_a, run_b, label_a, label_b)
    compared = chosen.paired_compare(
        a.rows,
        b.rows,
        metrics=metrics,
        content_a=a.content,
        content_b=b.content,
        clusters={**b.clusters, **a.clusters} if cluster_by is not None else None,
        label_a=name_a,
        label_b=name_b,
        mid_p=mid_p,
        score_ranges=shared_score_ranges(a.view, b.view),
        figures={
            name: (a.figures[name], b.figures[name])
            for name in sorted(a.figures.keys() & b.figures.keys())
            if metrics is None or name.rpartition(":")[0] in metrics
        },
    )
    named = compared.evolve(
        run_a=run_a,
        run_b=run_b,
        status_a=a.status,
        status_b=b.status,
        notes=(
            *pairing.notes(),
            *identity_notes(a.view.snapshot, b.view.snapshot),
            *_stop_notes(a, b, compared),
        ),
        comparisons=tuple(_at_the_stop(a, b, compared.comparisons, chosen.level)),
    )
    return chosen.with_equivalence(named, margins or {})


def whole_names(metric_ids: Sequence[str] | None, *views: RunView) -> list[str] | None:
    """Return metrics' ids, before which `builtin/` may have been left out; what no run has stays as it is."""
    if metric_ids is None:
        return None
    known = {metric.metric_id for view in views for metric in view.metrics}
    return [f"builtin/{name}" if name not in known and f"builtin/{name}" in known else name for name in metric_ids]


def labels_of_two(run_a: str, run_b: str, label_a: str | None, label_b: str | None) -> tuple[str, str]:
    """Return what to call two runs: by default the start of their ids, and their places where these are equal."""
    a, b = (" (a)", " (b)") if run_a == run_b else ("", "")
    return label_a or f"{run_a[:12]}{a}", label_b or f"{run_b[:12]}{b}"


@checked
def compare_until(
    store_a: RunStore | Storage,
    run_a: str,
    store_b: RunStore | Storage,
    run_b: str,
    rule: StoppingRule | str,
    *,
    label_a: str | None = None,
    label_b: str | None = None,
) -> PairedStop:
    """Tell whether the second run is where a rule wants it, against the first, and after how many cases that was clear.

    The cases of both runs are gone through in a seeded order, and looked at again and again, as one who compares
    while the runs go on would do it: however often that is, what is decided is wrong in at most `alpha` of comparisons.
    Cases are paired by case key. One that lacks a score in a run, that only one of them has, or that was changed
    between them counts as the worst for passing and as the best for failing.

    Args:
        store_a: where the first run, the baseline, is kept.
        run_a: its id.
        store_b: where the second run is kept; may be the same store.
        run_b: its id.
        rule: about the difference of the means, `b` minus `a`: `exact_match>=-0.02` passes if `b` has lost at most
            0.02. Options as in `StoppingRule`.
        label_a: what to call the first run; by default the start of its id.
        label_b: what to call the second run.

    Raises:
        RunNotFoundError: a store has no such run.
        SpecError: not both runs have the metric with the same score range, or no difference could be the rule's value.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(400)]
    >>> models = ("builtin/demo_generator", "builtin/demo_model")
    >>> runs = [evaluate(model=each, data=rows, metric="builtin/exact_match", store=store).run_id for each in models]
    >>> found = compare_until(store, runs[0], store, runs[1], "exact_match>=-0.05")
    >>> found.stop.decision, found.stop.cases
    ('fails', 100)
    """
    view_a, view_b = RunView.of(store_a, run_a), RunView.of(store_b, run_b)
    given = as_rule(rule)
    assert given is not None
    shared = shared_score_ranges(view_a, view_b)
    named = given.evolve(metric_id=whole_name(given.metric_id, _shared_metrics(view_a, view_b)))
    if named.metric_id not in shared:
        raise SpecError(
            f"until: {named.metric_id} does not state the same score_range in both runs, and without bounds nothing "
            "can be told before the end: declare it on the metric, as in score_range = (0, 1)"
        )
    low, high = shared[named.metric_id]
    if not low - high < named.value < high - low:
        raise SpecError(
            f"until: {named.condition}: a difference between {low - high:g} and {high - low:g} expected, which are the "
            f"least and the most that scores of {named.metric_id} can differ"
        )
    a, b = _sides(view_a, view_b, named.cluster_by, (), pairing_of(view_a.snapshot, view_b.snapshot))
    pairs = _Pairs.of(a, b, named.metric_id, (low, high))
    clusters = None if named.cluster_by is None else {**b.clusters, **a.clusters}
    if clusters is not None and not clusters:
        raise SpecError(f"until: no case has the key {named.cluster_by!r} in its metadata to cluster by")
    order = order_of(pairs.keys, named, clusters)
    stop = stop_of(named, (low - high, high - low), order, pairs.bounds_at)
    seen = [pairs.differences[number] for number in order.numbers[: stop.cases]]
    scored = [each for each in seen if each is not None]
    return PairedStop(
        stop=stop,
        label_a=label_a or run_a[:12],
        label_b=label_b or run_b[:12],
        difference=mean(scored) if scored else None,
        left_out=len(seen) - len(scored),
    )


def _shared_metrics(a: RunView, b: RunView) -> list[str]:
    in_b = {metric.metric_id for metric in b.metrics}
    return [metric.metric_id for metric in a.metrics if metric.metric_id in in_b]


@attrs.frozen
class _Pairs:
    """One metric's differences, case by case, `None` where one is not known.

    Attributes:
        keys: of all cases that a run has which both planned, or should have.
        differences: of each, in score units.
        bounds: what each is at least and at most, from 0 (the least that scores can differ) to 1.
    """

    keys: Sequence[str]
    differences: Sequence[float | None]
    bounds: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, a: _Side, b: _Side, metric_id: str, score_range: tuple[float, float]) -> _Pairs:
        of_a, of_b = (
            CaseScores.of([(row.case_key, score_of(row)) for row in side.rows if row.metric_id == metric_id], metric_id)
            for side in (a, b)
        )
        keys = list({**a.content, **b.content})
        differences, bounds = list[float | None](), list[tuple[float, float]]()
        width = score_range[1] - score_range[0]
        for key in keys:
            if a.content.get(key) != b.content.get(key):
                differences.append(None)
                bounds.append((0.0, 1.0))
                continue
            range_a, range_b = of_a.range_of(key, score_range), of_b.range_of(key, score_range)
            is_sure = range_a[0] == range_a[1] and range_b[0] == range_b[1]
            differences.append(range_b[0] - range_a[0] if is_sure else None)
            bounds.append(difference_bounds(range_a, range_b, width))
        return cls(keys, differences, bounds)

    def bounds_at(self, number: int) -> tuple[float, float]:
        return self.bounds[number]


# --- runs that ended early --------------------------------------------------------------------------------


def _sides(a: RunView, b: RunView, cluster_by: str | None, at: Sequence[int], pairing: Pairing) -> tuple[_Side, _Side]:
    """Return both runs over the cases that neither left unplanned, by the case keys of the first."""
    unplanned = _unplanned(a) | {pairing.names.get(key, key) for key in _unplanned(b)}
    ours = _side(a, cluster_by, at, unplanned)
    theirs = _side(b, cluster_by, at, unplanned, pairing.names)
    # What is one by its content was not changed, whatever else is said of it.
    theirs.content.update({key: ours.content[key] for key in pairing.names.values() if key in ours.content})
    return ours, theirs


def _unplanned(view: RunView) -> set[str]:
    if view.stop is None:
        return set()
    return {item.case_key for item in case_items(view.snapshot) if not view.is_planned(item.case_no)}


def _stop_notes(a: _Side, b: _Side, compared: RunComparison) -> Iterator[str]:
    for side, label in ((a, compared.label_a), (b, compared.label_b)):
        if side.view.stop is not None:
            yield (
                f"{label} could end early ({side.view.stop}); cases that a run did not plan are left out of both, "
                "intervals of differences hold at any stop where the metric states its score range, and all other "
                "figures are those of a number of cases fixed beforehand"
            )


def _at_the_stop(
    a: _Side, b: _Side, comparisons: Sequence[PairedComparison], level: float
) -> Iterator[PairedComparison]:
    """Yield comparisons with the interval that is valid wherever a run ended, if one could end early."""
    if a.view.stop is None and b.view.stop is None:
        yield from comparisons
        return
    ranges, clusters = shared_score_ranges(a.view, b.view), {**b.clusters, **a.clusters}
    for each in comparisons:
        known = ranges.get(each.metric_id)
        if known is None:
            none = each.interval.evolve(low=None, high=None, reason=NOT_COVERED)
            yield _with_interval(each, none, none)
            continue
        pairs = _Pairs.of(a, b, each.metric_id, known)
        keys = observed_clusters(pairs.keys, clusters or None)
        units, _, _ = units_of("compare", pairs.bounds, keys, None, None)
        width = known[1] - known[0]
        whole = seen = interval_of(units, (-width, width), level)
        if keys is None:
            sure = [unit for unit, value in zip(units, pairs.differences, strict=True) if value is not None]
            seen = interval_of(sure, (-width, width), level)
        yield _with_interval(each, seen, whole)


def _with_interval(each: PairedComparison, seen: Interval, whole: Interval) -> PairedComparison:
    left_out = {
        name: found.evolve(interval=whole)
        for name in ("if_missing", "if_left_out")
        if (found := getattr(each, name)) is not None
    }
    return each.evolve(interval=seen, **left_out)


def shared_answers(a: RunSnapshot, b: RunSnapshot) -> int:
    """Return how many answers a case has in both runs."""
    return min(len(make_plan(a).answers), len(make_plan(b).answers))


def shared_score_ranges(a: RunView, b: RunView) -> dict[str, tuple[float, float]]:
    """Return the range of each metric that states one, and the same one in both runs."""
    in_a = {metric.metric_id: metric.score_range for metric in a.metrics}
    return {
        metric.metric_id: metric.score_range
        for metric in b.metrics
        if metric.score_range is not None and in_a.get(metric.metric_id) == metric.score_range
    }


def _side(
    view: RunView,
    cluster_by: str | None,
    at: Sequence[int],
    unplanned: Collection[str],
    names: Mapping[str, str] = EMPTY,
) -> _Side:
    side = _Side(view)
    several = _Several(view, at) if at else None
    for case in view.scored():
        key = names.get(case.item.case_key, case.item.case_key)
        if key in unplanned:
            continue
        cluster = cluster_of(case.item.case, cluster_by)
        side.content[key] = case_hash(case.item.case)
        if cluster is not None:
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
                self._scores[row.metric_id].append(score_of(row))

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
