-- The views of the SQL stores, as SQLite spells them; postgres_server.py has the words that PostgreSQL spells otherwise.
-- They hold no data of their own, and are the same in a store of any age.

-- Every planned case of every run.
create view planned_case as
select r.run_no, r.run_id, rd.dataset_id, dc.case_id, rd.first_case_no + dc.position as case_no, dc.payload
from run r
join run_dataset rd on rd.run_no = r.run_no
join dataset_case dc on dc.dataset_no = rd.dataset_no;

-- How many answers each case of a run has: one, unless every candidate is an answer of its own.
create view run_answers as
select run_no, case when header -> 'identity' ->> 'selector_ref' is null and header -> 'identity' ->> 'reducer_ref' is null
    then cast(coalesce(header -> 'identity' -> 'candidate_policy' ->> 'num_samples', '1') as integer) else 1 end as answers
from run;

-- The last event of each kind that decides an answer's fate; later events supersede earlier ones. An answer is named by
-- its candidate, and by nothing where a case has one.
create view answer_fate as
select e.run_no, e.case_no, a.answers,
    case when a.answers > 1 then coalesce(e.payload ->> 'candidate_id', '') else '' end as answer,
    max(e.id) filter (where e.event_type in ('generation_failed', 'selection_failed', 'reduction_failed')) as failed_id,
    max(e.id) filter (where e.event_type = case when a.answers > 1 then 'generation_completed' else 'reduction_completed' end)
        as reduced_id,
    max(e.id) filter (where e.event_type = 'parse_completed') as parsed_id,
    max(e.id) filter (where e.event_type = 'parse_failed') as parse_failed_id
from event e join run_answers a on a.run_no = e.run_no
where e.case_no is not null
group by 1, 2, 3, 4;

