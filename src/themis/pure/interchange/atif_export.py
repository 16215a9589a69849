"""Answers as trajectories in ATIF 1.8: what was asked, the steps, and what was said last.

Source: harbor, `docs/rfcs/0001-trajectory-format.md` and `models/trajectories`. The steps are those of the answer's
trace if it has one, else the turns of its conversation, else its case's input and the answer. What ATIF has no field
for (the case's name and reference, the scores) stands at the root under `extra.themis`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from themis.pure.interchange import loose
from themis.pure.interchange.exported import Logged, scores_of, text_of, turns_of
from themis.pure.json import EMPTY, JSONValue, thaw
from themis.pure.plan import CaseItem
from themis.pure.records.generation import GenerationResult, TraceStep
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState

VERSION: Final = "ATIF-v1.8"
OURS: Final = "themis"
"""What of a root's `extra` is Themis's."""
_SOURCES: Final = {"system": "system", "developer": "system", "user": "user", "assistant": "agent", "agent": "agent"}
_STEP_TYPES: Final = frozenset({"system", "user", "agent", "tool"})
_SAID: Final = frozenset({"message", "reasoning", "observation"})
_USED: Final = {
    "total_prompt_tokens": "prompt_tokens",
    "total_completion_tokens": "completion_tokens",
    "total_cached_tokens": "cached_tokens",
}
_MEASURED: Final = frozenset({"prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd"})

Step = dict[str, Any]


def trajectory_of(
    of: Logged, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow], index: int
) -> dict[str, Any]:
    """Return one of a case's answers, or of a failed one what was asked."""
    candidate, case = state.candidates.get(index), item.case
    steps = _asked(case.input) if candidate is None else _steps(candidate, case.input)
    if all(step["source"] != "user" for step in steps):
        steps.insert(0, _step("user", text_of(case.input)))
    asked = next(step["message"] for step in steps if step["source"] == "user")
    extra: dict[str, Any] = {
        "run_id": of.run_id,
        "dataset_id": item.dataset_id,
        "case_id": case.case_id,
        "candidate_index": index,
        "scores": {row.metric_id: row.value for row in scores_of(rows, state, index)},
    }
    if case.input != asked:
        extra["input"] = thaw(case.input)
    if case.expected_output is not None:
        extra["expected_output"] = thaw(case.expected_output)
    if case.metadata:
        extra["metadata"] = thaw(case.metadata)
    found: dict[str, Any] = {
        "schema_version": VERSION,
        "session_id": of.run_id,
        "trajectory_id": f"{case.case_id}#{index + 1}" if of.answers > 1 else case.case_id,
        "agent": {"name": of.agent, "version": of.version, "model_name": of.model},
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, 1)],
        "extra": {OURS: extra},
    }
    if candidate is None:
        failure = state.generation_failures.get(index)
        extra["error"] = "no answer" if failure is None else failure.error_message
        return found
    if not isinstance(candidate.final_output, str):
        extra["output"] = thaw(candidate.final_output)
    if candidate.latency_ms is not None:
        extra["latency_ms"] = candidate.latency_ms
    used = candidate.token_usage or EMPTY
    totals: dict[str, Any] = {theirs: used[ours] for theirs, ours in _USED.items() if ours in used}
    cost = loose.number((candidate.artifacts or EMPTY).get("cost"))
    if cost is not None:
        totals["total_cost_usd"] = cost
    return {**found, "final_metrics": {**totals, "total_steps": len(steps)}}


def _step(source: str, message: Any, **more: Any) -> Step:
    return {"source": source, "message": message, **more}


def _steps(candidate: GenerationResult, asked: JSONValue) -> list[Step]:
    trace = candidate.trace or ()
    if trace and all(map(_is_of_atif, trace)):
        steps = [_traced(step) for step in trace]
    elif candidate.conversation:
        steps = list(_turns([(turn.role, turn.content) for turn in candidate.conversation]))
    else:
        steps = _asked(asked)
    if not all(map(_is_of_atif, trace)):
        steps += [_called(step, number) for number, step in enumerate(trace, 1)]
    answer = text_of(candidate.final_output)
    said = [step for step in steps if step["source"] == "agent"]
    if not said or said[-1]["message"] != answer:
        steps.append(_step("agent", answer))
    return steps


def _asked(value: JSONValue) -> list[Step]:
    turns = turns_of(value)
    if turns is None:
        return [_step("user", text_of(value))]
    return list(_turns([(str(turn["role"]), turn if set(turn) - {"role"} else "") for turn in turns]))


