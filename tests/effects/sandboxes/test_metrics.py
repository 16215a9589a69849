"""The execution metrics with real programs: right ones, wrong ones, and ones that cheat."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from returns.result import Success

from themis.effects.driver import SandboxTurns
from themis.effects.sandboxes import Sandbox
from themis.effects.sandboxes.local import LocalSandbox
from themis.pure.abilities import MetricAbilities
from themis.pure.components.registry import make_builtin
from themis.pure.pipeline.execute import conclude_sandbox, plan_sandbox
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.sandbox import SandboxResult
from themis.pure.records.scoring import Score

pytestmark = pytest.mark.sandbox

ADD = {
    "mode": "function",
    "prompt": 'import math\n\ndef add(a, b):\n    """Add two numbers."""\n',
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n",
    "entry_point": "add",
}
SUM: dict[str, Any] = {
    "mode": "stdio",
    "language": "python",
    "tests": [{"input": f"{n} 1\n", "output": f"{n + 1}\n"} for n in range(3)],
    "checker": None,
    "time_limit_s": 3.0,
    "memory_limit_mb": 256,
}
PY_SUM = "a, b = map(int, input().split())\nprint(a + b)\n"
CPP_SUM = "#include <iostream>\nint main() { long a, b; std::cin >> a >> b; std::cout << a + b << std::endl; }\n"


def judged(box: Sandbox, metric: Any, expected: dict[str, Any], answer: str) -> Any:
    """Carry a metric's requests out, as the engine does; return its score, or why there is none."""
    case = Case(case_id="c", input="q", expected_output=expected)
    parsed = ParsedOutput(value=answer)
    ctx = ScoreContext(run_id="r", case=case, parsed_output=parsed, dataset_id="d", case_key="1:d:c")

    able = MetricAbilities.of(metric)

    async def carry_out() -> Any:
        sandbox = SandboxTurns(box)
        results: dict[int, SandboxResult] = {}
        while True:
            planned = plan_sandbox(able, ctx, results)
            if not isinstance(planned, Success):
                return planned.failure().error_message
            requests = planned.unwrap()
            if len(results) == len(requests):
                outcome = conclude_sandbox(able, requests, results, (), ctx)
                if isinstance(outcome, Success):
                    return outcome.unwrap().scores[0]
                return outcome.failure().error_message
            for number in range(len(results), len(requests)):
                results[number] = await sandbox.run(requests[number])
                assert results[number].status != "sandbox_error"

    return trio.run(carry_out)


def verdict(score: Any) -> str:
    assert isinstance(score, Score), score
    failure: Any = score.details.get("first_failure")
    assert (score.value == 1.0) == (failure is None)
    return "passed" if failure is None else str(failure["verdict"])


# --- functions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("    return a + b", "passed"),
        ("return a + b", "passed"),
        ("def add(x, y):\n    return x + y\n", "passed"),
        ("from __future__ import annotations\ndef add(x: X, y: Y):\n    return math.floor(x + y)\n", "passed"),
        ("    print('noise')\n    return a + b", "passed"),
        ("add = lambda a, b: a + b", "passed"),
        ("    return a - b", "wrong_answer"),
        ("    pass", "wrong_answer"),
        ("    return (", "compile_error"),
        ("    return nothing", "runtime_error"),
        ("    raise AssertionError('of the program')", "runtime_error"),
        ("    while True: pass", "timeout"),
        ("    import time; time.sleep(100)", "timeout"),
        ("    return [0] * 10**12", "memory_limit"),
        ("    return 1\n\ndel add", "missing_function"),
        ("    return object()", "runtime_error"),
        ("    return float('nan')", "wrong_answer"),
        # What is for those who run the answer as a program is not run.
        ("    return a + b\n\nif __name__ == '__main__':\n    print(add(int(input()), 1))", "passed"),
        ("    return a + b\n\nif __name__ == '__main__':\n    import sys\n    sys.exit(add(1, 0))", "passed"),
        ("    return a + b\n\nif __name__ == '__main__':\n    assert add(1, 1) == 3", "passed"),
        ("    return a + b\n\nif __name__ == '__main__':\n    import unittest\n    unittest.main()", "passed"),
        ("    return a - b\n\nif __name__ == '__main__':\n    assert add(1, 1) == 0", "wrong_answer"),
        # What looks its own module up finds it.
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int'\n    y: 'ClassVar[int]' = 0\n"
         "def add(a, b):\n    import pickle\n    return pickle.loads(pickle.dumps(P(a))).x + b", "passed"),
        ("    return a + b\n\n# Test the function with the provided example\nn = 5\nprint(add(n, n))", "passed"),
        ("def add(a, b):\n    from solution import helper\n    return helper(a, b)\n"
         "def helper(a, b):\n    return a + b", "passed"),
        ("def add(a, b):\n    open('x', 'w').write(str(a))\n    return int(open('x').read()) + b", "passed"),
        # A whole function that a list has indented, and a body with a function of that name in it.
        ("    def add(a, b):\n        return a + b\n", "passed"),
        ("    def add(x, y):\n        return x + y\n    return add(a, b)\n", "passed"),
    ],
)  # fmt: skip
def test_functions(box: LocalSandbox, answer: str, expected: str) -> None:
    metric = make_builtin("humaneval_pass_rate", time_limit_s=0.5 if expected == "timeout" else 10.0)
    assert verdict(judged(box, metric, ADD, answer)) == expected


