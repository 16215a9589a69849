"""`Reporter`: a stored run as text, JSON, Markdown, CSV, LaTeX, Parquet, HTML, or rows."""

from __future__ import annotations

import functools
import importlib
import importlib.resources
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from themis.api.arguments import checked
from themis.api.runs.result import RunResult, prices_of
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.files import whole_file
from themis.effects.reading import fresh_state
from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry
from themis.pure.benchmarks.registry import recipes
from themis.pure.errors import MissingExtraError, SpecError, pip_install
from themis.pure.json import EMPTY, formatted, thaw
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.grouping import BY_DATASET, check_by, check_cluster_by, read_by
from themis.pure.report.html import html_pieces
from themis.pure.report.latex import run_latex
from themis.pure.report.markdown import MARKDOWN_SAMPLE, case_markdown, run_markdown
from themis.pure.report.overview import Overview
from themis.pure.report.sample import DEFAULT_SAMPLE, CaseSample, page_case
from themis.pure.report.sections import Report
from themis.pure.report.table import COLUMNS, csv_lines, flat_row, table_row
from themis.pure.report.terminal import run_summary
from themis.pure.state import fold_case
from themis.pure.stats import GroupedEstimate, StatsEngine
from themis.pure.stats.several import default_at
from themis.pure.usage import Ledger, Price, Prices, RunCosts

ReportFormat: TypeAlias = Literal["text", "markdown", "json", "csv", "latex", "html", "parquet"]

PARQUET_BATCH = 10_000


def result_table(
    result: RunResult, at: Sequence[int] | None = None, by: Sequence[str] | None = None, prices: Prices = EMPTY
) -> str:
    return run_summary(_noted(result, prices, at=at, by=by, with_digest=False))


def result_data(
    result: RunResult, at: Sequence[int] | None = None, by: Sequence[str] | None = None, prices: Prices = EMPTY
) -> dict[str, Any]:
    return _data(_noted(result, prices, at=at, by=by))


def _noted(result: RunResult, prices: Prices, **options: Any) -> Report:
    """Return a result's report, and keep its figures for listings, unless prices were stated for this once."""
    from themis.api.runs.listing import note_figures

    report = read_report(result.view, price=prices_of(result.view, prices), **options)
    if not prices:
        note_figures(result.view, report)
    return report


def read_report(
    view: RunView,
    *,
    engine: StatsEngine | None = None,
    cluster_by: str | None = None,
    by: Sequence[str] | None = None,
    at: Sequence[int] | None = None,
    price: Price | None = None,
    details: str | None = None,
    sample: CaseSample[Any] | None = None,
    with_digest: bool = True,
) -> Report:
    """Return a run's figures, from one pass over the store that holds one case at a time.

    Args:
        view: the run.
        engine: level and seed of the intervals.
        cluster_by: a key of the cases' metadata; cases with the same value there are one cluster.
        by: what to group the cases by: keys of their metadata, or `dataset`. By default several datasets, or the usual
            groups of a benchmark, if the run has more than one of them.
        at: for which k to report pass@k, pass^k and maj@k, where each case has several answers; by default those that
            are usual for a benchmark, or the powers of two, and all answers.
        price: what a model's tokens cost; without it no costs are counted.
        details: a path into the scores' details, such as `fields.name`: the numbers and booleans there, or below, are
            estimated.
        sample: collects the cases that a report shows in full.
        with_digest: whether to hash all results, which takes a fifth of the time.

    Raises:
        SpecError: no case has a key that they are to be grouped or clustered by, or no score the details.
    """
    check_by(by or (), view.snapshot.datasets)
    check_cluster_by(cluster_by, view.snapshot.datasets)
    rule = view.snapshot.identity.until
    if cluster_by is None and rule is not None:
        cluster_by = rule.cluster_by
    overview = Overview(
        view.plan,
        engine=engine,
        cluster_by=cluster_by,
        by=_usual_groups(view.snapshot) if by is None else by,
        at=_usual_at(view) if at is None else at,
        details=details,
        thresholds=view.thresholds,
        with_digest=with_digest,
        stop=view.stop,
        through=view.ending.completed_through_stage,
    )
    ledger, generator = Ledger(), view.snapshot.identity.generator_ref.component_id
    for item, events in view.case_events():
        state = fold_case(fresh_state(item), events)
        rows = view.rows_of(state)
        overview.add(item, state, rows)
        if price is not None:
            for event in events:
                ledger.take(event, generator, price)
        if sample is not None:
            sample.add(item, rows, functools.partial(view.in_full, item, events, state))
    found = overview.result(view.run_id, view.dataset_ids)
    if by is None:
        found = attrs.evolve(found, groups=[each for each in found.groups if len(each.groups) > 1])
    return Report(
        snapshot=view.snapshot,
        status=view.status(lambda: found.has_failed).value,
        completed_through_stage=view.ending.completed_through_stage,
        error_message=view.ending.error_message,
        overview=found,
        labels=view.ending.labels,
        stop=view.stop,
        served=tuple(overview.served.found(view.snapshot)),
        costs=RunCosts(rows=ledger.rows()) if price is not None else None,
    )


