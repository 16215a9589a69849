"""`Reporter`: a stored run as JSON, Markdown, CSV, LaTeX, Parquet, HTML, or rows."""

from __future__ import annotations

import importlib
import importlib.resources
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from themis.api.results import RunResult, run_ending, threshold_of
from themis.effects.files import whole_file
from themis.effects.reading import fresh_state, read_case_events, stored_cases
from themis.pure.chain import read_event
from themis.pure.errors import MissingExtraError
from themis.pure.plan import metric_slots, total_cases
from themis.pure.projections import score_rows
from themis.pure.protocols import RunStore
from themis.pure.records.results import BenchmarkScoreRow, RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.html import HtmlReport, html_pieces
from themis.pure.report.latex import run_latex
from themis.pure.report.markdown import run_markdown
from themis.pure.report.overview import Overview, RunOverview
from themis.pure.report.sample import DEFAULT_SAMPLE, CaseSample
from themis.pure.report.straight import straight_rows
from themis.pure.report.summary import SummaryRow, terminal_summary
from themis.pure.report.table import COLUMNS, csv_lines, flat_row, table_row
from themis.pure.state import fold_case
from themis.pure.stats import StatsEngine

FAILED_SHOWN = 20
LATEX_ROWS = 40
PARQUET_BATCH = 10_000


def result_rows(result: RunResult) -> list[SummaryRow]:
    """Return a run's metrics as rows of the result table."""
    return list(read_overview(result.store, result.snapshot).metrics)


def result_table(result: RunResult) -> str:
    """Return a run's result table for a terminal."""
    return terminal_summary(result_rows(result))


def result_data(result: RunResult) -> dict[str, Any]:
    """Return a run's result as plain data: what `--json` prints."""
    return _data(result.store, result.snapshot, read_overview(result.store, result.snapshot))


def read_overview(
    store: RunStore,
    snapshot: RunSnapshot,
    *,
    engine: StatsEngine | None = None,
    cluster_by: str | None = None,
    sample: CaseSample | None = None,
) -> RunOverview:
    """Return a run's figures, from one pass over the store that holds one case at a time.

    Args:
        store: where the run is kept.
        snapshot: the run.
        engine: level and seed of the intervals.
        cluster_by: a key of the cases' metadata; cases with the same value there are one cluster.
        sample: collects the cases that a report shows in full; if these are not all, no digest is made.
    """
    slots, threshold = metric_slots(snapshot), threshold_of(snapshot)
    whole = sample is None or sample.whole
    overview = Overview(slots, threshold, engine=engine, cluster_by=cluster_by, with_digest=whole)
    for item, events in read_case_events(store, snapshot):
        state = fold_case(fresh_state(item), events)
        rows = tuple(score_rows(slots, state, threshold))
        overview.add(item, state, rows)
        if sample is not None:
            sample.add(item, state, rows, events)
    return overview.result(snapshot.run_id, [dataset.dataset_id for dataset in snapshot.datasets])


def _data(store: RunStore, snapshot: RunSnapshot, overview: RunOverview) -> dict[str, Any]:
    ending = run_ending(store, snapshot.run_id)
    benchmark = overview.benchmark
    return {
        "run_id": snapshot.run_id,
        "status": ending.status(lambda: benchmark.failed_cases).value,
        "completed_through_stage": ending.completed_through_stage,
        "error_message": ending.error_message,
        "progress": {
            "total_cases": benchmark.total_cases,
            "completed_cases": benchmark.completed_cases,
            "failed_cases": benchmark.failed_cases,
        },
        "digest": overview.digest,
        "metrics": {
            row.metric_id: {
                **row.estimate.to_dict(),
                "planned": row.planned,
                "unparsed": row.unparsed,
                "errored": row.errored,
                "parse_rate": row.parse_rate,
                "outcomes": dict(row.outcomes),
                "errors": dict(row.errors),
            }
            for row in overview.metrics
        },
        "quantities": {each.name: {"unit": each.unit, **each.described.to_dict()} for each in overview.quantities},
    }


