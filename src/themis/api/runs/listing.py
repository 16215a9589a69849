"""The runs of a store in a table: what they are made of, in what they differ, and what they came to."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from themis._version import __version__
from themis.api.arguments import checked
from themis.api.runs.inspect import MetricCheck, metric_checks, status_by
from themis.api.runs.result import prices_of
from themis.api.runs.search import find_runs
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.figures import figure_name, keep_figures, kept_figures
from themis.effects.stores.counting import Counted
from themis.pure.errors import SpecError, ThemisError, nearest
from themis.pure.events import RUN_ENDS
from themis.pure.json import decode, encode
from themis.pure.pipeline.table import happy_path
from themis.pure.protocols import RunStore
from themis.pure.records.results import RunStatus
from themis.pure.records.stored import RunSummary
from themis.pure.report.figures import (
    FIGURES_VERSION,
    ListedRun,
    ListedScore,
    RunFigures,
    all_settings,
    differing_settings,
    figures_of,
)
from themis.pure.report.sections import Report
from themis.pure.state import has_failures
from themis.pure.stats import estimate_mean
from themis.pure.stats.engine import score_of
from themis.pure.usage import AnsweredCall, Ledger, RunCosts

_PARTIAL: Final = RunStatus.PARTIAL_FAILURE.value


@checked
def list_runs(
    store: RunStore | Storage,
    *,
    dataset: str | None = None,
    metric: str | None = None,
    model: str | None = None,
    name: str | None = None,
    tags: Iterable[str] = (),
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    sort: str = "started",
    reverse: bool = False,
    limit: int | None = None,
    figures: bool = True,
) -> tuple[ListedRun, ...]:
    """Return the runs of a store that fit: the settings in which they differ, their scores with intervals, their cost.

    A run's figures are read from its cases once, and kept in a file of the user's until something is added to the run.

    Args:
        store: where the runs are.
        dataset: only runs over this dataset.
        metric: only runs with this metric; `builtin/` may be left out.
        model: only runs of this model.
        name: only runs of this name.
        tags: only runs with all of these tags.
        status: only runs that are `pending`, `running`, `interrupted`, `completed`, `failed` or, if figures are read,
            `partial_failure`.
        since: only runs that began at this time or later.
        until: only runs that began before this time.
        sort: `started` (the newest first), `name`, `model`, `dataset`, `status`, `cases`, `cost` (the dearest first),
            or a metric (the highest first). Runs that have none come last.
        reverse: the other way round.
        limit: the first so many.
        figures: whether to read scores and costs.

    Raises:
        SpecError: no run is ever of this status, or runs can't be sorted by that.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(40)]
    >>> for samples in (1, 2):
    ...     _ = evaluate(model="builtin/demo_model", data=rows, metric="builtin/f1", samples=samples, store=store)
    >>> for line in list_runs(store, sort="f1"):
    ...     print(line.figures.scores[0].mean, dict(line.differing))
    0.725 {}
    0.7 {'num_samples': 2}
    """
    return runs_listed(
        store,
        dataset_id=dataset,
        metric=metric,
        generator_id=model,
        name=name,
        tags=tags,
        status=status,
        since=since,
        until=until,
        sort=sort,
        reverse=reverse,
        limit=limit,
        figures=figures,
    )


def runs_listed(
    store: RunStore | Storage,
    *,
    metric: str | None,
    status: str | None,
    sort: str,
    reverse: bool,
    limit: int | None,
    figures: bool,
    told: Callable[[int, int], object] | None = None,
    **others: Any,
) -> tuple[ListedRun, ...]:
    """Return runs as `list_runs` does, with further words for `find_runs`.

    `told` is called with how many runs were read, and of how many.
    """
    opened = at_hand(store)
    is_partial = status == _PARTIAL and figures
    found: Sequence[RunSummary] = find_runs(
        opened, status=RunStatus.COMPLETED.value if is_partial else status, **others
    )
    if metric is not None:
        found = [line for line in found if {metric, f"builtin/{metric}"} & {*line.metric_ids}]
    if limit is not None and limit < 0:
        raise SpecError(f"limit: a number from 0 up expected, found {limit}")
    key = _sort_key(sort, found, figures=figures)
    early = sort in _OF_SUMMARY and status not in (_PARTIAL, RunStatus.COMPLETED.value)
    if early:
        chosen = _sorted([ListedRun(run=line) for line in found], key, sort, reverse=reverse)[:limit]
        found = [line.run for line in chosen]
    lines = []
    for number, line in enumerate(found):
        if told is not None:
            told(number, len(found))
        lines.append(_listed(opened, line, figures=figures))
    if status in (_PARTIAL, RunStatus.COMPLETED.value) and figures:
        lines = [each for each in lines if each.status == status]
    if not early:
        lines = _sorted(lines, key, sort, reverse=reverse)[:limit]
    settings = [_settings(opened, each.run) for each in lines]
    return tuple(
        each.evolve(differing=differing) for each, differing in zip(lines, differing_settings(settings), strict=True)
    )


_OF_SUMMARY: Final[dict[str, Callable[[RunSummary], Any]]] = {
    "started": lambda run: run.started_at,
    "name": lambda run: run.name,
    "model": lambda run: run.generator_id or None,
    "dataset": lambda run: ", ".join(run.dataset_ids) or None,
    "status": lambda run: run.status,
    "cases": lambda run: run.total_cases,
}
_HIGHEST_FIRST: Final = frozenset({"started", "cases"})


def _sort_key(sort: str, runs: Sequence[RunSummary], *, figures: bool) -> Callable[[ListedRun], Any]:
    if sort in _OF_SUMMARY:
        return lambda line: _OF_SUMMARY[sort](line.run)
    known = {name for run in runs for metric in run.metric_ids for name in (metric, metric.removeprefix("builtin/"))}
    if sort != "cost" and sort not in known:
        raise SpecError(f"sort: runs can't be sorted by {sort!r}; {nearest(sort, {*_OF_SUMMARY, 'cost', *known})}")
    if not figures:
        raise SpecError(f"sort: runs are sorted by {sort!r} where their figures are read, and these were not asked for")

    def key(line: ListedRun) -> float | None:
        if line.figures is None:
            return None
        if sort == "cost":
            return line.figures.cost
        score = line.figures.score(sort)
        return None if score is None else score.mean

    return key


def _sorted(
    lines: Sequence[ListedRun], key: Callable[[ListedRun], Any], sort: str, *, reverse: bool
) -> list[ListedRun]:
    """Return runs in order: texts from A on, times and numbers from the highest on; those that have none come last."""
    is_falling = (sort in _HIGHEST_FIRST or sort not in _OF_SUMMARY) != reverse
    there = [line for line in lines if key(line) is not None]
    return [*sorted(there, key=key, reverse=is_falling), *(line for line in lines if key(line) is None)]


def _listed(store: RunStore, line: RunSummary, *, figures: bool) -> ListedRun:
    if not figures or not line.event_count:
        return ListedRun(run=line)
    try:
        return ListedRun(run=line, figures=read_figures(RunView.of(store, line.run_id)))
    except ThemisError as error:  # a listing shows what is there, whatever one run of it is like
        return ListedRun(run=line, error=str(error))


def _settings(store: RunStore, line: RunSummary) -> dict[str, Any]:
    try:
        return all_settings(store.load_snapshot(line.run_id))
    except ThemisError:
        return {}


# --- figures ----------------------------------------------------------------------------------------------


def read_figures(view: RunView) -> RunFigures:
    """Return what a run came to: as it was kept, or from its report."""
    name = _name(view)
    kept = kept_figures(name)
    if kept is not None:
        try:
            return RunFigures.from_dict(decode(kept))
        except (ValueError, TypeError):  # another program's, or half of it
            pass
    found = _made(view)
    if view.ending.event_type in RUN_ENDS:
        keep_figures(name, encode(found).decode())
    return found


def _made(view: RunView) -> RunFigures:
    return _counted(view) or _read(view)


def _read(view: RunView) -> RunFigures:
    from themis.api.runs.report import read_report

    return figures_of(read_report(view, price=prices_of(view), with_digest=False))


def _counted(view: RunView) -> RunFigures | None:
    """Return the same of a run that its store can count, which takes a tenth of the time; `None` of others.

    Read are the cases alone that did not go through at once.
    """
    usual, count = happy_path(view.plan), getattr(view.store, "count_values", None)
    if count is None or not usual or not view.metrics or view.stop is not None:
        return None
    thresholds = {metric.metric_id: view.thresholds.of(metric.metric_id) for metric in view.metrics}
    counted: Counted = count(view.run_id, thresholds, len(usual))
    if counted.calls is None:
        return None
    values = {name: [value for value, often in found for _ in range(often)] for name, found in counted.values.items()}
    tallies = view.no_tallies()
    for _, state in view.numbered({*counted.unclear}):
        rows = view.rows_of(state)
        tallies.add(rows, failed=has_failures(state))
        for row in rows:
            if (score := score_of(row)) is not None:
                values[row.metric_id].append(score)
    ledger, model, price = Ledger(), view.snapshot.identity.generator_ref.component_id, prices_of(view)
    for usage, reused, attempts, often in counted.calls:
        call = AnsweredCall("generate", model, None if usage is None else decode(usage), None, attempts, reused)
        for _ in range(often):
            ledger.add(call, price)
    checks = metric_checks(view, tallies, counted)
    costs = RunCosts(rows=ledger.rows())
    return RunFigures(
        status=status_by(view, checks, tallies.failed + counted.failed).value,
        scores=[_score(check, values[check.metric_id]) for check in checks],
        cost=costs.cost,
        is_lower_bound=costs.is_lower_bound,
        tokens=costs.total_tokens,
    )


def _score(check: MetricCheck, values: Sequence[float]) -> ListedScore:
    found = estimate_mean(values)
    ends = found.interval
    return ListedScore(
        metric_id=check.metric_id,
        mean=found.mean,
        low=ends.low,
        high=ends.high,
        planned=check.planned,
        scored=len(values),
    )


def note_figures(view: RunView, report: Report) -> None:
    """Keep what a report that was made anyhow says of an ended run, for listings."""
    if report.costs is not None and view.ending.event_type in RUN_ENDS:
        keep_figures(_name(view), encode(figures_of(report)).decode())


def _name(view: RunView) -> str:
    head = view.store.head(view.run_id)
    return figure_name(view.run_id, head.count, head.last, head.digest, FIGURES_VERSION, __version__, _price_table())


def _price_table() -> str:
    try:
        return importlib.metadata.version("genai-prices")
    except importlib.metadata.PackageNotFoundError:
        return "none"
