"""A prompt is a pure function of its specification and the case; and a case is never among its own examples."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import DataError, InvalidRecordError, SpecError
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.prompt import PromptSpec, text_of
from themis.pure.wire.exchange import prompt_of
from themis.testing.strategies import json_values, records

TEXT = st.text(max_size=8)
OLD_BLOCKS = st.fixed_dictionaries({"text": TEXT}, optional={"role": TEXT, "input": TEXT, "output": TEXT}) | (
    st.fixed_dictionaries({"role": TEXT, "content": json_values(3)}, optional={"input": TEXT, "output": TEXT})
)


@given(st.none() | TEXT, st.none() | TEXT, st.none() | TEXT, st.lists(OLD_BLOCKS, max_size=3), json_values(4))
def test_a_prompt_without_what_came_later_is_as_it_was(
    instructions: str | None, prefix: str | None, suffix: str | None, blocks: list[Any], value: Any
) -> None:
    spec = PromptSpec(instructions=instructions, prefix=prefix, suffix=suffix, blocks=blocks)
    assert spec.to_dict() == {"instructions": instructions, "prefix": prefix, "suffix": suffix, "blocks": blocks}
    asked = f"{prefix or ''}{text_of(value)}{suffix or ''}"
    said = [(block.get("role", "user"), block["text"] if "text" in block else block["content"]) for block in blocks]
    opening = [] if instructions is None else [("system", instructions)]
    turns = [*opening, *said, ("user", asked)]
    assert spec.render(value) == "\n\n".join(text_of(content) for _, content in turns)
    assert spec.render_messages(value) == [{"role": role, "content": content} for role, content in turns]
    # The rest of a case does not come into it.
    case = Case(case_id="a", input=value if value is not None else "", expected_output="x", metadata={"input": "y"})
    assert spec.render(case) == spec.render(case.input)
    assert spec.lacking(case) is None


def test_hashes_are_what_they_were() -> None:
    """Of prompts that stored runs have: runs are named by them."""
    blocks = [{"text": "d"}, {"role": "user", "content": "e"}]
    for spec, name in [
        (PromptSpec(), "0da6539f46ffd90fd93d075db06a308e96782f4503039d682c1c521c85201cfe"),
        (
            PromptSpec(instructions="a", prefix="b", suffix="c", blocks=blocks),
            "664c34a5e0f7eecbf5c2783e24dc4a35febc77e51165e7bd1088ce071ff1a318",
        ),
        (PromptSpec(continuations="choices"), "91d4bcfeff44d99e92ed1538d574ec9be3859cc53b1a2d4ef1921c72d54c8408"),
    ]:
        assert spec.compute_hash() == name


# --- templates --------------------------------------------------------------------------------------------


def test_a_template_shows_fields_of_input_and_metadata() -> None:
    spec = PromptSpec(template="[{topic}] {question}\n{choices}\n", suffix="Answer: ")
    case = Case(case_id="a", input={"question": "Is {it}?", "choices": ["yes", "no"]}, metadata={"topic": "t"})
    assert spec.render(case) == "[t] Is {it}?\nA. yes\nB. no\nAnswer: "
    assert spec.render_messages(case) == [{"role": "user", "content": spec.render(case)}]
    assert prompt_of(case, spec).text == spec.render(case)


def test_a_text_is_called_input_or_as_the_text_of_an_object_is() -> None:
    for name in ("input", "question", "prompt", "text"):
        assert PromptSpec(template=f"<{{{name}}}>").render("a") == "<a>"
    case = Case(case_id="a", input="a", metadata={"question": "b", "input": "c"})
    assert PromptSpec(template="{input} {question}").render(case) == "a b"


def test_a_template_stands_for_the_last_question_of_a_conversation() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    case = Case(case_id="x", input={"messages": talk, "tone": "kind"})
    spec = PromptSpec(template="{tone}: {input}")
    assert [message["content"] for message in spec.render_messages(case)] == ["a", "b", "kind: c"]
    assert spec.render(case) == "a\n\nb\n\nkind: c"


def test_a_template_works_beside_images() -> None:
    case = Case(case_id="x", input={"question": "What?", "images": ["https://example.org/a.png"]})
    (message,) = prompt_of(case, PromptSpec(template="Look. {question}")).messages
    assert message["content"][0] == {"type": "text", "text": "Look. What?"}
    assert message["content"][1]["type"] == "image_url"


def test_the_reference_is_no_field() -> None:
    case = Case(case_id="7", input="a", expected_output="b")
    problem = PromptSpec(template="{input} {expected_output}").lacking(case)
    assert problem is not None
    assert problem.startswith("case '7': prompt_spec.template: there is no field 'expected_output'")
    assert "(fields found: input); the reference is no field" in problem


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"template": "the same for all"}, "template: no field in it.*{input}"),
        ({"template": "{a.b}"}, "template: line 1, column 1"),
        ({"answer_template": "{output} {"}, "answer_template: line 1, column 10"),
        ({"shots": 1}, r"shots: 1 asked for, and blocks hold 0 example\(s\)"),
        ({"shots": -1}, "shots: -1 asked for"),
        ({"blocks": [{"role": "user"}]}, r"blocks\[0\]: {'role': 'user'} has neither"),
        ({"template": "{a}", "blocks": [{"input": "x", "output": "y"}]}, r"blocks\[0\]: there is no field 'a'"),
    ],
)
def test_what_can_be_no_prompt_is_refused_when_it_is_made(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRecordError, match=said):
        PromptSpec(**spec)


# --- examples ---------------------------------------------------------------------------------------------


def test_an_example_is_two_turns_or_a_paragraph() -> None:
    blocks: list[Any] = [{"input": "1 + 1?", "output": 2}, {"kind": "rubric", "x": [1]}]
    spec = PromptSpec(prefix="Q: ", suffix="\nA:", blocks=blocks)
    assert spec.render_messages("2 + 2?") == [
        {"role": "user", "content": "Q: 1 + 1?\nA:"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "Q: 2 + 2?\nA:"},
    ]
    assert spec.render("2 + 2?") == "Q: 1 + 1?\nA: 2\n\nQ: 2 + 2?\nA:"
    assert spec.blocks[1] == {"kind": "rubric", "x": [1]}  # for generators that know what it is


def test_fields_may_have_any_name() -> None:
    """Such as those of other blocks: an example stays one."""
    row: Any = {
        "input": "a",
        "expected_output": "b",
        "metadata": {"text": "c", "role": "d", "content": "e", "output": "f"},
    }
    spec = PromptSpec(template="{text} {role} {content} {output} {input}").with_examples([row], 1)
    case = Case(case_id="1", input="z", metadata={"text": "1", "role": "2", "content": "3", "output": "4"})
    assert spec.render(case) == "c d e f a b\n\n1 2 3 4 z"


def test_an_answer_is_written_as_its_template_says() -> None:
    spec = PromptSpec(answer_template="{input} is {output}", blocks=[{"input": "1 + 1", "output": 2}])
    assert spec.render_messages("x")[1] == {"role": "assistant", "content": "1 + 1 is 2"}


def test_an_example_may_have_an_image_and_a_conversation() -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    blocks: list[Any] = [
        {"input": {"question": "What?", "images": ["data:image/png;base64,AAAA"]}, "output": "a cat"},
        {"input": talk, "output": "d"},
    ]
    shown = PromptSpec(prefix="> ", blocks=blocks).render_messages("x")
    assert shown[0]["content"][0] == {"type": "text", "text": "> What?"}
    assert [message["content"] for message in shown[1:]] == ["a cat", "a", "b", "> c", "d", "> x"]
    assert "AAAA" not in PromptSpec(blocks=blocks).render("x")


CONTENTS = st.sampled_from(["1 + 1?", "2 + 2?", "3 + 3?", "4 + 4?", "5 + 5?", "6 + 6?"])
FORMS = st.sampled_from(
    [
        lambda text: text,
        lambda text: f"  {text.upper()}\n",
        lambda text: {"question": text},
        lambda text: [{"role": "user", "content": text}],
    ]
)


@st.composite
def pools(draw: st.DrawFn) -> list[Case]:
    contents = draw(st.lists(CONTENTS, min_size=3, unique=True))
    return [
        Case(case_id=draw(st.sampled_from("ab")) + str(i), input=draw(FORMS)(text), expected_output=text)
        for i, text in enumerate(contents)
    ]


@given(pools(), st.integers(1, 2), st.none() | st.integers(), CONTENTS, FORMS)
def test_a_case_is_never_among_its_examples(
    pool: list[Case], count: int, seed: int | None, content: str, form: Any
) -> None:
    """By what it asks, whatever its id and the form in which it is written: its answer is nowhere before it."""
    case = Case(case_id="a0", input=form(content), expected_output=content)
    spec = PromptSpec().with_examples(pool, count, seed=seed)
    assert spec.lacking(case) is None
    answers = [message["content"] for message in spec.render_messages(case) if message["role"] == "assistant"]
    assert len(answers) == len(set(answers)) == count
    assert content not in answers
    assert set(answers) <= {each.expected_output for each in pool}


@pytest.mark.parametrize("template", [None, "{input}", "Look. {question}", "{topic}: {question}"])
@given(content=CONTENTS)
def test_pictures_are_a_part_of_what_is_asked(template: str | None, content: str) -> None:
    """The same words about another picture are another question; about the same one they are the same."""

    def about(number: int, words: str) -> Case:
        value = {"question": words, "images": [f"https://example.org/{number}.png"]}
        return Case(case_id="a", input=value, expected_output=str(number), metadata={"topic": str(number)})

    spec = PromptSpec(template=template).with_examples([about(n, content) for n in range(4)], 3)
    case = about(2, f" {content.upper()}")
    for messages in (spec.render_messages(case), [*prompt_of(case, spec).messages]):
        answers = [message["content"] for message in messages if message["role"] == "assistant"]
        assert sorted(answers) == ["0", "1", "3"]
    assert spec.lacking(case) is None
    assert spec.evolve(shots=4).lacking(case) is not None


@given(pools(), st.integers(1, 2), st.integers(), st.randoms())
def test_seed_and_content_decide_alone(pool: list[Case], count: int, seed: int, random: Any) -> None:
    spec = PromptSpec(instructions="x").with_examples(pool, count, seed=seed)
    mixed = random.sample(pool, len(pool))
    again = PromptSpec(instructions="x").with_examples(Dataset(dataset_id="d", cases=mixed), count, seed=seed)
    assert again == spec
    assert again.compute_hash() == spec.compute_hash()
    assert PromptSpec(instructions="x").with_examples(pool, count + 1, seed=seed).blocks[: count + 1] == spec.blocks


@given(pools(), st.integers(1, 2))
def test_without_a_seed_the_order_decides(pool: list[Case], count: int) -> None:
    spec = PromptSpec().with_examples(pool, count, seed=None)
    assert [block["output"] for block in spec.blocks] == [case.expected_output for case in pool[: count + 1]]


def test_seeds_differ() -> None:
    pool = [Case(case_id=str(n), input=f"{n}?", expected_output=str(n)) for n in range(50)]
    drawn = {PromptSpec().with_examples(pool, 3, seed=seed).compute_hash() for seed in range(10)}
    assert len(drawn) == 10


def test_a_template_tells_what_a_case_asks() -> None:
    """Where a template shows the input, other metadata make no other question; where it does not, they do."""
    pool = [
        Case(
            case_id=f"{topic}{n}",
            input="Classify.",
            expected_output=str(n),
            metadata={"body": f"text {n}", "topic": topic},
        )
        for topic in "ab"
        for n in range(3)
    ]
    asked = [Case(case_id=t, input={"q": "x"}, expected_output="1", metadata={"topic": t}) for t in "ab"]
    with pytest.raises(DataError, match="2 asked for, and there are 1 different ones"):
        PromptSpec(template="{topic}: {q}").with_examples(asked, 2)
    shown = PromptSpec(template="{topic}: {body}").with_examples(pool, 5)
    assert len(shown.blocks) == 6
    assert shown.blocks[0].keys() == {"input", "output", "metadata"}
    assert shown.blocks[0]["metadata"] in [case.metadata for case in pool]
    with pytest.raises(DataError, match="2 asked for, and there are 1 different ones"):
        PromptSpec(template="{topic}: {input}").with_examples(pool, 2)


def test_a_pool_that_holds_too_few_is_refused() -> None:
    pool = [
        Case(case_id="a", input="x", expected_output="1"),
        Case(case_id="b", input="X ", expected_output="1"),
        Case(case_id="c", input="y"),
    ]
    with pytest.raises(DataError, match="2 asked for, and there are 1 different ones, besides 1 without a reference"):
        PromptSpec().with_examples(pool, 2)
    with pytest.raises(SpecError, match=r"cases expected, found the text 'train\.jsonl'"):
        PromptSpec().with_examples("train.jsonl", 2)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(SpecError, match="a number from 0 up expected, found -1"):
        PromptSpec().with_examples(pool, -1)
    with pytest.raises(DataError, match="case 'a': there is no field 'topic'"):
        PromptSpec(template="{topic}").with_examples(pool, 1)
    assert PromptSpec().with_examples(pool, 0) == PromptSpec()
    lacking = PromptSpec().with_examples(pool, 1).lacking(pool[0])
    assert lacking is not None
    assert lacking.startswith("case 'a': prompt_spec.shots: 1 example(s) asked for, and 0 are left for it")


def test_of_several_references_the_first_is_shown() -> None:
    pool = [Case(case_id="a", input="x", expected_output=["one", "1"])]
    assert PromptSpec().with_examples(pool, 1).render("y") == "x one\n\ny"


def test_examples_come_behind_those_that_are_written_out() -> None:
    pool = [Case(case_id=str(n), input=f"{n}?", expected_output=str(n)) for n in range(5)]
    spec = PromptSpec(blocks=[{"input": "0?", "output": "zero"}, {"text": "And:"}]).with_examples(pool, 2, seed=None)
    assert spec.render("7?") == "0? zero\n\nAnd:\n\n1? 1\n\n2? 2\n\n7?"


@given(records(PromptSpec))
def test_a_prompt_survives_json_pickling_and_copying(spec: PromptSpec) -> None:
    spec.render("x")  # what it remembers of itself is no part of it
    for again in (PromptSpec.from_dict(spec.to_dict()), pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert again == spec
        assert again.render("x") == spec.render("x")
        assert again.compute_hash() == spec.compute_hash()
