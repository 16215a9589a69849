"""The program in an answer: answers as models write them, each read by hand."""

# ruff: noqa: RUF001  # answers in other scripts

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.text.code import code_text

ADD = "def add(a, b):\n    return a + b\n"
ADD_FENCE = f"```python\n{ADD}```"
TEST = "```python\nassert add(1, 2) == 3\n```"

PYTHON: list[tuple[str, str | None]] = [
    # one fence
    (ADD_FENCE, ADD),
    (f"Sure! Here is the function:\n\n{ADD_FENCE}\n\nIt adds two numbers.", ADD),
    (f"```py\n{ADD}```", ADD),
    (f"```Python\n{ADD}```", ADD),
    (f"```python3\n{ADD}```", ADD),
    (f"```\n{ADD}```", ADD),
    (f"~~~python\n{ADD}~~~", ADD),
    (f"````python\n{ADD}````", ADD),
    (f"``` python\n{ADD}```", ADD),
    (f"```{{python}}\n{ADD}```", ADD),
    (f'```python title="add.py"\n{ADD}```', ADD),
    (f"```python\r\n{ADD.replace(chr(10), chr(13) + chr(10))}```", ADD),
    ("1. The solution:\n   ```python\n   def add(a, b):\n       return a + b\n   ```\n2. Done.", ADD),
    ("> ```python\n> def add(a, b):\n>     return a + b\n> ```", ADD),
    ("```python\n\n\nx = 1\n\n```", "x = 1\n"),
    ("```python print(1)```", "print(1)\n"),
    (
        "好的，代码如下：\n```python\ndef f(n):\n    return n * 2\n```\n时间复杂度是O(1)。",
        "def f(n):\n    return n * 2\n",
    ),
    ("以下のコードです。\n\n```python\ndef g():\n    return '答え'\n```", "def g():\n    return '答え'\n"),
    (
        "```python\ndef f():\n    '''Use ``` like this'''\n    return 1\n```",
        "def f():\n    '''Use ``` like this'''\n    return 1\n",
    ),
    ("[PYTHON]\ndef f():\n    return 1\n[/PYTHON]", "def f():\n    return 1\n"),
    ("<code>\ndef f():\n    return 1\n</code>", "def f():\n    return 1\n"),
    ("```python\n>>> x = 1\n>>> print(x)\n1\n```", "x = 1\nprint(x)\n"),
    # several fences
    (f"{ADD_FENCE}\n\nTests:\n\n{TEST}", ADD),
    (f"{TEST}\n\nThat needs:\n\n{ADD_FENCE}", ADD),
    (f"First try:\n```python\ndef add(a, b):\n    return a - b\n```\nThat is wrong. Fixed:\n{ADD_FENCE}", ADD),
    (f"{ADD_FENCE}\n\nRun it:\n\n```bash\npython add.py\n```", ADD),
    (f"```bash\npip install numpy\n```\n\n{ADD_FENCE}", ADD),
    (f"{ADD_FENCE}\n\nOutput:\n\n```\n3\n```", ADD),
    (f"{ADD_FENCE}\n\nOutput:\n\n```text\n3\n```", ADD),
    (f'Input:\n```json\n{{"a": 1}}\n```\n{ADD_FENCE}', ADD),
    (f"{ADD_FENCE}\n\nIn C++:\n\n```cpp\nint add(int a, int b) {{ return a + b; }}\n```", ADD),
    (f"{ADD_FENCE}\nExample usage:\n```python\nprint(add(1, 2))\n```", ADD),
    (f"{ADD_FENCE}\n```python\nimport unittest\nclass TestAdd(unittest.TestCase):\n    pass\n```", ADD),
    (f"{ADD_FENCE}\n```python\ndef test_add():\n    assert add(1, 1) == 2\n```", ADD),
    (f"```\n1 2\n```\n{ADD_FENCE}", ADD),
    (
        "```python\nn = int(input())\nprint(n * 2)\n```\nFor input 2 it prints\n```\n4\n```",
        "n = int(input())\nprint(n * 2)\n",
    ),
    (f"Pseudocode:\n```pseudocode\nadd a and b\n```\n{ADD_FENCE}", ADD),
    # cut off
    ("```python\ndef f(n):\n    if n:\n        return", "def f(n):\n    if n:\n        return\n"),
    ("Here you go:\n```python\ndef f():\n    return 1", "def f():\n    return 1\n"),
    (f"{ADD_FENCE}\nAnd a test:\n```python\nassert add(", ADD),
    # no fence
    (ADD, ADD),
    ("    return a + b", "    return a + b\n"),
    ("    x = a\n    return x + b\n", "    x = a\n    return x + b\n"),
    (
        "import math\n\ndef area(r):\n    return math.pi * r ** 2",
        "import math\n\ndef area(r):\n    return math.pi * r ** 2\n",
    ),
    (
        "from typing import List\n\n\ndef f(x: List[int]) -> int:\n    return sum(x)\n",
        "from typing import List\n\n\ndef f(x: List[int]) -> int:\n    return sum(x)\n",
    ),
    ("class A:\n    def f(self):\n        return 1", "class A:\n    def f(self):\n        return 1\n"),
    ("n = int(input())\nprint(n + 1)", "n = int(input())\nprint(n + 1)\n"),
    ("print('hello')", "print('hello')\n"),
    ("@cache\ndef f(n):\n    return n", "@cache\ndef f(n):\n    return n\n"),
    ("def f():\n    return 1\n\nThis function always returns the number one.", "def f():\n    return 1\n"),
    (
        'def f(x):\n    """Return x.\n\n    The value is kept as it is here.\n    """\n    return x',
        'def f(x):\n    """Return x.\n\n    The value is kept as it is here.\n    """\n    return x\n',
    ),
    # prose around
    (
        "Here is the solution.\n\ndef f():\n    return 1\n\nIt runs in constant time and uses no memory.",
        "def f():\n    return 1\n",
    ),
    ("The idea is to double it:\n\ndef f(n):\n    return 2 * n", "def f(n):\n    return 2 * n\n"),
    (
        "I would write:\n\nimport sys\nfor line in sys.stdin:\n    print(line)\n",
        "import sys\nfor line in sys.stdin:\n    print(line)\n",
    ),
    # nothing
    ("", None),
    ("I'm sorry, but I can't help with that.", None),
    ("The answer is 42.", None),
    ("First sort the list, then take the last item of it.", None),
    ("```bash\nls -la\n```", None),
    ('```json\n{"a": 1}\n```', None),
    ("从列表中取出最大值即可。", None),
    ("For each item in the list we add one to the total.", None),
]

