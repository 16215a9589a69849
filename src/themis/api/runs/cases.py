"""The cases of a run as a sequence that is read as needed, and those of them that somebody wants to see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from themis.api.runs.view import RunView
from themis.pure.errors import SpecError, nearest
from themis.pure.projections import case_result
from themis.pure.records.results import CaseResult, Lazy, Outcome


class CaseResults(Lazy[CaseResult]):
    """Every case's result, in plan order, read from the store as needed."""

    def __init__(self, view: RunView) -> None:
        super().__init__(view.total_cases, view.results)
        self._view = view

    def where(
        self, *, outcome: Outcome | None = None, metric: str | None = None, dataset: str | None = None
    ) -> Lazy[CaseResult]:
        """Return the cases that have a score row like this; they are read as needed, too.

        Args:
            outcome: `correct`, `incorrect`, `error` or `not_reached`.
            metric: by this metric, of which `builtin/` may be left out; by any metric if none is named.
            dataset: of this dataset.

        Raises:
            SpecError: there is no such outcome, metric or dataset.

        >>> from themis import evaluate
        >>> rows = [{"case_id": "a", "input": "1+1", "expected_output": "2"},
        ...         {"case_id": "b", "input": "2+2", "expected_output": "4"}]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> [case.case_id for case in result.cases.where(outcome="incorrect")]
        ['a']
        """
        from themis.api.runs.labels import labelled_metric

        wanted = None if metric is None else labelled_metric(self._view, metric).metric_id
        _check("outcome", outcome, get_args(Outcome))
        _check("dataset", dataset, self._view.dataset_ids)

        def found() -> Iterator[CaseResult]:
            for item, state in self._view.cases():
                if dataset in (None, item.dataset_id) and any(
                    outcome in (None, row.outcome) and wanted in (None, row.metric_id)
                    for row in self._view.rows_of(state)
                ):
                    yield case_result(self._view.plan, state)

        return Lazy(lambda: sum(1 for _ in found()), found)


def _check(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise SpecError(f"{name}: the run has no {name} {value!r}; {nearest(value, known)}")
