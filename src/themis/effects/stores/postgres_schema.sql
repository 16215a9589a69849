-- The PostgreSQL store's schema, version 1 (table store). It mirrors the SQLite store's: the same tables and views.
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

-- Every planned case of every run.
create view planned_case as
select r.run_no, r.run_id, rd.dataset_id, dc.case_id, rd.first_case_no + dc.position as case_no, dc.payload
from run r
join run_dataset rd on rd.run_no = r.run_no
join dataset_case dc on dc.dataset_no = rd.dataset_no;

-- The last event of each kind that decides a case's fate; later events supersede earlier ones.
create view case_fate as
select run_no, case_no,
    max(sequence) filter (where event_type in ('generation_failed', 'selection_failed', 'reduction_failed')) as failed_at,
    max(sequence) filter (where event_type = 'reduction_completed') as reduced_at,
    max(sequence) filter (where event_type = 'parse_completed') as parsed_at,
    max(sequence) filter (where event_type = 'parse_failed') as parse_failed_at
from event
where case_no is not null
group by run_no, case_no;

-- One row per run, case and metric: a value or an error, as in the reports.
create view score_rows as
with metric as (
    select r.run_no, m.value ->> 'component_id' as metric_id,
        coalesce((as_json(r.header) -> 'metric_thresholds' ->> (m.value ->> 'component_id'))::float8, 1.0) as threshold
    from run r, jsonb_array_elements(as_json(r.header) -> 'identity' -> 'metric_refs') m (value)
),
outcome as (
    select run_no, case_no, as_json(payload) ->> 'metric_id' as metric_id, max(sequence) as sequence
    from event
    where event_type in ('score_completed', 'score_failed', 'evaluation_completed', 'evaluation_failed')
    group by run_no, case_no, as_json(payload) ->> 'metric_id'
),
read as (
    select c.run_no, c.run_id, c.dataset_id, c.case_id, c.case_no, m.metric_id, m.threshold,
        f.failed_at, f.reduced_at, f.parsed_at, f.parse_failed_at,
        failed.event_type as failed_type, as_json(failed.payload) ->> 'error_message' as failed_message,
        as_json(parsed.payload) -> 'result' -> 'value' as parsed_value,
        as_json(parsed.payload) ->> 'result_blob_ref' as parsed_blob,
        as_json(parsed.payload) -> 'result' -> 'metadata' -> 'invalid' as parsed_invalid,
        o.event_type as outcome_type, as_json(o.payload) as outcome,
        coalesce(nullif(as_json(o.payload) -> 'execution', 'null'), as_json(convert_from(b.content, 'UTF8'))) as execution
    from planned_case c
    join metric m on m.run_no = c.run_no
    left join case_fate f on f.run_no = c.run_no and f.case_no = c.case_no
    left join event failed on failed.run_no = c.run_no and failed.sequence = f.failed_at
    left join event parsed on parsed.run_no = c.run_no and parsed.sequence = f.parsed_at
    left join outcome oi on oi.run_no = c.run_no and oi.case_no = c.case_no and oi.metric_id = m.metric_id
    left join event o on o.run_no = c.run_no and o.sequence = oi.sequence
    left join blob b on b.ref = as_json(o.payload) ->> 'execution_blob_ref'
),
judged as (
    select *,
        case
            when (reduced_at is null or failed_at > reduced_at) and failed_type <> 'generation_failed'
                then 'reduction_failure'
            when reduced_at is null then 'generation_failure'
            when parsed_at is null or parse_failed_at > parsed_at then 'parse_failure'
            when parsed_invalid in ('true', '1') then 'parse_invalid'
            when parsed_value = 'null' and parsed_blob is null then 'parse_null'
            when outcome_type = 'evaluation_failed' then 'evaluation_failure'
            when outcome_type = 'evaluation_completed' and execution ->> 'status' <> 'completed'
                and (execution ->> 'aggregation_output') is null then 'evaluation_partial_failure'
            when outcome_type is null or outcome_type = 'score_failed' then 'score_failure'
        end as error_category,
        case outcome_type
            when 'score_completed' then (outcome -> 'score' ->> 'value')::float8
            when 'evaluation_completed' then case
                when jsonb_typeof(execution -> 'aggregation_output' -> 'value') = 'number'
                    then (execution -> 'aggregation_output' ->> 'value')::float8
                else (select avg((s.value ->> 'value')::float8) from jsonb_array_elements(execution -> 'scores') s (value))
                end
        end as number
    from read
)
select run_id, dataset_id, case_id,
    length(dataset_id) || ':' || dataset_id || ':' || case_id as case_key, metric_id,
    case when error_category is null then number end as value,
    case when error_category is not null or number is null then 'error'
        when number >= threshold then 'correct' else 'incorrect' end as outcome,
    case when error_category is null and number is null then 'score_failure' else error_category end as error_category,
    coalesce(outcome -> 'error' ->> 'reason', outcome ->> 'error_message', failed_message) as error_message,
    run_no, case_no
from judged;

-- One row per run and metric, as in the result table: mean over scored rows only, with the errors beside it.
create view run_summary as
select run_id, metric_id, count(*) as planned, count(value) as scored, avg(value) as mean,
    count(*) filter (where outcome = 'correct') as correct, count(*) filter (where outcome = 'incorrect') as incorrect,
    count(*) filter (where outcome = 'error') as errors,
    count(*) filter (where error_category in ('parse_failure', 'parse_null', 'parse_invalid')) as unparsed
from score_rows
group by run_id, metric_id;
