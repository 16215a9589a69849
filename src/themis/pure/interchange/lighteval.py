"""Details of lighteval: `details_<task>_<time>.parquet`, with `results_<time>.json` one or several folders above.

Source: lighteval 0.13, `logging/evaluation_tracker.py`, `models/model_output.py` and `tasks/requests.py`. A row is of
one document: `doc`, `model_response` and `metric`. Each text of the response is an answer; its metrics are of
all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from themis.pure.errors import DataError
from themis.pure.interchange import loose
from themis.pure.interchange.records import ImportedScore, LogFiles, LoggedRun, LoggedSample, answer_of
from themis.pure.records.dataset import Case

TOOL: Final = "lighteval"
_DETAILS: Final = re.compile(r"(?:.*/)?details_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[^/]+)\.parquet")


def is_row(value: Any) -> bool:
    """Tell whether a row is one of details."""
    return isinstance(value, Mapping) and {"doc", "model_response", "metric"} <= value.keys()


def read_details(files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the run of one task.

    Raises:
        DataError: a row is none.
    """
    named = _DETAILS.fullmatch(name)
    first = next(iter(files.rows(name)))[1]
    task = loose.text(first, "doc", "task_name") or (named["task"] if named is not None else "lighteval")
    results: Mapping[str, Any] = {}
    beside = None
    if named is not None:
        wanted = f"results_{named['time']}.json"
        beside = next((one for one in files.names if one.rpartition("/")[2] == wanted), None)
    if beside is not None:
        results = loose.parse_object(files.read(beside), f"{files.where}/{beside}")
    about = loose.mapping(results, "config_general")
    facts = {
        "revision": loose.text(about, "lighteval_sha"),
        "config": loose.facts(loose.mapping(about, "model_config", "generation_parameters")) or None,
    }
    yield LoggedRun(
        tool=TOOL,
        dataset_id=task,
        model=loose.text(about, "model_name") or loose.text(about, "model_config", "model_name"),
        facts={key: fact for key, fact in facts.items() if fact is not None},
        lacks=() if results else ("no results_*.json beside it: which model answered is not known",),
        read=(name, *([beside] if beside is not None else [])),
        samples=_samples(files, name),
    )


def _samples(files: LogFiles, name: str) -> Iterator[LoggedSample]:
    for number, row in files.rows(name):
        place = f"{files.where}/{name}:{number}"
        yield from loose.at(place, _of_row, row, number, place)


def _of_row(row: Mapping[str, Any], number: int, place: str) -> list[LoggedSample]:
    if not is_row(row):
        raise loose.missing(place, "a row of lighteval's details", row)
    doc, response = loose.mapping(row, "doc"), loose.mapping(row, "model_response")
    choices = [choice for choice in loose.items(doc, "choices") if isinstance(choice, str)]
    case = Case(
        case_id=loose.text(doc, "id") or str(number),
        input=loose.text(doc, "query") or "",
        expected_output=_gold(doc, choices),
        metadata={"choices": choices} if len(choices) > 1 else {},
    )
    texts = [one for one in loose.items(response, "text") if isinstance(one, str)]
    logprobs = [one for one in loose.items(response, "logprobs") if loose.number(one) is not None]
    if not texts and len(logprobs) == len(choices) > 0:
        texts = [choices[max(range(len(choices)), key=logprobs.__getitem__)]]
    if not texts:
        return [LoggedSample(place=place, case=case, error="no answer")]
    outputs = loose.items(response, "output_tokens")
    prompt = loose.items(response, "input_tokens")
    seen = loose.text(response, "input")
    return [
        LoggedSample(
            place=place,
            case=case,
            index=index,
            result=answer_of(
                answer,
                token_usage=loose.counts(
                    prompt_tokens=len(prompt) or None,
                    completion_tokens=len(outputs[index])
                    if index < len(outputs) and isinstance(outputs[index], list)
                    else None,
                ),
                artifacts={"prompt": seen} if seen and seen != case.input else None,
            ),
            scores=tuple(_scores(row)) if index == 0 else (),
        )
        for index, answer in enumerate(texts)
    ]


def _gold(doc: Mapping[str, Any], choices: list[str]) -> Any:
    gold = doc.get("gold_index")
    numbers = gold if isinstance(gold, list) else [gold]
    if any(type(one) is int and one >= len(choices) for one in numbers) and choices:
        raise DataError(f"doc.gold_index: a number below {len(choices)} expected, found {gold!r}")
    found = [choices[one] for one in numbers if type(one) is int and 0 <= one < len(choices)]
    return found[0] if len(found) == 1 else found or None


def _scores(row: Mapping[str, Any]) -> Iterator[ImportedScore]:
    for name, value in loose.mapping(row, "metric").items():
        number = loose.number(value)
        if value is not None:
            yield ImportedScore(
                name=str(name), value=value if number is not None or not _is_float(value) else None, number=number
            )


def _is_float(value: Any) -> bool:
    return isinstance(value, float)