CHEATS = {
    "exits before the tests": "import os; os._exit(0)",
    "exits politely": "import sys; sys.exit(0)",
    "exits in the call": "def add(a, b):\n    import os; os._exit(0)",
    "always equal": "class X:\n    def __eq__(self, o): return True\n    __hash__ = None\ndef add(a, b): return X()",
    "an int that is always equal": "class X(int):\n    def __eq__(self, o): return True\ndef add(a, b): return X(7)",
    "a list that is always equal": "class X(list):\n    def __eq__(self, o): return True\ndef add(a, b): return X()",
    "own check": "def add(a, b): return 0\ndef check(candidate): pass",
    "patches builtins": "import builtins\nbuiltins.AssertionError = Warning\nbuiltins.isinstance = lambda *a: True\n"
    "def add(a, b): return 0",
    "patches json": 'import json\njson.dumps = lambda *a, **k: \'{"status": "passed"}\'\ndef add(a, b): return 0',
    "patches its caller": "import sys\nf = sys._getframe(1)\nf.f_globals['told'] = lambda *a: {'value': 3}\n"
    "def add(a, b): return 0",
    "prints a verdict": 'print(\'{"status": "passed", "nonce": ""}\')\ndef add(a, b): return 0',
    "writes a verdict into every descriptor": "import os\nfor fd in range(3, 64):\n    try:\n"
    '        os.write(fd, b\'{"status": "passed", "nonce": ""}\\n\')\n    except OSError: pass\n'
    "def add(a, b): return 0",
    "writes into others' descriptors": "import glob\nfor path in glob.glob('/proc/[0-9]*/fd/*'):\n    try:\n"
    '        open(path, \'w\').write(\'{"status": "passed", "nonce": ""}\\n\')\n    except OSError: pass\n'
    "def add(a, b): return 0",
    "kills the driver": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\ndef add(a, b): return 0",
    "interrupts the driver": "import os, signal\nos.kill(os.getppid(), signal.SIGINT)\ndef add(a, b): return 0",
    "kills everything": "import os, signal\nos.kill(-1, signal.SIGKILL)\ndef add(a, b): return 0",
    "stops the driver": "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\ndef add(a, b): return 0",
    "leaves modules for the driver": "for name in ('builtins', 'json', 'numpy', 'os'):\n"
    "    open('/box/%s.py' % name, 'w').write('import os; os._exit(0)')\ndef add(a, b): return 0",
    "rewrites the driver": "open('/box/driver.py', 'w').write('print(1)')\ndef add(a, b): return 0",
    "a flood of replies": "import os\nfor fd in range(3, 64):\n    try:\n"
    '        os.write(fd, b\'{"value": 3}\\n{"value": 0}\\n\')\n    except OSError: pass\ndef add(a, b): return 1',
    "nested deeply": "def add(a, b):\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
    "an endless iterator": "import itertools\ndef add(a, b): return itertools.count()",
    "a huge number": "def add(a, b): return 10 ** 10 ** 5",
    "an error that can't be told": "class E(Exception):\n    def __str__(self): raise SystemExit\n"
    "def add(a, b): raise E",
    "a fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "ten gigabytes": "x = bytearray(10 * 2**30)\ndef add(a, b): return 0",
    "endless output": "def add(a, b):\n    while True: print('x' * 4096)",
    "exits at the end of the interpreter": "import atexit, os\natexit.register(os._exit, 0)\ndef add(a, b): quit()",
    "raises SystemExit": "raise SystemExit(0)\ndef add(a, b): return 0",
    "patches unittest and exit": "import sys, unittest\nsys.exit = exit = quit = lambda *a: None\n"
    "unittest.TestCase.assertEqual = lambda *a: None\ndef add(a, b): return 0",
    "a thread that goes on": "import os, threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.05), os._exit(0))).start()\ndef add(a, b): time.sleep(0.2)",
    "a child that goes on": "import os, time\nif os.fork() == 0:\n    time.sleep(0.1)\n    os._exit(0)\n"
    "def add(a, b): return 0",
    "a decorator for what comes next": "def add(a, b): return 0\n@(lambda test: lambda candidate: None)",
    "a function that is anything": "class X:\n    def __call__(self, *a): return self\n"
    "    def __eq__(self, o): return True\nadd = X()  # def add",
    "hides in the module's name": "import sys\nsys.modules['__main__'].__dict__.clear()\ndef add(a, b): return 0",
    "starves the driver": "import os, resource\nfor limit in ('RLIMIT_AS', 'RLIMIT_DATA', 'RLIMIT_NOFILE'):\n"
    "    resource.prlimit(os.getppid(), getattr(resource, limit), (1, 1))\ndef add(a, b): return 0",
    "looks for the tests": "import os, sys\nframe, found = sys._getframe(), ''\nwhile frame:\n"
    "    found += repr(frame.f_globals) + repr(frame.f_locals)\n    frame = frame.f_back\n"
    "found += repr((sys.argv, dict(os.environ), open('driver.py').read(), open('/proc/self/cmdline').read()))\n"
    "def add(a, b): return 3 if 'candidate(1, 2)' in found else 0",
}


