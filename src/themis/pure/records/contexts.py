"""What a component is given besides its input. A context never carries a live client or a secret.

A run fills in all of it. What has a default has it for tests of components: `GenerateContext(run_id="r", case_id="c")`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case, CaseName
from themis.pure.records.fields import json_object, named_fields, sequence, text_mapping, texts
from themis.pure.records.generation import GenerationResult, ParsedOutput
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.snapshot import ComponentRef

_DATASET: Final = "data"
_CANDIDATE: Final = "candidate"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class _CaseContext(CaseName):
    run_id: str
    dataset_id: str = _DATASET
    case_key: str = attrs.Factory(lambda context: context.case_id, takes_self=True)
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerateContext(_CaseContext):
    """Given to a generator: which candidate of which case, with which seed and prompt."""

    candidate_id: str = _CANDIDATE
    candidate_index: int = 0
    seed: int | None = None
    prompt_spec: PromptSpec | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SelectContext(_CaseContext):
    """Given to a selector."""

    candidate_ids: tuple[str, ...] = attrs.field(default=(), converter=texts)
    seed: int | None = None
    prompt_spec: PromptSpec | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ReduceContext(_CaseContext):
    """Given to a reducer; one that says `reads_parsed = True` is told what the run's parsers make of each candidate.

    Where every parser of the run failed on a candidate, `None` stands in its place.
    """

    candidate_ids: tuple[str, ...] = attrs.field(default=(), converter=texts)
    seed: int | None = None
    parsed_outputs: tuple[ParsedOutput | None, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(sequence)
    )


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ParseContext(_CaseContext):
    """Given to a parser."""

    candidate_id: str = _CANDIDATE


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ScoreContext(HashableModel):
    """Given to a metric.

    Attributes:
        candidate_id: names the answer where a case has several; `None` where it has one.
        candidate: the answer as it was generated, with its trace, tokens and latency; for a metric that says
            `reads_candidates = True`, else `None`.
        candidates: those that the answer was made of, for the same metrics: all of the case's, or the answer itself
            where each candidate is one.
    """

    run_id: str
    case: Case
    parsed_output: ParsedOutput
    dataset_id: str = _DATASET
    case_key: str = attrs.Factory(lambda context: context.case.case_id, takes_self=True)
    candidate_id: str | None = None
    dataset_metadata: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    seed: int | None = None
    candidate: GenerationResult | None = None
    candidates: tuple[GenerationResult, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvalScoreContext(ScoreContext):
    """Given to a metric that works through judges: the judges, their seed, prompt and configuration besides."""

    judge_model_refs: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)
    judge_seed: int | None = None
    prompt_spec: PromptSpec | None = None
    judge_config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    eval_workflow_config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
