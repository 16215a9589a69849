"""What a column of a dataset holds and means, and reading a row by that: every misfit is named, none is guessed at."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal, TypeAlias

import attrs

from themis.pure.errors import DataError, nearest
from themis.pure.records.base import HashableModel
from themis.pure.rows import MISSING, lookup
from themis.pure.text import shortened

Row: TypeAlias = Mapping[str, Any]
"""One row of a dataset, as its file holds it."""

Fields: TypeAlias = Mapping[str, Any]
"""A row's values by role; a role that several columns have holds their values in a list."""

Role: TypeAlias = Literal[
    "id",
    "question",
    "context",
    "answer",
    "options",
    "labels",
    "images",
    "tests",
    "checker",
    "time_limit",
    "memory_limit",
    "language",
    "script",
    "entry_point",
    "solution",
    "starter",
    "rubrics",
    "judge_template",
    "judge_system",
    "role",
    "description",
    "input_mode",
    "rule",
    "metadata",
]

_LONGEST_SHOWN: Final = 60


class RowMisfitError(DataError):
    """A row that has all its columns can't become a case.

    Attributes:
        role: the role of the column at fault.
        problem: what is wrong with its value.
    """

    def __init__(self, role: Role, problem: str) -> None:
        super().__init__(f"{role}: {problem}")
        self.role = role
        self.problem = problem

    def __reduce__(self) -> tuple[type[RowMisfitError], tuple[Role, str]]:
        return type(self), (self.role, self.problem)


@attrs.frozen(kw_only=True)
class Column(HashableModel):
    """A column that a recipe reads.

    Attributes:
        name: its name; a dotted name reaches into an object, and `<variant>` stands for the variant's name.
        role: what it means to the recipe.
        kind: what it holds: a key of `KINDS`.
        required: whether the dataset must have it.
        nullable: whether a row may hold nothing there.
    """

    name: str
    role: Role
    kind: str
    required: bool = True
    nullable: bool = False

    def named(self, variant: str) -> Column:
        return self.evolve(name=self.name.replace("<variant>", variant))


@attrs.frozen
class Fault:
    """What is wrong with one row: the column and the problem."""

    column: str
    problem: str


# --- kinds of values --------------------------------------------------------------------------------------

_Test: TypeAlias = Callable[[Any], bool]


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_several(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _list_of(item: _Test) -> _Test:
    return lambda value: _is_several(value) and bool(value) and all(map(item, value))


def _one_or_more(item: _Test) -> _Test:
    return lambda value: all(map(item, value)) if _is_several(value) else item(value)


def _either(one: _Test, other: _Test) -> _Test:
    return lambda value: one(value) or other(value)


def _has(**kinds: _Test) -> _Test:
    return lambda value: (
        isinstance(value, Mapping) and all(name in value and holds(value[name]) for name, holds in kinds.items())
    )


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool | int | date) or _is_number(value)


def _is_any_texts(value: Any) -> bool:
    return _is_several(value) and all(map(_is_string, value))


def _is_options(value: Any) -> bool:
    # Parquet unites the letters of all rows, so that a row with fewer options has nothing at the last ones.
    if not isinstance(value, Mapping):
        return False
    given = {letter: text for letter, text in value.items() if text is not None}
    return bool(given) and all(isinstance(k, str) and len(k) == 1 and _is_text(v) for k, v in given.items())


def _is_image(value: Any) -> bool:
    if isinstance(value, Mapping):
        return isinstance(value.get("bytes"), bytes) or _is_text(value.get("path"))
    return isinstance(value, str | bytes)


_is_tests: Final = _list_of(_has(input=_is_string, output=_is_string))


def _is_tests_as_json(value: Any) -> bool:
    try:
        return isinstance(value, str) and _is_tests(json.loads(value))
    except ValueError:
        return False


_is_messages: Final = _list_of(_has(role=_is_text, content=_is_string))
_is_declaration: Final = _has(name=_is_text, parameters=lambda value: isinstance(value, Mapping))


def _is_declarations(value: Any) -> bool:
    return _is_several(value) and all(map(_is_declaration, value))


@attrs.frozen
class _Kind:
    """What values of a kind are, in words and as a test, and whether the datasets' rows may hold nothing instead."""

    words: str
    holds: _Test
    nullable: bool = False


KINDS: Final[Mapping[str, _Kind]] = {
    "text": _Kind("text", _is_text),
    "any text": _Kind("text, which may be empty", _is_string, nullable=True),
    "integer": _Kind("a whole number", _is_integer),
    "number": _Kind("a number", _is_number, nullable=True),
    "score": _Kind("a number", _is_number),
    "boolean": _Kind("true or false", lambda value: isinstance(value, bool)),
    "name": _Kind("text or a whole number", _either(_is_text, _is_integer)),
    "result": _Kind("text or a number", _either(_is_text, _is_number)),
    "texts": _Kind("a list of texts", _list_of(_is_string)),
    "any texts": _Kind(
        "a list of texts, which may be empty", lambda value: _is_several(value) and all(map(_is_string, value))
    ),
    "options": _Kind("an object from letters to texts", _is_options),
    "letters": _Kind("a list of letters", _list_of(_is_text)),
    "marks": _Kind("a list of 0 and 1", _list_of(lambda value: value in (0, 1))),
    "tests": _Kind("a list of {input, output} texts", _is_tests),
    "tests as JSON text": _Kind("JSON text of a list of {input, output} texts", _is_tests_as_json),
    "messages": _Kind("a list of {role, content} texts", _is_messages),
    "turns": _Kind("a list of turns, each a list of {role, content} texts", _list_of(_is_messages)),
    "declarations": _Kind("a list of functions, which may be empty: {name, parameters}", _is_declarations),
    "rubrics": _Kind("a list of {criterion, points}", _list_of(_has(criterion=_is_text, points=_is_number))),
    "images": _Kind("an image, or a list of them: data URI, URL, or bytes", _one_or_more(_is_image), nullable=True),
    "object": _Kind("an object", lambda value: isinstance(value, Mapping)),
    "any object": _Kind("an object", lambda value: isinstance(value, Mapping), nullable=True),
    "json": _Kind("JSON", lambda value: value is not None),
    "label": _Kind("text, a number, true or false, or a list of them", _one_or_more(_is_scalar), nullable=True),
}

