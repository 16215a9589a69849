"""What validating a benchmark found: a line for each check, and the model that gives stated answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from themis.pure.json import JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.fields import json_object, named_fields, sequence, texts
from themis.pure.records.generation import GenerationResult


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ValidationCheck(HashableModel):
    """One check: `passed`, `failed`, or `skipped` where something that it needs is not installed.

    Attributes:
        name: what was checked.
        status: how it went.
        details: why it failed or was skipped, a line for each problem; what was seen if it passed.
    """

    name: str
    status: Literal["passed", "failed", "skipped"]
    details: tuple[str, ...] = attrs.field(default=(), converter=texts)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BenchmarkValidationResult(HashableModel):
    """Whether a benchmark loads, makes cases, and scores right and wrong answers as it should."""

    benchmark_id: str
    variant: str = ""
    checks: tuple[ValidationCheck, ...] = attrs.field(default=(), converter=sequence)

    @property
    def ok(self) -> bool:
        """Whether no check failed; look at `skipped` for those that were not made."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong: the details of all checks that failed."""
        return self._details("failed")

    @property
    def skipped(self) -> tuple[str, ...]:
        """What was not checked, and why."""
        return self._details("skipped")

    def _details(self, status: str) -> tuple[str, ...]:
        return tuple(f"{c.name}: {line}" for c in self.checks if c.status == status for line in c.details)


@attrs.frozen(field_transformer=named_fields)
class StatedAnswers:
    """A model that gives each case of each dataset the answer that is stated for it."""

    answers: Mapping[str, JSONValue] = attrs.field(converter=json_object)
    component_id: str = "themis/stated_answers"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        answer: JSONValue = self.answers[ctx.case_key]
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=answer)
