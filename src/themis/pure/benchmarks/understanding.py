"""Common sense, reading and inference: multiple choice in both forms, some of it in many languages."""

from __future__ import annotations

import ast
import functools
import re
from typing import Any, Final

from themis.pure.benchmarks.choice_forms import (
    CHAT,
    LIKELIHOOD,
    ONE_LETTER,
    Item,
    by_index,
    by_letter,
    by_number,
    item,
    listed,
    made,
    options_of,
    two_forms,
)
from themis.pure.benchmarks.columns import Fields, Role, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, VariantFacts, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.records.prompt import PromptSpec

_OPTION: Final[tuple[Role, str]] = ("options", "result")
_INDEX: Final[tuple[Role, str]] = ("answer", "integer")
_CONTEXT: Final[tuple[Role, str]] = ("context", "text")
_NAME: Final[tuple[Role, str]] = ("answer", "name")

# --- HellaSwag --------------------------------------------------------------------------------------------

_TITLE: Final = re.compile(r" \[title\]")
_BRACKETS: Final = re.compile(r"\[.*?\]")


def _tidied(text: str) -> str:
    """Return a text without the marks of the WikiHow pages that it was taken from.

    A blank that is left at the beginning stays, as in lm-evaluation-harness: it counts in the length of an ending.

    >>> _tidied("How to sew [title] Take thread. [step] Knot  it.")
    'How to sew. Take thread. Knot it.'
    """
    return _BRACKETS.sub("", _TITLE.sub(". ", text.strip())).replace("  ", " ")


def _hellaswag(fields: Fields, part: str) -> Item:
    first, second = (text or "" for text in fields["context"])
    begun = _tidied(f"{fields['description']}: {first} {second[:1].upper()}{second[1:].lower()}")
    options = [_tidied(option) for option in options_of(fields)]
    return Item(
        question=f"Which of the options is the most plausible continuation?\n\n{begun}",
        options=options,
        right=by_index(fields, len(options)),
        context=begun,
    )


def _hellaswag_row(label: str) -> dict[str, Any]:
    return {
        "ind": 7,
        "activity_label": "Making tea",
        "ctx_a": "A woman fills a kettle with water.",
        "ctx_b": "she",
        "endings": ["paints the wall.", "puts it on the stove.", "dives into it.", "[substeps] eats  the kettle."],
        "label": label,
        "source_id": "made~1",
        "split_type": "indomain",
    }


# --- WinoGrande -------------------------------------------------------------------------------------------


def _winogrande(fields: Fields, variant: str) -> Content:
    """Ask for the option that fills the blank; or how likely the rest of the sentence is behind each of them."""
    begun, blank, rest = fields["question"].strip().partition("_")
    if not blank:
        raise RowMisfitError("question", f"a sentence with a blank `_` expected, found {fields['question']!r}")
    options = options_of(fields)
    right = by_number(fields, 2)
    if variant.rpartition(":")[2] == CHAT:
        asked = f"Which option fills the blank?\n\n{begun}____{rest}\n\n{listed(options)}"
        return Content(asked, "AB"[right])
    if not all(options) or not rest.strip():
        raise RowMisfitError("question", "options that are not empty, and text behind the blank, expected")
    wholes = [f"{option}{rest}" for option in options]
    return Content({"question": begun, "choices": [*wholes, *options]}, wholes[right])


# --- the usual ones ---------------------------------------------------------------------------------------

_YES_NO: Final = ("no", "yes")


def _boolq(fields: Fields, part: str) -> Item:
    question, passage = fields["question"].strip().rstrip("?"), fields["context"].strip()
    return Item(
        question=f"{passage}\n\n{question[:1].upper()}{question[1:]}?",
        options=_YES_NO,
        right=int(fields["answer"]),
        context=f"{passage}\nQuestion: {question}?\nAnswer:",
    )


def _musr(fields: Fields, part: str) -> Item:
    """The choices are the text of a list of Python's."""
    try:
        options = ast.literal_eval(fields["options"])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        options = None
    if not isinstance(options, list) or not all(isinstance(option, str) and option.strip() for option in options):
        raise RowMisfitError("options", f"the text of a list of texts expected, found {fields['options'][:60]!r}")
    narrative, question = fields["context"].strip(), fields["question"].strip()
    numbered = "\n".join(f"{number} - {option.strip()}" for number, option in enumerate(options, 1))
    return Item(
        question=f"{narrative}\n\n{question}",
        options=[option.strip() for option in options],
        right=by_index(fields, len(options)),
        context=f"{narrative}\n\n{question}\n\n{numbered}\nAnswer:",
    )


