"""What stands in a generator's place where the answers were made elsewhere, or are stored already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from themis.pure.errors import CallError
from themis.pure.json import JSONValue
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult

Find = Callable[[Case, GenerateContext], GenerationResult | str]
"""Returns the answer that was made elsewhere, or why there is none."""


class NoImportedAnswerError(CallError):
    """An answer made elsewhere is an error, or missing; trying again does not help."""

    retryable = False


@attrs.frozen(eq=False)
class ImportedAnswers:
    """Gives answers that were made elsewhere; what they are is its fingerprint.

    Attributes:
        component_id: which tool they are from.
        content: the hash of all answers.
        find: looks one up.
        facts: what is known of them, for people.
        version: of what the answers are called.
    """

    component_id: str
    content: str
    find: Find = attrs.field(repr=False)
    facts: Mapping[str, JSONValue] = attrs.field(factory=dict, repr=False)
    version: str = "1"

    def fingerprint(self) -> str:
        """Return the hash of the answers: whatever makes them is not there to be looked at."""
        return self.content

    def describe(self) -> Mapping[str, Any]:
        """Return where they are from."""
        return self.facts

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Return the answer.

        Raises:
            NoImportedAnswerError: there is none, or the other tool had an error.
        """
        found = self.find(case, ctx)
        if isinstance(found, str):
            raise NoImportedAnswerError(found)
        return found
