"""A benchmark's rows, from files or from memory, and the cases made of them.

All rows that are wanted are checked before the first case is handed out; what does not fit is reported at once. Cases
are then read as needed, for some datasets don't fit into memory.
"""

from __future__ import annotations

import codecs
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from themis.effects.sources.rows import FileFormat, file_format, mark, opened, read_rows
from themis.pure.benchmarks.columns import Column, Fault, Row, shown, typed_cell
from themis.pure.benchmarks.recipe import BenchmarkRecipe, LeftOut, read_case
from themis.pure.benchmarks.subsets import Subset
from themis.pure.errors import DataError, listed
from themis.pure.identity import shuffled
from themis.pure.records.dataset import Case, CaseSource

_SHOWN_FAULTS: Final = 20
_SNIFFED: Final = 4096
_SHOWN_ROWS: Final = 5


class Rows(Iterable[tuple[str, Row]]):
    """Rows that can be read again, each with its place in words.

    Raises:
        DataError: what is given are no rows.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
            raise DataError(f"rows expected (a list of objects), found {type(rows).__name__}")
        self._rows = tuple(rows)
        for number, row in enumerate(self._rows, 1):
            if not isinstance(row, Mapping):
                raise DataError(f"row {number}: an object with the row's columns expected, found {shown(row)}")

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        return ((f"row {number}", row) for number, row in enumerate(self._rows, 1))


class FileRows(Rows):
    """The rows of files, one after the other, which must not change meanwhile; tables of text are read by `columns`."""

    def __init__(self, paths: Sequence[Path], columns: Sequence[Column]) -> None:
        self._files = [(path, _format(path)) for path in paths]
        self._kinds = {column.name: column.kind for column in columns}
        self._seen = {path: mark(path) for path in paths}

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        self._refuse_change()
        for path, kind in self._files:
            for position, row in read_rows(path, kind):
                yield f"{path.name}:{position}", self._typed(row, kind)
        self._refuse_change()

    def _typed(self, row: Row, kind: FileFormat) -> Row:
        if kind not in ("csv", "tsv"):
            return row
        return {name: typed_cell(cell, self._kinds.get(name, "text")) for name, cell in row.items()}

    def _refuse_change(self) -> None:
        if any(mark(path) != seen for path, seen in self._seen.items()):
            raise DataError(f"{', '.join(map(str, self._seen))}: changed after it was first read; start again")


def _format(path: Path) -> FileFormat:
    """Return a file's format. On the hub, `.json` may hold one array as well as an object a line."""
    kind = file_format(path)
    if kind != "json":
        return kind
    try:
        with opened(path) as file:
            start = file.read(_SNIFFED)
    except OSError:
        return kind  # reading it says what is wrong
    return "jsonl" if start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{") else kind


@attrs.frozen
class Loaded:
    """Cases, and why some rows have none.

    Attributes:
        cases: the cases.
        left_out: how many rows are no part of the benchmark, by reason.
        skipped: how many rows did not fit.
        problems: what is wrong with those, a line for each kind of problem.
    """

    cases: CaseSource | tuple[Case, ...]
    left_out: Mapping[str, int]
    skipped: int
    problems: tuple[str, ...] = ()


def load_cases(
    recipe: BenchmarkRecipe, variant: str, rows: Rows, subset: Subset, *, skip_misfits: bool = False
) -> Loaded:
    """Return the cases of rows; no more of them are read than the subset needs.

    Raises:
        DataError: rows don't fit, all of them named with their column; or no case is left.
        SpecError: the subset filters by a field that the benchmark's cases don't have.
    """
    subset.check_fields(recipe.entry.metadata_names(variant))
    reading = _Reading(recipe, variant, rows)
    wanted = filter(subset.holds, reading)
    if subset.shuffle is None:
        number = sum(1 for _ in itertools.islice(wanted, subset.limit))
        cases: CaseSource | tuple[Case, ...] = _LazyCases(reading, subset, number)
    else:
        held = tuple(wanted)
        order = shuffled([case.case_id for case in held], subset.shuffle)
        cases = tuple(held[place] for place in order[: subset.limit])
        number = len(cases)
    problems = reading.problems()
    if problems and not skip_misfits:
        raise DataError(listed(f"{reading.name}: rows don't fit the benchmark's columns", problems))
    if number == 0:
        raise DataError(f"{reading.name}: {_why_empty(reading, subset)}")
    return Loaded(cases, dict(reading.left_out), len(reading.misfits), tuple(problems))


def _why_empty(reading: _Reading, subset: Subset) -> str:
    if reading.read == 0:
        return "there are no rows"
    reasons = [f"{count} left out ({reason})" for reason, count in reading.left_out.items()]
    if reading.misfits:
        reasons.append(f"{len(reading.misfits)} don't fit: {reading.problems()[0]}")
    if subset.filter:
        reasons.append(f"filter {dict(subset.filter)} takes none of the others")
    return f"no case is left of {reading.read} rows: {'; '.join(reasons)}"


@attrs.define(eq=False)
class _Reading:
    """One pass over rows: yields cases, and keeps count of the others.

    An id that comes again is told from the first by its row's number, for ids must differ within a dataset.
    """

    recipe: BenchmarkRecipe
    variant: str
    rows: Rows
    read: int = attrs.field(default=0, init=False)
    left_out: Counter[str] = attrs.field(factory=Counter, init=False)
    misfits: dict[str, list[Fault]] = attrs.field(factory=dict, init=False)

    @property
    def name(self) -> str:
        return self.recipe.entry.name_of(self.variant)

    def __iter__(self) -> Iterator[Case]:
        seen: set[str] = set()
        for number, (place, row) in enumerate(self.rows, 1):
            self.read = number
            found = read_case(self.recipe, self.variant, row, number)
            if isinstance(found, LeftOut):
                self.left_out[found.reason] += 1
            elif isinstance(found, list):
                self.misfits[place] = found
            else:
                name = found.case_id
                while name in seen:
                    name = f"{name}#{number}"
                seen.add(name)
                yield found if name == found.case_id else found.evolve(case_id=name)

    def problems(self) -> list[str]:
        """Return a line for each kind of problem, with the first rows that have it."""
        kinds: dict[tuple[str, str], tuple[str, list[str]]] = {}
        for place, faults in self.misfits.items():
            for fault in dict.fromkeys(faults):
                kind = (fault.column, fault.problem.partition(", found")[0])
                _, places = kinds.setdefault(kind, (fault.problem, []))
                places.append(place)
        lines = [f"column {column!r} {problem}, in {_some(places)}" for (column, _), (problem, places) in kinds.items()]
        return lines if len(lines) <= _SHOWN_FAULTS else [*lines[:_SHOWN_FAULTS], f"{len(lines) - _SHOWN_FAULTS} more"]


def _some(places: Sequence[str]) -> str:
    more = len(places) - _SHOWN_ROWS
    return ", ".join(places[:_SHOWN_ROWS]) + (f" and {more} more" if more > 0 else "")


@attrs.frozen(eq=False, repr=False)
class _LazyCases(CaseSource):
    """Cases that are made of their rows each time they are read."""

    reading: _Reading
    subset: Subset
    number: int

    def __repr__(self) -> str:
        return f"<{self.number} cases of {self.reading.name}>"

    def __iter__(self) -> Iterator[Case]:
        again = attrs.evolve(self.reading)
        return itertools.islice(filter(self.subset.holds, again), self.number)

    def __len__(self) -> int:
        return self.number
