"""Outputs produced elsewhere become a bundle that is scored without the generator, or are refused with reasons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis import InMemoryRunStore, verify
from themis.api.bundles.outputs import generation_bundle_from_outputs
from themis.api.bundles.transfer import export_generation_bundle, import_generation_bundle
from themis.pure.errors import DataError
from themis.pure.events import CaseRunEvent, GenerationCompletedEvent
from themis.testing.pipelines import Pipeline, dataset

PLAIN = Pipeline(cases=3, samples=1, generator=("raise",), reducer=None, parser=None, metrics=(("right",),), judge=None)
SEVERAL = attrs.evolve(PLAIN, samples=2, reducer=("right",))


def rows(cases: int = 3) -> list[dict[str, Any]]:
    return [{"case_id": str(i), "output": f"answer {i}" if i else "wrong"} for i in range(cases)]


def completed(records: Iterable[CaseRunEvent]) -> Iterator[GenerationCompletedEvent]:
    return (record for record in records if isinstance(record, GenerationCompletedEvent))


def outputs_of(records: Iterable[CaseRunEvent]) -> list[object]:
    return [record.result.final_output for record in completed(records) if record.result is not None]


def seeds_of(records: Iterable[CaseRunEvent]) -> list[int | None]:
    return [record.seed for record in completed(records)]


def in_file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def as_jsonl(tmp_path: Path) -> Path:
    return in_file(tmp_path / "out.jsonl", "".join(json.dumps(row) + "\n" for row in rows()))


def as_csv(tmp_path: Path) -> Path:
    lines = ["case_id,model,output", *(f"{row['case_id']},x,{row['output']}" for row in rows())]
    return in_file(tmp_path / "out.csv", "\n".join(lines) + "\n")


@pytest.mark.parametrize("source", [as_jsonl, as_csv, lambda _: rows(), lambda _: reversed(rows())])
def test_outputs_are_scored_without_the_generator(source: Any, tmp_path: Path) -> None:
    store, experiment = InMemoryRunStore(), PLAIN.experiment()
    bundle = generation_bundle_from_outputs(experiment, source(tmp_path))
    import_generation_bundle(store, bundle)
    result = experiment.run(store=store)
    assert result.benchmark.metric_means == {"scripted/metric0": pytest.approx(2 / 3)}
    assert not experiment.generation.generator.calls.counts
    assert verify(store, result.run_id, experiment=experiment).ok
    exported = export_generation_bundle(store, result.run_id)
    assert (exported.records, exported.cache_keys) == (bundle.records, bundle.cache_keys)


def test_the_bundle_is_the_one_that_the_generator_would_have_made() -> None:
    store, experiment = InMemoryRunStore(), attrs.evolve(SEVERAL, generator=("right",)).experiment()
    run_id = experiment.run(store=store).run_id
    made = export_generation_bundle(store, run_id)
    both = [{"case_id": r.case_id, "output": outputs_of([r])[0]} for r in made.records]
    bundle = generation_bundle_from_outputs(experiment, both)
    assert [r.candidate_id for r in bundle.records] == [r.candidate_id for r in made.records]
    assert seeds_of(bundle.records) == seeds_of(made.records)
    assert bundle.cache_keys == made.cache_keys
    assert len(made.cache_keys) == 6
    import_generation_bundle(InMemoryRunStore(), generation_bundle_from_outputs(experiment.compile(), both))


def test_candidates_come_in_order_or_by_index() -> None:
    experiment = SEVERAL.experiment()
    in_order: list[dict[str, Any]] = [
        {"case_id": 0, "output": "a"},
        {"case_id": 1, "output": "c"},
        {"case_id": 0, "output": "b"},
    ]
    bundle = generation_bundle_from_outputs(experiment, in_order, allow_missing=True)
    assert [r.candidate_id for r in bundle.records] == ["0-candidate-0", "0-candidate-1", "1-candidate-0"]
    assert outputs_of(bundle.records) == ["a", "b", "c"]
    assert bundle.completed_through_stage is None
    by_index: list[dict[str, Any]] = [
        {"case_id": "0", "output": "b", "candidate_index": 1},
        {"case_id": "0", "output": "a"},
    ]
    bundle = generation_bundle_from_outputs(experiment, by_index, allow_missing=True)
    assert outputs_of(bundle.records) == ["a", "b"]


def test_all_faults_are_named_at_once_with_file_and_line(tmp_path: Path) -> None:
    text = "\n".join(
        [
            '{"case_id": "0", "output": "x"}',
            '{"case_id": "0", "output": "again"}',
            '{"case_id": "answr", "output": "x"}',
            '{"case_id": "1", "ouput": "x"}',
            '{"case_id": "1", "output": "x", "candidate_index": 5}',
            "not json",
        ]
    )
    path = in_file(tmp_path / "out.jsonl", text)
    with pytest.raises(DataError) as caught:
        generation_bundle_from_outputs(PLAIN.experiment(), path)
    message = str(caught.value)
    assert f"{path}:2: case 4:made:0, candidate 0 is at {path}:1 already" in message
    assert f"{path}:3: the run has no case 'answr'; known names: 0, 1, 2" in message
    assert f"{path}:4: no output (fields found: case_id, ouput)" in message
    assert f"{path}:5: candidate_index 5: a whole number from 0 to 0" in message
    assert f"{path}:6: this line is not JSON" in message
    assert "2 missing:\n  - case 4:made:1, candidate 0\n  - case 4:made:2, candidate 0" in message
    assert "allow_missing=True" in message


def test_many_faults_are_counted() -> None:
    with pytest.raises(DataError) as caught:
        generation_bundle_from_outputs(attrs.evolve(PLAIN, cases=30).experiment(), [])
    assert "30 missing:" in str(caught.value)
    assert "and 20 more" in str(caught.value)
    with pytest.raises(DataError, match=r"rows\[0\]: an object"):
        generation_bundle_from_outputs(PLAIN.experiment(), ["text"])  # type: ignore[list-item]  # that is the point
    with pytest.raises(DataError, match="no such file"):
        generation_bundle_from_outputs(PLAIN.experiment(), "missing.csv")


def test_a_case_id_of_two_datasets_needs_its_dataset() -> None:
    experiment = PLAIN.experiment().evolve(datasets=[dataset(1, "one"), dataset(1, "two")])
    with pytest.raises(DataError, match="case '0' is in datasets one, two: add dataset_id"):
        generation_bundle_from_outputs(experiment, rows(1))
    both = [{"case_id": "0", "dataset_id": name, "output": name} for name in ("two", "one")]
    bundle = generation_bundle_from_outputs(experiment, both)
    assert [record.dataset_id for record in bundle.records] == ["one", "two"]
    with pytest.raises(DataError, match="no case '0' of dataset 'three'"):
        generation_bundle_from_outputs(experiment, [{**both[0], "dataset_id": "three"}])
