"""What an experiment is written with: its generation and evaluation, components as objects or names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import FrozenModel
from themis.pure.records.fields import json_object, named_fields
from themis.pure.records.prompt import PromptSpec


def _several(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerationConfig(FrozenModel):
    """How candidates are made.

    Attributes:
        generator: a component, a builtin's id, a model string, or an import path.
        candidate_policy: `num_samples`, `pass_k`, `best_of`, `self_consistency_count`; the largest counts.
        prompt_spec: what stands around each case's input.
        selector: chooses among candidates.
        reducer: makes one answer of them.
    """

    generator: Any
    candidate_policy: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    prompt_spec: PromptSpec | None = None
    selector: Any = None
    reducer: Any = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationConfig(FrozenModel):
    """How answers are parsed, scored and judged.

    Attributes:
        metrics: one or several.
        parsers: a fallback chain: the first that finds something usable wins.
        judge_models: the models that judged metrics ask.
        prompt_spec: what stands around a judge's prompt.
        judge_config: configuration of judging, such as `{"repeats": 3}`.
        workflow_overrides: for builtin judges, such as `{"rubric": "..."}`.
    """

    metrics: tuple[Any, ...] = attrs.field(default=(), converter=_several)
    parsers: tuple[Any, ...] = attrs.field(default=(), converter=_several)
    judge_models: tuple[Any, ...] = attrs.field(default=(), converter=_several)
    prompt_spec: PromptSpec | None = None
    judge_config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    workflow_overrides: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
