"""Exams: multiple choice about what a model knows, in both forms."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import attrs

from themis.pure.benchmarks.choice_forms import (
    Item,
    by_index,
    by_label,
    by_letter,
    in_stated_order,
    item,
    made,
    options_of,
    two_forms,
)
from themis.pure.benchmarks.columns import Fields, Role, Row, RowMisfitError
from themis.pure.benchmarks.recipe import BenchmarkRecipe

_OPTION: Final[tuple[Role, str]] = ("options", "result")
_INDEX: Final[tuple[Role, str]] = ("answer", "integer")
_CAPITAL: Final = "Which city is the capital of Australia?"
_CITIES: Final = ["Sydney", "Canberra", "Melbourne", "Perth"]
_METAL: Final = "Which of these metals is liquid at room temperature?"
_METALS: Final = ["Iron", "Gold", "Mercury", "Zinc"]

_CUE: Final = "答案："  # noqa: RUF001  # Chinese for "Answer:"
_choice4: Final = functools.partial(two_forms, options=4)

# --- MMLU and its like ------------------------------------------------------------------------------------

_STEM: Final = (
    "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics "
    "college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics "
    "high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics "
    "high_school_physics high_school_statistics machine_learning"
)
_HUMANITIES: Final = (
    "formal_logic high_school_european_history high_school_us_history high_school_world_history international_law "
    "jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law "
    "world_religions"
)
_SOCIAL: Final = (
    "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics "
    "high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations "
    "security_studies sociology us_foreign_policy"
)
_OTHER: Final = (
    "business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing "
    "medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology"
)
MMLU_GROUPS: Final[Mapping[str, str]] = {
    subject: group
    for group, subjects in {
        "stem": _STEM,
        "humanities": _HUMANITIES,
        "social_sciences": _SOCIAL,
        "other": _OTHER,
    }.items()
    for subject in subjects.split()
}
"""The four groups of MMLU's 57 subjects, as its authors report them (arXiv 2009.03300)."""

_mmlu_item: Final = item(by_index)


def _mmlu(fields: Fields, part: str) -> Item:
    group = MMLU_GROUPS.get(fields["description"])
    return attrs.evolve(_mmlu_item(fields, part), labels={"group": group} if group else {})


def _mmlu_row(question: str, choices: list[str], answer: int, subject: str) -> dict[str, Any]:
    return {"question": question, "choices": choices, "answer": answer, "subject": subject}


def _redux_left_out(row: Row, variant: str) -> str | None:
    kind = row.get("error_type")
    return f"its annotators found an error: {kind}" if isinstance(kind, str) and kind not in ("ok", "") else None


def _redux_row(kind: str) -> dict[str, Any]:
    return {"question": _CAPITAL, "choices": _CITIES, "answer": 1, "error_type": kind}


