"""Studies: which cells a matrix has and what they are called, whose turn it is, and what they are together.

A cell is one run. This module knows names and values alone: what a model or a prompt is, and how a cell is run, is the
shell's. Nothing of a study is stored beside its runs: what it is follows from their ids, and where it stands from what
is stored of them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from themis.pure.errors import SpecError, listed, nearest
from themis.pure.identity import content_hash
from themis.pure.json import JSONValue, formatted, thaw
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, named_fields

Axes: TypeAlias = Mapping[str, Sequence[JSONValue]]
"""What varies, in order, each with its values: names of models and prompts, or the values of an option."""

MOST_CELLS: Final = 10_000


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StudyCell(HashableModel):
    """One run of a study.

    Attributes:
        name: what it is called within the study.
        at: its value on each axis, in the axes' order.
    """

    name: str
    at: Mapping[str, JSONValue] = attrs.field(converter=json_object)


def cell_name(at: Mapping[str, JSONValue]) -> str:
    """Return what a cell is called that was given no name.

    It names its value on every axis, so that a value that is added later renames no cell.

    >>> cell_name({"model": "small", "dataset": "sums", "temperature": 0.5})
    'small,sums,temperature=0.5'
    """
    return ",".join(
        str(value) if axis in NAMED_AXES and isinstance(value, str) else f"{axis}={_shown(value)}"
        for axis, value in at.items()
    )


NAMED_AXES: Final = ("model", "prompt", "dataset", "benchmark")
"""Axes whose values are names, which say by themselves what they are."""


def _shown(value: JSONValue) -> str:
    return value if isinstance(value, str) else formatted(thaw(value)).replace("\n", " ").strip()


def expand(
    matrices: Sequence[Axes],
    exclude: Sequence[Mapping[str, JSONValue]] = (),
    named: Mapping[str, Mapping[str, JSONValue]] | None = None,
) -> tuple[StudyCell, ...]:
    """Return the cells of a study: those of each matrix, the last axis changing first, without the excluded ones, and
    then the named ones that no matrix has.

    Args:
        matrices: each is every combination of its axes' values.
        exclude: each leaves out the cells that have, on all axes that it names, the value that it names, or one of a
            list of them.
        named: name -> values on axes. A cell of a matrix gets this name; one that none has, or that was excluded, is
            added. An axis that is left out is the matrix's one value there. Options may have values of their own.

    Raises:
        SpecError: an axis or a value that there is none of, or a named cell that is not one; all at once.

    >>> axes = {"model": ["a", "b"], "temperature": [0, 1]}
    >>> [cell.name for cell in expand([axes], [{"model": "b", "temperature": 1}])]
    ['a,temperature=0', 'a,temperature=1', 'b,temperature=0']
    """
    count = sum(_product(axes) for axes in matrices)
    if count > MOST_CELLS:
        raise SpecError(f"a matrix of {count:,} cells, and a study has at most {MOST_CELLS:,}: leave out values")
    faults = [*_exclude_faults(matrices, exclude)]
    names = dict[str, str]()  # of cells, by where they are
    extra: list[StudyCell] = []
    for name, given in (named or {}).items():
        try:
            at = _placed(given, matrices)
        except SpecError as error:
            faults.append(f"cells.{name}: {error}")
            continue
        key = content_hash(at)
        if key in names:
            faults.append(f"cells.{name}: the same cell as {names[key]!r}")
        names[key] = name
        extra.append(StudyCell(name=name, at=at))
    if faults:
        raise SpecError(listed("the matrix", faults))
    cells = [
        StudyCell(name=names.pop(content_hash(at), "") or cell_name(at), at=at)
        for at in _all(matrices)
        if not any(_matches(at, each) for each in exclude)
    ]
    cells += [cell for cell in extra if content_hash(cell.at) in names]
    if not cells:
        raise SpecError("the matrix: every cell is excluded")
    twice = [name for name, times in Counter(cell.name for cell in cells).items() if times > 1]
    if twice:
        raise SpecError(listed("the matrix", [f"{name!r} is what several cells are called" for name in twice]))
    return tuple(cells)


def _product(axes: Axes) -> int:
    count = 1
    for values in axes.values():
        count *= len(values)
    return count


def _all(matrices: Sequence[Axes]) -> Iterator[dict[str, JSONValue]]:
    for axes in matrices:
        for values in itertools.product(*axes.values()):
            yield dict(zip(axes, values, strict=True))


def _matches(at: Mapping[str, JSONValue], rule: Mapping[str, JSONValue]) -> bool:
    return all(axis in at and any(_same(at[axis], value) for value in _values(wanted)) for axis, wanted in rule.items())


def _values(wanted: JSONValue) -> Sequence[JSONValue]:
    return wanted if isinstance(wanted, list | tuple) else (wanted,)


def _same(a: JSONValue, b: JSONValue) -> bool:
    return content_hash(a) == content_hash(b)


def _exclude_faults(matrices: Sequence[Axes], exclude: Sequence[Mapping[str, JSONValue]]) -> Iterator[str]:
    known = {axis for axes in matrices for axis in axes}
    for number, rule in enumerate(exclude):
        place = f"exclude[{number}]"
        if not rule:
            yield f"{place}: nothing is named, which would exclude every cell"
        for axis, wanted in rule.items():
            if axis not in known:
                yield f"{place}.{axis}: no axis; {nearest(axis, known)}"
                continue
            there = [value for axes in matrices for value in axes.get(axis, ())]
            for value in _values(wanted):
                if not any(_same(value, other) for other in there):
                    yield f"{place}.{axis}: no value {_shown(value)!r}; {nearest(_shown(value), map(_shown, there))}"


def _placed(given: Mapping[str, JSONValue], matrices: Sequence[Axes]) -> dict[str, JSONValue]:
    """Return where a named cell is: its values on all axes of the one matrix that it is beside."""
    fitting = [axes for axes in matrices if set(given) <= set(axes)]
    if not fitting:
        known = {axis for axes in matrices for axis in axes}
        unknown = [axis for axis in given if axis not in known]
        if unknown:
            raise SpecError(f"no axis {unknown[0]!r}; {nearest(unknown[0], known)}")
        raise SpecError(f"no matrix has all of {', '.join(given)}")
    if len(fitting) > 1:
        raise SpecError("say which dataset or benchmark")
    at: dict[str, JSONValue] = {}
    for axis, values in fitting[0].items():
        if axis not in given and len(values) > 1:
            raise SpecError(f"{axis} is left out, and it has {len(values)} values: say which")
        value = given.get(axis, values[0])
        if axis in NAMED_AXES and not any(_same(value, other) for other in values):
            raise SpecError(f"{axis}: no {axis} {_shown(value)!r}; {nearest(_shown(value), map(_shown, values))}")
        at[axis] = value
    return at


# --- what a study is --------------------------------------------------------------------------------------


def study_id(run_ids: Sequence[str]) -> str:
    """Return the identity of a study: the hash of its cells' run ids, whatever their order and names are."""
    return content_hash({"study": sorted(run_ids)})


