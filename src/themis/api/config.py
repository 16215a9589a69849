"""Experiments from config files: read, overridden, resolved, checked, built; every fault reported at once.

Paths in a config are relative to the file. Components are named as in Python (a builtin's id, a model string,
`package.module:name`); one with arguments is an object: `{id: openai/gpt-4o, temperature: 0}`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from themis.api.authoring import EvaluationConfig, GenerationConfig
from themis.api.components import resolve_component
from themis.api.config_checking import Checker
from themis.api.config_reading import apply_overrides, override_key, read_config
from themis.api.config_schema import config_schema
from themis.api.references import EnvironmentText, names_secret, resolve_text
from themis.effects.sources.files import CaseFields, file_dataset
from themis.effects.stores import PATH
from themis.pure.components.registry import builtins
from themis.pure.errors import LiteralSecretError, SpecError, ThemisError, listed, nearest
from themis.pure.json import EMPTY
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.prompt import PromptSpec
from themis.pure.security import find_secrets

if TYPE_CHECKING:
    from themis.api.experiment import Experiment

T = TypeVar("T")

_PATHS: Final = (("storage", "parameters", PATH), ("runtime", "queue_root"), ("runtime", "batch_root"))
"""The keys that hold paths, beside those of datasets."""

_DATA: Final = ("cases",)
"""Keys under which text is data, and no reference is looked for."""


def load_experiment(path: str | Path, overrides: Sequence[str] | None = None) -> Experiment:
    """Return the experiment that a YAML or TOML file describes.

    Args:
        path: the file.
        overrides: `key=value` with dotted keys, applied as if they stood in the file: `datasets.0.limit=10`.

    Raises:
        SpecError: the file can't be read, or does not describe an experiment: every fault with its dotted key.
        LiteralSecretError: a credential stands in it.
    """
    path = Path(path)
    tree = read_config(path)
    apply_overrides(tree, overrides or ())
    where = _Where(path, tuple(override_key(override) for override in overrides or ()))
    return build_experiment(tree, path.parent, where)


def build_experiment(tree: Mapping[str, Any], folder: Path, where: _Where | None = None) -> Experiment:
    """Return the experiment that a config's content describes.

    Args:
        tree: what a config file holds, as plain JSON.
        folder: what paths in it are relative to; modules in it can be imported.
        where: what to call the config in errors.

    Raises:
        SpecError: as `load_experiment` does.
    """
    where = where or _Where(Path("config"), ())
    resolver = _Resolver(os.environ)
    resolved = resolver.resolve(dict(tree))
    checker = Checker(config_schema())
    checked = checker.check(resolved)
    secrets = [f"{key.removeprefix('$.')}: a credential; put it into the environment" for key in _secrets(checked)]
    faults = [*resolver.faults, *checker.faults]
    if resolver.secret_faults or secrets:
        raise LiteralSecretError(where.listed([*resolver.secret_faults, *secrets, *faults]))
    make_importable(folder, Path.cwd())
    builder = _Builder(folder, faults)
    experiment = builder.experiment(checked)
    if builder.faults or experiment is None:
        raise SpecError(where.listed(builder.faults))
    return experiment


@attrs.frozen
class _Where:
    """Where a fault stands: in the file, or in an override."""

    path: Path
    overridden: tuple[str, ...]

    def listed(self, faults: Sequence[str]) -> str:
        return listed(str(self.path), [self._marked(fault) for fault in faults])

    def _marked(self, fault: str) -> str:
        key = fault.partition(":")[0]
        inside = any(key == name or key.startswith((f"{name}.", f"{name}[")) for name in self.overridden)
        return f"{fault} (from an override)" if inside else fault


# --- the environment --------------------------------------------------------------------------------------


class _Resolver:
    """Replaces references; keeps those of a store's parameters, which may be credentials."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []
        self.secret_faults: list[str] = []

    def resolve(self, value: Any, key: tuple[str, ...] = ()) -> Any:
        if isinstance(value, dict):
            return {
                name: item if name in _DATA and key[:1] == ("datasets",) else self.resolve(item, (*key, name))
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.resolve(item, (*key, f"[{i}]")) for i, item in enumerate(value)]
        if isinstance(value, str) and not _is_kept(key):
            return self._text(value, key)
        return value

    def _text(self, text: str, key: tuple[str, ...]) -> str:
        try:
            return resolve_text(text, self._environ, lambda name: not names_secret(name))
        except SpecError as error:
            faults = self.secret_faults if "holds a credential" in str(error) else self.faults
            faults.append(f"{dotted(key)}: {error}")
            return EnvironmentText(text)


