"""The pure half of the execution metrics: what they ask for, and what they make of what came of it."""

from __future__ import annotations

import ast
import json
import textwrap
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure.components.execution import EXECUTION_METRICS, CodeforcesPassRate, HumanEvalPassRate
from themis.pure.components.execution_cases import behind, completed, indented
from themis.pure.components.execution_verdicts import (
    MOST_FAILURES,
    Verdict,
    check_verdict,
    driver_report,
    layouts_match,
    lines_match,
    run_verdict,
    same_value,
    scored,
    tokens_match,
    told_tests,
)
from themis.pure.components.programs_python import CHECKER, CODEC, CONTEST_PRELUDE, DRIVER, program_file
from themis.pure.components.registry import make_builtin
from themis.pure.families import metric_family
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

texts = st.text(st.sampled_from("ab 1.0\n\t-"), max_size=30)
results = st.builds(
    SandboxResult,
    status=st.sampled_from(["ok", "nonzero_exit", "timeout", "memory", "output_limit", "signal", "build_failed"]),
    exit_code=st.none() | st.integers(0, 255),
    stdout=st.text(max_size=40) | st.just('{"nonce": "n"}') | st.just('{"nonce": "n", "status": "passed"}'),
    stderr=st.text(max_size=40),
)


@pytest.mark.parametrize("name", [make().component_id for make in EXECUTION_METRICS])
def test_they_are_found_by_name(name: str) -> None:
    metric = make_builtin(name)
    assert metric.component_id == name
    assert metric_family(metric) == "execution"
    assert "python" in metric.sandbox_languages or "cpp" in metric.sandbox_languages


@pytest.mark.parametrize(
    "program", [DRIVER, CHECKER, CONTEST_PRELUDE, CODEC, program_file(CONTEST_PRELUDE, "x = '\"\"'")]
)
def test_our_programs_are_programs_for_old_pythons_too(program: str) -> None:
    ast.parse(program, feature_version=(3, 7))


# --- comparing --------------------------------------------------------------------------------------------


@given(text=texts)
def test_an_output_matches_itself_however_it_is_spaced(text: str) -> None:
    assert tokens_match(text, "\n".join(text.split()))
    assert lines_match(text, text + "\n")
    assert lines_match(text, "\n".join(f" {line} " for line in text.split("\n")))


@given(text=texts, line=texts)
def test_of_a_layout_the_ends_of_lines_alone_may_differ(text: str, line: str) -> None:
    assert layouts_match(text, text + " \n\n")
    assert layouts_match(text, "\n".join(f"{line}  " for line in text.split("\n")))
    assert layouts_match(f"x{text}", f" x{text}") is False
    assert not layouts_match(text, line) or (tokens_match(text, line) and lines_match(text, line))


@given(left=texts, right=texts)
def test_comparing_knows_no_sides(left: str, right: str) -> None:
    assert tokens_match(left, right) == tokens_match(right, left)
    assert lines_match(left, right) == lines_match(right, left)


@given(number=st.integers(-(10**30), 10**30), zeros=st.integers(1, 4))
def test_numbers_match_by_value_and_never_nearly(number: int, zeros: int) -> None:
    assert lines_match(f"{number}", f"{number}.{'0' * zeros}")
    assert not lines_match(f"{number}", f"{number + 1}")
    assert not tokens_match(f"{number}", f"{number}.0")


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ([1, 2], {"tuple": [1, 2]}, True),
        ([[1], [2]], [{"tuple": [1]}, [2]], True),
        ({"1": 2}, {"dict": [[1, 2]]}, True),
        ({"a": [1]}, {"dict": [["a", {"tuple": [1]}]]}, True),
        (1.0, 1, True),
        (True, 1, False),
        ([1], [True], False),
        ([1], {"set": [1]}, False),
        (None, {"iterator": []}, False),
        ("1", 1, False),
        (5**100, {"int": hex(5**100)}, True),
        (5**100, {"int": hex(5**100 + 1)}, False),
        ({"a": True}, {"dict": [["a", 1]]}, False),
        ({"a": 1}, {"dict": [[{"int": hex(2**70)}, 1]]}, False),
    ],
)
def test_values(expected: Any, found: Any, same: bool) -> None:
    assert (same_value(expected, found).status == "passed") is same


def test_numbers_that_python_would_not_write_are_compared() -> None:
    assert same_value([10**5000], [{"int": hex(10**5000)}]).status == "passed"
    assert "thousands of digits" in same_value(10**5000, {"int": hex(10**5000 + 1)}).message


