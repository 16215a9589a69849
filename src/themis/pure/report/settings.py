"""How the components of a run were set, in words: for listings, reports and comparisons."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from themis.pure.interchange.records import IMPORTED
from themis.pure.json import EMPTY, JSONValue, encode, thaw
from themis.pure.records.snapshot import ComponentRef, ComponentRefs, RunSnapshot
from themis.pure.text import shortened

_ASKED: Final = ("temperature", "top_p", "max_tokens", "stop", "seed")
"""What tells two runs of one model apart first of all."""
_NAMES: Final = ("model", "function", "api", "base_url", "api_key_env")
_FIRST: Final = ("model", *_ASKED)
_FEW: Final = 4
_MOST_DIFFERING: Final = 6
_LONGEST: Final = 60


def model_of(snapshot: RunSnapshot) -> str:
    """Return what answered: of an imported run the model that its log names."""
    return imported_fact(snapshot, "model") or snapshot.identity.generator_ref.component_id


def imported_fact(snapshot: RunSnapshot, name: str) -> str | None:
    """Return what an imported run's log says of itself, as text; `None` if it does not, or nothing was imported."""
    about = snapshot.provenance.provider_metadata.get(IMPORTED)
    found = about.get(name) if isinstance(about, Mapping) else None
    return found if isinstance(found, str) else None


def described(snapshot: RunSnapshot) -> Iterator[tuple[str, ComponentRef, JSONValue]]:
    """Yield each component of a run that says how it was set: its place, its reference, and its description."""
    for field in attrs.fields(ComponentRefs):
        refs, found = getattr(snapshot.component_refs, field.name), snapshot.descriptions.get(field.name)
        several: Any = zip(refs, found, strict=False) if isinstance(found, tuple) else ((refs, found),)
        yield from ((field.name, ref, each) for ref, each in several if ref is not None and each is not None)


def leaves(value: JSONValue, name: str = "") -> Iterator[tuple[str, JSONValue]]:
    """Yield the values within JSON by their dotted names; a list of plain values is one of them.

    >>> list(leaves({"a": {"b": 1}, "c": [1, 2], "d": [{"e": 3}]}))
    [('a.b', 1), ('c', [1, 2]), ('d.0.e', 3)]
    """
    items: Iterable[tuple[Any, JSONValue]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value):
        items = enumerate(value)
    else:
        yield name, value
    for key, item in items:
        yield from leaves(item, f"{name}.{key}" if name else str(key))


def ordered_leaves(description: JSONValue) -> list[tuple[str, JSONValue]]:
    """Return the values within a description, what matters most first."""
    places = {name: place for place, name in enumerate(_FIRST)}
    return sorted(leaves(description), key=lambda leaf: (places.get(leaf[0], len(places)), leaf[0]))


def setting_text(value: JSONValue, most: int = _LONGEST) -> str:
    """Return a value as text: a text as it is, anything else as JSON."""
    return shortened(value if isinstance(value, str) else encode(thaw(value)).decode(), most)


def settings_text(description: JSONValue, most: int = _LONGEST) -> str:
    """Return all settings on one line.

    >>> settings_text({"temperature": 0.0, "stop": ["END"]})
    'temperature 0.0, stop ["END"]'
    """
    return ", ".join(f"{name} {setting_text(value, most)}".strip() for name, value in ordered_leaves(description))


def short_settings(description: JSONValue, differing: Mapping[str, JSONValue] = EMPTY) -> str:
    """Return the few settings of a model that tell two runs of it apart, and others in which runs differ.

    >>> short_settings({"model": "m", "max_tokens": 20, "temperature": 0.0})
    'temperature 0.0, max_tokens 20'
    >>> short_settings({"function": "lab.ask", "style": "terse"}, {"style": "terse", "prompt.suffix": "Be brief."})
    'style terse, prompt.suffix Be brief.'
    """
    found = {name: value for name, value in ordered_leaves(description) if name and "." not in name}
    shown = [name for name in found if name in _ASKED] or [name for name in found if name not in _NAMES][:_FEW]
    others = {name: value for name, value in differing.items() if name not in (*shown, *_NAMES)}
    told = {**{name: found[name] for name in shown}, **dict(itertools.islice(others.items(), _MOST_DIFFERING))}
    more = [f"{len(others) - _MOST_DIFFERING} more"] if len(others) > _MOST_DIFFERING else []
    return ", ".join([*(f"{name} {setting_text(value, 24)}" for name, value in told.items()), *more])
