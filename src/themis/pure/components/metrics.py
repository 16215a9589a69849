"""The builtin pure metrics. Each says where its rule comes from; a missing reference is an error, never a 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from themis.pure.components.text.squad import token_f1
from themis.pure.json import canonical_bytes, encode
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.scoring import Score, ScoreError


def no_reference(metric_id: str, case: Case) -> ScoreError:
    """Return the error of a case that has nothing to be compared with."""
    return ScoreError(metric_id=metric_id, reason=f"case {case.case_id!r} has no expected_output to compare with")


def as_text(value: Any) -> str:
    """Return text as it is, other JSON as its compact encoding."""
    return value if isinstance(value, str) else encode(value).decode()


def references(expected: Any) -> list[str]:
    """Return the references of a case: one, or each of a list."""
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        return [as_text(item) for item in expected]
    return [as_text(expected)]


@attrs.frozen
class ExactMatch:
    """1 if the parsed answer is the expected output, as JSON (`1` equals `1.0`), else 0."""

    component_id: str = "builtin/exact_match"
    version: str = "1"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the canonical encodings."""
        if case.expected_output is None:
            return no_reference(self.component_id, case)
        same = canonical_bytes(parsed.value) == canonical_bytes(case.expected_output)
        return Score(metric_id=self.component_id, value=float(same))


@attrs.frozen
class F1:
    """Token F1 of the normalised texts, 0 to 1, best over the references (SQuAD; see `text.squad`)."""

    component_id: str = "builtin/f1"
    version: str = "1"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Return the best overlap."""
        known = [] if case.expected_output is None else references(case.expected_output)
        if not known:
            return no_reference(self.component_id, case)
        answer = as_text(parsed.value)
        return Score(metric_id=self.component_id, value=max(token_f1(answer, reference) for reference in known))


METRICS = {"builtin/exact_match": ExactMatch, "builtin/f1": F1}