-- One row per run, case, metric and answer: a value, an error, or that the run has not come to it, as in the reports.
create view score_rows as
with recursive numbered as (
    select run_no, answers, 0 as number from run_answers
    union all
    select run_no, answers, number + 1 from numbered where number + 1 < answers
),
metric as (
    select r.run_no, m.value ->> 'component_id' as metric_id, coalesce(cast(
        r.header -> 'metric_thresholds' ->> (m.value ->> 'component_id') as double precision), 1.0) as threshold,
        case when coalesce(r.header -> 'identity' ->> 'unparsed', 'incorrect') = 'incorrect' then cast(
            r.header -> 'metric_ranges' -> (m.value ->> 'component_id') ->> 0 as double precision) end as worst,
        coalesce(r.header -> 'metric_kinds' ->> (m.value ->> 'component_id'), 'pure') = 'selection' as compares
    from run r, json_each(r.header -> 'identity' -> 'metric_refs') m
),
planned as (
    select c.run_no, c.run_id, c.dataset_id, c.case_id, c.case_no, m.metric_id, m.threshold, m.worst, n.answers,
        m.compares and n.answers > 1 as of_all,
        case when m.compares or n.answers = 1 then '' else c.case_id || '-candidate-' || n.number end as answer
    from planned_case c
    join metric m on m.run_no = c.run_no
    join numbered n on n.run_no = c.run_no and (n.number = 0 or not m.compares)
),
fate as (
    select run_no, case_no, answer, failed_id, reduced_id, parsed_id, parse_failed_id from answer_fate
    where answer <> '' or answers = 1
    union all
    select run_no, case_no, '', max(failed_id),
        case when count(*) = max(answers) and count(*) = count(case when failed_id > reduced_id then null else reduced_id end)
            then max(reduced_id) end,
        null, null
    from answer_fate where answer <> '' group by run_no, case_no
),
outcome as (
    select e.run_no, e.case_no, e.payload ->> 'metric_id' as metric_id, max(e.id) as id,
        case when a.answers > 1 then e.payload ->> 'candidate_id' else '' end as answer
    from event e join run_answers a on a.run_no = e.run_no
    where e.event_type in ('score_completed', 'score_failed', 'evaluation_completed', 'evaluation_failed')
    group by 1, 2, 3, 5
),
read as (
    select p.*, f.failed_id, f.reduced_id, f.parsed_id, f.parse_failed_id,
        case when not p.of_all then coalesce(nullif(p.answer, ''), reduced.payload ->> 'candidate_id') end as candidate_id,
        failed.event_type as failed_type,
        failed.payload ->> 'error_type' as failed_error,
        parsed.payload -> 'result' -> 'value' as parsed_value,
        parsed.payload ->> 'result_blob_ref' as parsed_blob,
        parsed.payload -> 'result' -> 'metadata' -> 'invalid' as parsed_invalid,
        o.event_type as outcome_type,
        o.payload -> 'score' ->> 'value' as score_value,
        coalesce(nullif(o.payload -> 'execution', 'null'), cast(b.content as text)) as execution,
        coalesce(o.payload -> 'error' ->> 'reason', o.payload ->> 'error_message', failed.payload ->> 'error_message')
            as error_message
    from planned p
    left join fate f on f.run_no = p.run_no and f.case_no = p.case_no and f.answer = p.answer
    left join event failed on failed.run_no = p.run_no and failed.id = f.failed_id
    left join event reduced on reduced.run_no = p.run_no and reduced.id = f.reduced_id
    left join event parsed on parsed.run_no = p.run_no and parsed.id = f.parsed_id
    left join outcome oi on oi.run_no = p.run_no and oi.case_no = p.case_no and oi.metric_id = p.metric_id
        and oi.answer = p.answer
    left join event o on o.run_no = p.run_no and o.id = oi.id
    left join blob b on b.ref = o.payload ->> 'execution_blob_ref'
),
-- Whether a failure of an answer that is not there was made good since, and what comes after it was not reached.
standing as (
    select r.*, reduced_id is null and failed_id is not null and not exists (
        select 1 from event f
        where f.run_no = r.run_no and f.case_no = r.case_no
            and f.event_type in ('generation_failed', 'selection_failed', 'reduction_failed')
            and not exists (
                select 1 from event c
                where c.run_no = f.run_no and c.case_no = f.case_no and c.id > f.id
                    and c.event_type = replace(f.event_type, '_failed', '_completed')
                    and coalesce(c.payload ->> 'candidate_index', '') = coalesce(f.payload ->> 'candidate_index', '')
            )
    ) as made_good
    from read r
),
judged as (
    select *,
        case
            when reduced_id is null and (failed_id is null or made_good) then 'not_reached'
            when (reduced_id is null or failed_id > reduced_id) and failed_type <> 'generation_failed'
                then case failed_error when 'NoAnswerError' then 'parse_null' else 'reduction_failure' end
            when reduced_id is null or (answers > 1 and failed_id > reduced_id) then 'generation_failure'
            when not of_all and (parse_failed_id > parsed_id or (parsed_id is null and parse_failed_id is not null))
                then 'parse_failure'
            when not of_all and parsed_id is null then 'not_reached'
            when parsed_invalid in ('true', '1', '1.0') then 'parse_invalid'
            when parsed_value = 'null' and parsed_blob is null then 'parse_null'
            when outcome_type = 'evaluation_failed' then 'evaluation_failure'
            when outcome_type = 'evaluation_completed' and execution ->> 'status' <> 'completed'
                and (execution ->> 'aggregation_output') is null then 'evaluation_partial_failure'
            when outcome_type is null then 'not_reached'
            when outcome_type = 'score_failed' then 'score_failure'
        end as error_category,
        case outcome_type
            when 'score_completed' then cast(score_value as double precision)
            when 'evaluation_completed' then case
                when json_type(execution -> 'aggregation_output' -> 'value') in ('number', 'integer', 'real')
                    then cast(execution -> 'aggregation_output' ->> 'value' as double precision)
                else (select avg(cast(s.value ->> 'value' as double precision)) from json_each(execution -> 'scores') s)
                end
        end as number
    from standing
),
-- An answer that is there and could not be parsed has its metric's lowest score, where the run counts it as incorrect.
valued as (
    select *, case when error_category is null then number
        when error_category in ('parse_failure', 'parse_null', 'parse_invalid') then worst end as value
    from judged
)
select run_id, dataset_id, case_id, length(dataset_id) || ':' || dataset_id || ':' || case_id as case_key, metric_id,
    value,
    case when error_category = 'not_reached' then error_category when value is null then 'error' when error_category is null and value >= threshold then 'correct'
        else 'incorrect' end as outcome,
    case when error_category is null and number is null then 'score_failure' else error_category end as error_category,
    error_message, candidate_id, run_no, case_no
from valued;

-- One row per label that a person gave an answer and neither replaced nor took back. `value` is what was said, as text, and
-- `score` the same on the metric's scale, which words have none on. `answer` is the hash of the answer that was labelled: of a
-- run that made answers anew, `RunResult.labels` says which labels are of earlier ones.
create view labels as
with latest as (
    select run_no, case_no, payload ->> 'metric_id' as metric_id, coalesce(payload ->> 'candidate_id', '') as candidate,
        payload ->> 'who' as who, max(id) as id
    from event
    where event_type = 'label_given'
    group by 1, 2, 3, 4, 5
)
select r.run_id, e.payload ->> 'dataset_id' as dataset_id, e.payload ->> 'case_id' as case_id,
    e.payload ->> 'case_key' as case_key, e.payload ->> 'candidate_id' as candidate_id, l.metric_id, l.who,
    case e.payload -> 'value' when 'true' then 'true' when 'false' then 'false'
        else cast(e.payload ->> 'value' as text) end as value,
    case when e.payload -> 'value' = 'true' then 1.0 when e.payload -> 'value' = 'false' then 0.0
        when json_type(e.payload -> 'value') in ('number', 'integer', 'real')
            then cast(e.payload ->> 'value' as double precision) end as score,
    e.payload ->> 'note' as note, cast(e.payload ->> 'probability' as double precision) as probability,
    e.payload ->> 'occurred_at' as given_at, e.payload ->> 'answer' as answer, l.run_no, l.case_no
