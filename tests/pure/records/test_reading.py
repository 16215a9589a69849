"""Compiled readers take what stores give back, and leave all else to the converter that says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import InvalidRecordError
from themis.pure.events import EVENT_TYPES, RunEvent, ScoreCompletedEvent
from themis.pure.records.base import reader_of
from themis.pure.records.reading import NotPlainError
from themis.pure.records.scoring import Score
from themis.testing import strategies


@given(strategies.events())
def test_complete_data_is_read_without_the_general_converter(event: RunEvent) -> None:
    kind: type = EVENT_TYPES[event.event_type]
    assert reader_of(kind)(event.to_dict()) == event


@given(strategies.records(ScoreCompletedEvent), st.data())
def test_a_wrong_type_is_refused_by_the_reader_and_named_by_the_converter(
    event: ScoreCompletedEvent, data: st.DataObject
) -> None:
    plain = event.to_dict()
    name = data.draw(st.sampled_from([name for name, value in plain.items() if isinstance(value, str)]))
    plain[name] = 7
    with pytest.raises((NotPlainError, TypeError)):
        reader_of(ScoreCompletedEvent)(plain)
    with pytest.raises(InvalidRecordError, match=name):
        ScoreCompletedEvent.from_dict(plain)


@pytest.mark.parametrize(
    "data",
    [
        {"metric_id": "m", "value": 1.0},
        {"metric_id": "m", "value": 1.0, "details": {}, "more": 1},
        {"metric_id": "m", "value": True, "details": {}},
        {"metric_id": "m", "value": "1", "details": {}},
        [],
        None,
    ],
)
def test_a_reader_refuses_what_is_not_complete_and_plain(data: Any) -> None:
    with pytest.raises(NotPlainError):
        reader_of(Score)(data)


def test_defaults_are_filled_in_all_the_same() -> None:
    assert Score.from_dict({"metric_id": "m", "value": 1}) == Score(metric_id="m", value=1.0)