_MMLU: Final = (
    _choice4(
        "mmlu",
        "cais/mmlu",
        asks=_mmlu,
        scores="letters",
        title="MMLU (Massive Multitask Language Understanding)",
        measures="Knowledge in 57 subjects from elementary school to profession, with four options a question.",
        config="<variant>",
        default_variant="all",
        open_variants="a subject, such as `anatomy`",
        reads={"question": "question", "choices": "options", "answer": _INDEX, "subject": "description"},
        labels=("subject",),
        derived=("group",),
        groups_by=("subject",),
        shots=5,
        shots_split="dev",
        shots_seed=None,
        license="MIT",
        source="https://arxiv.org/abs/2009.03300",
        pitfalls=(
            "Papers show five examples of the question's own subject: run a subject with `shots='usual'`. With all "
            "subjects in one run the examples are the first five of the split, whatever a question's subject.",
            "A line that names the subject, which harnesses put in front of all, is not shown: `prompt=` takes it.",
            "lm-evaluation-harness averages over questions (micro), HELM and some papers over subjects (macro): the "
            "report shows both.",
            "The test split holds 105 questions twice, and some percent of its references are wrong: see mmlu_redux.",
        ),
        samples=(
            *made(_mmlu_row(_CAPITAL, _CITIES, 1, "high_school_geography"), 1, 0),
            *made(_mmlu_row(_METAL, _METALS, 2, "college_chemistry"), 2, 3),
        ),
    ),
    _choice4(
        "mmlu_redux",
        "edinburgh-dawg/mmlu-redux-2.0",
        asks=item(by_index),
        scores="letters",
        title="MMLU-Redux 2.0",
        measures="A hundred questions of each of MMLU's subjects, checked by hand; those with an error are left out.",
        config="<variant>",
        default_variant="all",
        open_variants="a subject, such as `anatomy`",
        reads={
            "question": "question",
            "choices": "options",
            "answer": _INDEX,
            "error_type": ("rule", "text"),
        },
        labels=("error_type",),
        license="CC BY 4.0",
        source="https://arxiv.org/abs/2406.04127",
        leaves_out=_redux_left_out,
        pitfalls=(
            "Questions in which the annotators found an error are left out, and counted, as most papers do; others "
            "correct the reference and keep them.",
            "The rows don't say their subject: run a subject by its name.",
        ),
        samples=(
            *made(_redux_row("ok"), 1, 2),
            attrs.evolve(made(_redux_row("wrong_groundtruth"), 1, 2)[0], left_out=True),
        ),
    ),
    _choice4(
        "c_eval",
        "ceval/ceval-exam",
        asks=item(by_letter, cue=_CUE),
        scores="letters",
        title="C-Eval",
        measures="Chinese exams in 52 subjects, with four options a question.",
        config="<variant>",
        default_variant="all",
        open_variants="a subject, such as `basic_medicine`",
        split="val",
        reads={"id": "id", "question": "question", **dict.fromkeys("ABCD", _OPTION), "answer": "answer"},
        shots=5,
        shots_split="dev",
        shots_seed=None,
        license="CC BY-NC-SA 4.0",
        source="https://arxiv.org/abs/2305.08322",
        pitfalls=(
            "The test split's answers are hidden: figures of 1,346 validation questions are not those of its server.",
            "Ids start anew in each subject: with all together, one that comes again ends in its row's number.",
            "The text around the question of the chat form is English.",
        ),
        samples=(
            *made(
                {"id": 0, "question": "澳大利亚的首都是____。", "A": "悉尼", "B": "堪培拉", "C": "珀斯", "D": "墨尔本"}
                | {"answer": "B"},
                1,
                0,
            ),
        ),
    ),
    _choice4(
        "cmmlu",
        "haonan-li/cmmlu",
        asks=item(by_letter, cue=_CUE),
        scores="letters",
        title="CMMLU",
        measures="Knowledge in 67 subjects in Chinese, some of them about China alone, with four options a question.",
        config="<variant>",
        default_variant="all",
        open_variants="a subject, such as `agronomy`",
        reads={"Question": "question", **dict.fromkeys("ABCD", _OPTION), "Answer": "answer"},
        shots=5,
        shots_split="dev",
        shots_seed=None,
        license="CC BY-NC 4.0",
        source="https://arxiv.org/abs/2306.09212",
        pitfalls=(
            "Papers average over subjects (macro), lm-evaluation-harness over questions: the rows don't say their "
            "subject, so run each by its name for the former.",
            "The text around the question of the chat form is English.",
        ),
        samples=(
            *made(
                {"Question": "常温下呈液态的金属是", "A": "铁", "B": "金", "C": "汞", "D": "锌", "Answer": "C"}, 2, 0
            ),
        ),
    ),
)

# --- science ----------------------------------------------------------------------------------------------


