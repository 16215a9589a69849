"""What a worker needs to work on a run whose data lie in the store: its components by name, and how it is run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from themis._stages import UntilStage
from themis.api.components import own_modules
from themis.api.config.write import config_of
from themis.effects.sources.source_code import source_of
from themis.pure.abilities import PLACES, Components
from themis.pure.compilation import refs_of
from themis.pure.errors import DataError, SpecError, listed
from themis.pure.json import decode, formatted, thaw
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import json_object, sequence
from themis.pure.records.snapshot import ComponentRef, ComponentRefs, RunSnapshot

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment

SCHEMA_VERSION: Final = 1
_ELSEWHERE: Final = Dataset(dataset_id="data", cases=[{"case_id": "0", "input": "the store has the run's cases"}])


@attrs.frozen(kw_only=True)
class RunManifest(HashableModel):
    """What a worker needs beside what the store has of the run. It holds no secret.

    Attributes:
        config: the experiment's config, with one case in place of its data.
        folder: what the paths in it are relative to.
        modules: folders whose modules it names.
        until_stage: the last stage to do.
    """

    schema_version: int = SCHEMA_VERSION
    config: Mapping[str, Any] = attrs.field(converter=json_object)
    folder: str
    modules: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    until_stage: UntilStage = "judge"


def manifest_of(experiment: Experiment, until_stage: UntilStage = "judge", modules: Path | None = None) -> RunManifest:
    """Return what workers need to run an experiment.

    Args:
        experiment: the experiment.
        until_stage: the last stage to do.
        modules: a folder whose modules the experiment names, beside the current one: that of its config file.

    Raises:
        SpecError: a component can't be named, such as one defined in a notebook; all at once.
    """
    folder = Path.cwd()
    without_data = experiment.evolve(
        datasets=[Dataset(dataset_id="data", cases=[{"case_id": "0", "input": "in the store"}])]
    )
    places = [modules.resolve(), folder] if modules is not None else [folder]
    return RunManifest(
        config=config_of(without_data, relative_to=folder),
        folder=str(folder),
        modules=[str(place) for place in dict.fromkeys(places)],
        until_stage=until_stage,
    )


def text_of(manifest: RunManifest) -> str:
    return formatted(manifest.to_dict())


def read_manifest(text: str) -> RunManifest:
    """Return a manifest from its text.

    Raises:
        DataError: it is none, or that of a newer Themis.
    """
    try:
        data = decode(text)
        if isinstance(data, dict) and data.get("schema_version", 0) > SCHEMA_VERSION:
            raise DataError(
                f"the run's manifest is of a newer Themis (schema {data['schema_version']}): upgrade this one"
            )
        return RunManifest.from_dict(data)
    except (ValueError, TypeError) as error:
        raise (
            error if isinstance(error, DataError) else DataError(f"the run's manifest can't be read: {error}")
        ) from None


@contextlib.contextmanager
def experiment_of(manifest: RunManifest) -> Iterator[Experiment]:
    """Build the manifest's experiment, whose modules can be imported while the block runs."""
    from themis.api.config.read import build
    from themis.api.experiment.experiment import Experiment

    with own_modules(manifest.modules):
        yield build(Experiment, thaw(manifest.config), Path(manifest.folder), "the run's manifest")


def refuse_other_code(snapshot: RunSnapshot, components: Components) -> None:
    """Refuse components that would not do what the run's do.

    Raises:
        SpecError: it names each of them.
    """
    here = _named(refs_of(components, source_of, snapshot.identity_algorithm))
    changed = [ref.component_id for place, ref in _named(snapshot.component_refs) if (place, ref) not in here]
    if changed:
        why = "this worker's code or configuration of it is not the one that the run was begun with"
        raise SpecError(listed("this worker can't work on the run", [f"{name}: {why}" for name in changed]))


def _named(refs: ComponentRefs) -> list[tuple[str, ComponentRef]]:
    """Return the components of a run with their places."""
    found = ((place, getattr(refs, place)) for place in PLACES)
    return [
        (place, ref)
        for place, several in found
        for ref in (several if isinstance(several, tuple) else (several,))
        if ref
    ]
