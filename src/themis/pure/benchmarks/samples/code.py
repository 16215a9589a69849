"""Made rows of the benchmarks whose answers are executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from themis.pure.benchmarks.samples import Sample


def _python(code: str) -> str:
    return f"This does it:\n\n```python\n{code}```\n"


def _cpp(body: str) -> str:
    head = "#include <iostream>\nint main() {\n    long long a, b;\n    std::cin >> a >> b;\n"
    return f"```cpp\n{head}    {body}\n    return 0;\n}}\n```\n"


def _humaneval(number: int, name: str, prompt: str, body: str, wrong: str, asserts: str) -> Sample:
    row = {
        "task_id": f"HumanEval/{number}",
        "prompt": prompt,
        "entry_point": name,
        "canonical_solution": body,
        "test": f"\n\ndef check(candidate):\n{asserts}",
    }
    return Sample(row=row, right=_python(f"{prompt}{body}"), wrong=_python(f"{prompt}{wrong}"))


_FUNCTIONS: Final = (
    _humaneval(
        0,
        "doubled",
        'def doubled(numbers: list) -> list:\n    """ Return twice each number.\n    >>> doubled([1, 2])\n'
        '    [2, 4]\n    """\n',
        "    return [2 * number for number in numbers]\n",
        "    return numbers\n",
        "    assert candidate([1, 2]) == [2, 4]\n    assert candidate([]) == []\n",
    ),
    _humaneval(
        1,
        "vowels",
        'def vowels(text: str) -> int:\n    """ Count the vowels of a text. """\n',
        '    return sum(letter in "aeiou" for letter in text.lower())\n',
        '    return sum(letter in "aeiou" for letter in text)\n',
        '    assert candidate("queue") == 4\n    assert candidate("EYE") == 2\n',
    ),
)


def _tests(*pairs: tuple[str, str], **facts: str) -> list[dict[str, str]]:
    return [{"input": given, "output": wanted, **facts} for given, wanted in pairs]


def _livecodebench(number: str, question: str, tests: list[dict[str, str]], **facts: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "question_content": question,
        "public_test_cases": json.dumps(tests),
        "platform": "made",
        "contest_id": "made-1",
        "difficulty": "easy",
        "contest_date": "2025-03-01T00:00:00",
        **facts,
    }


_SUM_TESTS: Final = (("1 2\n", "3\n"), ("40 2\n", "42\n"))
_SUM: Final = "Two integers a and b are given on one line. Print their sum."
_STARTER: Final = "class Solution:\n    def addAll(self, numbers: List[int], extra: int) -> int:\n        "
_STATED: Final = "def longest(words: List[str]) -> str:\n    "

_LIVECODEBENCH: Final = (
    Sample(
        row=_livecodebench("abc_1", _SUM, _tests(*_SUM_TESTS, testtype="stdin"), starter_code="", metadata="{}"),
        right=_python("a, b = map(int, input().split())\nprint(a + b)\n"),
        wrong=_python("a, b = map(int, input().split())\nprint(a - b)\n"),
    ),
    Sample(
        row=_livecodebench(
            "2001",
            "Return the sum of all numbers and of extra.",
            _tests(("[1, 2, 3]\n4", "10"), ("[]\n-1", "-1"), testtype="functional"),
            starter_code=_STARTER,
            metadata=json.dumps({"func_name": "addAll"}),
        ),
        right=_python(
            "class Solution:\n    def addAll(self, numbers: list[int], extra: int) -> int:\n"
            "        return sum(numbers) + extra\n"
        ),
        wrong=_python(
            "class Solution:\n    def addAll(self, numbers: list[int], extra: int) -> int:\n"
            "        return sum(numbers)\n"
        ),
    ),
    Sample(
        row=_livecodebench(
            "2002",
            "Return the longest of the words; of equally long ones the first.",
            _tests(('["a", "bcd", "efg"]', '"bcd"'), testtype="functional"),
            starter_code=_STATED,
        ),
        right=_python("def longest(words):\n    return max(words, key=len)\n"),
        wrong=_python("def longest(words):\n    return min(words, key=len)\n"),
    ),
)


