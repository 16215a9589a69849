"""Any statistic of two stored runs: medians, quantiles, ratios, corpus scores; of scores, costs, latency and tokens."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from themis.api.arguments import checked
from themis.api.runs.compare import labels_of_two, shared_score_ranges, whole_names
from themis.api.runs.result import prices_of
from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.effects.reading import fresh_state
from themis.pure.case_costs import PaidStage, case_amounts
from themis.pure.errors import DataError, SpecError, nearest
from themis.pure.identity import case_hash
from themis.pure.json import EMPTY
from themis.pure.pairing import pairing_of
from themis.pure.protocols import RunStore
from themis.pure.report.grouping import check_cluster_by, cluster_of
from themis.pure.state import fold_case
from themis.pure.stats.drawn_statistics import Contrast, Quantile, Statistic, Totals
from themis.pure.stats.engine import StatsEngine, score_of
from themis.pure.stats.paired_bootstrap import Method, PairedStatistic, adjusted_statistics, paired_statistic
from themis.pure.usage import Prices

Measure: TypeAlias = Literal["score", "cost", "latency", "prompt_tokens", "completion_tokens"]
"""What statistics are of: the metrics' scores, or what a case took."""

CORPUS: Final[Literal["corpus"]] = "corpus"
"""The statistic of BLEU and chrF that they are made for: the score of all cases as one corpus."""

_AMOUNTS: Final[Mapping[str, str]] = {"latency": "latency_ms"}
_NAMED: Final[Mapping[str, Literal["mean", "median", "corpus"]]] = {
    "mean": "mean",
    "median": "median",
    "corpus": "corpus",
}
_QUANTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


def read_statistic(text: str) -> Statistic | Literal["corpus"]:
    """Return a statistic from text: `mean`, `median`, `p90` for the 90th percentile, or `corpus`.

    Raises:
        SpecError: the text is none of these.

    >>> read_statistic("p90"), read_statistic("median")
    (Quantile(probability=0.9), 'median')
    """
    found = _QUANTILE.fullmatch(text)
    if found is not None:
        return Quantile(float(f"{found[1]}e-2"))
    named = _NAMED.get(text)
    if named is not None:
        return named
    raise SpecError(
        f"a statistic expected: mean, median, corpus, or a percentile such as p90; found {text!r}; "
        f"{nearest(text, [*_NAMED, 'p90'])}"
    )


@attrs.frozen
class _Cases:
    """One run: the cases' contents and clusters, and the rows of each measure, by case key."""

    content: dict[str, str] = attrs.field(factory=dict)
    clusters: dict[str, str] = attrs.field(factory=dict)
    rows: dict[str, list[tuple[str, Any]]] = attrs.field(factory=dict)
    signatures: defaultdict[str, set[str]] = attrs.field(factory=lambda: defaultdict(set))
    uncounted: Counter[str] = attrs.field(factory=Counter)
    """Of each metric, the scores without the counts that a corpus score is made of."""


