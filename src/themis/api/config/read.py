"""Configs to experiments: the file's content is read into its record; every fault is reported at once, with its key.

Paths in a config are relative to the file. Components are named as in Python (a builtin's id, a model string,
`package.module:name`); one with arguments is an object: `{id: openai/gpt-4o, temperature: 0}`.
"""

from __future__ import annotations

import contextvars
import functools
import math
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NewType, TypeAlias, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, mapping_structure_factory, override

from themis.api.components import raised
from themis.api.config.files import apply_overrides, meant, override_key, read_file
from themis.api.config.keys import (
    Key,
    bare,
    bounds_of,
    is_mapping,
    is_optional,
    keys_of,
    relocated,
    rest_of,
    something,
)
from themis.api.config.record import ComponentConfig, ExperimentConfig, FileForm
from themis.api.config.references import (
    EnvironmentText,
    Place,
    Resolution,
    UnresolvedText,
    change_texts,
    dotted,
)
from themis.pure.errors import InvalidRecordError, LiteralSecretError, SpecError, ThemisError, listed, nearest
from themis.pure.security import find_secrets

E = TypeVar("E", bound=ExperimentConfig)


def read_config(kind: type[E], path: Path, overrides: Sequence[str] = ()) -> E:
    """Return what a YAML, TOML or JSON file describes.

    Args:
        kind: the record, or what is made of it.
        path: the file.
        overrides: `key=value` with dotted keys, applied as if they stood in the file: `datasets.0.limit=10`.

    Raises:
        SpecError: the file can't be read, or does not describe an experiment: every fault with its dotted key.
        LiteralSecretError: a credential stands in it.
    """
    tree = read_file(path)
    apply_overrides(tree, overrides)
    return build(kind, tree, path.parent, str(path), [override_key(override) for override in overrides])


def build(
    kind: type[E], tree: Mapping[str, Any], folder: Path, name: str = "config", overridden: Sequence[str] = ()
) -> E:
    """Return what a config's content describes.

    Args:
        kind: the record, or what is made of it.
        tree: what a config file holds, as plain JSON.
        folder: what paths in it are relative to; modules in it can be imported.
        name: what to call the config in errors.
        overridden: the keys that an override set.

    Raises:
        SpecError: as `read_config` does.
    """
    resolution = Resolution(os.environ)
    resolved = change_texts(dict(tree), resolution)
    credentials = [*resolution.credentials, *_literal_credentials(resolved)]
    if not credentials:
        make_importable(folder, Path.cwd())
    faults = [*credentials, *resolution.faults]
    found: E | None = None
    try:
        # Nothing is made of a config that holds a credential.
        found = _read(resolved, kind, _Reading(folder, makes=not credentials))
    except cattrs.BaseValidationError as error:
        faults += _faults(error)
    if faults or found is None:
        refuse = LiteralSecretError if credentials else SpecError
        raise refuse(listed(name, [_marked(fault, overridden) for fault in faults]))
    return found


def _marked(fault: str, overridden: Sequence[str]) -> str:
    key = fault.partition(":")[0]
    inside = any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in overridden)
    return f"{fault} (from an override)" if inside else fault


def _literal_credentials(tree: Mapping[str, Any]) -> Iterator[str]:
    datasets = tree.get("datasets")
    if isinstance(datasets, list):  # text in cases may look like anything
        datasets = [
            {key: item for key, item in dataset.items() if key != "cases"} if isinstance(dataset, dict) else dataset
            for dataset in datasets
        ]
    for key in find_secrets({**tree, "datasets": datasets}):
        yield f"{key.removeprefix('$.')}: a credential; put it into the environment"


def make_importable(*folders: Path) -> None:
    """Let modules in folders be imported by name: those beside the config, and in the current folder."""
    for folder in folders:
        place = str(folder.resolve())
        if place not in sys.path:
            sys.path.append(place)


# --- from plain JSON to records ---------------------------------------------------------------------------

_Json = NewType("_Json", object)
_Hook: TypeAlias = Callable[[Any, Any], Any]

_OBJECT: Final = "an object (key: value)"
_SCALARS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


@attrs.frozen
class _Reading:
    """What is being read: the folder that paths are relative to, and whether components and datasets are made."""

    folder: Path
    makes: bool = attrs.field(kw_only=True)


_reading: contextvars.ContextVar[_Reading] = contextvars.ContextVar("_reading")
"""Handed around the converter, whose functions are compiled once."""


