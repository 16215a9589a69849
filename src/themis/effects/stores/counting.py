"""Counting a run's scores in SQL: one pass over its events, for a summary of a large run at once.

What the counts rest on is that a case which went through at once has one event of each kind. A case that came to be
parsed and may be otherwise is left out of them and named, for its fate is to be read from its events in order.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from themis.pure.json import EMPTY, encode


@attrs.frozen
class Counted:
    """What was counted of a run's cases.

    Attributes:
        begun: cases of which anything is stored.
        failed: cases of which nothing but failed generations is stored.
        unclear: cases that have to be read; they are in none of the other counts.
        scores: by metric: scores, correct ones, their sum.
        values: by metric, each value and how often it was scored; if they were asked for.
        calls: of the generated candidates the usage as JSON, whether another run made it, the attempts before, and how
            often there are all three; if they were asked for, and `None` where answers in blobs hide them.
    """

    begun: int = 0
    failed: int = 0
    unclear: Sequence[int] = ()
    scores: Mapping[str, tuple[int, int, float]] = EMPTY
    values: Mapping[str, Sequence[tuple[float, int]]] = EMPTY
    calls: Sequence[tuple[str | None, bool, int, int]] | None = None


_CASES: Final = """
    select count(*), count(*) filter (where events = failed and events <= :most)
    from (
        select count(*) as events, count(*) filter (where event_type = 'generation_failed') as failed
        from event where run_no = :run_no and case_no is not null group by case_no
    )
"""
_UNCLEAR: Final = r"""
    select case_no from event where run_no = :run_no and case_no is not null group by case_no
    having count(*) > :most
        or count(*) filter (where event_type in ('reduction_failed', 'parse_completed', 'parse_failed'))
            and count(*) filter (where event_type = 'score_completed') <> :scores
        or count(*) filter (where event_type like '%\_failed' escape '\') not in (0, count(*))
    order by case_no
"""
"""Cases with more events than need be, those that lack a score and may have one: that of an unparsed answer, and those
that failed, but in part: they may have failed, or not be done."""


def count_scores(db: sqlite3.Connection, run_no: int, thresholds: Mapping[str, float], events_a_case: int) -> Counted:
    """Count as `SqliteRunStore.count_scores` says."""
    where = {"run_no": run_no, "first": run_no << 40, "last": ((run_no + 1) << 40) - 1}
    limits = {**where, "most": events_a_case, "scores": len(thresholds)}
    begun, failed = db.execute(_CASES, limits).fetchone()
    unclear = [row[0] for row in db.execute(_UNCLEAR, limits)]
    return Counted(begun, failed, unclear, _sums(db, thresholds, where, unclear))


def count_values(db: sqlite3.Connection, run_no: int, thresholds: Mapping[str, float], events_a_case: int) -> Counted:
    """Count as `SqliteRunStore.count_values` says."""
    where = {"run_no": run_no, "first": run_no << 40, "last": ((run_no + 1) << 40) - 1}
    limits = {**where, "most": events_a_case, "scores": len(thresholds)}
    begun, failed = db.execute(_CASES, limits).fetchone()
    unclear = [row[0] for row in db.execute(_UNCLEAR, limits)]
    values: dict[str, list[tuple[float, int]]] = {name: [] for name in thresholds}
    for metric, value, count in db.execute(_VALUES, {**where, "left_out": encode(tuple(unclear)).decode()}):
        values.setdefault(metric, []).append((value, count))
    calls = db.execute(_CALLS, where).fetchall()
    scores = {name: _summed(found, thresholds.get(name, 0.0)) for name, found in values.items()}
    is_whole = not any(in_blob for *_, in_blob in calls)
    told = [(usage, bool(reused), attempts or 0, count) for usage, reused, attempts, count, _ in calls]
    return Counted(begun, failed, unclear, scores, values, told if is_whole else None)


def _summed(values: Sequence[tuple[float, int]], threshold: float) -> tuple[int, int, float]:
    return (
        sum(count for _, count in values),
        sum(count for value, count in values if value >= threshold),
        math.fsum(value * count for value, count in values),
    )


_VALUES: Final = """
    select payload ->> '$.metric_id', payload ->> '$.score.value', count(*)
    from event
    where id between :first and :last and event_type = 'score_completed'
        and case_no not in (select value from json_each(:left_out))
    group by 1, 2
"""
_CALLS: Final = """
    select payload -> '$.result.token_usage', payload ->> '$.cache_hit',
        json_array_length(payload -> '$.retry_history'), count(*), payload ->> '$.result' is null as in_blob
    from event
    where id between :first and :last and event_type = 'generation_completed'
    group by 1, 2, 3, 5
"""


def _sums(
    db: sqlite3.Connection, thresholds: Mapping[str, float], where: Mapping[str, int], left_out: Sequence[int]
) -> Mapping[str, tuple[int, int, float]]:
    """Return the counts.

    A sum for each metric, and no grouping: SQLite would sort all scores for it.
    """
    names = list(thresholds)
    sums = ", ".join(
        f"total(metric = :metric{i}), total(metric = :metric{i} and value >= :from{i})"
        f", total(case metric when :metric{i} then value end)"
        for i in range(len(names))
    )
    metric = "payload ->> '$.metric_id'" if len(names) > 1 else ":metric0"
    outside = "and case_no not in (select value from json_each(:left_out))" if left_out else ""
    query = f"""
        select {sums}
        from (
            select {metric} as metric, payload ->> '$.score.value' as value
            from event
            where id between :first and :last and event_type = 'score_completed' {outside}
        )
    """  # noqa: S608  # fixed text and numbers
    parameters = {
        **where,
        **{f"metric{i}": name for i, name in enumerate(names)},
        **{f"from{i}": thresholds[name] for i, name in enumerate(names)},
        "left_out": encode(tuple(left_out)).decode(),
    }
    row = db.execute(query, parameters).fetchone()
    return {name: (int(row[3 * i]), int(row[3 * i + 1]), row[3 * i + 2]) for i, name in enumerate(names)}
