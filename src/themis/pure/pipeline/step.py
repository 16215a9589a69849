"""One thing to do for a case."""

from __future__ import annotations

import attrs

from themis._stages import Stage


@attrs.frozen
class Step:
    """A stage of a case, and which candidate or metric of it."""

    stage: Stage
    candidate_index: int = 0
    metric_id: str = ""
