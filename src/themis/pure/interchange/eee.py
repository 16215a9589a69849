"""Samples of Every Eval Ever 0.3: `*_samples.jsonl`, with the aggregate that names the tool in a JSON file beside it.

Source: evaleval/every_eval_ever, `instance_level_eval.schema.json` and `eval.schema.json`. A model's answers to one
evaluation make a run; several outputs of a sample are its answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from themis.pure.errors import DataError
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
from themis.pure.records.generation import GenerationResult, Message

TOOL: Final = "every-eval-ever"
_NEWEST: Final = (0, 3)


def is_row(value: Any) -> bool:
    """Tell whether a JSON object is a sample."""
    return isinstance(value, Mapping) and {"schema_version", "sample_id", "input", "evaluation"} <= value.keys()


def is_aggregate(value: Any) -> bool:
    """Tell whether a JSON object is an aggregate."""
    return isinstance(value, Mapping) and {"schema_version", "evaluation_id", "evaluation_results"} <= value.keys()


def read_aggregate(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the runs of the samples that an aggregate names.

    Raises:
        NothingLoggedError: they are not beside it.
    """
    place = f"{files.where}/{name}"
    _refuse_newer(value, place)
    named = (loose.text(value, "detailed_evaluation_results", "file_path") or "").rpartition("/")[2]
    folder = name.removesuffix(name.rpartition("/")[2])
    wanted = [f"{folder}{named}"] if named else []
    wanted += [f"{folder}{name[len(folder) :].removesuffix('.json')}_samples.jsonl", f"{folder}samples.jsonl"]
    found = next((one for one in wanted if one in files.names), None)
    if found is None:
        raise NothingLoggedError(f"{place}: an aggregate of Every Eval Ever without its samples beside it: {wanted[0]}")
    yield from _read(files, found, value)


def read_samples(files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield a run for each model and evaluation of a file; what the aggregate beside it says is theirs."""
    folder = name.removesuffix(name.rpartition("/")[2])
    wanted = (f"{name.removesuffix('_samples.jsonl')}.json", f"{folder}aggregate.json")
    beside = next((one for one in wanted if one in files.names), None)
    value = {} if beside is None else loose.parse_object(files.read(beside), f"{files.where}/{beside}")
    yield from _read(files, name, value if is_aggregate(value) else {})


def _refuse_newer(value: Mapping[str, Any], place: str) -> None:
    parts = (loose.text(value, "schema_version") or "").split(".")[:2]
    version = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 10)
    if version > _NEWEST:
        known = ".".join(map(str, _NEWEST))
        raise loose.newer(place, f"version {'.'.join(map(str, version))} of Every Eval Ever", known)


def _read(files: LogFiles, name: str, aggregate: Mapping[str, Any]) -> Iterator[LoggedRun]:
    where = f"{files.where}/{name}"
    groups: dict[tuple[str, str], None] = {}
    for place, row in loose.objects(files.lines(name), where):
        _refuse_newer(row, place)
        groups.setdefault(_group(row, place))
    library = loose.mapping(aggregate, "eval_library")
    for model, task in groups:
        facts = {
            "library": loose.text(library, "name"),
            "library_version": loose.text(library, "version"),
            "evaluation": loose.text(aggregate, "evaluation_id"),
            "source": loose.text(aggregate, "source_metadata", "source_name"),
        }
        yield LoggedRun(
            tool=TOOL,
            dataset_id=task,
            model=model,
            version=loose.text(aggregate, "schema_version"),
            facts={key: fact for key, fact in facts.items() if fact is not None},
            lacks=() if aggregate else ("no aggregate beside it: which tool made it is not known",),
            read=(name,),
            samples=_samples(files, name, (model, task)),
        )


def _group(row: Mapping[str, Any], place: str) -> tuple[str, str]:
    model, task = loose.text(row, "model_id"), loose.text(row, "evaluation_name")
    if not model or not task:
        raise DataError(f"{place}: model_id and evaluation_name expected")
    return model, task


def _samples(files: LogFiles, name: str, group: tuple[str, str]) -> Iterator[LoggedSample]:
    for place, row in loose.objects(files.lines(name), f"{files.where}/{name}"):
        if _group(row, place) == group:
            yield from loose.at(place, _of_row, row, place)


def _of_row(row: Mapping[str, Any], place: str) -> list[LoggedSample]:
    asked = loose.mapping(row, "input")
    raw = loose.text(asked, "raw") or loose.text(asked, "formatted")
    case_id = loose.text(row, "sample_id")
    if case_id is None or raw is None:
        raise loose.missing(place, "sample_id and input.raw", row)
    reference = loose.items(asked, "reference")
    choices = [choice for choice in loose.items(asked, "choices") if isinstance(choice, str)]
    case = Case(
        case_id=case_id,
        input=raw,
        expected_output=reference[0] if len(reference) == 1 else list(reference) or None,
        metadata={**({"choices": choices} if choices else {}), **loose.facts(loose.mapping(row, "metadata"))},
    )
    error = loose.text(row, "error")
    answers = _answers(row, error)
    if not answers:
        return [LoggedSample(place=place, case=case, error=error or "no answer")]
    scores = () if error else tuple(_scores(row))  # a row must have a score there, also one that has none
    return [
        LoggedSample(place=place, case=case, result=answer, scores=scores if index == 0 else ())
        for index, answer in enumerate(answers)
    ]


def _answers(row: Mapping[str, Any], error: str | None) -> list[GenerationResult]:
    used, latency = loose.mapping(row, "token_usage"), loose.number(loose.field(row, "performance", "latency_ms"))
    usage = loose.counts(
        prompt_tokens=used.get("input_tokens"),
        completion_tokens=used.get("output_tokens"),
        total_tokens=used.get("total_tokens"),
        cached_tokens=used.get("input_tokens_cache_read"),
        reasoning_tokens=used.get("reasoning_tokens"),
    )
    messages = [one for one in loose.items(row, "messages") if isinstance(one, Mapping) and loose.text(one, "role")]
    outputs: list[Any] = list(loose.items(row, "output", "raw"))
    if not outputs and messages:
        said = [one for one in messages if one["role"] == "assistant" and one.get("content") is not None]
        outputs = [said[-1]["content"]] if said else []
    talk = [Message(role=str(one["role"]), content=one.get("content")) for one in messages] or None
    return [
        answer_of(
            output,
            conversation=talk,
            artifacts={"error": error} if error else None,
            token_usage=usage if index == 0 else None,
            latency_ms=latency if index == 0 else None,
        )
        for index, output in enumerate(outputs)
    ]


def _scores(row: Mapping[str, Any]) -> Iterator[ImportedScore]:
    attributed = [one for one in loose.items(row, "answer_attribution") if loose.field(one, "is_terminal") is not False]
    answer = loose.text(attributed[-1], "extracted_value") if attributed else None
    for name in ("score", "is_correct"):
        value = loose.field(row, "evaluation", name)
        if value is not None:
            yield ImportedScore(name=name, value=value, number=loose.number(value), answer=answer)