def study_digest(digests: Mapping[str, str]) -> str:
    """Return the digest of a study's results: the hash of its runs' digests, by run id."""
    return content_hash({"digests": dict(digests)})


# --- whose turn it is -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Waiting:
    """A cell that is to be run.

    Attributes:
        name: the cell.
        endpoint: whom its generator calls; `None` if it runs in this process.
        asks: what its generations are of. Of two cells with the same, the later one finds in the store what the first
            asked for.
    """

    name: str
    endpoint: str | None = None
    asks: str = ""


class Turns:
    """Which cells may begin.

    The policy: each endpoint has at most `each` cells under way, so that one which is slow, or asks to be left alone,
    takes no other's place; the endpoints take turns, one cell each, in the order in which they first come up; an
    endpoint's cells come in their own order. What generates in this process has one cell at a time, as it gains nothing
    by more, and weights need memory. Two cells that ask the same never run at once, so that nothing is asked
    for twice: the later one waits, and another of its endpoint goes first.

    Calls are shared out apart from this: see `themis.pure.limits.Admission`.

    >>> cells = [("1", "a"), ("2", "a"), ("3", "b")]
    >>> turns = Turns([Waiting(name=name, endpoint=endpoint) for name, endpoint in cells], each=1)
    >>> turns.ready(), turns.ready(), turns.ended("1"), turns.ready()
    (['1', '3'], [], None, ['2'])
    """

    def __init__(self, cells: Sequence[Waiting], each: int = 2) -> None:
        self._each = each
        self._queues: dict[str | None, list[Waiting]] = {}
        for cell in cells:
            self._queues.setdefault(cell.endpoint, []).append(cell)
        self._under_way: dict[str, Waiting] = {}

    @property
    def left(self) -> int:
        """How many cells have not begun."""
        return sum(map(len, self._queues.values()))

    def ready(self) -> list[str]:
        """Begin every cell that may begin, and return their names in the order of their turns."""
        begun: list[str] = []
        while found := [name for endpoint in self._queues if (name := self._begin(endpoint)) is not None]:
            begun += found
        return begun

    def ended(self, name: str) -> None:
        """Take note that a cell has ended, be it well or badly."""
        del self._under_way[name]

    def _begin(self, endpoint: str | None) -> str | None:
        at_it = [cell for cell in self._under_way.values() if cell.endpoint == endpoint]
        if len(at_it) >= (1 if endpoint is None else self._each):
            return None
        asked = {cell.asks for cell in self._under_way.values()} - {""}
        queue = self._queues[endpoint]
        cell = next((cell for cell in queue if cell.asks not in asked), None)
        if cell is None:
            return None
        queue.remove(cell)
        self._under_way[cell.name] = cell
        return cell.name