@pytest.mark.parametrize("cheat", list(CHEATS))
def test_cheating_at_functions(box: LocalSandbox, cheat: str) -> None:
    # Each defines the function at the margin, so that it replaces the prompt's.
    answer = CHEATS[cheat] if "def add" in CHEATS[cheat] else f"{CHEATS[cheat]}\ndef add(a, b): return 0"
    score = judged(box, make_builtin("humaneval_pass_rate", time_limit_s=0.5), ADD, answer)
    assert isinstance(score, Score), score
    assert score.value == 0.0
    failure: Any = score.details["first_failure"]
    print(cheat, "->", failure["verdict"], "|", failure["message"])
    assert failure["message"]


REPLIER = """
import sys
scope = sys._getframe(1).f_globals
def say(*texts):
    for text in texts:
        scope["replies"].write(text.encode("utf-8", "surrogatepass") + b"\\n")
    scope["replies"].flush()
"""
PARTS = st.sampled_from(
    ["passed", "called", "value", "error", "ready", "status", "nonce", "dict", "set", "int", "iterator", "Exception"]
)
REPLIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | PARTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PARTS, inner, max_size=2),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@example(replies=[{"error": ["passed", "", ""]}], early=True)
@example(replies=[{"error": ["passed", "", ""]}], early=False)
@example(replies=[{"ready": True}, {"error": ["passed", [], ""]}], early=True)
@example(replies=[{"error": 5}], early=True)
@example(replies=[{"value": {"int": 5}}], early=False)
@example(replies=[{"value": {"dict": [[[], 1]]}}], early=False)
@example(replies=[{"status": "passed", "nonce": ""}], early=True)
@given(replies=st.lists(REPLIES, min_size=1, max_size=3), early=st.booleans())
def test_whatever_a_program_writes_into_its_channel_no_wrong_function_passes(
    box: LocalSandbox, replies: list[Any], early: bool
) -> None:
    said = f"say(*{[json.dumps(reply) for reply in replies]!r})"
    answer = f"{REPLIER}{said if early else ''}\ndef add(a, b):\n    {'pass' if early else said}\n    return 'wrong'\n"
    score = judged(box, make_builtin("humaneval_pass_rate"), ADD, answer)
    assert isinstance(score, Score), score  # never an error either: that would take a wrong answer out of the count
    assert score.value == 0.0
    calls = TWO_SUM | {"entry_point": "add"}
    partial = judged(box, make_builtin("livecodebench_pass_rate", partial=True), calls, answer)
    assert isinstance(partial, Score), partial
    assert partial.value == 0.0


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "raise SystemExit", "say('nonsense')", "while True: pass"])
@pytest.mark.parametrize("catches", ["Exception", "BaseException"])
def test_tests_that_expect_any_error_are_not_passed_by_a_program_that_ends(
    box: LocalSandbox, end: str, catches: str
) -> None:
    case = ADD | {"test": f"def check(candidate):\n    try:\n        candidate(1, 2)\n    except {catches}: pass\n"}
    metric = make_builtin("humaneval_pass_rate", time_limit_s=0.5)
    assert verdict(judged(box, metric, case, f"{REPLIER}\ndef add(a, b):\n    {end}")) != "passed"
    assert verdict(judged(box, metric, case, "    raise KeyError(a)")) == "passed"


