"""The program in an answer: answers as models write them, each read by hand."""

# ruff: noqa: E501, RUF001  # answers in other scripts, and in one line each

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.parsers import CodeText
from themis.pure.components.text.code import code_text
from themis.pure.records.contexts import ParseContext
from themis.pure.records.generation import ReducedCandidate

ADD = "def add(a, b):\n    return a + b\n"
ADD_FENCE = f"```python\n{ADD}```"
SQUARE = "def square(x):\n    return x ** 2\n"
SUM_OF = "def sum_of(xs):\n    return sum(square(x) for x in xs)\n"
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

# Each row: an answer, and the pieces that its program is to consist of.
FENCES: list[tuple[str, list[str]]] = [
    # fences of unequal length, and other marks that don't fit
    (f"````python\n{ADD}```", [ADD]),
    (f"````python\n{ADD}```\n\nIt adds two numbers.", [ADD]),
    (f"`````\n{ADD}```\nDone.", [ADD]),
    (f"```python\n{ADD}````\nDone.", [ADD]),
    (f"```python\n{ADD}`````", [ADD]),
    (f"~~~~python\n{ADD}~~~\nDone.", [ADD]),
    (f"````python\n{ADD}```\nFor example:\n````python\nprint(add(1, 2))\n```", [ADD]),
    (f"````python\n{ADD}```\nIt prints\n```\n3\n```\n", [ADD]),
    (f"````markdown\nThe function:\n\n```python\n{ADD}```\n````", [ADD]),
    (f"```markdown\n# Solution\n\n```python\n{ADD}```\n\nIt adds.\n```", [ADD]),
    (f"````\nThe function:\n\n```python\n{ADD}```\nIt adds.\n````", [ADD]),
    (f"~~~markdown\n```python\n{ADD}```\n~~~", [ADD]),
    (f"```python\n{ADD.rstrip()}```\nIt adds two numbers.", [ADD]),
    (f"```python\n{ADD.rstrip()}```", [ADD]),
    (f"```python\n{ADD}``` This is the function that you asked for.", [ADD]),
    (f"```python\n{ADD}\nNow a test:\n```python\nassert add(1, 2) == 3\n```", [ADD]),
    (f"1. First:\n\n  ```python\n  {ADD.replace(chr(10), chr(10) + '  ').rstrip()}\n   ```\n\n2. Done.", [ADD]),
    (f"```python\n{ADD}\n```\n```", [ADD]),
    (f"```\n```python\n{ADD}```\n```", [ADD]),
    (
        "```python\ndef f(s):\n    return f'''\n    ```\n    {s}\n    ```\n    '''\n```",
        ["def f(s):\n    return f'''\n    ```\n    {s}\n    ```\n    '''\n"],
    ),
    (
        "````python\ndef f(s):\n    return '''\n```python\n''' + s\n````",
        ["def f(s):\n    return '''\n```python\n''' + s\n"],
    ),
    (f"```python\n{ADD}\nThis function adds its two arguments and returns the sum.", [ADD]),
    (f"```python\n{ADD}\n\n**Explanation:** it adds.\n\nNothing else happens here.", [ADD]),
    # a program in several pieces
    (
        "First the import:\n```python\nimport math\n```\nThen the function:\n```python\ndef area(r):\n    return math.pi * r * r\n```",
        ["import math\n", "def area(r):\n    return math.pi * r * r\n"],
    ),
    (
        "```python\nfrom typing import (\n    List,\n)\n```\nand\n```python\ndef f(x: List[int]) -> int:\n    return len(x)\n```",
        ["from typing import (\n    List,\n)\n", "def f(x: List[int]) -> int:\n    return len(x)\n"],
    ),
    (f"A helper:\n```python\n{SQUARE}```\nThe function:\n```python\n{SUM_OF}```", [SQUARE, SUM_OF]),
    (f"The function:\n```python\n{SUM_OF}```\nIt needs this helper:\n```python\n{SQUARE}```", [SUM_OF, SQUARE]),
    (
        f"```python\n{SQUARE}```\n```python\n{SUM_OF}```\nFor example:\n```python\nprint(sum_of([1, 2]))\n```\nprints\n```\n5\n```",
        [SQUARE, SUM_OF],
    ),
    (
        f"```python\n{SQUARE}```\n```python\n{SUM_OF}```\nTests:\n```python\nassert sum_of([2]) == 4\n```",
        [SQUARE, SUM_OF],
    ),
    (
        "```python\nLIMIT = 10\n```\n```python\ndef f(x):\n    return min(x, LIMIT)\n```",
        ["LIMIT = 10\n", "def f(x):\n    return min(x, LIMIT)\n"],
    ),
    (
        f"```python\n{SQUARE}```\n```python\nn = int(input())\nprint(square(n))\n```",
        [SQUARE, "n = int(input())\nprint(square(n))\n"],
    ),
    (
        "```python\ndef main():\n    print(int(input()) ** 2)\n```\nCall it:\n```python\nmain()\n```",
        ["def main():\n    print(int(input()) ** 2)\n", "main()\n"],
    ),
    (
        f"```python\n{SQUARE}```\nTo run it:\n```python\nif __name__ == '__main__':\n    print(square(int(input())))\n```",
        [SQUARE, "if __name__ == '__main__':\n    print(square(int(input())))\n"],
    ),
    (
        "Read:\n```python\na = list(map(int, input().split()))\n```\nSort:\n```python\na.sort()\n```\nPrint:\n```python\nprint(*a)\n```",
        ["a = list(map(int, input().split()))\n", "a.sort()\n", "print(*a)\n"],
    ),
    (
        "```python\nclass Node:\n    def __init__(self, v):\n        self.v = v\n```\n```python\ndef f(v):\n    return Node(v).v\n```",
        ["class Node:\n    def __init__(self, v):\n        self.v = v\n", "def f(v):\n    return Node(v).v\n"],
    ),
    (
        f"```python\nimport sys\n```\n```python\n{SQUARE}```\n```python\nfor line in sys.stdin:\n    print(square(int(line)))\n```",
        ["import sys\n", SQUARE, "for line in sys.stdin:\n    print(square(int(line)))\n"],
    ),
    (
        f"```python\n{SQUARE}```\n```python\ndef cube(x):\n    return x * square(x)\n```\n```python\ndef f(x):\n    return cube(x)\n```",
        [SQUARE, "def cube(x):\n    return x * square(x)\n", "def f(x):\n    return cube(x)\n"],
    ),
    (
        '```python\ndef name(x):\n    return "n" + x\n```\n```python\ndef f(x):\n    return f"{name(x)}!"\n```',
        ['def name(x):\n    return "n" + x\n', 'def f(x):\n    return f"{name(x)}!"\n'],
    ),
    # several programs: the last version, and nothing of what does not belong to it
    (
        f"```python\n{SUM_OF}{SQUARE}```\nShorter:\n```python\ndef sum_of(xs):\n    return sum(x * x for x in xs)\n```",
        [f"{SUM_OF}{SQUARE}", "def sum_of(xs):\n    return sum(x * x for x in xs)\n"],
    ),
    (
        f"```python\n{SQUARE}{SUM_OF}```\nA faster helper:\n```python\ndef square(x):\n    return x * x\n```",
        [f"{SQUARE}{SUM_OF}", "def square(x):\n    return x * x\n"],
    ),
    (
        "Brute force:\n```python\ndef f(x):\n    return slow(x)\n\ndef slow(x):\n    return x\n\nprint(f(int(input())))\n```\n"
        "Better:\n```python\ndef f(x):\n    return x\n\nprint(f(int(input())))\n```",
        ["def f(x):\n    return x\n\nprint(f(int(input())))\n"],
    ),
    (
        "One way:\n```python\ndef f(x):\n    return x + x\n```\nAnother:\n```python\ndef f(x):\n    return 2 * x\n```",
        ["def f(x):\n    return 2 * x\n"],
    ),
    (
        "One way:\n```python\ndef f_slow(x):\n    return x + x\n```\nThe one to use:\n```python\ndef f(x):\n    return 2 * x\n```",
        ["def f(x):\n    return 2 * x\n"],
    ),
    (f"{ADD_FENCE}\n```python\nresult = add(1, 2)\nprint(result)\n```", [ADD]),
    (f"Take these:\n```python\na = 1\nb = 2\n```\n{ADD_FENCE}", [ADD]),
    ("```python\nsum = 0\n```\n```python\ndef f(x):\n    return sum(x)\n```", ["def f(x):\n    return sum(x)\n"]),
    (f"{ADD_FENCE}\nUse it:\n```python\nfrom solution import add\n```", [ADD]),
    (f"{ADD_FENCE}\nIn a session:\n```python\n>>> add(1, 2)\n3\n```", [ADD]),
    (f"The signature is\n```python\ndef add(a, b): ...\n```\nso:\n{ADD_FENCE}", [ADD]),
    (f"{ADD_FENCE}\nIn JavaScript:\n```javascript\nconst add = (a, b) => a + b;\n```", [ADD]),
    (f"```python\n# square is not used here\ndef f(x):\n    return 'square'\n```\nand\n```python\n{ADD}```", [ADD]),
    (
        f"{ADD_FENCE}\nA property test:\n```python\nfrom hypothesis import given\n@given(...)\ndef test_add(a, b):\n    assert add(a, b) == a + b\n```",
        [ADD],
    ),
    (
        f"{ADD_FENCE}\n```python\nimport pytest\n\n@pytest.mark.parametrize('a', [1])\ndef test_add(a):\n    assert add(a, 1) == 2\n```",
        [ADD],
    ),
    (f"{ADD_FENCE}\n\n**Complexity**\n\n```\nO(1)\n```", [ADD]),
    (f"```text\nadd(1, 2) -> 3\n```\n{ADD_FENCE}\n```console\n$ python add.py\n```", [ADD]),
    (
        "```python\nclass Item:\n    pass\n```\n```python\nfrom typing import List\n```\n```python\ndef f(x: List[Item]):\n    return x\n```",
        ["from typing import List\n", "class Item:\n    pass\n", "def f(x: List[Item]):\n    return x\n"],
    ),
    (
        "```python\ndef f(x):\n    return g(x) + 1\n```\nwhere `g` is given:\n```python\ndef g(x):\n    ...\n```",
        ["def f(x):\n    return g(x) + 1\n"],
    ),
    (
        "```python\nx = int(input())\n```\nand\n```python\ny = int(input())\n```\nFinally\n```python\nprint(x + y)\n```",
        ["x = int(input())\n", "y = int(input())\n", "print(x + y)\n"],
    ),
    (
        "```python\ndef f(n):\n    return n\n```\nWith a cache:\n```python\nfrom functools import cache\n\n@cache\ndef f(n):\n    return n\n```\n"
        "Driver:\n```python\nfor _ in range(int(input())):\n    print(f(int(input())))\n```",
        [
            "from functools import cache\n\n@cache\ndef f(n):\n    return n\n",
            "for _ in range(int(input())):\n    print(f(int(input())))\n",
        ],
    ),
    (
        f"{ADD_FENCE}\nHow long it takes:\n```python\nimport time\nstart = time.time()\nadd(1, 2)\nprint(time.time() - start)\n```",
        [ADD],
    ),
    (f"{ADD_FENCE}\nThe change:\n```diff\n- return a - b\n+ return a + b\n```", [ADD]),
    # between backticks, and indented
    ("The answer: `def add(a, b): return a + b`", ["def add(a, b): return a + b\n"]),
    ("It is this:\n\n    def add(a, b):\n        return a + b\n\nIt adds.", [ADD]),
    ("The body is\n\n        s = 0\n        s += a\n\n        return s + b\n", ["s = 0\ns += a\n\nreturn s + b\n"]),
    ("Certainly! ```python\ndef add(a, b):\n    return a + b\n```", [ADD]),
    (
        "```python\nimport os\n\ndef other():\n    return os.sep\n```\n```python\ndef f(x):\n    import math\n    return math.pi\n```",
        ["def f(x):\n    import math\n    return math.pi\n"],
    ),
    (
        'Here:\n```python\ndef page():\n    return """\n```\nx = 1\n```\n"""\n```\nIt returns a page.',
        ['def page():\n    return """\n```\nx = 1\n```\n"""\n'],
    ),
    (
        "```python\nTEXT = '''\n```python\nx = 1\n```\n'''\n\ndef page():\n    return TEXT\n```\nAnd\n```python\nprint(page())\n```",
        ["TEXT = '''\n```python\nx = 1\n```\n'''\n\ndef page():\n    return TEXT\n"],
    ),
    (f'```python\n# a stray """\n{ADD}```\nDone.\n```\n3\n```', [f'# a stray """\n{ADD}']),
    (
        "The plan:\n    `````python\n    # 1. Define it.\n    # 2. Return the sum.\n    ```\n\nNow the code:\n\n````python\n"
        + ADD
        + "````\nDone.",
        [ADD],
    ),
    (
        f"It is a simple function, so there is no need for comments here. The code is as follows:\n\n{ADD}\nIt just adds.\n\n```",
        [ADD],
    ),
    (
        "```python\ndef f(x: List[int]):\n    return x\n```\nIt needs\n```python\nfrom typing import List\n```",
        ["from typing import List\n", "def f(x: List[int]):\n    return x\n"],
    ),
    (f"```\n{SQUARE}```\nand\n```python\n{SUM_OF}```\nSo\n```\nsum_of([1, 2]) = 5\n```", [SQUARE, SUM_OF]),
    (
        "```python\nclass Box:\n    def __init__(self):\n        self.x = []\n```\nAnd a method:\n```python\n    def put(self, x):\n        self.x.append(x)\n```",
        [
            "class Box:\n    def __init__(self):\n        self.x = []\n",
            "    def put(self, x):\n        self.x.append(x)\n",
        ],
    ),
    (
        f"```python\nn = int(input())\n```\nThen\n```python\n{SQUARE}```\nand\n```python\nprint(square(n))\n```",
        ["n = int(input())\n", SQUARE, "print(square(n))\n"],
    ),
    (f"```python\nname = input('What is your name? ')\n```\nis how one asks. The function:\n{ADD_FENCE}", [ADD]),
    ("In one line: `print(sum(map(int, input().split())))`", ["print(sum(map(int, input().split())))\n"]),
    (
        f"The original:\n```python\ndef add(a, b):\n    return a - b\n```\nFixed:\n{ADD_FENCE}\nYou can check it:\n```python\n>>> add(1, 2)\n3\n```",
        [ADD],
    ),
    (
        "1. Parse:\n   ```python\n   s = input()\n   ```\n2. Count:\n   ```python\n   from collections import Counter\n   c = Counter(s)\n   ```\n3. Print:\n   ```python\n   print(len(c))\n   ```",
        ["s = input()\n", "from collections import Counter\nc = Counter(s)\n", "print(len(c))\n"],
    ),
    # in JSON
    (f'{{"code": {json.dumps(ADD)}}}', [ADD]),
    (f'{{"reasoning": "It adds.", "solution": {json.dumps(ADD)}}}', [ADD]),
    (f'```json\n{{"code": {json.dumps(ADD)}}}\n```', [ADD]),
    (f'{{"answer": {json.dumps(ADD_FENCE)}}}', [ADD]),
    # of current models: headings, bold, notes, collapsed thoughts, emoji
    (f"### Solution\n\n{ADD_FENCE}\n\n### Explanation\n\n- **Time:** O(1)\n- **Space:** O(1)", [ADD]),
    (f"✅ **Final code**\n\n{ADD_FENCE}\n\n🎉 Done!", [ADD]),
    (
        f"Here's the completed function:\n\n{ADD_FENCE}\n\nKey points:\n1. `add` takes two numbers.\n2. `a + b` is returned.",
        [ADD],
    ),
    (
        "**Step 1.** Understand `add`.\n\n**Step 2.** Write it:\n\n    ```python\n    def add(a, b):\n        return a + b\n    ```",
        [ADD],
    ),
    (f"<answer>\n{ADD_FENCE}\n</answer>", [ADD]),
    (f"<answer>\n{ADD}</answer>", [ADD]),
    (f"<solution>\n```\n{ADD}```\n</solution>", [ADD]),
    (f"\\boxed{{\n{ADD_FENCE}\n}}", [ADD]),
    (f"<details>\n<summary>Code</summary>\n\n{ADD_FENCE}\n\n</details>", [ADD]),
    (f"| a | b |\n| - | - |\n| 1 | 2 |\n\n{ADD_FENCE}", [ADD]),
    (f"```python:add.py\n{ADD}```", [ADD]),
    (f"```python filename=add.py\n{ADD}```", [ADD]),
    (f'```python linenums="1"\n{ADD}```', [ADD]),
    (f"```{{.python .numberLines}}\n{ADD}```", [ADD]),
    (f"```PYTHON\n{ADD}```", [ADD]),
    (f"`add.py`:\n```python\n#!/usr/bin/env python3\n{ADD}```", [f"#!/usr/bin/env python3\n{ADD}"]),
    (f"Voici la fonction :\n{ADD_FENCE}\nElle additionne deux nombres.", [ADD]),
    (f"إليك الحل:\n{ADD_FENCE}\n", [ADD]),
    (f"Вот решение:\n\n{ADD_FENCE}\n\nСложность O(1).", [ADD]),
    (f"{ADD}\n\n# Example:\n# add(1, 2) == 3", [f"{ADD}\n\n# Example:\n# add(1, 2) == 3\n"]),
    (
        "```python\ndef f(x):\n\tif x:\n\t\treturn 1\n\treturn 0\n```",
        ["def f(x):\n\tif x:\n\t\treturn 1\n\treturn 0\n"],
    ),
    ("```python\n    return a + b\n```", ["    return a + b\n"]),
    ("```\n    s = a\n    return s + b\n```", ["    s = a\n    return s + b\n"]),
    (
        "The body is:\n```python\n    for x in a:\n        yield x\n```\nThat's it.",
        ["    for x in a:\n        yield x\n"],
    ),
]

