"""Reports of pydantic-evals, as `EvaluationReportAdapter.dump_json` writes them.

Source: pydantic-evals 2.62, `reporting/__init__.py`. Cases that are repeats name their `source_case_name`; a task that
raised is among `failures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from themis.pure.interchange import loose
from themis.pure.interchange.records import (
    ImportedScore,
    LogFiles,
    LoggedRun,
    LoggedSample,
    NothingLoggedError,
    answer_of,
)
from themis.pure.interchange.scorers.table import RULES
from themis.pure.records.dataset import Case

TOOL: Final = "pydantic-evals"


def is_report(value: Any) -> bool:
    """Tell whether a JSON object is a report."""
    return isinstance(value, Mapping) and {"name", "cases", "failures"} <= value.keys() and "analyses" in value


def read_report(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the one run of a report.

    Raises:
        NothingLoggedError: it has no cases.
        DataError: a case is none.
    """
    place = f"{files.where}/{name}"
    cases, failures = loose.items(value, "cases"), loose.items(value, "failures")
    if not cases and not failures:
        raise NothingLoggedError(f"{place}: a report of pydantic-evals without cases")
    about = {"task": loose.text(value, "name"), "trace": loose.text(value, "trace_id")}
    yield LoggedRun(
        tool=TOOL,
        dataset_id=loose.text(value, "dataset_name") or loose.text(value, "name") or "report",
        model=loose.text(value, "name"),
        facts={
            **{key: fact for key, fact in about.items() if fact is not None},
            **loose.facts(loose.mapping(value, "experiment_metadata")),
        },
        samples=(
            loose.at(where, _sample, case, where)
            for where, case in (
                *((f"{place}, case {number}", case) for number, case in enumerate(cases, 1)),
                *((f"{place}, failure {number}", case) for number, case in enumerate(failures, 1)),
            )
        ),
    )


def _sample(case: Any, place: str) -> LoggedSample:
    name = loose.text(case, "source_case_name") or loose.text(case, "name")
    if name is None or "inputs" not in case:
        raise loose.missing(place, "a case with name and inputs", case)
    error = loose.text(case, "error_message")
    seconds = loose.number(case.get("task_duration"))
    output = case.get("output")
    failed = error is not None or output is None
    return LoggedSample(
        place=place,
        case=Case(
            case_id=name,
            input=case["inputs"] if case["inputs"] is not None else "null",
            expected_output=case.get("expected_output"),
            metadata=loose.facts(loose.mapping(case, "metadata")),
        ),
        result=None
        if failed
        else answer_of(
            output,
            latency_ms=None if seconds is None else seconds * 1000,
            token_usage=_usage(loose.mapping(case, "metrics")),
        ),
        error=(error or "the task returned nothing") if failed else None,
        scores=() if failed else tuple(_scores(case)),
    )


def _usage(metrics: Mapping[str, Any]) -> dict[str, int] | None:
    """Return what a task's own metrics say of tokens, by the names that Pydantic AI gives them."""
    return loose.counts(prompt_tokens=metrics.get("input_tokens"), completion_tokens=metrics.get("output_tokens"))


def _scores(case: Mapping[str, Any]) -> Iterator[ImportedScore]:
    for kind in ("assertions", "scores", "labels"):
        for name, found in loose.mapping(case, kind).items():
            value = loose.field(found, "value")
            yield ImportedScore(
                name=str(name),
                value=value,
                number=loose.number(value),
                explanation=loose.text(found, "reason"),
                scorer=_scorer(loose.mapping(found, "source")),
            )


def _scorer(source: Mapping[str, Any]) -> dict[str, Any] | None:
    kind, stated = f"{TOOL}/{loose.text(source, 'name')}", source.get("arguments")
    if kind not in RULES:
        return None
    options = {"value": stated[0]} if isinstance(stated, list) and len(stated) == 1 else loose.mapping(stated)
    return {"name": kind, "options": options}