class Reporter:
    """Exports stored runs, each from one pass over the store.

    What models, datasets and errors say is untrusted and is made harmless for each format. JSON, rows and Parquet
    hold texts as they are.

    Args:
        store: the store that holds them.
        cluster_by: a key of the cases' metadata; cases with the same value there are one cluster, and intervals
            say so.
        engine: level and seed of the intervals.
    """

    def __init__(self, store: RunStore, *, cluster_by: str | None = None, engine: StatsEngine | None = None) -> None:
        self._store = store
        self._cluster_by = cluster_by
        self._engine = engine or StatsEngine()

    # --- texts --------------------------------------------------------------------------------------------

    def export_json(self, run_id: str) -> str:
        """Return the run's results, score rows and snapshot header as formatted JSON.

        Raises:
            RunNotFoundError: the store has no such run; so for every method here.
        """
        snapshot = self._store.load_snapshot(run_id)
        data = {
            **_data(self._store, snapshot, self._overview(snapshot)),
            "snapshot": snapshot.header(),
            "score_rows": [table_row(row) for row in self._score_rows(snapshot)],
        }
        return json.dumps(data, indent=2, ensure_ascii=False)

    def export_markdown(self, run_id: str) -> str:
        """Return a summary for people; whatever a model wrote is escaped."""
        snapshot = self._store.load_snapshot(run_id)
        overview = self._overview(snapshot)
        failed = (row for row in self._score_rows(snapshot) if row.outcome == "error")
        return run_markdown(
            snapshot,
            self._status(snapshot, overview).value,
            overview.metrics,
            overview.benchmark,
            itertools.islice(failed, FAILED_SHOWN) if overview.benchmark.failed_cases else (),
        )

    def export_latex(self, run_id: str) -> str:
        """Return two compact tables: a line per metric, and the first score rows. They need `booktabs`."""
        snapshot = self._store.load_snapshot(run_id)
        overview = self._overview(snapshot)
        total = overview.benchmark.total_cases * len(overview.metrics)
        return run_latex(run_id, overview, itertools.islice(self._score_rows(snapshot), LATEX_ROWS), total)

    def export_csv(self, run_id: str) -> str:
        """Return the score table as CSV with a header; a spreadsheet takes no cell of it for a formula."""
        return "".join(csv_lines(self._score_rows(self._store.load_snapshot(run_id))))

    def export_html(self, run_id: str, *, sample: int | None = DEFAULT_SAMPLE) -> str:
        """Return the run as one self-contained page. Arguments as `write_html`."""
        return "".join(self._html(run_id, sample))

    def export_score_table(self, run_id: str) -> list[dict[str, Any]]:
        """Return one plain row per case and metric: ready for pandas or polars."""
        return list(self.iter_score_table(run_id))

    def iter_score_table(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of the score table, reading the store as they are taken."""
        return map(table_row, self._score_rows(self._store.load_snapshot(run_id)))

    # --- files --------------------------------------------------------------------------------------------

    def write_csv(self, run_id: str, path: str | Path) -> None:
        """Write the score table as CSV, holding one case at a time; the file is there whole or not at all."""
        _write(path, csv_lines(self._score_rows(self._store.load_snapshot(run_id))))

    def write_html(self, run_id: str, path: str | Path, *, sample: int | None = DEFAULT_SAMPLE) -> None:
        """Write the run as one page that opens offline and loads nothing.

        Args:
            run_id: the run.
            path: the file to write; it is there whole or not at all.
            sample: how many cases the page holds in full. Of a run with more, half of them are cases with an
                error, if there are as many, and the page says how they were chosen. `None` holds all.
        """
        _write(path, self._html(run_id, sample))

    def write_parquet(self, run_id: str, path: str | Path) -> None:
        """Write the score table as Parquet, `details` as JSON text.

        Raises:
            MissingExtraError: pyarrow is not installed; nothing was read or written.
        """
        try:
            arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingExtraError(
                "writing Parquet needs pyarrow: install it with pip install 'themis[parquet]'"
            ) from error
        rows = map(flat_row, self._score_rows(self._store.load_snapshot(run_id)))
        schema = arrow.schema([(name, arrow.float64() if name == "value" else arrow.string()) for name in COLUMNS])
        with whole_file(path) as file, parquet.ParquetWriter(file, schema) as writer:
            while batch := list(itertools.islice(rows, PARQUET_BATCH)):
                writer.write_table(arrow.Table.from_pylist(batch, schema=schema))

    # --- reading ------------------------------------------------------------------------------------------

    def _overview(self, snapshot: RunSnapshot, sample: CaseSample | None = None) -> RunOverview:
        return read_overview(self._store, snapshot, engine=self._engine, cluster_by=self._cluster_by, sample=sample)

    def _status(self, snapshot: RunSnapshot, overview: RunOverview) -> RunStatus:
        return run_ending(self._store, snapshot.run_id).status(lambda: overview.benchmark.failed_cases)

    def _score_rows(self, snapshot: RunSnapshot) -> Iterator[BenchmarkScoreRow]:
        slots, threshold = metric_slots(snapshot), threshold_of(snapshot)
        for item, stored in stored_cases(self._store, snapshot):
            rows = straight_rows(item, stored, slots, threshold)
            if rows is None:
                state = fold_case(fresh_state(item), (read_event(event, self._store.blob) for event in stored))
                yield from score_rows(slots, state, threshold)
            else:
                yield from rows

    def _html(self, run_id: str, sample: int | None) -> Iterator[str]:
        snapshot = self._store.load_snapshot(run_id)
        chosen = CaseSample(total_cases(snapshot), sample)
        overview = self._overview(snapshot, chosen)
        ending = run_ending(self._store, run_id)
        report = HtmlReport(
            snapshot=snapshot,
            status=ending.status(lambda: overview.benchmark.failed_cases).value,
            error_message=ending.error_message,
            overview=overview,
            sampling=chosen.sentence(),
            style=_page_file("page.css"),
            script=_page_file("page.js"),
        )
        return html_pieces(report, chosen.cases())


def _page_file(name: str) -> str:
    return importlib.resources.files("themis.pure.report").joinpath(name).read_text(encoding="utf-8")


def _write(path: str | Path, pieces: Iterable[str]) -> None:
    with whole_file(path) as file:
        file.writelines(piece.encode() for piece in pieces)