_PASSAGE: Final = "{context}\n\n{question}"
_TALE: Final = "The river rose all night. By morning the bridge was gone, and the miller rowed to the village."
_TOLD: Final = "How did the miller get to the village?"
_WAYS: Final = ["On foot", "By boat", "On a horse", "He stayed"]


def _race(name: str) -> dict[str, Any]:
    return {"example_id": name, "article": _TALE, "question": _TOLD, "options": _WAYS, "answer": "B"}


READING: Final = (
    two_forms(
        "boolq",
        "google/boolq",
        asks=_boolq,
        normed_first=False,
        words=_YES_NO,
        title="BoolQ",
        measures="3,270 questions that people asked a search engine, to be answered yes or no by a passage.",
        split="validation",
        reads={"passage": _CONTEXT, "question": "question", "answer": ("answer", "boolean")},
        shots_split="train",
        license="CC BY-SA 3.0",
        source="https://arxiv.org/abs/1905.10044",
        pitfalls=("62% of the answers are yes: compare with that, not with one half.",),
        samples=(
            *made({"passage": _TALE, "question": "did the bridge hold", "answer": False}, 0, 1, words=_YES_NO),
            *made({"passage": _TALE, "question": "did the river rise", "answer": True}, 1, 0, words=_YES_NO),
        ),
    ),
    two_forms(
        "race",
        "ehovy/race",
        asks=item(by_letter, chat=_PASSAGE, context="Article: {context}\n\nQuestion: {question}\nAnswer:"),
        normed_first=False,
        options=4,
        title="RACE",
        measures="Reading comprehension of English exams in Chinese schools.",
        config="<variant>",
        variants=("high", "middle", "all"),
        default_variant="high",
        reads={
            "example_id": "id",
            "article": _CONTEXT,
            "question": "question",
            "options": "options",
            "answer": "answer",
        },
        license="for research that is not commercial",
        source="https://arxiv.org/abs/1704.04683",
        pitfalls=(
            "lm-evaluation-harness scores the last question of each article alone (1,045 of 3,498), with the others "
            "and their answers before it: its figures are of another task.",
            "Questions of one article share its id; one that comes again ends in its row's number.",
        ),
        samples=(*made(_race("high1.txt"), 1, 0), *made(_race("middle1.txt"), 1, 3, "middle")),
    ),
    two_forms(
        "logiqa",
        "EleutherAI/logiqa",
        asks=item(
            by_letter, chat=_PASSAGE, context="Passage: {context}\nQuestion: {question}\nChoices:\n{listed}\nAnswer:"
        ),
        options=4,
        title="LogiQA (English)",
        measures="651 questions of logical reasoning from exams for civil servants, translated from Chinese.",
        config="logiqa",
        reads={"context": _CONTEXT, "question": "question", "options": "options", "label": "answer"},
        shots_split="train",
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/2007.08124",
        pitfalls=("In the log-likelihood form the options are listed in the context, and their texts are scored.",),
        samples=(*made({"context": _TALE, "question": _TOLD, "options": _WAYS, "label": "b"}, 1, 2),),
    ),
    two_forms(
        "musr",
        "TAUR-Lab/MuSR",
        asks=_musr,
        title="MuSR",
        measures="Reasoning in many steps over long stories: murder mysteries, where objects are, who does which task.",
        variants=("murder_mysteries", "object_placements", "team_allocation"),
        default_variant="murder_mysteries",
        split="<variant>",
        reads={
            "narrative": _CONTEXT,
            "question": "question",
            "choices": ("options", "text"),
            "answer_index": _INDEX,
        },
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/2310.16049",
        pitfalls=(
            "The three domains have 2, up to 5 and 3 options: run each, and average them, as papers do.",
            "Stories have a thousand words and ask for long reasoning: leave room in the answer.",
        ),
        samples=(
            *made(
                {"narrative": _TALE, "question": _TOLD, "choices": "['On foot', 'By boat']", "answer_index": 1},
                1,
                0,
                "murder_mysteries",
            ),
        ),
    ),
    two_forms(
        "longbench_v2",
        "THUDM/LongBench-v2",
        asks=item(by_letter, chat=_PASSAGE),
        scores="letters",
        options=4,
        title="LongBench v2",
        measures="503 questions about texts of up to two million words: documents, code, conversations, tables.",
        split="train",
        reads={
            "_id": "id",
            "context": _CONTEXT,
            "question": "question",
            **dict.fromkeys((f"choice_{letter}" for letter in "ABCD"), _OPTION),
            "answer": "answer",
        },
        labels=("domain", "sub_domain", "difficulty", "length"),
        groups_by=("length",),
        license="Apache 2.0",
        source="https://arxiv.org/abs/2412.15204",
        pitfalls=(
            "Most texts are longer than most models' context: nothing is cut here, while the authors cut the middle.",
            "Experts get 54% in fifteen minutes, guessing 25%.",
        ),
        samples=(
            *made(
                {"_id": "l-1", "context": _TALE, "question": _TOLD, "answer": "B"}
                | {f"choice_{letter}": way for letter, way in zip("ABCD", _WAYS, strict=True)}
                | {"domain": "Stories", "sub_domain": "Rivers", "difficulty": "easy", "length": "short"},
                1,
                0,
            ),
        ),
    ),
)

