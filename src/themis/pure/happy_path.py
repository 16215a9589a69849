"""Score rows of cases that took the happy path, read off their stored events without building records.

Most cases go through at once (`plan.happy_path`), and their rows stand in their events as they are. Any other case (a
failure, a retry, an unusable answer, a judge, a blob) is left to the fold, which knows what supersedes what; property
tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from themis.pure.json import decode
from themis.pure.plan import CaseItem, MetricSlot
from themis.pure.projections import Thresholds, scored_row
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.scoring import Score
from themis.pure.records.stored import StoredEvent


def happy_path_rows(
    item: CaseItem,
    events: Sequence[StoredEvent],
    metrics: Sequence[MetricSlot],
    thresholds: Thresholds,
    usual: Sequence[str],
) -> list[BenchmarkScoreRow] | None:
    """Return a case's score rows, or `None` if it did not take the happy path.

    Args:
        item: the case.
        events: all of its events, in order.
        metrics: the run's metrics.
        thresholds: of each metric, from which value a score counts as correct.
        usual: the events of a case that went through at once.
    """
    if not usual or tuple([event.event_type for event in events]) != usual:
        return None
    reduced, parsed, *scored = [decode(event.payload) for event in events[len(usual) - len(metrics) - 2 :]]
    answer = parsed["result"]
    if reduced["result"] is None or answer is None or answer["value"] is None or answer["metadata"].get("invalid"):
        return None
    scores = {event["metric_id"]: event["score"] for event in scored}
    if len(scores) != len(metrics):
        return None
    case = (item.case.case_id, item.dataset_id, item.case_key, reduced["result"]["candidate_id"])
    return [scored_row(*case, Score(**scores[metric.metric_id]), thresholds) for metric in metrics]