from latest l
join event e on e.run_no = l.run_no and e.id = l.id
join run r on r.run_no = l.run_no
where e.payload -> 'value' <> 'null';

-- One row per run and metric, as in the result table: mean over scored rows only, with the errors beside it.
create view run_summary as
select run_id, metric_id, count(*) as planned, count(value) as scored, avg(value) as mean,
    count(*) filter (where outcome = 'correct') as correct, count(*) filter (where outcome = 'incorrect') as incorrect,
    count(*) filter (where outcome = 'error') as errors,
    count(*) filter (where error_category in ('parse_failure', 'parse_null', 'parse_invalid')) as unparsed,
    count(*) filter (where outcome = 'not_reached') as not_reached
from score_rows
group by run_id, metric_id;

-- One row per run, metric and k: pass@k, the chance that one of k answers is correct, and pass^k, the chance that all are. Both
-- are unbiased means over cases (Chen et al. 2021, arXiv 2107.03374; Yao et al. 2024, arXiv 2406.12045): of n scored answers, c
-- of them correct, 1 - C(n-c, k) / C(n, k) and C(c, k) / C(n, k). A case with fewer than k scored answers is left out unless
-- these decide, whatever the missing ones are; pass@k is then no less, and pass^k no more, than those could make of it.
-- `pass_at_scored` and `pass_hat_scored` say of how many of the `planned` cases each is; `mean` is over all scored answers.
create view several_answers as
with recursive of_case as (
    select run_id, metric_id, count(*) as answers, count(value) as n,
        count(case when outcome = 'correct' then 1 end) as c, sum(value) as total
    from score_rows
    group by run_id, metric_id, run_no, case_no
),
counted as (  -- few different counts, however many cases
    select run_id, metric_id, answers, n, c, count(*) as cases, sum(total) as total
    from of_case
    group by run_id, metric_id, answers, n, c
),
counts as (  -- all answers if those that are missing are wrong, or right; and those that there are
    select answers as n, c from counted
    union
    select answers, c + answers - n from counted
    union
    select n, c from counted where n > 0
),
chance as (  -- that k answers are all incorrect, or all correct, from the chance for one answer less
    select n, c, 1 as k, cast(n - c as double precision) / n as incorrect, cast(c as double precision) / n as correct
    from counts
    union all
    select n, c, k + 1, case when n - c > k then incorrect * (n - c - k) / (n - k) else 0.0 end,
        case when c > k then correct * (c - k) / (n - k) else 0.0 end
    from chance
    where k < n
),
told as (
    select a.run_id, a.metric_id, a.answers, a.n, a.cases, a.total, low.k,
        1 - low.incorrect as at_low, high.correct as hat_high,
        1 - case when low.incorrect = high.incorrect then low.incorrect else known.incorrect end as at_k,
        case when low.correct = high.correct then low.correct else known.correct end as hat_k
    from counted a
    join chance low on low.n = a.answers and low.c = a.c
    join chance high on high.n = a.answers and high.c = a.c + a.answers - a.n and high.k = low.k
    left join chance known on known.n = a.n and known.c = a.c and known.k = low.k
),
figure as (
    select run_id, metric_id, answers, sum(total) / nullif(sum(n * cases), 0) as mean, k, sum(cases) as planned,
        sum(case when at_k is not null then cases end) as at_scored, sum(cases * at_k) as at_k,
        sum(cases * at_low) / sum(cases) as at_low,
        sum(case when hat_k is not null then cases end) as hat_scored, sum(cases * hat_k) as hat_k,
        sum(cases * hat_high) / sum(cases) as hat_high
    from told
    group by run_id, metric_id, answers, k
)
select run_id, metric_id, answers, mean, k, cast(planned as bigint) as planned,
    cast(coalesce(at_scored, 0) as bigint) as pass_at_scored,
    case when at_k / at_scored < at_low then at_low else at_k / at_scored end as pass_at_k,
    cast(coalesce(hat_scored, 0) as bigint) as pass_hat_scored,
    case when hat_k / hat_scored > hat_high then hat_high else hat_k / hat_scored end as pass_hat_k
from figure;