def _codeforces(number: str, language: str = "python", **facts: Any) -> dict[str, Any]:
    return {
        "id": number,
        "prompt": f"{_SUM} Solve this in {language}.",
        "language": language,
        "official_tests": _tests(*_SUM_TESTS),
        "generated_checker": None,
        "time_limit": 2.0,
        "memory_limit": 256.0,
        "interaction_format": None,
        "official_tests_complete": True,
        "input_mode": "stdio",
        "contest_id": "9000",
        "rating": 800,
        **facts,
    }


_PYTHON_CHECKER: Final = """\
import sys

n = int(open(sys.argv[1]).read())
try:
    a, b = map(int, open(sys.argv[3]).read().split())
except ValueError:
    a = b = 0
print(1 if a > 0 and b > 0 and a + b == n else 0)
"""
"""Called with the files of the input, of a right output, and of the answer's; prints 1 or 0."""

_CODEFORCES: Final = (
    Sample(
        row=_codeforces("9000/A"),
        right=_python("a, b = map(int, input().split())\nprint(a + b)\n"),
        wrong=_python("a, b = map(int, input().split())\nprint(a * b)\n"),
    ),
    Sample(
        row=_codeforces(
            "9000/B",
            prompt="Print two positive integers of the given sum, in Python.",
            official_tests=_tests(("5\n", "1 4\n"), ("2\n", "1 1\n")),
            generated_checker=_PYTHON_CHECKER,
            rating=None,
        ),
        right=_python("n = int(input())\nprint(n - 1, 1)\n"),
        wrong=_python("n = int(input())\nprint(n, 0)\n"),
    ),
    Sample(
        row=_codeforces("9000/A", "cpp"),
        right=_cpp("std::cout << a + b << std::endl;"),
        wrong=_cpp("std::cout << a << std::endl;"),
    ),
    Sample(row=_codeforces("9000/C", input_mode="file"), left_out=True),
    Sample(row=_codeforces("9000/D", interaction_format="Ask up to 20 questions."), left_out=True),
    Sample(row=_codeforces("9000/E", official_tests_complete=False), left_out=True),
)


def _aethercode(number: int, description: str, tests: list[dict[str, str]], checker: str) -> dict[str, Any]:
    return {
        "id": number,
        "description": description,
        "test_cases": tests,
        "checker": checker,
        "time_limit": 2000,
        "memory_limit": 256,
        "difficulty": "Easy",
        "contest_category": "made",
        "contest_name": "A made contest",
        "date": "2024/11/17",
        "year": 2024,
    }


_CPP_CHECKER: Final = """\
#include <fstream>
int main(int argc, char** argv) {
    std::ifstream input(argv[1]), output(argv[2]);
    long long n = 0, a = 0, b = 0;
    input >> n;
    return output >> a >> b && a > 0 && b > 0 && a + b == n ? 0 : 1;
}
"""
"""Called with the files of the input, of the answer's output, and of a right one; its exit status is the verdict."""

_SPLIT: Final = "Print two positive integers whose sum is n, which is given on one line."

_AETHERCODE: Final = (
    Sample(
        row=_aethercode(60001, _SUM, _tests(*_SUM_TESTS), ""),
        right=_cpp("std::cout << a + b << std::endl;"),
        wrong=_cpp("std::cout << a - b << std::endl;"),
    ),
    Sample(
        row=_aethercode(60002, _SPLIT, _tests(("5\n", "1 4\n"), ("2\n", "1 1\n")), _CPP_CHECKER),
        right=_cpp('std::cout << a - 1 << " " << 1 << std::endl;'),
        wrong=_cpp('std::cout << a << " " << 0 << std::endl;'),
    ),
)

CODE_SAMPLES: Final[Mapping[str, tuple[Sample, ...]]] = {
    "humaneval": _FUNCTIONS,
    "humaneval_plus": _FUNCTIONS,
    "livecodebench": _LIVECODEBENCH,
    "codeforces": _CODEFORCES,
    "aethercode": _AETHERCODE,
}
