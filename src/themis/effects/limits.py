"""Waiting for one's turn: parks the tasks that `themis.pure.limits.Admission` does not let start yet.

No decision is made here. The first waiting call of each queue watches the clock for those behind it, so a queue
of any length costs one timer.

A parked task is woken by the one-shot event that `_parked` has under its ticket, for one of three reasons: its call was
admitted or refused when another call ended or time had passed; it has become the first of its queue and must set the
timer; or its own timer ran out. It does not ask which: it lets `Admission` look once more, and parks again with a new
event if its ticket is still neither admitted nor refused. To wake a task once too often is harmless; to wake it too
late would be a call that waits for ever, so whenever a call ends or leaves its queue, all heads are woken.
"""

from __future__ import annotations

import trio

from themis.pure.limits import Admission, Ticket


class Gate:
    """Lets calls through as an `Admission` allows. One gate belongs to one trio run."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self._parked: dict[Ticket, trio.Event] = {}
        self._quiet = trio.Event()

    async def pass_through(self, ticket: Ticket) -> None:
        """Return when the call may start or is refused for good (`ticket.refused`).

        An admitted ticket is handed to `leave` when its call has ended.
        """
        now = trio.current_time()
        if self.admission.enter(ticket, now):
            return
        try:
            await self._wait(ticket, now)
        except BaseException:
            # Cancelled. Between being admitted and running again a task may be cancelled, too: its place is given back.
            if ticket.admitted:
                self.admission.leave(ticket)
            elif not ticket.refused:
                self.admission.abandon(ticket)
            raise
        finally:
            del self._parked[ticket]
            self._start_ready(trio.current_time())
            self._wake_heads()

    async def _wait(self, ticket: Ticket, now: float) -> None:
        while True:
            event = self._parked[ticket] = trio.Event()
            with trio.move_on_at(self.admission.wake_at(ticket, now)):
                await event.wait()
            now = trio.current_time()
            self._start_ready(now)
            if ticket.admitted or ticket.refused:
                return

    async def quiet(self) -> None:
        """Return when no call is under way."""
        while self.admission.under_way:
            self._quiet = trio.Event() if self._quiet.is_set() else self._quiet
            await self._quiet.wait()

    def leave(self, ticket: Ticket) -> None:
        """Free what an ended call held, and start who waited for it."""
        self.admission.leave(ticket)
        self._start_ready(trio.current_time())
        if not self.admission.under_way:
            self._quiet.set()
        self._wake_heads()

    def _start_ready(self, now: float) -> None:
        """Wake every task whose call may start by now."""
        started = self.admission.start_ready(now)
        for ticket in started:
            self._parked[ticket].set()

    def _wake_heads(self) -> None:
        # Who is first in a queue by now, or was waiting for a call to end, has to set the timer anew.
        for ticket in self.admission.heads():
            self._parked[ticket].set()
