"""The PostgreSQL store: for teams whose runs share a server, and for runs that many workers make.

It wants psycopg 3 (extra `postgres`). How it keeps what all stores keep is in `postgres_connections`, what it keeps of
runs that many workers write in `postgres_divided`, and here what those workers share: a rate, slots, a budget.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from themis.effects.stores.base import overtaken
from themis.effects.stores.postgres_divided import DividedRuns
from themis.effects.stores.tables import value_of
from themis.pure.limits import Budget, Estimate
from themis.pure.records.config import StorageConfig

if TYPE_CHECKING:
    from themis.effects.stores.postgres_connections import Connection


class PostgresRunStore(DividedRuns):
    """A store in a schema of a PostgreSQL database.

    Args:
        dsn: where the database is, as libpq reads it: `postgresql://user@host/name`, or `host=... dbname=...`. It
            holds no password once the store's configuration is kept: write `${oc.env:NAME}` there, or let libpq
            find the password itself (`PGPASSWORD`, `~/.pgpass`).
        schema: the schema that holds the store's tables; made if it is missing.

    Raises:
        MissingExtraError: psycopg is not installed.
        StoreError: the server can't be reached, or the schema holds something else; nothing is changed.
        SchemaVersionError: a newer Themis wrote it; nothing is changed.
    """

    def __init__(self, dsn: str, schema: str = "themis") -> None:
        super().__init__(dsn, schema)
        self._slots: dict[tuple[str, str], set[int]] = {}

    def __repr__(self) -> str:
        return f"PostgresRunStore({self._server.name!r})"

    @property
    def storage(self) -> StorageConfig:
        return StorageConfig(store="postgres", parameters={"schema": self._server.schema})

    @property
    def place(self) -> StorageConfig:
        return StorageConfig(store="postgres", parameters={"dsn": self._server.dsn, "schema": self._server.schema})

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} can't be pickled: its address may hold a password. Pickle the run's id, and open the store there"
        )

    def _lock_again(self, connection: Connection) -> None:
        super()._lock_again(connection)
        for (run_id, name), slots in self._slots.items():
            for slot in slots:
                if not self._try_lock(connection, self._key(run_id, name) ^ slot):
                    raise overtaken(run_id)

    # --- what the workers of a run share ------------------------------------------------------------------

    def workers(self, run_id: str) -> int:
        with self._reading() as db:
            return int(value_of(self._execute(db, _WORKERS, {"key": self._key(run_id)})))

    def take_rate(self, run_id: str, name: str, per_minute: float, units: float) -> float:
        taken = {"run_id": run_id, "name": name, "seconds": 60.0 * units / per_minute}
        with self._shared() as db:
            return max(0.0, float(value_of(self._execute(db, _TAKE_RATE, taken))))

    @contextlib.contextmanager
    def _shared(self) -> Iterator[Connection]:
        """Lend the writer's connection for what is lost without harm: nobody waits for a disk."""
        with self._guard, self._server.errors():
            connection = self._writing_connection()
            with connection.transaction():
                connection.execute("set local synchronous_commit to off")
                yield connection

    def take_slots(self, run_id: str, name: str, most: int, wanted: int) -> Sequence[int]:
        with self._guard, self._server.errors():
            held = self._slots.setdefault((run_id, name), set())
            asked = {"key": self._key(run_id, name), "most": most, "wanted": wanted, "held": list(held)}
            rows = self._execute(self._writing_connection(), _TAKE_SLOTS, asked).fetchall()
            held.update(slot for (slot,) in rows)
            return [slot for (slot,) in rows]

    def give_slots_back(self, run_id: str, name: str, slots: Sequence[int]) -> None:
        with self._guard:
            for slot in slots:
                self._slots[run_id, name].discard(slot)
                self._unlock("pg_advisory_unlock", self._key(run_id, name) ^ slot)

    def set_spending(self, run_id: str, spent: Mapping[str, tuple[int, float]]) -> None:
        with self._transaction() as db:
            run_no = self._number(db, run_id)
            self._execute(db, "delete from spending where run_no = :run_no", {"run_no": run_no})
            self._execute(db, "delete from reservation where run_no = :run_no", {"run_no": run_no})
            rows = [
                {"run_no": run_no, "stage": stage, "tokens": tokens, "cost": cost}
                for stage, (tokens, cost) in spent.items()
            ]
            self._execute_many(db, _SPEND, rows)

    def reserve(self, run_id: str, stage: str, wanted: Estimate, budget: Callable[[], Budget]) -> bool | None:
        with self._shared() as db:
            query = "select run_no from run where run_id = :run_id for update"
            run = {"run_no": value_of(self._execute(db, query, {"run_id": run_id}))}
            books = budget()
            for spent, tokens, cost in self._execute(db, _SPENT, run).fetchall():
                books.spend(spent, tokens, cost)
            if not books.ever_fits(stage, wanted):
                return False
            for reserved, tokens, cost in self._execute(db, _RESERVED, run).fetchall():
                books.reserve(reserved, Estimate(tokens=tokens, cost=cost))
            if not books.fits(stage, wanted):
                return None
            self._execute(db, _RESERVE, {**run, "stage": stage, "tokens": wanted.tokens, "cost": wanted.cost})
            return True

    def spend(self, run_id: str, stage: str, *, freed: Estimate, used: Estimate) -> None:
        with self._shared() as db:
            of = {"run_no": self._number(db, run_id), "stage": stage}
            self._execute(db, _RESERVE, {**of, "tokens": -freed.tokens, "cost": -freed.cost})
            self._execute(db, _SPEND, {**of, "tokens": used.tokens, "cost": used.cost})


_WORKERS: Final = """
    select count(distinct pid) from pg_locks where locktype = 'advisory' and granted and mode = 'ShareLock'
        and database = (select oid from pg_database where datname = current_database())
        and ((cast(classid as bigint) << 32) | cast(objid as bigint)) = :key
"""
# The locks are tried one after the other, and none is that is held here, which would be taken once more.
_TAKE_SLOTS: Final = """
    with others as materialized (select slot from generate_series(0, :most - 1) slot where slot <> all(:held))
    select slot from others where pg_try_advisory_lock(:key # slot) limit :wanted
"""
_TAKE_RATE: Final = """
    insert into rate as r (run_no, name, ready_at)
    select run_no, :name, clock_timestamp() + make_interval(secs => :seconds) from run where run_id = :run_id
    on conflict (run_no, name) do update
        set ready_at = greatest(r.ready_at, clock_timestamp()) + make_interval(secs => :seconds)
    returning extract(epoch from ready_at - clock_timestamp()) - :seconds
"""
_SPEND: Final = """
    insert into spending as s values (:run_no, :stage, :tokens, :cost)
    on conflict (run_no, stage) do update set tokens = s.tokens + excluded.tokens, cost = s.cost + excluded.cost
"""
_SPENT: Final = "select stage, tokens, cost from spending where run_no = :run_no"
# Of the sessions that are there still: what a worker that died had reserved is free.
_RESERVED: Final = """
    select r.stage, r.tokens, r.cost from reservation r join pg_stat_activity a using (pid)
    where r.run_no = :run_no and coalesce(a.backend_start, r.since) = r.since
"""
_RESERVE: Final = """
    insert into reservation as r
    select :run_no, pid, backend_start, :stage, :tokens, :cost from pg_stat_activity where pid = pg_backend_pid()
    on conflict (run_no, pid, since, stage) do update
        set tokens = r.tokens + excluded.tokens, cost = r.cost + excluded.cost
"""
