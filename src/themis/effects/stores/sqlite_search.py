"""Full-text search in the SQLite store: an FTS5 index that is made when it is first asked for.

A run is not slowed down by it: what came since is indexed at the next search, once. A row's number says what it
is: the id of a `generation_completed` event, or, negative, a case of a dataset, which runs may share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlite_utils import Database

from themis.pure.records.stored import FoundText
from themis.pure.text_search import snippet_of, terms_of

_SHOWN: Final = 80
"""Characters shown of a text where the index sees a word and we don't."""
_TEXT: Final = "search_text"
_DONE: Final = "search_done"
_BEHIND: Final = """
    select exists (select 1 from dataset d where not exists
            (select 1 from search_done where kind = 'prompts' and number = d.dataset_no))
        or exists (select 1 from run r where r.head_count > coalesce(
            (select upto from search_done where kind = 'outputs' and number = r.run_no), 0))
"""
# All the text in a JSON value, a line each: a string as it is, and not with the escapes of JSON.
_CATCH_UP: Final = """
    insert into search_text (id, text)
    select -((dataset_no << 40) + position + 1),
        (select group_concat(atom, char(10)) from json_tree(payload, '$.input') where atom is not null)
    from dataset_case
    where dataset_no not in (select number from search_done where kind = 'prompts');

    insert or ignore into search_done select 'prompts', dataset_no, case_count from dataset;

    insert into search_text (id, text)
    select e.id, (select group_concat(atom, char(10))
        from json_tree(coalesce(cast(b.content as text), e.payload -> 'result'), '$.final_output')
        where atom is not null)
    from run r
    left join search_done d on d.kind = 'outputs' and d.number = r.run_no
    cross join event e on e.id > (r.run_no << 40) + coalesce(d.upto, 0) and e.id <= (r.run_no << 40) + r.head_count
    left join blob b on b.ref = e.payload ->> 'result_blob_ref'
    where e.event_type = 'generation_completed';

    insert or replace into search_done select 'outputs', run_no, head_count from run;
"""
_OF_RUN: Final = """
    id between (:run_no << 40) and ((:run_no + 1) << 40)
        or (id < 0 and exists (select 1 from run_dataset where run_no = :run_no and dataset_no = (-id - 1) >> 40))
"""
_OUTPUT: Final = """
    select c.run_id, c.dataset_id, c.case_id, e.payload ->> 'candidate_id'
    from event e join planned_case c on c.run_no = e.run_no and c.case_no = e.case_no
    where e.id = :row
"""
# A prompt may belong to many runs: the one that was asked about is named, or else the newest.
_PROMPT: Final = """
    select r.run_id, rd.dataset_id, dc.case_id, null
    from dataset_case dc join run_dataset rd using (dataset_no) join run r using (run_no)
    where dc.dataset_no = (-:row - 1) >> 40 and dc.position = (-:row - 1) & ((1 << 40) - 1)
        and (:run_no is null or r.run_no = :run_no)
    order by r.run_no desc limit 1
"""


def is_behind(db: Database) -> bool:
    return not _is_made(db) or bool(db.execute(_BEHIND).fetchone()[0])


def _is_made(db: Database) -> bool:
    return db.table(_TEXT).detect_fts() == f"{_TEXT}_fts"


def catch_up(db: Database) -> None:
    """Index what was stored since the last time; called within a transaction."""
    if not _is_made(db):
        for name in (_TEXT, _DONE):  # an index of an older Themis, which kept the text itself
            db.table(name).drop(ignore=True)
        done = {"kind": str, "number": int, "upto": int}
        db.create_table(_DONE, done, pk=("kind", "number"), not_null=("kind", "number", "upto"), strict=True)
        text = db.create_table(_TEXT, {"id": int, "text": str}, pk="id", strict=True)
        text.enable_fts(["text"], tokenize="unicode61 remove_diacritics 2", create_triggers=True)
    db.executescript(_CATCH_UP)


def find(db: Database, query: str, run_no: int | None, limit: int) -> Sequence[FoundText]:
    """Return the best matches: all words of the query, phrases in quotes."""
    found = db.table(_TEXT).search(
        query,
        quote=True,
        columns=["id", "text"],
        where=_OF_RUN if run_no is not None else None,
        where_args={"run_no": run_no} if run_no is not None else None,
        order_by="rank, id",
        limit=limit,
    )
    # FTS5's own `snippet` takes time in the square of a text's matches: minutes for a common word in a long output.
    terms = terms_of(query)
    return [
        _named(db, row["id"], snippet_of(row["text"], terms) or row["text"][:_SHOWN], run_no) for row in tuple(found)
    ]


def _named(db: Database, row: int, snippet: str, run_no: int | None) -> FoundText:
    where: Any = db.execute(_OUTPUT if row > 0 else _PROMPT, {"row": row, "run_no": run_no}).fetchone()
    run_id, dataset_id, case_id, candidate_id = where
    return FoundText(run_id=run_id, dataset_id=dataset_id, case_id=case_id, candidate_id=candidate_id, snippet=snippet)


def forget(db: Database, run_no: int) -> None:
    """Take a cleared run out of the index, and the cases that no run has any more."""
    if not _is_made(db):
        return
    text, done = db.table(_TEXT), db.table(_DONE)
    text.delete_where("id between ? << 40 and (? + 1) << 40", (run_no, run_no))
    done.delete_where("kind = 'outputs' and number = ?", (run_no,))
    gone = "kind = 'prompts' and number not in (select dataset_no from dataset)"
    for row in tuple(done.rows_where(gone)):
        number = row["number"]
        text.delete_where("id between -((? + 1) << 40) and -(? << 40) - 1", (number, number))
    done.delete_where(gone)
