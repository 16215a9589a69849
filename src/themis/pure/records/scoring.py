"""Scores, and the errors that stand where a score could not be made."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import as_number, checked_texts, json_object, non_empty, summable


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class Score(HashableModel):
    """A metric's value for one case: a finite number. NaN and infinity are refused; they are score errors."""

    metric_id: str = attrs.field(validator=non_empty)
    value: float = attrs.field(converter=as_number, validator=summable)
    details: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class ScoreError(HashableModel):
    """Why a metric has no score for a case; `retryable` when trying again may help."""

    metric_id: str = attrs.field(validator=non_empty)
    reason: str = attrs.field(validator=non_empty)
    retryable: bool = False
    details: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
