"""`Reporter`: a stored run as JSON, Markdown, or rows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from themis.api.results import RunResult
from themis.pure.protocols import RunStore
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report.markdown import run_markdown
from themis.pure.report.summary import SummaryRow, summary_rows, terminal_summary

FAILED_SHOWN = 20


def result_rows(result: RunResult) -> list[SummaryRow]:
    """Return a run's metrics as rows of the result table."""
    return summary_rows(result.benchmark, result.benchmark.score_rows)


def result_table(result: RunResult) -> str:
    """Return a run's result table for a terminal."""
    return terminal_summary(result_rows(result))


def result_data(result: RunResult) -> dict[str, Any]:
    """Return a run's result as plain data: what `--json` prints."""
    benchmark = result.benchmark
    return {
        "run_id": result.run_id,
        "status": result.status.value,
        "completed_through_stage": result.completed_through_stage,
        "error_message": result.error_message,
        "progress": result.progress.to_dict(),
        "digest": result.digest,
        "metrics": {
            row.metric_id: {
                **row.estimate.to_dict(),
                "planned": row.planned,
                "unparsed": row.unparsed,
                "errored": row.errored,
                "outcomes": dict(benchmark.outcome_counts[row.metric_id]),
                "errors": dict(benchmark.error_counts[row.metric_id]),
            }
            for row in result_rows(result)
        },
    }


class Reporter:
    """Exports stored runs.

    Args:
        store: the store that holds them.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def _result(self, run_id: str) -> RunResult:
        return RunResult(snapshot=self._store.load_snapshot(run_id), store=self._store)

    def export_json(self, run_id: str) -> str:
        """Return the run's results, score rows and snapshot header as formatted JSON."""
        result = self._result(run_id)
        data = {
            **result_data(result),
            "snapshot": result.snapshot.header(),
            "score_rows": self.export_score_table(run_id),
        }
        return json.dumps(data, indent=2, ensure_ascii=False)

    def export_markdown(self, run_id: str) -> str:
        """Return a summary for people; whatever a model wrote is escaped."""
        result = self._result(run_id)
        failed = (row for row in result.benchmark.score_rows if row.outcome == "error")
        return run_markdown(
            result.snapshot,
            result.status.value,
            result_rows(result),
            result.benchmark,
            itertools.islice(failed, FAILED_SHOWN),
        )

    def export_score_table(self, run_id: str) -> list[dict[str, Any]]:
        """Return one plain row per case and metric: ready for pandas or polars."""
        return list(self._rows(self._result(run_id).benchmark.score_rows))

    def _rows(self, rows: Any) -> Iterator[dict[str, Any]]:
        row: BenchmarkScoreRow
        for row in rows:
            yield row.to_dict()
