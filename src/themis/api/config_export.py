"""Experiments to configs: what was built in Python, written so that it compiles to the same `run_id`."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from themis.api.config import configured_component
from themis.api.config_reading import write_yaml
from themis.effects.sources.files import FileCases
from themis.effects.sources.source_code import source_of
from themis.effects.stores import PATH
from themis.pure.components.registry import builtins
from themis.pure.errors import SpecError, ThemisError, listed
from themis.pure.fingerprints import component_ref
from themis.pure.json import JSONValueError, freeze, thaw
from themis.pure.records.dataset import Case, Dataset

if TYPE_CHECKING:
    from themis.api.experiment import Experiment

_REFERENCE: Final = re.compile(r"(?=\$\{oc\.env:)")
_DETECTED: Final = ("themis_version", "python_version", "platform", "git_commit")
_FACTS: Final = ("environment_metadata", "provider_metadata", "dependency_versions")


def experiment_to_config(experiment: Experiment, *, relative_to: str | Path | None = None) -> dict[str, Any]:
    """Return a config that compiles to the same `run_id`, as plain JSON.

    Components that are objects are written by builtin id, model string or import path, with the arguments that
    differ from the defaults.

    Args:
        experiment: what to write down.
        relative_to: the folder that the config will lie in; paths are absolute if not given.

    Raises:
        SpecError: a component can't be named in a file, such as one defined in a notebook; all at once.
    """
    writer = _Writer(Path(relative_to) if relative_to is not None else None)
    generation, evaluation = experiment.generation, experiment.evaluation
    tree = {
        "generation": _without_nothing(
            {
                "generator": writer.component(generation.generator, "generation.generator"),
                "candidate_policy": thaw(generation.candidate_policy),
                "prompt_spec": _changed(generation.prompt_spec),
                "selector": writer.component(generation.selector, "generation.selector"),
                "reducer": writer.component(generation.reducer, "generation.reducer"),
            }
        ),
        "evaluation": _without_nothing(
            {
                **{
                    name: [
                        writer.component(component, f"evaluation.{name}[{i}]")
                        for i, component in enumerate(getattr(evaluation, name))
                    ]
                    for name in ("metrics", "parsers", "judge_models")
                },
                "prompt_spec": _changed(evaluation.prompt_spec),
                "judge_config": thaw(evaluation.judge_config),
                "workflow_overrides": thaw(evaluation.workflow_overrides),
            }
        ),
        "datasets": [writer.dataset(dataset) for dataset in experiment.datasets],
        "storage": writer.storage(_changed(experiment.storage)),
        "runtime": writer.runtime(_changed(experiment.runtime)),
        "seeds": list(experiment.seeds),
        **{name: thaw(getattr(experiment, name)) for name in _FACTS if getattr(experiment, name)},
        **{name: getattr(experiment, name) for name in _DETECTED},
    }
    if writer.faults:
        raise SpecError(listed("the experiment can't be written as a config", writer.faults))
    kept = ("datasets", "storage")
    return {name: part if name in kept else _escaped(part) for name, part in _without_nothing(tree).items()}


def write_config(experiment: Experiment, path: Path) -> dict[str, Any]:
    """Write a config as YAML, with paths relative to the file, and return it.

    Raises:
        SpecError: as `experiment_to_config`, or the file's name does not end in .yaml, .yml or .json.
    """
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise SpecError(f"{path}: a written config is YAML or JSON; name it .yaml, .yml or .json")
    tree = experiment_to_config(experiment, relative_to=path.parent)
    text = json.dumps(tree, indent=2, ensure_ascii=False) if path.suffix.lower() == ".json" else write_yaml(tree)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return tree


def _without_nothing(tree: Mapping[str, Any]) -> dict[str, Any]:
    # An empty prompt is a prompt: the identity tells it from none.
    return {k: v for k, v in tree.items() if v is not None and (k == "prompt_spec" or v not in ({}, []))}


def _changed(record: Any) -> dict[str, Any] | None:
    """Return the fields of a record that are not the default."""
    if record is None:
        return None
    plain = record.to_dict()
    return {f.name: plain[f.name] for f in attrs.fields(type(record)) if getattr(record, f.name) != _default(f, record)}


def _default(field: Any, record: Any) -> Any:
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, though typed as a function
        return default.factory(record) if default.takes_self else default.factory()
    return default


def _escaped(value: Any) -> Any:
    """Keep text that looks like a reference from being taken for one; in cases, none is looked for."""
    if isinstance(value, str):
        return _REFERENCE.sub(r"\\", value)
    if isinstance(value, dict):
        return {name: _escaped(item) for name, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


class _Writer:
    """Writes an experiment's parts; `faults` collects what can't be written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.faults: list[str] = []

    def _path(self, path: str | Path) -> str:
        if self._folder is None:
            return str(Path(path).absolute())
        return os.path.relpath(Path(path).absolute(), self._folder.absolute())

    def storage(self, tree: dict[str, Any] | None) -> dict[str, Any] | None:
        parameters = (tree or {}).get("parameters", {})
        if tree and isinstance(parameters.get(PATH), str):
            return {**tree, "parameters": {**parameters, PATH: self._path(parameters[PATH])}}
        return tree

    def runtime(self, tree: dict[str, Any] | None) -> dict[str, Any]:
        roots = ("queue_root", "batch_root")
        return {name: self._path(value) if name in roots else value for name, value in (tree or {}).items()}

    def dataset(self, dataset: Dataset) -> dict[str, Any]:
        source = dataset.cases
        facts = {"dataset_id": dataset.dataset_id, "revision": dataset.revision, "metadata": thaw(dataset.metadata)}
        if isinstance(source, FileCases):
            return {name: _escaped(part) for name, part in _without_nothing({**facts, **self._file(source)}).items()}
        return {**_escaped(_without_nothing(facts)), "cases": [_case(case) for case in source]}

    def _file(self, source: FileCases) -> dict[str, Any]:
        fields = source.fields
        return {
            "path": self._path(source.path),
            "format": source.stated_kind,
            "input_field": fields.input,
            "expected_field": fields.expected,
            "id_field": fields.case_id,
            "metadata_fields": list(fields.metadata),
            "limit": source.limit,
        }

    def component(self, component: Any, key: str) -> Any:
        if component is None or isinstance(component, str):
            return component
        try:
            wanted = component_ref(component, source_of)
        except SpecError as error:
            self.faults.append(f"{key}: {error}")
            return None
        for name, arguments in _candidates(component):
            try:
                written = {key: thaw(freeze(value)) for key, value in arguments.items()}
                if component_ref(configured_component(name, written), source_of) == wanted:
                    return {"id": name, **written} if written else name
            except (ThemisError, JSONValueError):
                continue
        self.faults.append(f"{key}: {_why(component)}")
        return None


