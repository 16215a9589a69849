"""`themis list`, `search`, `quickcheck`, `report` and `inspect`: what a store holds, from afar to piece by piece."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import App, Parameter

from themis.api.cli.options import (
    DEFAULT_STORE,
    By,
    ClusterBy,
    Correction,
    Json,
    Price,
    ReportAt,
    RunName,
    Store,
    engine_of,
    read_prices,
    report_at,
    stored,
    stored_run,
)
from themis.api.cli.output import say, show, write, write_document

if TYPE_CHECKING:
    from themis.pure.report.figures import ListedRun, ListedScore

ReportKind: TypeAlias = Literal["text", "markdown", "json", "csv", "latex", "html", "parquet"]


def list_runs(
    *,
    store: Store = DEFAULT_STORE,
    dataset: str | None = None,
    metric: str | None = None,
    model: str | None = None,
    name: str | None = None,
    tags: Annotated[list[str] | None, Parameter(name="--tag", negative="")] = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    sort: str = "started",
    reverse: Annotated[bool, Parameter(negative="")] = False,
    limit: int | None = None,
    figures: bool = True,
    json_output: Json = False,
) -> None:
    """List the runs of a store, with what they differ in, scores and costs.

    A run's figures are read from its cases once and kept for later listings, in the user's cache folder;
    --no-figures does without them.

    For example:
      themis list
      themis list --tag paper --sort exact_match
      themis list --store runs/mine.sqlite3 --model openai/gpt-4o --since 2026-01-31
      themis list --sort cost --limit 5
      themis list --status interrupted --no-figures

    Args:
        dataset: Only runs over this dataset.
        metric: Only runs with this metric.
        model: Only runs of this model.
        name: Only runs of this name.
        tags: Only runs with this tag; repeat it for runs with all of several.
        status: Only runs that are pending, running, interrupted, completed, partial_failure or failed.
        since: Only runs that began at this time (UTC) or later.
        until: Only runs that began before this time (UTC).
        sort: By started (the newest first), name, model, dataset, status, cases, cost or a metric (the highest first).
        reverse: The other way round.
        limit: Show the first so many.
        figures: Read scores and costs.
    """
    from themis.api.runs.listing import runs_listed

    runs = runs_listed(
        stored(store),
        dataset_id=dataset,
        metric=metric,
        generator_id=model,
        name=name,
        tags=tags or (),
        status=status,
        since=_in_utc(since),
        until=_in_utc(until),
        sort=sort,
        reverse=reverse,
        limit=limit,
        figures=figures,
        told=_reading if sys.stderr.isatty() else None,
    )
    width = max(80, shutil.get_terminal_size().columns)
    show([_line_data(line) for line in runs], lambda: _listing(runs, width), as_json=json_output)


def _in_utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _reading(number: int, total: int) -> None:
    if number and number % _TOLD_EVERY == 0:
        say(f"themis: {number:,} of {total:,} runs read")


_TOLD_EVERY = 20


def _line_data(line: ListedRun) -> dict[str, Any]:
    figures = {} if line.figures is None else line.figures.to_dict()
    error = {} if line.error is None else {"error": line.error}
    return {**line.run.to_dict(), **figures, **error, "status": line.status, "differing": dict(line.differing)}


def _listing(runs: Sequence[ListedRun], width: int) -> str:
    from themis.pure.report.terminal import plain_table

    rows = [
        (
            line.run.run_id[:12],
            line.status.replace("_", " "),
            f"{line.run.started_at:%Y-%m-%d %H:%M}" if line.run.started_at else "-",
            str(line.run.total_cases),
            line.run.generator_id[:24],
        )
        for line in runs
    ]
    if not rows:
        return "no runs"
    *head, body = plain_table(("run", "status", "started (UTC)", "cases", "model"), rows).split("\n", 2)
    told = zip(body.split("\n"), runs, strict=True)
    return "\n".join([*head, *(text for row, line in told for text in (row, *_beside(line, width)))])


def _beside(line: ListedRun, width: int) -> Iterator[str]:
    """Yield what a table of 80 columns has no room for: names and settings, and what the run came to."""
    from themis.pure.report.settings import short_settings
    from themis.pure.text import one_line

    run = line.run
    words = " ".join([*filter(None, [run.name]), *(f"#{tag}" for tag in run.tags)])
    settings = short_settings(run.settings, line.differing)
    for parts in ((words, settings), (", ".join(run.dataset_ids), _figures(line))):
        text = one_line("; ".join(part for part in parts if part))
        yield from textwrap.wrap(text, width, initial_indent="    ", subsequent_indent="      ")


def _figures(line: ListedRun) -> str:
    from themis.pure.usage import RunCosts, UsageRow

    found = line.figures
    if found is None:
        return f"figures can't be read: {line.error}" if line.error else ", ".join(line.run.metric_ids)
    scores = ", ".join(map(_score, found.scores))
    if not found.cost and not (found.is_lower_bound and found.tokens):
        return scores  # nothing was paid for, or nothing is known of it
    row = UsageRow(stage="all", model="", cost=found.cost, unpriced_calls=int(found.is_lower_bound))
    return f"{scores}; cost {RunCosts(rows=[row]).text}"


def _score(score: ListedScore) -> str:
    mean = "-" if score.mean is None else f"{score.mean:.4f}"
    interval = "" if score.low is None or score.high is None else f" [{score.low:.3f}, {score.high:.3f}]"
    missing = "" if score.scored == score.planned else f" ({score.scored:,} of {score.planned:,})"
    return f"{score.metric_id.removeprefix('builtin/')} {mean}{interval}{missing}"


def search(text: str, /, *, store: Store = DEFAULT_STORE, limit: int = 20, json_output: Json = False) -> None:
    """Find text in a store's cases and answers.

    For example:
      themis search "prime number"
      themis search refused --store runs/mine.sqlite3 --json

    Args:
        text: What to look for.
        limit: Hits to show at most.
    """
    from themis.api.runs.search import search as search_store

    hits = list(search_store(stored(store), text, limit=limit))
    show([hit.to_dict() for hit in hits], lambda: _hits(hits), as_json=json_output)


def _hits(hits: Any) -> str:
    from themis.pure.text import one_line

    lines = []
    for hit in hits:
        where = f"{hit.dataset_id}/{hit.case_id}" + (f", {hit.candidate_id}" if hit.candidate_id else ", input")
        lines.append(f"{hit.run_id[:12]} {one_line(where)}\n    {one_line(hit.snippet)}")
    return "\n".join(lines) or "nothing found"


def quickcheck(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Show a run in a few lines.

    For example:
      themis quickcheck latest
    """
    from themis.api.runs.inspect import quickcheck as check

    found = check(*stored_run(store, run))
    show(found.to_dict(), lambda: str(found), as_json=json_output)


