"""Wrong uses that type checkers must reject. A line ends in `# error: <mypy's code> <pyright's rule>`; never run."""

from __future__ import annotations

import themis
from themis import (
    Case,
    Dataset,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    ParsedOutput,
    RuntimeConfig,
    Score,
    evaluate,
    metric,
    verify,
)
from themis.core import Generator, PureMetric, ScoreContext
from themis.testing import assert_metric_laws


@metric
def short(parsed: ParsedOutput) -> bool:
    return True


class NoVersion:
    component_id = "mine/no_version"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score:
        return Score(metric_id="x", value=1.0)


class WrongReturn:
    component_id = "mine/wrong_return"
    version = "1"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> str:
        return "1.0"


a: PureMetric = NoVersion()  # error: assignment reportAssignmentType
b: PureMetric = WrongReturn()  # error: assignment reportAssignmentType
c: Generator = short  # error: assignment reportAssignmentType
short("an answer")  # error: arg-type reportArgumentType
short()  # error: call-arg reportCallIssue
Case(input="1+1")  # error: call-arg reportCallIssue
Case("1", "1+1")  # error: call-arg reportCallIssue
Case(case_id="1", input="1+1", expected="2")  # error: call-arg reportCallIssue
Case(case_id=1, input="1+1")  # error: arg-type reportArgumentType
case = Case(case_id="1", input="1+1")
case.input = "2+2"  # error: misc reportAttributeAccessIssue
case.metadata["key"] = "value"  # error: index reportIndexIssue
Score(metric_id="m", value="1.0").valeu  # error: attr-defined reportAttributeAccessIssue
evaluate(model="m", data=[], metrics="builtin/exact_match")  # error: call-arg reportCallIssue
evaluate("m", [], "builtin/exact_match")  # error: call-arg reportCallIssue
experiment = Experiment(
    generation=GenerationConfig(generator="m"),
    datasets=Dataset(dataset_id="d", cases=[case]),
)
experiment.run(until_stage="scoring")  # error: arg-type reportArgumentType
experiment.replay(stage="generate")  # error: arg-type reportArgumentType
experiment.run(runtime=RuntimeConfig(existing_run_policy="resume"))  # error: arg-type reportArgumentType
verify(3, "id")  # error: arg-type reportArgumentType
verify(InMemoryRunStore(), run="id")  # error: call-arg reportCallIssue
assert_metric_laws(len)  # error: arg-type reportArgumentType
themis.evaluat  # error: attr-defined reportAttributeAccessIssue
