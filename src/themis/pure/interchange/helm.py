"""Run folders of HELM: `scenario_state.json`, with `run_spec.json` and `per_instance_stats.json` beside it.

Source: crfm-helm, `benchmark/adaptation/scenario_state.py` and `benchmark/metrics/statistic.py`. Instance, train trial
and perturbation join them. A perturbed instance is a case of its own; trials are answers to one case; so are the
completions of a request, each of which HELM asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from themis.pure.errors import DataError
from themis.pure.interchange import loose
from themis.pure.interchange.records import ImportedScore, LogFiles, LoggedRun, LoggedSample, answer_of
from themis.pure.records.dataset import Case

TOOL: Final = "helm"
_STATE: Final = "scenario_state.json"
_SPEC: Final = "run_spec.json"
_STATS: Final = "per_instance_stats.json"
_BESIDE: Final = (_SPEC, _STATS, "stats.json", "scenario.json", "instances.json")
_NO_SCORES: Final = frozenset(
    {
        *("num_references", "num_train_trials", "num_prompt_tokens", "num_completion_tokens", "num_output_tokens"),
        *("training_co2_cost", "training_energy_cost", "inference_runtime", "batch_size", "num_train_instances"),
        *("prompt_truncated", "num_perplexity_tokens", "num_bytes", "finish_reason_length", "finish_reason_stop"),
        *("finish_reason_endoftext", "finish_reason_unknown"),
    }
)
"""Statistics that measure the request and not the answer."""


def is_state(value: Any) -> bool:
    """Tell whether a JSON object is the state of a scenario."""
    return isinstance(value, Mapping) and isinstance(value.get("request_states"), list) and "adapter_spec" in value


def read_state(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the one run of a folder.

    Raises:
        DataError: a request is none, or what stands beside it can't be read.
    """
    folder = name.removesuffix(name.rpartition("/")[2])
    beside = {one: f"{folder}{one}" for one in _BESIDE if f"{folder}{one}" in files.names}
    place = f"{files.where}/{name}"
    spec: Mapping[str, Any] = {}
    lacks = []
    if _SPEC in beside:
        spec = loose.parse_object(files.read(beside[_SPEC]), f"{files.where}/{beside[_SPEC]}")
    else:
        lacks.append(f"no {_SPEC}")
    stats: dict[tuple[str, int, str], Mapping[str, Mapping[str, Any]]] = {}
    if _STATS in beside:
        stats = _statistics(loose.parse(files.read(beside[_STATS]), f"{files.where}/{beside[_STATS]}"))
    else:
        lacks.append(f"no {_STATS}: no scores and no tokens")
    adapter = loose.mapping(value, "adapter_spec")
    full = loose.text(spec, "name") or loose.text(spec, "scenario_spec", "class_name") or "helm"
    facts = {
        "scenario": loose.text(spec, "scenario_spec", "class_name"),
        "method": loose.text(adapter, "method"),
        "deployment": loose.text(adapter, "model_deployment"),
        "config": {
            key: adapter[key] for key in ("temperature", "max_tokens") if loose.number(adapter.get(key)) is not None
        }
        or None,
        "shots": loose.count(adapter.get("max_train_instances")),
    }
    states = loose.items(value, "request_states")
    yield LoggedRun(
        tool=TOOL,
        dataset_id=",".join(part for part in full.split(",") if not part.rpartition(":")[2].startswith("model="))
        or full,
        model=loose.text(adapter, "model"),
        facts={key: fact for key, fact in facts.items() if fact is not None},
        lacks=lacks,
        read=tuple(beside.values()),
        samples=_samples(states, place, stats),
    )


def _key(value: Any, instance_id: str) -> tuple[str, int, str]:
    changed = loose.field(value, "perturbation")
    named = loose.text(changed, "name") if isinstance(changed, Mapping) else None
    return instance_id, loose.count(loose.field(value, "train_trial_index")) or 0, named or ""


