"""Results of deepeval: `.latest_run_full.json` and `.latest_test_run.json` of the folder `.deepeval`.

Source: deepeval 4.3, `test_run/test_run.py` and `test_run/api.py`. No model is named: deepeval is handed outputs.
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

TOOL: Final = "deepeval"


def is_run(value: Any) -> bool:
    """Tell whether a JSON object is a test run."""
    run = loose.field(value, "testRunData") if isinstance(value, Mapping) and "testRunData" in value else value
    return isinstance(loose.field(run, "testCases"), list) and "conversationalTestCases" in loose.mapping(run)


def read_run(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the one run of a file.

    Raises:
        NothingLoggedError: it has no test cases of one turn.
        DataError: a test case is none.
    """
    place = f"{files.where}/{name}"
    run = loose.mapping(value, "testRunData") or value
    cases, talks = loose.items(run, "testCases"), loose.items(run, "conversationalTestCases")
    if not cases:
        raise NothingLoggedError(f"{place}: a run of deepeval without test cases of one turn, and so without answers")
    about = {
        "identifier": loose.text(run, "identifier"),
        "parameters": loose.facts(loose.mapping(run, "hyperparameters")),
    }
    yield LoggedRun(
        tool=TOOL,
        dataset_id=loose.text(run, "testFile") or loose.text(run, "datasetAlias") or "deepeval",
        model=loose.text(run, "hyperparameters", "model"),
        facts={key: fact for key, fact in about.items() if fact},
        lacks=(f"{len(talks)} conversational test cases are left out",) if talks else (),
        samples=(
            loose.at(where, _sample, case, number, where)
            for number, case in enumerate(cases, 1)
            if (where := f"{place}, test case {number}")
        ),
    )


def _sample(case: Any, number: int, place: str) -> LoggedSample:
    if not isinstance(case, Mapping) or case.get("input") is None:
        raise loose.missing(place, "a test case with an input", case)
    output = case.get("actualOutput")
    seconds = loose.number(case.get("runDuration"))
    facts = {
        name: found
        for name in ("context", "retrievalContext", "tags")
        if (found := [text for text in loose.items(case, name) if isinstance(text, str)])
    }
    return LoggedSample(
        place=place,
        case=Case(
            case_id=loose.text(case, "name") or str(number),
            input=case["input"],
            expected_output=case.get("expectedOutput"),
            metadata={**facts, **loose.facts(loose.mapping(case, "additionalMetadata"))},
        ),
        result=None
        if output is None
        else answer_of(
            output,
            latency_ms=seconds * 1000 if seconds else None,
            artifacts={"tools_called": case["toolsCalled"]} if case.get("toolsCalled") else None,
        ),
        error="no actual output" if output is None else None,
        scores=() if output is None else tuple(_scores(case)),
    )


def _scores(case: Mapping[str, Any]) -> Iterator[ImportedScore]:
    for found in loose.items(case, "metricsData"):
        name = loose.text(found, "name")
        if name is not None:
            value = loose.field(found, "score")
            reason = loose.text(found, "reason") or loose.text(found, "error")
            kind = f"{TOOL}/{name}"
            scorer = {"name": kind} if kind in RULES else None
            yield ImportedScore(name=name, value=value, number=loose.number(value), explanation=reason, scorer=scorer)
