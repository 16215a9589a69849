"""The builtin parsers: from an answer to the value that metrics score."""

from __future__ import annotations

import attrs

from themis.pure.json import encode
from themis.pure.records.contexts import ParseContext
from themis.pure.records.generation import ParsedOutput, ReducedCandidate


@attrs.frozen
class JsonIdentity:
    """Takes the answer as it is, whatever JSON it is."""

    component_id: str = "builtin/json_identity"
    version: str = "1"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the answer unchanged."""
        return ParsedOutput(value=candidate.final_output, format="json")


@attrs.frozen
class Text:
    """Takes the answer as text without blanks around it; other JSON becomes its compact encoding."""

    component_id: str = "builtin/text"
    version: str = "1"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the text; an empty one is nothing."""
        output = candidate.final_output
        text = (output if isinstance(output, str) else encode(output).decode()).strip()
        if not text:
            return ParsedOutput(value=None, format="text", metadata={"reason": "the answer is empty"})
        return ParsedOutput(value=text, format="text")


PARSERS = {"builtin/json_identity": JsonIdentity, "builtin/text": Text}
