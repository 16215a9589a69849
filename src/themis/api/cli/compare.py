"""`themis compare`: is the second run really better, and may it pass?"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from themis.api.cli import DONE, GATE_FAILED, INCOMPLETE
from themis.api.cli.options import (
    DEFAULT_STORE,
    ClusterBy,
    Correction,
    Json,
    Price,
    ReportAt,
    RunName,
    Store,
    Words,
    engine_of,
    read_prices,
    report_at,
    stored_run,
)
from themis.api.cli.output import say, write, write_document

if TYPE_CHECKING:
    from themis.api.runs.result import RunResult
    from themis.pure.protocols import RunStore

_STATISTIC: Final = Parameter(
    negative="",
    help="Compare this, too: mean, median, a percentile such as p90, or corpus (BLEU, chrF). Repeat it for more.",
)
_OF: Final = Parameter(
    negative="", help="What --statistic is of: the metrics' scores, or what a case took. Repeat it for more."
)

_CASES: Final = Parameter(
    help="Show the first so many cases of each kind of change, side by side; if not given, 20 on a page and in "
    "Markdown, 5 with --kind, and else none."
)
_KIND: Final = Parameter(
    negative="",
    help="Show changes of this kind alone, such as right_to_wrong or parsed_to_unparsed. Repeat it for more.",
)
_HINT: Final = "--cases 5 shows the first cases of each kind side by side; --output changes.html makes a page of them"


def compare(
    run_a: RunName,
    run_b: RunName,
    /,
    *,
    metric: Words = None,
    parser: Words = None,
    fail_on_regression: Words = None,
    regression_on: Literal["interval", "mean"] = "interval",
    at: ReportAt = None,
    until: Annotated[
        str | None,
        Parameter(help="METRIC>=X: exit with 1 unless that is shown of RUN_B - RUN_A, and say after how many cases."),
    ] = None,
    cluster_by: ClusterBy = None,
    correction: Correction = "cr2",
    statistic: Annotated[list[str] | None, _STATISTIC] = None,
    of: Annotated[list[Literal["score", "cost", "latency", "prompt_tokens", "completion_tokens"]] | None, _OF] = None,
    contrast: Literal["difference", "ratio", "of_differences"] = "difference",
    price: Price = None,
    store: Store = DEFAULT_STORE,
    store_b: Annotated[str | None, Parameter(help="Where RUN_B is kept, if elsewhere.")] = None,
    junit: Path | None = None,
    cases: Annotated[int | None, _CASES] = None,
    kind: Annotated[list[str] | None, _KIND] = None,
    form: Annotated[Literal["text", "markdown", "json", "html"] | None, Parameter(name=["--format", "-f"])] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json_output: Json = False,
) -> int:
    """Compare two runs, case by case.

    Differences are RUN_B minus RUN_A, over the cases that both have, with 95% intervals. Below them stand the cases
    that changed: right to wrong, parsed to unparsed, answer to error, and back. Other tools' logs can be compared by
    their files, scored by --metric; cases with other ids are paired by what they ask.

    For example:
      themis compare 4f1c latest
      themis compare 4f1c latest --cases 5
      themis compare 4f1c latest --kind right_to_wrong --output changes.html
      themis compare 4f1c latest --fail-on-regression exact_match:0.02 --junit gate.xml
      themis compare 4f1c latest --report-at 1,4
      themis compare 4f1c latest --cluster-by topic
      themis compare 4f1c latest --statistic median --statistic p90 --of latency
      themis compare 4f1c latest --of cost --contrast ratio --price vllm/mine=0.1,0.4
      themis compare 4f1c latest --statistic corpus --metric chrf
      themis compare 4f1c latest --until "exact_match>=-0.02"
      themis compare a.eval samples_b.jsonl --metric exact_match --parser builtin/text

    Args:
        run_a: The baseline: its id, its first characters, 'latest', or the file of another tool's log.
        run_b: The other run.
        metric: These metrics alone; p-values are adjusted over them.
        parser: How the answers of a log are read.
        fail_on_regression:
            Exit with 1 unless METRIC's difference lies above -MARGIN, whatever missing scores are: METRIC:MARGIN.
        regression_on: What has to lie above -MARGIN: the 95% 'interval' in whole, or the 'mean' difference.
        contrast: With --statistic or --of: the 'difference' (b - a) or 'ratio' (b / a), or the statistic
            'of_differences'.
        junit: Write the gates as JUnit XML to this file.
        form: What to write; `text` if not given, or what the name of the --output ends in.
        output: Write it to this file; to stdout if not given.
    """
    from themis.api.runs.changes import changed_cases, changes_page, check_kinds
    from themis.api.runs.compare import compare as compare_runs
    from themis.api.runs.compare import compare_until, shared_answers, whole_names
    from themis.api.runs.compare_statistics import statistics_of_runs
    from themis.api.runs.gates import check_regressions, ks_of, read_regression_gates, write_junit
    from themis.api.runs.view import RunView
    from themis.pure.json import formatted
    from themis.pure.records.stopping import as_rule
    from themis.pure.report.comparison import (
        comparison_data,
        comparison_html,
        comparison_markdown,
        comparison_text,
        incomplete_runs,
    )
    from themis.pure.report.markdown import fenced
    from themis.pure.report.markup import element
    from themis.pure.report.statistics import statistics_text
    from themis.pure.stats.gates import GateResult
    from themis.pure.stats.paired_bootstrap import adjusted_statistics

    shown = form_of(form, output, as_json=json_output)
    check_kinds(kind)
    rule = as_rule(until)
    if rule is not None and rule.cluster_by is None:
        rule = rule.evolve(cluster_by=cluster_by)
    (first, a), (second, b) = (
        _run_of(name, place, metric, parser) for name, place in ((run_a, store), (run_b, store_b or store))
    )
    ours, theirs = first.load_snapshot(a), second.load_snapshot(b)
    gates = read_regression_gates(fail_on_regression or (), ours, theirs, regression_on)
    ks = {*(report_at(at, shared_answers(ours, theirs)) or ()), *ks_of(gates)}
    engine = engine_of(correction)
    found = compare_runs(first, a, second, b, metric, cluster_by=cluster_by, engine=engine, at=sorted(ks) or None)
    results = check_regressions(gates, found)
    decided = None
    if rule is not None:
        decided = compare_until(first, a, second, b, rule, label_a=found.label_a, label_b=found.label_b)
        results += (GateResult(gate=decided.stop.rule, passed=decided.stop.decision == "passes", reason=str(decided)),)
    if junit is not None:
        write_junit(junit, f"themis compare {a[:12]} {b[:12]}", results, comparison=found)
    views = RunView(snapshot=ours, store=first), RunView(snapshot=theirs, store=second)
    measured = adjusted_statistics(
        [
            each
            for measure in of or (["score"] if statistic else [])
            for each in statistics_of_runs(
                views,
                statistic or ["mean"],
                of=measure,
                metric_ids=metric,
                contrast=contrast,
                cluster_by=cluster_by,
                prices=read_prices(price),
            )
        ]
    )
    labels = {"label_a": found.label_a, "label_b": found.label_b}
    in_both = {slot.metric_id for slot in views[0].metrics} & {slot.metric_id for slot in views[1].metrics}
    named = whole_names(metric, *views)
    shared = None if named is None else [name for name in named if name in in_both]
    changes = changed_cases(first, a, second, b, shared, **labels)
    if cases is None:
        cases = 20 if shown in ("html", "markdown") else 5 if kind else 0
    chosen: dict[str, Any] = {"most": cases, "kinds": kind}
    statistics = [statistics_text(measured)] if measured else []
    if shown == "json":
        more: dict[str, Any] = {"statistics": [each.to_dict() for each in measured]} if measured else {}
        if decided is not None:
            more["until"] = decided.to_dict()
        data = {**comparison_data(found, results), **more, "changes": changes.to_dict(**chosen)}
        write_or_show([formatted(data)], "json", output)
    elif shown == "html":
        before = [*comparison_html(found, results), *(element("pre", text) for text in statistics)]
        write_or_show(changes_page(changes, changes.cases(**chosen), before), "html", output)
    elif shown == "markdown":
        parts = [comparison_markdown(found, results), *map(fenced, statistics), changes.to_markdown(**chosen)]
        write_or_show(["\n".join(parts)], "markdown", output)
    else:
        width = max(80, shutil.get_terminal_size().columns)
        parts = [comparison_text(found, results), *statistics]
        hint = [] if cases or not any(each.changed for each in changes.metrics) else [_HINT]
        write_or_show(["\n\n".join([*parts, changes.text(**chosen, width=width), *hint])], "text", output)
    if incomplete_runs(found):
        return INCOMPLETE  # before a failed gate, as the figures may still change
    return DONE if all(gate.passed for gate in results) else GATE_FAILED


def form_of(form: str | None, output: Path | None, *, as_json: bool) -> str:
    """Return what is to be written.

    Raises:
        SpecError: two options say two things.
    """
    from themis.pure.errors import SpecError

    if as_json and form not in (None, "json"):
        raise SpecError(f"--json and --format {form}: one of them expected")
    of_file = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".jsonl": "jsonl"}
    named = "text" if output is None else of_file.get(output.suffix.lower(), "text")
    return "json" if as_json else form or named


def write_or_show(pieces: Iterable[str], kind: str, output: Path | None) -> None:
    """Write a document to a file, whole or not at all, or print it."""
    from themis.effects.files import whole_file

    if output is None:
        for text in pieces if kind == "json" else ["".join(pieces)]:  # JSON comes in whole lines
            write(text) if kind == "text" else write_document(text, kind)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as file:
        file.writelines(piece.encode("utf-8", "replace") for piece in pieces)
    say(f"wrote {output}")


def _run_of(name: str, place: str, metric: list[str] | None, parser: list[str] | None) -> tuple[RunStore, str]:
    """Return a stored run and its store; of a file the run that it holds, in memory.

    Raises:
        SpecError: a file is to be scored by nothing, or it holds several runs.
    """
    path = Path(name)
    if not (path.suffix and path.is_file()):
        return stored_run(place, name)
    from themis.api.imports.logs import import_logs
    from themis.effects.stores.memory import InMemoryRunStore
    from themis.pure.errors import SpecError

    if not metric:
        raise SpecError(f"{name}: the answers of a log are scored by --metric; name one or several")
    store = InMemoryRunStore()
    found = import_logs(path, metric=metric, parser=parser, store=store)
    if len(found) > 1:
        held = ", ".join(_about(result) for result in found)
        raise SpecError(
            f"{name}: one run expected, and it holds {len(found)} ({held}); import it, and name two of them"
        )
    return store, found[0].run_id


def _about(result: RunResult) -> str:
    from themis.pure.interchange.records import IMPORTED

    about = result.snapshot.provenance.provider_metadata.get(IMPORTED)
    model = about.get("model") if isinstance(about, Mapping) else None
    return f"{model or 'no model'} on {', '.join(result.view.dataset_ids)}"
