r"""Taking a model's reasoning out of its answer, so that only what it answers is read.

`MARKS` is the one list of the marks that models put around their reasoning, each with the models that do and where that
is documented (a model's card or chat template, or the reasoning parser of vLLM or SGLang for it).
"""

# marks as models write them

from __future__ import annotations

import re
from typing import Final, NamedTuple

import attrs


class Mark(NamedTuple):
    """How some models mark their reasoning: patterns of what opens it and of what ends it, and who writes so."""

    opens: str
    closes: str
    who: str


MARKS: Final = (
    Mark(
        r"<(?:[\w.-]{1,20}[:_])?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|reasoning_scratchpad"
        r"|analysis)(?:[\s:][^<>]{0,200})?>",
        r"</(?:[\w.-]{1,20}[:_])?(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|reasoning_scratchpad"
        r"|analysis)(?::[^<>]{0,40})?\s{0,8}>",
        "most of them, as DeepSeek, Qwen, GLM, MiniMax, Nemotron, Olmo, Step, Ernie (`<think>`: vLLM's reasoning "
        "parsers); Gemini's compatible endpoint, Exaone (`<thought>`), Seed-OSS (`<seed:think>`: vLLM's parser), "
        "LongCat (`<longcat_think>`: its card), Hunyuan (`<think:opensource>`), Claude when asked (`<thinking>`)",
    ),
    Mark(r"\[THINK\]", r"\[/THINK\]", "Magistral, Ministral 3 (mistral-common's special tokens)"),
    Mark("◁think▷", "◁/think▷", "Kimi-VL Thinking (its card)"),
    Mark(
        r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>(?:\s*<\|begin_of_solution\|>)?", "Sky-T1, OpenThinker (cards)"
    ),
    Mark(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>", "Command A Reasoning (Cohere's chat template)"),
    Mark(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>", "Apertus (its chat template)"),
    Mark(r"<\|channel>\s{0,3}thought\b", r"<channel\|>", "Gemma 4 (its chat template)"),
    Mark(r"<unused94>\s{0,3}thought\b", "<unused95>", "MedGemma 1.5 (its card)"),
    Mark(r"\[unused16\]", r"\[unused17\]", "Pangu (vLLM's pangu_reasoning_parser)"),
    Mark(
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<>]{0,200}<\|message\|>",
        r"(?:<\|start\|>assistant)?<\|channel\|>final[^<>]{0,200}<\|message\|>",
        "gpt-oss (OpenAI's Harmony format)",
    ),
    Mark(
        r"^Here(?: is|'s) my thought process:", r"^Here(?: is|'s) my response:", "Granite 3.2 (vLLM's granite parser)"
    ),
    Mark(r"^Here are my reasoning steps:", r"\[BEGIN FINAL RESPONSE\]", "Apriel 1.5 and 1.6 Thinker (their cards)"),
)
MARK: Final = re.compile(
    rf"(?P<open>{'|'.join(mark.opens for mark in MARKS)})|(?P<close>{'|'.join(mark.closes for mark in MARKS)})"
    r"|(?P<end><\|end\|>)",
    re.IGNORECASE | re.MULTILINE,
)
LEFTOVERS: Final = re.compile(
    r"<\|(?:start\|>assistant|end\|>|return\|>|im_end\|>|(?:begin|end)_of_solution\|>|(?:START|END)_RESPONSE\|>"
    r"|assistant_end\|>|END_OF_TURN_TOKEN\|>)|\[END FINAL RESPONSE\]|<end_of_turn>|<turn\|>|◁(?:/?answer|end)▷"
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
    for mark in MARK.finditer(text):
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
    return Answer(LEFTOVERS.sub("", "".join(kept)).strip("\n\r\t "), True, inside)


def begins_with_reasoning(text: str) -> bool:
    """Tell whether reasoning is marked where a model marks it: at the beginning of a line, or by a lone closing mark.

    >>> begins_with_reasoning("<think>hm</think>C"), begins_with_reasoning("Write `<think>` before `</think>`.")
    (True, False)
    """
    mark = MARK.search(text)
    if mark is None or mark["end"]:
        return False
    return mark["close"] is not None or not text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip()