@checked
def compare_statistics(
    store_a: RunStore | Storage,
    run_a: str,
    store_b: RunStore | Storage,
    run_b: str,
    statistic: str | Statistic = "median",
    *,
    of: Measure = "score",
    metric_ids: Sequence[str] | None = None,
    contrast: Contrast = "difference",
    method: Method | None = None,
    cluster_by: str | None = None,
    prices: Prices = EMPTY,
    stage: PaidStage | None = None,
    label_a: str | None = None,
    label_b: str | None = None,
    resamples: int | None = None,
    engine: StatsEngine | None = None,
) -> tuple[PairedStatistic, ...]:
    """Compare a statistic of two runs over the cases that both have, by the paired bootstrap.

    Cases are paired by case key, and those whose keys only one run has, such as of two tools' logs, by their content,
    as `compare` does; a case whose content differs between the runs is left out and counted, and so is one without a
    score in either run, or of which a cost or a time is not known in full. P-values are adjusted over all metrics.

    Args:
        store_a: where the first run, the baseline, is kept.
        run_a: its id.
        store_b: where the second run is kept; may be the same store.
        run_b: its id.
        statistic: `mean`, `median`, a percentile such as `p90`, `corpus` (of `builtin/bleu` and `builtin/chrf`: the
            score of all cases as one corpus, 0 to 100), or a function of a list of values; see
            `themis.stats.paired_statistic`.
        of: what it is of: the `score` of each metric, or what a case took: `cost` in US dollars, `latency` in
            milliseconds, `prompt_tokens` or `completion_tokens`.
        metric_ids: which metrics; `builtin/` before a name may be left out. By default all shared ones.
        contrast: `difference` (b - a), `ratio` (b / a), or the statistic `of_differences`, case by case.
        method: of the interval; by default the one that suits the statistic.
        cluster_by: a key of the cases' metadata; cases with the same value there stay together.
        prices: prices that come before the table's, in US dollars per million tokens, as for `RunResult.costs`.
        stage: count the calls of this stage alone: `generate` or `judge`.
        label_a: what to call the first run; by default the start of its id, and its place if ids are equal.
        label_b: what to call the second run.
        resamples: how many; by default as many as the method takes.
        engine: level and seed.

    Returns:
        One comparison a metric, in the order of their names; or the one of `of`.

    Raises:
        RunNotFoundError: a store has no such run.
        DataError: a metric that is not in both runs, or whose scores have no counts of a corpus; runs that share none.
        SpecError: a text that names no statistic, or no case has the key `cluster_by`.
    """
    found = statistics_of_runs(
        (RunView.of(store_a, run_a), RunView.of(store_b, run_b)),
        [statistic],
        of=of,
        metric_ids=metric_ids,
        contrast=contrast,
        method=method,
        cluster_by=cluster_by,
        prices=prices,
        stage=stage,
        label_a=label_a,
        label_b=label_b,
        resamples=resamples,
        engine=engine,
    )
    return adjusted_statistics(found)


def statistics_of_runs(
    views: tuple[RunView, RunView],
    statistics: Sequence[str | Statistic],
    *,
    of: Measure = "score",
    metric_ids: Sequence[str] | None = None,
    contrast: Contrast = "difference",
    method: Method | None = None,
    cluster_by: str | None = None,
    prices: Prices = EMPTY,
    stage: PaidStage | None = None,
    label_a: str | None = None,
    label_b: str | None = None,
    resamples: int | None = None,
    engine: StatsEngine | None = None,
) -> list[PairedStatistic]:
    """Compare several statistics of what is read of two runs once, without adjustment. As `compare_statistics`."""
    chosen = [read_statistic(each) if isinstance(each, str) else each for each in statistics]
    usual = engine or StatsEngine()
    check_cluster_by(cluster_by, tuple(dataset for view in views for dataset in view.snapshot.datasets))
    if of != "score" and CORPUS in chosen:
        raise SpecError(f"statistic: {CORPUS} is one of scores; found it of {of}")
    metrics = whole_names(metric_ids, *views)

    pairing = pairing_of(views[0].snapshot, views[1].snapshot)

    @functools.cache
    def read(*, corpus: bool) -> tuple[_Cases, _Cases]:
        sides = zip(views, (EMPTY, pairing.names), strict=True)
        if of == "score":
            a, b = (_scores(view, cluster_by, metrics, names, corpus=corpus) for view, names in sides)
        else:
            a, b = (_amounts(view, cluster_by, _AMOUNTS.get(of, of), prices, stage, names) for view, names in sides)
        return a, b

    ranges = shared_score_ranges(*views)
    name_a, name_b = labels_of_two(views[0].run_id, views[1].run_id, label_a, label_b)
    compared = []
    for each in chosen:
        a, b = read(corpus=each == CORPUS)
        shared = a.content.keys() & b.content.keys() - set(pairing.names.values())
        changed = {key for key in shared if a.content[key] != b.content[key]}
        for name in _names(a, b, metrics if of == "score" else None, corpus=each == CORPUS):
            found = paired_statistic(
                a.rows[name],
                b.rows[name],
                _corpus(name, a.signatures[name] | b.signatures[name]) if each == CORPUS else each,
                contrast=contrast,
                method=method,
                clusters={**b.clusters, **a.clusters} if cluster_by is not None else None,
                changed=changed,
                score_range=ranges.get(name) if each != CORPUS else None,
                level=usual.level,
                resamples=resamples,
                seed=usual.seed,
                name=name,
                label_a=name_a,
                label_b=name_b,
            )
            compared.append(found.evolve(warnings=(*found.warnings, *_gaps(found, of, a, b), *pairing.notes())))
    return compared


