"""What other tools say of a log, asked in an environment of their own: prints JSON. Themis is not imported here.

`python tools.py version NAME ...` prints the versions of packages, `python tools.py NAME PATH ...` what a tool says of
files; the last line is JSON.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any


def version(*names: str) -> Any:
    return {name: importlib.metadata.version(name) for name in names}


def inspect(*paths: str) -> Any:
    """Return of each log its samples with their scores, and the figures of its results."""
    from inspect_ai.log import read_eval_log
    from inspect_ai.scorer import value_to_float

    as_number = value_to_float()
    found: dict[str, Any] = {}
    for path in paths:
        try:
            log = read_eval_log(path)
        except ValueError as error:  # what Inspect itself can't read yet
            found[path] = {"refused": str(error)[:80]}
            continue
        samples = log.samples or []
        usage: dict[str, int] = {}
        for model in log.stats.model_usage.values():
            for name in ("input_tokens", "output_tokens", "total_tokens"):
                usage[name] = usage.get(name, 0) + (getattr(model, name) or 0)
        found[path] = {
            "task": log.eval.task,
            "model": log.eval.model,
            "samples": len(samples),
            "cases": len({sample.id for sample in samples}),
            "errors": sum(sample.error is not None for sample in samples),
            "answers": {f"{sample.id} {sample.epoch}": sample.output.completion for sample in samples},
            "scores": {
                f"{sample.id} {sample.epoch} {name}": as_number(score.value)
                for sample in samples
                for name, score in (sample.scores or {}).items()
                if isinstance(score.value, str | int | float | bool)
            },
            "usage": usage,
            "metrics": {
                score.name: {name: metric.value for name, metric in score.metrics.items()}
                for score in (log.results.scores if log.results is not None else [])
            },
        }
    return found


def lm_eval(*paths: str) -> Any:
    """Return of each results file what lm-eval's own table and file names say."""
    from lm_eval import utils

    found = {}
    for path in paths:
        folder = Path(path).parent
        names = [f"{folder}/{each.name}" for each in folder.iterdir()]
        found[path] = {
            "table": utils.make_table(json.loads(Path(path).read_text(encoding="utf-8"))),
            "results": utils.get_results_filenames(names),
            "samples": {
                name: [utils.get_file_task_name(Path(name).name), utils.get_file_datetime(Path(name).name)]
                for name in utils.get_sample_results_filenames(names)
            },
        }
    return found


def datasets(*paths: str) -> Any:
    """Return how many rows Hugging Face's datasets reads of each file of samples, as lm-eval's own pages do."""
    import datasets as library

    return {
        path: library.load_dataset("json", data_files=path, split="train", cache_dir=f"{path}.cache").num_rows
        for path in paths
    }


def eee(*paths: str) -> Any:
    """Return what the validator of Every Eval Ever says of each file."""
    from every_eval_ever.validator.validation_core import validate_file

    found = {}
    for path in paths:
        report = validate_file(Path(path))
        found[path] = [str(error) for error in report.errors]
    return found


def converted(folder: str) -> Any:
    """Return what Every Eval Ever makes of a folder of lm-eval's results."""
    from every_eval_ever.converters.lm_eval.adapter import LMEvalAdapter

    logs = LMEvalAdapter().transform_from_directory(folder, {})
    return [
        {
            "model": log.model_info.name,
            "results": {
                f"{result.evaluation_name} {result.metric_config.metric_name}": result.score_details.score
                for result in log.evaluation_results
            },
        }
        for log in logs
    ]


def atif(*paths: str) -> Any:
    """Return what harbor's validator says of each trajectory, and its totals."""
    from harbor.models.trajectories import Trajectory
    from harbor.utils.trajectory_validator import TrajectoryValidator

    found = {}
    for path in paths:
        validator = TrajectoryValidator()
        valid = validator.validate(Path(path), validate_images=False)
        totals, steps = None, None
        if valid:
            trajectory = Trajectory.model_validate_json(Path(path).read_text(encoding="utf-8"))
            totals = None if trajectory.final_metrics is None else trajectory.final_metrics.model_dump()
            steps = len(trajectory.steps)
        found[path] = {"errors": validator.errors, "totals": totals, "steps": steps}
    return found


