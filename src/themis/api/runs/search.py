"""Finding runs in a store, and text in their prompts and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from themis.api.arguments import checked
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.pure.errors import SpecError, nearest
from themis.pure.plan import CaseItem
from themis.pure.protocols import RunStore, TextIndex
from themis.pure.records.fields import texts
from themis.pure.records.stored import FoundText, RunSummary
from themis.pure.text_search import snippet_of, terms_of

_STATUSES: Final = ("pending", "running", "interrupted", "completed", "failed")


@checked
def find_runs(
    store: RunStore | Storage,
    *,
    dataset_id: str | None = None,
    metric_id: str | None = None,
    generator_id: str | None = None,
    name: str | None = None,
    tags: Iterable[str] = (),
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[RunSummary]:
    """Return a line about each run that fits, newest first.

    Args:
        store: where the runs are.
        dataset_id: only runs over this dataset.
        metric_id: only runs with this metric.
        generator_id: only runs of this model.
        name: only runs of this name.
        tags: only runs with all of these tags.
        status: only runs that are `pending`, `running`, `interrupted` (begun, not ended, and written by no process),
            `completed` or `failed`; a listing reads no cases, and so calls `completed` what went through, with or
            without failed cases.
        since: only runs that began at this time or later; runs that did not begin are left out.
        until: only runs that began before this time.
    """

    if status is not None and status not in _STATUSES:
        raise SpecError(f"status: no run is ever {status!r}; {nearest(status, _STATUSES)}")
    since, until = (moment and moment.astimezone() for moment in (since, until))  # one without a zone is of this place
    wanted = {*texts(tags)}

    def fits(line: RunSummary) -> bool:
        return (
            dataset_id in (None, *line.dataset_ids)
            and metric_id in (None, *line.metric_ids)
            and generator_id in (None, line.generator_id)
            and name in (None, line.name)
            and wanted <= {*line.tags}
            and status in (None, line.status)
            and (since is None or (line.started_at is not None and line.started_at >= since))
            and (until is None or (line.started_at is not None and line.started_at < until))
        )

    return tuple(line for line in at_hand(store).list_runs() if fits(line))


@checked
def search(store: RunStore | Storage, query: str, run_id: str | None = None, limit: int = 20) -> Sequence[FoundText]:
    """Find text among the cases' inputs and the models' outputs.

    A text matches if it has all words of the query, regardless of case and accents; words in double quotes must
    follow each other. The SQLite store answers from an index, best matches first; it makes it at the first search
    and adds to it at later ones. Other stores are read through from the newest run on, which takes its time.

    Args:
        store: where the runs are.
        query: the words.
        run_id: the run to look into; all runs without it. An input that several runs share is found once.
        limit: how many matches to return at most.

    Raises:
        SpecError: the query has no word in it.
        RunNotFoundError: the store has no such run.
    """
    terms = terms_of(query)
    if not terms:
        raise SpecError(f"search: no word to look for in {query!r}")
    if limit < 1:
        raise SpecError(f"search: limit is {limit}; allowed: a whole number from 1 on")
    store = at_hand(store)
    if isinstance(store, TextIndex):
        return store.find_text(query, run_id, limit)
    run_ids = [run_id] if run_id is not None else [line.run_id for line in store.list_runs()]
    return tuple(islice(_found(store, run_ids, terms), limit))


def _found(store: RunStore, run_ids: Sequence[str], terms: Sequence[Sequence[str]]) -> Iterator[FoundText]:
    seen: set[tuple[str, str]] = set()
    for run_id in run_ids:
        view = RunView.of(store, run_id)
        names = {ref.dataset_id: (ref.dataset_id, ref.fingerprint) for ref in view.snapshot.identity.dataset_refs}
        for item in view.items():
            snippet = snippet_of(item.case.input, terms) if names[item.dataset_id] not in seen else None
            if snippet is not None:
                yield _at(run_id, item, None, snippet)
        seen.update(names.values())
        for item, state in view.cases():
            for result in state.candidates.values():
                snippet = snippet_of(result.final_output, terms)
                if snippet is not None:
                    yield _at(run_id, item, result.candidate_id, snippet)


def _at(run_id: str, item: CaseItem, candidate_id: str | None, snippet: str) -> FoundText:
    case_id = item.case.case_id
    return FoundText(
        run_id=run_id, dataset_id=item.dataset_id, case_id=case_id, candidate_id=candidate_id, snippet=snippet
    )