@pytest.mark.parametrize(
    "oracle",
    [
        "abs(candidate(1, 2) - 3) <= 1e-6",
        "not candidate(1, 2) != 3",
        "candidate(1, 2) in [3]",
        "bool(candidate(1, 2) == 3)",
        "sorted([candidate(1, 2)]) == [3]",
        "len({3, candidate(1, 2)}) == 1",
    ],
)
@pytest.mark.parametrize("base", ["object", "int", "float", "complex", "str"])
def test_a_result_that_is_near_and_equal_to_everything_passes_no_oracle(
    box: LocalSandbox, oracle: str, base: str
) -> None:
    methods = (
        "__eq__ = __lt__ = __le__ = lambda *a: True",
        "__ne__ = lambda *a: False",
        "__sub__ = __rsub__ = lambda self, other: self",
        "__abs__ = lambda self: 0.0",
        "__bool__ = lambda self: True",
        "__hash__ = lambda self: hash(3)",
    )
    cheat = "".join(f"    {method}\n" for method in methods)
    case = ADD | {"test": f"def check(candidate):\n    assert {oracle}\n"}
    answer = f"class X({base}):\n{cheat}\ndef add(a, b): return X()"
    assert verdict(judged(box, make_builtin("humaneval_pass_rate"), case, answer)) != "passed"


def test_what_tests_print_is_no_verdict(box: LocalSandbox) -> None:
    # The program makes its own report of what it knows by heart, has the tests print it, and ends the driver.
    case = ADD | {
        "test": "def check(candidate):\n    print(candidate(1, 2), flush=True)\n    assert candidate(0, 1) == 1\n"
    }
    metric = make_builtin("humaneval_pass_rate")
    answer = (
        "import os\ndef add(a, b):\n    if a == 0: os.kill(os.getppid(), 9)\n"
        '    return \'\\n{"status": "passed", "message": "", "nonce": "%s"}\\n\' % NONCE\n'
    )
    case_ = Case(case_id="c", input="q", expected_output=case)
    parsed = ParsedOutput(value=answer)
    ctx = ScoreContext(run_id="r", case=case_, parsed_output=parsed, dataset_id="d", case_key="1:d:c")
    [request] = metric.sandbox_requests(parsed, case_, ctx)
    nonce = json.loads(request.stdin)["nonce"]
    # A program can't hold its own hash, but could compute it: give it here what it would come to.
    job = json.loads(request.stdin)
    job["program"] = job["program"].replace("NONCE", repr(nonce))
    result = trio.run(box.run, request.evolve(stdin=json.dumps(job)))
    assert nonce not in result.stdout
    assert verdict(metric.score_results(parsed, case_, [result], ctx)) == "no_verdict"