def _arc(benchmark_id: str, title: str, measures: str, shots: int, pitfalls: tuple[str, ...]) -> BenchmarkRecipe:
    def row(number: str, question: str, texts: list[str], labels: list[str], key: str) -> dict[str, Any]:
        return {"id": number, "question": question, "choices": {"text": texts, "label": labels}, "answerKey": key}

    return two_forms(
        benchmark_id,
        "allenai/ai2_arc",
        asks=item(by_label),
        title=title,
        measures=measures,
        config=title,
        reads={
            "id": "id",
            "question": "question",
            "choices.text": "options",
            "choices.label": "labels",
            "answerKey": "answer",
        },
        shots=shots,
        shots_split="train",
        license="CC BY-SA 4.0",
        source="https://arxiv.org/abs/1803.05457",
        pitfalls=pitfalls,
        samples=(
            *made(row("a-1", _METAL, _METALS, ["A", "B", "C", "D"], "C"), 2, 0),
            *made(row("a-2", _CAPITAL, _CITIES[:3], ["1", "2", "3"], "2"), 1, 2),
        ),
    )


def _sciq(fields: Fields, part: str) -> Item:
    """The right answer is the last of the four: they come in an order of their own."""
    question, passage = fields["question"].strip(), (fields.get("context") or "").strip()
    asked = _last_is_right(question, options_of(fields))
    context = f"Question: {question}\nAnswer:"
    return attrs.evolve(
        asked,
        question=f"{passage}\n\n{question}".strip(),
        context=f"{passage}\n{context}" if passage else context,
    )


def _last_is_right(question: str, options: list[str]) -> Item:
    order = in_stated_order(question, options)
    return Item(question=question, options=[options[index] for index in order], right=order.index(len(options) - 1))


def _sciq_samples(question: str, wrong: list[str], right: str, support: str) -> tuple[Any, ...]:
    row = {f"distractor{number}": text for number, text in enumerate(wrong, 1)}
    asked = _last_is_right(question, [*wrong, right])
    row |= {"question": question, "correct_answer": right, "support": support}
    return (*made(row, asked.right, (asked.right + 1) % 4),)


def _gpqa_row(number: str, question: str, right: str, wrong: list[str]) -> dict[str, Any]:
    return {
        "Record ID": number,
        "Question": question,
        "Correct Answer": right,
        **{f"Incorrect Answer {place}": text for place, text in enumerate(wrong, 1)},
        "High-level domain": "Chemistry",
        "Subdomain": "Inorganic chemistry",
    }


def _gpqa(fields: Fields, part: str) -> Item:
    question, options = fields["question"].strip(), options_of(fields)
    return _last_is_right(question, [*options[1:], options[0]])


def _gpqa_samples() -> tuple[Any, ...]:
    asked = _last_is_right(_METAL, [_METALS[0], _METALS[1], _METALS[3], _METALS[2]])
    row = _gpqa_row("rec1", _METAL, _METALS[2], [_METALS[0], _METALS[1], _METALS[3]])
    return (*made(row, asked.right, (asked.right + 1) % 4),)


