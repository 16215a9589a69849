r"""Taking a model's reasoning out of its answer, so that only what it answers is read.

Known marks: the XML-like tags of DeepSeek, Qwen and others (`<think>`, `<thinking>`, `<thought>`, `<reasoning>`,
`<reflection>`, `<scratchpad>`, `<analysis>`), Magistral's `[THINK]`, Kimi's `◁think▷`, Sky-T1's `<|begin_of_thought|>`
and the channels of OpenAI's Harmony format (`<|channel|>analysis<|message|>...<|end|>`).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

_NAMES: Final = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis"
_MARK: Final = re.compile(
    rf"(?P<open><(?:{_NAMES})(?:\s[^<>]{{0,200}})?>|\[THINK\]|◁think▷|<\|begin_of_thought\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<>]{0,200}<\|message\|>)"
    rf"|(?P<close></(?:{_NAMES})\s{{0,8}}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>final[^<>]{0,200}<\|message\|>)"
    r"|(?P<end><\|end\|>)",
    re.IGNORECASE,
)
_LEFTOVERS: Final = re.compile(
    r"<\|(?:start\|>assistant|end\|>|return\|>|im_end\|>|begin_of_solution\|>|end_of_solution\|>)"
)


@attrs.frozen
class Answer:
    """An answer without its reasoning.

    Attributes:
        text: what is left.
        stripped: whether there was any reasoning to take out.
        unclosed: the last reasoning block never ended, so that the answer was cut off before it began.
    """

    text: str
    stripped: bool = False
    unclosed: bool = False


def strip_reasoning(text: str) -> Answer:
    """Return what a model answers after its reasoning.

    A block ends at the first closing mark. A closing mark without an opening one ends a block that began in the
    prompt (DeepSeek's chat template does so): everything before it is reasoning. A block that never ends takes
    the rest of the text with it.

    >>> strip_reasoning("<think>is it B? no, C</think>C").text
    'C'
    >>> strip_reasoning("is it B? no, C</think>C").text
    'C'
    >>> strip_reasoning("<think>is it B? no").unclosed
    True
    """
    kept: list[str] = []
    at, inside, stripped = 0, False, False
    for mark in _MARK.finditer(text):
        if mark["open"]:
            if not inside:
                kept.append(text[at : mark.start()])
            inside = stripped = True
        elif mark["close"]:
            if not inside:
                kept.clear()
            at, inside, stripped = mark.end(), False, True
        elif inside:  # `<|end|>` closes a channel; elsewhere it is the end of a message
            at, inside = mark.end(), False
    if not stripped:
        return Answer(text)
    if not inside:
        kept.append(text[at:])
    return Answer(_LEFTOVERS.sub("", "".join(kept)).strip("\n\r\t "), True, inside)


def begins_with_reasoning(text: str) -> bool:
    """Tell whether reasoning is marked where a model marks it: at the beginning of a line, or by a lone closing mark.

    >>> begins_with_reasoning("<think>hm</think>C"), begins_with_reasoning("Write `<think>` before `</think>`.")
    (True, False)
    """
    mark = _MARK.search(text)
    if mark is None or mark["end"]:
        return False
    return mark["close"] is not None or not text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip()
