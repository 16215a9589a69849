"""`themis cases`: the cases of a run that somebody wants to see."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from themis.api.cli.compare import form_of, write_or_show
from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored_run

if TYPE_CHECKING:
    from themis.pure.case_filter import CaseFilter
    from themis.pure.case_view import CaseView

_FEW = 20
"""Cases that people are shown unless they ask for more."""


def cases(
    run: RunName,
    /,
    *,
    outcome: Annotated[
        list[Literal["correct", "incorrect", "error", "not_reached"]] | None,
        Parameter(negative="", help="Whose answers came out like this; repeat it for either of several."),
    ] = None,
    metric: str | None = None,
    where: str | None = None,
    min_score: float | None = None,
    max_score: float | None = None,
    error: Annotated[
        list[str] | None,
        Parameter(negative="", help="With an error of this kind, such as generation_failure or parse_null."),
    ] = None,
    unparsed: Annotated[bool, Parameter(negative="")] = False,
    text: str | None = None,
    dataset: str | None = None,
    limit: int | None = None,
    form: Annotated[Literal["text", "markdown", "json", "jsonl"] | None, Parameter(name=["--format", "-f"])] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """List the cases of a run that meet conditions, with answers and scores.

    A case is listed if the score of an answer by a metric meets all conditions together. In --where stand the keys of
    the cases' metadata, and case, dataset, input, expected, metric, score, outcome, error, answer and parsed; texts in
    quotes; = != < <= > >=, in, contains, is null; and, or, not and brackets.

    For example:
      themis cases latest
      themis cases latest --outcome incorrect --metric f1 --where "topic = 'law'"
      themis cases latest --where "level >= 4 and not answer contains 'sorry'"
      themis cases latest --unparsed --format markdown --output unparsed.md
      themis cases latest --max-score 0.5 --format jsonl > low.jsonl

    Args:
        metric: By this metric alone.
        where: A condition on fields of the case.
        min_score: With this score or a higher one.
        max_score: With this score or a lower one.
        unparsed: With an answer that could not be parsed.
        text: With these words in the input or an answer; those in double quotes must follow each other.
        dataset: Of this dataset.
        limit: Show so many at most; 20 as text and Markdown if not given, and all as JSON.
        form: What to write; `text` if not given, or what the name of the --output ends in.
        output: Write it to this file; to stdout if not given.
    """
    from themis.api.runs.cases import case_filter, cases_of, first_cases
    from themis.api.runs.view import RunView
    from themis.pure.errors import SpecError

    kind = form_of(form, output, as_json=json_output)
    if limit is not None and limit < 0:
        raise SpecError(f"--limit: a number from 0 up expected, found {limit}")
    view = RunView.of(*stored_run(store, run))
    wanted = case_filter(
        view,
        where=where,
        outcome=outcome,
        metric=metric,
        dataset=dataset,
        min_score=min_score,
        max_score=max_score,
        error=error,
        unparsed=unparsed,
        text=text,
    )
    if kind in ("json", "jsonl"):
        found: Iterable[CaseView] = itertools.islice(cases_of(view, wanted), limit)
        write_or_show(_json(found, lines=kind == "jsonl"), "json", output)
        return
    shown, count = first_cases(view, wanted, _FEW if limit is None else limit)
    metrics = [each.metric_id for each in view.metrics if wanted.metric_id in (None, each.metric_id)]
    told = _told(len(shown), count, view.total_cases, wanted)
    pieces = _markdown(shown, told) if kind == "markdown" else _text(shown, metrics, told)
    write_or_show(pieces, kind, output)


def _told(shown: int, count: int, total: int, wanted: CaseFilter) -> str:
    """Say how many cases there are of those that were asked for."""
    from themis.pure.case_filter import CaseFilter

    of_all = f"{count:,} of {total:,} cases" if wanted != CaseFilter() else f"{total:,} case{'' if total == 1 else 's'}"
    return of_all if shown == count else f"{of_all}; the first {shown:,} are shown, and --limit shows more"


def _text(shown: list[CaseView], metrics: list[str], told: str) -> Iterator[str]:
    from themis.pure.changes import shown_case
    from themis.pure.report.cases import cases_table

    if shown:
        width = max(80, shutil.get_terminal_size().columns)
        yield f"{cases_table([*map(shown_case, shown)], metrics, width)}\n\n"
    yield f"{told}\n"


def _markdown(shown: list[CaseView], told: str) -> Iterator[str]:
    from themis.pure.report.markdown import case_markdown, escape

    yield f"## Cases\n\n{escape(told)}\n"
    yield from (f"\n{case_markdown(each)}\n" for each in shown)


def _json(found: Iterable[CaseView], *, lines: bool) -> Iterator[str]:
    """Yield cases as JSON, one after the other, so that a million of them need not be held."""
    from themis.pure.changes import shown_case
    from themis.pure.json import encode
    from themis.pure.text import printable_json

    texts = (printable_json(encode(shown_case(each)).decode()) for each in found)
    if lines:
        yield from (f"{text}\n" for text in texts)
        return
    yield "[\n"
    before = next(texts, None)
    for text in texts:
        yield f"{before},\n"
        before = text
    yield "]\n" if before is None else f"{before}\n]\n"