def _usual_groups(snapshot: RunSnapshot) -> tuple[str, ...]:
    """Return what a run's cases are grouped by if nobody says it."""
    entry = _benchmark(snapshot)
    return (BY_DATASET,) if len(snapshot.datasets) != 1 else () if entry is None else entry.groups_by


def _usual_at(view: RunView) -> tuple[int, ...] | None:
    """Return for which k the figures of several answers are reported if nobody says it; `None` where there are none."""
    entry = _benchmark(view.snapshot)
    return None if view.plan.is_reduced or entry is None else default_at(len(view.plan.answers), entry.reports_at)


def _benchmark(snapshot: RunSnapshot) -> BenchmarkCatalogEntry | None:
    """Return the benchmark that a run is of, if it is of one."""
    named = {dataset.metadata.get("benchmark", "").partition(":")[0] for dataset in snapshot.datasets}
    recipe = recipes().get(named.pop()) if len(named) == 1 else None
    return None if recipe is None else recipe.entry


def _data(report: Report) -> dict[str, Any]:
    overview, benchmark = report.overview, report.overview.benchmark
    return {
        "run_id": report.snapshot.run_id,
        **report.labels.to_dict(),
        "status": report.status,
        "completed_through_stage": report.completed_through_stage,
        "error_message": report.error_message,
        "progress": {
            "total_cases": benchmark.total_cases,
            "completed_cases": benchmark.completed_cases,
            "failed_cases": benchmark.failed_cases,
        },
        **({} if report.stop is None else {"stop": report.stop.to_dict()}),
        "digest": overview.digest,
        "answers": {
            "generated": overview.candidates,
            "truncated": overview.truncated,
            "empty": overview.empty,
            "unparsed_count_as": report.snapshot.identity.unparsed,
        },
        "settings": thaw(report.snapshot.descriptions),
        "served_models": [{**each.to_dict(), "not_asked_for": list(each.others)} for each in report.served],
        "metrics": {
            row.metric_id: {
                **row.estimate.to_dict(),
                "unparsed": row.unparsed,
                "errored": row.errored,
                "parse_rate": row.parse_rate,
                "graded": row.metric_id in overview.graded,
                "outcomes": dict(row.outcomes),
                "errors": dict(row.errors),
            }
            for row in overview.metrics
        },
        "groups": {
            by: {each.metric_id: _grouped(each) for each in estimates}
            for by, estimates in itertools.groupby(overview.groups, key=operator.attrgetter("by"))
        },
        "dimensions": {
            metric_id: {each.name: each.estimate.to_dict() for each in dimensions}
            for metric_id, dimensions in itertools.groupby(overview.dimensions, key=operator.attrgetter("metric_id"))
        },
        "details": {each.metric_id: each.to_dict() for each in overview.details},
        "several_answers": {each.metric_id: each.to_dict() for each in overview.several},
        "human_labels": {each.metric_id: each.to_dict() for each in overview.labelled},
        **({"imported_scores": [each.to_dict() for each in overview.imported]} if overview.imported else {}),
        **({"agreements": [each.to_dict() for each in overview.agreements]} if overview.agreements else {}),
        "failures": [each.to_dict() for each in overview.failures],
        "costs": None if report.costs is None else _costs(report.costs),
        "suspicions": [each.to_dict() for each in overview.suspicions],
        "quantities": {
            each.described.name: {"unit": each.unit, **each.described.to_dict()} for each in overview.quantities
        },
    }