OTHER: list[tuple[str, str, str | None]] = [
    (
        "cpp",
        "```cpp\n#include <iostream>\nusing namespace std;\n```\n```cpp\nint sq(int x) {\n    return x * x;\n}\n```\n"
        "```cpp\nint main() {\n    int n;\n    cin >> n;\n    cout << sq(n);\n}\n```",
        "#include <iostream>\nusing namespace std;\n\n\nint sq(int x) {\n    return x * x;\n}\n\n\n"
        "int main() {\n    int n;\n    cin >> n;\n    cout << sq(n);\n}\n",
    ),
    (
        "cpp",
        "Slow:\n```cpp\nint main() {\n    slow();\n}\n```\nFast:\n````cpp\nint main() {\n    return 0;\n}\n```\nDone.",
        "int main() {\n    return 0;\n}\n",
    ),
    (
        "cpp",
        "```cpp\nstruct Node { int v; };\n```\nand\n```cpp\nint main() {\n    Node n{1}; // slow\n    return n.v;\n}\n```",
        "struct Node { int v; };\n\n\nint main() {\n    Node n{1}; // slow\n    return n.v;\n}\n",
    ),
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


@pytest.mark.parametrize(("answer", "pieces"), FENCES)
def test_puts_together_what_a_person_would(answer: str, pieces: list[str]) -> None:
    result = code_text(answer)
    assert result.value == "\n\n".join(pieces).rstrip() + "\n", result


CACHED = "def add_cached(a, b):\n    return a + b\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"{ADD_FENCE}\nOr, with a cache:\n```python\n{CACHED}```", ADD),
        (f"```python\n{CACHED}```\n{ADD_FENCE}", ADD),
        (f"{ADD_FENCE}\n```python\n{CACHED}\nadd(1, 2)\n```", ADD),
        (f"{ADD_FENCE}\nShorter:\n```python\nadd = lambda a, b: a + b\n\ndef other(): ...\n```",
         "add = lambda a, b: a + b\n\ndef other(): ...\n"),
        (f"```python\nclass Solution:\n    def add(self, a, b):\n        return a + b\n```\n```python\n{CACHED}```",
         "class Solution:\n    def add(self, a, b):\n        return a + b\n"),
        (f"```python\n{CACHED}```", CACHED),
        (f"{ADD_FENCE}\nInteractively:\n```python\nprint(add(int(input()), 1))\n```", ADD),
        (f"{ADD_FENCE}\n```python\ndef main():\n    print(add(*map(int, input().split())))\n```\n```python\nmain()\n```", ADD),
        (f"```python\n{SQUARE}```\n```python\ndef add(a, b):\n    return square(a) + b\n```",
         f"{SQUARE}\n\ndef add(a, b):\n    return square(a) + b\n"),
    ],
)  # fmt: skip
def test_of_several_programs_the_one_counts_that_defines_what_is_asked_for(answer: str, expected: str) -> None:
    assert code_text(answer, name="add").value == expected
    candidate = ReducedCandidate(candidate_id="c", source_candidate_ids=("c",), final_output=answer)
    ctx = ParseContext(
        run_id="r", case_id="1", dataset_id="d", case_key="1:d:1", candidate_id="c", metadata={"entry_point": "add"}
    )
    assert CodeText().parse(candidate, ctx).value == expected


