"""LangGraph graphs as generators and judge models. The library itself is never imported: a graph brings it along."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from themis.effects.asyncio_bridge import run_in_asyncio
from themis.effects.sources.source_code import source_of
from themis.pure.abilities import Call, call_problem
from themis.pure.errors import SpecError
from themis.pure.fingerprints import code_fingerprint
from themis.pure.json import EMPTY, JSONValue, content_hash, freeze_mapping, thaw
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, TraceStep
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.records.prompt import PromptSpec, as_messages, text_of

_MESSAGES: Final = "messages"
_LIBRARIES: Final = frozenset({"langgraph", "langgraph_sdk", "langchain", "langchain_core"})
_NOISE: Final = frozenset({"id", "tool_call_id", "response_metadata", "additional_kwargs", "example"})
"""Fields of LangChain's messages that differ between identical calls, or repeat what others say."""

_TOKENS: Final = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
"""Our names of token counts, with LangChain's."""


@attrs.frozen(kw_only=True)
class LangGraphAgent:
    """A compiled graph as a generator or judge model.

    Attributes:
        graph: anything with `astream_events`, `ainvoke` or `invoke`.
        component_id: how the agent is named.
        version: to be raised when what the nodes call changes in ways their own source does not show.
        input_key: where a case's input goes in the graph's state, unless the input is an object.
        output_key: which part of the final state is the answer; if not given, the last message's content, or
            the whole state.
        config: passed to the graph with each call.
        trace: whether the graph's events are recorded.
    """

    graph: Any = attrs.field(repr=False)
    component_id: str
    version: str = "1"
    input_key: str = _MESSAGES
    output_key: str | None = None
    config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=freeze_mapping)
    trace: bool = True

    def fingerprint(self) -> str:
        """Return the hash of the nodes' source code, the edges and the configuration."""
        settings = [self.version, self.input_key, self.output_key, self.config, self.trace]
        return content_hash({"adapter": "langgraph", "graph": _described(self.graph), "settings": settings})

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Run the graph once, on an asyncio loop (or in a thread, if it has no async methods)."""
        config = self._config(f"{ctx.case_key}/{ctx.candidate_id}", ctx.seed)
        ran = await self._ran(self._state(case, ctx.prompt_spec), config)
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=self._output(ran.final),
            trace=trace_of(ran.events) if ran.events else None,
            token_usage=_usage(ran.events),
            latency_ms=ran.latency_ms,
        )

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        """Run the graph once for a judgment."""
        ran = await self._ran(self._state(prompt.content, None), self._config(f"judge/{prompt.prompt_id}", seed))
        return JudgeResponse(
            judge_model_id=self.component_id,
            judge_model_version=self.version,
            judge_model_fingerprint=self.fingerprint(),
            effective_seed=seed,
            raw_response=text_of(self._output(ran.final)),
            token_usage=_usage(ran.events),
            latency_ms=ran.latency_ms,
        )

    async def _ran(self, state: dict[str, Any], config: dict[str, Any]) -> _Ran:
        began = trio.current_time()
        events: list[Mapping[str, Any]] = []
        if self.trace and hasattr(self.graph, "astream_events"):
            final = await run_in_asyncio(lambda: self._streamed(state, config, events))
        elif hasattr(self.graph, "ainvoke"):
            final = await run_in_asyncio(lambda: self.graph.ainvoke(state, config))
        else:
            final = await trio.to_thread.run_sync(self.graph.invoke, state, config, abandon_on_cancel=True)
        return _Ran(final=final, events=events, latency_ms=(trio.current_time() - began) * 1000)

    async def _streamed(self, state: Any, config: Any, events: list[Mapping[str, Any]]) -> Any:
        final = None
        async for event in self.graph.astream_events(state, config=config, version="v2"):
            if event["event"].endswith(("_start", "_end")):
                events.append(event)
            if event["event"] == "on_chain_end" and not event.get("parent_ids"):
                final = event["data"].get("output")
        return final

    def _state(self, asked: Case | JSONValue, spec: PromptSpec | None) -> dict[str, Any]:
        spec = spec or PromptSpec()
        value = asked.input if isinstance(asked, Case) else asked
        if isinstance(value, Mapping) and as_messages(value) is None and spec.template is None:
            return dict(thaw(value))
        if self.input_key != _MESSAGES and as_messages(value) is None:
            return {self.input_key: spec.render(asked)}
        rest = thaw(value) if isinstance(value, Mapping) else {}
        return {**rest, self.input_key: spec.render_messages(asked)}

    def _config(self, name: str, seed: int | None) -> dict[str, Any]:
        config: dict[str, Any] = thaw(self.config)
        # A checkpointer keeps threads apart by this id: neither another candidate nor another attempt at this one
        # may go on with its conversation.
        thread = {"thread_id": f"{name}/{uuid.uuid4().hex}", "seed": seed}
        config["configurable"] = {**thread, **config.get("configurable", {})}
        return config

    def _output(self, final: Any) -> JSONValue:
        state: JSONValue = plain(final)
        if not isinstance(state, Mapping):
            return state
        if self.output_key is not None:
            if self.output_key not in state:
                raise SpecError(
                    f"{self.component_id}: the graph's final state has no {self.output_key!r}; "
                    f"it has {', '.join(sorted(state))}"
                )
            found: JSONValue = state[self.output_key]
            return found
        messages = state.get(_MESSAGES)
        if isinstance(messages, Sequence) and messages and isinstance(messages[-1], Mapping):
            content: JSONValue = messages[-1].get("content")
            return content
        return state


@attrs.frozen(kw_only=True)
class _Ran:
    final: Any
    events: Sequence[Mapping[str, Any]]
    latency_ms: float


def build_langgraph(graph: Any, *, component_id: str | None = None, **options: Any) -> LangGraphAgent:
    """Build an agent; `themis.adapters` documents the options."""
    if not any(hasattr(graph, method) for method in ("astream_events", "ainvoke", "invoke")):
        raise SpecError(
            f"langgraph(): {type(graph).__name__} has neither invoke nor ainvoke; pass a compiled graph, "
            "as in langgraph(builder.compile())"
        )
    method = "ainvoke" if hasattr(graph, "ainvoke") else "invoke"
    if not hasattr(graph, "astream_events"):
        problem = call_problem(
            method, getattr(graph, method), Call(("state", "config"), is_awaited=method == "ainvoke")
        )
        if problem is not None:
            raise SpecError(f"langgraph(): {type(graph).__name__}.{problem}")
    name = component_id or f"langgraph/{getattr(graph, 'name', None) or type(graph).__name__}"
    return LangGraphAgent(graph=graph, component_id=name, **options)


# --- what a graph is --------------------------------------------------------------------------------------


def _described(graph: Any) -> JSONValue:
    builder = getattr(graph, "builder", None)
    nodes = getattr(builder, "nodes", None)
    if not isinstance(nodes, Mapping):
        return {"graph": _code(graph)}
    return {
        "nodes": {name: _code(_function(node)) for name, node in sorted(nodes.items())},
        "edges": sorted([str(end) for end in edge] for edge in getattr(builder, "edges", ())),
        "branches": {
            name: {label: _code(_function(branch)) for label, branch in sorted(branches.items())}
            for name, branches in sorted(getattr(builder, "branches", {}).items())
        },
    }


def _function(node: Any) -> Any:
    runnable = getattr(node, "runnable", None) or getattr(node, "path", None) or node
    return getattr(runnable, "func", None) or getattr(runnable, "afunc", None) or type(runnable)


def _code(value: Any) -> JSONValue:
    """Name a function, or an object that is called, with everything of its own package that it reaches."""
    owner = value if inspect.isroutine(value) or isinstance(value, type) else type(value)
    if str(owner.__module__).partition(".")[0] not in _LIBRARIES:
        return code_fingerprint(value, source_of, [owner])
    facts = {name: fact for name, fact in getattr(value, "__dict__", {}).items() if isinstance(fact, str | int | float)}
    return {"name": f"{owner.__module__}.{owner.__qualname__}", **({} if value is owner else {"facts": facts})}


# --- what it did ------------------------------------------------------------------------------------------


def trace_of(events: Sequence[Mapping[str, Any]]) -> tuple[TraceStep, ...]:
    """Join each step's start and end; steps are numbered, for the library's ids are new with every call."""
    numbers: dict[str, int] = {}
    starts: dict[str, Mapping[str, Any]] = {}
    ends: dict[str, Mapping[str, Any]] = {}
    for event in events:
        run = event["run_id"]
        (starts if event["event"].endswith("_start") else ends).setdefault(run, event)
        numbers.setdefault(run, len(numbers))
    return tuple(
        TraceStep(
            step_name=str(starts.get(run, ends.get(run, {})).get("name", "")),
            step_type=str((starts.get(run) or ends[run])["event"]).removeprefix("on_").rpartition("_")[0],
            input=_object(starts.get(run, {}).get("data", {}).get("input")),
            output=_object(ends.get(run, {}).get("data", {}).get("output")),
            metadata=_metadata(starts.get(run) or ends[run], numbers, finished=run in ends),
        )
        for run in numbers
    )


def _metadata(event: Mapping[str, Any], numbers: Mapping[str, int], *, finished: bool) -> dict[str, JSONValue]:
    parents = event.get("parent_ids") or ()
    facts: dict[str, JSONValue] = {"step": numbers[event["run_id"]], "finished": finished}
    if parents and parents[-1] in numbers:
        facts["parent"] = numbers[parents[-1]]
    node = (event.get("metadata") or {}).get("langgraph_node")
    return facts if node is None else {**facts, "node": str(node)}


def _usage(events: Sequence[Mapping[str, Any]]) -> dict[str, int] | None:
    answers = [event["data"].get("output") for event in events if event["event"] == "on_chat_model_end"]
    usages = [getattr(answer, "usage_metadata", None) or {} for answer in answers]
    totals = {name: sum(usage.get(theirs, 0) for usage in usages) for name, theirs in _TOKENS.items()}
    return totals if any(totals.values()) else None


def _object(value: Any) -> Mapping[str, JSONValue]:
    seen = plain(value)
    if isinstance(seen, Mapping):
        return seen
    return {} if seen is None else {"value": seen}


def plain(value: Any) -> Any:
    """Return any state as JSON: messages without their ids, models and dataclasses as objects, else text.

    >>> plain({"n": 1, "who": ("a", object)})["n"]
    1
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=repr)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "model_dump"):
        fields = value.model_dump(mode="json")
        return plain(_message(fields) if hasattr(value, "content") and hasattr(value, "type") else fields)
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    text = str(value)
    # An address in memory is new in every process.
    return text if " at 0x" not in text else f"<{type(value).__qualname__}>"


def _message(fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: item for name, item in fields.items() if name not in _NOISE and item not in (None, [], {})}
    if "tool_calls" in kept:
        kept["tool_calls"] = [{"name": call["name"], "args": call["args"]} for call in kept["tool_calls"]]
    return {"role": kept.pop("type"), **kept}
