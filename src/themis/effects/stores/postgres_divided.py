"""Runs that many processes write, in PostgreSQL: each segment has one writer, by the same kind of lock as a run.

All of them share the run's own lock, so that nobody takes it alone meanwhile. Locks tell who lives. What is true is
told by compare-and-append: a segment moves on only from the end, and by the claim, that its writer knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from themis.effects.stores.base import overtaken
from themis.effects.stores.postgres_connections import PostgresConnections
from themis.effects.stores.tables import Row
from themis.pure.errors import RunLockedError
from themis.pure.protocols import DividedStore, MakeEvents
from themis.pure.records.stored import ChainHead, Segment, StoredEvent
from themis.pure.segments import RUN_CHAIN, Position

if TYPE_CHECKING:
    from themis.effects.stores.postgres_connections import Connection


_EVENTS_OF_RUN: Final = (
    "r.head_count + (select cast(coalesce(sum(s.head_count), 0) as bigint) from segment s where s.run_no = r.run_no)"
)


class DividedRuns(PostgresConnections, DividedStore):
    """What of a PostgreSQL store serves runs of many writers (`DividedStore`)."""

    _LAST: ClassVar[str] = "r.head_last"
    _COUNT: ClassVar[str] = _EVENTS_OF_RUN

    def __init__(self, dsn: str, schema: str) -> None:
        super().__init__(dsn, schema)
        self._claims: dict[str, int] = {}  # of divided runs that this process has acquired, the claim
        self._joined: dict[str, dict[int, int]] = {}  # runs of many writers, with the segments and claims of this one

    # --- locks --------------------------------------------------------------------------------------------

    def _lock(self, run_id: str) -> Callable[[], None]:
        free = super()._lock(run_id)
        with self._server.errors():
            claimed = self._execute(self._writing_connection(), _CLAIM_RUN, {"run_id": run_id}).fetchone()
        if claimed is not None:
            self._claims[run_id] = claimed[0]
        return free

    def _free(self, run_id: str) -> None:
        self._claims.pop(run_id, None)
        super()._free(run_id)

    def _lock_again(self, connection: Connection) -> None:
        super()._lock_again(connection)
        for run_id, segments in self._joined.items():
            self._take(connection, run_id, shared=True)
            for segment in segments:
                if not self._take_segment(connection, run_id, segment):
                    raise overtaken(run_id)

    def _take_segment(self, connection: Connection, run_id: str, segment: int) -> bool:
        return self._try_lock(connection, self._key(run_id, segment))

    # --- chains -------------------------------------------------------------------------------------------

    def head(self, run_id: str) -> ChainHead:
        with self._reading(run_id) as db:
            row = self._execute(db, _HEAD, {"run_id": run_id}).fetchone()
        if row is None:
            return ChainHead()
        count, number, digest, last = row
        claim = self._claims.get(run_id)
        # Who has acquired a divided run goes on by a claim of its own.
        return ChainHead(count, digest, last if claim is None else Position(claim, RUN_CHAIN, number).sequence)

    def _move_head(self, db: Connection, run_no: int, first: int, last: StoredEvent) -> bool:
        claim, _, number = Position.of(last.sequence)
        end = {"number": number, "digest": last.digest, "last": last.sequence, "run_no": run_no, "claim": claim}
        before = {"before": Position.of(first).number - 1}
        return self._execute(db, _MOVE_HEAD, {**end, **before}).rowcount == 1

    def divide(self, run_id: str, segments: Sequence[str], size: int, event: StoredEvent) -> None:
        with self._transaction() as db:
            self.append(run_id, [event], {})
            run_no = self._number(db, run_id)
            self._execute(db, _DIVIDE, {"size": size, "run_no": run_no})
            rows = [{"run_no": run_no, "number": n, "digest": digest} for n, digest in enumerate(segments)]
            self._execute_many(
                db, "insert into segment (run_no, number, head_digest) values (:run_no, :number, :digest)", rows
            )

    def segment_size(self, run_id: str) -> int | None:
        with self._reading(run_id) as db:
            row = self._execute(
                db, "select segment_size from run where run_id = :run_id", {"run_id": run_id}
            ).fetchone()
        return None if row is None else row[0]

    def segments(self, run_id: str) -> Sequence[Segment]:
        with self._reading(run_id) as db:
            return self._segments(db, self._number(db, run_id))

    def _segments(self, db: Connection, run_no: int) -> Sequence[Segment]:
        rows = self._execute(db, _SEGMENTS, {"run_no": run_no}).fetchall()
        return [Segment(number=row[0], head=ChainHead(*row[1:4]), is_done=row[4]) for row in rows]

    def begin(self, run_id: str, manifest: str, make: MakeEvents) -> None:
        with self._transaction() as db:
            claim, run_no = self._go_on(db, run_id, make) or (0, 0)
            said = {"attempt": claim, "manifest": manifest, "run_no": run_no}
            self._execute(db, "update run set attempt = :attempt, manifest = :manifest where run_no = :run_no", said)

    def end(self, run_id: str, make: MakeEvents) -> bool:
        with self._transaction() as db:
            query = "select manifest from run where run_id = :run_id for update"
            if self._execute(db, query, {"run_id": run_id}).fetchone() in (None, (None,)):
                return False
            went_on = self._go_on(db, run_id, make)
            if went_on is not None:
                self._execute(db, "update run set manifest = null where run_no = :run_no", {"run_no": went_on[1]})
            return went_on is not None

    def _go_on(self, db: Connection, run_id: str, make: MakeEvents) -> tuple[int, int] | None:
        """Append to the chain of a run that others write, too; return the claim and the run's number."""
        row = self._execute(db, _CLAIM_CHAIN, {"run_id": run_id}).fetchone()
        if row is None:
            raise self._no_run(run_id)
        run_no, claim, count, digest = row
        segments = self._segments(db, run_no)
        total = count + sum(segment.head.count for segment in segments)
        events = make(ChainHead(total, digest, Position(claim, RUN_CHAIN, count).sequence), segments)
        if not events:
            return None
        self.append(run_id, events, {})
        self._execute(db, "update run set writer = -1 where run_no = :run_no", {"run_no": run_no})
        return claim, run_no

    def open_runs(self) -> Sequence[str]:
        with self._reading() as db:
            rows = self._execute(db, "select run_id from run where manifest is not null order by attempt, run_no", {})
            return [row[0] for row in rows.fetchall()]

    def manifest(self, run_id: str) -> str | None:
        text: str | None = self._fact(run_id, "manifest")
        return text

    def _fact(self, run_id: str, column: str) -> Any:
        with self._reading(run_id) as db:
            query = f"select {column} from run where run_id = :run_id"  # noqa: S608  # fixed text
            row = self._execute(db, query, {"run_id": run_id}).fetchone()
        return None if row is None else row[0]

    def join(self, run_id: str) -> None:
        self.initialize()
        with self._guard, self._server.errors():
            if run_id in self._joined:
                raise RunLockedError(f"run {run_id} is being worked on by another task of this process")
            self._take(self._writing_connection(), run_id, shared=True)
            self._joined[run_id] = {}

    def leave(self, run_id: str) -> None:
        with self._guard:
            for segment in tuple(self._joined.get(run_id, ())):
                self.give_back(run_id, segment)
            if self._joined.pop(run_id, None) is not None:
                self._unlock("pg_advisory_unlock_shared", self._key(run_id))

    def claim(self, run_id: str, segment: int | None = None) -> Segment | None:
        with self._guard, self._server.errors():
            connection = self._writing_connection()
            for (number,) in self._open_segments(connection, run_id, segment):
                if number not in self._joined[run_id] and self._take_segment(connection, run_id, number):
                    claimed = self._claimed(run_id, number)
                    if claimed is not None:
                        return claimed
                    self._unlock("pg_advisory_unlock", self._key(run_id, number))
        return None

    def is_worked_off(self, run_id: str, segment: int | None = None) -> bool:
        with self._reading(run_id) as db:
            return not self._open_segments(db, run_id, segment)

    def _open_segments(self, db: Connection, run_id: str, segment: int | None) -> list[Row]:
        return self._execute(db, _OPEN, {"run_id": run_id, "segment": segment}).fetchall()

    def _claimed(self, run_id: str, segment: int) -> Segment | None:
        # Looked at again: its last writer may have finished it between the list and the lock.
        with self._transaction() as db:
            row = self._execute(db, _CLAIM_SEGMENT, {"run_id": run_id, "number": segment}).fetchone()
        if row is None:
            return None
        claim, count, digest = row
        self._joined[run_id][segment] = claim
        return Segment(number=segment, head=ChainHead(count, digest, Position(claim, segment + 1, count).sequence))

    def append_to(self, run_id: str, segment: int, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        batch, first, last = self._packed(events), Position.of(events[0].sequence), events[-1]
        if self._joined.get(run_id, {}).get(segment) != first.claim:
            raise overtaken(run_id)
        with self._transaction() as db:
            run_no = self._number(db, run_id)
            end = {
                "run_no": run_no,
                "segment": segment,
                "claim": first.claim,
                "before": first.number - 1,
                "number": Position.of(last.sequence).number,
                "digest": last.digest,
                "last": last.sequence,
            }
            if self._execute(db, _MOVE_SEGMENT, end).rowcount != 1:
                raise overtaken(run_id)
            self._insert_events(db, run_no, events[0].sequence, batch)
            self._insert_blobs(db, run_no, blobs)

    def segment_head(self, run_id: str, segment: int) -> ChainHead:
        with self._reading(run_id) as db:
            place = {"run_no": self._number(db, run_id), "segment": segment}
            count, digest, last = self._execute(db, _SEGMENT_HEAD, place).fetchone() or (0, "", 0)
        return ChainHead(count, digest, last)

    def finish(self, run_id: str, segment: int, head: ChainHead) -> None:
        with self._transaction() as db:
            claim = self._joined.get(run_id, {}).get(segment)
            end = {"run_no": self._number(db, run_id), "segment": segment, "claim": claim, "count": head.count}
            if self._execute(db, _FINISH, end).rowcount != 1:
                raise overtaken(run_id)
        self.give_back(run_id, segment)

    def give_back(self, run_id: str, segment: int) -> None:
        with self._guard:
            if self._joined.get(run_id, {}).pop(segment, None) is not None:
                self._unlock("pg_advisory_unlock", self._key(run_id, segment))


_HEAD: Final = f"select {_EVENTS_OF_RUN}, head_count, head_digest, head_last from run r where run_id = :run_id"  # noqa: S608
_MOVE_HEAD: Final = """
    update run set head_count = :number, head_digest = :digest, head_last = :last
    where run_no = :run_no and head_count = :before and writer = :claim
"""
_INSERT_SEGMENT: Final = "insert into segment (run_no, number, head_digest) values (:run_no, :number, :digest)"
_DIVIDE: Final = "update run set segment_size = :size, writer = -1 where run_no = :run_no"
_CLAIM_RUN: Final = """
    update run set claims = claims + 1, writer = claims + 1
    where run_id = :run_id and segment_size is not null returning writer
"""
_CLAIM_CHAIN: Final = """
    update run set claims = claims + 1, writer = claims + 1
    where run_id = :run_id and segment_size is not null returning run_no, writer, head_count, head_digest
"""
_SEGMENTS: Final = """
    select s.number, s.head_count, s.head_digest, s.head_last, s.done_in = r.attempt
    from segment s join run r using (run_no) where run_no = :run_no order by s.number
"""
_OPEN: Final = """
    select s.number from segment s join run r using (run_no)
    where r.run_id = :run_id and r.manifest is not null and s.done_in <> r.attempt
        and s.number = coalesce(:segment, s.number)
    order by s.number
"""
_CLAIM_SEGMENT: Final = """
    with r as (
        update run set claims = claims + 1, writer = -1 where run_id = :run_id and manifest is not null
        returning run_no, claims, attempt
    )
    update segment s set claim = r.claims from r
    where s.run_no = r.run_no and s.number = :number and s.done_in <> r.attempt
    returning s.claim, s.head_count, s.head_digest
"""
_MOVE_SEGMENT: Final = """
    update segment set head_count = :number, head_digest = :digest, head_last = :last
    where run_no = :run_no and number = :segment and claim = :claim and head_count = :before
"""
_SEGMENT_HEAD: Final = (
    "select head_count, head_digest, head_last from segment where run_no = :run_no and number = :segment"
)
_FINISH: Final = """
    update segment s set done_in = r.attempt from run r
    where s.run_no = :run_no and r.run_no = s.run_no and s.number = :segment
        and s.claim = :claim and s.claim > r.attempt and s.head_count = :count
"""