# --- what a recipe reads ----------------------------------------------------------------------------------

Reads: TypeAlias = Mapping[str, Role | tuple[Role, str]]
"""What each column means, by its name; with what it holds, where that is not usual for its role."""

_USUAL_KINDS: Final[Mapping[Role, str]] = {
    "id": "name",
    "options": "texts",
    "labels": "letters",
    "images": "images",
    "tests": "tests",
    "checker": "any text",
    "time_limit": "number",
    "memory_limit": "number",
    "rubrics": "rubrics",
    "description": "any text",
    "metadata": "label",
}
"""What columns hold by their role; those of all other roles hold text."""


def stated_columns(reads: Reads, labels: Sequence[str] = (), optional: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return a dataset's columns; `labels` name those that become metadata, `optional` those that may be missing."""
    stated: list[tuple[str, Role | tuple[Role, str]]] = [*reads.items(), *((name, "metadata") for name in labels)]
    found = []
    for name, meaning in stated:
        role, kind = meaning if isinstance(meaning, tuple) else (meaning, _USUAL_KINDS.get(meaning, "text"))
        required, nullable = name not in optional, KINDS[kind].nullable
        found.append(Column(name=name, role=role, kind=kind, required=required, nullable=nullable))
    return tuple(found)


# --- reading ----------------------------------------------------------------------------------------------


def read_fields(columns: Sequence[Column], row: Row) -> tuple[Fields, list[Fault]]:
    """Return a row's values by role, and what is wrong with it.

    >>> question = Column(name="problem", role="question", kind="text")
    >>> read_fields([question], {"problem": "1 + 1?"})
    ({'question': '1 + 1?'}, [])
    >>> read_fields([question], {"Problem": "1 + 1?"})[1][0].problem
    'is missing; did you mean Problem?'
    """
    fields: dict[str, Any] = {}
    faults: list[Fault] = []
    several = [column.role for column in columns]
    others = [str(name) for name in row if name not in {column.name for column in columns}] or [*map(str, row)]
    for column in columns:
        value = lookup(row, column.name)
        fault = _fault(column, value, others)
        if fault is not None:
            faults.append(fault)
        elif value is not MISSING and column.role != "metadata":
            if several.count(column.role) > 1:
                fields.setdefault(column.role, []).append(value)
            else:
                fields[column.role] = value
    return fields, faults


def _fault(column: Column, value: Any, others: Sequence[str]) -> Fault | None:
    if value is MISSING:
        if not column.required:
            return None
        return Fault(column.name, f"is missing; {nearest(column.name, others) if others else 'the row is empty'}")
    if value is None:
        return None if column.nullable else Fault(column.name, f"{KINDS[column.kind].words} expected, found nothing")
    if not KINDS[column.kind].holds(value):
        return Fault(column.name, f"{KINDS[column.kind].words} expected, found {shown(value)}")
    return None


def shown(value: Any) -> str:
    return f"{type(value).__name__} {shortened(repr(value), _LONGEST_SHOWN)}"


def metadata_of(columns: Sequence[Column], row: Row) -> dict[str, str]:
    """Return a row's metadata columns as texts; what holds nothing is left out."""
    found = {column.name: lookup(row, column.name) for column in columns if column.role == "metadata"}
    return {name: label_text(value) for name, value in found.items() if value is not MISSING and value is not None}


def label_text(value: Any) -> str:
    """Return a fact about a case as text; a list's items are joined by commas.

    >>> label_text(["Algebra", "Geometry"]), label_text(True), label_text(2025)
    ('Algebra, Geometry', 'true', '2025')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence):
        return ", ".join(map(label_text, value))
    return str(value)


# --- tables whose cells are all text ----------------------------------------------------------------------

_WORDS: Final = {"true": True, "false": False}
_NESTED: Final = (
    "texts",
    "any texts",
    "options",
    "letters",
    "marks",
    "tests",
    "messages",
    "turns",
    "declarations",
    "rubrics",
    "json",
)
"""Kinds that a cell can only hold as JSON text."""
_READINGS: Final[Mapping[str, Sequence[Callable[[str], Any]]]] = {
    "integer": (int, float),
    "number": (int, float),
    "score": (int, float),
    **dict.fromkeys(_NESTED, (json.loads,)),
}
"""How a cell's text is read by its column's kind; the first that can read it counts."""


def typed_cell(value: Any, kind: str) -> Any:
    """Return the value that a cell of a CSV file means, by its column's kind; the text itself if it means no other.

    >>> typed_cell("1", "integer"), typed_cell("1", "text"), typed_cell("", "integer")
    (1, '1', None)
    """
    if not isinstance(value, str):
        return value
    if value == "" and kind != "any text":
        return None
    if kind == "boolean":
        return _WORDS.get(value.strip().lower(), value)
    for read in _READINGS.get(kind, ()):
        with contextlib.suppress(ValueError):
            return read(value)
    return value
