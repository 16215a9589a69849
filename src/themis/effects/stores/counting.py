"""Counting a run's scores in SQL: one pass over its events, for a summary of a large run at once.

What the counts rest on is that a case which went through at once has one event of each kind. A case that may be
otherwise is left out of them and named, for its fate is to be read from its events in order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from themis.pure.json import encode

Counts = Mapping[str, tuple[int, int, float]]
"""By metric: scores, correct ones, their sum."""

_PER_CASE: Final = (
    "select case_no, count(*) as n from event where run_no = :run_no and case_no is not null group by case_no"
)
_CASES: Final = f"select count(*), total(n > :most) from ({_PER_CASE})"  # noqa: S608  # fixed text
_CROWDED: Final = f"select case_no from ({_PER_CASE}) where n > :most"  # noqa: S608  # fixed text
_FAILED: Final = "'generation_failed', 'selection_failed', 'reduction_failed', 'parse_failed'"
_FAILED_WITH_SCORE: Final = f"""
    select distinct f.case_no from event f
    where f.id between :first and :last and f.event_type in ({_FAILED}) and exists (
        select 1 from event s
        where s.run_no = f.run_no and s.case_no = f.case_no and s.event_type = 'score_completed')
"""  # noqa: S608  # fixed text


def count_scores(
    db: sqlite3.Connection, run_no: int, thresholds: Mapping[str, float], events_a_case: int
) -> tuple[int, Sequence[int], Counts]:
    """Count as `SqliteRunStore.count_scores` says."""
    where = {"run_no": run_no, "first": run_no << 40, "last": ((run_no + 1) << 40) - 1, "most": events_a_case}
    started, crowded = db.execute(_CASES, where).fetchone()
    failures, counts = _sums(db, thresholds, where)
    if not crowded and not failures:
        return started, (), counts
    left_out = sorted({row[0] for query in (_CROWDED, _FAILED_WITH_SCORE) for row in db.execute(query, where)})
    return started, left_out, _sums(db, thresholds, where, left_out)[1] if left_out else counts


def _sums(
    db: sqlite3.Connection, thresholds: Mapping[str, float], where: Mapping[str, int], left_out: Sequence[int] = ()
) -> tuple[int, Counts]:
    """Return how many steps before scoring failed, and the counts.

    A sum for each metric, and no grouping: SQLite would sort all scores for it.
    """
    names = list(thresholds)
    sums = "".join(
        f", total(metric = :metric{i} and value is not null), total(metric = :metric{i} and value >= :from{i})"
        f", total(case metric when :metric{i} then value end)"
        for i in range(len(names))
    )
    metric = "payload ->> '$.metric_id'" if len(names) > 1 else ":metric0"
    outside = "and case_no not in (select value from json_each(:left_out))" if left_out else ""
    query = f"""
        select total(value is null) {sums}
        from (
            select case event_type when 'score_completed' then {metric} end as metric,
                case event_type when 'score_completed' then payload ->> '$.score.value' end as value
            from event
            where id between :first and :last and event_type in ('score_completed', {_FAILED}) {outside}
        )
    """  # noqa: S608  # fixed text and numbers
    parameters = {
        **where,
        **{f"metric{i}": name for i, name in enumerate(names)},
        **{f"from{i}": thresholds[name] for i, name in enumerate(names)},
        "left_out": encode(tuple(left_out)).decode(),
    }
    failures, *row = db.execute(query, parameters).fetchone()
    return int(failures), {name: (int(row[3 * i]), int(row[3 * i + 1]), row[3 * i + 2]) for i, name in enumerate(names)}
