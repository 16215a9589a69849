"""What type checkers infer from the decorators, records and laws; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_type

from hypothesis.strategies import SearchStrategy

from themis import Case, ParsedOutput, RunStatus, Score, ScoreError, generator, metric, open_store, parser
from themis.core import CaseResult, GenerateContext, JSONValue, ReducedCandidate, RunStore, StorageConfig
from themis.testing import (
    FakeEndpoint,
    Pipeline,
    assert_metric_laws,
    parse_one,
    records,
    score_one,
)
from themis.testing.pipelines import pipelines


@metric
def share(parsed: ParsedOutput, case: Case) -> float:
    return 0.5


@metric(version="2")
def verdict(parsed: ParsedOutput) -> Score | ScoreError:
    return Score(metric_id="verdict", value=1)


@parser
def word(candidate: ReducedCandidate) -> str | None:
    return None


@generator
async def answer(case: Case, ctx: GenerateContext) -> str:
    return "42"


def check(parsed: ParsedOutput, case: Case, result_cases: Sequence[CaseResult], candidate: ReducedCandidate) -> None:
    # A decorated function keeps its types.
    assert_type(share(parsed, case), float)
    assert_type(verdict(parsed), Score | ScoreError)
    assert_type(word(candidate), str | None)
    assert_type(share.component_id, str)
    # Records.
    assert_type(case.input, JSONValue)
    assert_type(case.metadata, Mapping[str, JSONValue])
    assert_type(case.evolve(case_id="2"), Case)
    assert_type(Case.from_dict({}), Case)
    assert_type(case.to_dict(), dict[str, Any])
    assert_type(parsed.usable, bool)
    assert_type(RunStatus("completed"), RunStatus)
    assert_type(open_store(StorageConfig(store="memory")), RunStore)
    # The testing kit.
    assert_type(score_one(share, "a", "b"), Score | ScoreError)
    assert_type(parse_one(word, "a"), ParsedOutput)
    assert_type(records(Case), SearchStrategy[Case])
    assert_type(pipelines(), SearchStrategy[Pipeline])
    assert_metric_laws(share, value_range=(0, 1), cases=records(Case), outputs=records(ParsedOutput))


def served() -> Iterator[str]:
    with FakeEndpoint() as endpoint:
        assert_type(endpoint, FakeEndpoint)
        yield endpoint.base_url
