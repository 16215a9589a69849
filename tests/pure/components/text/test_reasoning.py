"""Taking reasoning out of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.text.reasoning import strip_reasoning


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
