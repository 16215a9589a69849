"""Logs of Inspect: `.eval` archives, whole or left by a crash, in one file a sample or in chunks, and `.json`.

Sources: inspect_ai 0.3.285, `log/_log.py`, `log/_recorders/eval.py` and `scorer/_metric.py`. A sample is in
`samples/<id>_epoch_<n>.json`, or in chunks in a folder of that name; the header in `header.json`, or, if a crash kept
it from being written, in `_journal/start.json`. Texts that are long stand once, under `attachment://<hash>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.errors import DataError
from themis.pure.interchange import loose
from themis.pure.interchange.inspect_export import CASE_ID
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
from themis.pure.records.generation import Message

TOOL: Final = "inspect"
_NEWEST: Final = 3
_HEADER: Final = "header.json"
_START: Final = "_journal/start.json"
_ATTACHMENT: Final = "attachment://"
_SAMPLE: Final = re.compile(r"samples/(?P<id>.+)_epoch_(?P<epoch>\d+)(?:\.json|/sample\.json)")
_SHUFFLED: Final = "Choices were shuffled before generating"
"""How the scorer `choice` says so; the answer has other letters then than the sample."""
_NUMBERS: Final = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""As Inspect's own metrics read words (`value_to_float`)."""


def is_archive(files: LogFiles) -> bool:
    """Tell whether an archive is a log of Inspect."""
    return _HEADER in files.names or _START in files.names


def is_log(value: Any) -> bool:
    """Tell whether a JSON object is a log of Inspect."""
    return isinstance(value, Mapping) and "status" in value and isinstance(loose.field(value, "eval", "task"), str)


def read_archive(files: LogFiles) -> Iterator[LoggedRun]:
    """Yield the one run of an archive.

    Raises:
        DataError: it can't be read, or a newer Inspect wrote it.
    """
    name = _HEADER if _HEADER in files.names else _START
    header = loose.parse_object(files.read(name), f"{files.where}, {name}")
    lacks = (
        [] if name == _HEADER else ["no header: the log was left by a crash, and has the samples written until then"]
    )
    members = _in_order(files, header)
    told = _told(header)
    if told is not None and told > len(members):
        lacks.append(f"{told - len(members):,} of {told:,} samples are not in it")
    yield _run(header, files.where, _samples(files, members), lacks)


def read_log(value: Mapping[str, Any], place: str) -> Iterator[LoggedRun]:
    """Yield the one run of a `.json` log; errors as for `read_archive`."""
    samples = value.get("samples")
    if not isinstance(samples, list) or not samples:
        raise NothingLoggedError(
            f"{place}: this log of Inspect has results and no samples, and so no answers to import; write one with "
            "samples (`inspect log convert`, or without --no-log-samples)"
        )
    yield _run(value, place, (_sample(sample, f"{place}, sample {n}") for n, sample in enumerate(samples, 1)), [])


def _told(header: Mapping[str, Any]) -> int | None:
    return loose.count(loose.field(header, "results", "total_samples"))


def _run(header: Mapping[str, Any], place: str, samples: Iterator[LoggedSample], lacks: list[str]) -> LoggedRun:
    version = loose.count(header.get("version"))
    if version is not None and version > _NEWEST:
        raise DataError(f"{place}: written in version {version} of Inspect's logs; up to {_NEWEST} is read: upgrade")
    about = loose.mapping(header, "eval")
    task = loose.text(about, "task")
    if not task:
        raise loose.missing(place, "eval.task", about.get("task"))
    status = loose.text(header, "status")
    if status not in (None, "success"):
        lacks.append(f"the run ended with status {status!r}")
    facts = {
        "created": loose.text(about, "created"),
        "run": loose.text(about, "run_id"),
        "dataset": loose.text(about, "dataset", "name"),
        "task_version": loose.text(about, "task_version"),
        "solver": ", ".join(
            filter(None, (loose.text(step, "solver") for step in loose.items(header, "plan", "steps")))
        ),
        "config": loose.facts(loose.mapping(about, "model_generate_config")),
        "revision": loose.text(about, "revision", "commit"),
    }
    return LoggedRun(
        tool=TOOL,
        dataset_id=task,
        model=loose.text(about, "model"),
        version=loose.text(about, "packages", "inspect_ai"),
        facts={name: fact for name, fact in facts.items() if fact},
        lacks=lacks,
        scorers=_scorers(header),
        samples=samples,
    )


