"""Logs of promptfoo: `-o out.json` (results of version 3) and `-o out.jsonl`, which holds the rows alone.

Source: promptfoo 0.121, `src/types/index.ts` and `src/util/output.ts`. A provider with a prompt makes a run: the tests
are its cases, repeats of a test its answers. `failureReason` tells a failed request (2) from a failed assertion (1),
for `error` holds either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from themis.pure.interchange import loose
from themis.pure.interchange.exported import text_of
from themis.pure.interchange.records import (
    ImportedScore,
    LogFiles,
    LoggedRun,
    LoggedSample,
    NothingLoggedError,
    answer_of,
)
from themis.pure.interchange.scorers.promptfoo import KINDS
from themis.pure.json import content_hash
from themis.pure.records.dataset import Case

TOOL: Final = "promptfoo"
_NEWEST: Final = 3
_FAILED: Final = 2
_EXPECTING: Final = ("equals", "contains", "icontains", "is-json", "regex", "similar", "factuality", "llm-rubric")


def is_row(value: Any) -> bool:
    """Tell whether a JSON object is a row of results."""
    return isinstance(value, Mapping) and {"testIdx", "promptIdx", "provider", "vars"} <= value.keys()


def is_log(value: Any) -> bool:
    """Tell whether a JSON object is what promptfoo exports."""
    rows = loose.field(value, "results", "results")
    return isinstance(rows, list) and "prompts" in loose.mapping(value, "results")


def read_log(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield a run for each provider and prompt.

    Raises:
        DataError: a newer promptfoo wrote it, or a row is none.
    """
    place = f"{files.where}/{name}"
    version = loose.count(loose.field(value, "results", "version"))
    if version is not None and version > _NEWEST:
        raise loose.newer(place, f"version {version} of promptfoo's results", _NEWEST)
    rows = loose.items(value, "results", "results")
    if not rows:
        raise NothingLoggedError(f"{place}: results of promptfoo with no rows, and so no answers")
    about = {
        "created": loose.text(value, "results", "timestamp"),
        "run": loose.text(value, "evalId"),
        "description": loose.text(value, "config", "description"),
    }
    version_text = loose.text(value, "metadata", "promptfooVersion")
    yield from _runs(
        lambda: ((f"{place}, row {number}", row) for number, row in enumerate(rows, 1)), about, version_text, ()
    )


