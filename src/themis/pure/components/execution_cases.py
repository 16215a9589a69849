"""What the execution metrics read in a case's `expected_output`: how an answer's program is tested.

`mode` says how: `function` has a test script with `check(candidate)` (HumanEval), `call` has arguments and results
as JSON (LiveCodeBench's function problems), `stdio` has inputs and outputs as text (contests).

Outputs are compared as the metric says, unless the case says otherwise in `compare`: by `tokens` (white space only
separates, as Codeforces has it), by `lines` (as LiveCodeBench has it), or by `layout`, for problems in which blanks are
part of what is asked for.
"""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput

LANGUAGES: Final = ("python", "cpp")
Comparison: TypeAlias = Literal["tokens", "lines", "layout"]


@attrs.frozen(kw_only=True)
class FunctionTest:
    """A test script that calls one function."""

    prompt: str
    test: str
    entry_point: str


@attrs.frozen(kw_only=True)
class CallTests:
    """Calls with their arguments, as JSON texts, and expected results, as plain JSON values."""

    entry_point: str
    arguments: tuple[tuple[str, ...], ...]
    expected: tuple[Any, ...]
    time_limit_s: float | None = None
    memory_limit_mb: int | None = None


@attrs.frozen(kw_only=True)
class StdioTests:
    """Inputs with their expected outputs, and perhaps a program that compares better than text can."""

    language: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    compare: Comparison | None = None
    checker: str | None = None
    time_limit_s: float | None = None
    memory_limit_mb: int | None = None


AnyTests = FunctionTest | CallTests | StdioTests


def program_of(parsed: ParsedOutput) -> str:
    """Return the answer's program text.

    Raises:
        TypeError: the answer is no text.
    """
    if not isinstance(parsed.value, str):
        raise TypeError(f"a program as text expected, {type(parsed.value).__name__} found; use a parser for code")
    return parsed.value


def tests_of(case: Case) -> AnyTests:
    """Read a case's tests.

    Raises:
        TypeError, ValueError: they are not of the form that the metric needs; says what is wrong and where.
    """
    expected = case.expected_output
    if not isinstance(expected, Mapping):
        raise TypeError(f"case {case.case_id!r}: expected_output must be an object with mode and tests")
    read = _READERS.get(str(expected.get("mode")))
    if read is None:
        raise ValueError(f"case {case.case_id!r}: mode {expected.get('mode')!r} is none of {', '.join(_READERS)}")
    try:
        return read(expected)
    except ValueError as error:
        raise ValueError(f"case {case.case_id!r}: {error}") from error


def _function(expected: Mapping[str, Any]) -> FunctionTest:
    return FunctionTest(
        prompt=_text(expected, "prompt"), test=_text(expected, "test"), entry_point=_text(expected, "entry_point")
    )


def _call(expected: Mapping[str, Any]) -> CallTests:
    pairs = _pairs(expected)
    arguments = tuple(tuple(line for line in given.splitlines() if line.strip()) for given, _ in pairs)
    for line in itertools.chain(*arguments):
        _json(line)
    return CallTests(
        entry_point=_text(expected, "entry_point"),
        arguments=arguments,
        expected=tuple(_json(output) for _, output in pairs),
        time_limit_s=expected.get("time_limit_s"),
        memory_limit_mb=expected.get("memory_limit_mb"),
    )


def _stdio(expected: Mapping[str, Any]) -> StdioTests:
    pairs = _pairs(expected)
    language = _text(expected, "language")
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is none of {', '.join(LANGUAGES)}")
    compare = expected.get("compare")
    if compare not in (None, *get_args(Comparison)):
        raise ValueError(f"expected_output.compare: {compare!r} is none of {', '.join(get_args(Comparison))}")
    return StdioTests(
        language=language,
        inputs=tuple(given for given, _ in pairs),
        outputs=tuple(output for _, output in pairs),
        compare=compare,
        checker=expected.get("checker") or None,
        time_limit_s=expected.get("time_limit_s"),
        memory_limit_mb=expected.get("memory_limit_mb"),
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], AnyTests]]] = {
    "function": _function,
    "call": _call,
    "stdio": _stdio,
}


