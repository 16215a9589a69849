"""One value of an experiment changed, by its dotted key: what an override does to a file, done to the records.

Datasets and all that does not change stay the objects that they are, so that the cells of a study share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import attrs

from themis.api.components import resolve_component
from themis.api.config.keys import bare, is_mapping, is_optional, keys_of, something
from themis.api.config.read import read_part
from themis.api.config.record import ComponentConfig, DatasetConfig, ExperimentConfig, PromptConfig
from themis.api.config.write import component_form
from themis.pure.errors import SpecError, nearest
from themis.pure.json import thaw

E = TypeVar("E", bound=ExperimentConfig)


def with_value(experiment: E, key: str, value: Any, folder: Path | None = None) -> E:
    """Return an experiment with one value changed.

    Args:
        experiment: the experiment.
        key: dotted, as in a file: `generation.generator.temperature`, `datasets.0.limit`.
        value: plain JSON, as in a file.
        folder: what paths in it are relative to; the current one if not given.

    Raises:
        SpecError: there is no such key, or it can't have this value.
    """
    changed: E = _changed(experiment, type(experiment), key.split("."), thaw(value), folder or Path.cwd())
    return changed


def _changed(old: Any, hint: Any, parts: Sequence[str], value: Any, folder: Path) -> Any:
    if not parts:
        return read_part(hint, value, folder)
    if is_optional(hint):
        hint = something(hint)
    kind, (part, *rest) = bare(hint), parts
    if kind is ComponentConfig:
        return _component(old, hint.__metadata__[-1], parts, value)
    if isinstance(kind, type) and issubclass(kind, DatasetConfig | PromptConfig):
        form = kind() if old is None else kind.of(old)
        return _field(form, part, rest, value, folder).build()
    if attrs.has(kind):
        return _field(old, part, rest, value, folder)
    if is_mapping(kind):
        return {**(old or {}), part: _changed((old or {}).get(part), get_args(kind)[1], rest, value, folder)}
    if get_origin(kind) is tuple:
        if not part.isdigit() or int(part) >= len(old):
            raise SpecError(f"{part!r} is no place in a list of {len(old)}; places are numbered from 0")
        item = _changed(old[int(part)], get_args(kind)[0], rest, value, folder)
        return (*old[: int(part)], item, *old[int(part) + 1 :])
    if old is None or isinstance(old, Mapping):
        return _within(thaw(old) or {}, parts, value)
    raise SpecError(f"{old!r} has no {part!r} inside")


def _field(record: Any, part: str, rest: Sequence[str], value: Any, folder: Path) -> Any:
    kind: Any = type(record)
    keys = keys_of(kind)
    if part not in keys:
        raise SpecError(f"{part}: unknown key; {nearest(part, keys, 'themis schema')}")
    return attrs.evolve(record, **{part: _changed(getattr(record, part), keys[part].type, rest, value, folder)})


def _component(old: Any, place: str, parts: Sequence[str], value: Any) -> Any:
    """Return a component with another argument: made anew by its name."""
    if old is None:
        raise SpecError(f"there is no {place.removesuffix('s')} that could be given {parts[0]}")
    form = component_form(old)
    given = {"id": form} if isinstance(form, str) else form
    name, arguments = given["id"], {key: item for key, item in given.items() if key != "id"}
    return resolve_component(name, place, **_within(arguments, parts, value))


def _within(tree: dict[str, Any], parts: Sequence[str], value: Any) -> dict[str, Any]:
    part, *rest = parts
    inner = tree.get(part)
    return {**tree, part: _within(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}
