"""What cases are grouped by: how it is said, and which key each case has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from themis.pure.errors import SpecError
from themis.pure.json import JSONValue
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.report.grouping import check_by, check_cluster_by, group_name, read_by


def dataset(*metadata: Mapping[str, JSONValue]) -> Dataset:
    cases = [Case(case_id=str(n), input=n, metadata=each) for n, each in enumerate(metadata)]
    return Dataset(dataset_id="d", cases=cases)


@pytest.mark.parametrize(
    ("value", "name"),
    [("algebra", "algebra"), ("", ""), (3, "3"), (2.5, "2.5"), (True, "true"), (None, None), (["a", 1], '["a",1]')],
)
def test_a_value_groups_by_its_text_or_its_json_text(value: JSONValue, name: str) -> None:
    assert group_name(value) == name


@pytest.mark.parametrize(
    ("stated", "names"),
    [
        (None, None),
        ("topic", ("topic",)),
        (["topic,level", "level", " dataset "], ("topic", "level", "dataset")),
        ("none", ()),
        ([], ()),
        ((), ()),
    ],
)
def test_keys_are_repeated_or_have_commas_between(stated: str | list[str] | None, names: tuple[str, ...]) -> None:
    assert read_by(stated) == names


@pytest.mark.parametrize(("stated", "words"), [("topic,none", "stands alone; found topic, none"), ("a,,b", "'a,,b'")])
def test_what_can_not_be_meant_is_refused(stated: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        read_by(stated)


def test_all_keys_that_no_case_has_are_named_at_once() -> None:
    datasets = [dataset({}, {"topic": "a"}), dataset({"level": None, "topics": 1})]
    check_by(("topic", "topics", "dataset"), datasets)
    with pytest.raises(SpecError) as caught:
        check_by(("topc", "topic", "level"), datasets)
    assert str(caught.value) == (
        "by: 'topc' is no key of any case's metadata; did you mean topic or topics?; "
        "'level' is no key of any case's metadata; known names: dataset, topic, topics"
    )


def test_cases_are_read_only_until_each_key_was_found() -> None:
    class OnlyTheFirst(CaseSource):
        def __iter__(self) -> Iterator[Case]:
            yield Case(case_id="a", input=1, metadata={"topic": "x"})
            raise AssertionError("the second case was read")

        def __len__(self) -> int:
            return 10**9

    check_by(("topic",), [Dataset(dataset_id="d", cases=OnlyTheFirst())])


def test_clusters_by_a_key_that_no_case_has_are_refused_with_the_keys_there_are() -> None:
    datasets = [dataset({}, {"topic": "a"}), dataset({"level": None, "topics": 1})]
    check_cluster_by(None, datasets)
    check_cluster_by("topic", datasets)
    for key in ("nokey", "dataset"):  # that of `by` is no key of metadata
        with pytest.raises(SpecError) as caught:
            check_cluster_by(key, datasets)
        assert str(caught.value) == f"cluster_by: '{key}' is no key of any case's metadata; known names: topic, topics"
    with pytest.raises(SpecError, match="the cases have no metadata"):
        check_cluster_by("topic", [dataset({})])