def test_tests_can_not_be_read(box: LocalSandbox) -> None:
    # The spy reads all that it can of every other process: memory, descriptors, environment, working files.
    spy = """
import glob, os
def read(path, at=0, size=1 << 20):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.pread(fd, size, at) if at else os.read(fd, size)
        finally:
            os.close(fd)
    except (OSError, OverflowError):
        return b""
def add(a, b):
    wanted, seen = "1174-arbez"[::-1].encode(), 0
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        seen += 1
        paths = glob.glob("/proc/%s/fd/*" % pid) + ["/proc/%s/%s" % (pid, name) for name in ("environ", "cmdline")]
        parts = [read(path) for path in paths + glob.glob("/box/*")]
        for line in read("/proc/%s/maps" % pid).decode().splitlines():
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            parts.append(read("/proc/%s/mem" % pid, start, end - start))
        if any(wanted in part for part in parts):
            return "found"
    return seen
"""
    told = ADD | {"test": "def check(candidate):  # zebra-4711\n    assert candidate(-1, 1) == 2\n"}
    score = judged(box, make_builtin("humaneval_pass_rate"), told, spy)
    assert verdict(score) == "passed", score  # it has seen bubblewrap's process and the driver's, and got nothing


@pytest.mark.parametrize(
    "value",
    [
        "None", "True", "1.5", "10 ** 6000", "float('inf')", "-0.0",
        "__import__('fractions').Fraction(10 ** 5000, 3)", "{frozenset({1})}",
        "'a\\ud800\\n'", "b'x\\xff'", "(1, [2, {3: (4,)}])", "{1, 2}",
        "{(1, 2): None}", "1 + 2j", "2 ** 200", "__import__('fractions').Fraction(1, 3)",
        "__import__('decimal').Decimal('1.10')", "[]", "()", "{}", "set()",
    ],
)  # fmt: skip
def test_values_arrive_as_they_are(box: LocalSandbox, value: str) -> None:
    case = ADD | {
        "test": f"def check(candidate):\n    x = {value}\n    assert candidate(x, b=x) == (x, x), 1\n"
        f"    assert type(candidate(x, b=x)[0]) is type(x), 2\n"
    }
    score = judged(box, make_builtin("humaneval_pass_rate"), case, "    return (a, b)")
    assert verdict(score) == "passed", score


@pytest.mark.parametrize(
    ("value", "seen_as"),
    [
        ("map(str, [1])", "list(x) == ['1']"),
        ("range(3)", "list(x) == [0, 1, 2]"),
        ("__import__('collections').Counter('aab')", "x == {'a': 2, 'b': 1}"),
        ("__import__('collections').deque([1])", "list(x) == [1]"),
        ("__import__('enum').IntEnum('E', 'A').A", "x == 1"),
    ],
)
def test_values_of_other_types_arrive_as_plain_ones(box: LocalSandbox, value: str, seen_as: str) -> None:
    case = ADD | {"test": f"def check(candidate):\n    x = candidate(0, 0)\n    assert {seen_as}\n"}
    assert verdict(judged(box, make_builtin("humaneval_pass_rate"), case, f"    return {value}")) == "passed"


def test_errors_that_tests_expect(box: LocalSandbox) -> None:
    test = (
        "def check(candidate):\n    try:\n        candidate(0, 0)\n    except ValueError as e:\n"
        "        assert str(e) == 'no'\n    else:\n        assert False\n"
    )
    score = judged(box, make_builtin("humaneval_pass_rate"), ADD | {"test": test}, "    raise ValueError('no')")
    assert verdict(score) == "passed"


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        ("class E(ValueError): pass\n", "ValueError"),  # the nearest builtin kind
        ("class E(FileNotFoundError): pass\n", "OSError"),
        ("class E(UnicodeDecodeError):\n    def __init__(self): pass\n", "ValueError"),
        ("class E(Exception): pass\n", "Exception"),
        ("E = ZeroDivisionError\n", "ArithmeticError"),
    ],
)
def test_errors_are_of_the_kind_that_tests_expect(box: LocalSandbox, error: str, caught: str) -> None:
    test = f"def check(candidate):\n    try: candidate(0, 0)\n    except {caught}: return\n    assert False\n"
    answer = f"{error}def add(a, b):\n    raise E()"
    assert verdict(judged(box, make_builtin("humaneval_pass_rate"), ADD | {"test": test}, answer)) == "passed"


