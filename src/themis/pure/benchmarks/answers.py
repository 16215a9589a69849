"""Short answers that are compared as text: questions about a passage, facts, and the tasks of BIG-Bench Hard."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.records.prompt import PromptSpec

BRIEF: Final = PromptSpec(
    suffix="\n\nEnd with one line of the form `Answer: ...`, with as few words as the answer needs.",
    answer_template="Answer: {output}",
)
_EXTRACTED: Final = PromptSpec(
    suffix="\n\nAnswer in the words of the text, with as few as possible, in one last line of the form `Answer: ...`. "
    "If the text does not say, write `Answer: unanswerable`.",
    answer_template="Answer: {output}",
)
_SPANS: Final = PromptSpec(
    suffix="\n\nReason as far as you need to, then answer in one last line of the form `Answer: ...`, with a number, "
    "a date or words of the text; several answers are separated by `;`.",
    answer_template="Answer: {output}",
)


def _stated(pattern: str) -> ComponentChoice:
    return ComponentChoice(component_id="builtin/regex", options={"pattern": pattern})


LAST_LINE: Final = (
    _stated(r"(?im)^[^\w\n]*answer[ *]*:[ *]*([^\n]*[^\s*])"),
    ComponentChoice(component_id="builtin/text"),
)
"""What the last line that states an answer says, or else the whole text."""


def _scored(component_id: str, name: str, **options: Any) -> ComponentChoice:
    return ComponentChoice(component_id=component_id, options={"component_id": name, **options})


_EXACT: Final = _scored("builtin/exact_match_normalized", "exact_match", squad=True)
_F1: Final = _scored("builtin/f1", "f1", squad=True)

_brief: Final = functools.partial(
    hub_recipe, kind="exact", prompt_spec=BRIEF, parsers=LAST_LINE, metrics=(_EXACT, _F1), split="validation"
)


def _question(fields: Fields, variant: str) -> Content:
    question = fields["question"].strip()
    return Content(question if question.endswith("?") else f"{question}?", list(fields["answer"]))


# --- passages ---------------------------------------------------------------------------------------------


def _squad(fields: Fields, variant: str) -> Content:
    answers = list(fields["answer"])
    return Content(
        f"{fields['context'].strip()}\n\nQuestion: {fields['question'].strip()}",
        answers or ["unanswerable"],
        {"answerable": "yes" if answers else "no"},
    )


def _drop(fields: Fields, variant: str) -> Content:
    """A reference is a number, else spans, else a date; the validated answers are references, too."""
    found: list[list[str]] = []
    for answer in (fields["answer"], *_transposed(fields.get("labels") or {})):
        spans = _drop_spans(answer)
        if spans and spans not in found:
            found.append(spans)
    if not found:
        raise RowMisfitError("answer", "a number, a date or spans expected, and all are empty")
    return Content(f"{fields['context'].strip()}\n\n{fields['question'].strip()}", found)


def _drop_spans(answer: Mapping[str, Any]) -> list[str]:
    number = answer.get("number")
    if number not in (None, ""):
        return [str(number)]
    spans = answer.get("spans")
    if isinstance(spans, Sequence) and not isinstance(spans, str) and spans:
        return [str(span) for span in spans]
    date = answer.get("date")
    parts = [date.get(part) for part in ("day", "month", "year")] if isinstance(date, Mapping) else []
    written = " ".join(str(part) for part in parts if part not in (None, ""))
    return [written] if written else []


def _transposed(answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the answers of an object of lists."""
    lists = {name: answers.get(name) for name in ("number", "date", "spans")}
    kept = {name: list(value) for name, value in lists.items() if isinstance(value, Sequence)}
    count = max(map(len, kept.values()), default=0)
    return [{name: values[at] for name, values in kept.items() if at < len(values)} for at in range(count)]


def _coqa(fields: Fields, variant: str) -> Content:
    """Give the conversation with its answers, and ask the last question."""
    questions, answers = fields["question"], fields["answer"]
    if len(questions) != len(answers):
        raise RowMisfitError("answer", f"{len(questions)} answers expected, one a question; found {len(answers)}")
    turns = [{"role": "user", "content": f"{fields['context'].strip()}\n\n{questions[0]}"}]
    for answer, question in zip(answers, questions[1:], strict=False):
        turns += [{"role": "assistant", "content": f"Answer: {answer}"}, {"role": "user", "content": question}]
    others = (fields.get("labels") or {}).values()
    more = [other.get("input_text") for other in others if isinstance(other, Mapping)]
    said = [answers[-1], *(texts[-1] for texts in more if isinstance(texts, Sequence) and texts)]
    return Content(turns, list(dict.fromkeys(map(str, said))))


_MATCH: Final = "The Bears led 12 to 3 at half time. Smith and Jones scored, and the Bears won by 9 points."


def _squad_row(number: str, question: str, answers: list[str]) -> dict[str, Any]:
    return {
        "id": number,
        "title": "A match",
        "context": _MATCH,
        "question": question,
        "answers": {"text": answers, "answer_start": [0] * len(answers)},
    }