_SCIENCE: Final = (
    _arc(
        "arc_easy",
        "ARC-Easy",
        "2,376 science questions of school exams that simple methods answer.",
        0,
        ("Some questions have three or five options, and some numbers for letters; they are shown as A, B, ...",),
    ),
    _arc(
        "arc_challenge",
        "ARC-Challenge",
        "1,172 science questions of school exams that looking words up does not answer.",
        25,
        (
            "Strong models score 20 to 30 points less where the options' texts are scored and not shown than where "
            "they name a letter: compare figures of one form alone.",
            "The usual figure of base models is acc_norm with 25 examples (`shots='usual'`); 0 are common, too.",
        ),
    ),
    _choice4(
        "openbookqa",
        "allenai/openbookqa",
        asks=item(by_label, context="{question}"),
        title="OpenBookQA",
        measures="500 questions that join a fact of elementary science with common knowledge.",
        config="main",
        reads={
            "id": "id",
            "question_stem": "question",
            "choices.text": "options",
            "choices.label": "labels",
            "answerKey": "answer",
        },
        shots_split="train",
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/1809.02789",
        pitfalls=(
            "The fact that a question is about is not shown, as in most reports.",
            "acc and acc_norm of base models lie some twelve points apart: say which.",
        ),
        samples=(
            *made(
                {
                    "id": "o-1",
                    "question_stem": "A plant that is kept in a dark cupboard will",
                    "choices": {"text": ["bloom", "grow faster", "wither", "bear fruit"], "label": [*"ABCD"]},
                    "answerKey": "C",
                },
                2,
                0,
            ),
        ),
    ),
    _choice4(
        "sciq",
        "allenai/sciq",
        asks=_sciq,
        normed_first=False,
        title="SciQ",
        measures="A thousand science questions of exams, most with a passage that holds the answer.",
        reads={
            "question": "question",
            "distractor1": _OPTION,
            "distractor2": _OPTION,
            "distractor3": _OPTION,
            "correct_answer": _OPTION,
            "support": ("context", "any text"),
        },
        shots_split="train",
        license="CC BY-NC 3.0",
        source="https://arxiv.org/abs/1707.06209",
        pitfalls=(
            "The passage is shown where there is one, which makes the questions easy.",
            "The options come in an order that follows from their texts, for the dataset names the right one.",
        ),
        samples=_sciq_samples(_METAL, ["Iron", "Gold", "Zinc"], "Mercury", "Mercury melts at 39 degrees below zero.")
        + _sciq_samples(_CAPITAL, ["Sydney", "Perth", "Hobart"], "Canberra", ""),
    ),
    _choice4(
        "gpqa",
        "Idavidrein/gpqa",
        asks=_gpqa,
        scores="letters",
        title="GPQA (main, extended and diamond)",
        measures="Graduate-level questions in biology, chemistry and physics that a web search does not answer.",
        config="gpqa_<variant>",
        variants=("main", "extended", "diamond"),
        default_variant="main",
        split="train",
        reads={
            "Record ID": "id",
            "Question": "question",
            "Correct Answer": _OPTION,
            **dict.fromkeys((f"Incorrect Answer {number}" for number in (1, 2, 3)), _OPTION),
        },
        labels=("High-level domain", "Subdomain"),
        groups_by=("High-level domain",),
        license="CC BY 4.0",
        source="https://arxiv.org/abs/2311.12022",
        pitfalls=(
            "The dataset is gated: accept its terms on its page, and give the hub your token. Its authors ask that "
            "questions be not published in plain text.",
            "lm-evaluation-harness writes and scores the letters in brackets, `(A)`; here they are bare.",
            "The options come in one order that follows from their texts; reports average over several orders.",
            "With 198 diamond questions the 95% interval is some 14 points wide.",
        ),
        samples=_gpqa_samples(),
    ),
)

# --- medicine ---------------------------------------------------------------------------------------------

_DECISIONS: Final = ("yes", "no", "maybe")


def _pubmedqa(fields: Fields, part: str) -> Item:
    question, abstract = fields["question"].strip(), "\n".join(fields["context"])
    if fields["answer"] not in _DECISIONS:
        raise RowMisfitError("answer", f"yes, no or maybe expected, found {fields['answer']!r}")
    return Item(
        question=f"{abstract}\n\n{question}",
        options=_DECISIONS,
        right=_DECISIONS.index(fields["answer"]),
        context=f"Abstract: {abstract}\nQuestion: {question}\nAnswer:",
    )


