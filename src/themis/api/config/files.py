"""Reads config files: YAML 1.2, TOML or JSON text to plain JSON, overrides applied; and writes YAML.

YAML is read by the core schema of its version 1.2 (section 10.3.2): `no` is text, and `1e-3` a number. What the
library knows besides (dates, `1_000`, `0x1F`) stays text: a case's expected answer is taken as it is written.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from themis.effects.files import nearest_files
from themis.pure.errors import SpecError, listed

_NUMBER: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_WORD: Final = re.compile("|~|null|Null|NULL|true|True|TRUE|false|False|FALSE")
_OLD_BREAKS: Final = re.compile("[\x85\u2028\u2029]")


class _Constructor(SafeConstructor):
    def construct_mapping(self, node: MappingNode, deep: bool = False) -> Any:
        """Refuse keys that come twice or are not text: the one would hide the other."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            problem = None
            if not isinstance(key, str):
                problem = f"key {key!r} is not text; put it in quotes"
            elif key in seen:
                problem = f"key {key!r} is there twice"
            if problem:
                raise ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: ScalarNode) -> Any:
        return super().construct_yaml_int(node) if _NUMBER.fullmatch(node.value) else node.value

    def construct_yaml_float(self, node: ScalarNode) -> Any:
        return super().construct_yaml_float(node) if _NUMBER.fullmatch(node.value) else node.value


for _kind, _construct in {
    "int": _Constructor.construct_yaml_int,
    "float": _Constructor.construct_yaml_float,
    "timestamp": _Constructor.construct_scalar,
    "value": _Constructor.construct_scalar,
}.items():
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", _construct)


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> Any:
        """Escape the line breaks that YAML 1.1 alone knows: the library would write them as such, and read others."""
        style = '"' if _OLD_BREAKS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Representer.add_representer(str, _Representer.represent_str)


def read_yaml(text: str) -> Any:
    """Return YAML text as plain JSON.

    Raises:
        YAMLError: the text is not YAML, or its aliases make more of it than anyone wrote.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        value = yaml.load(text)
        _refuse_bomb(value)
    except RecursionError:
        raise YAMLError("it is nested too deep") from None
    return value


_MOST_REPEATED: Final = 100_000
"""Values that aliases may make, over those that are written."""


def _refuse_bomb(value: Any) -> None:
    """Refuse what is small as text and endless once each alias stands for a copy of its own."""
    sizes: dict[int, int] = {}
    written = 1

    def size(item: Any) -> int:
        nonlocal written
        if not isinstance(item, dict | list):
            return 1
        if id(item) not in sizes:
            sizes[id(item)] = 0  # while we are inside
            written += len(item)
            sizes[id(item)] = 1 + sum(map(size, item.values() if isinstance(item, dict) else item))
        elif not sizes[id(item)]:
            raise YAMLError("an alias stands for what it is a part of")
        return sizes[id(item)]

    if size(value) - written > _MOST_REPEATED:
        raise YAMLError(f"its aliases stand for more than {_MOST_REPEATED:,} values; keep data in a file of its own")


def read_value(text: str) -> Any:
    """Return what was typed as a value: a number, a truth value, nothing, JSON, or else the text as it is.

    >>> read_value("0.5"), read_value("[1, 2]"), read_value("Is it right: yes or no? #1"), read_value("")
    (0.5, [1, 2], 'Is it right: yes or no? #1', None)
    """
    text = text.strip()
    is_one = text.startswith(("{", "[", '"', "'")) or _NUMBER.fullmatch(text) or _WORD.fullmatch(text)
    return read_yaml(text) if is_one else text


def meant(text: str) -> Any:
    """Return what text from the environment means where no text is expected."""
    try:
        return read_value(text)
    except YAMLError:
        return str(text)


def write_yaml(value: Any) -> str:
    """Return plain JSON as YAML text that reads back the same."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed by its default alone
    yaml.width = 100
    written = io.StringIO()
    yaml.dump(value, written)
    return written.getvalue()


SUFFIXES: Final = (".yaml", ".yml", ".toml", ".json")
"""What the names of config files end in."""


def read_file(path: Path) -> dict[str, Any]:
    """Return a config file's content.

    Raises:
        SpecError: the file is missing, or is not YAML or TOML, with line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file{nearest_files(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read: {error}") from None
    try:
        value = _parse(path, text)
    except YAMLError as error:
        raise SpecError(f"{path}{_place(error)}: not YAML: {_problem(error)}") from None
    except SpecError:
        raise
    except RecursionError:
        raise SpecError(f"{path}: it is nested too deep") from None
    except ValueError as error:  # of either library; a number of too many digits is one, too
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
    raise SpecError(f"{path}: a config's name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def _json_object(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise SpecError(f"{path}: not JSON: key {twice[0]!r} is there twice")
    return dict(pairs)


def _place(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""


def _problem(error: YAMLError) -> str:
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
        except (SpecError, YAMLError) as error:
            problem = _problem(error) if isinstance(error, YAMLError) else error
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
