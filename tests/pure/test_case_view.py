"""What a case is shown with: what was really sent, what an agent did, which tests failed, who judged what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    PromptSpec,
    adapters,
    evaluate,
    generator,
    get_case_view,
    metric,
)
from themis.core import CaseView, GenerateContext
from themis.pure.case_view import MOST_STEPS, is_graded, own_turns, passages, shown_content
from themis.pure.projections import Thresholds
from themis.pure.records.generation import GenerationResult, Message, TraceStep
from themis.testing.endpoint import FakeEndpoint

SYSTEM, SECRET = "Answer with a word.", "sk-not-for-anyones-eyes"
IMAGE = "data:image/png;base64,iVBORw0KGgo="
SPEC = PromptSpec(
    instructions=SYSTEM,
    prefix="Q: ",
    suffix=" A:",
    blocks=[{"role": "user", "content": "one?"}, {"role": "assistant", "content": "two"}],
)


def asked(make: Callable[[str], Any], case: Case, spec: PromptSpec = SPEC) -> CaseView:
    store = InMemoryRunStore()
    with FakeEndpoint() as endpoint:
        experiment = Experiment(
            generation=GenerationConfig(generator=make(endpoint.base_url), prompt_spec=spec),
            evaluation=EvaluationConfig(metrics="builtin/contains"),
            datasets=Dataset(dataset_id="d", cases=[case]),
        )
        return get_case_view(store, experiment.run(store=store).run_id, case.case_id)


MODELS: dict[str, Callable[[str], Any]] = {
    "chat": lambda url: adapters.openai("m", base_url=url, api="chat", headers={"x-key": SECRET}),
    "responses": lambda url: adapters.openai("m", base_url=url, api="responses"),
    "anthropic": lambda url: adapters.anthropic("m", base_url=url),
}


@pytest.mark.parametrize("protocol", MODELS)
def test_the_messages_are_those_that_the_model_was_sent(protocol: str) -> None:
    view = asked(MODELS[protocol], Case(case_id="1", input="red or blue?", expected_output="red"))
    assert view.prompt_recorded
    assert [(message["role"], message["content"]) for message in view.prompt] == [
        ("system", SYSTEM),
        ("user", "one?"),
        ("assistant", "two"),
        ("user", "Q: red or blue? A:"),
    ]
    text = str(view)
    assert f"sent (system):\n  {SYSTEM}" in text
    assert SECRET not in text


def test_a_plain_prompt_is_one_text() -> None:
    case = Case(case_id="1", input="red?", expected_output="red")
    view = asked(lambda url: adapters.openai("m", base_url=url, api="completions"), case)
    assert [message["content"] for message in view.prompt] == [SPEC.render("red?")]


def test_an_image_is_named_and_not_spelt_out() -> None:
    case = Case(case_id="1", input={"question": "what is it?", "images": [IMAGE]}, expected_output="a cat")
    view = asked(MODELS["chat"], case, PromptSpec(instructions=SYSTEM))
    text = str(view)
    assert "what is it?" in text
    assert "image/png" in text
    assert "iVBORw0KGgo" not in text
    assert shown_content([{"type": "text", "text": "only this"}]) == "only this"
    assert shown_content({"url": IMAGE}) == {"url": "[image/png, not shown]"}


@generator
async def own(case: Case, ctx: GenerateContext) -> str:
    return "red"


def test_what_nobody_recorded_is_not_called_sent() -> None:
    store = InMemoryRunStore()
    rows = [{"case_id": "1", "input": "red or blue?", "expected_output": "red"}]
    view = get_case_view(store, evaluate(model=own, data=rows, metric="builtin/contains", store=store).run_id, "1")
    assert not view.prompt_recorded
    assert "prompt (user):\n  red or blue?" in str(view)
    assert CaseView.from_dict(view.to_dict()) == view


@attrs.frozen
class Agent:
    """Calls a tool as often as it is told to."""

    calls: int = 2
    component_id: str = "tests/agent"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        asks = Message(role="assistant", content={"tool_calls": [{"name": "search", "arguments": {"q": "red"}}]})
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output="red",
            conversation=[Message(role="user", content=case.input), asks, Message(role="assistant", content="red")],
            trace=[
                TraceStep(step_name="search", step_type="tool", input={"q": "red"}, output={"hits": n})
                for n in range(self.calls)
            ],
        )


@pytest.mark.parametrize(("calls", "left"), [(2, None), (MOST_STEPS + 7, "7 more; the store has them")])
def test_an_agents_steps_and_turns_are_shown(calls: int, left: str | None) -> None:
    store = InMemoryRunStore()
    rows = [{"case_id": "1", "input": "red or blue?", "expected_output": "red"}]
    result = evaluate(model=Agent(calls), data=rows, metric="builtin/contains", store=store)
    told = list(passages(get_case_view(store, result.run_id, "1")))
    titles = [title for title, _ in told]
    assert "candidate 1-candidate-0, turn 1 (assistant)" in titles  # the prompt is not told again
    assert ("candidate 1-candidate-0, step 2: search (tool)", {"input": {"q": "red"}, "output": {"hits": 1}}) in told
    assert sum(", step " in title for title in titles) == min(calls, MOST_STEPS)
    assert dict(told).get("candidate 1-candidate-0 went on") == left


def test_a_conversation_that_is_prompt_and_answer_has_no_turns_of_its_own() -> None:
    said = [Message(role="user", content="?"), Message(role="assistant", content="!")]
    candidate = GenerationResult(candidate_id="c", final_output="!", conversation=said)
    assert own_turns(candidate, [{"role": "user", "content": "?"}]) == ()
    assert own_turns(candidate.evolve(final_output="!!"), [{"role": "user", "content": "?"}]) == tuple(said[1:])


@metric
def half(parsed: Any, case: Case) -> float:
    return 0.5


def test_a_graded_score_is_neither_right_nor_wrong() -> None:
    store = InMemoryRunStore()
    rows = [{"case_id": "1", "input": "?", "expected_output": "red"}]
    result = evaluate(model=own, data=rows, metric=[half, "builtin/exact_match"], store=store)
    view = get_case_view(store, result.run_id, "1")
    assert view.graded == ("half",)
    assert "half:\n  0.5" in str(view)
    assert "builtin/exact_match (correct):\n  1" in str(view)
    assert [is_graded(value, "m", Thresholds()) for value in (None, 0.0, 1.0, 0.5, 4.0)] == [False] * 3 + [True] * 2
    assert not is_graded(0.5, "m", Thresholds({"m": 0.8}))


def test_the_judges_of_a_case_are_shown_call_by_call() -> None:
    store = InMemoryRunStore()
    rows = [{"case_id": "1", "input": "which?", "expected_output": "red"}]
    result = evaluate(
        model=own,
        data=rows,
        metric="builtin/llm_rubric",
        judge="builtin/demo_judge",
        store=store,
        workflow_overrides={"dimensions": {"accuracy": "true", "tone": "polite"}},
    )
    told = dict(passages(get_case_view(store, result.run_id, "1")))
    for name in ("accuracy", "tone"):
        title = f"builtin/llm_rubric, {name}, builtin/demo_judge"
        assert f"Rubric: {'true' if name == 'accuracy' else 'polite'}" in str(told[f"{title}: asked"])
        assert told[f"{title}: answered"] == "Score: 5"
        assert told[f"{title}: verdict"] == "5 (1)"
