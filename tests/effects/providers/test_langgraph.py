from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
import trio

from themis import adapters, evaluate_async
from themis.effects.asyncio_bridge import close_loop
from themis.effects.host import run_sync
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.prompt import PromptSpec

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LangChain's own deprecations, at import
    graphs = pytest.importorskip("langgraph.graph", reason="the extra 'langgraph' is not installed")
    messages = pytest.importorskip("langchain_core.messages")


@pytest.fixture(autouse=True)
def closed_loop() -> Iterator[None]:
    yield
    close_loop()


class State(TypedDict, total=False):
    question: str
    answer: str


async def think(state: State) -> State:
    return {"answer": state["question"].upper()}


def check(state: State) -> State:
    return {"answer": state["answer"] + "!"}


def thinker(node: Any = think) -> Any:
    builder = graphs.StateGraph(State)
    builder.add_node("think", node)
    builder.add_node("check", check)
    builder.add_edge(graphs.START, "think")
    builder.add_edge("think", "check")
    builder.add_edge("check", graphs.END)
    return builder.compile()


CONTEXT = GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=1)


def ask(agent: Any, value: Any) -> GenerationResult:
    result: GenerationResult = trio.run(agent.generate, Case(case_id="a", input=value), CONTEXT)
    return result


def test_an_object_is_the_state_and_events_become_the_trace() -> None:
    result = ask(adapters.langgraph(thinker(), output_key="answer"), {"question": "why"})
    assert result.final_output == "WHY!"
    assert result.trace is not None
    assert [(step.step_name, step.step_type) for step in result.trace] == [
        ("LangGraph", "chain"),
        ("think", "chain"),
        ("check", "chain"),
    ]
    assert result.trace[2].input == {"question": "why", "answer": "WHY"}
    assert result.trace[2].output == {"answer": "WHY!"}
    assert result.trace[2].metadata == {"step": 2, "finished": True, "parent": 0, "node": "check"}


def test_text_goes_where_it_is_told() -> None:
    agent = adapters.langgraph(thinker(), input_key="question", trace=False)
    result = ask(agent, "why")
    assert result.final_output == {"question": "why", "answer": "WHY!"}
    assert result.trace is None


def test_a_template_makes_a_text_of_an_object() -> None:
    agent = adapters.langgraph(thinker(), input_key="question", trace=False)
    case = Case(case_id="a", input={"question": "why"}, metadata={"who": "Ada"})
    ctx = CONTEXT.evolve(prompt_spec=PromptSpec(template="{who} asks {question}"))
    result: GenerationResult = trio.run(agent.generate, case, ctx)
    assert result.final_output == {"question": "Ada asks why", "answer": "ADA ASKS WHY!"}


def chatty(state: Any) -> Any:
    return {"messages": [messages.AIMessage(content=f"heard {state['messages'][-1].content}", id="random")]}


def test_text_is_a_message_to_a_graph_of_messages_and_two_calls_give_the_same() -> None:
    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("chat", chatty)
    builder.add_edge(graphs.START, "chat")
    builder.add_edge("chat", graphs.END)
    agent = adapters.langgraph(builder.compile())
    first, second = ask(agent, "hello"), ask(agent, "hello")
    assert first.final_output == "heard hello"
    assert first.evolve(latency_ms=None) == second.evolve(latency_ms=None)


class Plain:
    def invoke(self, state: Any, config: Any) -> Any:
        return {"messages": [{"role": "assistant", "content": config["configurable"]["thread_id"]}]}


def test_a_graph_that_is_only_sync_runs_in_a_thread_with_a_thread_id_of_its_own() -> None:
    first, second = (ask(adapters.langgraph(Plain()), "hi").final_output for _ in range(2))
    assert str(first).startswith("d/a/a:0/")
    assert first != second  # a retry does not go on with the attempt that failed


def verdict(state: Any) -> Any:
    text = state["messages"][-1].content
    return {"messages": [messages.AIMessage(content=f'{{"score": {1 if "Paris" in text else 0}}}')]}


def judge_graph() -> Any:
    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("judge", verdict)
    builder.add_edge(graphs.START, "judge")
    builder.add_edge("judge", graphs.END)
    return builder.compile()


async def whole_run() -> Any:
    return await evaluate_async(
        model=adapters.langgraph(thinker(), input_key="question", output_key="answer"),
        data=[{"case_id": "a", "input": "paris", "expected_output": "PARIS!"}],
        metric=["builtin/exact_match", "builtin/llm_rubric"],
        judge=adapters.langgraph(judge_graph(), component_id="agents/judge"),
        workflow_overrides={"rubric": "names Paris"},
    )


@pytest.mark.parametrize("start", ["sync", "trio", "asyncio"])
def test_a_graph_generates_and_judges_from_wherever_the_run_was_started(start: str) -> None:
    if start == "sync":
        result = run_sync(whole_run, "whole_run")
    elif start == "trio":
        result = trio.run(whole_run)
    else:
        result = asyncio.run(whole_run())
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 1
    execution = result.cases[0].evaluation_executions[0]
    assert execution.status == "completed"
    assert execution.judge_responses[0].judge_model_id == "agents/judge"


def test_the_fingerprint_follows_the_nodes_code_and_the_options() -> None:
    async def think(state: State) -> State:
        return {"answer": state["question"].lower()}

    same = adapters.langgraph(thinker()).fingerprint()
    assert same == adapters.langgraph(thinker()).fingerprint()
    assert same != adapters.langgraph(thinker(think)).fingerprint()
    assert same != adapters.langgraph(thinker(), output_key="answer").fingerprint()


def test_an_agent_of_ones_own_counts_with_its_configuration() -> None:
    class Agent:
        def __init__(self, model: str) -> None:
            self.model = model

        async def ainvoke(self, state: Any, config: Any) -> Any:
            return {"answer": self.model}

    names = [adapters.langgraph(Agent(model), component_id="agent").fingerprint() for model in "aab"]
    assert names[0] == names[1] != names[2]


def test_a_missing_output_key_and_a_wrong_object_are_told() -> None:
    with pytest.raises(SpecError, match="has no 'result'; it has answer, question"):
        ask(adapters.langgraph(thinker(), output_key="result"), {"question": "why"})
    with pytest.raises(SpecError, match=r"compile\(\)"):
        adapters.langgraph(object())
