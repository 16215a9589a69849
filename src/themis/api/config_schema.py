"""The JSON Schema of configs, made from the records that a config becomes, so that the two can't drift apart.

The same schema checks configs here (`themis.api.config_checking`) and completes them in editors (`themis schema`).
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

import attrs

from themis.api.authoring import EvaluationConfig, GenerationConfig
from themis.effects.sources.rows import FileFormat
from themis.pure.plan import COUNT_POLICIES
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.dataset import Case

Schema: TypeAlias = dict[str, Any]

REFERENCE: Final = "#/$defs/reference"
COMPONENT: Final = "#/$defs/component"

_PATTERN: Final = r"^\$\{oc\.env:[A-Za-z_][A-Za-z0-9_]*(,[^}]*)?\}$"
_BOUNDS: Final = {"_positive": {"exclusiveMinimum": 0}, "_not_negative": {"minimum": 0}}
"""What the records' validators, by name, say in JSON Schema."""


@functools.cache
def config_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a config file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Themis experiment",
        "description": "What to evaluate and how. Text may hold ${oc.env:NAME} or ${oc.env:NAME,default}.",
        "type": "object",
        "properties": {
            "generation": _record(GenerationConfig, required=["generator"], fields=_GENERATION),
            "evaluation": _or_null(_record(EvaluationConfig, fields=_EVALUATION)),
            "datasets": {"type": "array", "minItems": 1, "items": _DATASET, "description": "What is evaluated."},
            "storage": _or_null(_record(StorageConfig)),
            "runtime": _or_null(_record(RuntimeConfig)),
            "seeds": {
                "type": ["array", "null"],
                "items": {"type": "integer"},
                "description": "One per candidate, or none.",
            },
            "environment_metadata": {**_TEXTS, "description": "Facts to keep beside the run."},
            "provider_metadata": {"type": "object", "description": "Facts about the providers."},
            "dependency_versions": {**_TEXTS, "description": "Detected if not given."},
            **{
                name: {"type": ["string", "null"], "description": "Detected if not given."}
                for name in ("themis_version", "python_version", "platform", "git_commit")
            },
        },
        "required": ["generation", "datasets"],
        "additionalProperties": False,
        "$defs": {
            "reference": {"type": "string", "pattern": _PATTERN, "description": "A variable of the environment."},
            "component": _COMPONENT,
        },
    }


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_COMPONENT: Final[Schema] = {
    "description": "A builtin's id, a model such as openai/gpt-4o, or package.module:name; with arguments, an object.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {"id": {"type": "string", "minLength": 1, "description": "Which component."}},
            "required": ["id"],
            "additionalProperties": True,
        },
    ],
}
_ONE: Final[Schema] = {"anyOf": [{"$ref": COMPONENT}, {"type": "null"}]}
_SEVERAL: Final[Schema] = {
    "anyOf": [{"$ref": COMPONENT}, {"type": "array", "items": {"$ref": COMPONENT}}, {"type": "null"}]
}
_COUNT: Final[Schema] = {"anyOf": [{"type": "integer", "minimum": 1}, {"$ref": REFERENCE}]}
_GENERATION: Final[Mapping[str, Schema]] = {
    "generator": {"$ref": COMPONENT},
    "selector": _ONE,
    "reducer": _ONE,
    "candidate_policy": {
        "type": "object",
        "properties": dict.fromkeys(COUNT_POLICIES, _COUNT),
        "additionalProperties": False,
    },
}
_EVALUATION: Final[Mapping[str, Schema]] = {"metrics": _SEVERAL, "parsers": _SEVERAL, "judge_models": _SEVERAL}


def _record(record: type, required: Sequence[str] = (), fields: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of a record: its fields' types, its docstring's words."""
    hints = typing.get_type_hints(record)
    words = _words(record)
    properties = {}
    for field in attrs.fields(record):
        schema = dict((fields or {}).get(field.name) or _of_type(hints[field.name], _bounds(field)))
        if field.name in words:
            schema["description"] = words[field.name]
        properties[field.name] = schema
    summary = (record.__doc__ or "").strip().partition("\n")[0]
    return {
        "type": "object",
        "description": summary,
        "properties": properties,
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }


def _bounds(field: Any) -> Schema:
    return dict(_BOUNDS.get(getattr(field.validator, "__name__", ""), {}))


def _of_type(hint: Any, bounds: Schema) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _optional(next(_of_type(part, bounds) for part in arguments if part is not type(None)))
    if origin is Literal:
        return {"enum": list(arguments)}
    if hint is str:
        return {"type": "string"}
    if hint in (int, float):
        number = {"type": "integer" if hint is int else "number", **bounds}
        return {"anyOf": [number, {"$ref": REFERENCE}]}
    if isinstance(hint, type) and attrs.has(hint):
        return _record(hint)
    if origin is tuple:
        return {"type": "array", "items": _of_type(arguments[0], {})}
    value = arguments[1] if len(arguments) == 2 else Any
    return {"type": "object", **({} if value is Any else {"additionalProperties": _of_type(value, bounds)})}


def _optional(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return _or_null(schema)


def _words(record: type) -> dict[str, str]:
    """Return what a record's docstring says of each attribute."""
    # Python 3.13 strips docstrings' indentation, and earlier ones keep it.
    section = inspect.cleandoc(record.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {4}([\w, ]+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    return {name.strip(): " ".join(text.split()) for names, text in entries for name in names.split(",")}


_CASE: Final[Schema] = {
    "type": "object",
    "properties": {
        "case_id": {"type": "string", "minLength": 1, "description": "Its number, if not given."},
        "input": {
            "description": _words(Case).get("input", ""),
            "type": ["string", "number", "boolean", "array", "object"],
        },
        "expected_output": {"description": "The reference, if there is one."},
        "metadata": _TEXTS,
    },
    "required": ["input"],
    "additionalProperties": False,
}
_FIELD: Final[Schema] = {"type": ["string", "null"], "minLength": 1}
_DATASET: Final[Schema] = {
    "type": "object",
    "description": "Cases written out, or a file of them.",
    "properties": {
        "dataset_id": {"type": "string", "minLength": 1, "description": "The file's name, if not given."},
        "cases": {"type": "array", "minItems": 1, "items": _CASE},
        "path": {"type": "string", "minLength": 1, "description": "A file, relative to this config."},
        "format": {"enum": list(get_args(FileFormat)), "description": "Where the file's name does not tell."},
        "input_field": {**_FIELD, "description": "The file's field that is the input; 'input' if not given."},
        "expected_field": {**_FIELD, "description": "The field of the reference; 'expected_output' if not given."},
        "id_field": {**_FIELD, "description": "The field of the case's id; 'case_id' or 'id' if not given."},
        "metadata_fields": {"type": "array", "items": {"type": "string"}, "description": "Fields to keep."},
        "limit": {
            "anyOf": [{"type": "integer", "minimum": 1}, {"$ref": REFERENCE}, {"type": "null"}],
            "description": "Take only the first cases.",
        },
        "revision": {"type": ["string", "null"], "description": "The version of the data."},
        "metadata": _TEXTS,
    },
    "oneOf": [{"required": ["cases"]}, {"required": ["path"]}],
    "additionalProperties": False,
}
