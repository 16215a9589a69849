"""`themis leaderboard`: models in rows, benchmarks in columns, and what can't be told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from cyclopts import Parameter

from themis.api.cli.options import DEFAULT_STORE, ClusterBy, Price, RunName, Words, read_prices, stored
from themis.api.cli.output import say, write, write_document

Kind: TypeAlias = Literal["text", "markdown", "csv", "latex", "json", "html"]
"""As `themis.api.runs.leaderboard.BoardFormat`, told here because help loads nothing of it."""

_STORES: Final = Parameter(
    name="--store",
    negative="",
    help="A SQLite file, or kind:place, such as jsonl:runs/log or postgres:DSN; repeat it for several stores.",
)


def leaderboard(
    *runs: RunName,
    tag: str | None = None,
    rows: Words = None,
    column: Words = None,
    metric: Words = None,
    baseline: str | None = None,
    weight: Annotated[list[str] | None, Parameter(negative="")] = None,
    lower_is_better: Annotated[list[str] | None, Parameter(negative="")] = None,
    cluster_by: ClusterBy = None,
    confidence: float = 0.95,
    price: Price = None,
    title: str = "Leaderboard",
    kind: Annotated[Kind | None, Parameter(name=["--format", "-f"])] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "--out", "-o"])] = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="", help="As --format json.")] = False,
    store: Annotated[list[str] | None, _STORES] = None,
) -> None:
    """Show runs as a leaderboard of models and benchmarks.

    Every two rows of a column are compared, case by case, in one family of tests:
    rows that share a letter are not told apart, and ranks have intervals.
    All runs of the store are shown, if neither runs nor a tag are named.

    For example:
      themis leaderboard --tag paper
      themis leaderboard 4f1c 77ab latest --metric exact_match
      themis leaderboard --rows model temperature --column gsm8k
      themis leaderboard --baseline openai/gpt-4o-mini
      themis leaderboard --store runs/a.sqlite3 --store runs/b.sqlite3
      themis leaderboard --tag paper --format latex --output table.tex
      themis leaderboard --weight gsm8k=2 --output board.html

    Args:
        tag: Only runs with this tag.
        rows: What tells rows apart, such as model or temperature; runs that agree in it are pooled. By default the
            model, and what differs between runs that would share a cell.
        column: These benchmarks (the ids of their datasets) alone, in this order.
        metric: These metrics alone, in this order.
        baseline: Compare each row with this one, and not every two.
        weight: BENCHMARK=WEIGHT in the macro average; 1 if not given. Repeat it for more.
        lower_is_better: A metric whose lowest mean is best; repeat it for more.
        confidence: Of each interval, and of all decisions of a column at once.
        title: What it is called.
        kind: By the ending of --output, or `text`, if not given.
        output: Write it to this file; to stdout if not given.
    """
    from themis.api.runs.leaderboard import board_text, format_of, write_board
    from themis.api.runs.leaderboard import leaderboard as leaderboard_of

    chosen = "json" if json_output else kind or ("text" if output is None else format_of(output))
    board = leaderboard_of(
        list(runs) or None,
        store=[stored(place) for place in store or [DEFAULT_STORE]],
        tag=tag,
        rows=rows,
        columns=column,
        metrics=metric,
        baseline=baseline,
        weights=_weights(weight),
        lower_is_better=lower_is_better or (),
        cluster_by=cluster_by,
        confidence=confidence,
        prices=read_prices(price),
        title=title,
    )
    if output is not None:
        write_board(board, output, chosen)
        say(f"wrote {output}")
    elif chosen == "text":
        write(board_text(board, chosen))
    else:
        write_document(board_text(board, chosen), chosen)


def _weights(texts: list[str] | None) -> dict[str, float]:
    """Return the weights that `--weight` states.

    Raises:
        SpecError: one is not of that form; all such at once.
    """
    from themis.pure.errors import SpecError, listed

    weights, faults = dict[str, float](), list[str]()
    for text in texts or ():
        name, _, number = text.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            faults.append(f"BENCHMARK=WEIGHT expected, as in gsm8k=2; found {text!r}")
    if faults:
        raise SpecError(listed("--weight", faults))
    return weights
