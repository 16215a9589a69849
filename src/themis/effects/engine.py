"""The engine: a fixed number of workers that pull cases and drive each through the pipeline.

It decides nothing: what is done with a case is the core's program of a whole case, and what a call's failure means is
decided in `themis.pure.calls`. A case's state is dropped when the case is done.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

import trio

from themis.effects.bodies import Bodies
from themis.effects.calls import CallRuntime
from themis.effects.driver import Driver, SandboxTurns
from themis.effects.hooks import Hooks
from themis.effects.journal import Journal, RunChain
from themis.effects.options import RunOptions
from themis.effects.reading import fresh_state, read_case, read_cases
from themis.effects.segments import SegmentChain, cases_of, joins
from themis.pure.abilities import Components
from themis.pure.chain import Entry, header_hash
from themis.pure.errors import StoreError
from themis.pure.events import RunCompletedEvent, RunEvent, RunFailedEvent, RunStartedEvent
from themis.pure.pipeline.restart import restart_from
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.table import carry_out, next_steps
from themis.pure.plan import CaseItem, RunPlan, case_items, items_at, total_cases
from themis.pure.projections import Thresholds, score_rows
from themis.pure.protocols import RunStore
from themis.pure.records.labels import RunLabels
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.state import CaseState, has_failures
from themis.pure.stopping import Bounds, Stop, case_order, range_of_rule, rule_bounds, stop_program

_Take: TypeAlias = Callable[[CaseItem, CaseState], None]

_MOST_AHEAD: Final = 20_000
"""Cases that are held in memory, of a file whose cases are done in another order than its own."""

_TURN: Final = 0.001
"""Seconds after which a worker that never had to wait lets the other tasks take their turn."""

_LAST_HOOKS: Final = 5.0
"""Seconds that subscribers have for the last events of a run that is stopped before its end."""


class Engine:
    """Carries a run out, from wherever it stands to the end of `until_stage`; or one segment of it.

    Args:
        snapshot: the run's.
        components: its components.
        store: where it is; this process has acquired it, or claimed the segment.
        options: how it is to be run.
        plan: its shape.
        calls: makes its model calls.
        segment: the chain of the segment; the whole run if not given.
        recalls: the stage cache may have something; looked up if not given.
        sandboxes: runs programs, where runs share it; the run has its own if not given.
    """

    def __init__(
        self,
        snapshot: RunSnapshot,
        components: Components,
        store: RunStore,
        options: RunOptions,
        plan: RunPlan,
        calls: CallRuntime,
        segment: SegmentChain | None = None,
        *,
        recalls: bool | None = None,
        sandboxes: SandboxTurns | None = None,
    ) -> None:
        runtime, replay = options.runtime, options.replay
        self._snapshot = snapshot
        self._store = store
        self._plan = plan
        self._workers = int(runtime.max_concurrent_tasks)
        self._replay = replay
        self._labels = options.labels
        self._progress = options.progress
        self._hooks = Hooks(options.subscribers, options.tracing)
        self._segment = segment
        self._is_resumed = store.head(plan.run_id).count > 0
        self._journal = Journal(
            RunChain(store, plan.run_id) if segment is None else segment,
            attempts=int(runtime.store_retry_attempts),
            delay=runtime.store_retry_delay,
            acknowledged=self._acknowledged if self._hooks.wants("on_event") else None,
        )
        reuses = runtime.existing_run_policy != "rerun"
        if recalls is None:
            recalls = reuses and (self._is_resumed or has_others(store, plan.run_id))
        self._run = Run(
            plan=plan,
            identity=snapshot.identity,
            components=components,
            clock=_utc_now,
            listens=self._hooks.any,
            traces=self._hooks.traces,
            recalls=recalls,
            asks_again=replay is not None and replay.stage == "judge" and not replay.recorded_judging,
        )
        offline = {"generate"} if options.offline else set()
        if replay is not None and replay.recorded_judging:
            offline.add("judge")
        self._driver = Driver(
            calls=calls,
            side_by_side=self._workers,
            store=store,
            journal=self._journal,
            hooks=self._hooks,
            progress=self._progress,
            offline=offline,
            sandboxes=sandboxes or SandboxTurns(),
        )
        self._bodies = Bodies()
        self._next_turn = 0.0
        self._working = self._telling = trio.CancelScope()
        self._tell_until = math.inf
        self._escaped: BaseException | None = None

    async def run(self) -> None:
        """Do what is left of the run.

        Raises:
            CallFailed: the endpoint refuses every call (a wrong key, an unknown model), or the budget is used up.
            StoreError: the store can't be written any more.
        """
        span = self._hooks.start_span("run", {"run_id": self._plan.run_id})
        status = "error"
        try:
            await self._work()
            status = "ok"
        finally:
            self._hooks.end_span(span, status)

    async def _work(self) -> None:
        # The journal runs in a nursery around that of the workers. Be it a fault, a cancellation or Ctrl-C that ends
        # them: what they finished, and how the run ended, goes to a journal that still writes.
        try:
            async with trio.open_nursery() as outer:
                outer.start_soon(self._journal.run)
                try:
                    for entry in self._opening():
                        self._journal.append(entry.case_no, entry.event)
                    planned = await self._all_cases()
                    if self._segment is None:
                        self._journal.append(None, self._completed(planned))
                except BaseException as error:
                    self._note_failure(error)
                    self._tell_until = self._telling.deadline = trio.current_time() + _LAST_HOOKS
                    raise
                finally:
                    # What finished is stored even when the run is cancelled: that is what resuming rests on.
                    with trio.CancelScope(shield=True):
                        await self._journal.close()
        except BaseExceptionGroup as group:
            raise root_cause(group) from None
        self._raise_escaped()

    def _raise_escaped(self) -> None:
        if self._escaped is not None:
            raise self._escaped

    def _opening(self) -> Sequence[Entry]:
        """Return what is written before anything else; an attempt of many processes was begun by one of them."""
        if self._segment is not None:
            return ()
        started = run_started(self._store, self._plan.run_id, self._labels)
        return [*joins(self._store, self._plan.run_id, started.occurred_at), Entry(None, started)]

    def _completed(self, planned: int | None) -> RunCompletedEvent:
        return RunCompletedEvent(
            run_id=self._plan.run_id,
            occurred_at=_utc_now(),
            completed_through_stage=self._plan.until_stage,
            event_count=self._journal.count + 1,
            planned_cases=planned,
        )

    def _note_failure(self, error: BaseException) -> None:
        cause = root_cause(error)
        if isinstance(cause, StoreError) or self._segment is not None:
            return  # there is no storing it, or others go on
        message = "interrupted" if isinstance(cause, KeyboardInterrupt | trio.Cancelled) else str(cause)
        event = RunFailedEvent(
            run_id=self._plan.run_id, occurred_at=_utc_now(), error_message=message or type(cause).__name__
        )
        self._journal.append(None, event)

    async def _all_cases(self) -> int | None:
        """Do all cases; or those up to where the run's rule ends it, block by block, and return their number."""
        if self._segment is not None:
            self._progress.total = (self._progress.total or 0) + len(self._segment.cases)
            await self._do(self._left_of_segment(self._segment))
            return None
        self._progress.total = total_cases(self._snapshot)
        rule = self._snapshot.identity.until
        if rule is None:
            await self._do(self._unfinished())
            return None
        order = await trio.to_thread.run_sync(case_order, self._snapshot, rule)
        items, bounds = _InOrder(self._snapshot, order.numbers), dict[int, Bounds]()

        def take(item: CaseItem, state: CaseState) -> None:
            rows = tuple(score_rows(self._plan, state, _ANY))
            bounds[item.case_no] = rule_bounds(self._plan, rule, rows)

        program = stop_program(rule, range_of_rule(self._plan, rule), order)
        try:
            block = next(program)
            while True:
                await self._do(self._left_of(items.of(block), take), take)
                block = program.send(bounds)
                bounds.clear()
        except StopIteration as end:
            stop: Stop = end.value
            self._progress.total = stop.cases
            return stop.cases

    async def _do(self, cases: Iterator[tuple[CaseItem, CaseState]], take: _Take | None = None) -> None:
        self._raise_escaped()  # what a subscriber raised between two blocks
        async with trio.open_nursery() as nursery:
            self._working = nursery.cancel_scope
            for _ in range(self._workers):
                nursery.start_soon(self._worker, cases, take)
        self._raise_escaped()

    async def _worker(self, cases: Iterator[tuple[CaseItem, CaseState]], take: _Take | None) -> None:
        with self._bodies.share() as share:
            for item, state in cases:
                state = await self._driver.drive(carry_out(self._run, item, state))
                self._progress.done += 1
                if has_failures(state):
                    self._progress.failed += 1
                if take is not None:
                    take(item, state)
                # A component that never waits must not keep the others, or a cancellation, from their turn.
                if trio.current_time() >= self._next_turn:
                    await trio.lowlevel.checkpoint()
                    self._next_turn = trio.current_time() + _TURN
                if self._journal.is_full:
                    await self._journal.space()
                share.give_back()

    def _unfinished(self) -> Iterator[tuple[CaseItem, CaseState]]:
        """Yield the cases that are not done, with what is stored of them."""
        if not self._is_resumed:
            for item in case_items(self._snapshot):
                yield item, fresh_state(item)
            return
        replay = self._replay
        if replay is not None:
            for item, state in read_cases(self._store, self._snapshot):
                yield item, restart_from(self._plan, state, replay.stage, replay.metric_ids)
            return
        settled = self._store.settled_cases(self._plan.run_id, self._plan.rows_per_case)
        next_settled = next(settled, None)
        for item in case_items(self._snapshot):
            if item.case_no == next_settled:
                next_settled = next(settled, None)
                self._reuse()
                continue
            state = read_case(self._store, self._plan.run_id, item).without_failures()
            if next_steps(self._plan, state):
                yield item, state
            else:
                self._reuse()

    def _left_of_segment(self, segment: SegmentChain) -> Iterator[tuple[CaseItem, CaseState]]:
        for item, stored in cases_of(segment.store, self._snapshot, segment.cases):
            state = stored.without_failures()
            if next_steps(self._plan, state):
                yield item, state
            else:
                self._reuse()

    def _left_of(self, items: Sequence[CaseItem], take: _Take) -> Iterator[tuple[CaseItem, CaseState]]:
        """Yield the cases of a block that are not done, with what is stored of them; the others are taken at once."""
        replay = self._replay
        for item in items:
            if not self._is_resumed:
                yield item, fresh_state(item)
                continue
            stored = read_case(self._store, self._plan.run_id, item)
            if replay is not None:
                yield item, restart_from(self._plan, stored, replay.stage, replay.metric_ids)
                continue
            state = stored.without_failures()
            if next_steps(self._plan, state):
                yield item, state
            else:
                self._reuse()
                take(item, state)

    def _reuse(self) -> None:
        self._progress.done += 1
        self._progress.reused += 1

    async def _acknowledged(self, events: Sequence[RunEvent]) -> None:
        # The journal's task calls this, and must go on writing whatever a subscriber does. What escapes from one (it
        # exits, or warnings are errors) ends the run in good order; and a run that is being stopped does not wait for
        # ever for one that does not come back.
        if self._escaped is not None:
            return
        try:
            with trio.CancelScope(deadline=self._tell_until, shield=True) as self._telling:
                for event in events:
                    await self._hooks.call("on_event", event)
            if self._telling.cancelled_caught:
                self._hooks.gave_up("on_event", _LAST_HOOKS)
        except BaseException as error:
            self._escaped = error
            self._working.cancel()


