"""What answers took: tokens, US dollars and time, whichever run asked for them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import attrs

from themis.pure.leaderboards.records import Spent
from themis.pure.stats.estimates import middle_interval, observed_clusters
from themis.pure.stats.samples import quantile
from themis.pure.usage import COMPLETION_TOKENS, PROMPT_TOKENS, AnsweredCall


@attrs.define
class Spending:
    """Adds up the calls that the answers of one run to one benchmark came of.

    Attributes:
        latencies: of the calls that say how long they took.
        owners: of which case each of these is an answer.
    """

    answers: int = 0
    cost: float | None = None
    unpriced: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latencies: array[float] = attrs.field(factory=lambda: array("d"))
    owners: list[str] = attrs.field(factory=list)

    def add(self, key: str, call: AnsweredCall, cost: float | None) -> None:
        """Take the call of an answer to a case, and what it cost, if that is known."""
        self.answers += 1
        usage = call.usage or {}
        self.prompt_tokens += usage.get(PROMPT_TOKENS, 0)
        self.completion_tokens += usage.get(COMPLETION_TOKENS, 0)
        if cost is None:
            self.unpriced += 1
        else:
            self.cost = (self.cost or 0.0) + cost
        if call.latency_ms is not None:
            self.latencies.append(call.latency_ms)
            self.owners.append(key)


def spent_on(benchmark: str, parts: Sequence[Spending], level: float) -> Spent:
    """Return what the answers of some runs to one benchmark took together."""
    costs = [part.cost for part in parts if part.cost is not None]
    latencies = [value for part in parts for value in part.latencies]
    owners = [key for part in parts for key in part.owners]
    ordered = sorted(latencies)
    return Spent(
        benchmark=benchmark,
        answers=sum(part.answers for part in parts),
        cost=sum(costs) if costs else None,
        unpriced=sum(part.unpriced for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
        measured=len(latencies),
        latency_ms=quantile(ordered, 0.5) if ordered else None,
        latency_interval=middle_interval(latencies, observed_clusters(owners, None), level) if ordered else None,
        latency_p90=quantile(ordered, 0.9) if ordered else None,
    )