COMMON_SENSE: Final = (
    two_forms(
        "hellaswag",
        "Rowan/hellaswag",
        asks=_hellaswag,
        options=4,
        title="HellaSwag",
        measures="10,042 beginnings of everyday scenes, with one plausible and three absurd endings each.",
        split="validation",
        reads={
            "ind": "id",
            "activity_label": "description",
            "ctx_a": ("context", "any text"),
            "ctx_b": ("context", "any text"),
            "endings": "options",
            "label": _NAME,
        },
        labels=("activity_label", "split_type", "source_id"),
        shots=10,
        shots_split="train",
        license="MIT",
        source="https://arxiv.org/abs/1905.07830",
        pitfalls=(
            "The usual figure is acc_norm of the log-likelihood form, with 0 or 10 examples.",
            "Marks of WikiHow pages are cleaned away as is usual; without that, scores move.",
            "The test split's labels are hidden; the validation split is what is reported.",
        ),
        samples=(*made(_hellaswag_row("1"), 1, 0),),
    ),
    two_forms(
        "winogrande",
        "allenai/winogrande",
        asks=item(by_number),
        content=_winogrande,
        options=2,
        title="WinoGrande (XL)",
        measures="1,267 sentences with a blank for one of two names or things that only sense can fill.",
        config="winogrande_xl",
        split="validation",
        reads={"sentence": "question", "option1": _OPTION, "option2": _OPTION, "answer": _NAME},
        variant_facts=(
            VariantFacts(
                variant=LIKELIHOOD,
                prompt_spec=PromptSpec(template="{question}", continuations="choices"),
                parsers=("builtin/json_identity",),
                metrics=(ComponentChoice(component_id="builtin/likelier_context", options={"component_id": "acc"}),),
            ),
        ),
        shots=5,
        shots_split="train",
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/1907.10641",
        pitfalls=(
            "The log-likelihood form scores the text behind the blank, given each option before it (partial "
            "evaluation); whole sentences, or the options themselves, give other figures.",
            "Guessing scores one half.",
        ),
        samples=(
            *made(
                {"sentence": "The trophy did not fit into the case, for the _ was too big.", "answer": "1"}
                | {"option1": "trophy", "option2": "case"},
                0,
                1,
            ),
            *made(
                {"sentence": "_ thanked Ann, who had helped.", "answer": "2", "option1": "Ann", "option2": "Eve"}, 1, 0
            ),
        ),
    ),
    two_forms(
        "piqa",
        "ybisk/piqa",
        asks=item(
            by_index,
            chat="Which option reaches the goal better?\n\n{question}",
            context="Question: {question}\nAnswer:",
        ),
        options=2,
        title="PIQA",
        measures="1,838 everyday goals with two ways to reach them, of which one is physically sensible.",
        split="validation",
        reads={"goal": "question", "sol1": _OPTION, "sol2": _OPTION, "label": _INDEX},
        shots_split="train",
        license="AFL 3.0 (of the repository)",
        source="https://arxiv.org/abs/1911.11641",
        pitfalls=(
            "The original needs a loading script: `source=` takes a copy such as baber/piqa with the same columns.",
            "Guessing scores one half.",
        ),
        samples=(
            *made(
                {"goal": "Keep bread fresh", "sol1": "Leave it in the rain.", "sol2": "Wrap it up.", "label": 1}, 1, 0
            ),
        ),
    ),
    two_forms(
        "siqa",
        "lighteval/siqa",
        asks=item(by_number, chat=_PASSAGE, context="Q: {context} {question}\nA:"),
        options=3,
        title="Social IQa",
        measures="1,954 questions about how people act and feel in everyday situations.",
        split="validation",
        reads={
            "context": _CONTEXT,
            "question": "question",
            **dict.fromkeys((f"answer{letter}" for letter in "ABC"), _OPTION),
            "label": _NAME,
        },
        shots_split="train",
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/1904.09728",
        pitfalls=("acc and acc_norm are both reported, and differ by several points: say which.",),
        samples=(
            *made(
                {"context": "Kim lent Lee an umbrella.", "question": "How does Lee feel?", "label": "3"}
                | {"answerA": "angry", "answerB": "bored", "answerC": "grateful"},
                2,
                0,
            ),
        ),
    ),
)

