"""What the writers of other tools' logs read of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from themis._version import __version__
from themis.api.runs.view import RunView
from themis.pure.interchange.exported import Logged
from themis.pure.interchange.records import IMPORTED
from themis.pure.records.snapshot import RunSnapshot

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def logged(view: RunView) -> Logged:
    """Return what a log says of its run."""
    ending, ids = view.ending, view.dataset_ids
    return Logged(
        run_id=view.run_id,
        model=model_of(view.snapshot),
        agent=_imported(view.snapshot, "agent") or view.snapshot.identity.generator_ref.component_id,
        task=ids[0] if len(ids) == 1 else "+".join(ids),
        version=__version__,
        began=ending.started_at or _NEVER,
        ended=ending.ended_at or ending.started_at or _NEVER,
        answers=view.plan.candidate_count,
        name=ending.labels.name,
    )


def model_of(snapshot: RunSnapshot) -> str:
    """Return what answered: of an imported run the model that its log names."""
    return _imported(snapshot, "model") or snapshot.identity.generator_ref.component_id


def _imported(snapshot: RunSnapshot, name: str) -> str | None:
    about = snapshot.provenance.provider_metadata.get(IMPORTED)
    found = about.get(name) if isinstance(about, Mapping) else None
    return found if isinstance(found, str) else None
