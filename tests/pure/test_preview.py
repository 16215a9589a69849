"""What a preview shows is what is sent: the body of each call, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from themis import Case, Dataset, EvaluationConfig, Experiment, GenerationConfig, PromptSpec, adapters
from themis.core import GenerateContext, GenerationResult
from themis.pure.errors import SpecError
from themis.pure.preview import preview_run
from themis.testing.bigram import bigram_model
from themis.testing.endpoint import FakeEndpoint

MODELS: dict[str, Any] = {
    "chat": adapters.openai,
    "completions": lambda model, **options: adapters.openai(model, api="completions", **options),
    "responses": lambda model, **options: adapters.openai(model, api="responses", **options),
    "messages": adapters.anthropic,
    "gemini": lambda model, **options: adapters.from_model_string(f"gemini/{model}", **options),
    "converse": lambda model, **options: adapters.from_model_string(f"bedrock/{model}", **options),
}
CASES = [
    Case(
        case_id="a", input={"question": "Which?", "choices": ["x", "y"]}, expected_output="A", metadata={"topic": "t"}
    ),
    Case(case_id="b", input={"question": "Who?", "choices": ["x", "y"]}, expected_output="B", metadata={"topic": "t"}),
]
SPEC = PromptSpec(
    instructions="Be brief.",
    template="{topic}: {question}\n{choices}",
    blocks=[
        {"input": {"question": "Where?", "choices": ["x"]}, "metadata": {"topic": "s"}, "output": "A"},
        {"mine": 1},
    ],
)


def experiment(model: Any, spec: PromptSpec | None = SPEC, samples: int = 1, **evaluation: Any) -> Experiment:
    return Experiment(
        generation=GenerationConfig(
            generator=model,
            prompt_spec=spec,
            candidate_policy={"num_samples": samples} if samples > 1 else {},
        ),
        evaluation=EvaluationConfig(metrics="exact_match", **evaluation),
        datasets=[Dataset(dataset_id="d", cases=CASES)],
    )


@pytest.mark.parametrize("protocol", MODELS)
def test_what_is_shown_is_what_is_sent(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.setenv(name, "test")
    with FakeEndpoint() as endpoint:
        made = experiment(MODELS[protocol]("tiny", base_url=endpoint.base_url, max_tokens=7))
        shown = made.preview(5)
        assert not endpoint.log
        result = made.run()
        sent = [served.request.json() for served in endpoint.log]
    assert shown.run_id == result.run_id
    assert (len(shown.cases), shown.total_cases) == (2, 2)
    plain = [case.to_dict()["request"] for case in shown.cases]
    assert sorted(map(str, plain)) == sorted(map(str, sent))
    for case, question in zip(shown.cases, ("t: Which?\nA. x\nB. y", "t: Who?\nA. x\nB. y"), strict=True):
        assert str(case.messages[-1]["content"]).endswith(question)
        assert case.prompt_tokens > 10
        assert case.answer_tokens == 7
        assert case.us_dollars is None
    assert question in str(shown).replace("\n  ", "\n")
    assert "1 block(s) of the prompt are not shown to a model" in str(shown)


class Own:
    """Makes its own requests."""

    component_id = "mine/own"

    def fingerprint(self) -> str:
        return "1"

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        raise AssertionError("a call was made")


def test_of_a_generator_that_makes_its_own_requests_the_prompt_is_shown() -> None:
    shown = experiment(Own(), samples=4).preview(1)
    (case,) = shown.cases
    assert case.request is None
    assert [message["role"] for message in case.messages] == ["system", "user", "assistant", "user"]
    text = str(shown)
    assert "mine/own makes its own requests; shown is the prompt that it is given" in text
    assert "1 of 2 case(s) for mine/own, each asked 4 times; nothing was sent" in text


def test_log_likelihoods_are_shown_as_they_are_asked() -> None:
    spec = PromptSpec(template="{question}", suffix=" ", continuations="choices")
    made = experiment(bigram_model(), spec).evolve(evaluation=EvaluationConfig(metrics="likeliest_choice"))
    (case, _) = made.preview().cases
    assert [(message["role"], message["content"]) for message in case.messages] == [
        ("context", "Which? "),
        ("continuation", "x"),
        ("continuation", "y"),
    ]
    assert case.answer_tokens == 0


def test_a_call_is_priced_and_hostile_text_is_shown_harmless() -> None:
    made = experiment(Own(), PromptSpec(prefix="\x1b[2J\u202e"))
    components = made.components()
    shown = preview_run(made.compile_with(components), components, 1, lambda model, used: sum(used.values()) / 1000)
    (case,) = shown.cases
    assert case.us_dollars == (case.prompt_tokens + case.answer_tokens) / 1000
    assert f"about ${case.us_dollars:.6f}" in str(shown)
    assert not {"\x1b", "\u202e"} & set(str(shown))


def test_files_are_shown_by_their_hash() -> None:
    case = Case(case_id="a", input={"question": "What?", "images": ["data:image/png;base64,AAAA"]})
    made = experiment(adapters.openai("tiny"), None).evolve(datasets=[Dataset(dataset_id="d", cases=[case])])
    shown = made.preview()
    assert "AAAA" not in str(shown)
    assert "AAAA" not in str(shown.to_dict())


def test_what_a_judge_would_be_sent_is_not_known() -> None:
    made = experiment(Own()).evolve(
        evaluation=EvaluationConfig(metrics="llm_rubric", judge_models="demo_judge", workflow_overrides={"rubric": "x"})
    )
    assert "builtin/llm_rubric: what a judge would be sent holds the answer" in str(made.preview())


def test_at_least_one_case_is_asked_for() -> None:
    with pytest.raises(SpecError, match="cases: a number from 1 up expected, found 0"):
        experiment(Own()).preview(0)
