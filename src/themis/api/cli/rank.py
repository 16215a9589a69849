"""`themis rank`: several runs on one metric, and how sure their order is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from themis.api.cli.options import DEFAULT_STORE, ClusterBy, Json, RunName, Store, stored
from themis.api.cli.output import show


def rank(
    *runs: RunName,
    metric: str | None = None,
    lower_is_better: Annotated[bool, Parameter(negative="")] = False,
    cluster_by: ClusterBy = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Rank several runs on one metric, with intervals.

    Every two runs are compared, case by case; all p-values are adjusted together.
    A run that is shown to be worse than two others has rank 3 at best. All
    intervals hold at once, at 95%.

    For example:
      themis rank 4f1c 77ab latest --metric builtin/exact_match
      themis rank base small large --cluster-by document

    Args:
        metric: The metric; not needed if the runs have one.
        lower_is_better: Rank 1 has the lowest mean.
    """
    from themis.api.runs.rank import rank as rank_stored
    from themis.api.stores import find_run
    from themis.pure.report.statistics import ranking_text

    opened = stored(store)
    found = {find_run(opened, run): run for run in runs}
    named = {run_id: run for run_id, run in found.items() if run != "latest" and not run_id.startswith(run)}
    ranking = rank_stored(
        opened, list(found), metric, labels=named, cluster_by=cluster_by, higher_is_better=not lower_is_better
    )
    show(ranking.to_dict(), lambda: ranking_text(ranking), as_json=json_output)
