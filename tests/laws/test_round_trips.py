"""Law 8: every record survives JSON unchanged; what a newer schema wrote is refused, never half-read."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure import events as events_module
from themis.pure.errors import InvalidRecordError, SchemaVersionError
from themis.pure.events import SCHEMA_VERSION, RunEvent, event_from_dict
from themis.pure.json import canonical_bytes, decode, encode, freeze, thaw
from themis.pure.records import config, contexts, dataset, generation, judging, prompt, results, scoring, snapshot
from themis.pure.records.base import HashableModel
from themis.testing import strategies

_MODULES = (config, contexts, dataset, generation, judging, prompt, results, scoring, snapshot)
RECORDS = sorted(
    {
        value
        for module in _MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, HashableModel) and value is not HashableModel
    }
    | set(events_module.EVENT_TYPES.values()),
    key=lambda kind: kind.__name__,
)
# Their sequences may be lazy; they are read back as what they are made of.
LAZY = {results.BenchmarkResult, results.TimelineView}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_record_survives_json_and_pickle(kind: type[HashableModel], data: st.DataObject) -> None:
    record = data.draw(strategies.records(kind))
    plain = decode(encode(record))
    if kind not in LAZY:
        assert kind.from_dict(plain) == record
        assert kind.from_dict(record.to_dict()) == record
    assert pickle.loads(pickle.dumps(record)) == record
    assert record.compute_hash() == record.evolve().compute_hash()


@given(strategies.events())
def test_every_event_is_read_back_as_its_own_class(event: RunEvent) -> None:
    again = event_from_dict(event.to_dict())
    assert type(again) is type(event)
    assert again == event


@given(strategies.json_values())
@example(value={"past 64 bits": [2**64 + 1, -(2**63) - 1, 10**30 + 1]})
def test_json_keeps_every_digit_and_every_character(value: Any) -> None:
    frozen = freeze(value)
    assert frozen == value
    assert decode(encode(frozen)) == value
    assert thaw(frozen) == value
    canonical = canonical_bytes(frozen)
    assert canonical_bytes(decode(canonical)) == canonical


@given(strategies.events(), st.integers(SCHEMA_VERSION + 1, 99))
def test_a_newer_schema_is_refused(event: RunEvent, version: int) -> None:
    with pytest.raises(SchemaVersionError, match="upgrade"):
        event_from_dict({**event.to_dict(), "schema_version": version})


@given(strategies.records(generation.GenerationResult))
def test_an_unknown_field_is_refused_with_its_path(result: generation.GenerationResult) -> None:
    with pytest.raises(InvalidRecordError, match="surprise"):
        generation.GenerationResult.from_dict({**result.to_dict(), "surprise": 1})


def test_every_fault_is_reported_at_once_with_its_path() -> None:
    with pytest.raises(InvalidRecordError) as caught:
        dataset.Dataset.from_dict({"dataset_id": "d", "cases": [{"input": 1}, {"case_id": "b", "input": None}]})
    text = str(caught.value)
    assert "cases[0]: Case is not valid: case_id: required field missing" in text
    assert "cases[1]" in text
    with pytest.raises(InvalidRecordError) as caught:
        judging.JudgeCall.from_dict({"call_id": 1, "judge_model_id": 2, "candidate_indices": ["x"]})
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "call_id",
        "judge_model_id",
        "candidate_indices[0]",
    ]
