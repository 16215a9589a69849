"""Taking reasoning out of answers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.text.reasoning import MARKS, begins_with_reasoning, strip_reasoning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no reasoning at all", "no reasoning at all"),
        ("<think>\nis it A?\n</think>\n\nThe answer is B.", "The answer is B."),
        ("<thinking>x</thinking>B", "B"),
        ("<THINK>x</THINK> B", "B"),
        ("<think></think>\n\nB", "B"),
        ("I thought: A. No, B.\n</think>\n\nB", "B"),
        ("<think>one</think>first <think>two</think>second", "first second"),
        ("<think>I should write <think> here</think>B", "B"),
        ("<think>a <think>b</think> c</think>d", "d"),
        ("<think>cut off in the middle of", ""),
        ("Sure.<think>cut off", "Sure."),
        ("[THINK]hm[/THINK]42", "42"),
        ("◁think▷hm◁/think▷42", "42"),
        ("<|begin_of_thought|>hm<|end_of_thought|>42", "42"),
        ("<reasoning effort='high'>hm</reasoning>42", "42"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>42<|return|>",
            "42",
        ),
        ("if a < think and b > c", "if a < think and b > c"),
    ],
)
def test_leaves_the_answer(text: str, expected: str) -> None:
    assert strip_reasoning(text).text == expected


def test_tells_a_block_that_never_ends() -> None:
    assert strip_reasoning("<think>hm").unclosed
    assert not strip_reasoning("<think>hm</think>").unclosed
    assert not strip_reasoning("hm").stripped


@given(st.text(alphabet="<>/think|[]THINK "), st.text(alphabet="abc\n"))
def test_nothing_before_a_closing_mark_is_left(before: str, answer: str) -> None:
    assert strip_reasoning(f"{before}</think>{answer}").text == answer.strip()


MARKED = [
    ("<think>{}</think>", "DeepSeek and most others"),
    ("<thinking>\n{}\n</thinking>\n", "Claude when asked"),
    ("<thought>{}</thought>", "Gemini"),
    ("<seed:think>{}</seed:think>", "Seed-OSS"),
    ("<longcat_think>\n{}\n</longcat_think>", "LongCat"),
    ("<think:opensource>{}</think:opensource>", "Hunyuan"),
    ("[THINK]{}[/THINK]", "Magistral"),
    ("◁think▷{}◁/think▷", "Kimi"),
    ("<|begin_of_thought|>{}<|end_of_thought|>\n\n<|begin_of_solution|>", "Sky-T1"),
    ("<|START_THINKING|>{}<|END_THINKING|><|START_RESPONSE|>", "Command A Reasoning"),
    ("<|inner_prefix|>{}<|inner_suffix|>", "Apertus"),
    ("<|channel>thought\n{}<channel|>", "Gemma 4"),
    ("<unused94>thought\n{}<unused95>", "MedGemma"),
    ("[unused16]{}[unused17]", "Pangu"),
    ("<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>", "gpt-oss"),
    ("Here is my thought process:\n{}\nHere is my response:\n", "Granite"),
    ("Here are my reasoning steps:\n{}\n[BEGIN FINAL RESPONSE]\n", "Apriel"),
]


@pytest.mark.parametrize("form", [form for form, _ in MARKED])
@given(
    reasoning=st.text(alphabet="abc 12\n.\\{}", max_size=30), answer=st.sampled_from(["C", "\\boxed{7}", '{"a": 1}'])
)
def test_the_reasoning_of_every_model_is_taken_out(form: str, reasoning: str, answer: str) -> None:
    text = form.format(f"{reasoning}B") + answer
    assert begins_with_reasoning(text)
    assert strip_reasoning(text).text == answer
    assert strip_reasoning(form.partition("{}")[0] + reasoning).unclosed


def test_every_mark_is_tried() -> None:
    opened = [mark for mark in MARKS if any(re.match(mark.opens, form, re.IGNORECASE) for form, _ in MARKED)]
    assert opened == list(MARKS)
