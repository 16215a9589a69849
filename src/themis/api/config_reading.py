"""Reads config files: YAML 1.2 or TOML text to plain JSON, overrides applied.

YAML is read by the rules of its version 1.2 (core schema): `no` is text, `1e-3` a number, and a date is text.
The library's own rules are those of 1.1, by which a case's expected answer `no` would become `false`.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import tomllib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from themis.pure.errors import SpecError, listed, nearest

_RESOLVERS: Final = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
    ("tag:yaml.org,2002:merge", r"^(?:<<)$", ["<"]),
)
"""YAML 1.2.2, section 10.3.2, "Core schema", and the merge key; hexadecimal and octal numbers are left out."""


_OLD_BREAKS: Final = re.compile("[\x85\u2028\u2029]")


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # how the library keeps them

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse keys that come twice or are no text: the one would hide the other."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node)
            problem = None
            if not isinstance(key, str):
                problem = f"key {key!r} is no text; put it in quotes"
            elif key in seen:
                problem = f"key {key!r} is there twice"
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


class Dumper(yaml.SafeDumper):
    """Writes YAML that the reader of this module reads back as it was."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012  # how the library keeps them

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal parts out in full."""
        return True


def _represent_text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    """Escape the line breaks that YAML 1.1 alone knows: the library would write them as such, and read others."""
    style = '"' if _OLD_BREAKS.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _represent_text)
for _kind in (_Loader, Dumper):
    for _tag, _pattern, _first in _RESOLVERS:
        _kind.add_implicit_resolver(_tag, re.compile(_pattern), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def read_yaml(text: str) -> Any:
    """Return YAML text as plain JSON.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader


def read_value(text: str) -> Any:
    """Return what was typed as a value: a number, a truth value, nothing, JSON, or else the text as it is.

    >>> read_value("0.5"), read_value("[1, 2]"), read_value("Is it right: yes or no? #1"), read_value("")
    (0.5, [1, 2], 'Is it right: yes or no? #1', None)
    """
    text = text.strip()
    if text.startswith(("{", "[", '"', "'")) or any(re.match(pattern, text) for _, pattern, _ in _RESOLVERS):
        return read_yaml(text)
    return text


def write_yaml(value: Any) -> str:
    """Return plain JSON as YAML text that reads back the same."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def read_config(path: Path) -> dict[str, Any]:
    """Return a config file's content.

    Raises:
        SpecError: the file is missing, or is not YAML or TOML, with line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(_unreadable(path, error)) from None
    try:
        value = _parse(path, text)
    except yaml.YAMLError as error:
        raise SpecError(f"{path}{_place(error)}: not YAML: {_problem(error)}") from None
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise SpecError(f"{path}: not {path.suffix[1:].upper()}: {error}") from None
    if not isinstance(value, dict):
        found = "nothing" if value is None else type(value).__name__
        raise SpecError(f"{path}: keys such as generation, evaluation and datasets expected, found {found}")
    return value


def _parse(path: Path, text: str) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=functools.partial(_json_object, path))
    if suffix in (".yaml", ".yml"):
        return read_yaml(text)
    raise SpecError(f"{path}: a config's name ends in .yaml, .yml, .toml or .json")


def _json_object(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise SpecError(f"{path}: not JSON: key {twice[0]!r} is there twice")
    return dict(pairs)


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        siblings = [str(p) for p in path.parent.iterdir() if p.is_file()] if path.parent.is_dir() else []
        return f"{path}: there is no such file" + (f"; {nearest(str(path), siblings)}" if siblings else "")
    return f"{path}: can't be read: {error}"


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""


def _problem(error: yaml.YAMLError) -> str:
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    return ", ".join(part for part in parts if part) or str(error)


# --- overrides --------------------------------------------------------------------------------------------

_KEY: Final = re.compile(r"[^.\[\]=]+")


def apply_overrides(config: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set values by dotted key, as if they stood in the file: `runtime.max_cost=5`, `datasets.0.limit=10`.

    A part of a component that is named by text alone becomes its argument: `generation.generator.temperature=0`.

    Raises:
        SpecError: an override is not of the form `key=value`, or its place does not exist; all at once.
    """
    faults = []
    for override in overrides:
        try:
            _override(config, override)
        except (SpecError, yaml.YAMLError) as error:
            problem = _problem(error) if isinstance(error, yaml.YAMLError) else error
            faults.append(f"{override!r}: {problem}")
    if faults:
        raise SpecError(listed("an override can't be applied", faults))


def override_key(override: str) -> str:
    """Return the dotted key of an override, list places in brackets."""
    key = override.partition("=")[0].strip()
    return re.sub(r"\.(\d+)(?=\.|\[|$)", r"[\1]", key)


def _override(config: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = _KEY.findall(key.strip())
    if not equals or not parts:
        raise SpecError("key=value expected, such as runtime.max_concurrent_tasks=8")
    place: Any = config
    for part, following in itertools.pairwise(parts):
        place = _descend(place, part, following)
    _assign(place, parts[-1], read_value(text))


def _descend(place: Any, part: str, following: str) -> Any:
    inner = place[_index(place, part)] if isinstance(place, list) else place.get(part)
    if inner is None:
        inner = [] if following.isdigit() else {}
    elif isinstance(inner, str):
        inner = {"id": inner}
    elif not isinstance(inner, dict | list):
        raise SpecError(f"{part} is {inner!r} and has nothing inside")
    _assign(place, part, inner)
    return inner


def _assign(place: Any, part: str, value: Any) -> None:
    if not isinstance(place, list):
        place[part] = value
    elif part.isdigit() and int(part) == len(place):
        place.append(value)
    else:
        place[_index(place, part)] = value


def _index(place: list[Any], part: str) -> int:
    if not part.isdigit():
        raise SpecError(f"{part!r} is no place in a list of {len(place)}; places are numbered from 0")
    if int(part) >= len(place):
        raise SpecError(f"there is no place {part} in a list of {len(place)}; places are numbered from 0")
    return int(part)
