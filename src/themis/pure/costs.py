"""What a run used and what it cost: tokens and US dollars per stage and model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence

Price: TypeAlias = Callable[[str, Mapping[str, int]], float | None]
"""Model (`provider/name`) and token usage to US dollars; `None` for a model whose price is not known."""

PROMPT_TOKENS: Final = "prompt_tokens"
COMPLETION_TOKENS: Final = "completion_tokens"
CACHED_TOKENS: Final = "cached_tokens"
REASONING_TOKENS: Final = "reasoning_tokens"
TOTAL_TOKENS: Final = "total_tokens"


def total_tokens(usage: Mapping[str, Any]) -> int:
    """Return all tokens of one call: the provider's total, or prompt and completion together.

    >>> total_tokens({"prompt_tokens": 3, "completion_tokens": 4})
    7
    """
    stated = usage.get(TOTAL_TOKENS)
    if isinstance(stated, int):
        return stated
    return int(usage.get(PROMPT_TOKENS, 0)) + int(usage.get(COMPLETION_TOKENS, 0))


@attrs.frozen(kw_only=True)
class UsageRow(HashableModel):
    """What one model used in one stage.

    Attributes:
        stage: the stage of the run, such as `generate` or `judge`.
        model: `provider/name`; empty for calls that name no model.
        calls: calls that gave an answer.
        failed_attempts: attempts that did not.
        prompt_tokens, completion_tokens: as the provider counts them; cached and reasoning tokens are parts of
            these two.
        cost: US dollars over the calls whose price is known; `None` if none is.
        unpriced_calls: calls that are in the token counts and not in `cost`.
    """

    stage: str
    model: str
    calls: int = 0
    failed_attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    unpriced_calls: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


_COUNTED: Final = (PROMPT_TOKENS, COMPLETION_TOKENS, CACHED_TOKENS, REASONING_TOKENS)


class Ledger:
    """Adds up calls, row by row."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}

    def record(self, stage: str, model: str, usage: Mapping[str, int] | None, cost: float | None) -> None:
        """Count one answered call."""
        row = self._row(stage, model)
        row["calls"] += 1
        for name in _COUNTED if usage else ():
            row[name] += (usage or {}).get(name, 0)
        if cost is None:
            row["unpriced_calls"] += 1
        else:
            row["cost"] = (row["cost"] or 0.0) + cost

    def record_failure(self, stage: str, model: str) -> None:
        """Count one attempt that gave no answer."""
        self._row(stage, model)["failed_attempts"] += 1

    def rows(self) -> tuple[UsageRow, ...]:
        """Return the rows, by stage and model."""
        return tuple(UsageRow(stage=stage, model=model, **row) for (stage, model), row in sorted(self._rows.items()))

    def _row(self, stage: str, model: str) -> dict[str, Any]:
        row = self._rows.get((stage, model))
        if row is None:
            counts = dict.fromkeys(("calls", "failed_attempts", "unpriced_calls", *_COUNTED), 0)
            row = self._rows[stage, model] = {**counts, "cost": None}
        return row


@attrs.frozen(kw_only=True)
class RunCosts(HashableModel):
    """What a run used and cost, over all of its attempts.

    Attributes:
        rows: by stage and model.
    """

    rows: tuple[UsageRow, ...] = attrs.field(default=(), converter=sequence)

    @property
    def total_tokens(self) -> int:
        """All tokens of all models."""
        return sum(row.total_tokens for row in self.rows)

    @property
    def cost(self) -> float | None:
        """US dollars over all calls whose price is known; `None` if none is."""
        known = [row.cost for row in self.rows if row.cost is not None]
        return sum(known) if known else None

    @property
    def notice(self) -> str | None:
        """Which models' prices are not known, in one sentence; `None` if all are."""
        return unpriced_notice(self.rows)


def unpriced_notice(rows: tuple[UsageRow, ...]) -> str | None:
    """Say in one sentence which models' prices are not known; `None` if all are.

    >>> unpriced_notice((UsageRow(stage="generate", model="vllm/x", calls=2, unpriced_calls=2),))
    'price unknown, tokens counted: vllm/x (2 calls)'
    """
    counts: dict[str, int] = {}
    for row in rows:
        if row.unpriced_calls and row.model:
            counts[row.model] = counts.get(row.model, 0) + row.unpriced_calls
    if not counts:
        return None
    return "price unknown, tokens counted: " + ", ".join(f"{model} ({n} calls)" for model, n in counts.items())
