"""Checks a config against its schema, in words: every fault at once, each with its dotted key.

A small validator of what our own schema uses, so that a fault says what was found, what is allowed, and which
known name is nearest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from themis.api.config_reading import read_yaml
from themis.api.config_schema import REFERENCE, Schema
from themis.api.references import EnvironmentText
from themis.pure.errors import nearest

_KINDS: Final[Mapping[str, tuple[str, tuple[type, ...]]]] = {
    "string": ("text", (str,)),
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "array": ("a list", (list,)),
    "object": ("an object (key: value)", (dict,)),
    "null": ("nothing", (type(None),)),
}


class Checker:
    """Checks one config; `faults` collects what is wrong with it.

    Args:
        schema: the whole schema, for its definitions.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.faults: list[str] = []

    def check(self, value: Any, schema: Schema | None = None, key: str = "") -> Any:
        """Return the value, text from the environment turned into what is meant."""
        schema = self._resolved(self._schema if schema is None else schema)
        if "anyOf" in schema:
            return self._any_of(value, schema, key)
        if "enum" in schema:
            return self._enum(value, schema, key)
        kinds = _kinds(schema)
        if isinstance(value, EnvironmentText) and kinds and "string" not in kinds:
            value = _number(value)
        if kinds and not any(_is(value, kind) for kind in kinds):
            self._fault(key, f"{_named(kinds)} expected, found {_shown(value)}")
            return value
        if isinstance(value, dict):
            return self._object(value, schema, key)
        if isinstance(value, list):
            return self._list(value, schema, key)
        self._scalar(value, schema, key)
        return value

    def _fault(self, key: str, problem: str) -> None:
        self.faults.append(f"{key or '(the whole file)'}: {problem}")

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._schema["$defs"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _any_of(self, value: Any, schema: Schema, key: str) -> Any:
        # A reference that is still there was resolved before: only the value that it stands for is looked at.
        branches = list(self._branches(schema))
        kinds = [kind for branch in branches for kind in _kinds(branch)]
        if isinstance(value, EnvironmentText) and "string" not in kinds:
            value = _number(value)
        for branch in branches:
            if any(_is(value, kind) for kind in _kinds(branch)):
                return self.check(value, branch, key)
        self._fault(key, f"{_named(kinds)} expected, found {_shown(value)}")
        return value

    def _branches(self, schema: Schema) -> Iterator[Schema]:
        for branch in schema["anyOf"]:
            if branch.get("$ref") == REFERENCE:
                continue
            inner = self._resolved(branch)
            if "anyOf" in inner:
                yield from self._branches(inner)
            else:
                yield inner

    def _enum(self, value: Any, schema: Schema, key: str) -> Any:
        if value not in schema["enum"]:
            self._fault(key, f"one of {', '.join(map(repr, schema['enum']))} expected, found {_shown(value)}")
        return value

    def _object(self, value: dict[str, Any], schema: Schema, key: str) -> dict[str, Any]:
        known: Mapping[str, Schema] = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        checked = {}
        for name, item in value.items():
            where = f"{key}.{name}" if key else name
            if name in known:
                checked[name] = self.check(item, known[name], where)
            elif rest is False:
                self._fault(where, f"unknown key; {nearest(name, known)}")
            else:
                checked[name] = self.check(item, rest if isinstance(rest, dict) else {}, where)
        for name in schema.get("required", ()):
            if name not in value:
                self._fault(
                    f"{key}.{name}" if key else name, f"missing; {known[name].get('description', 'it is needed')}"
                )
        self._one_of(value, schema, key)
        return checked

    def _one_of(self, value: dict[str, Any], schema: Schema, key: str) -> None:
        choices = [branch["required"][0] for branch in schema.get("oneOf", ())]
        given = [name for name in choices if name in value]
        if choices and len(given) != 1:
            found = " and ".join(given) or "neither"
            self._fault(key, f"either {' or '.join(choices)} expected, found {found}")

    def _list(self, value: list[Any], schema: Schema, key: str) -> list[Any]:
        if len(value) < schema.get("minItems", 0):
            self._fault(key, "an empty list; at least one is needed")
        return [self.check(item, schema.get("items", {}), f"{key}[{i}]") for i, item in enumerate(value)]

    def _scalar(self, value: Any, schema: Schema, key: str) -> None:
        problem = None
        if isinstance(value, float) and not math.isfinite(value):
            problem = f"a finite number expected, found {value}"
        elif value is not None and not isinstance(value, str | int | float):
            problem = f"JSON expected, found {type(value).__name__} {value}; put it in quotes"
        elif isinstance(value, str) and len(value) < schema.get("minLength", 0):
            problem = "text expected, found nothing"
        elif isinstance(value, int | float):
            problem = _out_of_bounds(value, schema)
        if problem:
            self._fault(key, problem)


def _out_of_bounds(value: float, schema: Schema) -> str | None:
    if "minimum" in schema and value < schema["minimum"]:
        return f"a number from {schema['minimum']} up expected, found {value}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return f"a number above {schema['exclusiveMinimum']} expected, found {value}"
    return None


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS[kind][1])


def _named(kinds: list[str]) -> str:
    names = dict.fromkeys(_KINDS[kind][0] for kind in kinds if kind != "null")
    return " or ".join(names)


def _number(value: EnvironmentText) -> Any:
    try:
        return read_yaml(value)
    except yaml.YAMLError:
        return str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:5])) or 'no keys'}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = str(value) if isinstance(value, bool | int | float) else repr(str(value))
    kind = {str: "text", EnvironmentText: "text", bool: "a truth value", int: "a whole number", float: "a number"}
    return f"{kind.get(type(value), type(value).__name__)} {text.lower() if isinstance(value, bool) else text}"
