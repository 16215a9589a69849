"""The JSON Schema of configs, made of the records that read them, so that the two can't drift apart.

Editors complete and check configs by it (`themis schema`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

import attrs

from themis.api.config.keys import (
    Key,
    bare,
    bounds_of,
    is_mapping,
    is_optional,
    keys_of,
    something,
)
from themis.api.config.record import ComponentConfig, ExperimentConfig

Schema: TypeAlias = dict[str, Any]

_SCALARS: Final[Mapping[type, str]] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_REFERENCE: Final = {"$ref": "#/$defs/reference"}
_COMPONENT: Final = {"$ref": "#/$defs/component"}


@functools.cache
def config_schema(record: type[ExperimentConfig] = ExperimentConfig) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a config file."""
    return _schema(record, "Themis experiment")


def study_schema() -> Schema:
    """Return the JSON Schema of a study's file."""
    from themis.api.config.study import StudyConfig

    return _schema(StudyConfig, "Themis study")


def _schema(record: type, title: str) -> Schema:
    component = _record(ComponentConfig)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_record(record),
        "$defs": {
            "reference": {
                "type": "string",
                "pattern": r"^\$\{oc\.env:[A-Za-z_][A-Za-z0-9_]*(,[^}]*)?\}$",
                "description": "A variable of the environment.",
            },
            "component": {
                "description": component.pop("description"),
                "anyOf": [_of(keys_of(ComponentConfig)["id"].type), component],
            },
        },
    }


def _record(record: type) -> Schema:
    """Return the schema of a record: its keys' types, its docstring."""
    keys = keys_of(record)
    schema: Schema = {
        "type": "object",
        "description": (record.__doc__ or "").strip().partition("\n")[0],
        "properties": {key.name: _key(key) for key in keys.values()},
    }
    needed = [key.name for key in keys.values() if key.needed]
    if needed:
        schema["required"] = needed
    either = getattr(record, "EITHER", ())
    if either:
        schema["oneOf"] = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in either]
    return {**schema, "additionalProperties": hasattr(record, "REST")}


def _key(key: Key) -> Schema:
    schema: Schema = {"not": {"type": "null"}} if key.type is Any else _of(key.type)
    if isinstance(key.default, str | int | float):
        schema["default"] = key.default
    return {**schema, "description": key.description} if key.description else schema


def _of(hint: Any) -> Schema:
    if is_optional(hint):
        return _or_null(_of(something(hint)))
    kind: Any = bare(hint)
    bounds: Schema = {bound.keyword: bound.least for bound in bounds_of(hint)}
    if kind is ComponentConfig:
        return dict(_COMPONENT)
    if kind is Any:
        return {}
    if attrs.has(kind):
        return _record(kind)
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return {"enum": list(arguments)}
    if is_mapping(kind):
        return _mapping(*arguments)
    if get_origin(kind) is tuple:
        items = _of(arguments[0])
        several = {"type": "array", **bounds, "items": items}
        return {"anyOf": [items, several]} if items == _COMPONENT else several
    scalar = {"type": _SCALARS[kind], **bounds}
    return scalar if kind is str else {"anyOf": [scalar, _REFERENCE]}


def _mapping(names: Any, inner: Any) -> Schema:
    if get_origin(names) is Literal:
        known = {name: _of(inner) for name in get_args(names)}
        return {"type": "object", "properties": known, "additionalProperties": False}
    return {"type": "object", **({} if inner is Any else {"additionalProperties": _of(inner)})}


def _or_null(schema: Schema) -> Schema:
    if "oneOf" in schema:  # what is no object is required to have no key
        forms = [*({"type": "object", **form} for form in schema["oneOf"]), {"type": "null"}]
        schema = {**schema, "oneOf": forms}
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]} if schema else {}
