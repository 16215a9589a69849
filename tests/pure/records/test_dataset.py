"""Cases: what their metadata may hold, and that texts are stored and named as ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import InvalidRecordError
from themis.pure.identity import case_hash
from themis.pure.json import JSONValue, encode
from themis.pure.records.dataset import Case

FACTS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.dictionaries(st.text(), FACTS | st.lists(FACTS)))
def test_metadata_take_scalars_and_lists_and_survive_json(metadata: dict[str, JSONValue]) -> None:
    case = Case(case_id="a", input=1, metadata=metadata)
    assert Case.from_dict(case.to_dict()) == case
    assert encode(case.metadata) == encode(metadata)


def test_all_objects_in_metadata_are_refused_at_once() -> None:
    with pytest.raises(InvalidRecordError) as caught:
        Case(case_id="a", input=1, metadata={"x": {"y": 1}, "topic": "sums", "z": {}})
    for words in ("metadata.x: text, a number, true, false, null or a list expected, found an object", "metadata.z"):
        assert words in str(caught.value)


def test_texts_are_named_as_they_were_and_a_number_is_no_text() -> None:
    case = Case(case_id="a", input="1 + 1", expected_output="2", metadata={"topic": "sums", "level": "3"})
    assert case_hash(case) == "347532970ae8fcec539c42a895142a1a7595c02b3527d5d26d939686595dace7"
    assert case_hash(case.evolve(metadata={"topic": "sums", "level": 3})) != case_hash(case)
