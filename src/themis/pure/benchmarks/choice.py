"""Multiple choice: options with letters, and the letter read out of the answer."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, Role, RowMisfitError
from themis.pure.benchmarks.images import with_images
from themis.pure.benchmarks.recipe import ComponentChoice, Content, hub_recipe
from themis.pure.benchmarks.samples.choice import CHOICE_SAMPLES
from themis.pure.records.prompt import PromptSpec

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_ONE_LETTER: Final = PromptSpec(
    suffix="\n\nExactly one option is right. Reason as far as you need to, then end with one line of the form "
    "`Answer: X`, where X is the letter of your option."
)
_STATED_LETTER: Final = PromptSpec(
    suffix="\n\nExactly one option is right. Reason as far as you need to, then end with one line of the form "
    "`Answer: X`, where X is the capital letter, A to D, that the last lines of the question give to your option."
)
_SEVERAL_LETTERS: Final = PromptSpec(
    suffix="\n\nOne or several options are right. Reason as far as you need to, then end with one line of the form "
    "`Answer: X`, where X is the letter of every right option, such as `Answer: B` or `Answer: A, C`."
)
_BABE_OPTIONS: Final = {"A": "The sentence is entirely factual.", "B": "The sentence is opinionated."}


def _with_options(question: str, options: Mapping[str, Any]) -> str:
    """Return a question with its options below, each with its letter.

    >>> print(_with_options("Where?", {"A": "Paris", "B": "Rome"}))
    Where?
    <BLANKLINE>
    A. Paris
    B. Rome
    """
    return f"{question.strip()}\n\n" + "\n".join(f"{letter}. {text}" for letter, text in options.items())


def _letter(value: Any, letters: Sequence[str]) -> str:
    """Return the reference as a letter; refuse one that no option has."""
    letter = str(value).strip().upper()
    if letter not in tuple(letters):  # a text of letters holds pairs of them, too
        raise RowMisfitError("answer", f"the letter of an option expected ({', '.join(letters)}), found {value!r}")
    return letter


def _choice_content(fields: Fields, variant: str) -> Content:
    """Ask the question with its options below; the reference is the letter."""
    if len(fields["options"]) > len(_LETTERS):
        raise RowMisfitError("options", f"at most {len(_LETTERS)} options expected, found {len(fields['options'])}")
    options = dict(zip(_LETTERS, fields["options"], strict=False))
    return Content(_with_options(fields["question"], options), _letter(fields["answer"], _LETTERS[: len(options)]))


def _stated_options_content(fields: Fields, variant: str) -> Content:
    return Content(fields["question"], _letter(fields["answer"], _LETTERS[:4]))


def _babe_content(fields: Fields, variant: str) -> Content:
    """Ask whether a sentence is factual (A, label 0) or opinionated (B, label 1)."""
    label = fields["answer"]
    if label not in (0, 1):
        raise RowMisfitError("answer", f"0 (factual) or 1 (opinionated) expected, found {label!r}")
    question = f"How is this sentence from a news article written?\n\n{fields['question'].strip()}"
    return Content(_with_options(question, _BABE_OPTIONS), _LETTERS[label])


def _superchem_content(fields: Fields, variant: str) -> Content:
    """Ask the question with its options and images; several letters in the reference mean all of them."""
    options = {letter: text for letter, text in sorted(fields["options"].items()) if text is not None}
    letters = sorted({_letter(letter, tuple(options)) for letter in fields["answer"]})
    asked = _with_options(fields["question"], options)
    return Content(with_images(asked, fields.get("images")), "".join(letters))


def _letter_parser(count: int) -> tuple[ComponentChoice, ...]:
    """Return the parser for questions that all have so many options: a letter beyond them is then no answer."""
    return (ComponentChoice(component_id="builtin/choice_letter", options={"options": count}),)


_OPTION: Final[tuple[Role, str]] = ("options", "result")
"""A column for each option."""

_choice: Final = functools.partial(
    hub_recipe,
    kind="choice",
    content=_choice_content,
    prompt_spec=_ONE_LETTER,
    parsers=("builtin/choice_letter",),
    metrics=("builtin/choice_accuracy",),
)

CHOICE: Final = (
    _choice(
        "babe",
        "mediabiasgroup/BABE",
        samples=CHOICE_SAMPLES["babe"],
        content=_babe_content,
        parsers=_letter_parser(2),
        title="BABE (Bias Annotations By Experts)",
        measures="Whether a model tells factual from opinionated sentences of news articles, as experts labelled them.",
        reads={"uuid": "id", "text": "question", "label": ("answer", "integer")},
        labels=("outlet", "topic", "type", "label_opinion"),
        license="as stated on the dataset's page",
        pitfalls=(
            "The label is the experts' majority; on close calls a careful reader may differ.",
            "Guessing scores one half: compare with 0.5, and with the share of the commoner label.",
        ),
    ),
    _choice(
        "encyclo_k",
        "m-a-p/Encyclo-K",
        samples=CHOICE_SAMPLES["encyclo_k"],
        title="Encyclo-K",
        measures="Knowledge across disciplines, by questions that combine several statements from reference books.",
        reads={"item_id": "id", "question": "question", "options": "options", "answer_letter": "answer"},
        license="as stated on the dataset's page",
        pitfalls=("A question combines several statements, so that one gap in knowledge fails the whole question.",),
    ),
    _choice(
        "gpqa_diamond",
        "fingertap/GPQA-Diamond",
        samples=CHOICE_SAMPLES["gpqa_diamond"],
        content=_stated_options_content,
        parsers=_letter_parser(4),
        title="GPQA Diamond",
        prompt_spec=_STATED_LETTER,
        measures="198 graduate-level questions in biology, chemistry and physics that a web search does not answer.",
        reads={"item_id": "id", "question": "question", "answer": "answer"},
        license="CC BY 4.0",
        pitfalls=(
            "The options stand in the question's text, in one fixed order; a lower-case list is mapped to the letters "
            "A to D below it, and the letter is what counts.",
            "The dataset is a copy by a third party of what the authors published.",
            "With 198 questions the 95% interval is some 14 points wide.",
        ),
    ),
    _choice(
        "mmlu_pro",
        "TIGER-Lab/MMLU-Pro",
        samples=CHOICE_SAMPLES["mmlu_pro"],
        title="MMLU-Pro",
        measures="Knowledge and reasoning in 14 subjects, with up to ten options a question.",
        reads={"question_id": "id", "question": "question", "options": "options", "answer": "answer"},
        labels=("category", "src"),
        groups_by=("category",),
        license="MIT",
        pitfalls=(
            "The authors prompt with five worked examples a subject; here there are none.",
            "Questions have between three and ten options, so that guessing scores more than a tenth.",
        ),
    ),
    _choice(
        "mmmlu",
        "openai/MMMLU",
        samples=CHOICE_SAMPLES["mmmlu"],
        parsers=_letter_parser(4),
        title="MMMLU (multilingual MMLU)",
        measures="MMLU's questions in 14 languages, translated by professionals.",
        config="<variant>",
        default_variant="default",
        open_variants="a language of the dataset, such as ZH_CN, DE_DE or SW_KE; without one, all of them",
        reads={"Unnamed: 0": "id", "Question": "question", **dict.fromkeys("ABCD", _OPTION), "Answer": "answer"},
        labels=("Subject",),
        groups_by=("Subject",),
        license="MIT",
        pitfalls=(
            "Without a variant all languages are mixed, and an id that comes again ends in its row's number.",
            "The prompt around the question is English in all languages.",
            "MMLU's own errors (some percent of its references are wrong) are translated too.",
        ),
    ),
    _choice(
        "superchem",
        "ZehuaZhao/SUPERChem",
        samples=CHOICE_SAMPLES["superchem"],
        content=_superchem_content,
        title="SUPERChem",
        measures="Five hundred chemistry problems of expert level, many with figures, some with several right options.",
        split="train",
        files=("SUPERChem-500.parquet",),
        variants=("en", "zh"),
        default_variant="en",
        reads={
            "uuid": "id",
            "question_<variant>": "question",
            "options_<variant>": ("options", "options"),
            "answer_<variant>": ("answer", "letters"),
            "question_images": "images",
        },
        labels=("field", "question_type"),
        groups_by=("field",),
        prompt_spec=_SEVERAL_LETTERS,
        parsers=(ComponentChoice(component_id="builtin/choice_letter", options={"multiple": True}),),
        license="as stated on the dataset's page",
        pitfalls=(
            "Where several options are right, all of them must be named and no other; part of them scores 0.",
            "Questions have figures: a model that takes no images can't answer them.",
        ),
    ),
    _choice(
        "supergpqa",
        "m-a-p/SuperGPQA",
        samples=CHOICE_SAMPLES["supergpqa"],
        title="SuperGPQA",
        measures="Graduate-level knowledge in 285 disciplines, with up to ten options a question.",
        split="train",
        reads={"uuid": "id", "question": "question", "options": "options", "answer_letter": "answer"},
        labels=("discipline", "field", "subfield", "difficulty"),
        groups_by=("discipline",),
        license="ODC-BY 1.0",
        pitfalls=("The only split is named train: training sets made of everything on the hub may hold it.",),
    ),
)
