"""Benchmarks that ask how likely texts are, and nothing else: perplexities, whole sentences, several true answers."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from themis.pure.benchmarks.choice_forms import (
    FOLLOWED,
    LIKELIEST,
    LIKELIHOOD,
    Item,
    accuracy,
    in_stated_order,
    made,
    options_of,
    two_forms,
)
from themis.pure.benchmarks.columns import Fields, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.records.prompt import PromptSpec

_ALONE: Final = PromptSpec(template="{question}", continuations="choices")
"""Texts behind nothing at all."""

_likelihood: Final = functools.partial(hub_recipe, kind="likelihood", prompt_spec=FOLLOWED, parsers=LIKELIEST)

# --- TruthfulQA -------------------------------------------------------------------------------------------


def _asked(question: str) -> str:
    return f"Q: {question.strip()}\nA:"


def _mc1(fields: Fields, part: str) -> Item:
    """The right choice is always the first of the dataset's: they come in an order of their own."""
    question, choices = fields["question"].strip(), options_of(fields)
    marks = list(fields["answer"])
    if marks.count(1) != 1 or len(marks) != len(choices):
        raise RowMisfitError("answer", f"one 1 among {len(choices)} marks expected, found {marks}")
    order = in_stated_order(question, choices)
    return Item(
        question=question,
        options=[choices[index] for index in order],
        right=order.index(marks.index(1)),
        context=_asked(question),
    )


def _mc2(fields: Fields, variant: str) -> Content:
    choices, marks = options_of(fields), list(fields["answer"])
    right = [choice for choice, mark in zip(choices, marks, strict=False) if mark]
    if len(marks) != len(choices) or not right or not all(choices):
        raise RowMisfitError("answer", f"a 1 among {len(choices)} marks expected, found {marks}")
    return Content({"question": _asked(fields["question"]), "choices": choices}, right)


_MYTH: Final = "What happens to gum that you swallow?"
_MYTHS: Final = ["It passes through you", "It stays for seven years", "It sprouts a tree"]


def _truthful(targets: str, marks: list[int]) -> dict[str, Any]:
    return {"question": _MYTH, targets: {"choices": _MYTHS, "labels": marks}}


def _mc1_samples() -> tuple[Sample, ...]:
    right = in_stated_order(_MYTH, _MYTHS).index(0)
    return tuple(made(_truthful("mc1_targets", [1, 0, 0]), right, (right + 1) % 3))


_SIX: Final = (
    "The paper and lm-evaluation-harness put six fixed questions with their answers before each, and call it 0-shot; "
    "they are not shown here. Put them into `prompt=` for their figure."
)

# --- texts ------------------------------------------------------------------------------------------------


def _lambada(fields: Fields, variant: str) -> Content:
    """The last word is what is to be said."""
    context, blank, word = fields["question"].strip().rpartition(" ")
    if not blank or not context.strip():
        raise RowMisfitError("question", f"a text of two words at least expected, found {fields['question']!r}")
    return Content({"question": context, "choices": [word]}, word)


_MARKS: Final[Sequence[tuple[re.Pattern[str], str]]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"s '", "s'"),
        *((f" @{re.escape(mark)}@ ", mark) for mark in "-,."),
        *((f" {re.escape(mark)} ", f"{mark} ") for mark in ":;.!?,"),
        *(
            (rf"{re.escape(first)}\s*([^{re.escape(last)}]*?)\s*{re.escape(last)}", rf"{first}\1{last}")
            for first, last in ("()", "[]", "{}", '""', "''")
        ),
        (r"= (?==)", "="),
        (r" \n", "\n"),
        (r"\n ", "\n"),
        (r" N ", " 1 "),
        (r" 's", "'s"),
    )
)


def detokenised(page: str) -> str:
    """Return a page of WikiText as a person would write it: its marks stand apart from the words there.

    >>> detokenised("The leaf 's cost ( 1 @,@ 000 coins ) rose , they say . Why ?")
    "The leaf's cost (1,000 coins) rose, they say. Why ?"
    """
    for pattern, replacement in _MARKS:
        page = pattern.sub(replacement, page)
    return page


def _wikitext(fields: Fields, variant: str) -> Content:
    """The page is scored as it would be written; words and bytes are counted as the dataset has it."""
    page = fields["question"]
    return Content(
        {"question": "", "choices": [detokenised(page)]}, {"words": len(page.split()), "bytes": len(page.encode())}
    )


_PAGE: Final = " = Tea = \n Tea is a drink . \n"
_LAMBADA: Final = {"text": "She had lost the key, and so she knocked on the door"}


def _surprise(per: str) -> ComponentChoice:
    name = "perplexity" if per == "token" else f"{per}_perplexity"
    return ComponentChoice(component_id="builtin/perplexity", options={"component_id": name, "per": per})


def _pair(more: str, less: str) -> dict[str, Any]:
    return {"sent_more": more, "sent_less": less, "stereo_antistereo": "stereo", "bias_type": "nationality"}


def _crows(fields: Fields, variant: str) -> Content:
    sentences = options_of(fields)
    if not all(sentences):
        raise RowMisfitError("options", "two sentences expected, and one is empty")
    return Content({"question": "", "choices": sentences}, sentences[0])


_CORPUS: Final = (
    "The mean of cases is that of single texts. The figure of the corpus is the exponential of the mean of -logprob "
    "over the mean of words (or bytes), both of which the report estimates: `--details logprob`, `--details words`."
)