def _text(expected: Mapping[str, Any], key: str) -> str:
    value = expected.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected_output.{key}: a non-empty str expected, found {value!r}")
    return value


def _pairs(expected: Mapping[str, Any]) -> list[tuple[str, str]]:
    tests = expected.get("tests")
    if not isinstance(tests, Sequence) or isinstance(tests, str) or not tests:
        raise ValueError("expected_output.tests: at least one test expected")
    for number, test in enumerate(tests):
        if not isinstance(test, Mapping) or not all(isinstance(test.get(key), str) for key in ("input", "output")):
            raise ValueError(f"expected_output.tests[{number}]: input and output expected, both str")
    return [(test["input"], test["output"]) for test in tests]


def _json(text: str) -> Any:
    try:
        # A Decimal reads numbers of any length, which int() refuses past 4,300 digits.
        return json.loads(text, parse_int=lambda digits: int(Decimal(digits)))
    except ValueError as error:
        raise ValueError(f"expected_output.tests: not JSON: {text[:80]!r} ({error})") from error


# --- program texts ----------------------------------------------------------------------------------------

_OPENS_BLOCK: Final = re.compile(r":\s*(#.*)?$")
_FUTURE: Final = re.compile(r"^from __future__ import (?:\([^()]*\)|.*)\n?", re.MULTILINE)
_RETURNS: Final = re.compile(r"^(?:return|yield)\b", re.MULTILINE)


def behind(prelude: str, program: str) -> str:
    """Put a prelude before a program; imports from `__future__` stay in front of both.

    >>> behind("import math", "from __future__ import annotations\\nx = 1")
    'from __future__ import annotations\\nimport math\\nx = 1'
    """
    future = "".join(line if line.endswith("\n") else f"{line}\n" for line in _FUTURE.findall(program))
    return f"{future}{prelude}\n{_FUTURE.sub('', program)}"


def completed(prompt: str, answer: str, entry_point: str) -> str:
    """Make one program of a prompt that ends within a function and an answer that may be of two kinds.

    An answer that defines the function itself replaces it, and keeps what stands before it in the prompt (imports and
    other functions); any other answer is taken for the rest of the function. One that is indented as a whole, as in a
    list, defines it unless something returns at its margin: then it is a body, with a function of that name inside.

    >>> completed("import math\\ndef f(x):\\n", "    return x", "f")
    'import math\\ndef f(x):\\n    return x'
    >>> completed("import math\\ndef f(x):\\n", "def f(y):\\n    return y", "f")
    'import math\\n\\ndef f(y):\\n    return y'
    """
    definition = re.compile(
        rf"^(?:async\s+)?def\s+{re.escape(entry_point)}\b|^{re.escape(entry_point)}\s*=", re.MULTILINE
    )
    if not definition.search(answer):
        margin = textwrap.dedent(answer)
        if not definition.search(margin) or _RETURNS.search(margin):
            return prompt + indented(answer)
        answer = margin
    found = definition.search(prompt)
    return behind(prompt[: found.start()] if found else "", answer)


def indented(body: str) -> str:
    """Give a function's body back the indentation that trimming took from it.

    Models and parsers trim white space: off the first line alone, or off all lines. A body that is indented as it
    should be is left as it is.

    >>> indented("return x")
    '    return x'
    >>> indented("y = 1\\n    return y"), indented("y = 1\\nreturn y")
    ('    y = 1\\n    return y', '    y = 1\\n    return y')
    """
    lines = body.split("\n")
    written = [number for number, line in enumerate(lines) if line.strip()]
    if not written or lines[written[0]][0].isspace():
        return body
    first, others = written[0], [lines[number] for number in written[1:]]
    depths = [len(line) - len(line.lstrip()) for line in others]
    # Behind a colon the next line is deeper than the first, which belongs at depth 4.
    deep_enough = bool(depths) and min(depths) > 0 and depths[0] >= (5 if _OPENS_BLOCK.search(lines[first]) else 4)
    chosen = [first] if deep_enough else written
    return "\n".join("    " + line if number in chosen else line for number, line in enumerate(lines))
