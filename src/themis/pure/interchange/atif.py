"""Trajectories of agents in ATIF, up to version 1.8 (harbor, `docs/rfcs/0001-trajectory-format.md`).

A trajectory is one case and one answer: what the user asked first, and what the agent said last. Its steps are the
answer's trace, and its messages the conversation. Trajectories of a folder that one agent made with one model are one
run. What Themis wrote (`atif_export`) comes back as the case that it was, with its scores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.interchange import loose
from themis.pure.interchange.atif_export import OURS
from themis.pure.interchange.records import (
    ImportedScore,
    LogFiles,
    LoggedRun,
    LoggedSample,
    NothingLoggedError,
    answer_of,
)
from themis.pure.records.dataset import Case
from themis.pure.records.generation import Message, TraceStep

TOOL: Final = "atif"
_VERSION: Final = re.compile(r"ATIF-v(?P<major>\d{1,4})\.(?P<minor>\d{1,4})")
_NEWEST: Final = (1, 8)


def is_trajectory(value: Any) -> bool:
    """Tell whether a JSON object is a trajectory."""
    return _VERSION.fullmatch(loose.text(value, "schema_version") or "") is not None and "steps" in value


def read_trajectory(value: Mapping[str, Any], files: LogFiles, name: str) -> Iterator[LoggedRun]:
    """Yield the one run of a trajectory.

    Raises:
        DataError: it is of a newer version, or a step is none.
        NothingLoggedError: nobody asked anything.
    """
    place = f"{files.where}/{name}"
    found = _VERSION.fullmatch(loose.text(value, "schema_version") or "")
    if found is not None and (int(found["major"]), int(found["minor"])) > _NEWEST:
        raise loose.newer(place, f"{found[0]}", "ATIF-v1.8")
    steps = _steps(value, place)
    if all(step["source"] != "user" for step in steps):
        raise NothingLoggedError(f"{place}: a trajectory in which nobody asks anything")
    agent, ours = loose.mapping(value, "agent"), loose.mapping(value, "extra", OURS)
    models = [named for step in steps if (named := loose.text(step, "model_name")) is not None]
    facts = {"agent": loose.text(agent, "name"), "session": loose.text(value, "session_id")}
    yield LoggedRun(
        tool=TOOL,
        dataset_id=loose.text(ours, "dataset_id") or loose.text(agent, "name") or "trajectories",
        model=loose.text(agent, "model_name") or (models[0] if models else None),
        version=loose.text(agent, "version"),
        facts={key: fact for key, fact in facts.items() if fact is not None},
        lacks=("it goes on in another trajectory",) if value.get("continued_trajectory_ref") else (),
        part=_name(value),
        samples=_later(files, name, place),
    )


def _steps(value: Mapping[str, Any], place: str) -> Sequence[Any]:
    steps = loose.items(value, "steps")
    for number, step in enumerate(steps, 1):
        if not isinstance(step, Mapping) or loose.text(step, "source") is None:
            raise loose.missing(f"{place}, step {number}", "a step with its source", step)
    return steps


def _name(value: Mapping[str, Any]) -> str:
    return loose.text(value, "trajectory_id") or loose.text(value, "session_id") or "1"


def _later(files: LogFiles, name: str, place: str) -> Iterator[LoggedSample]:
    """Read the trajectory anew when it is asked for: of a folder of many, one is held at a time."""
    value = loose.parse_object(files.read(name), place)
    yield loose.at(place, _sample, value, _steps(value, place), place)


def _sample(value: Mapping[str, Any], steps: Sequence[Any], place: str) -> LoggedSample:
    ours = loose.mapping(value, "extra", OURS)
    asked = next((step.get("message") for step in steps if step["source"] == "user"), None)
    said = [step for step in steps if step["source"] == "agent"]
    case = Case(
        case_id=loose.text(ours, "case_id") or _name(value),
        input=ours["input"] if ours.get("input") is not None else asked or "",
        expected_output=ours.get("expected_output"),
        metadata=loose.facts(loose.mapping(ours, "metadata") if ours else loose.mapping(value, "extra")),
    )
    index, error = loose.count(ours.get("candidate_index")), loose.text(ours, "error")
    if error is not None or not said:
        return LoggedSample(place=place, case=case, index=index, error=error or "the agent said nothing")
    totals = loose.mapping(value, "final_metrics")

    def total(final: str, each: str) -> int | None:
        stated = loose.count(totals.get(final))
        known = [n for step in said if (n := loose.count(loose.field(step, "metrics", each))) is not None]
        return stated if stated is not None else sum(known) if known else None

    cost = loose.number(totals.get("total_cost_usd"))
    return LoggedSample(
        place=place,
        case=case,
        index=index,
        result=answer_of(
            ours["output"] if "output" in ours else _or_nothing(said[-1].get("message")),
            trace=[_step(step) for step in steps],
            conversation=[
                Message(role={"agent": "assistant"}.get(step["source"], step["source"]), content=step.get("message"))
                for step in steps
                if step["source"]
            ],
            token_usage=loose.counts(
                prompt_tokens=total("total_prompt_tokens", "prompt_tokens"),
                completion_tokens=total("total_completion_tokens", "completion_tokens"),
                cached_tokens=total("total_cached_tokens", "cached_tokens"),
            ),
            latency_ms=loose.number(ours.get("latency_ms")),
            artifacts=None if cost is None else {"cost": cost},
        ),
        scores=tuple(
            ImportedScore(name=str(metric), value=score, number=loose.number(score))
            for metric, score in loose.mapping(ours, "scores").items()
        ),
    )


def _or_nothing(message: Any) -> Any:
    return "" if message is None else message


def _step(step: Mapping[str, Any]) -> TraceStep:
    calls = [call for call in loose.items(step, "tool_calls") if isinstance(call, Mapping)]
    names = [text for call in calls if (text := loose.text(call, "function_name")) is not None]
    shown = {
        "message": step.get("message"),
        "reasoning": step.get("reasoning_content"),
        "observation": step.get("observation"),
    }
    return TraceStep(
        step_name=", ".join(names) or str(step["source"]),
        step_type="tool" if calls else str(step["source"]),
        input={"tool_calls": calls} if calls else {},
        output={name: part for name, part in shown.items() if part is not None},
        metadata=loose.mapping(step, "metrics"),
        timestamp=loose.text(step, "timestamp"),
    )
