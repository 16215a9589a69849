"""Leaderboards of stored runs: read compactly, a few numbers a case, and told in `pure/leaderboards`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from themis.api.runs.result import RunResult
from themis.api.stores import Storage
from themis.pure.json import EMPTY
from themis.pure.leaderboards.records import Leaderboard
from themis.pure.protocols import RunStore
from themis.pure.usage import Prices


def leaderboard(
    runs: Sequence[RunResult | str] | None = None,
    *,
    store: RunStore | Storage | Sequence[RunStore | Storage] | None = None,
    tag: str | None = None,
    rows: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    names: Mapping[str, str] = EMPTY,
    weights: Mapping[str, float] = EMPTY,
    lower_is_better: Iterable[str] = (),
    cluster_by: str | None = None,
    confidence: float = 0.95,
    prices: Prices = EMPTY,
    title: str = "Leaderboard",
) -> Leaderboard:
    """Return a leaderboard of runs: what rows and columns are, see `themis.pure.leaderboards.records`.

    Args:
        runs: results, or ids (whole, their beginning, or names) of runs of the stores; all of the stores' if not given.
        store: where runs that are given by id are kept, and from which `tag` chooses; one or several.
        tag: only runs with this tag.
        rows: the settings that tell rows apart: `model`, `temperature`, `prompt`, `name`, ...; runs that agree in them
            and share a column are pooled, which their cells say. By default the model, and of runs that would share a
            cell whatever differs between them, so that nothing is pooled.
        columns: the benchmarks, by their datasets' ids, in this order; by default all.
        metrics: the metrics; `builtin/` may be left out; by default all.
        baseline: the row that the others are compared with; by default every two are compared.
        names: run id -> the name of its row, instead of `rows`.
        weights: benchmark -> its weight in the macro average; by default each counts the same.
        lower_is_better: metrics whose lowest mean is best.
        cluster_by: a key of the cases' metadata; cases with the same value there stay together.
        confidence: nominal coverage of each interval, and of all ranks of a column at once.
        prices: prices that come before the table's, as for `RunResult.costs`.
        title: what the leaderboard is called.
    """
    raise NotImplementedError
