"""`themis list`, `search`, `quickcheck` and `report`: stored runs at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored


def list_runs(*, store: Store = DEFAULT_STORE, limit: int | None = None, json_output: Json = False) -> None:
    """List the runs of a store.

    For example:
      themis list
      themis list --store runs/mine.sqlite3 --json

    Parameters
    ----------
    limit
        Show only the newest.
    """
    from themis.api.cli.output import show

    runs = stored(store).list_runs()[:limit]
    show([line.to_dict() for line in runs], lambda: _listing(runs), as_json=json_output)


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
    show([hit.to_dict() for hit in hits], lambda: "\n".join(map(str, hits)) or "nothing found", as_json=json_output)


def quickcheck(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Show a run in a few lines.

    For example:
      themis quickcheck latest
    """
    from themis.api.cli.output import show
    from themis.api.finding import find_run
    from themis.api.inspection import quickcheck as check

    opened = stored(store)
    found = check(opened, find_run(opened, run))
    show(found.to_dict(), lambda: str(found), as_json=json_output)


def report(
    run: RunName,
    /,
    *,
    format: Annotated[Literal["markdown", "json", "csv", "latex", "html"], Parameter(name=["--format", "-f"])] =  # noqa: A002  # the word that people type
    "markdown",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a run's report.

    For example:
      themis report latest
      themis report latest --format html --output report.html

    Parameters
    ----------
    format
        What kind of report.
    output
        Write it to this file; to stdout if not given.
    """
    from themis.api.cli.output import say, write
    from themis.api.finding import find_run
    from themis.api.reporting import Reporter

    opened = stored(store)
    run_id = find_run(opened, run)
    text = getattr(Reporter(opened), f"export_{format}")(run_id)
    if output is None:
        write(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    say(f"wrote {output}")
