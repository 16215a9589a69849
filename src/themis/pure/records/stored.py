"""What a store keeps: encoded events in a hash chain, and a line about each run."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_value, named_fields, sequence

CHAIN_START: Final = "0" * 64
"""The digest that the first event of a run is chained to."""


@attrs.frozen
class StoredEvent:
    """An event as it lies in a store.

    Attributes:
        case_no: the case's position in the plan, from 0; `None` for events of the whole run.
        event_type: the event's type.
        cache_key: the name of everything the step read, so that another run can reuse the outcome.
        payload: the event as JSON text.
        digest: SHA-256 over the previous event's digest, the cache key and the payload, in hexadecimal.
        sequence: the event's place within the run: its number, from 1, and in a run that many processes write one
            that says more (`themis.pure.segments.Position`). It grows from event to event. 0 before it is stored.
    """

    case_no: int | None
    event_type: str
    cache_key: str | None
    payload: str
    digest: str
    sequence: int = 0


@attrs.frozen
class ChainHead:
    """The end of a run's chain.

    Attributes:
        count: how many events there are.
        digest: the last one's; of a run that is divided into segments, the last one's of the run's own chain.
        last: the last one's sequence, which is their number unless the run is divided.
    """

    count: int = 0
    digest: str = CHAIN_START
    last: int = attrs.field(default=attrs.Factory(lambda self: self.count, takes_self=True))


@attrs.frozen(kw_only=True)
class Segment:
    """How far a segment of a run is.

    Attributes:
        number: which one, from 0.
        head: the end of its chain.
        is_done: an attempt that goes on, or went on last, is through with it.
    """

    number: int
    head: ChainHead
    is_done: bool = False


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunSummary(HashableModel):
    """One line about a stored run, for listings.

    Attributes:
        name: the last that the run was given.
        tags: all that it was given.
        settings: how its generator was set, as it described itself.
    """

    run_id: str
    status: str
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    settings: JSONValue = attrs.field(default=EMPTY, converter=json_value)
    started_at: datetime | None = None
    updated_at: datetime | None = None
    event_count: int = 0
    total_cases: int = 0
    generator_id: str = ""
    dataset_ids: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    metric_ids: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class FoundText(HashableModel):
    """Where a search found something: a case of a run, and the words around what was found.

    Attributes:
        candidate_id: the candidate whose output it is; `None` if it is the case's input.
        snippet: some words of the text, what was found in brackets.
    """

    run_id: str
    dataset_id: str
    case_id: str
    candidate_id: str | None = None
    snippet: str
