"""Configs to experiments: a file's content is read into its record; every fault is reported at once, with its key.

Paths in a config are relative to the file. Components are named as in Python (a builtin's id, a model string,
`package.module:name`); one with arguments is an object: `{id: openai/gpt-4o, temperature: 0}`.
"""

from __future__ import annotations

import contextvars
import functools
import math
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NewType, TypeAlias, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, mapping_structure_factory, override

from themis.api.components import make_importable, raised
from themis.api.config.files import SUFFIXES, apply_overrides, meant, override_key, read_file
from themis.api.config.keys import Key, bare, bounds_of, is_mapping, is_optional, keys_of, relocated, something
from themis.api.config.record import ComponentConfig, DatasetConfig, ExperimentConfig, PromptConfig
from themis.api.references import EnvironmentText, Place, Resolution, UnresolvedText, change_texts, dotted
from themis.pure.errors import InvalidRecordError, LiteralSecretError, SpecError, ThemisError, listed, nearest
from themis.pure.records.config import StorageConfig
from themis.pure.records.prompt import PromptSpec
from themis.pure.security import find_secrets

if TYPE_CHECKING:
    from themis.api.config.study import StudyConfig

E = TypeVar("E", bound="ExperimentConfig | StudyConfig")
R = TypeVar("R", bound="ExperimentConfig | StudyConfig | PromptConfig")


def read_config(kind: type[E], path: Path, overrides: Sequence[str] = (), storage: StorageConfig | None = None) -> E:
    """Return the `kind`, the whole file's record or a subclass, that a YAML, TOML or JSON file describes.

    Args:
        kind: the whole file's record, or a subclass.
        path: the file.
        overrides: `key=value`, as if they stood in the file.
        storage: where the run is kept if the file does not say it; in memory if not given.

    Raises:
        SpecError: the file can't be read, or does not describe an experiment: every fault with its dotted key.
        LiteralSecretError: it contains a credential.
    """
    tree = read_file(path)
    apply_overrides(tree, overrides)
    found = build(kind, tree, path.parent, str(path), [override_key(override) for override in overrides])
    return found if storage is None or tree.get("storage") else attrs.evolve(found, storage=storage)


def build(
    kind: type[R], tree: Mapping[str, Any], folder: Path, name: str = "config", overridden: Sequence[str] = ()
) -> R:
    """Return the `kind` that a config's content describes.

    Args:
        kind: the whole file's record, or a subclass; or that of a prompt alone.
        tree: what a config file holds, as plain JSON.
        folder: what paths in it are relative to; modules in it can be imported.
        name: what to call the config in errors.
        overridden: the keys that overrides set.

    Raises:
        SpecError, LiteralSecretError: as `read_config` does.
    """
    resolution = Resolution()
    resolved = change_texts(dict(tree), resolution)
    credentials = [*resolution.credentials, *_literal_credentials(resolved)]
    if not credentials:
        make_importable(folder)
    found: R | None = None
    faults = [*credentials, *resolution.faults]
    token = _folder.set(None if credentials else folder.absolute())
    try:
        found = _converter().structure(resolved, kind)
    except cattrs.BaseValidationError as error:
        faults += _faults(error)
    finally:
        _folder.reset(token)
    if faults or found is None:
        refuse = LiteralSecretError if credentials else SpecError
        raise refuse(listed(name, [_marked(fault, overridden) for fault in faults]))
    return found


def read_part(kind: Any, value: Any, folder: Path) -> Any:
    """Return what one key of a config describes.

    Args:
        kind: the key's type (`keys_of`).
        value: what would stand there, as plain JSON.
        folder: what paths in it are relative to.

    Raises:
        SpecError: it is none of that type; every fault.
    """
    resolution = Resolution()
    resolved = change_texts({"value": value}, resolution)["value"]
    token, faults = _folder.set(folder.absolute()), [*resolution.credentials, *resolution.faults]
    try:
        if not faults:
            return _structure(resolved, kind)
    except (cattrs.BaseValidationError, ThemisError, ValueError, TypeError) as error:
        faults += [fault.removeprefix("(the whole file): ") for fault in _faults(error)]
    finally:
        _folder.reset(token)
    raise SpecError("; ".join(faults))


def as_prompt(value: PromptSpec | Mapping[str, Any] | Path | str | None) -> PromptSpec | None:
    """Return a prompt in any form that it is given in.

    Args:
        value: a prompt, the keys of one as under `prompt_spec` in a config, a file of them, or a text: a template.

    Raises:
        SpecError: it is none of them; every fault with its key.
    """
    if value is None or isinstance(value, PromptSpec):
        return value
    if isinstance(value, str) and not ("{" not in value and Path(value).suffix.lower() in SUFFIXES):
        return PromptSpec(template=value)
    value = Path(value) if isinstance(value, str) else value
    if isinstance(value, Path):
        return build(PromptConfig, read_file(value), value.parent, str(value)).build()
    if isinstance(value, Mapping):
        return build(PromptConfig, {str(key): item for key, item in value.items()}, Path.cwd(), "prompt").build()
    raise SpecError(
        f"prompt: a PromptSpec, its keys, a file of them or a template such as 'Q: {{input}}' expected, found "
        f"{type(value).__name__}"
    )