def _drop_row(number: str, question: str, answer: dict[str, Any]) -> dict[str, Any]:
    empty = {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": []}
    return {
        "query_id": number,
        "passage": _MATCH,
        "question": question,
        "answer": {**empty, **answer},
        "validated_answers": {"number": [""], "date": [empty["date"]], "spans": [["Jones", "Smith"]]},
    }


# --- BIG-Bench Hard ---------------------------------------------------------------------------------------

_BBH: Final = (
    "all boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages formal_fallacies "
    "geometric_shapes hyperbaton logical_deduction_three_objects logical_deduction_five_objects "
    "logical_deduction_seven_objects movie_recommendation multistep_arithmetic_two navigate object_counting "
    "penguins_in_a_table reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks "
    "sports_understanding temporal_sequences tracking_shuffled_objects_three_objects "
    "tracking_shuffled_objects_five_objects tracking_shuffled_objects_seven_objects web_of_lies word_sorting"
)
_LETTER: Final = re.compile(r"\(([A-R])\)")
_STEPS: Final = PromptSpec(
    suffix="\n\nReason step by step, then end with one line of the form `Answer: ...`, which holds the answer alone: "
    "the letter of an option, a word such as True or yes, a number, or what is to be completed.",
    answer_template="Answer: {output}",
)


def _bbh(fields: Fields, variant: str) -> Content:
    target = fields["answer"].strip()
    letter = _LETTER.fullmatch(target)
    return Content(fields["question"].strip(), letter[1] if letter else target)


ANSWERS: Final = (
    _brief(
        "squad_v2",
        "rajpurkar/squad_v2",
        content=_squad,
        title="SQuAD 2.0",
        measures="Questions about a paragraph of Wikipedia, half of which it does not answer.",
        prompt_spec=_EXTRACTED,
        reads={
            "id": "id",
            "context": "context",
            "question": "question",
            "answers.text": ("answer", "any texts"),
        },
        labels=("title",),
        derived=("answerable",),
        groups_by=("answerable",),
        metrics=(_scored("builtin/squad", "f1"), _scored("builtin/squad", "exact", measure="exact")),
        shots_split="train",
        license="CC BY-SA 4.0",
        source="https://arxiv.org/abs/1806.03822",
        pitfalls=(
            "f1 and exact are the official script's, over 100; an answer `unanswerable` counts as its empty answer. "
            "The figures with and without an answer (HasAns, NoAns) are the groups of answerable.",
            "best_f1 and best_exact, which choose a threshold after the fact, are not computed.",
        ),
        samples=(
            Sample(
                row=_squad_row("s-1", "How many points did the Bears lead by in the end?", ["9 points", "9"]),
                right="Answer: 9",
                wrong="Answer: Smith",
            ),
            Sample(row=_squad_row("s-2", "Who coached?", []), right="Answer: unanswerable", wrong="Answer: Jones"),
        ),
    ),
    _brief(
        "drop",
        "EleutherAI/drop",
        content=_drop,
        title="DROP",
        measures="9,535 questions about a paragraph that want counting, sorting and arithmetic.",
        prompt_spec=_SPANS,
        reads={
            "query_id": "id",
            "passage": "context",
            "question": "question",
            "answer": ("answer", "object"),
            "validated_answers": ("labels", "any object"),
        },
        optional=("validated_answers",),
        metrics=(_scored("builtin/drop", "f1"), _scored("builtin/drop", "em", measure="exact")),
        shots=3,
        shots_split="train",
        license="CC BY-SA 4.0",
        source="https://arxiv.org/abs/1903.00161",
        pitfalls=(
            "f1 and em are the official script's, over 100. Harnesses differ in whether several spans are one text.",
            "A stop at a full stop cuts decimals: that is why the Open LLM leaderboard gave DROP up.",
        ),
        samples=(
            Sample(
                row=_drop_row("d-1", "By how many points did they lead at half time?", {"number": "9"}),
                right="12 - 3 is 9.\nAnswer: 9",
                wrong="Answer: 12",
            ),
            Sample(
                row=_drop_row("d-2", "Who scored?", {"spans": ["Smith", "Jones"]}),
                right="Answer: Jones; Smith",
                wrong="Answer: the Bears",
            ),
        ),
    ),
    _brief(
        "coqa",
        "EleutherAI/coqa",
        content=_coqa,
        title="CoQA",
        measures="The last question of 500 conversations about a story, with all that was said before.",
        reads={
            "id": "id",
            "story": "context",
            "questions.input_text": ("question", "texts"),
            "answers.input_text": ("answer", "texts"),
            "additional_answers": ("labels", "any object"),
        },
        optional=("additional_answers",),
        labels=("source",),
        metrics=(_F1, _EXACT),
        license="mixed, by the source of the story",
        source="https://arxiv.org/abs/1808.07042",
        pitfalls=(
            "The best of the references counts; the official script leaves each out once and takes the mean, which "
            "gives lower figures.",
            "Only the last question is asked, as in lm-evaluation-harness; the paper asks all.",
        ),
        samples=(
            Sample(
                row={
                    "id": "q-1",
                    "source": "made",
                    "story": _MATCH,
                    "questions": {"input_text": ["Who won?", "By how much?"], "turn_id": [1, 2]},
                    "answers": {"input_text": ["the Bears", "9 points"]},
                    "additional_answers": {"0": {"input_text": ["Bears", "nine points"]}},
                },
                right="Answer: nine points",
                wrong="Answer: Smith",
            ),
            Sample(
                row={
                    "id": "q-2",
                    "source": "made",
                    "story": _MATCH,
                    "questions": {"input_text": ["Who won?"], "turn_id": [1]},
                    "answers": {"input_text": ["the Bears"]},
                },
                right="Bears",
                wrong="Answer: Jones",
            ),
        ),
    ),
    _brief(
        "triviaqa",
        "mandarjoshi/trivia_qa",
        content=_question,
        title="TriviaQA (closed book)",
        measures="17,944 trivia questions, answered from memory.",
        config="rc.nocontext",
        reads={"question_id": "id", "question": "question", "answer.aliases": ("answer", "texts")},
        labels=("question_source",),
        shots=5,
        shots_split="train",
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/1705.03551",
        pitfalls=(
            "Any alias counts; a whole sentence as the answer does not.",
            "With a search tool it measures the tool.",
        ),
        samples=(
            Sample(
                row={
                    "question_id": "t-1",
                    "question": "Which city is the capital of Australia?",
                    "question_source": "made",
                    "answer": {"aliases": ["Canberra", "Canberra, ACT"], "value": "Canberra"},
                },
                right="Answer: **Canberra**",
                wrong="Answer: Sydney",
            ),
            Sample(
                row={
                    "question_id": "t-2",
                    "question": "Who wrote Faust",
                    "question_source": "made",
                    "answer": {"aliases": ["Goethe", "J. W. von Goethe"], "value": "Goethe"},
                },
                right="It was Goethe.\nAnswer: J. W. von Goethe.",
                wrong="Answer: Schiller",
            ),
        ),
    ),
    _brief(
        "nq_open",
        "google-research-datasets/nq_open",
        content=_question,
        title="Natural Questions (open)",
        measures="3,610 questions that people asked a search engine, answered from memory.",
        reads={"question": "question", "answer": ("answer", "texts")},
        shots=5,
        shots_split="train",
        license="CC BY-SA 3.0",
        source="https://aclanthology.org/P19-1612/",
        pitfalls=(
            "Answers are those of 2018, and not all right ones are listed: careful readers find many more right.",
            "With a search tool it measures the tool.",
        ),
        samples=(
            Sample(
                row={"question": "how many legs has a spider", "answer": ["eight", "8"]},
                right="Answer: 8",
                wrong="Answer: 6",
            ),
            Sample(
                row={"question": "who wrote faust", "answer": ["Johann Wolfgang von Goethe"]},
                right="Answer: Johann Wolfgang von Goethe",
                wrong="I can't say.",
            ),
        ),
    ),
    _brief(
        "bbh",
        "lukaemon/bbh",
        content=_bbh,
        title="BIG-Bench Hard",
        measures="27 tasks of reasoning that models of 2022 did worse in than people, 250 questions each.",
        config="<variant>",
        split="test",
        variants=tuple(_BBH.split()),
        default_variant="all",
        prompt_spec=_STEPS,
        reads={"input": "question", "target": ("answer", "text")},
        parsers=(
            _stated(r"(?im)^[^\w\n]*answer[ *]*:[^\w\n]*\(([A-R])\)"),
            _stated(r"(?im)^[^\w\n]*answer[ *]*:[ *]*([A-R])[.)*]*$"),
            *LAST_LINE,
        ),
        metrics=(_scored("builtin/exact_match_normalized", "exact_match", normalization="casefold"),),
        license="MIT",
        source="https://arxiv.org/abs/2210.09261",
        pitfalls=(
            "The three worked examples of the paper are not shown; `prompt=` takes them.",
            "The rows don't say their task: run each by its name for the paper's mean over tasks. It counts the three "
            "variants of logical deduction, and of tracking objects, once.",
        ),
        samples=(
            Sample(
                row={"input": "not ( True ) is", "target": "False"},
                right="not True is False.\nAnswer: False",
                wrong="Answer: True",
                variant="boolean_expressions",
            ),
            Sample(
                row={"input": "Which is alive?\nOptions:\n(A) a rock\n(B) a cat", "target": "(B)"},
                right="**Answer: (B) a cat**",
                wrong="Answer: (A)",
                variant="all",
            ),
            Sample(
                row={"input": "Complete: [ (", "target": ") ]"}, right="Answer: ) ]", wrong="Answer: ] )", variant="all"
            ),
        ),
    ),
)