def _scorers(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return how scores were made: results say it by the scores' names, and the task by the scorers'."""
    steps = loose.items(header, "plan", "steps")
    several = any(loose.field(step, "params", "multiple_correct") is True for step in steps)
    found: dict[str, Any] = {}
    for place, scorer, options in (("eval", "name", "options"), ("results", "scorer", "params")):
        for stated in loose.items(header, place, "scores" if place == "results" else "scorers"):
            kind = f"{TOOL}/{(loose.text(stated, scorer) or '').removeprefix('inspect_ai/')}"
            name = loose.text(stated, "name")
            if name is not None and kind in RULES:
                more = {"multiple_correct": True} if several else {}
                found[name.removeprefix("inspect_ai/")] = {
                    "name": kind,
                    "options": {**loose.mapping(stated, options), **more},
                }
    return found


# --- archives ---------------------------------------------------------------------------------------------


def _in_order(files: LogFiles, header: Mapping[str, Any]) -> Sequence[tuple[str, str, int]]:
    """Return the samples' members with their ids and epochs, in the order of the dataset."""
    wanted = loose.items(header, "eval", "dataset", "sample_ids")
    places = {str(sample_id): place for place, sample_id in enumerate(wanted)}
    found = [
        (name, match["id"], int(match["epoch"]))
        for name in files.names
        if (match := _SAMPLE.fullmatch(name)) is not None
    ]
    return sorted(found, key=lambda one: (places.get(one[1], len(places)), _natural(one[1]), one[2]))


def _natural(text: str) -> tuple[int, int, str]:
    digits = text.isascii() and text.isdigit() and len(text) < 20
    return (0, int(text), "") if digits else (1, 0, text)


def _samples(files: LogFiles, members: Sequence[tuple[str, str, int]]) -> Iterator[LoggedSample]:
    for name, _, _ in members:
        place = f"{files.where}, {name}"
        sample = loose.parse_object(files.read(name), place)
        if name.endswith("/sample.json"):
            sample = _unchunked(files, name.removesuffix("sample.json"), sample)
        yield _sample(sample, place)


def _unchunked(files: LogFiles, folder: str, sample: dict[str, Any]) -> dict[str, Any]:
    """Return a sample that was written in chunks as one that was not, as far as it is read here."""
    inside = set(files.names)
    messages = _chunks(files, folder, "messages")
    refs = sample.get("message_refs")
    if isinstance(refs, list):
        spans = [ref for ref in refs if isinstance(ref, list) and len(ref) == 2 and all(type(n) is int for n in ref)]
        messages = [message for start, end in spans for message in messages[max(start, 0) : end]]
    more: dict[str, Any] = {"messages": messages, "attachments": _chunks(files, folder, "attachments")}
    if f"{folder}metadata.json" in inside:
        more["metadata"] = loose.parse(files.read(f"{folder}metadata.json"), f"{files.where}, {folder}metadata.json")
    return {**sample, **more}


def _chunks(files: LogFiles, folder: str, kind: str) -> list[Any]:
    """Return the items of chunks, which are named by the number of their first."""
    start = f"{folder}{kind}/"
    names = [name for name in files.names if name.startswith(start) and name[len(start) : -5].isdigit()]
    found: list[Any] = []
    for name in sorted(names, key=lambda one: int(one[len(start) : -5])):
        chunk = loose.parse(files.read(name), f"{files.where}, {name}")
        if not isinstance(chunk, list):
            raise loose.missing(f"{files.where}, {name}", "a list", chunk)
        found += chunk
    return found


# --- samples ----------------------------------------------------------------------------------------------


def _sample(value: Any, place: str) -> LoggedSample:
    if not isinstance(value, Mapping):
        raise loose.missing(place, "a sample", value)
    return loose.at(place, _read_sample, value, place)


def _read_sample(value: Mapping[str, Any], place: str) -> LoggedSample:
    if value.get("id") is None:
        raise DataError("a sample without an id")
    attached = value.get("attachments")
    error = value.get("error")
    said = loose.text(error, "message") if isinstance(error, Mapping) else loose.text(value, "error")
    output = _resolved(value.get("output"), attached)
    choice = next(iter(loose.items(output, "choices")), None)
    scores = tuple(_scores(_resolved(_stated_scores(value), attached)))
    result = None
    if said is None and choice is None and not loose.text(output, "completion"):
        said = f"no answer: limit {loose.text(value, 'limit', 'type')}" if value.get("limit") else "no answer"
    if said is None or scores:  # what was scored in spite of its error is an answer to its tool
        result, said = _answer(value, output, choice, attached, said), None
    return LoggedSample(
        place=place,
        case=Case(
            case_id=loose.text(value, "store", CASE_ID) or str(value["id"]),
            input=_input(_resolved(value.get("input"), attached)),
            expected_output=_target(value.get("target")),
            metadata=_metadata(value),
        ),
        index=max((loose.count(value.get("epoch")) or 1) - 1, 0),
        result=result,
        error=said,
        scores=scores,
    )


def _metadata(value: Mapping[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in loose.items(value, "choices") if isinstance(choice, str)]
    return {**({"choices": choices} if choices else {}), **loose.facts(loose.mapping(value, "metadata"))}


def _target(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    return None if value in ("", []) else value


def _input(value: Any) -> Any:
    return [_plain(message) for message in value] if isinstance(value, list) else value


_OF_A_MESSAGE: Final = ("role", "content", "tool_calls", "tool_call_id", "function", "error")
_OF_A_CALL: Final = ("id", "function", "arguments")


def _plain(message: Any) -> Any:
    """Return a message without what only Inspect tells it apart by, such as ids that are drawn anew each time."""
    if not isinstance(message, Mapping):
        return message
    kept = {name: message[name] for name in _OF_A_MESSAGE if message.get(name) is not None}
    if "tool_calls" in kept:
        calls = [call for call in loose.items(kept, "tool_calls") if isinstance(call, Mapping)]
        kept["tool_calls"] = [{name: call[name] for name in _OF_A_CALL if name in call} for call in calls]
    return kept


def _answer(value: Mapping[str, Any], output: Any, choice: Any, attached: Any, error: str | None) -> Any:
    message = loose.mapping(choice, "message")
    completion = loose.text(output, "completion")
    messages = [_plain(one) for one in _resolved(loose.items(value, "messages"), attached) if isinstance(one, Mapping)]
    seconds = loose.number(value.get("total_time"))
    if seconds is None:
        seconds = loose.number(loose.field(output, "time"))
    facts = {
        "finish_reason": loose.text(choice, "stop_reason"),
        "model": loose.text(output, "model"),
        "tool_calls": _plain(message).get("tool_calls"),
        "limit": loose.text(value, "limit", "type"),
        "error": error,
        "error_retries": len(loose.items(value, "error_retries")) or None,
    }
    return answer_of(
        completion if completion is not None else _text(message.get("content")),
        conversation=[
            Message(
                role=str(one.get("role") or "unknown"),
                content={name: part for name, part in one.items() if name != "role"}
                if set(one) - {"role", "content"}
                else one.get("content"),
            )
            for one in messages
        ]
        or None,
        artifacts={name: fact for name, fact in facts.items() if fact} or None,
        token_usage=_usage(value, output),
        latency_ms=None if seconds is None else seconds * 1000,
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _usage(value: Mapping[str, Any], output: Any) -> dict[str, int] | None:
    """Return the tokens of all models that a sample asked, by the names that Themis has for them."""
    used = [each for each in loose.mapping(value, "model_usage").values() if isinstance(each, Mapping)]
    used = used or [loose.mapping(output, "usage")]

    def total(name: str) -> int | None:
        known = [number for each in used if (number := loose.count(each.get(name))) is not None]
        return sum(known) if known else None

    return loose.counts(
        prompt_tokens=total("input_tokens"),
        completion_tokens=total("output_tokens"),
        total_tokens=total("total_tokens"),
        cached_tokens=total("input_tokens_cache_read"),
        reasoning_tokens=total("reasoning_tokens"),
    )


def _stated_scores(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(value.get("score"), Mapping):  # logs of before there were several
        return {"score": value["score"]}
    return loose.mapping(value, "scores")


def _scores(scores: Mapping[str, Any]) -> Iterator[ImportedScore]:
    for name, score in scores.items():
        value = loose.field(score, "value")
        yield ImportedScore(
            name=str(name),
            value=value,
            number=_number(value),
            answer=loose.text(score, "answer"),
            explanation=loose.text(score, "explanation"),
            scorer={} if (loose.text(score, "explanation") or "").startswith(_SHUFFLED) else None,
        )


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        known = _NUMBERS.get(
            value, _NUMBERS.get(value.lower()) if value.lower() in ("yes", "no", "true", "false") else None
        )
        try:
            return known if known is not None else loose.number(float(value))
        except ValueError:
            return None
    return loose.number(value)


def _resolved(value: Any, attached: Any) -> Any:
    """Return a value with the texts that stand elsewhere in their places."""
    if isinstance(value, str):
        if not value.startswith(_ATTACHMENT):
            return value
        key = value.removeprefix(_ATTACHMENT)
        if isinstance(attached, list):
            place = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else -1
            return attached[place] if 0 <= place < len(attached) else value
        return loose.mapping(attached).get(key, value)
    if isinstance(value, Mapping):
        return {name: _resolved(item, attached) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(item, attached) for item in value]
    return value