@pytest.mark.parametrize(("language", "answer", "expected"), OTHER)
def test_reads_other_languages(language: str, answer: str, expected: str | None) -> None:
    assert code_text(answer, language).value == expected


def test_has_enough_answers() -> None:
    assert len({answer for answer, _ in [*PYTHON, *FENCES]}) + len(OTHER) >= 165


@given(
    st.sampled_from("`~"),
    st.integers(3, 7),
    st.integers(3, 7),
    st.sampled_from(["python", "py", ""]),
    st.sampled_from(["", "Here it is:\n", "1. Do this.\n\n"]),
    st.sampled_from(["", "\nDone.", "\n\nIt prints\n```\n3\n```\n", "\n```text\n3\n```"]),
)
def test_a_fence_of_any_length_closes_one_of_any_length(
    sign: str, opens: int, closes: int, language: str, before: str, behind: str
) -> None:
    answer = f"{before}{sign * opens}{language}\n{ADD}{sign * closes}{behind}"
    assert code_text(answer).value == ADD


@given(st.data(), st.integers(2, 6), st.booleans())
def test_pieces_of_a_program_are_all_there_once_whatever_their_order(
    data: st.DataObject, number: int, is_named: bool
) -> None:
    # Each function calls another one that is in some other block: a tree with f0, which is asked for, as its root.
    pieces = [f"def f{n}(x):\n    return x + {n}\n" for n in range(number)]
    for child in range(1, number):
        parent = data.draw(st.integers(0, child - 1))
        pieces[parent] = pieces[parent].rstrip() + f" + f{child}(x)\n"
    order = data.draw(st.permutations(range(number)))
    example = data.draw(
        st.sampled_from(["", "\nSo:\n```python\nprint(f0(1))\n```", "\n```python\nassert f0(0) == 0\n```"])
    )
    answer = "\n".join(f"Step:\n```python\n{pieces[n]}```" for n in order) + example
    program = code_text(answer, name="f0" if is_named else None).value
    assert program == "\n\n".join(pieces[n] for n in order)


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6))
def test_of_each_function_the_last_version_counts(names: list[str]) -> None:
    versions = [f"def {name}(x):\n    return {version}\n" for version, name in enumerate(names)]
    answer = "\n".join(f"Now:\n```python\n{version}```" for version in versions)
    for name in {*names}:
        last = max(version for version, other in enumerate(names) if other == name)
        assert code_text(answer, name=name).value == versions[last]
    assert code_text(answer).value == versions[-1]


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
