"""From sandbox results to verdicts, and from verdicts to a score."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import attrs

from themis.pure.components.execution_cases import Comparison
from themis.pure.records.sandbox import SandboxResult
from themis.pure.records.scoring import Score
from themis.pure.text import shortened

_LONGEST: Final = 500
_OF_STATUS: Final = {
    "timeout": ("timeout", "the time limit was reached"),
    "memory": ("memory_limit", "the memory limit was reached"),
    "output_limit": ("output_limit", "more was written than is allowed"),
}
_MEMORY_SIGNS: Final = ("MemoryError", "std::bad_alloc")


@attrs.frozen
class Verdict:
    """What one test came to.

    Attributes:
        status: `passed`, or why not; `returned` for a call whose value is yet to be compared.
        message: what happened, for people.
        value: what a call returned.
        answers: what each call came to, if there were several.
    """

    status: str
    message: str = ""
    value: Any = None
    answers: tuple[Verdict, ...] = ()


def run_verdict(result: SandboxResult) -> Verdict:
    """Return `passed` for a program that ran to its end without an error, whatever it wrote; else why not."""
    if result.status == "ok":
        return Verdict("passed")
    if result.status == "build_failed":
        return Verdict("compile_error", result.stderr[:_LONGEST])
    if result.status in _OF_STATUS:
        return Verdict(*_OF_STATUS[result.status])
    said = result.stderr.strip()
    last = said.splitlines()[-1] if said else f"exit status {result.exit_code}"
    if any(sign in last for sign in _MEMORY_SIGNS):
        return Verdict("memory_limit", last[:_LONGEST])
    if last.startswith(("SyntaxError", "IndentationError", "TabError")):
        return Verdict("compile_error", last[:_LONGEST])
    return Verdict("runtime_error", last[:_LONGEST])


# --- checkers ---------------------------------------------------------------------------------------------

_TESTLIB_REJECTS: Final = (1, 2, 4, 5, 7, 8)


def check_verdict(result: SandboxResult, *, is_cpp: bool) -> Verdict:
    """Return what a checker decided: by exit status as testlib has it, or by the number that a Python checker prints.

    A checker that itself fails is `checker_failed`. A Python checker that ends with an error has met output that it
    can't read, which its benchmark counts as wrong.
    """
    said = (result.stderr.strip() or result.stdout.strip())[:_LONGEST]
    if is_cpp:
        if result.status == "ok":
            return Verdict("passed", said)
        if result.status == "nonzero_exit" and result.exit_code in _TESTLIB_REJECTS:
            return Verdict("wrong_answer", said)
        return Verdict("checker_failed", f"{result.status}, exit status {result.exit_code}: {said}")
    if result.status == "nonzero_exit":
        return Verdict("wrong_answer", f"the checker ended with an error: {said[-_LONGEST:]}")
    if result.status != "ok":
        return Verdict("checker_failed", f"{result.status}: {said}")
    try:
        return Verdict("passed" if float(result.stdout.split()[0]) >= 1 else "wrong_answer", said)
    except (IndexError, ValueError):
        return Verdict("checker_failed", f"it printed no number: {said!r}")


def outputs_match(compare: Comparison, expected: str, actual: str) -> bool:
    """Tell whether a program's output is the expected one, compared as a case or its metric says."""
    return {"tokens": tokens_match, "lines": lines_match, "layout": layouts_match}[compare](expected, actual)


def tokens_match(expected: str, actual: str) -> bool:
    """Tell whether two outputs are the same but for white space.

    >>> tokens_match("1 2\\n3\\n", "1 2 3"), tokens_match("1", "1.0")
    (True, False)
    """
    return expected.split() == actual.split()


def lines_match(expected: str, actual: str) -> bool:
    """Tell whether two outputs have the same lines, but for white space around them and for how numbers are written.

    >>> lines_match("1 2\\n0.5", "1  2.0\\n.50\\n"), lines_match("1\\n2", "1 2"), lines_match("YES", "Yes")
    (True, False, False)
    """
    wanted, found = expected.strip().split("\n"), actual.strip().split("\n")
    return len(wanted) == len(found) and all(map(_line_matches, wanted, found))


def layouts_match(expected: str, actual: str) -> bool:
    """Tell whether two outputs look the same: all but blanks at the end of lines, and empty lines at the end, counts.

    >>> layouts_match(" *\\n***", " *  \\n***\\n"), layouts_match(" *\\n***", "*\\n***")
    (True, False)
    """
    wanted, found = ([line.rstrip() for line in text.rstrip().split("\n")] for text in (expected, actual))
    return wanted == found


def _line_matches(expected: str, actual: str) -> bool:
    if expected.strip() == actual.strip():
        return True
    wanted, found = expected.split(), actual.split()
    if len(wanted) != len(found) or not wanted:
        return False
    try:
        return all(Decimal(left) == Decimal(right) for left, right in zip(wanted, found, strict=True))
    except InvalidOperation:
        return False


# --- the driver -------------------------------------------------------------------------------------------