def _marked(fault: str, overridden: Sequence[str]) -> str:
    key = fault.partition(":")[0]
    inside = any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in overridden)
    return f"{fault} (from an override)" if inside else fault


def _literal_credentials(tree: Mapping[str, Any]) -> list[str]:
    found = find_secrets({key: _without_cases(value) for key, value in tree.items()})
    return [f"{key.removeprefix('$.')}: a credential; put it into the environment" for key in found]


def _without_cases(value: Any) -> Any:
    """Return a section of a file without cases that are written out in it: text there may look like anything."""
    if isinstance(value, dict):
        return {key: None if key == "cases" else _without_cases(item) for key, item in value.items()}
    return [*map(_without_cases, value)] if isinstance(value, list) else value


# --- from plain JSON to records ---------------------------------------------------------------------------

_folder: contextvars.ContextVar[Path | None] = contextvars.ContextVar("_folder")
"""What paths are relative to in the config that is being read; `None` if nothing may be made of it."""


class _ToldError(Exception):
    """What is wrong here was found before."""


def _faults(error: BaseException, place: Place = ()) -> Iterator[str]:
    """Yield what went wrong, each with its dotted key."""
    if isinstance(error, cattrs.BaseValidationError):
        for inner in error.exceptions:
            part = _part(inner)
            if isinstance(inner, InvalidRecordError) and not part:  # of the record itself: it names its keys
                yield from (f"{dotted((*place, ''))}{fault}".removeprefix(".") for fault in inner.faults)
            else:
                yield from _faults(inner, (*place, *part))
    elif not isinstance(error, _ToldError):
        for fault in getattr(error, "faults", None) or [str(error)]:
            yield f"{dotted(place) or '(the whole file)'}: {fault}"


