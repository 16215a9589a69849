"""Made rows of the judged benchmarks. The scores are the demo judge's, which compares words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from themis.pure.benchmarks.samples import PIXEL, Sample

_UNSURE: Final = "No idea, sorry."


def _science(problem: str, answer: str, right: str, group: str) -> Sample:
    row = {"problem": problem, "answer": answer, "subject": "physics", "task_group_id": group}
    return Sample(row=row, right=right, wrong=_UNSURE)


def _health(number: str, question: str, rubrics: list[dict[str, Any]], right_score: float) -> Sample:
    # The demo judge finds a criterion met if the answer shares half of the question's words.
    row = {
        "prompt_id": number,
        "prompt": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello! How can I help?"},
            {"role": "user", "content": question},
        ],
        "rubrics": rubrics,
        "example_tags": ["theme:hedging", "physician_agreed_category:enough-context"],
    }
    words = "role user assistant content Hello How can I help"
    return Sample(row=row, right=f"{words} {question} Rest, drink enough, and see a doctor.", right_score=right_score)


def _item(criterion: str, points: int) -> dict[str, Any]:
    return {"criterion": criterion, "points": points, "tags": ["level:example", "axis:completeness"]}


def _exam(number: str, question: str, answer: str, image: str, category: str, variant: str = "") -> dict[str, Any]:
    row = {
        "id": number,
        "question": question,
        "answer": answer,
        "image": image,
        "category": category,
        "answer_type": "exactMatch",
    }
    return {"row": row, "variant": variant}


def _forum(number: str, prompt: str, reference: str, right: str) -> Sample:
    row = {
        "prompt_id": number,
        "prompt": prompt,
        "response_reference": reference,
        "judge_prompt_template": "{response_reference}\n<answer>: {response}",
        "judge_system_prompt": "Score 1 if the answer states every point of the reference, else 0.",
        "primary_domain": "Mechanical engineering",
    }
    return Sample(row=row, right=right, wrong=_UNSURE)


def _procedure(number: str, task: str, prompt: str, final: Any, wrong: str, variant: str = "") -> Sample:
    row = {
        "problem_name": f"{task}_{number}",
        "prompt": prompt,
        "label": {"intermediate": [], "final": final},
        "task_name": task,
        "example_name": f"example_{number}",
    }
    shown = str(final).replace("'", '"') if not isinstance(final, str) else f'"{final}"'
    return Sample(
        row=row,
        right=f'Step by step, I get there.\n\n```json\n{{"final": {shown}}}\n```',
        wrong=f'```json\n{{"final": {wrong}}}\n```',
        variant=variant,
    )


def _role(role: str, desc: str | None, question: str, reference: str, variant: str = "") -> Sample:
    row = {"role": role, "desc": desc, "question": question, "generated": [reference, "Another answer."]}
    return Sample(row=row, right=reference, wrong="Banana.", variant=variant)


def _fact(number: int, problem: str, answer: str, right: str, wrong: str) -> Sample:
    place = {"topic": "Geography", "answer_type": "Place", "multi_step": False, "requires_reasoning": False}
    row = {"original_index": number, "problem": problem, "answer": answer, **place}
    return Sample(row=row, right=right, wrong=wrong)


JUDGED_SAMPLES: Final[Mapping[str, tuple[Sample, ...]]] = {
    "frontierscience": (
        _science(
            "A wire of 2 ohm carries 3 ampere. Which power does it dissipate?",
            "18 watt",
            "P = I^2 R, so that it is 18 watt.\nAnswer: 18 watt",
            "made-1",
        ),
        _science(
            "Explain why the sky is blue.",
            "Points: 5, short wavelengths scatter more; 5, Rayleigh names the law",
            "Short wavelengths scatter more, as the law that Rayleigh names says. Points 5, 5, the.",
            "made-2",
        ),
    ),
    "healthbench": (
        _health(
            "h-1",
            "My child has a fever of 39 degrees, what should I do?",
            [_item("Says when to see a doctor", 7), _item("Advises enough to drink", 5)],
            1.0,
        ),
        _health(
            "h-2",
            "Is it safe to take aspirin and ibuprofen together?",
            [
                _item("Advises to ask a pharmacist", 8),
                _item("Names the risk of bleeding", 4),
                _item("Recommends a dose without asking about other medicine", -3),
            ],
            0.75,
        ),
    ),
    "hle": (
        Sample(
            **_exam("x-1", "Which knot invariant did Jones find in 1984?", "Jones polynomial", "", "Math", "text_only"),
            right="Answer: the Jones polynomial",
            wrong=_UNSURE,
        ),
        Sample(
            **_exam("x-2", "Which animal is shown?", "Tardigrade", PIXEL, "Biology/Medicine"),
            right="Answer: a tardigrade",
            wrong=_UNSURE,
        ),
        Sample(**_exam("x-3", "Which letter is shown?", "Q", PIXEL, "Other", "text_only"), left_out=True),
    ),
    "lpfqa": (
        _forum(
            "l-1",
            "A bearing runs hot after regreasing. Which is the likeliest cause?",
            "Too much grease",
            "The likeliest cause is too much grease, which churns.",
        ),
        _forum(
            "l-2",
            "Which thread pitch has a coarse M8 bolt?",
            "1.25 mm",
            "A coarse M8 bolt has a pitch of 1.25 mm.",
        ),
    ),
    "procbench": (
        _procedure("1", "task01", "Sort the letters of 'cab' one swap at a time.", "abc", '"cab"'),
        _procedure("2", "task07", "Start with 3 and double it twice.", 12, "6", "task07"),
        _procedure("3", "task02", "Reverse the list ['x', 'y'].", ["y", "x"], '["x", "y"]'),
    ),
    "rolebench": (
        _role(
            "Sherlock Holmes",
            "A consulting detective in London who reasons from small facts.",
            "Where did I walk today?",
            "The red clay on your boots speaks of Wigmore Street, my dear fellow.",
        ),
        _role("Yoda", None, "Should I try?", "Do or do not, young one. There is no try.", "role_generalization_eng"),
    ),
    "simpleqa_verified": (
        _fact(11, "Which lake is the deepest on Earth?", "Lake Baikal", "It is Lake Baikal.", "The Caspian Sea."),
        _fact(12, "In which city was the composer Clara Schumann born?", "Leipzig", "Leipzig.", _UNSURE),
    ),
}
