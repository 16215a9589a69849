"""Recomputes and reports a whole run under an audit hook that allows nothing that is not pure computation."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

from themis import InMemoryRunStore
from themis.effects.reading import read_case_events, read_cases, read_events
from themis.pure.chain import broken_links
from themis.pure.pipeline.recorded import purely
from themis.pure.pipeline.run import planned_run
from themis.pure.pipeline.verification import case_checks, compared
from themis.pure.projections import (
    Thresholds,
    benchmark_result,
    case_result,
    result_digest,
    score_rows,
    timeline,
    trace_view,
)
from themis.pure.report.html import html_pieces
from themis.pure.report.latex import run_latex
from themis.pure.report.markdown import run_markdown
from themis.pure.report.overview import Overview
from themis.pure.report.sections import Report
from themis.pure.report.terminal import run_summary
from themis.pure.state import fold
from themis.testing.pipelines import Pipeline

FORBIDDEN = (
    "open",
    "os.",
    "socket.",
    "subprocess.",
    "sqlite3.",
    "shutil.",
    "tempfile.",
    "ctypes.",
    "urllib.",
    "import",
)
watching = False
seen: Counter[str] = Counter()


def watch(event: str, arguments: Any) -> None:
    if watching and event.startswith(FORBIDDEN):
        seen[f"{event} {str(arguments)[:80]}"] += 1
        raise RuntimeError(f"{event} {str(arguments)[:200]}")


def no_clock(*_: object) -> float:
    if watching:
        raise RuntimeError("the clock was read")
    return 0.0


def everything(experiment: Any, store: InMemoryRunStore, run_id: str) -> str:
    snapshot = store.load_snapshot(run_id)
    run = planned_run(snapshot, experiment.components())
    plan = run.plan
    assert not list(broken_links(store.events(run_id), store.head(run_id)))
    cases = list(read_cases(store, snapshot))
    counts: Counter[str] = Counter()
    for item, events in read_case_events(store, snapshot):
        for check in case_checks(run, item, events):
            assert check.program is not None
            assert compared(check, item.case_key, purely(check.program)) is None
            counts[check.step.stage] += 1
    assert {"generate", "reduce", "parse", "score", "judge"} <= set(counts), counts
    states = [state for _, state in cases]
    benchmark = benchmark_result(run_id, plan, ["made"], states, Thresholds())
    overview = Overview(plan)
    for item, state in cases:
        overview.add(item, state, tuple(score_rows(plan, state, Thresholds())))
    report = Report(snapshot=snapshot, status="completed", overview=overview.result(run_id, ["made"]))
    events = list(read_events(store, run_id))
    assert len(timeline(run_id, events).entries) == len(events)
    assert trace_view(run_id, states).generation_traces
    assert fold(run_id, events).case_states
    assert run_markdown(report)
    assert run_latex(report)
    assert run_summary(report)
    assert "".join(html_pieces(report, (), style="", script=""))
    assert report.overview.benchmark == benchmark.evolve(score_rows=())
    return result_digest(case_result(plan, state) for state in states)


def main() -> None:
    global watching
    pipeline = Pipeline(
        cases=40,
        samples=2,
        generator=("right", "wrong", "raise", "right"),
        reducer=("right",),
        parser=("right", "right", "null"),
        metrics=(("right",), ("right", "error", "nan")),
        judge=("right", "wrong", "unusable", "right"),
        repeats=2,
    )
    # The reducer of a pipeline is async, and what is awaited is not replayed purely: this one has none to await.
    experiment = pipeline.experiment()
    experiment = experiment.evolve(generation=experiment.generation.evolve(reducer="builtin/majority_vote"))
    store = InMemoryRunStore()
    result = experiment.run(store=store)
    once = everything(experiment, store, result.run_id)  # what is imported late is imported now
    for name in ("time", "monotonic", "perf_counter", "process_time", "sleep", "time_ns"):
        setattr(time, name, no_clock)
    sys.addaudithook(watch)
    watching = True
    again = everything(experiment, store, result.run_id)
    watching = False
    assert once == again == result.digest
    assert not seen
    if "--provoke" in sys.argv:
        watching = True
        open("/dev/null").close()
    sys.stdout.write("pure\n")


if __name__ == "__main__":
    main()