def run_started(store: RunStore, run_id: str, labels: RunLabels) -> RunStartedEvent:
    """Return the event with which an attempt begins."""
    # Of a resumed run, what counts is the header that was stored when it first began.
    header = header_hash(store.load_snapshot(run_id))
    return RunStartedEvent(run_id=run_id, occurred_at=_utc_now(), header=header, name=labels.name, tags=labels.tags)


def has_others(store: RunStore, run_id: str) -> bool:
    """Tell whether a store has other runs."""
    return any(line.run_id != run_id for line in store.list_runs())


class _InOrder:
    """Cases in an order of their own. A file is read once for many of them, and for more each time."""

    def __init__(self, snapshot: RunSnapshot, numbers: Sequence[int]) -> None:
        self._snapshot = snapshot
        self._numbers = numbers
        self._held: dict[int, CaseItem] = {}
        self._read = 0

    def of(self, block: Sequence[int]) -> list[CaseItem]:
        """Return the next cases of the order."""
        if any(number not in self._held for number in block):
            ahead = self._numbers[self._read : self._read + max(len(block), min(self._read, _MOST_AHEAD))]
            self._held |= {item.case_no: item for item in items_at(self._snapshot, [*ahead])}
            self._read += len(ahead)
        return [self._held.pop(number) for number in block]


_ANY: Final = Thresholds()
"""Where only scores count, and not from which value they are right."""

_utc_now: Final = functools.partial(datetime.now, UTC)


def root_cause(error: BaseException) -> BaseException:
    """Return the one exception that matters of a group: never a mere cancellation if there is anything else."""
    while isinstance(error, BaseExceptionGroup):
        rest = [e for e in error.exceptions if not isinstance(e, trio.Cancelled)]
        error = min(rest or error.exceptions, key=_rank)
    return error


def _rank(error: BaseException) -> int:
    return 0 if isinstance(error, KeyboardInterrupt) else 1 if isinstance(error, StoreError) else 2