def _part(error: Exception) -> Place:
    """Return in which key or item of what was read an error arose."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, cattrs.AttributeValidationNote):
            return () if note.name == ComponentConfig.REST else (note.name,)
        if isinstance(note, cattrs.IterableValidationNote):
            return (note.index,)
    return ()


_Hook: TypeAlias = Callable[[Any, Any], Any]
_Json = NewType("_Json", object)

_OBJECT: Final = "an object (key: value)"
_MISSING: Final = object()


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    hooks: tuple[tuple[Callable[[Any], bool], Callable[[Any], _Hook]], ...] = (
        (attrs.has, _record),
        (lambda kind: kind in (Any, _Json), lambda _: _json),
        (lambda kind: get_origin(kind) is Literal, lambda _: _choice),
        (is_mapping, _mapping),
        (lambda kind: get_origin(kind) is tuple, _list),
        (is_optional, lambda _: _optional),
        (lambda kind: get_origin(kind) is Annotated, _annotated),
    )
    for fits, hook in hooks:
        converter.register_structure_hook_factory(fits, hook)
    converter.register_structure_hook(str, lambda value, _: _scalar(value, "text", str))
    converter.register_structure_hook(bool, lambda value, _: _scalar(value, "true or false", bool))
    converter.register_structure_hook(int, lambda value, _: _scalar(value, "a whole number", int))
    converter.register_structure_hook(float, lambda value, _: _scalar(value, "a number", int, float))
    return converter


def _structure(value: Any, kind: Any) -> Any:
    return _converter().structure(value, kind)


def _record(kind: type) -> _Hook:
    keys, rest, either = keys_of(kind), getattr(kind, "REST", None), getattr(kind, "EITHER", ())
    hooks: Any = {name: override(struct_hook=_key(key)) for name, key in keys.items()}
    read_keys: Any = make_dict_structure_fn(kind, _converter(), **hooks)

    def read(value: Any, _: Any) -> Any:
        if kind is ComponentConfig and isinstance(value, str):
            value = {"id": _structure(value, keys["id"].type)}
        _fitting(value, f"text or {_OBJECT}" if kind is ComponentConfig else _OBJECT, dict)
        others = {name: item for name, item in value.items() if name not in keys}
        known = {name: item for name, item in value.items() if name in keys and not _is_left_out(item, keys[name])}
        problems = _either(known, either) + ([] if rest else _unknown(others, keys))
        known |= {name: _MISSING for name, key in keys.items() if key.needed and name not in known}
        return _beside(problems, kind, lambda: read_keys({**known, rest: others} if rest else known, kind))

    return read


def _key(key: Key) -> _Hook:
    def read(value: Any, _: Any) -> Any:
        if value is _MISSING:
            raise SpecError(f"missing; {key.description}")
        found = _structure(value, key.type)
        folder = _folder.get() or Path()
        return relocated(found, lambda path: str(folder / Path(path).expanduser())) if key.is_path else found

    return read


def _is_left_out(value: Any, key: Key) -> bool:
    return value is None and (is_optional(key.type) or key.type is Any)


def _either(data: Mapping[str, Any], names: Sequence[str]) -> list[Exception]:
    given = [name for name in names if name in data]
    if not names or len(given) == 1:
        return []
    return [SpecError(f"either {' or '.join(names)} expected, found {' and '.join(given) or 'neither'}")]


def _unknown(data: Iterable[str], known: Iterable[str]) -> list[Exception]:
    faults = [f"{name}: unknown key; {nearest(name, known, 'themis schema')}" for name in data if name not in known]
    return [InvalidRecordError("config", faults)] if faults else []


def _beside(problems: list[Exception], kind: type, read: Callable[[], Any]) -> Any:
    """Read an object; the faults of its values come together with its own."""
    try:
        found = read()
    except cattrs.BaseValidationError as error:
        problems = [*error.exceptions, *problems]
    else:
        if not problems:
            return found
    raise cattrs.ClassValidationError(kind.__name__, problems, kind) from None


def _mapping(kind: Any) -> _Hook:
    names, inner = get_args(kind)
    items_type: Any = types.GenericAlias(dict, (str, _Json if inner is Any else inner))
    read_items: Any = mapping_structure_factory(items_type, _converter())

    def read(value: Any, _: Any) -> Any:
        given = _fitting(value, _OBJECT, dict)
        known = get_args(names) if get_origin(names) is Literal else given
        items = {name: item for name, item in given.items() if name in known}
        return _beside(_unknown(given, known), dict, lambda: read_items(items, None))

    return read


def _list(kind: Any) -> _Hook:
    inner = get_args(kind)[0]
    read_items, is_one_enough = list_structure_factory(kind, _converter()), bare(inner) is ComponentConfig
    expected = f"text or {_OBJECT} or a list" if is_one_enough else "a list"

    def read(value: Any, _: Any) -> Any:
        if is_one_enough and isinstance(value, str | dict):
            return (_structure(value, inner),)
        return tuple(read_items(_fitting(value, expected, list), kind))

    return read


def _optional(value: Any, kind: Any) -> Any:
    inner = something(kind)
    if isinstance(value, EnvironmentText) and bare(inner) in (int, float):
        value = meant(_resolved(value))
    return None if value is None else _structure(value, inner)


def _annotated(kind: Any) -> _Hook:
    inner, bounds = bare(kind), bounds_of(kind)

    def read(value: Any, _: Any) -> Any:
        found = _structure(value, inner)
        for problem in filter(None, (bound.problem(found) for bound in bounds)):
            raise SpecError(problem)
        is_form = isinstance(found, ComponentConfig | DatasetConfig | PromptConfig)
        # Behind a component's form stands its place.
        return _made(found, *kind.__metadata__[1:]) if is_form and _folder.get() is not None else found

    return read


def _made(form: ComponentConfig | DatasetConfig | PromptConfig, *place: str) -> Any:
    try:
        return form.build(*place)
    except (ThemisError, ValueError, TypeError):
        raise
    except Exception as error:
        raise SpecError(raised(error)) from error


def _json(value: Any, _: Any) -> Any:
    if isinstance(value, dict | list):
        return _structure(value, dict[str, _Json] if isinstance(value, dict) else list[_Json])
    if value is not None and not isinstance(value, str | int | float):
        raise TypeError(f"JSON expected, found {type(value).__name__} {value}; put it in quotes")
    return None if value is None else _scalar(value, "JSON", str, bool, int, float)


def _choice(value: Any, kind: Any) -> Any:
    known = get_args(kind)
    if value not in known:
        _fitting(value, f"one of {', '.join(map(repr, known))}")
    return str(value)


def _scalar(value: Any, expected: str, *kinds: type) -> Any:
    found = _fitting(value, expected, *kinds)
    if isinstance(found, float) and not math.isfinite(found):
        raise ValueError(f"a finite number expected, found {found}")
    return str(found) if isinstance(found, str) else found


def _fitting(value: Any, expected: str, *kinds: type) -> Any:
    """Return a value of one of these types; text from the environment may mean a number."""
    if isinstance(value, EnvironmentText):
        text = _resolved(value)
        value = meant(text) if kinds and str not in kinds else text
    if type(value) not in kinds:
        raise TypeError(f"{expected} expected, found {_shown(value)}")
    return value


def _resolved(text: EnvironmentText) -> str:
    if isinstance(text, UnresolvedText):
        raise _ToldError
    return str(text)


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
