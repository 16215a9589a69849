-- Version 2: which run uses which blob, so that clearing a run can clear its blobs too.

create table blob_use (
    run_no integer not null references run,
    ref    text not null references blob,   -- a run's events refer to this blob
    primary key (run_no, ref)
) strict, without rowid;

create index blob_use_by_ref on blob_use (ref);

-- Only events that refer to a blob are taken apart: among 800,000 events there are few.
insert or ignore into blob_use
select run_no, coalesce(payload ->> 'result_blob_ref', payload ->> 'execution_blob_ref', payload ->> 'output_blob_ref')
from event
where instr(payload, '_blob_ref":"') > 0
    and coalesce(payload ->> 'result_blob_ref', payload ->> 'execution_blob_ref', payload ->> 'output_blob_ref')
        is not null;
