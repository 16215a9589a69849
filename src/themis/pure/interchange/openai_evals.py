"""Logs of OpenAI evals: JSON lines with a `spec`, a `final_report`, and events, which a `sample_id` joins.

Source: openai/evals, `evals/record.py`. An answer is the last `sampling` of a sample, for earlier ones are those of
models that graded or of turns before; what its `match` and `metrics` say are its scores.
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
from themis.pure.records.dataset import Case

TOOL: Final = "openai-evals"


def is_line(value: Any) -> bool:
    """Tell whether a JSON object begins a log."""
    return isinstance(value, Mapping) and (
        isinstance(loose.field(value, "spec", "eval_name"), str)
        or ({"run_id", "event_id", "sample_id", "type", "data"} <= value.keys())
    )


def read(files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the one run of a log; its events are held together, for those of a sample stand apart.

    Raises:
        DataError: a line is none of a log.
        NothingLoggedError: no sample was asked.
    """
    where = f"{files.where}/{name}"
    spec: Mapping[str, Any] = {}
    report: Mapping[str, Any] = {}
    events: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for place, line in loose.objects(files.lines(name), where):
        if "spec" in line:
            spec = loose.mapping(line, "spec")
        elif "final_report" in line:
            report = loose.mapping(line, "final_report")
        elif isinstance(line.get("type"), str):
            sample_id = loose.text(line, "sample_id")
            if sample_id is not None:
                events.setdefault(sample_id, []).append((place, line))
        else:
            raise loose.missing(place, "a spec, a final_report or an event", line)
    if not events:
        raise NothingLoggedError(f"{where}: a log of OpenAI evals without samples")
    models = loose.items(spec, "completion_fns")
    facts = {
        "created": loose.text(spec, "created_at"),
        "run": loose.text(spec, "run_id"),
        "split": loose.text(spec, "split"),
        "report": loose.facts(report) or None,
    }
    yield LoggedRun(
        tool=TOOL,
        dataset_id=loose.text(spec, "eval_name") or name.rpartition("/")[2].partition(".")[0],
        model=", ".join(map(str, models)) or None,
        facts={key: fact for key, fact in facts.items() if fact is not None},
        lacks=() if spec else ("no spec: which eval and model it was is not known",),
        samples=(
            loose.at(found[0][0], _sample, sample_id, found) for sample_id, found in sorted(events.items(), key=_order)
        ),
    )


def _order(item: tuple[str, Any]) -> tuple[str, int, str]:
    stem, _, number = item[0].rpartition(".")
    return (
        (stem, int(number), "") if number.isascii() and number.isdigit() and len(number) < 19 else (stem, -1, item[0])
    )


def _sample(sample_id: str, events: list[tuple[str, Mapping[str, Any]]]) -> LoggedSample:
    place = events[0][0]
    of_kind: dict[str, list[Mapping[str, Any]]] = {}
    for _, event in events:
        of_kind.setdefault(str(event.get("type")), []).append(loose.mapping(event, "data"))
    asked = of_kind.get("sampling") or of_kind.get("cond_logp") or [{}]
    matches, raw = of_kind.get("match", []), of_kind.get("raw_sample", [{}])[0]
    sampled = asked[-1].get("sampled")
    if isinstance(sampled, list) and len(sampled) == 1:
        sampled = sampled[0]
    if sampled is None and matches:
        sampled = matches[-1].get("sampled")
    errors = [
        loose.text(data, "message") or loose.text(data, "error") or str(data) for data in of_kind.get("error", [])
    ]
    failed = sampled is None
    used = loose.mapping(asked[-1], "usage")
    return LoggedSample(
        place=place,
        case=Case(
            case_id=sample_id,
            input=next((one for one in (asked[-1].get("prompt"), raw.get("input")) if one), dict(raw) or sample_id),
            expected_output=_expected(matches, raw),
        ),
        result=None
        if failed
        else answer_of(
            sampled,
            token_usage=loose.counts(
                prompt_tokens=used.get("prompt_tokens"),
                completion_tokens=used.get("completion_tokens"),
                total_tokens=used.get("total_tokens"),
            ),
        ),
        error=(errors[-1] if errors else "no answer") if failed else None,
        scores=() if failed else tuple(_scores(matches, of_kind.get("metrics", []))),
    )


def _expected(matches: list[Mapping[str, Any]], raw: Mapping[str, Any]) -> Any:
    expected = matches[-1].get("expected") if matches else raw.get("ideal")
    return expected if expected not in ("", []) else None


def _scores(matches: list[Mapping[str, Any]], metrics: list[Mapping[str, Any]]) -> Iterator[ImportedScore]:
    for match in matches[-1:]:
        correct = match.get("correct")
        yield ImportedScore(
            name="match", value=correct, number=loose.number(correct), answer=loose.text(match, "picked")
        )
    for found in metrics:
        for name, value in found.items():
            yield ImportedScore(name=str(name), value=value, number=loose.number(value))