def driver_report(result: SandboxResult, nonce: str) -> Verdict:
    """Read what the driver reports; without its report, say what ended it.

    The report must bear the nonce, which is in the driver's input alone.

    Raises:
        RuntimeError: the driver itself failed, which says nothing about the program.
    """
    if result.status in _OF_STATUS:
        return Verdict(*_OF_STATUS[result.status])
    report = _report(result.stdout, nonce)
    if report is None:
        if result.status == "nonzero_exit" and "Traceback" in result.stderr:
            raise RuntimeError(f"the test driver failed: {result.stderr.strip()[-_LONGEST:]}")
        return Verdict("no_verdict", f"the tests were ended from within ({result.status}, {result.exit_code})")
    answers = tuple(map(_answer, report.get("results", ())))
    return Verdict(str(report["status"]), str(report.get("message", ""))[:_LONGEST], answers=answers)


def _report(stdout: str, nonce: str) -> dict[str, Any] | None:
    for line in reversed(stdout.splitlines()):
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(report, dict) and report.get("nonce") == nonce:
            return report
    return None


def _answer(item: dict[str, Any]) -> Verdict:
    return Verdict(*item["error"]) if "error" in item else Verdict("returned", value=item["value"])


def same_value(expected: Any, actual: Any) -> Verdict:
    """Compare a call's result with what is expected; a tuple counts as a list, as JSON has it."""
    found = _as_json(actual)
    if found == expected and _kinds_agree(expected, found):
        return Verdict("passed")
    return Verdict("wrong_answer", f"expected {_shown(expected)}, found {_shown(found)}")


def _shown(value: Any) -> str:
    try:
        return str(value)[:200]
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def _as_json(data: Any) -> Any:
    if isinstance(data, list):
        return [_as_json(item) for item in data]
    if isinstance(data, dict) and "int" in data:
        return int(data["int"], 16)
    if isinstance(data, dict) and "tuple" in data:
        return _as_json(data["tuple"])
    if isinstance(data, dict) and "dict" in data:
        return {_key(key): _as_json(value) for key, value in data["dict"]}
    return data  # what else the driver marks by an object equals no JSON value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)


def _kinds_agree(expected: Any, found: Any) -> bool:
    # Python has True == 1; a judge that compares JSON has not.
    if isinstance(expected, list):
        return all(map(_kinds_agree, expected, found))
    if isinstance(expected, dict):
        return all(_kinds_agree(value, found[key]) for key, value in expected.items())
    return isinstance(expected, bool) == isinstance(found, bool)


# --- scores -----------------------------------------------------------------------------------------------


MOST_FAILURES: Final = 20
"""Failed tests that a score's details tell of one by one; the verdicts name all tests."""
_LONGEST_FURTHER: Final = 200
"""Characters of each one's message after the first: all of them together stay below 10,000."""


def scored(metric_id: str, verdicts: Sequence[Verdict], *, planned: int, partial: bool) -> Score:
    """Return 1 if all tests passed, else 0; with `partial`, the fraction that passed. What was not run did not pass.

    The details hold the verdict of every test that was run, in order, and of the first `MOST_FAILURES` that did not
    pass what happened.
    """
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    value = passed / planned if partial else float(passed == planned)
    details: dict[str, Any] = {
        "passed": passed,
        "tests": planned,
        "verdicts": [verdict.status for verdict in verdicts],
    }
    failed: list[dict[str, Any]] = [
        {"test": number, "verdict": verdict.status, "message": verdict.message}
        for number, verdict in enumerate(verdicts)
        if verdict.status != "passed"
    ][:MOST_FAILURES]
    if failed:
        details["first_failure"], *further = failed
        if further:
            details["further_failures"] = [
                {**failure, "message": shortened(failure["message"], _LONGEST_FURTHER)} for failure in further
            ]
    return Score(metric_id=metric_id, value=value, details=details)


def told_tests(details: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what a score's details tell of tests: which ones, their verdict, and what happened.

    Tests in a row of which nothing more is told than one verdict are told of together, and so are those not run.

    >>> verdicts = ["passed", "passed", "timeout"]
    >>> failure = {"test": 2, "verdict": "timeout", "message": "the time limit was reached"}
    >>> list(told_tests({"tests": 9, "verdicts": verdicts, "first_failure": failure}))[:2]
    [('tests 0 to 1', 'passed', ''), ('test 2', 'timeout', 'the time limit was reached')]
    """
    verdicts, planned = details.get("verdicts"), details.get("tests")
    if not isinstance(verdicts, Sequence) or isinstance(verdicts, str) or not isinstance(planned, int):
        return  # another metric's details
    further = details.get("further_failures") or ()
    messages = {failure["test"]: failure["message"] for failure in (details.get("first_failure"), *further) if failure}
    first = 0
    for (verdict, message), group in itertools.groupby(
        enumerate(verdicts), lambda pair: (str(pair[1]), str(messages.get(pair[0]) or ""))
    ):
        last = first + sum(1 for _ in group) - 1
        yield _tests(first, last), verdict.replace("_", " "), message
        first = last + 1
    if first < planned:
        yield _tests(first, planned - 1), "not run", ""


def _tests(first: int, last: int) -> str:
    return f"test {first}" if first == last else f"tests {first} to {last}"