def read_rows(files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield a run for each provider and prompt of rows, which are read once to tell these, and once for each."""
    where = f"{files.where}/{name}"
    yield from _runs(
        lambda: loose.objects(files.lines(name), where), {}, None, ("no version and configuration: rows alone",)
    )


def _runs(
    rows: Callable[[], Iterable[tuple[str, Any]]],
    about: Mapping[str, Any],
    version: str | None,
    lacks: tuple[str, ...],
) -> Iterator[LoggedRun]:
    templates: dict[tuple[str, int], str | None] = {}
    for place, row in rows():
        if not is_row(row):
            raise loose.missing(place, "a row of promptfoo's results", row)
        templates.setdefault(_group(row), loose.text(row, "prompt", "label"))
    for group, template in templates.items():
        facts = {**about, "prompt": group[1], "template": template}
        yield LoggedRun(
            tool=TOOL,
            dataset_id=about.get("description") or TOOL,
            model=group[0],
            version=version,
            facts={name: fact for name, fact in facts.items() if fact is not None},
            lacks=lacks,
            samples=_samples(rows, group),
        )


def _samples(rows: Callable[[], Iterable[tuple[str, Any]]], group: tuple[str, int]) -> Iterator[LoggedSample]:
    for place, row in rows():
        if _group(row) == group:
            yield loose.at(place, _sample, row, place)


def _group(row: Mapping[str, Any]) -> tuple[str, int]:
    return _provider(row), loose.count(row.get("promptIdx")) or 0


def _provider(row: Mapping[str, Any]) -> str:
    provider = row.get("provider")
    named = loose.text(provider, "label") or loose.text(provider, "id")
    return named or (provider if isinstance(provider, str) and provider else "unknown")


def _sample(row: Mapping[str, Any], place: str) -> LoggedSample:
    response = row.get("response")
    output = loose.field(response, "output") if isinstance(response, Mapping) else response
    failed = row.get("failureReason") == _FAILED or (output is None and loose.text(row, "error") is not None)
    used = loose.mapping(response, "tokenUsage")
    facts = {
        "cached": loose.field(response, "cached") or None,
        "cost": loose.number(row.get("cost")) or None,
        "refusal": loose.field(response, "isRefusal") or None,
    }
    prompt = loose.text(row, "prompt", "raw")
    variables = loose.mapping(row, "vars")
    number = loose.text(row, "testIdx")
    return LoggedSample(
        place=place,
        case=Case(
            case_id=number if number is not None else content_hash(variables)[:12],
            input=_messages(prompt) if prompt is not None else dict(variables),
            expected_output=_expected(row),
            metadata={**loose.facts(variables), **loose.facts(loose.mapping(row, "testCase", "metadata"))},
        ),
        result=None
        if failed or output is None
        else answer_of(
            output,
            token_usage=loose.counts(
                prompt_tokens=used.get("prompt"),
                completion_tokens=used.get("completion"),
                total_tokens=used.get("total"),
            ),
            latency_ms=loose.number(row.get("latencyMs")),
            artifacts={name: fact for name, fact in facts.items() if fact is not None} or None,
        ),
        error=(loose.text(row, "error") or "no answer") if failed or output is None else None,
        scores=() if failed else tuple(_scores(row)),
    )


def _messages(prompt: str) -> Any:
    """Return a prompt that was written as JSON as the messages that it is, and any other as its text."""
    if prompt.lstrip().startswith("["):
        try:
            value = loose.parse(prompt.encode("utf-8", "replace"), "prompt")
        except ValueError:
            return prompt
        if isinstance(value, list) and value and all(loose.text(one, "role") for one in value):
            return value
    return prompt


def _expected(row: Mapping[str, Any]) -> Any:
    """Return what the assertions expect: of the one that compares with a value, or of several as a list."""
    asserted = loose.items(row, "testCase", "assert")
    values = [
        one["value"]
        for one in asserted
        if isinstance(one, Mapping) and one.get("type") in _EXPECTING[:3] and one.get("value") is not None
    ]
    return values[0] if len(values) == 1 else values or None


def _scores(row: Mapping[str, Any]) -> Iterator[ImportedScore]:
    yield ImportedScore(
        name="promptfoo",
        value=row.get("score"),
        number=loose.number(row.get("score")),
        explanation=loose.text(row, "gradingResult", "reason"),
    )
    yield ImportedScore(name="pass", value=row.get("success"), number=loose.number(row.get("success")))
    for name, value in loose.mapping(row, "namedScores").items():
        yield ImportedScore(name=str(name), value=value, number=loose.number(value))
    for number, part in enumerate(loose.items(row, "gradingResult", "componentResults"), 1):
        kind = loose.text(part, "assertion", "type")
        yield ImportedScore(
            name=f"assert {number} ({kind})" if kind else f"assert {number}",
            value=loose.field(part, "score"),
            number=loose.number(loose.field(part, "score")),
            explanation=loose.text(part, "reason"),
            scorer=_scorer(loose.mapping(part, "assertion"), loose.mapping(row, "vars")),
        )


_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def _scorer(assertion: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an assertion with its variables filled in; `None` of one that more than its type and value decides."""
    kind, value = loose.text(assertion, "type"), assertion.get("value")
    if kind not in KINDS or any(
        assertion.get(name) is not None for name in ("transform", "config", "normalizeUnicode")
    ):
        return None

    def filled(found: re.Match[str]) -> str:
        return text_of(variables[found[1]]) if found[1] in variables else found[0]

    if isinstance(value, str):
        value = _VARIABLE.sub(filled, value)
        if "{{" in value or "{%" in value or value.startswith("file://"):
            return None
    return {"name": f"{TOOL}/assert", "options": {"type": kind, "value": value}}