def test_what_can_not_be_tested_is_an_error_and_no_wrong_answer(box: LocalSandbox) -> None:
    metric = make_builtin("humaneval_pass_rate")
    unsendable = ADD | {"test": "def check(candidate):\n    candidate(open, 1)\n"}
    assert judged(box, metric, unsendable, "    return 1") == (
        "the tests pass what can't be sent: a value of type builtin_function_or_method"
    )
    assert "the test driver failed" in str(judged(box, metric, ADD | {"test": "def check(:"}, "    return 1"))


# --- LiveCodeBench ----------------------------------------------------------------------------------------

TWO_SUM: dict[str, Any] = {
    "mode": "call",
    "entry_point": "twoSum",
    "tests": [{"input": "[2, 7]\n9", "output": "[0, 1]"}, {"input": "[3, 3]\n6", "output": "[0, 1]"}],
}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("class Solution:\n    def twoSum(self, a: List[int], b: int) -> List[int]:\n        return [0, 1]", "passed"),
        ("def twoSum(nums, target):\n    return (0, 1)", "passed"),
        ("def twoSum(nums, target):\n    return [False, True]", "wrong_answer"),
        ("def twoSum(nums, target):\n    return [1, 0]", "wrong_answer"),
        ("def twoSum(nums):\n    return [0, 1]", "runtime_error"),
        ("def threeSum(nums):\n    return [0, 1]", "missing_function"),
        ("def twoSum(nums, target):\n    while True: pass", "timeout"),
        ("class X(list):\n    def __eq__(self, o): return True\ndef twoSum(nums, target): return X()", "wrong_answer"),
        ("import os; os._exit(0)", "runtime_error"),
    ],
)  # fmt: skip
def test_calls(box: LocalSandbox, answer: str, expected: str) -> None:
    metric = make_builtin("livecodebench_pass_rate", time_limit_s=0.5 if expected == "timeout" else 6.0)
    assert verdict(judged(box, metric, TWO_SUM, answer)) == expected


@pytest.mark.parametrize("digits", [4, 25, 4300, 5000])
def test_whole_numbers_of_any_length(box: LocalSandbox, digits: int) -> None:
    number = f"{'7' * digits}"
    livecodebench = make_builtin("livecodebench_pass_rate")
    call = {"mode": "call", "entry_point": "f", "tests": [{"input": number, "output": f"[{number}, {number[:-1]}8]"}]}
    assert verdict(judged(box, livecodebench, call, "def f(x):\n    return [x, x + 1]")) == "passed"
    assert verdict(judged(box, livecodebench, call, "def f(x):\n    return [x, x]")) == "wrong_answer"
    case = SUM | {"tests": [{"input": number, "output": f"{number[:-1]}8\n"}]}
    for metric in (livecodebench, make_builtin("codeforces_pass_rate")):
        assert verdict(judged(box, metric, case, "print(int(input()) + 1)")) == "passed"
        assert verdict(judged(box, metric, case, "print(int(input()))")) == "wrong_answer"
    checker = "import sys\nprint(int(int(open('solution_output.txt').read()) == int(open('input.txt').read()) + 1))"
    checked = case | {"checker": checker}
    assert verdict(judged(box, make_builtin("codeforces_pass_rate"), checked, "print(int(input()) + 1)")) == "passed"
    function = ADD | {"test": f"def check(candidate):\n    assert str(candidate({int(digits)}, 0)) == '{number}'\n"}
    assert verdict(judged(box, make_builtin("humaneval_pass_rate"), function, "    return int('7' * a)")) == "passed"


@pytest.mark.parametrize("name", ["codeforces_pass_rate", "livecodebench_pass_rate"])
def test_blanks_count_where_the_case_says_so(box: LocalSandbox, name: str) -> None:
    case = SUM | {"tests": [{"input": "3", "output": "  *\n ***\n*****\n"}]}
    right, wrong = "print('  * \\n ***\\n*****\\n')", "print('*\\n***\\n*****')"
    assert [verdict(judged(box, make_builtin(name), case, answer)) for answer in (right, wrong)] == ["passed"] * 2
    said = case | {"compare": "layout"}
    assert verdict(judged(box, make_builtin(name), said, right)) == "passed"
    assert verdict(judged(box, make_builtin(name), said, wrong)) == "wrong_answer"


