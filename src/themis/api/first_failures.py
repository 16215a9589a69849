"""What went wrong in a run, in a few lines: the first different errors."""

from __future__ import annotations

import itertools
from typing import Final

from themis.api.results import RunResult

SHOWN: Final = 3
LOOKED_AT: Final = 1000
"""Failed rows that are read at most: when everything fails, it mostly fails alike."""


def first_failures(result: RunResult) -> list[str]:
    """Return the first few different errors of a run, each with the first case that has it."""
    errors = (row for row in result.benchmark.score_rows if row.outcome == "error")
    seen: dict[str, str] = {}
    for row in itertools.islice(errors, LOOKED_AT):
        what = f"{row.error_category}: {row.error_message}"
        seen.setdefault(what, f"case {row.case_id}, {row.metric_id}: {what}")
        if len(seen) == SHOWN:
            break
    return list(seen.values())
