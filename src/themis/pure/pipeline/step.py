"""One thing to do for a case."""

from __future__ import annotations

from typing import NamedTuple

from themis.pure.plan import Stage


class Step(NamedTuple):
    """A stage of a case, and which candidate or metric of it."""

    stage: Stage
    candidate_index: int = 0
    metric_id: str = ""