# --- in many languages ------------------------------------------------------------------------------------

_BECAUSE: Final[dict[str, tuple[str, str]]] = {
    "et": ("sest", "seetõttu"),
    "ht": ("poukisa", "donk sa"),
    "id": ("karena", "maka"),
    "it": ("perché", "quindi"),
    "qu": ("imataq", "chaymi"),
    "sw": ("kwa sababu", "kwa hiyo"),
    "ta": ("காரணமாக", "எனவே"),
    "th": ("เพราะ", "ดังนั้น"),
    "tr": ("çünkü", "bu yüzden"),
    "vi": ("bởi vì", "vì vậy"),
    "zh": ("因为", "所以"),
}
"""What joins a premise with its cause, and with its effect."""


def _xcopa(fields: Fields, part: str) -> Item:
    premise, relation, options = fields["context"].strip(), fields["question"].strip(), options_of(fields)
    if relation not in ("cause", "effect"):
        raise RowMisfitError("question", f"cause or effect expected, found {fields['question']!r}")
    because, therefore = _BECAUSE[part]
    joined = f"{premise.rstrip('.。')} {because if relation == 'cause' else therefore}"
    asked = "What was the cause?" if relation == "cause" else "What happened as a result?"
    lowered = [f"{option[:1].lower()}{option[1:]}" for option in options]
    return Item(question=f"{premise}\n\n{asked}", options=lowered, right=by_index(fields, 2), context=joined)


def _xstorycloze(fields: Fields, part: str) -> Item:
    story = " ".join(sentence.strip() for sentence in fields["context"])
    return Item(
        question=f"{story}\n\nWhich option ends this story better?",
        options=options_of(fields),
        right=by_number(fields, 2),
        context=story,
    )


_RELATIONS: Final = (
    "The statement follows from the text.",
    "The text leaves the statement open.",
    "The text contradicts the statement.",
)


def _xnli(fields: Fields, variant: str) -> Content:
    label = fields["answer"]
    if label not in range(3):
        raise RowMisfitError("answer", f"0 (entailment), 1 (neutral) or 2 (contradiction) expected, found {label!r}")
    premise, hypothesis = fields["context"].strip(), fields["question"].strip()
    return Content(f"Text: {premise}\n\nStatement: {hypothesis}\n\n{listed(_RELATIONS)}", "ABC"[label])


