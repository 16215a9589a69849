"""`themis label`: labels that people give answers, and what they say of a metric."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored_run
from themis.api.cli.output import say, show, write

if TYPE_CHECKING:  # loaded when the command runs
    from themis.api.runs.labels import LabelColumns, LabelsTaken, Told
    from themis.pure.protocols import RunStore

_Word = Annotated[str | None, Parameter(env_var=())]


def label(
    run: RunName,
    case: Annotated[str | None, Parameter(name="CASE", env_var=())] = None,
    metric_id: Annotated[str | None, Parameter(name="METRIC", env_var=())] = None,
    value: Annotated[str | None, Parameter(name="VALUE", env_var=())] = None,
    /,
    *,
    source: Annotated[Path | None, Parameter(name="--from")] = None,
    next_count: Annotated[int | None, Parameter(name="--next")] = None,
    metric: str | None = None,
    who: str | None = None,
    note: str = "",
    withdraw: Annotated[bool, Parameter(negative="")] = False,
    candidate: str | None = None,
    dataset: str | None = None,
    by: Literal["random", "uncertainty"] = "random",
    seed: int = 0,
    with_scores: Annotated[bool, Parameter(negative="")] = False,
    column: Annotated[list[str] | None, Parameter(name="--column", negative="")] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Label a run's answers, and see how far a metric agrees with people.

    Labels are kept with the run and change no result. With a few hundred of them
    reports give the metric's mean corrected by them, with an interval that holds
    however the judge errs.

    For example:
      themis label latest --next 100 --output to-label.csv
      themis label latest --from to-label.csv --who ada
      themis label latest case-7 builtin/llm_rubric 0.5 --note "half is missing"
      themis label latest case-7 builtin/llm_rubric --withdraw
      themis label latest

    Args:
        case: The case's id.
        metric_id: The metric whose score the label is held against.
        value: A number on the metric's scale; right, wrong, true, false, yes, no, correct or incorrect; or words.
        source: Take the labels of a CSV, TSV, JSONL, JSON or Parquet file: columns case_id and value, and dataset_id,
            candidate_id, metric, who, note, probability and when where needed. Rows without a value are passed over.
        next_count: Write so many more answers to label, as CSV to fill in.
        metric: The metric, where rows name none; by default the run's judged metric, or its only one.
        who: Who labels; by default you. With --next: whose labels count as given.
        note: Why.
        withdraw: Take the label back.
        candidate: Which answer, where the case has several: its id, or its number from 0.
        dataset: The case's dataset, where several have a case of that id.
        by: How the next answers are chosen: a random sample, or more of those that the judge is unsure of.
        seed: Of the sample; keep it for all labels of a run.
        with_scores: Write the metric's scores beside the answers; labels are better without.
        column: Which column of the file holds what, as in value=verdict; repeat it for more.
        output: Write the answers to label to this file; to stdout if not given.
    """
    from themis.api.runs.labels import import_labels, label_sheet, named_answer, next_labels
    from themis.pure.errors import SpecError

    ways = {"CASE METRIC VALUE": case is not None, "--from": source is not None, "--next": next_count is not None}
    if sum(ways.values()) > 1:
        raise SpecError(
            f"label: one of {', '.join(ways)} expected; found {', '.join(n for n, on in ways.items() if on)}"
        )
    opened, run_id = stored_run(store, run)
    if source is not None:
        columns = _columns(column)
        taken = import_labels(opened, run_id, source, metric_id=metric, who=who, columns=columns, told=_progress())
        _show_taken(taken, source, as_json=json_output)
    elif next_count is not None:
        rows = next_labels(
            opened, run_id, next_count, metric_id=metric, by=by, who=who, seed=seed, blind=not with_scores
        )
        _show_rows(rows, "".join(label_sheet(rows)), output, as_json=json_output)
    elif case is not None:
        row = {"case_id": case, "dataset_id": dataset, "candidate_id": named_answer(case, candidate), "note": note}
        _give(opened, run_id, row, metric_id or metric, value, who, withdraw=withdraw, as_json=json_output)
    else:
        _show_labelled(opened, run_id, metric, as_json=json_output)


def _give(
    store: RunStore,
    run_id: str,
    row: dict[str, Any],
    metric_id: str | None,
    value: str | None,
    who: str | None,
    *,
    withdraw: bool,
    as_json: bool,
) -> None:
    from themis.api.runs.labels import default_who, give_labels, labelled_metric
    from themis.api.runs.view import RunView
    from themis.pure.errors import SpecError
    from themis.pure.records.human_label import HumanLabel, read_label_value

    if (value is None) != withdraw:
        raise SpecError("label: a value, or --withdraw, expected: themis label RUN CASE METRIC VALUE")
    given = HumanLabel(
        **row,
        metric_id=labelled_metric(RunView.of(store, run_id), metric_id).metric_id,
        value=None if value is None else read_label_value(value),
        who=who or default_who(),
    )
    taken = give_labels(store, run_id, [given])
    show(taken.to_dict(), str(taken), as_json=as_json)


def _columns(texts: list[str] | None) -> LabelColumns:
    """Return which columns `--column` states.

    Raises:
        SpecError: one is not of that form, or is of nothing that a label has; all such at once.
    """
    import attrs

    from themis.api.runs.labels import LabelColumns
    from themis.pure.errors import SpecError, listed, nearest

    known = [field.name for field in attrs.fields(LabelColumns)]
    pairs = [text.partition("=") for text in texts or ()]
    faults = [f"WHAT=COLUMN expected, as in value=verdict; found {''.join(pair)!r}" for pair in pairs if not pair[2]]
    faults += [
        f"{name!r} is nothing of a label; {nearest(name, known)}" for name, _, of in pairs if of and name not in known
    ]
    if faults:
        raise SpecError(listed("--column", faults))
    return LabelColumns(**{name: column for name, _, column in pairs})


def _progress() -> Told | None:
    if not sys.stderr.isatty():
        return None
    return lambda count: say(f"themis: {count:,} rows read") if count % 100_000 == 0 else None


def _show_taken(taken: LabelsTaken, source: Path, *, as_json: bool) -> None:
    show({"path": str(source), **taken.to_dict()}, f"{source}: {taken}", as_json=as_json)


def _show_rows(rows: list[dict[str, Any]], text: str, output: Path | None, *, as_json: bool) -> None:
    if output is None:
        show(rows, text, as_json=as_json)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8", newline="")
    show({"path": str(output), "rows": len(rows)}, f"wrote {len(rows):,} answers to label to {output}", as_json=as_json)


def _show_labelled(store: RunStore, run_id: str, metric: str | None, *, as_json: bool) -> None:
    from themis.api.runs.labels import labelled_metric
    from themis.api.runs.report import read_report
    from themis.api.runs.view import RunView
    from themis.pure.report.sections import of_labels
    from themis.pure.report.terminal import sections_text

    view = RunView.of(store, run_id)
    wanted = None if metric is None else labelled_metric(view, metric).metric_id
    found = [
        each for each in read_report(view, with_digest=False).overview.labelled if wanted in (None, each.metric_id)
    ]
    text = (
        sections_text(each for each in of_labels(found) if "terminal" in each.shown_in)
        or "no labels; `themis label RUN --next 100` writes answers to label"
    )
    if as_json:
        show({each.metric_id: each.to_dict() for each in found}, text, as_json=True)
    else:
        write(text)
