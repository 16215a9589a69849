"""Logs of lm-evaluation-harness: `samples_<task>_<time>.jsonl`, with `results_<time>.json` beside them.

Sources: lm_eval 0.4.13, `loggers/evaluation_tracker.py` and `evaluator.py`. A row is of one document and one filter:
further filters are further scores of the same answers. Log-likelihood tasks have the likelihoods of the choices in
place of an answer; the harness does not say how many tokens a choice has, so that each counts as one. What Themis wrote
(`lm_eval_export`) comes back as the cases that it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.errors import DataError
from themis.pure.interchange import loose
from themis.pure.interchange.lm_eval_export import ANSWER, DATASET, OF_A_ROW
from themis.pure.interchange.records import (
    ImportedScore,
    LogFiles,
    LoggedRun,
    LoggedSample,
    NothingLoggedError,
    answer_of,
)
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.likelihoods import Likelihood

TOOL: Final = "lm-eval"
_SAMPLES: Final = re.compile(r"(?P<folder>(?:.*/)?)samples_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[^/]+)\.jsonl")
_RESULTS: Final = re.compile(r"(?P<folder>(?:.*/)?)results_(?P<time>\d{4}-\d\d-\d\dT[^/]+)\.json")


def is_row(value: Any) -> bool:
    """Tell whether a JSON object is a row of samples."""
    return isinstance(value, Mapping) and {"doc_id", "doc", "resps"} <= value.keys()


def is_results(value: Any) -> bool:
    """Tell whether a JSON object holds results, with or without samples beside it."""
    return isinstance(value, Mapping) and isinstance(value.get("results"), Mapping) and "configs" in value


def read_samples(files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the run of one task; the results beside it say which model answered."""
    named = _SAMPLES.fullmatch(name)
    beside = f"{named['folder']}results_{named['time']}.json" if named is not None else ""
    results: Mapping[str, Any] = {}
    lacks = []
    if beside in files.names:
        results = loose.parse_object(files.read(beside), f"{files.where}/{beside}")
    else:
        lacks.append("no results_*.json beside it: which model answered is not known")
    task = named["task"] if named is not None else name.rpartition("/")[2].partition(".")[0]
    yield _run(files, name, task, results, lacks)


