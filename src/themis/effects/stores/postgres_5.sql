-- Version 5 of the PostgreSQL store: runs that many processes write, each a segment of consecutive cases.
--
-- event.sequence says by which claim an event was stored, in which chain, and as which of that (themis/pure/segments.py);
-- of a run that is not divided it is the event's number.

alter table run
    add column head_last bigint not null default 0, -- the sequence of the last event of the run's own chain
    add column segment_size bigint,                 -- cases in a segment; null for a run that is not divided
    add column claims bigint not null default 0,    -- how often a part of the run was taken to be written
    add column writer bigint not null default 0,    -- the claim that may append to the run's own chain; -1: none
    add column attempt bigint not null default 0,   -- the claim by which the last attempt began
    add column manifest text;                       -- what workers need to work on the run, as JSON

update run set head_last = head_count;

create table segment (
    run_no      bigint not null references run on delete cascade,
    number      integer not null,
    head_count  bigint not null default 0,
    head_digest text not null,
    head_last   bigint not null default 0,
    claim       bigint not null default 0,          -- the claim that may append to it
    done_in     bigint not null default 0,          -- the last attempt that was through with it
    primary key (run_no, number)
);

create table rate (
    run_no   bigint not null references run on delete cascade,
    name     text not null,                         -- what is limited: requests or tokens of an endpoint
    ready_at timestamptz not null,                  -- when the next unit may be used, by the server's clock
    primary key (run_no, name)
);

create table spending (
    run_no bigint not null references run on delete cascade,
    stage  text not null,
    tokens bigint not null,
    cost   double precision not null,               -- US dollars
    primary key (run_no, stage)
);

create table reservation (                          -- for calls under way
    run_no bigint not null references run on delete cascade,
    pid    integer not null,                        -- of the session that made them, and since when that is
    since  timestamptz not null,
    stage  text not null,
    tokens bigint not null,
    cost   double precision not null,
    primary key (run_no, pid, since, stage)
);