def report(
    run: RunName,
    /,
    *,
    kind: Annotated[ReportKind | None, Parameter(name=["--format", "-f"])] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    at: ReportAt = None,
    by: By = None,
    cluster_by: ClusterBy = None,
    correction: Correction = "cr2",
    price: Price = None,
    details: str | None = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a run's report.

    For example:
      themis report latest
      themis report latest --price vllm/mine=0.1,0.4
      themis report latest --format html --output report.html
      themis report latest --by topic,level
      themis report latest --cluster-by document
      themis report latest --details fields.name

    Args:
        kind: What kind of report; `text` on a terminal and `markdown` elsewhere, if not given.
        details: Estimate the numbers and booleans at this path of the scores' details, or below it.
        output: Write it to this file; to stdout if not given.
    """
    from themis.api.runs.report import Reporter, report_text, write_report
    from themis.pure.plan import make_plan

    opened, run_id = stored_run(store, run)
    answers = make_plan(opened.load_snapshot(run_id)).answers
    reporter = Reporter(
        opened,
        at=report_at(at, len(answers)),
        by=by,
        cluster_by=cluster_by,
        engine=engine_of(correction),
        details=details,
        prices=read_prices(price),
    )
    if output is None:
        shown = kind or ("text" if sys.stdout.isatty() else "markdown")
        write_document(report_text(reporter, run_id, shown), shown)
        return
    write_report(reporter, run_id, kind or "markdown", output)
    say(f"wrote {output}")


# --- piece by piece ---------------------------------------------------------------------------------------

inspect: App = App(name="inspect", help="Look into a stored run.")

CaseId = Annotated[str, Parameter(name="CASE", env_var=(), help="The case's id.")]
DatasetId = Annotated[str | None, Parameter(help="The case's dataset, where several have a case of that id.")]


@inspect.command
def snapshot(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Show what a run is made of: its name, identity and provenance, and how each component was set.

    For example:
      themis inspect snapshot latest
    """
    from themis.api.runs.inspect import get_run_snapshot
    from themis.api.runs.view import RunView

    opened, run_id = stored_run(store, run)
    called = RunView.of(opened, run_id).ending.labels.to_dict()
    data = {**called, **get_run_snapshot(opened, run_id).header()}
    show(data, lambda: _yaml(data), as_json=json_output)


@inspect.command
def state(
    run: RunName,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Show how far a run is, and what failed.

    For example:
      themis inspect state latest
      themis inspect state latest --all

    Args:
        every: Show the state of every case in full, as --json does.
    """
    from themis.api.runs.inspect import get_execution_state, state_summary

    opened, run_id = stored_run(store, run)
    if not (every or json_output):
        write(str(state_summary(opened, run_id)))
        return
    found = get_execution_state(opened, run_id)
    show(found.to_dict(), lambda: _yaml(found.to_dict()), as_json=json_output)


@inspect.command
def evaluation(
    run: RunName,
    case_id: CaseId,
    metric: str,
    /,
    *,
    dataset: DatasetId = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Show what the judges were asked about a case, what they answered, and how that was scored.

    For example:
      themis inspect evaluation latest case-7 builtin/llm_rubric

    Args:
        metric: The judged metric.
    """
    from themis.api.runs.inspect import get_evaluation_execution

    found = get_evaluation_execution(*stored_run(store, run), case_id, metric, dataset_id=dataset)
    data: Any = None if found is None else found.to_dict()
    show(data, lambda: "no judge was asked about it" if data is None else _yaml(data), as_json=json_output)


@inspect.command
def case(
    run: RunName,
    case_id: CaseId,
    /,
    *,
    dataset: DatasetId = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Show one case from the question to the score.

    For example:
      themis inspect case latest case-7
    """
    from themis.api.runs.inspect import get_case_view

    found = get_case_view(*stored_run(store, run), case_id, dataset_id=dataset)
    show(found.to_dict(), lambda: str(found), as_json=json_output)


def _yaml(value: Any) -> str:
    """Return data as YAML, which people read more easily than JSON; what is empty is left out."""
    from themis.api.config.files import write_yaml

    return write_yaml(_without_nothing(value))


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        slim = {key: _without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in slim.items() if item is not None and item not in ({}, [])}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value