def _names(a: _Cases, b: _Cases, metrics: Sequence[str] | None, *, corpus: bool) -> Sequence[str]:
    """Return what to compare: the metrics asked for, or all that both runs have, of a corpus those that have one."""
    names = sorted(a.rows.keys() & b.rows.keys()) if metrics is None else metrics
    if corpus and metrics is None:
        names = [name for name in names if a.signatures[name] | b.signatures[name]] or names
    unknown = [name for name in names if name not in a.rows or name not in b.rows]
    if unknown or not names:
        every = sorted(a.rows.keys() | b.rows.keys())
        raise DataError(f"both runs need scores of {unknown or 'a metric'}; found {every}")
    return names


def _gaps(found: PairedStatistic, of: Measure, a: _Cases, b: _Cases) -> Iterator[str]:
    if of == "cost" and not found.pairs:
        yield "no case's cost is known: state prices, or run with them"
    uncounted = a.uncounted[found.name] + b.uncounted[found.name]
    if uncounted:
        yield f"{uncounted} answers that could not be parsed are not in the corpus, which may flatter"


def _corpus(metric_id: str, signatures: set[str]) -> Totals:
    from themis.pure.components.translation import corpus_function, metric_of

    if len(signatures) > 1:
        raise DataError(
            f"{metric_id}: the runs' scores have several signatures, and no corpus score: {sorted(signatures)}"
        )
    try:
        metric = metric_of(next(iter(signatures), "none"))
    except ValueError as error:
        raise DataError(f"{metric_id} has no corpus score, as builtin/bleu and builtin/chrf have: {error}") from None
    return Totals(corpus_function(metric), "corpus")


def _scores(
    view: RunView,
    cluster_by: str | None,
    metric_ids: Sequence[str] | None,
    names: Mapping[str, str],
    *,
    corpus: bool,
) -> _Cases:
    found = _Cases()
    for case in view.scored():
        key = _noted(found, names.get(case.item.case_key, case.item.case_key), case.item.case, cluster_by)
        for row in case.rows:
            if metric_ids is not None and row.metric_id not in metric_ids:
                continue
            value: Any = score_of(row)
            if corpus and value is not None:
                value = row.details.get("statistics")
                if value is None:  # an answer that could not be parsed has a score, and nothing to count
                    found.uncounted[row.metric_id] += 1
                else:
                    found.signatures[row.metric_id].add(str(row.details.get("signature")))
            found.rows.setdefault(row.metric_id, []).append((key, value))
    return found


def _amounts(
    view: RunView,
    cluster_by: str | None,
    name: str,
    prices: Prices,
    stage: PaidStage | None,
    names: Mapping[str, str],
) -> _Cases:
    found, price = _Cases(rows={name: []}), prices_of(view, prices)
    for item, events in view.case_events():
        key = _noted(found, names.get(item.case_key, item.case_key), item.case, cluster_by)
        amounts = case_amounts(fold_case(fresh_state(item), events), events, view.plan, price, stage)
        found.rows[name].append((key, amounts[name]))
    return found


def _noted(found: _Cases, key: str, case: Any, cluster_by: str | None) -> str:
    found.content[key] = case_hash(case)
    cluster = cluster_of(case, cluster_by)
    if cluster is not None:
        found.clusters[key] = cluster
    return key
