"""Made rows of the multiple-choice benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from themis.pure.benchmarks.samples import PIXEL, Sample

_CAPITAL: Final = "Which city is the capital of Australia?"
_CITIES: Final = ["Sydney", "Canberra", "Melbourne", "Perth"]
_GAS: Final = "Which gas makes up most of the air on Earth?"
_GASES: Final = [
    "Oxygen",
    "Argon",
    "Carbon dioxide",
    "Helium",
    "Nitrogen",
    "Neon",
    "Methane",
    "Ozone",
    "Xenon",
    "Water",
]


def _chosen(letter: str) -> str:
    return f"I compared the options one by one; the others contradict the question.\n\nAnswer: {letter}"


def _sample(row: Mapping[str, Any], right: str, wrong: str, variant: str = "") -> Sample:
    return Sample(row=row, right=_chosen(right), wrong=_chosen(wrong), variant=variant)


def _babe(uuid: str, text: str, label: int, opinion: str) -> Sample:
    row = {
        "uuid": uuid,
        "text": text,
        "label": label,
        "outlet": "Example Daily",
        "topic": "taxes",
        "type": "center",
        "label_opinion": opinion,
    }
    return _sample(row, "AB"[label], "BA"[label])


def _mmmlu(number: int, question: str, options: list[str], answer: str, wrong: str, variant: str) -> Sample:
    row = {
        "Unnamed: 0": number,
        "Question": question,
        **dict(zip("ABCD", options, strict=True)),
        "Answer": answer,
        "Subject": "global_facts",
    }
    return _sample(row, answer, wrong, variant)


def _superchem(uuid: str, answers: list[str], wrong: str, images: list[str], variant: str = "en") -> Sample:
    texts = {
        "en": ("Which of these are noble gases?", {"A": "Neon", "B": "Nitrogen", "C": "Argon", "D": "Chlorine"}),
        "zh": ("请选出所有稀有气体。", {"A": "氖", "B": "氮", "C": "氩", "D": "氯"}),
    }
    row = {
        "uuid": uuid,
        "question_images": images,
        "field": "inorganic chemistry",
        "question_type": "multiple choice",
        **{f"question_{language}": text for language, (text, _) in texts.items()},
        **{f"options_{language}": options for language, (_, options) in texts.items()},
        **{f"answer_{language}": answers for language in texts},
    }
    return _sample(row, ", ".join(answers), wrong, variant)


_FIELD: Final = {"discipline": "Science", "field": "Geography", "subfield": "Cities", "difficulty": "easy"}
_GPQA_TEXT: Final = (
    "A photon has twice the energy of another. How do their wavelengths compare?\n\n"
    "a) its wavelength is twice as long\nb) its wavelength is half as long\n"
    "c) both are equal\nd) that depends on the medium alone\n\nA. c\nB. d\nC. b\nD. a"
)
_GPQA_SECOND: Final = (
    "Which particle has no electric charge?\n\na) electron\nb) proton\nc) neutron\nd) positron\n\n"
    "A. a\nB. b\nC. d\nD. c"
)

CHOICE_SAMPLES: Final[Mapping[str, tuple[Sample, ...]]] = {
    "babe": (
        _babe("b-1", "The council voted 7 to 2 to raise the fee by 3 percent.", 0, "Entirely factual"),
        _babe("b-2", "The council's shameless grab punishes every honest family.", 1, "Expresses writer's opinion"),
    ),
    "encyclo_k": (
        _sample({"item_id": "e-1", "question": _CAPITAL, "options": _CITIES, "answer_letter": "B"}, "B", "A"),
        _sample({"item_id": "e-2", "question": _GAS, "options": _GASES, "answer_letter": "E"}, "E", "A"),
    ),
    "gpqa_diamond": (
        _sample({"item_id": "g-1", "question": _GPQA_TEXT, "answer": "C"}, "C", "B"),
        _sample({"item_id": "g-2", "question": _GPQA_SECOND, "answer": "D"}, "D", "C"),
    ),
    "mmlu_pro": (
        _sample(
            {
                "question_id": 70,
                "question": _GAS,
                "options": _GASES,
                "answer": "E",
                "category": "chemistry",
                "src": "made",
            },
            "E",
            "J",
        ),
        _sample(
            {
                "question_id": 71,
                "question": _CAPITAL,
                "options": _CITIES[:3],
                "answer": "B",
                "category": "other",
                "src": "made",
            },
            "B",
            "C",
        ),
    ),
    "mmmlu": (
        _mmmlu(0, "Welche Stadt ist die Hauptstadt Australiens?", _CITIES, "B", "D", "DE_DE"),
        _mmmlu(1, "澳大利亚的首都是以下哪座城市", ["悉尼", "珀斯", "堪培拉", "墨尔本"], "C", "A", "ZH_CN"),
    ),
    "superchem": (
        _superchem("s-1", ["A", "C"], "A", [PIXEL]),
        _superchem("s-2", ["C", "A"], "A, B, C", []),
        _superchem("s-3", ["A", "C"], "B", [], "zh"),
    ),
    "supergpqa": (
        _sample({"uuid": "q-1", "question": _CAPITAL, "options": _CITIES, "answer_letter": "B", **_FIELD}, "B", "A"),
        _sample({"uuid": "q-2", "question": _GAS, "options": _GASES, "answer_letter": "E", **_FIELD}, "E", "B"),
    ),
}
