-- The PostgreSQL store's tables (table store): those of the SQLite store, to which postgres_5.sql adds what version 5 has. The
-- views are in views.sql, and each version makes them anew.
-- Events are kept as text, byte for byte; `as_json` reads them for the views.

create table store (version integer not null);

create table run (
    run_no      bigint generated always as identity primary key,
    run_id      text not null unique,
    header      text not null,          -- the snapshot as JSON, without its cases
    created_at  timestamptz not null default now(),
    head_count  bigint not null default 0,
    head_digest text not null
);

create table dataset (
    dataset_no  bigint generated always as identity primary key,
    fingerprint text not null unique,   -- of the content: runs over the same data share it
    case_count  bigint not null
);

create table dataset_case (
    dataset_no  bigint not null references dataset,
    position    bigint not null,
    case_id     text not null,
    payload     text not null,          -- the case as JSON
    primary key (dataset_no, position)
);

create table run_dataset (
    run_no        bigint not null references run,
    ordinal       integer not null,
    dataset_id    text not null,
    dataset_no    bigint not null references dataset,
    first_case_no bigint not null,
    primary key (run_no, ordinal)
);

create table event (
    run_no     bigint not null references run,
    sequence   bigint not null,
    case_no    bigint,                  -- the case's position in the plan; null for events of the whole run
    event_type text not null,
    cache_key  bytea,
    payload    text not null,           -- the event as JSON
    digest     bytea not null,          -- SHA-256 over the previous digest, the cache key and the payload
    primary key (run_no, sequence)
);

create index event_by_case on event (run_no, case_no, sequence);
create index event_by_cache_key on event (cache_key) where cache_key is not null;

create table blob (
    ref     text primary key,           -- SHA-256 of the content
    content bytea not null
);

create table blob_use (
    run_no bigint not null references run,
    ref    text not null references blob,
    primary key (run_no, ref)
);

create index blob_use_by_ref on blob_use (ref);

-- jsonb can't hold the character U+0000, which JSON can: for the views alone it becomes the replacement character.
create function as_json(body text) returns jsonb language sql immutable parallel safe as $$
    select case when strpos(body, '\u0000') = 0 then body::jsonb
        else regexp_replace(body, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::jsonb end
$$;
