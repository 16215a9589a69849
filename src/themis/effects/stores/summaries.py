"""A line about a stored run, from its header and the ends of its chain: enough for a listing, no fold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from themis.pure.json import decode
from themis.pure.records.results import RunStatus
from themis.pure.records.stored import RunSummary, StoredEvent

_STATUS: Final = {"run_completed": RunStatus.COMPLETED, "run_failed": RunStatus.FAILED}


@attrs.frozen
class Ends:
    """The two ends of a run's chain, as far as a listing needs them."""

    count: int = 0
    started_at: str | None = None
    updated_at: str | None = None
    last_type: str | None = None

    @classmethod
    def of(cls, first: StoredEvent, last: StoredEvent) -> Ends:
        """Read them from the first and the last event."""
        return cls(last.sequence, _time(first), _time(last), last.event_type)


def summary_of(run_id: str, header: Mapping[str, Any], total_cases: int, ends: Ends) -> RunSummary:
    """Return a listing's line; `header` is the snapshot as plain data (`RunSnapshot.header`)."""
    status = _STATUS.get(ends.last_type or "", RunStatus.RUNNING) if ends.count else RunStatus.PENDING
    identity = header["identity"]
    return RunSummary(
        run_id=run_id,
        status=status.value,
        started_at=datetime.fromisoformat(ends.started_at) if ends.started_at else None,
        updated_at=datetime.fromisoformat(ends.updated_at) if ends.updated_at else None,
        event_count=ends.count,
        total_cases=total_cases,
        generator_id=identity["generator_ref"]["component_id"],
        dataset_ids=tuple(ref["dataset_id"] for ref in identity["dataset_refs"]),
        metric_ids=tuple(ref["component_id"] for ref in identity["metric_refs"]),
    )


def _time(event: StoredEvent) -> str | None:
    found: str | None = decode(event.payload).get("occurred_at")
    return found
