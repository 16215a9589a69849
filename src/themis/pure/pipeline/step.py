"""One thing to do for a case."""

from __future__ import annotations

from typing import NamedTuple

from themis._stages import Stage


class Step(NamedTuple):
    """A stage of a case, and which candidate, metric and answer of it.

    Attributes:
        stage: the stage.
        candidate_index: of a generation, which candidate it makes.
        metric_id: of a score or a judgment, by which metric.
        answer: the index of the candidate that it is about, where every candidate of a case is an answer of its own;
            `None` where a case has one answer, and for what is about all candidates.
    """

    stage: Stage
    candidate_index: int = 0
    metric_id: str = ""
    answer: int | None = None