def pydantic_evals(*paths: str) -> Any:
    """Return of each report its averages."""
    from pydantic_evals.reporting import EvaluationReportAdapter

    found = {}
    for path in paths:
        report = EvaluationReportAdapter.validate_json(Path(path).read_bytes())
        average = report.averages()
        found[path] = {
            "cases": len(report.cases),
            "failures": len(report.failures),
            "scores": {} if average is None else dict(average.scores),
            "assertions": None if average is None else average.assertions,
            "values": {
                name: [case.assertions[name].value for case in report.cases] for name in report.cases[0].assertions
            },
        }
    return found


def deepeval(*paths: str) -> Any:
    """Return of each test run its cases and scores."""
    from deepeval.test_run.test_run import TestRun

    found = {}
    for path in paths:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        run = TestRun.model_validate(data.get("testRunData", data))
        run.construct_metrics_scores()
        found[path] = {
            "cases": len(run.test_cases),
            "passes": sum(bool(case.success) for case in run.test_cases),
            "scores": {each.metric: each.scores for each in run.metrics_scores},
        }
    return found


def scorers(path: str) -> Any:
    """Return what the tools' own scorers make of answers: of each item of a JSON list a number, or nothing."""
    items = json.loads(Path(path).read_text(encoding="utf-8"))
    return asyncio.run(_scored(items))


async def _scored(items: list[dict[str, Any]]) -> list[float | None]:
    found = []
    for item in items:
        tool, _, name = item["name"].partition("/")
        try:
            found.append(await _RULES[tool](name, item) if tool in _RULES else None)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            found.append(None)
    return found


async def _inspect(name: str, item: dict[str, Any]) -> float:
    from inspect_ai import scorer
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import Target, value_to_float
    from inspect_ai.solver import TaskState
    from inspect_ai.solver._multiple_choice import parse_answers, set_choices_based_on_generated_response

    options = dict(item["options"])
    several = options.pop("multiple_correct", False)
    expected = item["expected"]
    state = TaskState(
        model="m",
        sample_id="1",
        epoch=1,
        input="?",
        messages=[],
        choices=item["metadata"].get("choices"),
        output=ModelOutput.from_content("m", item["answers"][0]),
    )
    if name == "choice":
        set_choices_based_on_generated_response(state, parse_answers(state, several))
    score = await getattr(scorer, name)(**options)(state, Target("" if expected is None else expected))
    return float(value_to_float()(score.value))


async def _lm_eval(name: str, item: dict[str, Any]) -> float | None:
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters import build_filter_ensemble

    options = dict(item["options"])
    chain = [dict(each) for each in options.pop("filters", None) or [{"function": "take_first"}]]
    parts = [[each.pop("function"), each or None] for each in chain]
    asked = type("Asked", (), {"resps": item["answers"], "doc": {}, "filtered_resps": {}})()
    build_filter_ensemble("f", parts).apply([asked])
    left = asked.filtered_resps["f"]
    expected = item["expected"] if isinstance(item["expected"], list) else [item["expected"]]
    if not isinstance(left, str):
        return None
    scores = exact_match_hf_evaluate(predictions=[left] * len(expected), references=expected, **options)
    return 1.0 if scores["exact_match"] > 0 else 0.0


async def _pydantic_evals(name: str, item: dict[str, Any]) -> float | None:
    from pydantic_evals.evaluators import Contains, Equals, EqualsExpected

    context = type("Context", (), {"output": item["answers"][0], "expected_output": item["expected"]})()
    evaluator = {"EqualsExpected": EqualsExpected, "Equals": Equals, "Contains": Contains}[name](**item["options"])
    found = evaluator.evaluate(context)
    value = getattr(found, "value", found)
    return None if value == {} else float(value)


_RULES = {"inspect": _inspect, "lm-eval": _lm_eval, "pydantic-evals": _pydantic_evals}


if __name__ == "__main__":
    answer = globals()[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