def _read(tree: Any, kind: type[E], reading: _Reading) -> E:
    before = _reading.set(reading)
    try:
        found: E = _reader().read(tree, kind)
    finally:
        _reading.reset(before)
    return found


@functools.cache
def _reader() -> _Reader:
    return _Reader()


class _Reader:
    """Reads plain JSON into records."""

    def __init__(self) -> None:
        self._converter = converter = cattrs.Converter()
        for kind, name in _SCALARS.items():
            kinds = (int, float) if kind is float else (kind,)
            converter.register_structure_hook(kind, functools.partial(_scalar, name, kinds))
        hooks: tuple[tuple[Callable[[Any], bool], Callable[[Any], _Hook]], ...] = (
            (attrs.has, self._record),
            (lambda kind: kind in (Any, _Json), lambda _: self._json),
            (lambda kind: get_origin(kind) is Literal, lambda _: _choice),
            (is_mapping, self._mapping),
            (lambda kind: get_origin(kind) is tuple, self._list),
            (is_optional, lambda _: self._optional),
            (lambda kind: get_origin(kind) is Annotated, self._annotated),
        )
        for fits, hook in hooks:
            converter.register_structure_hook_factory(fits, hook)
        self.read = converter.structure

    def _record(self, kind: type) -> _Hook:
        keys, rest, either = keys_of(kind), rest_of(kind), getattr(kind, "EITHER", ())
        hooks: Any = {name: override(struct_hook=self._key(key)) for name, key in keys.items()}
        if rest is not None:
            hooks[rest] = override(struct_hook=self._json)
        read_fields: Any = make_dict_structure_fn(kind, self._converter, **hooks)

        def read(value: Any, _: Any) -> Any:
            if kind is ComponentConfig and isinstance(value, str):
                value = {"id": self.read(value, keys["id"].type)}
            _fitting(value, f"text or {_OBJECT}" if kind is ComponentConfig else _OBJECT, dict)
            others = {name: item for name, item in value.items() if name not in keys}
            known = {name: item for name, item in value.items() if name in keys and not _is_left_out(item, keys[name])}
            problems = _either(known, either) + ([] if rest else _unknown(others, keys))
            return _beside(problems, kind, lambda: read_fields({**known, rest: others} if rest else known, kind))

        return read

    def _key(self, key: Key) -> _Hook:
        def read(value: Any, _: Any) -> Any:
            found = self.read(value, key.type)
            return relocated(found, _inside) if key.is_path else found

        return read

    def _json(self, value: Any, _: Any) -> Any:
        if isinstance(value, dict):
            return self.read(value, dict[str, _Json])
        if isinstance(value, list):
            return self.read(value, list[_Json])
        if value is not None and not isinstance(value, str | int | float):
            raise TypeError(f"JSON expected, found {type(value).__name__} {value}; put it in quotes")
        return None if value is None else _scalar("JSON", (str, bool, int, float), value)

    def _mapping(self, kind: Any) -> _Hook:
        names, inner = get_args(kind)
        items_type: Any = types.GenericAlias(dict, (str, _Json if inner is Any else inner))
        read_items: Any = mapping_structure_factory(items_type, self._converter)

        def read(value: Any, _: Any) -> Any:
            known = get_args(names) if get_origin(names) is Literal else _fitting(value, _OBJECT, dict)
            items = {name: item for name, item in _fitting(value, _OBJECT, dict).items() if name in known}
            return _beside(_unknown(value, known), dict, lambda: read_items(items, None))

        return read

    def _list(self, kind: Any) -> _Hook:
        inner = get_args(kind)[0]
        read_items, is_one_enough = list_structure_factory(kind, self._converter), bare(inner) is ComponentConfig
        expected = f"text or {_OBJECT} or a list" if is_one_enough else "a list"

        def read(value: Any, _: Any) -> Any:
            if is_one_enough and isinstance(value, str | dict):
                return (self.read(value, inner),)
            return tuple(read_items(_fitting(value, expected, list), kind))

        return read

    def _optional(self, value: Any, kind: Any) -> Any:
        inner = something(kind)
        if isinstance(value, EnvironmentText) and bare(inner) in (int, float):
            value = meant(value)
        return None if value is None else self.read(value, inner)

    def _annotated(self, kind: Any) -> _Hook:
        inner, bounds = bare(kind), bounds_of(kind)

        def read(value: Any, _: Any) -> Any:
            found = self.read(value, inner)
            for problem in filter(None, (bound.problem(found) for bound in bounds)):
                raise ValueError(problem)
            return _made(found) if _reading.get().makes and isinstance(found, FileForm) else found

        return read


