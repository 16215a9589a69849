"""Answers laid aside: by case whatever their order, and refused where two don't fit together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.spool import Faults, Spool
from themis.pure.errors import DataError
from themis.pure.interchange.records import ImportedScore, LoggedSample, Tally, answer_of
from themis.pure.records.dataset import Case


def sample(case_id: str, output: str, index: int | None = None, **more: object) -> LoggedSample:
    case = Case(case_id=case_id, input=more.pop("input", f"question {case_id}"))  # type: ignore[arg-type]  # JSON
    return LoggedSample(
        place=f"f:{case_id}/{output}",
        case=case,
        index=index,
        result=answer_of(output),
        **more,  # type: ignore[arg-type]  # what the test names
    )


def filled(*samples: LoggedSample) -> Spool:
    faults, spool = Faults(), Spool("data")
    spool.fill(samples, faults)
    faults.refuse("f")
    return spool


PLACES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), unique=True, min_size=1)


@given(PLACES, st.randoms())
def test_what_comes_in_any_order_is_found_by_case_and_has_one_name(
    places: list[tuple[int, int]], random: st.DataObject
) -> None:
    answers = [sample(str(case), f"{case}.{index}", index) for case, index in places]
    with filled(*answers) as spool:
        assert [case.case_id for case in spool.dataset().cases] == list(dict.fromkeys(str(case) for case, _ in places))
        for case, index in places:
            found = spool.answer(str(case), index)
            assert not isinstance(found, str)
            assert found.final_output == f"{case}.{index}"
        assert spool.missing == len(spool) * (max(index for _, index in places) + 1) - len(places)
        changed = [*answers[:-1], sample(str(places[-1][0]), "another", places[-1][1])]
        with filled(*changed) as other:
            assert spool.content() != other.content()
        with filled(*answers) as again:
            assert spool.content() == again.content()


def test_answers_without_a_number_are_counted_in_their_order() -> None:
    with filled(sample("a", "0"), sample("b", "0"), sample("a", "1")) as spool:
        found = spool.answer("a", 1)
        assert not isinstance(found, str)
        assert found.final_output == "1"
        assert spool.answer("b", 1) == "what was imported has no answer 1 to case 'b'"
        assert (len(spool), spool.per_case, spool.samples, spool.missing) == (2, 2, 3, 1)


def test_scores_made_elsewhere_stay_with_the_answer() -> None:
    with filled(sample("a", "x", scores=(ImportedScore(name="match", value="C", number=1.0),))) as spool:
        found = spool.answer("a", 0)
        assert not isinstance(found, str)
        assert found.artifacts == {"imported": {"scores": [{"name": "match", "value": "C", "number": 1.0}]}}
        assert spool.scores == {"match": Tally(scores=1, numbers=1, total=1.0)}


def test_all_that_does_not_fit_is_said_with_its_places() -> None:
    def broken() -> Iterator[LoggedSample]:
        yield sample("a", "0", 0)
        yield sample("a", "1", 0)
        yield sample("a", "2", 1, input="something else")
        raise DataError("f:9: this line is not JSON")

    faults = Faults()
    with Spool("data") as spool:
        spool.fill(broken(), faults)
    with pytest.raises(DataError) as caught:
        faults.refuse("f can't be imported")
    assert str(caught.value).splitlines() == [
        "f can't be imported; 3 problems:",
        "  - f:a/1: answer 0 of case 'a' is at f:a/0 already",
        "  - f:a/2: case 'a' has another input ('something else' instead of 'question a') than at f:a/0; rows of one "
        "case are its answers, and say the same of it",
        "  - f:9: this line is not JSON",
    ]


def test_a_problem_of_many_rows_is_said_once() -> None:
    faults = Faults()
    for number in range(40):
        faults.add(f"f:{number}", "no output")
    for number in range(30):
        faults.add(f"f:{number}", f"problem {number}")
    with pytest.raises(DataError) as caught:
        faults.refuse("f")
    lines = str(caught.value).splitlines()
    assert lines[1] == "  - f:0, f:1, f:2 and 37 more: no output"
    assert len(lines) == 12
    assert lines[-1] == "  - and 21 more"
