"""What the writers of other tools' logs read of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from themis._version import __version__
from themis.api.runs.view import RunView
from themis.pure.interchange.exported import Logged
from themis.pure.report.settings import imported_fact, model_of

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def logged(view: RunView) -> Logged:
    """Return what a log says of its run."""
    ending, ids = view.ending, view.dataset_ids
    return Logged(
        run_id=view.run_id,
        model=model_of(view.snapshot),
        agent=imported_fact(view.snapshot, "agent") or view.snapshot.identity.generator_ref.component_id,
        task=ids[0] if len(ids) == 1 else "+".join(ids),
        version=__version__,
        began=ending.started_at or _NEVER,
        ended=ending.ended_at or ending.started_at or _NEVER,
        answers=view.plan.candidate_count,
        name=ending.labels.name,
    )
