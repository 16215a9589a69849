"""Who may call next: the arithmetic of rates, concurrency and budgets, as state machines without a clock.

Every method that needs the time takes it as `now`, in seconds of any monotonic clock. `Admission` looks at all
limits together and says which waiting calls may start; the shell (`themis.effects.limits`) only waits and asks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

import attrs

from themis.pure.json import EMPTY

FOREVER: Final = float("inf")
_FIRST_CONCURRENCY: Final = 4
"""How many calls an endpoint gets at once before it has answered any: a start without a burst."""


class RateLimiter:
    """A rate per minute (infinity is no limit), kept by spacing: no credit is saved up, so there is never a burst.

    A caller that was delayed does not catch up either. `n` requests per minute give at most `n // 60 + 1` in any
    one second and `n + 1` in any minute.

    >>> rate = RateLimiter(600)
    >>> rate.take(now=5.0)
    >>> rate.ready_at
    5.1
    """

    __slots__ = ("_seconds_per_unit", "ready_at")

    def __init__(self, per_minute: float) -> None:
        self._seconds_per_unit = 60.0 / per_minute
        self.ready_at: float = 0.0

    def take(self, now: float, units: float = 1.0) -> None:
        """Count `units` used at `now`; a large use delays the next one and never itself."""
        self.ready_at = max(self.ready_at, now) + units * self._seconds_per_unit

    def correct(self, units: float) -> None:
        """Count `units` more (or fewer, if negative) than `take` was told."""
        self.ready_at += units * self._seconds_per_unit


class AdaptiveConcurrency:
    """How many calls an endpoint gets at once: grows while calls succeed, halves when it is overloaded.

    Additive increase and multiplicative decrease, with the two habits that TCP added to them: it opens by one
    per success as long as no ceiling is known (slow start, RFC 5681), and after a halving it climbs back to just
    under the ceiling that it met, then probes above it ever more rarely (CUBIC's plateau, RFC 9438). Calls that
    were under way before the last halving neither halve nor grow it again: one burst of rejections counts once.
    """

    # Where `limit` is between 1 and `_most`, how many successes a step up costs, which `_credit` saves up for:
    #
    #     below 0.9 of the ceiling          1                      slow start: the limit doubles each round
    #     from there to the ceiling         limit                  one step a round
    #     at the ceiling and above          limit x patience       one step in `patience` rounds: a probe
    #
    # An overload halves the limit, puts the ceiling just under where it happened and makes patience four times as long
    # (4 to 16). A probe that succeeds takes the ceiling along and halves patience; when patience is down to 1 there is
    # no ceiling any more, for the endpoint has plainly got room. Rounds are not timed: `limit` successes are a round.

    __slots__ = ("_ceiling", "_credit", "_most", "_patience", "epoch", "limit")

    def __init__(self, most: int, first: int = _FIRST_CONCURRENCY) -> None:
        self._most = most
        self._ceiling = FOREVER
        self._patience = 1
        self._credit = 0.0
        # Which halving a call starts after; handed back with its outcome.
        self.epoch: int = 0
        self.limit: int = min(most, first)

    def succeeded(self, epoch: int, in_flight: int) -> None:
        """Take note of a success; `in_flight` counts the calls under way, this one included."""
        # A limit that is not used up has not been tested by this success (RFC 7661).
        if epoch != self.epoch or self.limit >= self._most or in_flight < self.limit:
            return
        self._credit += 1.0
        if self._credit < self._price_of_growth():
            return
        self._credit = 0.0
        self.limit += 1
        if self.limit > self._ceiling:
            # The ceiling has moved up. Once that is the habit, it is no ceiling: open quickly again.
            self._ceiling = FOREVER if self._patience == 1 else float(self.limit)
            self._patience = max(1, self._patience // 2)

    def _price_of_growth(self) -> float:
        """Return how many successes the next step up costs."""
        # Well below the ceiling one success a step, as in slow start. Near it a whole round of calls. At it and above,
        # where the last overload was, several rounds, and more of them after each further overload.
        if self.limit < 0.9 * self._ceiling:
            return 1.0
        if self.limit < self._ceiling:
            return float(self.limit)
        return float(self.limit * self._patience)

    def overloaded(self, epoch: int) -> None:
        """Take note of a rejection for overload."""
        if epoch != self.epoch:
            return
        self.epoch += 1
        self._credit = 0.0
        self._patience = min(16, max(4, self._patience * 4))
        self._ceiling = float(max(1, self.limit - 1))
        self.limit = max(1, self.limit // 2)


# --- budget -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class TokenEstimate:
    """How many tokens a call is expected to use at most."""

    prompt: int = 0
    completion: int = 0


@attrs.frozen(kw_only=True)
class Estimate:
    """What is reserved for a call: tokens, and US dollars where the price is known."""

    tokens: int = 0
    cost: float = 0.0


NOTHING: Final = Estimate()


class Budget:
    """A cap on tokens and cost: a call reserves its estimate before it is sent, and settles afterwards.

    Args:
        max_tokens: tokens that may be used in all; `None` for no cap.
        max_cost: US dollars that may be spent in all; `None` for no cap.
        shares: the part of both that a stage may use, such as `{"generate": 0.7, "judge": 0.3}`; a stage that
            is not named may use what is left of the whole.
    """

    __slots__ = ("_cost", "_reserved", "_shares", "_spent", "_tokens")

    def __init__(
        self, max_tokens: float | None = None, max_cost: float | None = None, shares: Mapping[str, float] = EMPTY
    ) -> None:
        self._tokens = FOREVER if max_tokens is None else max_tokens
        self._cost = FOREVER if max_cost is None else max_cost
        self._shares = shares
        self._spent: dict[str, tuple[int, float]] = {}
        self._reserved: dict[str, tuple[int, float]] = {}

    @property
    def is_limited(self) -> bool:
        return self._tokens < FOREVER or self._cost < FOREVER

    def spend(self, stage: str, tokens: int, cost: float) -> None:
        """Count what was spent without a reservation: by an earlier process of the same run, say."""
        _add(self._spent, stage, tokens, cost)

    def fits(self, stage: str, estimate: Estimate) -> bool:
        return self._fits(stage, estimate, self._spent, self._reserved)

    def ever_fits(self, stage: str, estimate: Estimate) -> bool:
        return self._fits(stage, estimate, self._spent)

    def _fits(self, stage: str, estimate: Estimate, *books: Mapping[str, tuple[int, float]]) -> bool:
        share = self._shares.get(stage, 1.0)
        own = [book.get(stage, (0, 0.0)) for book in books]
        every = [entry for book in books for entry in book.values()]
        return all(
            sum(tokens for tokens, _ in entries) + estimate.tokens <= self._tokens * part
            and sum(cost for _, cost in entries) + estimate.cost <= self._cost * part
            for entries, part in ((own, share), (every, 1.0))
        )

    def reserve(self, stage: str, estimate: Estimate) -> None:
        _add(self._reserved, stage, estimate.tokens, estimate.cost)

    def settle(self, stage: str, estimate: Estimate, tokens: int, cost: float) -> None:
        """Replace a reservation by what the call used."""
        _add(self._reserved, stage, -estimate.tokens, -estimate.cost)
        _add(self._spent, stage, tokens, cost)


def _add(book: dict[str, tuple[int, float]], stage: str, tokens: int, cost: float) -> None:
    old_tokens, old_cost = book.get(stage, (0, 0.0))
    # Sums of binary fractions miss zero by rounding; a negative reservation would be a budget that does not exist.
    book[stage] = old_tokens + tokens, max(0.0, old_cost + cost)


# --- admission --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class CallLimits:
    """All limits of a run's calls.

    A provider key is looked up whole, and then without what follows `@`: `openai` covers every endpoint
    `openai@host:port` that has no entry of its own, and each of them gets the whole limit.

    Attributes:
        max_concurrent: calls under way at once, over the whole run.
        stage_concurrency: the same per stage.
        provider_concurrency: the most per provider; what is used below it adapts to the endpoint.
        requests_per_minute: per provider.
        tokens_per_minute: per provider, prompts and completions together.
    """

    max_concurrent: int | None = None
    stage_concurrency: Mapping[str, int] = EMPTY
    provider_concurrency: Mapping[str, int] = EMPTY
    requests_per_minute: Mapping[str, int] = EMPTY
    tokens_per_minute: Mapping[str, int] = EMPTY


def limit_for(limits: Mapping[str, int], provider_key: str) -> int | None:
    """Return the limit of a provider key: its own, or that of the part before `@`.

    >>> limit_for({"vllm": 8}, "vllm@gpu1:8000")
    8
    """
    found = limits.get(provider_key)
    return limits.get(provider_key.partition("@")[0]) if found is None else found


class EndpointState:
    """What is known of one endpoint: its rates, its concurrency, and until when it asked not to be called."""

    __slots__ = ("concurrency", "held_until", "in_flight", "requests", "tokens")

    def __init__(self, provider_key: str, limits: CallLimits) -> None:
        most = limit_for(limits.provider_concurrency, provider_key) or limits.max_concurrent or 1_000
        self.requests: RateLimiter = RateLimiter(limit_for(limits.requests_per_minute, provider_key) or FOREVER)
        self.tokens: RateLimiter = RateLimiter(limit_for(limits.tokens_per_minute, provider_key) or FOREVER)
        self.concurrency: AdaptiveConcurrency = AdaptiveConcurrency(most)
        self.in_flight: int = 0
        self.held_until: float = 0.0

    def ready_at(self) -> float:
        """Return when the rates allow the next call."""
        return max(self.held_until, self.requests.ready_at, self.tokens.ready_at)

    def hold(self, until: float) -> None:
        self.held_until = max(self.held_until, until)


@attrs.define(eq=False, slots=True)
class Ticket:
    """One attempt at a call, from the moment it asks to start until it has ended."""

    provider_key: str | None
    stage: str
    estimate: Estimate = NOTHING
    admitted: bool = False
    refused: bool = False
    epoch: int = 0


class Admission:
    """Says which calls may start, looking at all limits together.

    Calls wait in one queue per provider and stage. Of the queues whose first call may start, the next one to start is
    of the endpoint that has the fewest calls under way, and of equals the one that has waited longest for its turn. So
    endpoints that share `max_concurrent` come to the same number of calls under way, however slow one of them is (by
    turns alone, a slow one would in time hold all places), and a call that its own endpoint holds back never blocks
    another.
    """

    def __init__(self, limits: CallLimits, budget: Budget) -> None:
        self._limits = limits
        self._budget = budget
        self._most = FOREVER if limits.max_concurrent is None else limits.max_concurrent
        self.under_way: int = 0
        self._stages = Counter[str]()
        self._callees = Counter[str | None]()
        self._endpoints: dict[str, EndpointState] = {}
        self._queues: dict[tuple[str | None, str], deque[Ticket]] = {}

    def endpoint(self, provider_key: str) -> EndpointState:
        """Return the state of an endpoint, which begins with its first call."""
        state = self._endpoints.get(provider_key)
        if state is None:
            state = self._endpoints[provider_key] = EndpointState(provider_key, self._limits)
        return state

    def enter(self, ticket: Ticket, now: float) -> bool:
        """Start a call at once if it may; else queue it. Returns whether it started or was refused."""
        if not self._queues.get((ticket.provider_key, ticket.stage)) and self._try_start(ticket, now):
            return True
        self._queues.setdefault((ticket.provider_key, ticket.stage), deque()).append(ticket)
        return False

    def abandon(self, ticket: Ticket) -> None:
        """Take a call that was cancelled out of its queue."""
        key = (ticket.provider_key, ticket.stage)
        self._queues[key].remove(ticket)
        if not self._queues[key]:
            del self._queues[key]

    def leave(self, ticket: Ticket) -> None:
        """Free what an ended call held."""
        self.under_way -= 1
        self._stages[ticket.stage] -= 1
        self._callees[ticket.provider_key] -= 1
        if ticket.provider_key is not None:
            self.endpoint(ticket.provider_key).in_flight -= 1

    def start_ready(self, now: float) -> list[Ticket]:
        """Start every waiting call that may start (or is refused for good), in the order of their turns."""
        started: list[Ticket] = []
        while (ticket := self._start_next(now)) is not None:
            started.append(ticket)
        return started

    def _start_next(self, now: float) -> Ticket | None:
        for key in sorted(self._queues, key=lambda key: self._callees[key[0]]):
            queue = self._queues[key]
            if self._try_start(queue[0], now):
                ticket = queue.popleft()
                del self._queues[key]
                if queue:
                    self._queues[key] = queue  # behind its equals: their turn comes first
                return ticket
        return None

    def heads(self) -> list[Ticket]:
        return [queue[0] for queue in self._queues.values()]

    def wake_at(self, ticket: Ticket, now: float) -> float:
        """Return when the clock alone may let a waiting call start; infinity if others must start or end first."""
        is_first = self._queues[(ticket.provider_key, ticket.stage)][0] is ticket
        if ticket.provider_key is None or not is_first:
            return FOREVER
        moment = self.endpoint(ticket.provider_key).ready_at()
        return moment if moment > now else FOREVER

    def _try_start(self, ticket: Ticket, now: float) -> bool:
        # Every limit is asked before any is taken: a call that one of them holds back must not use up the others. The
        # budget comes last, for its reservation is the one thing that would have to be undone.
        if self.under_way >= self._most:
            return False
        if self._stages[ticket.stage] >= self._limits.stage_concurrency.get(ticket.stage, FOREVER):
            return False
        state = None if ticket.provider_key is None else self.endpoint(ticket.provider_key)
        if state is not None and (state.in_flight >= state.concurrency.limit or state.ready_at() > now):
            return False
        if self._budget.is_limited and not self._reserve(ticket):
            return ticket.refused
        self.under_way += 1
        self._stages[ticket.stage] += 1
        self._callees[ticket.provider_key] += 1
        if state is not None:
            state.in_flight += 1
            state.requests.take(now)
            state.tokens.take(now, ticket.estimate.tokens)
            ticket.epoch = state.concurrency.epoch
        ticket.admitted = True
        return True

    def _reserve(self, ticket: Ticket) -> bool:
        if self._budget.fits(ticket.stage, ticket.estimate):
            self._budget.reserve(ticket.stage, ticket.estimate)
            return True
        ticket.refused = not self._budget.ever_fits(ticket.stage, ticket.estimate)
        return False
