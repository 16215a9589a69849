"""`themis list`, `search`, `quickcheck` and `report`: stored runs at a glance."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored

ReportKind: TypeAlias = Literal["markdown", "json", "csv", "latex", "html", "parquet"]


def list_runs(
    *,
    store: Store = DEFAULT_STORE,
    dataset: str | None = None,
    metric: str | None = None,
    model: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    json_output: Json = False,
) -> None:
    """List the runs of a store.

    For example:
      themis list
      themis list --store runs/mine.sqlite3 --model openai/gpt-4o --since 2026-01-31

    Parameters
    ----------
    dataset
        Only runs over this dataset.
    metric
        Only runs with this metric.
    model
        Only runs of this model.
    status
        Only runs that are pending, running, completed or failed.
    since
        Only runs that began at this time (UTC) or later.
    until
        Only runs that began before this time (UTC).
    limit
        Show only the newest.
    """
    from themis.api.cli.output import show
    from themis.api.searching import find_runs

    runs = find_runs(
        stored(store),
        dataset_id=dataset,
        metric_id=metric,
        generator_id=model,
        status=status,
        since=_in_utc(since),
        until=_in_utc(until),
    )[:limit]
    show([line.to_dict() for line in runs], lambda: _listing(runs), as_json=json_output)


def _in_utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _listing(runs: Any) -> str:
    from themis.pure.report.summary import plain_table

    rows = [
        (
            line.run_id[:12],
            line.status,
            f"{line.started_at:%Y-%m-%d %H:%M}" if line.started_at else "-",
            str(line.total_cases),
            line.generator_id[:24],
        )
        for line in runs
    ]
    return plain_table(("run", "status", "started (UTC)", "cases", "model"), rows) if rows else "no runs"


def search(text: str, /, *, store: Store = DEFAULT_STORE, limit: int = 20, json_output: Json = False) -> None:
    """Find text in a store's cases and answers.

    For example:
      themis search "prime number"
      themis search refused --store runs/mine.sqlite3 --json

    Parameters
    ----------
    text
        What to look for.
    limit
        Hits to show at most.
    """
    from themis.api.cli.output import show
    from themis.api.searching import search as search_store

    hits = list(search_store(stored(store), text, limit=limit))
    show([hit.to_dict() for hit in hits], lambda: _hits(hits), as_json=json_output)


def _hits(hits: Any) -> str:
    lines = []
    for hit in hits:
        where = f"{hit.dataset_id}/{hit.case_id}" + (f", {hit.candidate_id}" if hit.candidate_id else ", input")
        lines.append(f"{hit.run_id[:12]} {where}\n    {' '.join(hit.snippet.split())}")
    return "\n".join(lines) or "nothing found"


def quickcheck(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Show a run in a few lines.

    For example:
      themis quickcheck latest
    """
    from themis.api.cli.output import show
    from themis.api.inspection import quickcheck as check
    from themis.api.stores import find_run

    opened = stored(store)
    found = check(opened, find_run(opened, run))
    show(found.to_dict(), lambda: str(found), as_json=json_output)


def report(
    run: RunName,
    /,
    *,
    kind: Annotated[ReportKind, Parameter(name=["--format", "-f"], help="What kind of report.")] = "markdown",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a run's report.

    For example:
      themis report latest
      themis report latest --format html --output report.html

    Parameters
    ----------
    output
        Write it to this file; to stdout if not given.
    """
    from themis.api.cli.output import say, write
    from themis.api.report_formats import report_text, write_report
    from themis.api.reporting import Reporter
    from themis.api.stores import find_run

    opened = stored(store)
    run_id, reporter = find_run(opened, run), Reporter(opened)
    if output is None:
        write(report_text(reporter, run_id, kind))
        return
    write_report(reporter, run_id, kind, output)
    say(f"wrote {output}")
