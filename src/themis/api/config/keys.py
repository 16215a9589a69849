"""What a record says of its keys, for reading, writing and the schema: names, types, bounds, defaults, descriptions."""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import attrs

from themis.effects.stores import PATH
from themis.pure.records.config import not_negative, positive
from themis.pure.records.fields import A_PATH, non_empty


@attrs.frozen
class Bound:
    """What JSON Schema says of a value beside its type, by its keyword there."""

    keyword: Literal["minimum", "exclusiveMinimum", "minLength", "minItems"]
    least: float

    def problem(self, value: Any) -> str | None:
        """Say what is wrong with a value of the right type."""
        if self.keyword == "minLength":
            return None if value else "text expected, found nothing"
        if self.keyword == "minItems":
            return None if value else "an empty list; at least one is needed"
        if self.keyword == "minimum":
            return None if value >= self.least else f"a number from {self.least} up expected, found {value}"
        return None if value > self.least else f"a number above {self.least} expected, found {value}"


_BOUNDS: Final[Mapping[Any, Bound]] = {
    positive: Bound("exclusiveMinimum", 0),
    not_negative: Bound("minimum", 0),
    non_empty: Bound("minLength", 1),
}
"""What the records' validators say."""


@attrs.frozen(kw_only=True)
class Key:
    """One key.

    Attributes:
        type: what it takes in a file.
        default: what it is if it is not given; `attrs.NOTHING` if it has to be.
        description: what the record's docstring says of it.
        is_path: it holds a path, or an object with a `path`.
    """

    name: str
    type: Any
    default: Any
    description: str
    is_path: bool

    @property
    def needed(self) -> bool:
        return self.default is attrs.NOTHING


@functools.cache
def keys_of(record: type) -> Mapping[str, Key]:
    """Return the keys of a record, by name."""
    hints, descriptions = typing.get_type_hints(record, include_extras=True), _descriptions(record)
    return {
        field.name: Key(
            name=field.name,
            type=_in_a_file(hints[field.name], field),
            default=default_of(field),
            description=descriptions.get(field.name, ""),
            is_path=A_PATH.items() <= field.metadata.items(),
        )
        for field in attrs.fields(record)
        if field.name != getattr(record, "REST", None)
    }


def default_of(field: Any, record: Any = None) -> Any:
    """Return what a field is if it is not given."""
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though typed as a function
        return default.factory(record) if default.takes_self else default.factory()
    return default


def _in_a_file(hint: Any, field: Any) -> Any:
    if field.validator in _BOUNDS:
        hint = _bounded(hint, _BOUNDS[field.validator])
    # A section or a list with nothing behind it (`storage:`) is one that is not given; a number would be a mistake.
    holds_more = get_origin(bare(hint)) not in (None, Literal) or attrs.has(bare(hint)) or bare(hint) is Any
    return hint if field.default is attrs.NOTHING or not holds_more else Union[hint, None]  # noqa: UP007  # at run time


def _bounded(hint: Any, bound: Bound) -> Any:
    arguments = get_args(hint)
    if get_origin(hint) in (types.UnionType, Union):
        return Union[tuple(_bounded(part, bound) for part in arguments)]  # noqa: UP007  # at run time
    if is_mapping(hint):
        return Mapping[arguments[0], _bounded(arguments[1], bound)]  # type: ignore[misc,valid-type]  # at run time
    return hint if hint is types.NoneType else Annotated[hint, bound]


def relocated(value: Any, change: Callable[[str], str]) -> Any:
    """Return what a key that holds a path holds, with the path changed."""
    if isinstance(value, Mapping):
        return {**value, PATH: change(value[PATH])} if isinstance(value.get(PATH), str) else value
    return change(value) if isinstance(value, str) else value


# --- types ------------------------------------------------------------------------------------------------


def bare(hint: Any) -> Any:
    """Return a type as it is written in a file, without bounds."""
    while get_origin(hint) is Annotated:
        mark = hint.__metadata__[0]
        hint = hint.__origin__ if isinstance(mark, Bound) else mark
    return hint


def bounds_of(hint: Any) -> Sequence[Bound]:
    """Return the bounds of a type."""
    marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
    return [mark for mark in marks if isinstance(mark, Bound)]


def is_mapping(hint: Any) -> bool:
    return isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping)


def is_optional(hint: Any) -> bool:
    return get_origin(hint) in (types.UnionType, Union)


def something(hint: Any) -> Any:
    return next(part for part in get_args(hint) if part is not types.NoneType)


_ENTRY: Final = re.compile(r"^ {4}([\w, ]+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def _descriptions(record: type) -> dict[str, str]:
    """Return what a record's docstring says of each attribute."""
    # Python 3.13 strips docstrings' indentation, and earlier ones keep it.
    docs = [inspect.cleandoc(kind.__doc__ or "") for kind in reversed(record.__mro__)]
    sections = [doc.partition("Attributes:\n")[2].partition("\n\n")[0] for doc in docs]
    entries = [entry for section in sections for entry in _ENTRY.findall(section)]
    return {name.strip(): " ".join(text.split()) for names, text in entries for name in names.split(",")}
