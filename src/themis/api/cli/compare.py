"""`themis compare`: is the second run really better, and may it pass?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

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
    stored,
)
from themis.api.cli.output import show

_STATISTIC: Final = Parameter(
    negative="",
    help="Compare this, too: mean, median, a percentile such as p90, or corpus (BLEU, chrF). Repeat it for more.",
)
_OF: Final = Parameter(
    negative="", help="What --statistic is of: the metrics' scores, or what a case took. Repeat it for more."
)


def compare(
    run_a: RunName,
    run_b: RunName,
    /,
    *,
    metric: Words = None,
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
    json_output: Json = False,
) -> int:
    """Compare two runs, case by case.

    Differences are RUN_B minus RUN_A, over the cases that both have, with 95% intervals.

    For example:
      themis compare 4f1c latest
      themis compare 4f1c latest --fail-on-regression exact_match:0.02 --junit gate.xml
      themis compare 4f1c latest --report-at 1,4
      themis compare 4f1c latest --cluster-by topic
      themis compare 4f1c latest --statistic median --statistic p90 --of latency
      themis compare 4f1c latest --of cost --contrast ratio --price vllm/mine=0.1,0.4
      themis compare 4f1c latest --statistic corpus --metric chrf
      themis compare 4f1c latest --until "exact_match>=-0.02"

    Args:
        run_a: The baseline: its id, its first characters, or 'latest'.
        run_b: The other run.
        metric: These metrics alone; p-values are adjusted over them.
        fail_on_regression:
            Exit with 1 unless METRIC's difference lies above -MARGIN, whatever missing scores are: METRIC:MARGIN.
        regression_on: What has to lie above -MARGIN: the 95% 'interval' in whole, or the 'mean' difference.
        contrast: With --statistic or --of: the 'difference' (b - a) or 'ratio' (b / a), or the statistic
            'of_differences'.
        junit: Write the gates as JUnit XML to this file.
    """
    from themis.api.runs.compare import compare as compare_runs
    from themis.api.runs.compare import compare_until, shared_answers
    from themis.api.runs.compare_statistics import statistics_of_runs
    from themis.api.runs.gates import check_regressions, ks_of, read_regression_gates, write_junit
    from themis.api.runs.view import RunView
    from themis.api.stores import find_run
    from themis.pure.records.stopping import as_rule
    from themis.pure.report.comparison import comparison_data, comparison_text, incomplete_runs
    from themis.pure.report.statistics import statistics_text
    from themis.pure.stats.gates import GateResult
    from themis.pure.stats.paired_bootstrap import adjusted_statistics

    rule = as_rule(until)
    if rule is not None and rule.cluster_by is None:
        rule = rule.evolve(cluster_by=cluster_by)
    first = stored(store)
    second = first if store_b is None else stored(store_b)
    a, b = find_run(first, run_a), find_run(second, run_b)
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
    measured_data = {"statistics": [each.to_dict() for each in measured]} if measured else {}
    decided_data = {} if decided is None else {"until": decided.to_dict()}
    show(
        {**comparison_data(found, results), **measured_data, **decided_data},
        lambda: "\n\n".join([comparison_text(found, results), *([statistics_text(measured)] if measured else [])]),
        as_json=json_output,
    )
    if incomplete_runs(found):
        return INCOMPLETE  # before a failed gate, as the figures may still change
    return DONE if all(gate.passed for gate in results) else GATE_FAILED