def _languages(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_by_language: Final = functools.partial(two_forms, config="<variant>")


MULTILINGUAL: Final = (
    _by_language(
        "belebele",
        "facebook/belebele",
        asks=item(by_number, chat=_PASSAGE, context="P: {context}\nQ: {question}"),
        scores="letters",
        options=4,
        title="Belebele",
        measures="900 questions about short passages, the same in 122 languages.",
        default_variant="all",
        open_variants="a language and script as FLORES writes them, such as `deu_Latn`",
        reads={
            "link": "id",
            "question_number": "id",
            "flores_passage": _CONTEXT,
            "question": "question",
            **dict.fromkeys((f"mc_answer{number}" for number in (1, 2, 3, 4)), _OPTION),
            "correct_answer_num": _NAME,
        },
        labels=("dialect",),
        groups_by=("dialect",),
        license="CC BY-SA 4.0",
        source="https://arxiv.org/abs/2308.16884",
        pitfalls=(
            "There is no training split: examples must come from other data.",
            "lm-evaluation-harness lists the options behind a colon, `A: ...`; here it is a full stop.",
            "With all languages together, an id that comes again ends in its row's number; papers average languages.",
            "The prompt around the question is English in all languages.",
        ),
        samples=(
            *made(
                {"link": "https://example.org/1", "question_number": 1, "flores_passage": _TALE, "question": _TOLD}
                | {f"mc_answer{number}": way for number, way in enumerate(_WAYS, 1)}
                | {"correct_answer_num": "2", "dialect": "eng_Latn"},
                1,
                0,
                "eng_Latn",
            ),
        ),
    ),
    _by_language(
        "xstorycloze",
        "juletxara/xstory_cloze",
        asks=_xstorycloze,
        normed_first=False,
        options=2,
        title="XStoryCloze",
        measures="1,511 stories of four sentences with a right and a wrong ending, the same in 11 languages.",
        variants=_languages("en ar es eu hi id my ru sw te zh"),
        default_variant="en",
        split="eval",
        reads={
            "story_id": "id",
            **dict.fromkeys((f"input_sentence_{number}" for number in (1, 2, 3, 4)), _CONTEXT),
            "sentence_quiz1": _OPTION,
            "sentence_quiz2": _OPTION,
            "answer_right_ending": _NAME,
        },
        shots_split="train",
        license="CC BY-SA 4.0",
        source="https://arxiv.org/abs/2112.10668",
        pitfalls=("The name alone is English: papers average over languages.", "Guessing scores one half."),
        samples=(
            *made(
                {"story_id": "x-1", "sentence_quiz1": "He swam home.", "sentence_quiz2": "He slept well."}
                | {f"input_sentence_{number}": f"Tom walked mile {number}." for number in (1, 2, 3)}
                | {"input_sentence_4": "At last he lay down.", "answer_right_ending": 2},
                1,
                0,
                "en",
            ),
        ),
    ),
    _by_language(
        "xcopa",
        "cambridgeltl/xcopa",
        asks=_xcopa,
        normed_first=False,
        options=2,
        title="XCOPA",
        measures="500 premises of which one of two sentences is the cause, or the effect, in 11 languages.",
        variants=tuple(_BECAUSE),
        default_variant="it",
        reads={
            "idx": "id",
            "premise": _CONTEXT,
            "question": "question",
            "choice1": _OPTION,
            "choice2": _OPTION,
            "label": _INDEX,
        },
        shots_split="validation",
        license="CC BY 4.0",
        source="https://arxiv.org/abs/2005.00333",
        pitfalls=(
            "The words for because and therefore decide much in the log-likelihood form.",
            "The name alone is Italian: papers average over languages.",
        ),
        samples=(
            *made(
                {"idx": 1, "premise": "Il ponte crollò.", "question": "cause", "label": 1}
                | {"choice1": "Era domenica.", "choice2": "Il fiume salì."},
                1,
                0,
                "it",
            ),
            *made(
                {"idx": 2, "premise": "Adam yorgundu.", "question": "effect", "label": 0}
                | {"choice1": "Uyudu.", "choice2": "Koştu."},
                0,
                1,
                "tr",
            ),
        ),
    ),
    hub_recipe(
        "xnli",
        "facebook/xnli",
        content=_xnli,
        kind="choice",
        config="<variant>",
        prompt_spec=ONE_LETTER,
        parsers=(ComponentChoice(component_id="builtin/choice_letter", options={"options": 3}),),
        metrics=("builtin/choice_accuracy",),
        title="XNLI",
        measures="Whether one sentence follows from another, contradicts it, or neither: 2,490 pairs in 15 languages.",
        variants=_languages("en ar bg de el es fr hi ru sw th tr ur vi zh"),
        default_variant="en",
        split="validation",
        reads={"premise": _CONTEXT, "hypothesis": "question", "label": _INDEX},
        shots_split="train",
        license="as stated on the dataset's page (the paper: CC BY-NC)",
        source="https://arxiv.org/abs/1809.05053",
        pitfalls=(
            "lm-evaluation-harness scores three sentences with words such as right and also between the two, which "
            "decide the figure; here a model names a letter, so that figures are of another task.",
            "The prompt around the sentences is English in all languages.",
            "The name alone is English: papers average over languages.",
        ),
        samples=(
            Sample(
                row={"premise": "It rains in Oslo.", "hypothesis": "Oslo is dry.", "label": 2},
                right="Answer: C",
                wrong="Answer: A",
                variant="en",
            ),
            Sample(
                row={"premise": "Es regnet in Oslo.", "hypothesis": "Oslo ist nass.", "label": 0},
                right="Answer: A",
                wrong="Answer: B",
                variant="de",
            ),
        ),
    ),
)

UNDERSTANDING: Final = (*READING, *COMMON_SENSE, *MULTILINGUAL)
