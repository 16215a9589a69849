-- The SQLite store's tables. What changes gets a number, and a file beside this one, sqlite_N.sql, that makes version N
-- (pragma user_version) of version N - 1; the views are in views.sql.
--
-- event.id = run.run_no * 2^40 + the event's sequence within the run, so that a run's events lie together in
-- the order they happened. Nothing is stored twice: the event table, indexed by cache_key, is the stage cache.

create table run (
    run_no      integer primary key,
    run_id      text not null unique,
    header      text not null,          -- the snapshot as JSON, without its cases
    created_at  text not null,
    head_count  integer not null default 0,
    head_digest text not null
) strict;

create table dataset (
    dataset_no  integer primary key,
    fingerprint text not null unique,   -- of the content: runs over the same data share it
    case_count  integer not null
) strict;

create table dataset_case (
    dataset_no  integer not null references dataset,
    position    integer not null,
    case_id     text not null,
    payload     text not null,          -- the case as JSON
    primary key (dataset_no, position)
) strict, without rowid;

create table run_dataset (
    run_no        integer not null references run,
    ordinal       integer not null,
    dataset_id    text not null,
    dataset_no    integer not null references dataset,
    first_case_no integer not null,
    primary key (run_no, ordinal)
) strict, without rowid;

create table event (
    id         integer primary key,
    run_no     integer not null,
    case_no    integer,                 -- the case's position in the plan; null for events of the whole run
    event_type text not null,
    cache_key  blob,
    payload    text not null,           -- the event as JSON
    digest     blob not null            -- SHA-256 over the previous digest, the cache key and the payload
) strict;

create index event_by_case on event (run_no, case_no);
create index event_by_cache_key on event (cache_key) where cache_key is not null;

create table blob (
    ref     text primary key,           -- SHA-256 of the content
    content blob not null
) strict, without rowid;
