"""Why a step failed: one record from the failed call to the report."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from themis.pure.json import JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_objects, named_fields


# Without slots, so that the events of failures can be both a failure and an event of a case.
@attrs.frozen(kw_only=True, field_transformer=named_fields, slots=False)
class StepFailure(HashableModel):
    """What the error was, and where it came from.

    Attributes:
        error_message: what it said.
        component_id: the component that failed.
        error_type: the exception's class.
        traceback_digest: SHA-256 of the frames' function names, so that equal failures can be counted.
        retryable: whether another try may succeed.
        retry_history: the tries that came before, each with reason and delay.
    """

    error_message: str
    component_id: str = ""
    error_type: str = ""
    traceback_digest: str = ""
    retryable: bool = False
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