OTHER: list[tuple[str, str, str | None]] = [
    ("cpp", "```cpp\nint main() { return 0; }\n```", "int main() { return 0; }\n"),
    ("cpp", "```c++\nint main() { return 0; }\n```", "int main() { return 0; }\n"),
    (
        "cpp",
        f"{ADD_FENCE}\n```cpp\nint add(int a, int b) {{ return a + b; }}\n```",
        "int add(int a, int b) { return a + b; }\n",
    ),
    (
        "cpp",
        "#include <iostream>\nusing namespace std;\nint main() {\n    return 0;\n}",
        "#include <iostream>\nusing namespace std;\nint main() {\n    return 0;\n}\n",
    ),
    ("java", "```java\npublic class Main {\n}\n```", "public class Main {\n}\n"),
    ("javascript", "```js\nconst f = (x) => x;\n```", "const f = (x) => x;\n"),
    ("go", "```golang\nfunc main() {\n}\n```", "func main() {\n}\n"),
    ("rust", "```rust\nfn main() {}\n```", "fn main() {}\n"),
]


@pytest.mark.parametrize(("answer", "expected"), PYTHON)
def test_reads_what_a_person_reads(answer: str, expected: str | None) -> None:
    result = code_text(answer)
    assert result.value == expected, result
    assert (result.value is None) == bool(result.reason)


@pytest.mark.parametrize(("language", "answer", "expected"), OTHER)
def test_reads_other_languages(language: str, answer: str, expected: str | None) -> None:
    assert code_text(answer, language).value == expected


def test_has_enough_answers() -> None:
    assert len({answer for answer, _ in PYTHON}) + len(OTHER) >= 60


FRAGMENTS = st.sampled_from(
    [
        "```",
        "```python",
        "~~~",
        "\n",
        "def f():",
        "    return 1",
        "assert x",
        ">>> x",
        "[PYTHON]",
        "<code>",
        "</code>",
        "'''",
        "prose here",
        " ",
    ]
)


@given(st.one_of(st.text(), st.lists(FRAGMENTS).map("".join)))
def test_reads_any_text(text: str) -> None:
    result = code_text(text)
    assert (result.value is None) == bool(result.reason)