def _inside(path: str) -> str:
    return str(_reading.get().folder / Path(path).expanduser())


def _made(form: FileForm) -> Any:
    try:
        return form.made()
    except (ThemisError, ValueError, TypeError):
        raise
    except Exception as error:
        raise SpecError(raised(error)) from error


def _is_left_out(value: Any, key: Key) -> bool:
    return value is None and (is_optional(key.type) or key.type is Any)


def _fitting(value: Any, expected: str, *kinds: type) -> Any:
    if isinstance(value, UnresolvedText):
        raise _ToldError
    if isinstance(value, EnvironmentText) and str not in kinds:
        value = meant(value)
    if type(value) in kinds or (str in kinds and isinstance(value, str)):
        return value
    raise TypeError(f"{expected} expected, found {_shown(value)}")


def _scalar(expected: str, kinds: tuple[type, ...], value: Any, _: Any = None) -> Any:
    found = _fitting(value, expected, *kinds)
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError(f"a finite number expected, found {found}")
    return str(found) if isinstance(found, str) else found


def _choice(value: Any, kind: Any) -> Any:
    known = get_args(kind)
    if isinstance(value, UnresolvedText):
        raise _ToldError
    if value not in known:
        raise ValueError(f"one of {', '.join(map(repr, known))} expected, found {_shown(value)}")
    return str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:5])) or 'no keys'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return f"a truth value {str(value).lower()}"
    kind = {int: "a whole number", float: "a number"}.get(type(value))
    return f"{kind} {value}" if kind else f"{'text' if isinstance(value, str) else type(value).__name__} {str(value)!r}"


# --- what is wrong ----------------------------------------------------------------------------------------


class _ToldError(Exception):
    """What is wrong here was found before."""


class _KeyFaultError(Exception):
    """A key of an object is wrong, whatever it holds."""


def _unknown(data: Mapping[str, Any], known: Iterable[str]) -> list[Exception]:
    return [_KeyFaultError(name, f"unknown key; {nearest(name, known)}") for name in data if name not in known]


def _beside(problems: list[Exception], kind: type, read: Callable[[], Any]) -> Any:
    """Read an object; what is wrong with its values is told together with what is wrong with it as a whole."""
    try:
        found = read()
    except cattrs.BaseValidationError as error:
        problems = [*error.exceptions, *problems]
    else:
        if not problems:
            return found
    raise cattrs.ClassValidationError(kind.__name__, problems, kind) from None


def _either(data: Mapping[str, Any], names: Sequence[str]) -> list[Exception]:
    given = [name for name in names if name in data]
    if not names or len(given) == 1:
        return []
    return [SpecError(f"either {' or '.join(names)} expected, found {' and '.join(given) or 'neither'}")]


def _faults(error: BaseException, place: Place = ()) -> Iterator[str]:
    """Yield what went wrong while a config was read, each with its dotted key."""
    if isinstance(error, cattrs.BaseValidationError):
        for inner in error.exceptions:
            yield from _inner_faults(error, inner, place)
    elif not isinstance(error, _ToldError):
        yield from (_at(place, fault) for fault in getattr(error, "faults", None) or [str(error)])


def _inner_faults(outer: cattrs.BaseValidationError, error: Exception, place: Place) -> Iterator[str]:
    notes = getattr(error, "__notes__", ())
    name = next(
        (getattr(note, "name", getattr(note, "index", None)) for note in notes if isinstance(note, _NOTES)), None
    )
    if name is not None:
        if isinstance(error, KeyError):
            yield _at((*place, name), f"missing; {keys_of(outer.cl)[name].words}")
        else:
            yield from _faults(error, place if name == rest_of(outer.cl) else (*place, name))
    elif isinstance(error, _KeyFaultError):
        yield _at((*place, error.args[0]), error.args[1])
    elif isinstance(error, InvalidRecordError):  # of the record as a whole: its faults begin with its fields' names
        yield from (_at(place, fault, ".") for fault in error.faults)
    else:
        yield from _faults(error, place)


_NOTES: Final = (cattrs.AttributeValidationNote, cattrs.IterableValidationNote)


def _at(place: Place, fault: str, joint: str = ": ") -> str:
    return f"{dotted(place)}{joint}{fault}" if place else fault if joint == "." else f"(the whole file): {fault}"
