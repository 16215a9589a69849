"""Runs as Inspect logs them, in version 2 of its format: what `inspect view`, Scout and `read_eval_log` open.

Source: inspect_ai 0.3.285, `log/_log.py`. An answer is a sample of its own, and its number an epoch; a run's metrics
are scorers whose values are numbers. What was not scored has no score there, and a failed answer is a sample with
an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.errors import DISTRIBUTION
from themis.pure.interchange.exported import Logged, scores_of, text_of, turns_of
from themis.pure.json import JSONValue, content_hash, thaw
from themis.pure.plan import CaseItem
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState
from themis.pure.stats import Estimate

VERSION: Final = 2
CASE_ID: Final = "themis_case_id"
"""What a sample's store calls its case, if no file could be named so."""
_STOPS: Final = {"stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"}
_ALSO_CALLED: Final = {"length": "max_tokens", "end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls"}
_TOKENS: Final = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "input_tokens_cache_read",
    "reasoning_tokens": "reasoning_tokens",
}
_SUMMED_UP: Final = ("id", "epoch", "input", "target", "metadata", "scores", "model_usage", "total_time")


def samples_of(
    of: Logged, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow], name: str, case_id: str
) -> Iterator[dict[str, Any]]:
    """Yield a case's answers as samples, each with the scores that are of it.

    Args:
        of: the run.
        item: the case.
        state: what is known of it.
        rows: its scores.
        name: what the case is called.
        case_id: what it is called in the log, whose files are named so.
    """
    for index in range(of.answers):
        sample = _sample(of, item, state, index, state.candidates.get(index), scores_of(rows, state, index))
        yield {"id": case_id, **sample, "store": {} if case_id == name else {CASE_ID: name}}


def _sample(
    of: Logged,
    item: CaseItem,
    state: CaseState,
    index: int,
    candidate: GenerationResult | None,
    rows: Iterable[BenchmarkScoreRow],
) -> dict[str, Any]:
    case, asked = item.case, _messages(item.case.input)
    choices = case.metadata.get("choices")
    data: dict[str, Any] = {
        "epoch": index + 1,
        "input": asked if isinstance(case.input, list | tuple) and asked is not None else text_of(case.input),
        "target": _target(case.expected_output),
        "metadata": thaw(case.metadata),
        "messages": asked or [{"role": "user", "content": text_of(case.input)}],
        "output": {"model": of.model, "choices": [], "completion": ""},
        "scores": {row.metric_id: _score(row, state) for row in rows},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }
    if isinstance(choices, list | tuple) and all(isinstance(each, str) for each in choices):
        data["choices"] = list(choices)
    if candidate is not None:
        return {**data, **_answered(of, candidate, data["messages"])}
    failure = state.generation_failures.get(index)
    message = "no answer" if failure is None else failure.error_message
    return {**data, "error": {"message": message, "traceback": "", "traceback_ansi": ""}}


def _answered(of: Logged, candidate: GenerationResult, asked: list[Any]) -> dict[str, Any]:
    text = text_of(candidate.final_output)
    reason = candidate.finish_reason or "stop"
    reason = reason if reason in _STOPS else _ALSO_CALLED.get(reason, "unknown")
    said = {"role": "assistant", "content": text, "source": "generate"}
    usage = _usage(candidate.token_usage or {})
    talk = [_message(each.role, each.content) for each in candidate.conversation or ()]
    output: dict[str, Any] = {
        "model": of.model,
        "choices": [{"message": said, "stop_reason": reason}],
        "completion": text,
    }
    found: dict[str, Any] = {"messages": talk or [*asked, said], "output": output}
    if usage:
        output["usage"] = usage
        found["model_usage"] = {of.model: usage}
    if candidate.latency_ms is not None:
        output["time"] = found["total_time"] = candidate.latency_ms / 1000
    return found


def _usage(used: Mapping[str, int]) -> dict[str, int]:
    found = {theirs: used[ours] for ours, theirs in _TOKENS.items() if ours in used}
    total = used.get("total_tokens", found.get("input_tokens", 0) + found.get("output_tokens", 0))
    return {"input_tokens": 0, "output_tokens": 0, **found, "total_tokens": total} if found or total else {}


def _score(row: BenchmarkScoreRow, state: CaseState) -> dict[str, Any]:
    of = state.answers.get(row.candidate_id or "", state)
    answer = None if of.parsed is None or of.parsed.value is None else text_of(of.parsed.value)
    found = {"value": row.value, "answer": answer, "explanation": row.error_message, "metadata": thaw(row.details)}
    return {name: value for name, value in found.items() if value not in (None, {})}


def _messages(value: JSONValue) -> list[dict[str, Any]] | None:
    turns = turns_of(value)
    return None if turns is None else [_message(str(each["role"]), each.get("content")) for each in turns]


_ROLES: Final = ("system", "user", "assistant")


def _message(role: str, content: JSONValue) -> dict[str, Any]:
    inner = content.get("content") if isinstance(content, Mapping) and "content" in content else content
    # A tool's answer needs the call that it is of, which need not be known.
    return {"role": role if role in _ROLES else "user", "content": "" if inner is None else text_of(inner)}


def _target(expected: JSONValue) -> Any:
    if expected is None:
        return ""
    return [*map(text_of, expected)] if isinstance(expected, list | tuple) else text_of(expected)


def summary_of(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a list of samples shows of one."""
    found = {name: sample[name] for name in _SUMMED_UP if name in sample}
    error = {"error": sample["error"]["message"]} if "error" in sample else {}
    return {**found, **error, "completed": "error" not in sample}


def header_of(
    of: Logged,
    estimates: Mapping[str, Estimate],
    case_ids: Sequence[str],
    completed: int,
    usage: Mapping[str, int],
) -> dict[str, Any]:
    """Return a log's header.

    Args:
        of: the run.
        estimates: of each metric.
        case_ids: the cases' names, in order.
        completed: how many samples have no error.
        usage: the tokens of all answers, by Inspect's names.
    """
    began, ended = of.began.isoformat(), of.ended.isoformat()
    short = content_hash(of.run_id)[:22]
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": short,
            "run_id": of.run_id[:22],
            "created": began,
            "task": of.task,
            "task_id": short,
            "task_version": 0,
            "task_attribs": {},
            "task_args": {},
            "dataset": {
                "name": of.task,
                "samples": len(case_ids),
                "sample_ids": list(case_ids),
                "shuffled": False,
            },
            "model": of.model,
            "model_args": {},
            "config": {"epochs": of.answers},
            "packages": {DISTRIBUTION: of.version},
            "metadata": {"themis_run_id": of.run_id, **({} if of.name is None else {"name": of.name})},
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(case_ids) * of.answers,
            "completed_samples": completed,
            "scores": [_result(name, estimate) for name, estimate in estimates.items() if estimate.mean is not None],
        },
        "stats": {
            "started_at": began,
            "completed_at": ended,
            "model_usage": {of.model: dict(usage)} if usage else {},
        },
    }


def _result(name: str, estimate: Estimate) -> dict[str, Any]:
    metrics = {"mean": estimate.mean, "stderr": estimate.standard_error}
    return {
        "name": name,
        "scorer": name,
        "scored_samples": estimate.scored,
        "unscored_samples": estimate.missing,
        "params": {},
        "metrics": {
            metric: {"name": metric, "value": value, "params": {}}
            for metric, value in metrics.items()
            if value is not None
        },
    }
