"""A key is a field of a record: reading, faults, writing, the schema and the reference follow from it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import attrs
import pytest

from themis.api.config.keys import Bound
from themis.api.config.read import build
from themis.api.config.record import DatasetConfig, ExperimentConfig
from themis.api.config.schema import config_schema
from themis.api.config.write import config_of
from themis.pure.errors import SpecError
from themis.pure.json import EMPTY
from themis.pure.records.config import RuntimeConfig, positive
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import A_PATH, named_fields


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Runtime(RuntimeConfig):
    """How a run is carried out.

    Attributes:
        nap: seconds between two steps.
        cache: a folder.
    """

    nap: float = attrs.field(default=0.5, validator=positive)
    cache: str | None = attrs.field(default=None, metadata=A_PATH)


@attrs.frozen(kw_only=True)
class Data(DatasetConfig):
    """Cases.

    Attributes:
        language: which language the cases are in.
    """

    language: Annotated[str, Bound("minLength", 1)] | None = None

    def build(self) -> Dataset:
        return super().build().evolve(metadata={"language": self.language or "unknown"})

    @classmethod
    def of(cls, dataset: Dataset) -> Data:
        plain = DatasetConfig.of(dataset.evolve(metadata={}))
        return cls(**attrs.asdict(plain, recurse=False), language=dataset.metadata["language"])


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Config(ExperimentConfig):
    """An experiment with more keys than most.

    Attributes:
        owners: who answers for it, by part.
    """

    datasets: tuple[Annotated[Dataset, Data], ...]
    runtime: Runtime = attrs.field(factory=Runtime)
    owners: Mapping[str, str] = EMPTY


TREE: dict[str, Any] = {
    "generation": {"generator": "builtin/demo_model"},
    "datasets": [{"dataset_id": "d", "cases": [{"case_id": "a", "input": 1}], "language": "de"}],
    "runtime": {"nap": 2.0, "cache": "kept"},
    "owners": {"data": "us"},
}


def test_what_is_read(tmp_path: Path) -> None:
    found = build(Config, TREE, tmp_path)
    assert found.owners == {"data": "us"}
    assert found.runtime == Runtime(nap=2.0, cache=str(tmp_path / "kept"))
    assert found.datasets[0].metadata == {"language": "de"}


def test_what_is_wrong(tmp_path: Path) -> None:
    wrong = {
        **TREE,
        "owners": {"data": 3},
        "runtime": {"nap": -1, "cach": "kept"},
        "datasets": [{"cases": [{"input": 1}], "language": ""}],
    }
    with pytest.raises(SpecError) as caught:
        build(Config, wrong, tmp_path)
    assert sorted(str(caught.value).splitlines()[1:]) == [
        "  - datasets[0].language: text expected, found nothing",
        "  - owners.data: text expected, found a whole number 3",
        "  - runtime.cach: unknown key; did you mean cache?",
        "  - runtime.nap: a number above 0 expected, found -1",
    ]


def test_what_is_written(tmp_path: Path) -> None:
    assert config_of(build(Config, TREE, tmp_path), relative_to=tmp_path) == TREE


def test_what_the_schema_and_the_reference_say() -> None:
    schema = config_schema(Config)
    properties = schema["properties"]
    assert properties["owners"]["description"] == "who answers for it, by part."
    assert properties["runtime"]["properties"]["nap"] == {
        "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"$ref": "#/$defs/reference"}],
        "default": 0.5,
        "description": "seconds between two steps.",
    }
    assert properties["datasets"]["items"]["properties"]["language"]["minLength"] == 1
    place = Path(__file__).parents[3] / "docs" / "reference" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", place)
    assert spec is not None
    assert spec.loader is not None
    pages: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    rows = list(pages._keys(schema, schema, ""))
    assert "| `runtime.nap` | number or reference | `0.5` | seconds between two steps. |" in rows
    assert "| `datasets[].language` | string |  | which language the cases are in. |" in rows
