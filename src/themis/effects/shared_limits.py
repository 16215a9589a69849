"""Limits that all workers of a run keep together: each call takes its share of them from the store.

A worker takes a time for each call, by the store's clock, and is given them one after the other; it takes slots for
calls under way, no more than its part of them while there are other workers; and it reserves what a call may cost
before it is sent. What it has taken is little at any moment, and is free again when it dies.

A worker that can't reach the store takes nothing, and stops: `beat` asks every second whether the store is there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import attrs
import trio

from themis.pure.limits import Budget, CallLimits, Estimate, Ticket, limit_for
from themis.pure.protocols import DividedStore

T = TypeVar("T")

_BEAT_S: Final = 1.0
_ROOM_S: Final = 0.5
"""Seconds until a call that the budget has no room for looks again, while other workers' calls are under way."""


@attrs.define(eq=False)
class _Pool:
    """Slots that this worker has of a limit on calls under way."""

    name: str
    most: int
    held: set[int] = attrs.field(factory=set)
    free: list[int] = attrs.field(factory=list)
    waiting: int = 0
    share: int = 1
    balancing: trio.Lock = attrs.field(factory=trio.Lock)
    changed: trio.Event = attrs.field(factory=trio.Event)

    def tell(self) -> None:
        if self.waiting:
            self.changed.set()
            self.changed = trio.Event()


class SharedLimits:
    """The limits of a run, as one of its workers keeps them.

    Args:
        store: where the run is; this worker has joined it.
        run_id: the run.
        limits: of all workers together.
        budget: returns the run's budget, with nothing spent.
    """

    def __init__(self, store: DividedStore, run_id: str, limits: CallLimits, budget: Callable[[], Budget]) -> None:
        self._store = store
        self._run_id = run_id
        self._limits = limits
        self._budget = budget
        self._has_budget = budget().is_limited
        self._pools: dict[str, _Pool] = {}
        self._turns: dict[str, trio.Lock] = {}
        self._taken: dict[Ticket, list[tuple[_Pool, int]]] = {}
        self._reserved: dict[Ticket, bool] = {}
        self._workers = 1

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Share while the block runs; it is left by `StoreError` when the store can't be reached any more."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            yield
            nursery.cancel_scope.cancel()

    async def _beat(self) -> None:
        while True:
            self._workers = max(1, await self._asked(self._store.workers, self._run_id))
            for pool in tuple(self._pools.values()):
                await self._balance(pool)
            await trio.sleep(_BEAT_S)

    async def _balance(self, pool: _Pool) -> None:
        """Take slots that are wanted, and give back those beyond this worker's part."""
        async with pool.balancing:
            pool.share = max(1, math.ceil(pool.most / self._workers))
            beyond = len(pool.held) - pool.share if pool.waiting else len(pool.free)
            back = [pool.free.pop() for _ in range(min(max(beyond, 0), len(pool.free)))]
            if back:
                pool.held.difference_update(back)
                await self._asked(self._store.give_slots_back, self._run_id, pool.name, back)
            more = min(pool.waiting - len(pool.free), pool.share - len(pool.held))
            if more > 0:
                taken = await self._asked(self._store.take_slots, self._run_id, pool.name, pool.most, more)
                pool.held.update(taken)
                pool.free.extend(taken)
                pool.tell()

    async def _asked(self, method: Callable[..., T], *args: Any, **keywords: Any) -> T:
        return await trio.to_thread.run_sync(functools.partial(method, *args, **keywords))

    # --- calls --------------------------------------------------------------------------------------------

    async def enter(self, ticket: Ticket) -> None:
        """Wait until a call may be made; `ticket.refused` says if the budget has no room for it.

        Either way `leave` is called when it has ended, or was cancelled here.
        """
        taken = self._taken[ticket] = []
        for pool in self._pools_of(ticket):
            slot = await self._slot(pool)
            taken.append((pool, slot))
        ticket.refused = self._has_budget and not await self._reserve(ticket)
        if not ticket.refused:
            await self._wait_for_rates(ticket)

    async def leave(self, ticket: Ticket, tokens: int, cost: float) -> None:
        """Give back what a call had taken, and replace what it had reserved by what it used."""
        for pool, slot in self._taken.pop(ticket, ()):
            pool.free.append(slot)
            pool.tell()
        with trio.CancelScope(shield=True):
            await self._settle(ticket, tokens, cost)

    def _pools_of(self, ticket: Ticket) -> Iterator[_Pool]:
        """Yield the slots that a call needs, always in the same order, so that no two wait for each other."""
        stage, key, limits = ticket.stage, ticket.provider_key, self._limits
        wanted = {
            "calls": limits.max_concurrent,
            f"stage {stage}": limits.stage_concurrency.get(stage),
            f"endpoint {key}": None if key is None else limit_for(limits.provider_concurrency, key),
        }
        for name, most in wanted.items():
            if most is not None:
                yield self._pools.setdefault(name, _Pool(name, most))

    async def _slot(self, pool: _Pool) -> int:
        pool.waiting += 1
        try:
            if not pool.free:
                await self._balance(pool)
            while not pool.free:
                await pool.changed.wait()
            return pool.free.pop()
        finally:
            pool.waiting -= 1

    async def _reserve(self, ticket: Ticket) -> bool:
        while True:
            room = await self._asked(
                self._store.reserve, self._run_id, ticket.stage, ticket.estimate, budget=self._budget
            )
            if room is not None:
                self._reserved[ticket] = room
                return room
            await trio.sleep(_ROOM_S)

    async def _wait_for_rates(self, ticket: Ticket) -> None:
        key = ticket.provider_key
        if key is None:
            return
        for kind, rates, units in self._rates(ticket):
            per_minute = limit_for(rates, key)
            if per_minute is None:
                continue
            name = f"{kind} {key}"
            # One at a time: a worker that dies has then taken no more than one time that nobody uses.
            async with self._turns.setdefault(name, trio.Lock()):
                await trio.sleep(await self._asked(self._store.take_rate, self._run_id, name, per_minute, units))

    def _rates(self, ticket: Ticket) -> Iterator[tuple[str, Any, float]]:
        if ticket.estimate.tokens:
            yield "tokens", self._limits.tokens_per_minute, ticket.estimate.tokens
        yield "requests", self._limits.requests_per_minute, 1.0

    async def _settle(self, ticket: Ticket, tokens: int, cost: float) -> None:
        key, reserved = ticket.provider_key, ticket.estimate
        if self._reserved.pop(ticket, False):
            used = Estimate(tokens=tokens, cost=cost)
            await self._asked(self._store.spend, self._run_id, ticket.stage, freed=reserved, used=used)
        per_minute = None if key is None else limit_for(self._limits.tokens_per_minute, key)
        if per_minute is not None and tokens != reserved.tokens:
            more = float(tokens - reserved.tokens)
            await self._asked(self._store.take_rate, self._run_id, f"tokens {key}", per_minute, more)