_MEDICINE: Final = (
    _choice4(
        "medqa",
        "GBaker/MedQA-USMLE-4-options-hf",
        asks=item(by_index, context="Question: {question}"),
        scores="letters",
        title="MedQA (USMLE, four options)",
        measures="1,273 questions of the United States' medical licensing exams.",
        reads={
            "id": "id",
            "sent1": "question",
            **dict.fromkeys((f"ending{number}" for number in range(4)), _OPTION),
            "label": _INDEX,
        },
        shots_split="train",
        license="MIT (of the repository)",
        source="https://arxiv.org/abs/2009.13081",
        pitfalls=("Versions with four and with five options are both called MedQA; these are four.",),
        samples=(
            *made(
                {"id": "test-0", "sent1": "Which vitamin does the skin make in sunlight?", "label": 3}
                | {f"ending{place}": f"Vitamin {name}" for place, name in enumerate("ABCD")},
                3,
                0,
            ),
        ),
    ),
    _choice4(
        "medmcqa",
        "openlifescienceai/medmcqa",
        asks=item(by_index, context="Question: {question}\nChoices:"),
        scores="letters",
        title="MedMCQA",
        measures="4,183 questions of Indian medical entrance exams in 21 subjects.",
        split="validation",
        reads={
            "id": "id",
            "question": "question",
            **dict.fromkeys(("opa", "opb", "opc", "opd"), _OPTION),
            "cop": _INDEX,
        },
        labels=("subject_name", "topic_name", "choice_type"),
        groups_by=("subject_name",),
        shots_split="train",
        license="Apache 2.0",
        source="https://arxiv.org/abs/2203.14371",
        pitfalls=(
            "The test split's answers are hidden; the validation split is what is reported.",
            "Questions of choice_type multi have one right option, too.",
        ),
        samples=(
            *made(
                {"id": "m-1", "question": "The largest organ of the human body is the", "cop": 1}
                | {"opa": "liver", "opb": "skin", "opc": "lung", "opd": "heart"}
                | {"subject_name": "Anatomy", "topic_name": None, "choice_type": "single"},
                1,
                0,
            ),
        ),
    ),
    two_forms(
        "pubmedqa",
        "qiaojin/PubMedQA",
        asks=_pubmedqa,
        normed_first=False,
        words=_DECISIONS,
        title="PubMedQA (labelled)",
        measures="Whether an abstract says yes, no or maybe to the question that its paper asks.",
        config="pqa_labeled",
        split="train",
        reads={
            "pubid": "id",
            "question": "question",
            "context.contexts": ("context", "texts"),
            "final_decision": "answer",
        },
        license="MIT",
        source="https://arxiv.org/abs/1909.06146",
        pitfalls=(
            "The one split holds all 1,000 questions; the official test are 500 of them, by a list of ids in the "
            "authors' repository. Filter by id for their figure.",
            "More than half of the answers are yes: compare with 0.55. The paper also reports macro F1.",
        ),
        samples=(
            *made(
                {
                    "pubid": 1,
                    "question": "Does the walk shorten the stay?",
                    "context": {"contexts": ["Walking patients left after 3 days, the others after 5 (p < 0.01)."]},
                    "final_decision": "yes",
                },
                0,
                2,
                words=_DECISIONS,
            ),
        ),
    ),
)

# --- common sense -----------------------------------------------------------------------------------------

_COMMON: Final = (
    two_forms(
        "commonsense_qa",
        "tau/commonsense_qa",
        asks=item(by_label, context="Question: {question}"),
        scores="letters",
        options=5,
        title="CommonsenseQA",
        measures="1,221 questions about everyday concepts, with five options each.",
        split="validation",
        reads={
            "id": "id",
            "question": "question",
            "choices.text": "options",
            "choices.label": "labels",
            "answerKey": "answer",
        },
        labels=("question_concept",),
        shots=7,
        shots_split="train",
        license="MIT",
        source="https://arxiv.org/abs/1811.00937",
        pitfalls=(
            "The test split's answers are hidden; the validation split is what is reported.",
            "0, 5 and 7 examples are all in use: say how many.",
        ),
        samples=(
            *made(
                {
                    "id": "c-1",
                    "question": "Where does one keep milk so that it stays fresh?",
                    "question_concept": "milk",
                    "choices": {"label": [*"ABCDE"], "text": ["oven", "attic", "shelf", "refrigerator", "garden"]},
                    "answerKey": "D",
                },
                3,
                0,
            ),
        ),
    ),
)

KNOWLEDGE: Final = (*_MMLU, *_SCIENCE, *_MEDICINE, *_COMMON)