def _case(case: Case) -> dict[str, Any]:
    data = {"case_id": case.case_id, "input": thaw(case.input)}
    if case.expected_output is not None:
        data["expected_output"] = thaw(case.expected_output)
    return {**data, "metadata": thaw(case.metadata)} if case.metadata else data


# --- components -------------------------------------------------------------------------------------------


def _candidates(component: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the ways in which a component might be named, the plainest first."""
    name = str(component.component_id)
    if name in builtins():
        yield name, {}
        yield name, _arguments(component)
    if hasattr(component, "endpoint") and hasattr(component, "sampling"):
        yield from _models(component)
    for path in _import_paths(component):
        yield path, {}
    kind = type(component)
    if kind.__module__ != "__main__" and "." not in kind.__qualname__:
        yield f"{kind.__module__}:{kind.__qualname__}", _arguments(component)


def _arguments(component: Any) -> dict[str, Any]:
    """Return what a component was made with, as far as it differs from the defaults."""
    kind = type(component)
    if attrs.has(kind):
        fields = [field for field in attrs.fields(kind) if field.init]
        return {
            field.alias: getattr(component, field.name)
            for field in fields
            if getattr(component, field.name) != _default(field, component)
        }
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    found = {p.name: getattr(component, p.name, p.default) for p in parameters if p.kind is not p.VAR_KEYWORD}
    return {p.name: found[p.name] for p in parameters if p.name in found and found[p.name] is not p.default}


def _models(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a model behind an endpoint by its model string, with the options that differ from the default's."""
    from themis.adapters import from_model_string

    name = f"{model.provider}/{model.model}"
    try:
        plain = from_model_string(name)
        address = {} if plain.endpoint.base_url == model.endpoint.base_url else {"base_url": model.endpoint.base_url}
        default = from_model_string(name, **address)
    except ThemisError:
        return
    options: dict[str, Any] = dict(address)
    own = ("api", "provider_key", "endpoint_name")
    options |= {key: getattr(model, key) for key in own if getattr(model, key, None) != getattr(default, key, None)}
    for part in ("endpoint", "sampling"):
        mine, theirs = getattr(model, part), getattr(default, part)
        for field in attrs.fields(type(mine)):
            value = getattr(mine, field.name)
            if value != getattr(theirs, field.name) and field.name not in ("base_url", "url_env"):
                options["api_key_env" if field.name == "key_env" else field.name] = value
    yield name, options


def _import_paths(component: Any) -> Iterator[str]:
    """Yield the module-level names that a component is bound to."""
    homes = [getattr(component, "__module__", None), type(component).__module__]
    for home in dict.fromkeys(homes):
        module = sys.modules.get(home) if isinstance(home, str) else None
        if module is None or home == "__main__":
            continue
        for name, value in list(vars(module).items()):
            if value is component and not name.startswith("__"):
                yield f"{home}:{name}"


def _why(component: Any) -> str:
    name = getattr(component, "component_id", type(component).__name__)
    home = getattr(component, "__module__", None) or type(component).__module__
    where = "the script or notebook that runs" if home == "__main__" else f"module {home}"
    return (
        f"{name} is an object of {where} that no file can name with the same behaviour; bind it to a name at the top "
        "level of a module that can be imported, and give that as package.module:name"
    )
