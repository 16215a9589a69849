"""The builtin execution metrics: programs are run in a sandbox, and what came of them is scored, both purely.

Every test ends in a verdict: `passed`, `wrong_answer`, `timeout`, `memory_limit`, `output_limit`, `runtime_error`,
`compile_error`, `missing_function` or `no_verdict`. What the benchmark itself or the sandbox does wrong (a checker
that crashes, an argument that can't be sent) is an error of the case, never a wrong answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.execution_cases import (
    CallTests,
    Comparison,
    FunctionTest,
    StdioTests,
    completed,
    program_of,
    tests_of,
)
from themis.pure.components.execution_verdicts import (
    Verdict,
    check_verdict,
    driver_report,
    outputs_match,
    run_verdict,
    same_value,
    scored,
)
from themis.pure.components.programs_cpp import CHECKER_FILES
from themis.pure.components.programs_python import CHECKER, CONTEST_PRELUDE, DRIVER, program_file
from themis.pure.json import content_hash
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score, ScoreError

_DRIVER_OUTPUT: Final = 64 * 1024 * 1024
_LEAST_OUTPUT: Final = 64 * 1024
_BATCH: Final = 8
_TESTLIB: Final = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]testlib\.h[>\"].*$", re.MULTILINE)
_CPP: Final = ("g++", "-O2", "-std=gnu++17", "-o")


# --- functions --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class HumanEvalPassRate:
    """1 if the function passes its test script, else 0 (Chen et al. 2021, arXiv 2107.03374).

    The answer may be the rest of the prompt's function, or a program that defines it.

    Args:
        time_limit_s: CPU seconds for all of the script.
        memory_limit_mb: memory in MiB.
    """

    time_limit_s: float = 10.0
    memory_limit_mb: int = 1024
    component_id: str = "builtin/humaneval_pass_rate"
    version: str = "2"
    metric_family: ClassVar[str] = "execution"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    sandbox_languages: ClassVar[tuple[str, ...]] = ("python",)

    def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Sequence[SandboxRequest]:
        """Return one run: the test script against the function."""
        tests = tests_of(case)
        if not isinstance(tests, FunctionTest):
            raise TypeError(f"case {case.case_id!r}: mode 'function' expected")
        job = {
            "program": completed(tests.prompt, program_of(parsed), tests.entry_point),
            "prelude": "",
            "prompt": tests.prompt,
            "test": tests.test,
            "entry_point": tests.entry_point,
            "method": False,
            "calls": None,
            "call_s": None,
        }
        return [_driven(job, time_s=self.time_limit_s, memory_mb=self.memory_limit_mb)]

    def score_results(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Score | ScoreError:
        """Return 1 if the script went through."""
        [request] = self.sandbox_requests(parsed, case, ctx)
        report = driver_report(results[0], _nonce(request))
        if report.status == "unsupported":
            return ScoreError(metric_id=self.component_id, reason=report.message)
        return scored(self.component_id, [report], planned=1, partial=False)


def _driven(job: dict[str, Any], *, time_s: float, memory_mb: int) -> SandboxRequest:
    nonce = content_hash(job)
    return SandboxRequest(
        command=("python3", "driver.py"),
        files={"driver.py": DRIVER},
        stdin=json.dumps({**job, "nonce": nonce}),
        time_s=time_s,
        memory_mb=memory_mb,
        output_bytes=_DRIVER_OUTPUT,
        label="driver",
    )


def _nonce(request: SandboxRequest) -> str:
    return str(json.loads(request.stdin)["nonce"])


# --- whole programs ---------------------------------------------------------------------------------------


class _ContestMetric:
    """Runs a program on a contest's tests, some at a time, and goes on as long as it is worth it."""

    __slots__ = ()
    component_id: str
    partial: bool
    time_limit_s: float
    memory_limit_mb: int
    testlib: str = ""
    prelude: ClassVar[str] = ""
    compare: ClassVar[Comparison] = "tokens"
    metric_family: ClassVar[str] = "execution"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Sequence[SandboxRequest]:
        """Return the first tests' runs."""
        return self.next_requests(parsed, case, (), ctx)

    def next_requests(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Sequence[SandboxRequest]:
        return self._runs_after(results, program_of(parsed), _stdio(case))

    def score_results(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Score | ScoreError:
        return self._score(_stdio(case), results)

    def _runs_after(
        self, results: Sequence[SandboxResult], program: str, tests: StdioTests
    ) -> Sequence[SandboxRequest]:
        """Return the checks of what ran, or else the next tests; nothing when all is known that counts."""
        runs, checks = _by_number(results, "run"), _by_number(results, "check")
        if tests.checker is not None:
            checker = self._with_testlib(tests.checker)
            unchecked = [n for n, run in runs.items() if run.status == "ok" and n not in checks]
            if unchecked:
                return [_check(tests, checker, n, runs[n].stdout) for n in unchecked]
        statuses = {verdict.status for verdict in self._verdicts(tests, results)}
        if "compile_error" in statuses or not (self.partial or statuses <= {"passed"}):
            return []
        waiting = range(len(runs), min(len(runs) + _BATCH, len(tests.inputs)))
        return [self._run(program, tests, number) for number in waiting]

    def _with_testlib(self, checker: str) -> str:
        """Put the text of testlib in the place where a checker includes it.

        Raises:
            ValueError: the checker needs it, and there is none.
        """
        if not self.testlib and _TESTLIB.search(checker):
            raise ValueError(
                "the problem's checker includes testlib.h, which is not part of Themis; give the metric its text, as "
                f"in load({self.component_id!r}, testlib=Path('testlib.h').read_text())"
            )
        return _TESTLIB.sub(lambda _: self.testlib, checker)

    def _verdicts(self, tests: StdioTests, results: Sequence[SandboxResult]) -> list[Verdict]:
        """Return the verdict of every test that was run and, where there is a checker, checked."""
        runs, checks = _by_number(results, "run"), _by_number(results, "check")
        found = []
        for number, run in sorted(runs.items()):
            verdict = run_verdict(run)
            if verdict.status == "passed":
                if tests.checker is not None:
                    if number not in checks:
                        continue
                    verdict = check_verdict(checks[number], is_cpp=_is_cpp(tests.checker))
                elif not outputs_match(tests.compare or self.compare, tests.outputs[number], run.stdout):
                    verdict = Verdict("wrong_answer", _difference(tests.outputs[number], run.stdout))
            found.append(verdict)
        return found

    def _score(self, tests: StdioTests, results: Sequence[SandboxResult]) -> Score | ScoreError:
        verdicts = self._verdicts(tests, results)
        for verdict in verdicts:
            if verdict.status == "checker_failed":
                return ScoreError(metric_id=self.component_id, reason=f"the checker failed: {verdict.message}")
        return scored(self.component_id, verdicts, planned=len(tests.inputs), partial=self.partial)

    def _run(self, program: str, tests: StdioTests, number: int) -> SandboxRequest:
        time_s, memory_mb = self._limits(tests)
        limits: dict[str, Any] = {
            "stdin": tests.inputs[number],
            "time_s": time_s,
            "memory_mb": memory_mb,
            "output_bytes": max(_LEAST_OUTPUT, 4 * len(tests.outputs[number].encode())),
            "label": f"run:{number}",
        }
        if tests.language == "cpp":
            return _cpp(program, "program", **limits)
        files = {"main.py": program_file(self.prelude, program)}
        return SandboxRequest(command=("python3", "main.py"), files=files, **limits)

    def _limits(self, tests: CallTests | StdioTests) -> tuple[float, int]:
        """Return CPU seconds and MiB: the problem's own where it states them, else the metric's."""
        return float(tests.time_limit_s or self.time_limit_s), int(tests.memory_limit_mb or self.memory_limit_mb)


def _by_number(results: Sequence[SandboxResult], kind: str) -> dict[int, SandboxResult]:
    pairs = [(result.label.partition(":"), result) for result in results]
    return {int(number): result for (name, _, number), result in pairs if name == kind}


def _cpp(source: str, name: str, **limits: Any) -> SandboxRequest:
    file = f"{name}.cpp"
    return SandboxRequest(
        command=(f"./{name}",),
        files={file: source},
        language="cpp",
        build=(*_CPP, name, file),
        artifact=name,
        **limits,
    )


def _is_cpp(checker: str) -> bool:
    return "#include" in checker


def _check(tests: StdioTests, checker: str, number: int, output: str) -> SandboxRequest:
    """Return the run of a checker: in C++ as testlib has it, in Python as the Codeforces data set of open-r1 has it."""
    given, answer = tests.inputs[number], tests.outputs[number]
    size_mb = 16 + 4 * (len(given) + len(answer) + len(output)) // (1024 * 1024)
    limits: dict[str, Any] = {
        "time_s": 30.0,
        "memory_mb": 1024,
        "file_size_mb": size_mb,
        "label": f"check:{number}",
    }
    if _is_cpp(checker):
        blocks = "".join(f"{len(text.encode())}\n{text}" for text in (given, output, answer))
        return _cpp(CHECKER_FILES + checker, "checker", stdin=blocks, **limits)
    job = {
        "checker": checker,
        "files": {"input.txt": given, "correct_output.txt": answer, "solution_output.txt": output},
        "arguments": ["input.txt", "correct_output.txt", "solution_output.txt"],
    }
    return SandboxRequest(command=("python3", "main.py"), files={"main.py": CHECKER}, stdin=json.dumps(job), **limits)


def _difference(expected: str, actual: str) -> str:
    return f"expected {expected.strip()[:200]!r}, found {actual.strip()[:200]!r}"


@attrs.frozen(kw_only=True)
class CodeforcesPassRate(_ContestMetric):
    """1 if the program passes every test of a Codeforces problem, else 0; or the fraction that it passes.

    Outputs are compared token by token, or by the problem's checker where it has one. The problem's limits hold.

    Args:
        partial: score the fraction of tests passed; without it, testing ends soon after the first failure.
        time_limit_s: CPU seconds for each test of a problem that states no limit.
        memory_limit_mb: memory in MiB where the problem states no limit.
        testlib: the text of `testlib.h`, for problems whose checkers include it.
    """

    partial: bool = False
    time_limit_s: float = 5.0
    memory_limit_mb: int = 512
    testlib: str = ""
    component_id: str = "builtin/codeforces_pass_rate"
    version: str = "2"
    sandbox_languages: ClassVar[tuple[str, ...]] = ("python", "cpp")


@attrs.frozen(kw_only=True)
class AetherCodePassRate(CodeforcesPassRate):
    """The same for AetherCode's problems (Wang et al. 2025, arXiv 2508.16402), whose programs are in C++."""

    memory_limit_mb: int = 1024
    component_id: str = "builtin/aethercode_pass_rate"
    sandbox_languages: ClassVar[tuple[str, ...]] = ("cpp",)


def _stdio(case: Case) -> StdioTests:
    tests = tests_of(case)
    if not isinstance(tests, StdioTests):
        raise TypeError(f"case {case.case_id!r}: mode 'stdio' expected")
    return tests


# --- LiveCodeBench ----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class LiveCodeBenchPassRate(_ContestMetric):
    """1 if the program passes every test of a LiveCodeBench problem, else 0; or the fraction that it passes.

    Problems are of two kinds: functions called with JSON values, and programs that read and write text, which is
    compared line by line, numbers by value (Jain et al. 2024, arXiv 2403.07974). What contest sites import for a
    solution is imported beforehand.

    Args:
        partial: score the fraction of tests passed; without it, testing ends soon after the first failure.
        time_limit_s: seconds for each test where the problem states no limit.
        memory_limit_mb: memory in MiB where the problem states no limit.
    """

    partial: bool = False
    time_limit_s: float = 6.0
    memory_limit_mb: int = 1024
    component_id: str = "builtin/livecodebench_pass_rate"
    version: str = "2"
    sandbox_languages: ClassVar[tuple[str, ...]] = ("python",)
    prelude: ClassVar[str] = CONTEST_PRELUDE
    compare: ClassVar[Comparison] = "lines"

    def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Sequence[SandboxRequest]:
        """Return the calls as one run, or the first tests' runs."""
        tests = tests_of(case)
        if isinstance(tests, StdioTests):
            return self._runs_after((), program_of(parsed), tests)
        if not isinstance(tests, CallTests):
            raise TypeError(f"case {case.case_id!r}: mode 'stdio' or 'call' expected")
        return [self._calls(program_of(parsed), tests)]

    def next_requests(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Sequence[SandboxRequest]:
        tests = tests_of(case)
        return self._runs_after(results, program_of(parsed), tests) if isinstance(tests, StdioTests) else []

    def score_results(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Score | ScoreError:
        tests = tests_of(case)
        if isinstance(tests, StdioTests):
            return self._score(tests, results)
        assert isinstance(tests, CallTests)  # others were refused before anything was run
        report = driver_report(results[0], _nonce(self._calls(program_of(parsed), tests)))
        verdicts = [  # fewer than there are tests where testing ended early
            answer if answer.status != "returned" else same_value(expected, answer.value)
            for answer, expected in zip(report.answers, tests.expected, strict=False)
        ]
        if report.status != "called":
            verdicts = [Verdict(report.status, report.message)]
        return scored(self.component_id, verdicts, planned=len(tests.expected), partial=self.partial)

    def _calls(self, program: str, tests: CallTests) -> SandboxRequest:
        time_s, memory_mb = self._limits(tests)
        job = {
            "program": program,
            "prelude": CONTEST_PRELUDE,
            "entry_point": tests.entry_point,
            "method": True,
            "calls": tests.arguments,
            "call_s": time_s,
            "stop": not self.partial,
        }
        return _driven(job, time_s=time_s * len(tests.arguments) + 5, memory_mb=memory_mb)


EXECUTION_METRICS: Final = (HumanEvalPassRate, LiveCodeBenchPassRate, CodeforcesPassRate, AetherCodePassRate)
