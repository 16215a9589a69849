"""Structured output field by field: how much of an object an answer gets right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.metrics import each_reference, unusable_reference
from themis.pure.components.text.json_text import json_value
from themis.pure.json import JSONValue, canonical_bytes
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.scoring import Score, ScoreError


@attrs.frozen
class JsonFields:
    """The share of the reference's fields that the answer has right, from 0 to 1; it is correct if all are.

    The reference is an object, or a list of several, of which the best one counts. Objects within it are compared field
    by field, everything else as JSON (`1` equals `1.0`, not `"1"`); a field that the answer lacks counts as null. An
    answer that is text is searched for JSON, and one that is no object has no field right. Fields that the reference
    lacks cost nothing: the details count them under `unexpected`.

    Under `fields` the details say of each field whether it is right: `{"name": true, "address": {"city": false}}`.
    `themis report RUN --details fields` shows the accuracy of each.
    """

    component_id: str = "builtin/json_fields"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        known = each_reference(case.expected_output)
        if not known or not all(isinstance(reference, Mapping) and reference for reference in known):
            return unusable_reference(self.component_id, case, "an object with fields, or a list of several")
        answer = json_value(parsed.value).value if isinstance(parsed.value, str) else parsed.value
        compared = [_compared(reference, answer) for reference in known]
        shares = [_share([*_leaves(fields)]) for fields in compared]
        best = shares.index(max(shares))
        expected: Any = known[best]
        unexpected = len(answer.keys() - expected.keys()) if isinstance(answer, Mapping) else 0
        details = {"fields": compared[best], "unexpected": unexpected}
        return Score(
            metric_id=self.component_id,
            value=shares[best],
            details={**details, "reference": best} if len(known) > 1 else details,
        )


def _compared(expected: JSONValue, answer: JSONValue) -> Any:
    """Return whether an answer is as expected; of an object with fields, that of each field."""
    if isinstance(expected, Mapping) and expected:
        given = answer if isinstance(answer, Mapping) else {}
        return {name: _compared(value, given.get(name)) for name, value in expected.items()}
    return canonical_bytes(expected) == canonical_bytes(answer)


def _leaves(compared: Any) -> Iterator[bool]:
    if isinstance(compared, Mapping):
        for field in compared.values():
            yield from _leaves(field)
    else:
        yield compared


def _share(right: list[bool]) -> float:
    return sum(right) / len(right)


FIELD_METRICS: Final = (JsonFields,)
