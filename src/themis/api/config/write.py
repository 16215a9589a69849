"""Experiments to configs: what was built in Python, written so that it compiles to the same `run_id`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs

from themis.api.components import parameters_of, resolve_component
from themis.api.config.files import write_yaml
from themis.api.config.keys import Key, bare, default_of, is_optional, keys_of, relocated, something
from themis.api.config.record import ComponentConfig, DatasetConfig, ExperimentConfig, PromptConfig
from themis.api.references import Place, dotted, escaped
from themis.effects.sources.source_code import source_of
from themis.pure.components.registry import builtins
from themis.pure.errors import SpecError, ThemisError, listed
from themis.pure.fingerprints import component_ref
from themis.pure.json import formatted, freeze, thaw
from themis.pure.records.stopping import StoppingRule
from themis.pure.wire.providers import MODEL_STRINGS, OPENAI


def config_of(experiment: ExperimentConfig, *, relative_to: Path | None = None) -> dict[str, Any]:
    """Return a config that compiles to the same `run_id`, as plain JSON.

    What is as by default is left out. Components that are objects are written by builtin id, model string or import
    path, with the arguments that differ from the defaults.

    Args:
        experiment: what to write down.
        relative_to: the folder that the config will lie in; paths are absolute if not given.

    Raises:
        SpecError: a component can't be named in a file, such as one defined in a notebook; all at once.
    """
    writer = _Writer(relative_to)
    tree = writer.written(experiment, ())
    if writer.faults:
        raise SpecError(listed("the experiment can't be written as a config", writer.faults))
    return dict(escaped(tree))


def component_form(component: Any) -> str | dict[str, Any]:
    """Return how a component is named in a file.

    Raises:
        SpecError: no file can name it.
    """
    writer = _Writer(None)
    form: str | dict[str, Any] = writer.written(component, (), ComponentConfig)
    if writer.faults:
        raise SpecError(writer.faults[0].removeprefix(": "))
    return form


def write_config(experiment: ExperimentConfig, path: Path) -> dict[str, Any]:
    """Write a config as YAML or JSON, with paths relative to the file, and return it.

    Raises:
        SpecError: as `config_of`, or the file's name does not end in .yaml, .yml or .json.
    """
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise SpecError(f"{path}: a written config is YAML or JSON; name it .yaml, .yml or .json")
    tree = config_of(experiment, relative_to=path.parent)
    text = formatted(tree) if path.suffix.lower() == ".json" else write_yaml(tree)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return tree


class _Writer:
    """Writes records; `faults` collects what can't be written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.faults: list[str] = []

    def written(self, value: Any, place: Place, hint: Any = None) -> Any:
        kind = bare(hint)
        if kind is ComponentConfig:
            return self._component(value, place)
        if isinstance(kind, type) and issubclass(kind, DatasetConfig | PromptConfig):
            value = kind.of(value)
        if isinstance(value, StoppingRule):
            return str(value)
        if attrs.has(type(value)):
            record: type = type(value)
            keys = keys_of(record).values()
            return {key.name: self._key(getattr(value, key.name), key, place) for key in keys if _differs(value, key)}
        if get_origin(kind) is tuple:
            return [self.written(item, (*place, i), get_args(kind)[0]) for i, item in enumerate(value)]
        return thaw(value)

    def _key(self, value: Any, key: Key, place: Place) -> Any:
        hint = something(key.type) if is_optional(key.type) else key.type
        found = self.written(value, (*place, key.name), hint)
        return relocated(found, self._path) if key.is_path else found

    def _path(self, path: str) -> str:
        if self._folder is None:
            return str(Path(path).absolute())
        return os.path.relpath(Path(path).absolute(), self._folder.absolute())

    def _component(self, component: Any, place: Place) -> Any:
        if component is None or isinstance(component, str):
            return component
        try:
            wanted = component_ref(component, source_of)
        except SpecError as error:
            self.faults.append(f"{dotted(place)}: {error}")
            return None
        for name, arguments in _candidates(component):
            try:
                written = {key: thaw(freeze(value)) for key, value in arguments.items()}
                if component_ref(resolve_component(name, **written), source_of) == wanted:
                    return {"id": name, **written} if written else name
            except (ThemisError, ValueError, TypeError):
                continue
        self.faults.append(f"{dotted(place)}: {_why(component)}")
        return None


def _differs(record: Any, key: Key) -> bool:
    value = getattr(record, key.name)
    return key.needed or (value is not key.default and value != key.default)


# --- components -------------------------------------------------------------------------------------------


def _candidates(component: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the ways in which a component might be named, the plainest first."""
    name = str(component.component_id)
    if name in builtins():
        yield name, {}
        yield name, _arguments(component)
    if hasattr(component, "through") and hasattr(component, "sampling"):
        yield _of_any_llm(component)
    elif hasattr(component, "sampling"):
        yield from _models(component) if hasattr(component, "endpoint") else _in_process(component)
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
            if getattr(component, field.name) != default_of(field, component)
        }
    parameters = parameters_of(kind).values()
    found = {p.name: getattr(component, p.name, p.default) for p in parameters if p.kind is not p.VAR_KEYWORD}
    return {p.name: found[p.name] for p in parameters if p.name in found and found[p.name] is not p.default}


def _in_process(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a model of this process by its model string, with the options that differ from the defaults."""
    own = {name: value for name, value in _arguments(model).items() if name not in ("model", "sampling")}
    yield f"{model.provider}/{model.model}", {**_arguments(model.sampling), **own}


def _models(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a model behind an endpoint by its model string, with the options that differ from the default's.

    Its address is written down unless it is the provider's own: the environment of who reads the config may state
    another. One that the environment gives together with credentials stays there.
    """
    is_known = model.provider in MODEL_STRINGS
    name = f"{model.provider if is_known else OPENAI}/{model.model}"
    named = {} if is_known else {"provider": model.provider}
    endpoint = model.endpoint
    has_credentials = endpoint.url_env is not None and "@" in os.environ.get(endpoint.url_env, "")
    if has_credentials or model.provider_key == model.provider:
        yield from _as_options(model, name, named)
    if not has_credentials:
        yield from _as_options(model, name, {**named, "base_url": endpoint.base_url})


def _as_options(model: Any, name: str, options: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    from themis.adapters import from_model_string

    try:
        default: Any = from_model_string(name, **options)
    except ThemisError:
        return
    own = ("api", "provider_key", "endpoint_name")
    found = {key: getattr(model, key) for key in own if getattr(model, key, None) != getattr(default, key, None)}
    for part in ("endpoint", "sampling"):
        mine, theirs = getattr(model, part), getattr(default, part)
        for field in attrs.fields(type(mine)):
            value = getattr(mine, field.name)
            if value != getattr(theirs, field.name) and field.name not in ("base_url", "url_env"):
                found["api_key_env" if field.name == "key_env" else field.name] = value
    yield name, {**options, **found}


def _of_any_llm(model: Any) -> tuple[str, dict[str, Any]]:
    """Return the string of a model that any-llm reaches, and its options."""
    name = f"{model.provider}/{model.through}:{model.model}"
    given = {
        "component_id": None if model.component_id == name else model.component_id,
        "provider_key": None if model.provider_key == f"{model.provider}:{model.through}" else model.provider_key,
        "base_url": model.base_url,
        "api_key_env": model.key_env,
        "total_timeout_s": model.total_timeout_s,
        **attrs.asdict(model.sampling, recurse=False),
    }
    return name, {option: value for option, value in given.items() if value is not None and value != {}}


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