def _turns(turns: Sequence[tuple[str, JSONValue]]) -> Iterator[Step]:
    """Yield the steps of a conversation; what a tool said is an observation of the step that called it."""
    held: Step | None = None
    for role, content in turns:
        parts = content if isinstance(content, Mapping) else EMPTY
        said = _message(parts.get("content") if "content" in parts or "tool_calls" in parts else content)
        if role == "tool" and held is not None:
            called = loose.text(parts, "tool_call_id")
            known = {call["tool_call_id"] for call in held.get("tool_calls", ())}
            result = {"content": said, **({"source_call_id": called} if called in known else {})}
            held.setdefault("observation", {"results": []})["results"].append(result)
            continue
        if held is not None:
            yield held
        held = _step(_SOURCES.get(role, "user"), said)
        calls = _calls(parts.get("tool_calls")) if held["source"] == "agent" else []
        if calls:
            held["tool_calls"] = calls
    if held is not None:
        yield held


def _message(content: Any) -> Any:
    """Return what was said as ATIF has it: a text, or parts that are texts."""
    if isinstance(content, list | tuple) and content:
        texts = [loose.text(part, "text") for part in content if loose.field(part, "type") == "text"]
        if len(texts) == len(content) and None not in texts:
            return [{"type": "text", "text": text} for text in texts]
    return "" if content is None else text_of(content)


def _calls(calls: Any) -> list[dict[str, Any]]:
    """Return calls of tools, which OpenAI's protocol, Inspect and ATIF each write in their way."""
    found = []
    for number, call in enumerate(calls if isinstance(calls, list | tuple) else (), 1):
        function = loose.field(call, "function")
        name = loose.text(call, "function_name") or loose.text(function, "name") or loose.text(call, "function")
        stated = loose.field(call, "arguments")
        arguments = stated if stated is not None else loose.field(function, "arguments")
        if isinstance(arguments, str):
            arguments = _object(arguments)
        found.append(
            {
                "tool_call_id": loose.text(call, "tool_call_id") or loose.text(call, "id") or f"call-{number}",
                "function_name": name or "unknown",
                "arguments": thaw(arguments) if isinstance(arguments, Mapping) else {"arguments": thaw(arguments)},
            }
        )
    return found


def _object(text: str) -> Any:
    try:
        return loose.parse_object(text.encode("utf-8", "replace"), "arguments")
    except ValueError:
        return text


def _is_of_atif(step: TraceStep) -> bool:
    """Tell whether a step is one as `atif` reads it."""
    is_known = step.step_type in _STEP_TYPES and "message" in step.output
    return is_known and step.input.keys() <= {"tool_calls"} and step.output.keys() <= _SAID


def _traced(step: TraceStep) -> Step:
    """Return a step that has been one of ATIF."""
    source = "agent" if step.step_type == "tool" else step.step_type
    found = _step(source, _message(step.output.get("message")))
    if step.timestamp is not None and _is_moment(step.timestamp):
        found["timestamp"] = step.timestamp
    if source == "agent":
        calls = _calls(step.input.get("tool_calls"))
        measured = {name: value for name, value in step.metadata.items() if name in _MEASURED}
        reasoning = loose.text(step.output, "reasoning")
        more = {"tool_calls": calls, "metrics": measured, "reasoning_content": reasoning}
        found.update({name: part for name, part in more.items() if part})
    known = {call["tool_call_id"] for call in found.get("tool_calls", ())}
    results = [
        {"content": _message(loose.field(each, "content")), **({"source_call_id": called} if called in known else {})}
        for each in loose.items(step.output, "observation", "results")
        for called in [loose.text(each, "source_call_id")]
    ]
    return {**found, **({"observation": {"results": results}} if results else {})}


def _called(step: TraceStep, number: int) -> Step:
    """Return a step of any workflow: what it was given is a call, and what came of it is observed."""
    name = f"call-{number}"
    found = _step(
        "agent",
        "",
        tool_calls=[
            {"tool_call_id": name, "function_name": step.step_name or step.step_type, "arguments": thaw(step.input)}
        ],
        observation={"results": [{"source_call_id": name, "content": text_of(step.output)}]},
        llm_call_count=0,
    )
    if step.timestamp is not None and _is_moment(step.timestamp):
        found["timestamp"] = step.timestamp
    return found


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True