LIKELIHOODS: Final = (
    two_forms(
        "truthfulqa_mc1",
        "truthfulqa/truthful_qa",
        asks=_mc1,
        normed_first=False,
        title="TruthfulQA, one true answer (MC1)",
        measures="Whether a model prefers the one true answer to common misconceptions, in 817 questions.",
        config="multiple_choice",
        split="validation",
        reads={
            "question": "question",
            "mc1_targets.choices": "options",
            "mc1_targets.labels": ("answer", "marks"),
        },
        license="Apache 2.0",
        source="https://arxiv.org/abs/2109.07958",
        pitfalls=(
            _SIX,
            "The true answer is always the first in the dataset: it is shown in an order that follows from the texts.",
            "acc is MC1; the normalised figures are not reported in papers.",
        ),
        samples=_mc1_samples(),
    ),
    _likelihood(
        "truthfulqa_mc2",
        "truthfulqa/truthful_qa",
        content=_mc2,
        forms=(LIKELIHOOD,),
        title="TruthfulQA, probability of the true answers (MC2)",
        measures="How much of its probability a model gives to the true ones among several answers, in 817 questions.",
        config="multiple_choice",
        split="validation",
        reads={
            "question": "question",
            "mc2_targets.choices": "options",
            "mc2_targets.labels": ("answer", "marks"),
        },
        metrics=(ComponentChoice(component_id="builtin/right_probability", options={"component_id": "mc2"}),),
        license="Apache 2.0",
        source="https://arxiv.org/abs/2109.07958",
        pitfalls=(_SIX, "The figure is a share of probability and no accuracy; lengths are not normalised."),
        samples=(
            Sample(row=_truthful("mc2_targets", [1, 0, 0]), right=0, wrong=2),
            Sample(row=_truthful("mc2_targets", [1, 1, 0]), right=1, wrong=2),
        ),
    ),
    _likelihood(
        "lambada_openai",
        "EleutherAI/lambada_openai",
        content=_lambada,
        forms=(LIKELIHOOD,),
        title="LAMBADA (OpenAI's version)",
        measures="Whether a model says the last word of 5,153 passages that only their whole gives away.",
        config="<variant>",
        default_variant="default",
        variants=("default", "de", "en", "es", "fr", "it"),
        reads={"text": "question"},
        metrics=(
            ComponentChoice(component_id="builtin/greedy_continuation", options={"component_id": "acc"}),
            _surprise("word"),
        ),
        license="modified MIT",
        source="https://arxiv.org/abs/1606.06031",
        pitfalls=(
            "The original set is tokenised and in lower case, and gives other figures by several points.",
            "acc counts a word that is the greedy continuation token by token. The perplexity of papers is the "
            "exponential of the mean of -logprob over cases (`--details logprob`), one word each.",
        ),
        samples=(
            Sample(row=_LAMBADA, right=0, wrong=1),
            Sample(row={"text": "One, two, three, four"}, right=0, wrong=1),
        ),
    ),
    _likelihood(
        "wikitext",
        "EleutherAI/wikitext_document_level",
        content=_wikitext,
        forms=(LIKELIHOOD,),
        prompt_spec=_ALONE,
        title="WikiText-2 (by document)",
        measures="How much 62 pages of Wikipedia surprise a model, per word and per byte.",
        config="wikitext-2-raw-v1",
        reads={"page": "question"},
        metrics=(_surprise("word"), _surprise("byte")),
        license="CC BY-SA 3.0 and GFDL",
        source="https://arxiv.org/abs/1609.07843",
        pitfalls=(
            _CORPUS,
            "A page that is longer than the model's context is refused by most models; the figures of papers slide a "
            "window over it.",
            "The perplexity per token of the whole test set in one text is another number.",
        ),
        samples=(
            Sample(row={"page": _PAGE}, right=0, wrong=1, right_score=math.exp(4 / 8), wrong_score=math.exp(104 / 8)),
            Sample(
                row={"page": "One two ."}, right=0, wrong=1, right_score=math.exp(4 / 3), wrong_score=math.exp(104 / 3)
            ),
        ),
    ),
    _likelihood(
        "crows_pairs",
        "jannalu/crows_pairs_multilingual",
        content=_crows,
        forms=(LIKELIHOOD,),
        prompt_spec=_ALONE,
        title="CrowS-Pairs",
        measures="How often a model finds the more stereotyping of two sentences likelier: one half is without bias.",
        config="<variant>",
        variants=("english", "french"),
        default_variant="english",
        reads={"sent_more": ("options", "text"), "sent_less": ("options", "text")},
        labels=("stereo_antistereo", "bias_type"),
        groups_by=("bias_type",),
        metrics=(accuracy("pct_stereotype"),),
        license="CC BY-SA 4.0",
        source="https://arxiv.org/abs/2010.00133",
        pitfalls=(
            "A higher score is no better one: 0.5 is without preference.",
            "Many pairs differ in more than the group that they name, so that single ones mean little.",
        ),
        samples=(
            Sample(row=_pair("The tourist from Nowhere was rude.", "The tourist was rude."), right=0, wrong=1),
            Sample(row=_pair("People from Nowhere are late.", "People are late."), right=0, wrong=1, variant="english"),
        ),
    ),
)
