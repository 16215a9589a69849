"""A line about a stored run, from its snapshot and the ends of its chain: enough for a listing, no fold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from themis.pure.json import decode
from themis.pure.plan import total_cases
from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import RunSummary, StoredEvent

_STATUS = {"run_completed": RunStatus.COMPLETED, "run_failed": RunStatus.FAILED}


def summary_of(snapshot: RunSnapshot, first: Sequence[StoredEvent], last: Sequence[StoredEvent]) -> RunSummary:
    """Return a listing's line; `first` and `last` hold at most one event each."""
    status = _STATUS.get(last[0].event_type, RunStatus.RUNNING) if last else RunStatus.PENDING
    identity = snapshot.identity
    return RunSummary(
        run_id=snapshot.run_id,
        status=status.value,
        started_at=_time(first),
        updated_at=_time(last),
        event_count=last[0].sequence if last else 0,
        total_cases=total_cases(snapshot),
        generator_id=identity.generator_ref.component_id,
        dataset_ids=tuple(ref.dataset_id for ref in identity.dataset_refs),
        metric_ids=tuple(ref.component_id for ref in identity.metric_refs),
    )


def _time(events: Sequence[StoredEvent]) -> datetime | None:
    return datetime.fromisoformat(decode(events[0].payload)["occurred_at"]) if events else None
