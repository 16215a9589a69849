"""Prompts of a run: in any form, with examples from a file that a replay no longer needs, and refused before a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    PromptSpec,
    catalog,
    evaluate,
    verify,
)
from themis.api.config.read import as_prompt
from themis.core import GenerateContext, GenerationResult
from themis.pure.errors import DataError, SpecError, ThemisError

TRAIN = [{"question": f"{n} + {n}?", "answer": str(2 * n), "topic": "sums", "other": "x"} for n in range(6)]
KEYS = {
    "template": "[{topic}] {question}",
    "examples": {"path": "train.jsonl", "count": 2, "seed": 3, "input_field": "question", "expected_field": "answer"},
}
DATA = [
    {"input": "1 + 1?", "expected_output": "2", "metadata": {"topic": "sums"}},
    {"input": "9 + 9?", "expected_output": "18", "metadata": {"topic": "sums"}},
]


class Model:
    """Answers with the messages that it would be sent, and counts."""

    component_id = "mine/model"

    def __init__(self) -> None:
        self.asked: list[list[dict[str, Any]]] = []

    def fingerprint(self) -> str:
        return "1"

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        assert ctx.prompt_spec is not None
        self.asked.append(ctx.prompt_spec.render_messages(case))
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=str(case.expected_output))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, TRAIN)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", ["keys", "file", "spec"])
def test_examples_of_a_file_are_drawn_stored_and_not_read_again(folder: Path, form: str) -> None:
    (folder / "prompt.json").write_text(json.dumps(KEYS), encoding="utf-8")
    prompt: Any = {"keys": KEYS, "file": folder / "prompt.json", "spec": as_prompt(KEYS)}[form]
    model, store = Model(), InMemoryRunStore()
    result = evaluate(model=model, data=DATA, metric="exact_match", prompt=prompt, store=store)
    (folder / "train.jsonl").unlink()
    assert result.benchmark.metric_means == {"builtin/exact_match": 1.0}
    own, other = sorted(model.asked, key=lambda messages: str(messages[-1]["content"]))
    for messages in (own, other):
        assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant", "user"]
        assert all(message["content"].startswith("[sums] ") for message in messages[::2])
    assert own[-1]["content"] == "[sums] 1 + 1?"
    assert "[sums] 1 + 1?" not in [message["content"] for message in own[:-1]]
    # All is in the run's record, and decides its id.
    spec = result.snapshot.identity.generation_prompt_spec
    assert spec is not None
    assert [set(block) for block in spec.blocks] == [{"input", "output", "metadata"}] * 3
    assert {str(block["metadata"]) for block in spec.blocks} == {str({"topic": "sums"})}
    assert store.load_snapshot(result.run_id).identity.generation_prompt_spec == spec
    assert verify(store, result.run_id).verdict == "verified"
    again = evaluate(model=Model(), data=DATA, metric="exact_match", prompt=spec, store=store)
    assert again.run_id == result.run_id


def test_a_config_says_the_same_and_is_written_with_its_examples(folder: Path) -> None:
    def config(**changes: Any) -> dict[str, Any]:
        examples = {**KEYS["examples"], **changes}  # type: ignore[dict-item]  # an object
        return {
            "generation": {"generator": "builtin/demo_model", "prompt_spec": {**KEYS, "examples": examples}},
            "evaluation": {"metrics": "exact_match"},
            "datasets": [{"cases": DATA}],
        }

    def read(**changes: Any) -> Experiment:
        (folder / "e.json").write_text(json.dumps(config(**changes)), encoding="utf-8")
        return Experiment.from_config(folder / "e.json")

    experiment = read()
    written = experiment.to_config(folder / "written.yaml")
    (folder / "train.jsonl").rename(folder / "moved.jsonl")
    assert "examples" not in written["generation"]["prompt_spec"]
    assert Experiment.from_config(folder / "written.yaml").compile().run_id == experiment.compile().run_id
    with pytest.raises(SpecError, match=r"generation.prompt_spec: .*train.jsonl"):
        read()
    assert read(path="moved.jsonl").compile().run_id == experiment.compile().run_id
    assert read(path="moved.jsonl", seed=4).compile().run_id != experiment.compile().run_id
    with pytest.raises(
        SpecError, match=r"generation\.prompt_spec: examples: 7 asked for, and there are 6 different ones"
    ):
        read(path="moved.jsonl", count=7)
    with pytest.raises(SpecError, match="either path or hub expected, found path and hub"):
        read(hub="a/b")


class NeverCalled(Model):
    """Ends the test."""

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        raise AssertionError("a call was made")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{nope}", r"data: case '1': prompt_spec.template: there is no field 'nope' \(fields found: topic, input\)"),
        ("{input} {", "template: line 1, column 9: a lone '{'"),
        ({"template": "{input}", "shot": 1}, "prompt: shot: unknown key; did you mean shots?"),
        (7, "prompt: a PromptSpec, its keys, a file of them or a template .* expected, found int"),
        ({"blocks": [{"input": "1 + 1?", "output": "2"}], "shots": 1}, "case '1': prompt_spec.shots: 1 .* 0 are left"),
    ],
)
def test_what_can_t_be_asked_is_refused_before_a_call(folder: Path, prompt: Any, said: str) -> None:
    with pytest.raises(ThemisError, match=said):
        evaluate(model=NeverCalled(), data=DATA, metric="exact_match", prompt=prompt)


def test_the_case_that_lacks_a_field_is_named() -> None:
    cases = [Case(case_id=name, input={"a": 1, **({"b": 2} if name != "third" else {})}) for name in ("x", "third")]
    with pytest.raises(DataError, match=r"mine: case 'third': .* no field 'b' \(fields found: input, a\)"):
        evaluate(
            model=NeverCalled(), data=Dataset(dataset_id="mine", cases=cases), metric="exact_match", prompt="{a} {b}"
        )


def test_a_judge_takes_no_template() -> None:
    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics="exact_match", prompt_spec=PromptSpec(template="{input}")),
        datasets=[Dataset(dataset_id="d", cases=[Case(case_id="a", input="x")])],
    )
    with pytest.raises(
        SpecError, match=r"evaluation\.prompt_spec\.template: a judge is asked in the words of its metric"
    ):
        experiment.compile()


ROWS = [
    {
        "question_id": n,
        "question": f"Q{n}?",
        "options": ["a", "b"],
        "answer": "B",
        "answer_index": 1,
        "category": "t",
        "src": "s",
    }
    for n in range(4)
]


def test_a_benchmark_takes_another_prompt_and_examples_of_another_split() -> None:
    benchmark = catalog.load("mmlu_pro")
    examples = benchmark.dataset(source=ROWS[1:], split="validation")
    assert examples.metadata["split"] == "validation"
    own = benchmark.prompt
    assert own is not None
    prompt = own.evolve(answer_template="Answer: {output}").with_examples(examples, 2)
    model = Model()
    catalog.run("mmlu_pro", model=model, source=ROWS[:1], prompt=prompt)
    (messages,) = model.asked
    assert [message["content"] for message in messages if message["role"] == "assistant"] == ["Answer: B"] * 2
    assert messages[-1]["content"].startswith("Q0?\n\nA. a\nB. b")
    assert messages[-1]["content"].endswith(own.suffix)
    catalog.run("mmlu_pro", model=model, source=ROWS[:1], prompt="Just a letter. {input}")
    assert model.asked[-1] == [{"role": "user", "content": "Just a letter. Q0?\n\nA. a\nB. b"}]
    catalog.run("mmlu_pro", model=model, source=ROWS, limit=1, shots=2, prompt=own.evolve(suffix=""))
    (*shown, asked) = [message["content"] for message in model.asked[-1] if message["role"] == "user"]
    assert len(set(shown)) == 2
    assert asked == "Q0?\n\nA. a\nB. b"
    assert asked not in shown
