"""Full-text search in the SQLite store: an FTS5 index that is made when it is first asked for.

A run is not slowed down by it: what came since is indexed at the next search, once. A row's number says what it
is: the id of a `generation_completed` event, or, negative, a case of a dataset, which runs may share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlite_utils import Database

from themis.pure.records.stored import FoundText
from themis.pure.text_search import snippet_of, terms_of

_SHOWN: Final = 80
"""Characters shown of a text where the index sees a word and we don't."""
_TEXT: Final = "search_text"
_DONE: Final = "search_done"
_MOST: Final = 1 << 20
"""Characters that one transaction indexes, and one text more: some tenths of a second."""
_BEHIND: Final = """
    select 'prompts', d.dataset_no, d.case_count
    from dataset d left join search_done s on s.kind = 'prompts' and s.number = d.dataset_no
    where d.case_count > coalesce(s.upto, 0)
    union all
    select 'outputs', r.run_no, r.head_count
    from run r left join search_done s on s.kind = 'outputs' and s.number = r.run_no
    where r.head_count > coalesce(s.upto, 0)
"""
_DONE_UP_TO: Final = """
    select coalesce((select upto from search_done where kind = :kind and number = :number), 0)
"""
# How far the next transaction comes, and then what it inserts. All the text in a JSON value is indexed, a line each: a
# string as it is, and not with the escapes of JSON.
_STEPS: Final = {
    "prompts": (
        """
    select max(position) + 1 from (
        select position, length(payload) as size, sum(length(payload)) over (order by position) as total
        from dataset_case
        where dataset_no = :number and position >= :begin and position < :target
        order by position limit 2000
    ) where total - size < :most
        """,
        """
    insert into search_text (id, text)
    select -((dataset_no << 40) + position + 1),
        (select group_concat(atom, char(10)) from json_tree(payload, '$.input') where atom is not null)
    from dataset_case where dataset_no = :number and position >= :begin and position < :end
        """,
    ),
    "outputs": (
        """
    select max(id) - (:number << 40) from (
        select id, size, sum(size) over (order by id) as total from (
            select e.id, iif(is_text, length(e.payload) + coalesce(length(b.content), 0), 0) as size
            from (select *, event_type = 'generation_completed' as is_text from event) e
            left join blob b on is_text and b.ref = e.payload ->> 'result_blob_ref'
            where e.id > (:number << 40) + :begin and e.id <= (:number << 40) + :target
            order by e.id limit 2000
        )
    ) where total - size < :most
        """,
        """
    insert into search_text (id, text)
    select e.id, (select group_concat(atom, char(10))
        from json_tree(coalesce(cast(b.content as text), e.payload -> 'result'), '$.final_output')
        where atom is not null)
    from event e left join blob b on b.ref = e.payload ->> 'result_blob_ref'
    where e.id > (:number << 40) + :begin and e.id <= (:number << 40) + :end
        and e.event_type = 'generation_completed'
        """,
    ),
}
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


def catch_up(db: Database, transaction: Callable[[], AbstractContextManager[object]]) -> None:
    """Index what was stored until now and since the last time.

    It writes in many short transactions, with pauses as long as they are: whoever writes beside it has its turns, and
    whoever searches beside it goes on from where this one is.
    """
    if not _is_made(db):
        with transaction():
            if not _is_made(db):  # others may have made it by now
                _make(db)
    for kind, number, target in db.execute(_BEHIND).fetchall():
        is_done = False
        while not is_done:
            with transaction():
                began = time.monotonic()
                is_done = _index_some(db, kind, number, target)
            _pause(time.monotonic() - began)


def _index_some(db: Database, kind: str, number: int, target: int) -> bool:
    """Index the next texts of a dataset or run; return whether all up to the target are."""
    where = {"kind": kind, "number": number, "target": target, "most": _MOST}
    where["begin"] = db.execute(_DONE_UP_TO, where).fetchone()[0]
    next_end, insert = _STEPS[kind]
    end = db.execute(next_end, where).fetchone()[0]
    if end is None:  # there are no more, or it was cleared meanwhile
        return True
    where["end"] = end
    db.execute(insert, where)
    db.execute("insert or replace into search_done values (:kind, :number, :end)", where)
    return bool(end >= target)


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def _is_made(db: Database) -> bool:
    return db.table(_TEXT).detect_fts() == f"{_TEXT}_fts"


def _make(db: Database) -> None:
    for name in (_TEXT, _DONE):  # an index of an older Themis, which kept the text itself
        db.table(name).drop(ignore=True)
    done = {"kind": str, "number": int, "upto": int}
    db.create_table(_DONE, done, pk=("kind", "number"), not_null=("kind", "number", "upto"), strict=True)
    text = db.create_table(_TEXT, {"id": int, "text": str}, pk="id", strict=True)
    text.enable_fts(["text"], tokenize="unicode61 remove_diacritics 2", create_triggers=True)


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
