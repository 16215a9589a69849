"""Hypothesis strategies: any JSON, any record, any event, any dataset.

`records(kind)` builds a strategy for every record of Themis from its fields' types, so that a new field is tested
from the day it is added.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Literal, TypeVar, cast

import attrs
from hypothesis import strategies as st

from themis.pure.events import EVENT_TYPES, SCHEMA_VERSION, RunEvent
from themis.pure.json import FrozenDict
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.prompt import PromptSpec
from themis.pure.security import find_secrets
from themis.pure.templates import escaped
from themis.pure.wire.providers import MODEL_STRINGS

R = TypeVar("R")

_TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NAMES: Final = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
_FLOATS: Final = st.floats(-1e100, 1e100)


def json_scalars() -> st.SearchStrategy[Any]:
    return st.none() | st.booleans() | st.integers(-(2**80), 2**80) | _FLOATS | _TEXT


def json_values(max_leaves: int = 12) -> st.SearchStrategy[Any]:
    """Any JSON value as plain `dict`, `list` and scalars."""
    return st.recursive(
        json_scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
        max_leaves=max_leaves,
    )


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """Any JSON object."""
    return st.dictionaries(_TEXT, json_values(6), max_size=4)


def times() -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001


def cases() -> st.SearchStrategy[Case]:
    """Any case."""
    return records(Case)


def datasets(min_size: int = 1, max_size: int = 6) -> st.SearchStrategy[Dataset]:
    """Any dataset whose cases have different ids."""
    many = st.lists(cases(), min_size=min_size, max_size=max_size, unique_by=lambda case: case.case_id)
    facts = st.dictionaries(_NAMES, _TEXT, max_size=2).filter(lambda found: not any(find_secrets(found)))
    return st.builds(Dataset, dataset_id=_NAMES, cases=many, metadata=facts)


def parsed_outputs() -> st.SearchStrategy[ParsedOutput]:
    """Any parsed output: usable, null or invalid."""
    return records(ParsedOutput)


def reduced_candidates() -> st.SearchStrategy[ReducedCandidate]:
    """Any reduced candidate."""
    return records(ReducedCandidate)


def events() -> st.SearchStrategy[RunEvent]:
    """Any event of the family."""
    return st.one_of([records(kind) for kind in EVENT_TYPES.values()])


# --- any record, from its types ---------------------------------------------------------------------------

_FIELDS: Mapping[tuple[str, str], st.SearchStrategy[Any]] = {
    ("Case", "input"): json_values(6).filter(lambda value: value is not None),
    ("Case", "metadata"): st.dictionaries(
        _TEXT, json_values(4).filter(lambda value: not isinstance(value, dict)), max_size=4
    ),
    ("StoppingRule", "alpha"): st.floats(1e-9, 0.5),
    ("StoppingRule", "every"): st.integers(1, 10**6),
    ("*", "schema_version"): st.just(SCHEMA_VERSION),
}


def records(kind: type[R]) -> st.SearchStrategy[R]:
    """Any valid record of a kind, built from the types of its fields."""
    return cast("st.SearchStrategy[R]", _OF_TYPE[kind] if kind in _OF_TYPE else st.deferred(lambda: _from_fields(kind)))


def _from_fields(kind: type[R]) -> st.SearchStrategy[R]:
    hints = typing.get_type_hints(kind)
    fields = {}
    for field in attrs.fields(cast(Any, kind)):
        own = _FIELDS.get((kind.__name__, field.name), _FIELDS.get(("*", field.name)))
        if field.name == "event_type" and field.default is not attrs.NOTHING:
            own = st.just(field.default)
        fields[field.name] = own if own is not None else _of(hints[field.name])
    return st.builds(kind, **fields)


def _of(hint: Any) -> st.SearchStrategy[Any]:
    if hint in _OF_TYPE or attrs.has(hint):
        return records(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return _of_generic(typing.get_origin(hint), typing.get_args(hint))


_OF_TYPE: Mapping[Any, st.SearchStrategy[Any]] = {
    Any: json_values(4),
    type(None): st.none(),
    str: _NAMES,
    bool: st.booleans(),
    int: st.integers(0, 2**40),
    float: _FLOATS,
    datetime: times(),
    FrozenDict: json_objects(),
    Dataset: st.deferred(datasets),
    PromptSpec: st.builds(
        PromptSpec,
        instructions=st.none() | _TEXT,
        prefix=st.none() | _TEXT,
        suffix=st.none() | _TEXT,
        blocks=st.lists(
            st.builds(lambda t: {"text": t}, _TEXT)
            | st.builds(lambda t: {"role": "user", "content": t}, _TEXT)
            | st.builds(lambda t: {"input": t, "output": t}, _TEXT)
            | st.builds(lambda data: {"data": data}, json_objects()),
            max_size=2,
        ),
        template=st.none() | st.builds(lambda t: f"{escaped(t)}{{input}}", _TEXT),
        answer_template=st.none() | st.builds(lambda t: f"{escaped(t)}{{output}}", _TEXT),
    ),
    RuntimeConfig: st.builds(
        RuntimeConfig,
        max_concurrent_tasks=st.integers(1, 64),
        generation_retry_attempts=st.integers(1, 5),
        provider_rate_limits=st.dictionaries(st.sampled_from(MODEL_STRINGS), st.integers(1, 999), max_size=2),
    ),
}


def _of_generic(origin: Any, arguments: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_of(a) for a in arguments if a is not CaseSource])
    if origin is tuple and Ellipsis not in arguments:
        return st.tuples(*map(_of, arguments))
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return st.lists(_of(arguments[0]), max_size=2).map(tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(_of(arguments[0]), _of(arguments[1]), max_size=2)
    raise TypeError(f"no strategy for {origin}[{arguments}]")