def _is_kept(key: tuple[str, ...]) -> bool:
    return key[:2] == ("storage", "parameters") and key[2:] != (PATH,)


def dotted(key: Sequence[str]) -> str:
    """Return a key as it is written: `datasets[0].path`."""
    return ".".join(key).replace(".[", "[")


def _secrets(tree: Any) -> Iterator[str]:
    if not isinstance(tree, dict):
        return
    slim = {**tree, "datasets": [_without_cases(dataset) for dataset in _listed(tree.get("datasets"))]}
    yield from find_secrets(slim)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _without_cases(dataset: Any) -> Any:
    """Leave a dataset's cases out: text in data may look like anything."""
    return {k: v for k, v in dataset.items() if k not in _DATA} if isinstance(dataset, dict) else dataset


# --- building ---------------------------------------------------------------------------------------------


def make_importable(*folders: Path) -> None:
    """Let modules in folders be imported by name: those beside the config, and in the current folder."""
    for folder in folders:
        place = str(folder.resolve())
        if place not in sys.path:
            sys.path.append(place)


class _Builder:
    """Makes records and components of a checked config, and passes over what the check found faulty.

    Args:
        folder: what paths are relative to.
        faults: what was found so far; what can't be made is added, so that all of it is reported at once.
    """

    def __init__(self, folder: Path, faults: Sequence[str]) -> None:
        self._folder = folder
        self._faulty = [fault.partition(":")[0] for fault in faults]
        self.faults = list(faults)

    def _is_faulty(self, key: str) -> bool:
        return any(found == key or found.startswith((f"{key}.", f"{key}[")) for found in self._faulty)

    def _make(self, key: str, make: Callable[[], T]) -> T | None:
        if self._is_faulty(key):
            return None
        try:
            return make()
        except (ThemisError, ValueError, TypeError) as error:
            self.faults.extend(f"{key}: {line}" for line in getattr(error, "faults", None) or [str(error)])
            return None

    def experiment(self, tree: dict[str, Any]) -> Experiment | None:
        from themis.api.experiment import Experiment

        tree = self._with_paths(tree)
        generation = self._generation(_object(tree.get("generation")))
        evaluation = self._evaluation(_object(tree.get("evaluation")))
        storage = self._make("storage", lambda: StorageConfig(**tree.get("storage") or {}))
        runtime = self._make("runtime", lambda: RuntimeConfig(**tree.get("runtime") or {}))
        datasets = [self._dataset(dataset, f"datasets[{i}]") for i, dataset in enumerate(_listed(tree.get("datasets")))]
        names = ("seeds", "environment_metadata", "provider_metadata", "dependency_versions")
        rest = {name: tree[name] for name in names if tree.get(name) is not None}
        facts = ("themis_version", "python_version", "platform", "git_commit")
        rest |= {name: str(tree[name]) for name in facts if tree.get(name) is not None}
        if self.faults or generation is None or evaluation is None or storage is None or runtime is None:
            return None
        whole = [dataset for dataset in datasets if dataset is not None]
        return self._make(
            "(the whole file)",
            lambda: Experiment(
                generation=generation,
                evaluation=evaluation,
                datasets=whole,
                storage=storage,
                runtime=runtime,
                **rest,
            ),
        )

    def _with_paths(self, tree: dict[str, Any]) -> dict[str, Any]:
        tree = dict(tree)
        for section, *inner in _PATHS:
            if isinstance(tree.get(section), dict):
                tree[section] = self._with_path(tree[section], inner)
        return tree

    def _with_path(self, part: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
        name, *inner = keys
        value = part.get(name)
        if inner and isinstance(value, dict):
            return {**part, name: self._with_path(value, inner)}
        return {**part, name: self._path(value)} if isinstance(value, str) else part

    def _path(self, value: str) -> str:
        return str(self._folder / Path(value).expanduser())

    def _generation(self, tree: dict[str, Any]) -> GenerationConfig | None:
        fields = dict(tree)
        for name in ("generator", "selector", "reducer"):
            if fields.get(name) is not None:
                fields[name] = self._component(fields[name], f"generation.{name}")
        fields["prompt_spec"] = self._prompt(fields.get("prompt_spec"), "generation.prompt_spec")
        return self._make("generation", lambda: GenerationConfig(**fields))

    def _evaluation(self, tree: dict[str, Any]) -> EvaluationConfig | None:
        fields = dict(tree)
        for name in ("metrics", "parsers", "judge_models"):
            if fields.get(name) is not None:
                fields[name] = self._components(fields[name], f"evaluation.{name}")
        fields["prompt_spec"] = self._prompt(fields.get("prompt_spec"), "evaluation.prompt_spec")
        return self._make("evaluation", lambda: EvaluationConfig(**fields))

    def _prompt(self, tree: dict[str, Any] | None, key: str) -> PromptSpec | None:
        return None if tree is None else self._make(key, lambda: PromptSpec(**tree))

    def _components(self, value: Any, key: str) -> list[Any]:
        if not isinstance(value, list):
            return [self._component(value, key)]
        return [self._component(item, f"{key}[{i}]") for i, item in enumerate(value)]

    def _component(self, value: str | dict[str, Any], key: str) -> Any:
        def make() -> Any:
            name, arguments = (value, {}) if isinstance(value, str) else (value["id"], _arguments(value))
            return configured_component(str(name), arguments)

        return self._make(key, make)

    def _dataset(self, tree: dict[str, Any], key: str) -> Dataset | None:
        return self._make(key, lambda: self._from_file(tree) if "path" in tree else _inline(tree))

    def _from_file(self, tree: dict[str, Any]) -> Dataset:
        fields = CaseFields(
            input=tree.get("input_field"),
            expected=tree.get("expected_field"),
            case_id=tree.get("id_field"),
            metadata=tree.get("metadata_fields") or (),
        )
        return file_dataset(
            self._path(tree["path"]),
            dataset_id=tree.get("dataset_id"),
            fields=fields,
            limit=tree.get("limit"),
            kind=tree.get("format"),
            revision=tree.get("revision"),
            metadata=tree.get("metadata"),
        )


def _inline(tree: dict[str, Any]) -> Dataset:
    of_files = [name for name in tree if name in ("format", "limit") or name.endswith(("_field", "_fields"))]
    if of_files:
        raise SpecError(f"{', '.join(of_files)} is for files, and the cases are written out here; leave it out")
    cases = [{"case_id": str(i), **case} for i, case in enumerate(tree["cases"], 1)]
    rest = {name: tree[name] for name in ("revision", "metadata") if name in tree}
    return Dataset(dataset_id=tree.get("dataset_id", "data"), cases=cases, **rest)


def _arguments(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(v) if isinstance(v, EnvironmentText) else v for name, v in tree.items() if name != "id"}


def configured_component(name: str, arguments: Mapping[str, Any] = EMPTY) -> Any:
    """Return the component of a name, made with arguments.

    Raises:
        SpecError: there is none, or it does not take these arguments; names the nearest.
    """
    try:
        return resolve_component(name, **arguments)
    except TypeError as error:
        known = _argument_names(name)
        unknown = [argument for argument in arguments if argument not in known]
        if not unknown:
            raise SpecError(f"{name}: {error}") from error
        hints = [f"{argument!r} ({nearest(argument, known) if known else 'it takes none'})" for argument in unknown]
        raise SpecError(f"{name}: unknown argument {', '.join(hints)}") from error


def _argument_names(name: str) -> list[str]:
    import inspect

    entry = builtins().get(name) or builtins().get(f"builtin/{name}")
    if entry is None:
        module, _, attribute = name.partition(":")
        make = getattr(sys.modules.get(module), attribute, None)
    else:
        make = entry.make
    try:
        return [p for p in inspect.signature(make).parameters if p not in ("component_id", "version")] if make else []
    except (TypeError, ValueError):
        return []