def read_results(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the runs of all tasks of results.

    Raises:
        NothingLoggedError: no samples are beside them.
    """
    named = _RESULTS.fullmatch(name)
    found = [
        (one, match["task"])
        for one in files.names
        if named is not None
        and (match := _SAMPLES.fullmatch(one)) is not None
        and (match["folder"], match["time"]) == (named["folder"], named["time"])
    ]
    if not found:
        raise NothingLoggedError(
            f"{files.where}/{name}: results of lm-eval without samples_*.jsonl beside them, and so without answers; "
            "run it with --log_samples"
        )
    for one, task in sorted(found):
        yield _run(files, one, task, value, [])


def _run(files: LogFiles, name: str, task: str, results: Mapping[str, Any], lacks: list[str]) -> LoggedRun:
    config, about = loose.mapping(results, "config"), loose.mapping(results, "configs", task)
    model = loose.text(results, "model_name") or loose.text(about, "metadata", "pretrained")
    shots = loose.count(loose.field(results, "n-shot", task))
    facts = {
        "created": loose.text(results, "date"),
        "dataset": loose.text(about, "dataset_path"),
        "task_version": loose.text(results, "versions", task),
        "model_kind": loose.text(config, "model"),
        "model_args": loose.text(config, "model_args"),
        "shots": shots,
        "output_type": loose.text(about, "output_type"),
        "revision": loose.text(results, "git_hash"),
    }
    return LoggedRun(
        tool=TOOL,
        dataset_id=loose.text(about, "metadata", DATASET) or task,
        model=model or loose.text(config, "model"),
        version=loose.text(results, "lm_eval_version"),
        facts={key: fact for key, fact in facts.items() if fact is not None},
        lacks=lacks,
        read=(name,),
        scorers=_scorers(about),
        samples=_samples(files, name),
    )


_LENGTHS: Final = {"acc": "", "acc_norm": "characters", "acc_bytes": "bytes"}
_ABOUT_A_METRIC: Final = frozenset({"metric", "aggregation", "higher_is_better"})


def _scorers(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return how scores were made, from the task's configuration; not if code of the task's own made them."""
    if about.get("process_results") is not None:
        return {}
    kind, gold, found = loose.text(about, "output_type"), loose.text(about, "doc_to_target"), dict[str, Any]()
    filters = loose.items(about, "filter_list") or [{"name": "none"}]
    for metric in loose.items(about, "metric_list"):
        name = loose.text(metric, "metric")
        for used in filters:
            key = f"{name},{loose.text(used, 'name')}"
            if name == "exact_match" and kind == "generate_until" and about.get("doc_to_choice") is None:
                options = {option: value for option, value in metric.items() if option not in _ABOUT_A_METRIC}
                chain = {"filters": list(loose.items(used, "filter"))}
                found[key] = {"name": f"{TOOL}/exact_match", "options": {**options, **chain}}
            elif name in _LENGTHS and kind == "multiple_choice":
                stated = {"delimiter": about.get("target_delimiter", " "), "gold": gold, "per": _LENGTHS[name]}
                found[key] = {"name": f"{TOOL}/acc", "options": stated}
    return found


def _samples(files: LogFiles, name: str) -> Iterator[LoggedSample]:
    seen: dict[str, int] = {}
    for place, row in loose.objects(files.lines(name), f"{files.where}/{name}"):
        yield from loose.at(place, _of_row, row, place, seen)


def _of_row(row: Mapping[str, Any], place: str, seen: dict[str, int]) -> list[LoggedSample]:
    """Return a row's answers, or of a further filter the scores; `seen` has where the scores of a document's go."""
    doc_id = loose.text(row, "doc_id")
    if doc_id is None:
        raise loose.missing(place, "doc_id", row.get("doc_id"))
    requests = _requests(row.get("arguments"))
    case, scores = _case(row, doc_id, requests), tuple(_scores(row))
    if doc_id in seen:
        used = loose.text(row, "filter") or ""
        number = used.removeprefix(ANSWER) if used.startswith(ANSWER) else ""
        index = int(number) - 1 if number.isascii() and number.isdigit() and 0 < len(number) < 7 else seen[doc_id]
        return [LoggedSample(place=place, case=case, index=max(index, 0), scores=scores)] if scores else []
    answers = _answers(row, requests)
    if not answers:
        raise DataError(f"resps: one list of answers for each request expected, found {row.get('resps')!r}"[:200])
    first = next((number for number, answer in enumerate(answers) if answer.final_output is not None), 0)
    seen[doc_id] = first
    return [
        LoggedSample(place=place, case=case, index=index, error="no answer")
        if answer.final_output is None
        else LoggedSample(place=place, case=case, index=index, result=answer, scores=scores if index == first else ())
        for index, answer in enumerate(answers)
    ]


_OURS: Final = {field.name for field in attrs.fields(Case)}


def _case(row: Mapping[str, Any], doc_id: str, requests: Sequence[tuple[Any, Any]]) -> Case:
    doc = loose.mapping(row, "doc")
    if doc.keys() == _OURS and isinstance(doc["metadata"], Mapping):
        return Case.from_dict(doc)
    return Case(
        case_id=doc_id,
        input=_prompt(requests, row),
        expected_output=row.get("target"),
        metadata={**_choices(requests, row), **loose.facts(doc)},
    )


def _requests(arguments: Any) -> Sequence[tuple[Any, Any]]:
    """Return what was asked, each with what goes with it; older versions wrote lists where newer ones name things."""
    listed = arguments.values() if isinstance(arguments, Mapping) else arguments if isinstance(arguments, list) else ()
    found: list[tuple[Any, Any]] = []
    for each in listed:
        parts = list(each.values()) if isinstance(each, Mapping) else each if isinstance(each, list) else [each]
        found.append((parts[0] if parts else None, parts[1] if len(parts) > 1 else None))
    return found


def _prompt(requests: Sequence[tuple[Any, Any]], row: Mapping[str, Any]) -> Any:
    prompt = requests[0][0] if requests else None
    return prompt if prompt not in (None, "") else row.get("doc")


def _choices(requests: Sequence[tuple[Any, Any]], row: Mapping[str, Any]) -> dict[str, list[str]]:
    texts = [text for _, text in requests if isinstance(text, str)]
    return {"choices": texts} if _is_likelihood(row) and texts else {}


def _is_likelihood(row: Mapping[str, Any]) -> bool:
    first = next(iter(loose.items(row, "resps")), None)
    return isinstance(first, list) and bool(first) and isinstance(first[0], list) and len(first[0]) == 2


def _answers(row: Mapping[str, Any], requests: Sequence[tuple[Any, Any]]) -> list[GenerationResult]:
    responses = loose.items(row, "resps")
    if not _is_likelihood(row):
        return [answer_of(answer) for answer in loose.items({"": responses[0] if responses else None}, "")]
    if len(requests) != len(responses):
        raise DataError(f"resps: {len(requests)} likelihoods expected, one a request, found {len(responses)}")
    repeats = max(len(one) if isinstance(one, list) else 0 for one in responses)
    found = [
        [
            _likelihood(text, one[repeat] if isinstance(one, list) and repeat < len(one) else None)
            for (_, text), one in zip(requests, responses, strict=True)
        ]
        for repeat in range(repeats)
    ]
    return [answer_of([each.to_dict() for each in likelihoods]) for likelihoods in found]


def _likelihood(text: Any, response: Any) -> Likelihood:
    if not isinstance(text, str) or not isinstance(response, list) or len(response) != 2:
        raise DataError(f"resps: a log-probability and whether it is greedy expected, found {response!r}"[:200])
    try:
        logprob = float(response[0])
    except (TypeError, ValueError):
        raise DataError(f"resps: a log-probability expected, found {response[0]!r}"[:200]) from None
    return Likelihood(
        text=text,
        logprob=logprob,
        tokens=1,
        bytes=max(len(text.strip().encode("utf-8", "replace")), 1),
        is_greedy=str(response[1]) == "True",
    )


def _scores(row: Mapping[str, Any]) -> Iterator[ImportedScore]:
    stated = [name for name in loose.items(row, "metrics") if isinstance(name, str)]
    names = stated or [name for name, value in row.items() if name not in OF_A_ROW and loose.number(value) is not None]
    used = loose.text(row, "filter") or "none"
    for name in names:
        if name in row:
            yield ImportedScore(name=f"{name},{used}", value=row[name], number=loose.number(row[name]))