# --- programs ---------------------------------------------------------------------------------------------

BODIES = [
    "    return x",
    "    if x:\n        return 1\n    return 2",
    "    for y in x:  # each\n      y += 1\n    return y",
    "    def inner():\n        return 1\n\n    return inner()",
    "\n    return [\n        x,\n    ]",
    "    while x:\n        x -= 1",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_survives_trimming(body: str) -> None:
    whole = ast.dump(ast.parse(f"def f(x):\n{body}"))
    for trimmed in (body, body.strip(), textwrap.dedent(body), textwrap.dedent(body).strip()):
        assert ast.dump(ast.parse(f"def f(x):\n{indented(trimmed)}")) == whole, trimmed


@given(body=st.sampled_from(BODIES))
def test_indenting_what_is_indented_changes_nothing(body: str) -> None:
    assert indented(indented(body)) == indented(body)


def test_the_program_that_an_answer_makes() -> None:
    prompt = 'import math\n\ndef helper(): ...\n\ndef f(x):\n    """Doc."""\n'
    assert completed(prompt, "    return 1", "f") == prompt + "    return 1"
    assert completed(prompt, "def f(x): return 2", "f") == "import math\n\ndef helper(): ...\n\n\ndef f(x): return 2"
    assert completed(prompt, "    def f(y): return 1\n    return f(x)", "f").startswith(prompt)
    text = "def f(x):\n    return '''a\n    \nb'''"
    assert completed(prompt, text, "f").endswith(text)  # blanks within a text stay
    assert behind("import math", "x = 1\nfrom __future__ import annotations") == (
        "from __future__ import annotations\nimport math\nx = 1\n"
    )


# --- verdicts ---------------------------------------------------------------------------------------------


@given(result=results)
def test_whatever_came_of_a_run_there_is_a_verdict(result: SandboxResult) -> None:
    assert (run_verdict(result).status == "passed") == (result.status == "ok")
    for is_cpp in (True, False):
        passed = check_verdict(result, is_cpp=is_cpp).status == "passed"
        assert not passed or result.status == "ok"


@given(result=results, nonce=st.sampled_from(["n", "other"]))
def test_only_a_report_with_the_nonce_counts(result: SandboxResult, nonce: str) -> None:
    if result.stdout == '{"nonce": "n"}':
        return  # a driver of ours always says its status
    report = driver_report(result, nonce)
    assert (report.status == "passed") == (
        nonce == "n" and "passed" in result.stdout and result.status not in ("timeout", "memory", "output_limit")
    )


def test_a_driver_that_fails_says_nothing_about_the_program() -> None:
    broken = SandboxResult(status="nonzero_exit", exit_code=1, stderr="Traceback ...\nSyntaxError: tests.py")
    with pytest.raises(RuntimeError, match="the test driver failed"):
        driver_report(broken, "n")


@given(statuses=st.lists(st.sampled_from(["passed", "wrong_answer", "timeout"]), min_size=1), more=st.integers(0, 5))
def test_scores(statuses: list[str], more: int) -> None:
    verdicts, planned = [Verdict(status) for status in statuses], len(statuses) + more
    part = scored("m", verdicts, planned=planned, partial=True)
    whole = scored("m", verdicts, planned=planned, partial=False)
    assert part.value == statuses.count("passed") / planned
    assert whole.value == float(part.value == 1.0)
    assert ("first_failure" in whole.details) == (set(statuses) != {"passed"})


STATUSES = st.sampled_from(["passed", "wrong_answer", "timeout"])


@example(statuses=["timeout"] * 60, more=0, message="y" * 900)
@given(statuses=st.lists(STATUSES, max_size=60), more=st.integers(0, 5), message=st.sampled_from(["", "x", "y" * 900]))
def test_each_test_is_told_of_once_and_a_failed_one_with_what_happened(
    statuses: list[str], more: int, message: str
) -> None:
    planned = len(statuses) + more
    verdicts = [Verdict(status, message[:500]) for status in statuses]
    details: Any = scored("m", verdicts, planned=max(1, planned), partial=True).details
    told, numbers = list(told_tests(details)), list[int]()
    for tests, verdict, _ in told:
        first, _, last = tests.partition(" ")[2].partition(" to ")
        of = range(int(first), int(last or first) + 1)
        expected = {(statuses[n].replace("_", " ") if n < len(statuses) else "not run") for n in of}
        assert expected == {verdict}
        numbers += of
    assert numbers == [*range(max(1, planned))]
    failed = [n for n, status in enumerate(statuses) if status != "passed"][:MOST_FAILURES]
    shown = [details[name] for name in ("first_failure",) if name in details] + [*details.get("further_failures", ())]
    assert [failure["test"] for failure in shown] == failed
    assert sum(len(failure["message"]) for failure in shown) < 10_000


def test_details_of_other_metrics_tell_of_no_tests() -> None:
    others: list[Any] = [{}, {"verdicts": "passed", "tests": 1}, {"verdicts": {"0": "correct"}}, {"tests": ["a"]}]
    assert [list(told_tests(details)) for details in others] == [[]] * 4


# --- requests ---------------------------------------------------------------------------------------------


def planned(metric: Any, expected: dict[str, Any], done: list[SandboxResult]) -> list[SandboxRequest]:
    case = Case(case_id="c", input="q", expected_output=expected)
    parsed = ParsedOutput(value="print(1)")
    ctx = ScoreContext(run_id="r", case=case, parsed_output=parsed, dataset_id="d", case_key="1:d:c")
    return list(metric.next_requests(parsed, case, done, ctx))


def stdio(tests: int, checker: str | None = None, **limits: Any) -> dict[str, Any]:
    pairs = [{"input": str(n), "output": "1"} for n in range(tests)]
    return {"mode": "stdio", "language": "python", "tests": pairs, "checker": checker, **limits}


def ran(request: SandboxRequest, stdout: str = "1") -> SandboxResult:
    return SandboxResult(status="ok", exit_code=0, stdout=stdout, label=request.label)


def test_limits_of_the_problem_go_before_the_metrics() -> None:
    metric = CodeforcesPassRate(time_limit_s=9, memory_limit_mb=99)
    [request] = planned(metric, stdio(1, time_limit_s=1.5, memory_limit_mb=64), [])
    assert (request.time_s, request.memory_mb) == (1.5, 64)
    [request] = planned(metric, stdio(1), [])
    assert (request.time_s, request.memory_mb) == (9, 99)


@given(tests=st.integers(1, 40), checker=st.sampled_from([None, "print(1)", "#include <x>"]), partial=st.booleans())
def test_rounds_of_requests_end_and_cover_every_test_once(tests: int, checker: str | None, partial: bool) -> None:
    metric, done = CodeforcesPassRate(partial=partial), list[SandboxResult]()
    while requests := planned(metric, stdio(tests, checker), done):
        done += [ran(request) for request in requests]
    labels = [result.label for result in done]
    assert sorted(labels) == sorted(
        f"{kind}:{n}" for kind in (["run"] if checker is None else ["run", "check"]) for n in range(tests)
    )


def test_no_program_sees_an_expected_output() -> None:
    expected = stdio(3, "print(1)")
    expected["tests"] = [{"input": "in", "output": "EXPECTED"}] * 3
    for request in planned(CodeforcesPassRate(), expected, []):
        assert "EXPECTED" not in json.dumps(request.to_dict())


def test_the_same_answer_makes_the_same_request() -> None:
    case = Case(
        case_id="c",
        input="q",
        expected_output={"mode": "function", "prompt": "def f():\n", "test": "def check(f): ...", "entry_point": "f"},
    )
    parsed = ParsedOutput(value="    return 1")
    ctx = ScoreContext(run_id="r", case=case, parsed_output=parsed, dataset_id="d", case_key="1:d:c")
    [one], [two] = (HumanEvalPassRate().sandbox_requests(parsed, case, ctx) for _ in range(2))
    assert one.compute_hash() == two.compute_hash()
    assert json.loads(one.stdin)["nonce"] not in json.dumps(dict(one.files))


def test_testlib_is_asked_for_before_anything_runs_and_put_where_it_is_included() -> None:
    case = stdio(1, '#include <iostream>\n#include "testlib.h"\nint main() {}')
    with pytest.raises(ValueError, match=r"includes testlib.h.*codeforces_pass_rate', testlib=Path"):
        planned(CodeforcesPassRate(), case, [])
    metric = CodeforcesPassRate(testlib="// all of \\1 testlib")
    [run] = planned(metric, case, [])
    [check] = planned(metric, case, [ran(run)])
    assert "#include <iostream>\n// all of \\1 testlib\nint main() {}" in check.files["checker.cpp"]
