"""The scores that another tool made of a stored run's answers, made again by its rules."""

from __future__ import annotations

from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.pure.protocols import RunStore
from themis.pure.report.recomputed import RecomputedScores, Recomputing


def recompute_scores(store: RunStore | Storage, run_id: str) -> tuple[RecomputedScores, ...]:
    """Make the scores that were imported with a run's answers again, by the rules of the tool that made them.

    Which rules are known is in the table of `docs/how-to/other-tools-logs.md`. Nothing is stored.

    Args:
        store: where the run is.
        run_id: the run.

    Returns:
        Of each imported scorer how many scores are the same, and which are not.

    Raises:
        RunNotFoundError: the store has no such run.

    >>> from themis import InMemoryRunStore, import_outputs
    >>> rows = [{"id": "1", "input": "1+1", "output": "2", "theirs": 1.0}]
    >>> run = import_outputs(rows, score_fields=["theirs"], store=InMemoryRunStore())
    >>> [(each.name, each.scored, each.not_told) for each in recompute_scores(run.store, run.run_id)]
    [('theirs', 1, 1)]
    """
    view = RunView.of(store, run_id)
    found = Recomputing(view.snapshot.provenance.provider_metadata)
    for item, state in view.cases():
        found.add(item, state)
    return tuple(found.found())