def _statistics(value: Any) -> dict[tuple[str, int, str], Mapping[str, Mapping[str, Any]]]:
    found: dict[tuple[str, int, str], Mapping[str, Mapping[str, Any]]] = {}
    for one in value if isinstance(value, list) else ():
        instance_id = loose.text(one, "instance_id")
        if instance_id is not None:
            named = {loose.text(stat, "name", "name"): stat for stat in loose.items(one, "stats")}
            found[_key(one, instance_id)] = {name: stat for name, stat in named.items() if name is not None}
    return found


def _samples(
    states: Any, place: str, stats: Mapping[tuple[str, int, str], Mapping[str, Mapping[str, Any]]]
) -> Iterator[LoggedSample]:
    for number, state in enumerate(states, 1):
        where = f"{place}, request {number}"
        yield from loose.at(where, _of_state, state, where, stats)


def _of_state(
    state: Any, place: str, stats: Mapping[tuple[str, int, str], Mapping[str, Mapping[str, Any]]]
) -> list[LoggedSample]:
    instance = loose.mapping(state, "instance")
    instance_id = loose.text(instance, "id")
    if instance_id is None:
        raise loose.missing(place, "instance.id", instance.get("id"))
    key = _key({**instance, **state}, instance_id)
    choice = loose.count(loose.field(state, "reference_index"))
    part = f"#{choice}" if choice is not None else ""  # each reference of a choice was asked about on its own
    case = Case(
        case_id=f"{instance_id}{f':{key[2]}' if key[2] else ''}{part}",
        input=loose.text(state, "request", "prompt") or loose.text(instance, "input", "text") or instance_id,
        expected_output=_expected(instance, loose.mapping(state, "output_mapping")),
        metadata=_metadata(state, instance),
    )
    result, measured = loose.mapping(state, "result"), stats.get(key, {})
    said = loose.items(result, "completions")
    if result.get("success") is False or not said:
        error = loose.text(result, "error") or "no answer"
        return [LoggedSample(place=place, case=case, index=key[1], error=error)]
    seconds = loose.number(result.get("request_time"))
    answers = []
    for number, completion in enumerate(said):
        text = loose.text(completion, "text")
        if text is None:
            raise DataError(f"completion {number + 1}: text expected")
        first = number == 0
        answer = answer_of(
            text,
            token_usage=_usage(measured) if first else None,
            latency_ms=seconds * 1000 if first and seconds is not None else None,
        )
        index = key[1] if len(said) == 1 else key[1] * len(said) + number
        scores = tuple(_scores(measured)) if first else ()
        answers.append(LoggedSample(place=place, case=case, index=index, result=answer, scores=scores))
    return answers


def _expected(instance: Mapping[str, Any], mapping: Mapping[str, Any]) -> Any:
    """Return the correct references; where they were shown by letters, the letters that stand for them."""
    correct = [
        text
        for one in loose.items(instance, "references")
        if "correct" in loose.items(one, "tags") and (text := loose.text(one, "output", "text")) is not None
    ]
    if mapping:
        correct = [str(letter) for letter, text in mapping.items() if text in correct]
    return correct[0] if len(correct) == 1 else correct or None


def _metadata(state: Any, instance: Mapping[str, Any]) -> dict[str, Any]:
    choices = [text for text in loose.mapping(state, "output_mapping").values() if isinstance(text, str)]
    return {**({"choices": choices} if choices else {}), **loose.facts({"split": instance.get("split")})}


def _value(stat: Any) -> float | None:
    value = loose.number(loose.field(stat, "mean"))
    return value if value is not None else loose.number(loose.field(stat, "sum"))


def _usage(stats: Mapping[str, Mapping[str, Any]]) -> dict[str, int] | None:
    output = _value(stats.get("num_output_tokens"))
    return loose.counts(
        prompt_tokens=_value(stats.get("num_prompt_tokens")),
        completion_tokens=output if output is not None else _value(stats.get("num_completion_tokens")),
    )


def _scores(stats: Mapping[str, Mapping[str, Any]]) -> Iterator[ImportedScore]:
    for name, stat in stats.items():
        if name not in _NO_SCORES:
            yield ImportedScore(name=name, value=_value(stat), number=_value(stat))