def _costs(costs: RunCosts) -> dict[str, Any]:
    return {
        "cost": costs.cost,
        "is_lower_bound": costs.is_lower_bound,
        "notice": costs.notice,
        "total_tokens": costs.total_tokens,
        **costs.to_dict(),
    }


def _grouped(grouped: GroupedEstimate) -> dict[str, Any]:
    return {name: value for name, value in grouped.to_dict().items() if name not in ("by", "metric_id")}


class Reporter:
    """Exports stored runs, each from one pass over the store.

    What models, datasets and errors say is untrusted and is made harmless for each format. JSON, rows and Parquet
    hold texts as they are.

    Args:
        store: the store that holds them.
        cluster_by: a key of the cases' metadata; cases with the same value there are one cluster, and intervals
            say so.
        by: what to group the cases by, one or several: keys of their metadata, or `dataset`; `none` or `()` leaves
            groups out. By default several datasets, or the usual groups of a benchmark.
        engine: level and seed of the intervals.
        at: for which k to report pass@k, pass^k and maj@k, where each case has several answers; by default those that
            are usual for a benchmark, or the powers of two, and all answers.
        details: a path into the scores' details, such as `fields.name`: the numbers and booleans there, or below, are
            estimated.
        prices: prices that come before the table's, in US dollars per million tokens:
            `{"vllm/my-model": {"prompt": 0.1, "completion": 0.4}}`.

    Raises:
        SpecError: `by` is malformed; or, from a report, no case of the run has such a key (`by`, `cluster_by`), or no
            score such details.
    """

    @checked
    def __init__(
        self,
        store: RunStore | Storage,
        *,
        cluster_by: str | None = None,
        by: str | Sequence[str] | None = None,
        engine: StatsEngine | None = None,
        at: Sequence[int] | None = None,
        details: str | None = None,
        prices: Prices = EMPTY,
    ) -> None:
        self._store = at_hand(store)
        self._details = details
        self._prices = prices
        self._at = at
        self._cluster_by = cluster_by
        self._by = read_by(by)
        self._engine = engine or StatsEngine()

    # --- texts --------------------------------------------------------------------------------------------

    @checked
    def export_json(self, run_id: str) -> str:
        """Return the run's results, score rows and snapshot header as formatted JSON.

        Raises:
            RunNotFoundError: the store has no such run; so for every method here.
        """
        view = self._view(run_id)
        data = {
            **_data(self._report(view)),
            "snapshot": view.snapshot.header(),
            "score_rows": [table_row(row) for row in view.rows()],
        }
        return formatted(data)

    @checked
    def export_text(self, run_id: str) -> str:
        """Return a summary for a terminal of 80 columns: what `themis run` prints at its end."""
        return run_summary(self._report(self._view(run_id), with_digest=False))

    @checked
    def export_markdown(self, run_id: str, *, sample: int | None = MARKDOWN_SAMPLE) -> str:
        """Return a summary for people, with a few cases in full; what a model wrote is escaped.

        Args:
            run_id: the run.
            sample: how many cases it shows, chosen as `write_html` does; 0 shows none.
        """
        view = self._view(run_id)
        chosen = CaseSample(view.total_cases, sample, case_markdown)
        report = self._report(view, chosen)
        return run_markdown(report, [*chosen.cases()], sampling=chosen.sentence())

    @checked
    def export_latex(self, run_id: str) -> str:
        """Return tables of results for a paper: a line per metric with its mean, interval and n. Needs `booktabs`."""
        return run_latex(self._report(self._view(run_id)))

    @checked
    def export_csv(self, run_id: str) -> str:
        """Return the score table as CSV with a header; a spreadsheet takes no cell of it for a formula."""
        return "".join(csv_lines(self._view(run_id).rows()))

    @checked
    def export_html(self, run_id: str, *, sample: int | None = DEFAULT_SAMPLE) -> str:
        """Return the run as one self-contained page. Arguments as `write_html`."""
        return "".join(self._html(run_id, sample))

    @checked
    def export_score_table(self, run_id: str) -> list[dict[str, Any]]:
        """Return one plain row per metric and answer of a case: ready for pandas or polars."""
        return list(self.iter_score_table(run_id))

    @checked
    def iter_score_table(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of the score table, reading the store as they are taken."""
        return map(table_row, self._view(run_id).rows())

    # --- files --------------------------------------------------------------------------------------------

    @checked
    def write_csv(self, run_id: str, path: str | Path) -> None:
        """Write the score table as CSV, holding one case at a time; the file is there whole or not at all."""
        _write(path, csv_lines(self._view(run_id).rows()))

    @checked
    def write_html(self, run_id: str, path: str | Path, *, sample: int | None = DEFAULT_SAMPLE) -> None:
        """Write the run as one page that opens offline and loads nothing.

        Args:
            run_id: the run.
            path: the file to write; it is there whole or not at all.
            sample: how many cases the page holds in full. Of a run with more, half of them are cases with an
                error, if there are as many, and the page says how they were chosen. `None` holds all.
        """
        _write(path, self._html(run_id, sample))

    @checked
    def write_parquet(self, run_id: str, path: str | Path) -> None:
        """Write the score table as Parquet, `details` as JSON text.

        Raises:
            MissingExtraError: pyarrow is not installed; nothing was read or written.
        """
        try:
            arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingExtraError(
                f"writing Parquet needs pyarrow: install it with {pip_install('parquet')}"
            ) from error
        rows = map(flat_row, self._view(run_id).rows())
        schema = arrow.schema([(name, arrow.float64() if name == "value" else arrow.string()) for name in COLUMNS])
        with whole_file(path) as file, parquet.ParquetWriter(file, schema) as writer:
            while batch := list(itertools.islice(rows, PARQUET_BATCH)):
                writer.write_table(arrow.Table.from_pylist(batch, schema=schema))

    # --- reading ------------------------------------------------------------------------------------------

    def _view(self, run_id: str) -> RunView:
        return RunView.of(self._store, run_id)

    def _report(self, view: RunView, sample: CaseSample[Any] | None = None, *, with_digest: bool = True) -> Report:
        return read_report(
            view,
            engine=self._engine,
            cluster_by=self._cluster_by,
            by=self._by,
            at=self._at,
            price=prices_of(view, self._prices),
            details=self._details,
            sample=sample,
            with_digest=with_digest,
        )

    def _html(self, run_id: str, sample: int | None) -> Iterator[str]:
        view = self._view(run_id)
        chosen = CaseSample(view.total_cases, sample, page_case)
        report = self._report(view, chosen, with_digest=chosen.whole)
        style, script = page_file("page.css"), page_file("page.js")
        return html_pieces(report, chosen.cases(), sampling=chosen.sentence(), style=style, script=script)


def page_file(name: str) -> str:
    return importlib.resources.files("themis.pure.report").joinpath(name).read_text(encoding="utf-8")


def _write(path: str | Path, pieces: Iterable[str]) -> None:
    with whole_file(path) as file:
        file.writelines(piece.encode() for piece in pieces)


# --- by the name of a format ------------------------------------------------------------------------------


def report_text(reporter: Reporter, run_id: str, kind: ReportFormat) -> str:
    """Return a report as text.

    Raises:
        SpecError: the format is no text.
        RunNotFoundError: the store has no such run.
    """
    if kind == "parquet":
        raise SpecError("a Parquet report is no text: name a file for it with --output")
    text: str = getattr(reporter, f"export_{kind}")(run_id)
    return text


def write_report(reporter: Reporter, run_id: str, kind: ReportFormat, path: Path) -> None:
    """Write a report to a file, a part of it at a time where the format allows it; its folder is made.

    Raises:
        MissingExtraError: the format needs an extra.
        RunNotFoundError: the store has no such run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write = getattr(reporter, f"write_{kind}", None)
    if write is not None:
        write(run_id, path)
    else:
        path.write_text(report_text(reporter, run_id, kind), encoding="utf-8")
