"""The cases of a run as a sequence that is read as needed, and those of them that somebody wants to see."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator
from typing import Final, get_args

from themis.api.arguments import checked
from themis.api.runs.view import RunView, ScoredCase
from themis.api.stores import Storage
from themis.pure.case_filter import FIELDS, METADATA, CaseFilter
from themis.pure.case_view import CaseView
from themis.pure.conditions import Condition, read_condition
from themis.pure.errors import SpecError, listed, nearest
from themis.pure.protocols import RunStore
from themis.pure.records.dataset import Dataset
from themis.pure.records.results import CaseResult, ErrorCategory, Lazy, Outcome
from themis.pure.text_search import terms_of

OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
ERRORS: Final[tuple[str, ...]] = get_args(ErrorCategory)


class CaseResults(Lazy[CaseResult]):
    """Every case's result, in plan order, read from the store as needed."""

    def __init__(self, view: RunView) -> None:
        super().__init__(view.total_cases, view.results)
        self._view = view

    @checked
    def where(
        self,
        condition: str | None = None,
        *,
        outcome: str | Collection[str] | None = None,
        metric: str | None = None,
        dataset: str | None = None,
        min_score: float | None = None,
        max_score: float | None = None,
        error: str | Collection[str] | None = None,
        unparsed: bool = False,
        text: str | None = None,
    ) -> Lazy[CaseResult]:
        """Return the cases that have a score row like this; they are read as needed, too.

        Args:
            condition: on the case's metadata and fields, such as `topic = 'law' and score < 0.5`; see `find_cases`.
            outcome: `correct`, `incorrect`, `error` or `not_reached`, or several.
            metric: by this metric, of which `builtin/` may be left out; by any metric if none is named.
            dataset: of this dataset.
            min_score, max_score: with a score from here on, and up to here.
            error: with an error of this category, such as `parse_null`, or one of several.
            unparsed: with an answer that could not be parsed.
            text: with all of these words in the input or an answer; those in double quotes must follow each other.

        Raises:
            SpecError: there is no such outcome, metric, dataset, error or field, or the condition can't be read.

        >>> from themis import evaluate
        >>> rows = [{"case_id": "a", "input": "1+1", "expected_output": "2"},
        ...         {"case_id": "b", "input": "2+2", "expected_output": "4"}]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> [case.case_id for case in result.cases.where(outcome="incorrect")]
        ['a']
        >>> [case.case_id for case in result.cases.where("expected = '4'")]
        ['b']
        """
        wanted = case_filter(
            self._view,
            where=condition,
            outcome=outcome,
            metric=metric,
            dataset=dataset,
            min_score=min_score,
            max_score=max_score,
            error=error,
            unparsed=unparsed,
            text=text,
        )

        def found() -> Iterator[CaseResult]:
            return (self._view.whole(case).result for case in _those(self._view, wanted))

        return Lazy(lambda: sum(1 for _ in _those(self._view, wanted)), found)


@checked
def find_cases(
    store: RunStore | Storage,
    run_id: str,
    where: str | None = None,
    *,
    outcome: str | Collection[str] | None = None,
    metric: str | None = None,
    dataset: str | None = None,
    min_score: float | None = None,
    max_score: float | None = None,
    error: str | Collection[str] | None = None,
    unparsed: bool = False,
    text: str | None = None,
) -> Lazy[CaseView]:
    """Return the cases of a run that somebody wants to see, each in full; the store is read as they are taken.

    A case is meant if one of its score rows, that of one answer by one metric, meets all conditions together.

    In `where` stand fields, texts in quotes, numbers, `true`, `false` and `null`, compared by `= != < <= > >=`, `in`,
    `contains` and `is null`, and joined by `and`, `or`, `not` and brackets. Fields are `case`, `dataset`, `input`,
    `expected`, `metric`, `score`, `outcome`, `error`, `error_message`, `answer`, `parsed`, and the keys of the cases'
    metadata; a key that has one of these names is `metadata.NAME`, one with blanks in it stands in backticks.

    Args:
        store: where the run is.
        run_id: the run.
        where: a condition, such as `topic = 'law' and score < 0.5`.
        outcome: `correct`, `incorrect`, `error` or `not_reached`, or several.
        metric: by this metric, of which `builtin/` may be left out.
        dataset: of this dataset.
        min_score: with this score or a higher one.
        max_score: with this score or a lower one.
        error: with an error of this category, such as `parse_null`, or one of several.
        unparsed: with an answer that could not be parsed.
        text: with all of these words in the input or an answer; those in double quotes must follow each other.

    Raises:
        RunNotFoundError: the store has no such run.
        SpecError: there is no such outcome, metric, dataset, error or field, or the condition can't be read.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [
    ...     {"case_id": str(n), "input": f"{n}+{n}", "expected_output": str(2 * n), "metadata": {"odd": n % 2 == 1}}
    ...     for n in range(10)
    ... ]
    >>> run = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match", store=store).run_id
    >>> [case.case_id for case in find_cases(store, run, "odd = true", outcome="incorrect")]
    ['3']
    """
    view = RunView.of(store, run_id)
    return cases_of(
        view,
        case_filter(
            view,
            where=where,
            outcome=outcome,
            metric=metric,
            dataset=dataset,
            min_score=min_score,
            max_score=max_score,
            error=error,
            unparsed=unparsed,
            text=text,
        ),
    )