def test_a_program_that_can_not_be_started_is_not_started_for_each_call(box: LocalSandbox) -> None:
    for answer, status in (("def twoSum(", "compile_error"), ("import os; os._exit(3)", "runtime_error")):
        score = judged(box, make_builtin("livecodebench_pass_rate", partial=True), TWO_SUM, answer)
        assert (score.value, list(score.details["verdicts"]), score.details["tests"]) == (0.0, [status], 2)


def test_calls_count_singly_and_one_that_hangs_takes_no_other_along(box: LocalSandbox) -> None:
    answer = "def twoSum(nums, target):\n    while nums[0] == 2: pass\n    return [0, 1]"
    score = judged(box, make_builtin("livecodebench_pass_rate", time_limit_s=0.5, partial=True), TWO_SUM, answer)
    assert score.value == 0.5
    assert list(score.details["verdicts"]) == ["timeout", "passed"]
    whole = judged(box, make_builtin("livecodebench_pass_rate", time_limit_s=0.5), TWO_SUM, answer)
    assert (whole.value, list(whole.details["verdicts"])) == (0.0, ["timeout"])


# --- contests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PY_SUM, "passed"),
        ("print(1)", "wrong_answer"),
        ("print(1", "compile_error"),
        ("1 / 0", "runtime_error"),
        ("while True: pass", "timeout"),
        ("x = [0] * 10**9", "memory_limit"),
        ("while True: print('x' * 999)", "output_limit"),
        ("import os; os._exit(0)", "wrong_answer"),
        ("if __name__ == '__main__':\n    print(sum(map(int, input().split())))\n    raise SystemExit", "passed"),
        ("'Doc.'\nfrom __future__ import (\n    annotations,\n)\nx: X = 1\n" + PY_SUM, "passed"),
        ("print(open('/proc/1/environ').read())", "runtime_error"),
    ],
)
@pytest.mark.parametrize("name", ["codeforces_pass_rate", "livecodebench_pass_rate"])
def test_python_programs(box: LocalSandbox, name: str, answer: str, expected: str) -> None:
    case = SUM | {"tests": SUM["tests"][1:]} | ({"time_limit_s": 0.3} if expected == "timeout" else {})
    got = verdict(judged(box, make_builtin(name), case, answer))
    assert got == expected or (expected == "runtime_error" and got == "wrong_answer" and "environ" in answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CPP_SUM, "passed"),
        ("int main() { return undeclared; }", "compile_error"),
        ("int main() { int *p = 0; *p = 1; }", "runtime_error"),
        ("int main() { volatile int x = 0; while (true) ++x; }", "timeout"),
        ("#include <vector>\nint main() { std::vector<char> v(1l << 34, 1); }", "memory_limit"),
        ("int main() { return 3; }", "runtime_error"),
        ("int f(volatile int n) { return n ? 1 + f(n - 1) : 0; } int main() { f(1000000); }", "wrong_answer"),
    ],
)
def test_cpp_programs(box: LocalSandbox, answer: str, expected: str) -> None:
    case = SUM | {"language": "cpp"} | ({"time_limit_s": 0.3} if expected == "timeout" else {})
    assert verdict(judged(box, make_builtin("aethercode_pass_rate"), case, answer)) == expected


def test_some_of_the_tests(box: LocalSandbox) -> None:
    answer = "a, b = map(int, input().split())\nprint(a + b if a != 1 else 0)\n"
    score = judged(box, make_builtin("codeforces_pass_rate", partial=True), SUM, answer)
    assert score.value == pytest.approx(2 / 3)
    assert list(score.details["verdicts"]) == ["passed", "wrong_answer", "passed"]
    assert score.details["first_failure"]["test"] == 1


def test_testing_ends_soon_after_the_first_failure(box: LocalSandbox) -> None:
    many = SUM | {"tests": [{"input": "0 1", "output": "2"}] * 30}
    score = judged(box, make_builtin("codeforces_pass_rate"), many, PY_SUM)
    assert len(score.details["verdicts"]) == 8
    assert score.details["tests"] == 30