def cases_of(view: RunView, wanted: CaseFilter) -> Lazy[CaseView]:
    """Return the cases that a filter means."""
    return Lazy(lambda: sum(1 for _ in _those(view, wanted)), lambda: map(view.whole, _those(view, wanted)))


def first_cases(view: RunView, wanted: CaseFilter, most: int) -> tuple[list[CaseView], int]:
    """Return the first cases that a filter means, and how many it means, from one pass."""
    shown, count = list[CaseView](), 0
    for case in _those(view, wanted):
        count += 1
        if count <= most:
            shown.append(view.whole(case))
    return shown, count


def case_filter(
    view: RunView,
    *,
    where: str | None = None,
    outcome: str | Collection[str] | None = None,
    metric: str | None = None,
    dataset: str | None = None,
    min_score: float | None = None,
    max_score: float | None = None,
    error: str | Collection[str] | None = None,
    unparsed: bool = False,
    text: str | None = None,
) -> CaseFilter:
    """Return what a case must be like, held against what the run has.

    Raises:
        SpecError: as for `find_cases`; all that is wrong at once.
    """
    from themis.api.runs.labels import labelled_metric

    outcomes, errors = (None if each is None else _several(each) for each in (outcome, error))
    faults = [
        *_unknown("outcome", outcomes, OUTCOMES),
        *_unknown("error", errors, ERRORS),
        *_unknown("dataset", None if dataset is None else (dataset,), view.dataset_ids),
    ]
    for name, bound in (("min_score", min_score), ("max_score", max_score)):
        if bound is not None and math.isnan(bound):
            faults.append(f"{name}: a number expected, found {bound}")
    if min_score is not None and max_score is not None and min_score > max_score:
        faults.append(f"min_score {min_score:g} lies above max_score {max_score:g}, and no score does both")
    terms = terms_of(text) if text is not None else []
    if text is not None and not terms:
        faults.append(f"text: no word to look for in {text!r}")
    metric_id = None
    if metric is not None:
        try:
            metric_id = labelled_metric(view, metric).metric_id
        except SpecError as error_:
            faults.append(str(error_))
    if faults:
        raise SpecError(listed("cases", faults) if len(faults) > 1 else faults[0])
    condition = None if where is None else read_condition(where)
    if condition is not None:
        _check_fields(condition, view.snapshot.datasets)
    return CaseFilter(
        outcomes=outcomes,
        metric_id=metric_id,
        dataset_id=dataset,
        min_score=min_score,
        max_score=max_score,
        errors=errors,
        unparsed=unparsed,
        terms=tuple(terms),
        where=condition,
    )


def _several(value: str | Collection[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _unknown(name: str, values: Collection[str] | None, known: Collection[str]) -> Iterator[str]:
    for value in values or ():
        if value not in known:
            yield f"{name}: the run has no {name} {value!r}; {nearest(value, known)}"


def _check_fields(condition: Condition, datasets: Collection[Dataset]) -> None:
    """Refuse fields that no case has; cases are read until each was found, mostly in the first."""
    keys = dict[str, None]()
    wanted = {*condition.fields} - {*FIELDS}
    for case in (case for dataset in datasets for case in dataset.cases if wanted):
        keys.update(dict.fromkeys(case.metadata))
        wanted.difference_update(name for key in case.metadata for name in (key, f"{METADATA}{key}"))
        if not wanted:
            return
    listing = [
        f"every case has {', '.join(FIELDS)}",
        f"the cases' metadata have {', '.join(sorted(keys)) or 'nothing'}",
    ]
    known = {*FIELDS, *keys, *(f"{METADATA}{key}" for key in keys if key in FIELDS)} | ({*condition.fields} - wanted)
    condition.check_fields(known, "\n".join(listing))


def _those(view: RunView, wanted: CaseFilter) -> Iterator[ScoredCase]:
    for case in view.scored():
        if wanted.holds(case.item, case.rows, functools.partial(view.whole, case)):
            yield case