CPP_CHECKER = r"""
#include <fstream>
#include <iostream>
int main(int argc, char **argv) {  // accepts any two numbers with the sum that the answer has
    std::ifstream input(argv[1]), output(argv[2]), answer(argv[3]);
    long a, b, sum, first;
    if (argc != 4 || !(input >> first) || !(answer >> sum)) return 3;
    if (!(output >> a >> b)) { std::cerr << "two numbers expected"; return 2; }
    if (a + b != sum) { std::cerr << a << " + " << b << " is not " << sum; return 1; }
}
"""
PY_CHECKER = (
    "import sys\n"
    "given, answer, output = (open(name).read().split() for name in sys.argv[1:4])\n"
    "print(1 if sum(map(int, output)) == int(answer[0]) and len(output) == 2 else 0)\n"
)


@pytest.mark.parametrize("checker", [CPP_CHECKER, PY_CHECKER], ids=["cpp", "python"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [("print(*input().split())", "passed"), ("print(1, 1, 1)", "wrong_answer"), ("print('x', 'y')", "wrong_answer")],
)
def test_checkers(box: LocalSandbox, checker: str, answer: str, expected: str) -> None:
    if checker == CPP_CHECKER and expected == "wrong_answer" and "1, 1, 1" in answer:
        answer = "print(7, 7)"
    score = judged(box, make_builtin("codeforces_pass_rate"), SUM | {"checker": checker}, answer)
    assert verdict(score) == expected


@pytest.mark.parametrize(
    "checker",
    ["#include <none.h>\nint main() {}", "#include <cstdlib>\nint main() { abort(); }", "print('no number')"],
)
def test_a_checker_that_fails_leaves_the_case_unscored(box: LocalSandbox, checker: str) -> None:
    reason = judged(box, make_builtin("codeforces_pass_rate"), SUM | {"checker": checker}, PY_SUM)
    assert str(reason).startswith("the checker failed: ")


def test_a_program_can_not_reach_its_checker(box: LocalSandbox) -> None:
    # It leaves a daemon and files behind, and looks for the answer: the checker runs elsewhere, later.
    answer = (
        "import glob, os\nif os.fork() == 0:\n    while True:\n        for path in glob.glob('/box/*'):\n"
        "            try: open(path, 'w').write('1 0')\n            except OSError: pass\n"
        "open('/box/answer.txt', 'w').write('0')\nprint(glob.glob('/box/*.txt'))\n"
    )
    score = judged(box, make_builtin("codeforces_pass_rate"), SUM | {"checker": PY_CHECKER}, answer)
    assert verdict(score) == "wrong_answer"


def test_large_texts_go_through_checkers(box: LocalSandbox) -> None:
    numbers = " ".join(map(str, range(60_000)))
    case = SUM | {
        "tests": [{"input": numbers, "output": numbers}],
        "checker": "#include <fstream>\n#include <string>\n#include <iterator>\n"
        "std::string all(const char *p) { std::ifstream f(p);"
        " return std::string(std::istreambuf_iterator<char>(f), {}); }\n"
        "int main(int, char **v) { return all(v[2]) == all(v[3]) + '\\n' ? 0 : 1; }",
    }
    assert verdict(judged(box, make_builtin("codeforces_pass_rate"), case, "print(input())")) == "passed"


# --- cases that are wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "complaint"),
    [
        ("3", "expected_output must be an object with mode and tests"),
        ({"mode": "magic"}, "mode 'magic' is none of function, call, stdio"),
        (SUM | {"tests": []}, "expected_output.tests: at least one test expected"),
        (SUM | {"tests": [{"input": "1"}]}, "expected_output.tests[0]: input and output expected, both str"),
        (SUM | {"language": "cobol"}, "language 'cobol' is none of python, cpp"),
        (SUM | {"compare": "bytes"}, "expected_output.compare: 'bytes' is none of tokens, lines, layout"),
        (TWO_SUM, "mode 'stdio' expected"),
        (json.loads(json.dumps(ADD)), "mode 'stdio' expected"),
    ],
)
def test_cases_that_are_wrong(box: LocalSandbox, expected: Any, complaint: str) -> None:
    assert complaint in str(judged(box, make_builtin("codeforces_pass_rate"), expected, PY_SUM))
