"""All recipes over made rows: what the facts of the datasets say, and that every misfit is found and named."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.benchmarks.columns import KINDS, Column
from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry, BenchmarkRecipe, LeftOut, read_case
from themis.pure.benchmarks.registry import find_recipe, recipes, samples_of
from themis.pure.benchmarks.samples import Sample
from themis.pure.errors import SpecError
from themis.pure.records.dataset import Case
from themis.pure.rows import lookup

NAMES = sorted(recipes())
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
SAMPLES = [(name, sample) for name in NAMES for sample in samples_of(name) if not sample.left_out]
LEFT_OUT = [(name, sample) for name in NAMES for sample in samples_of(name) if sample.left_out]
OTHERS: tuple[Any, ...] = (None, True, 7, 2.5, "some text", "", ["a"], [1], {"key": "value"}, [{"key": 1}], b"bytes")
"""One value of each type that rows hold."""


def variant_of(recipe: BenchmarkRecipe, sample: Sample) -> str:
    return recipe.entry.checked_variant(sample.variant)


def read(name: str, sample: Sample, row: Mapping[str, Any] | None = None) -> Any:
    recipe = recipes()[name]
    return read_case(recipe, variant_of(recipe, sample), sample.row if row is None else row, 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_survives_json(name: str) -> None:
    entry = recipes()[name].entry
    assert BenchmarkCatalogEntry.from_dict(entry.to_dict()) == entry


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_made_rows_and_says_what_to_know(name: str) -> None:
    entry = recipes()[name].entry
    assert len([sample for sample in samples_of(name) if not sample.left_out]) >= 2
    assert entry.pitfalls
    assert entry.license
    assert entry.measures.endswith(".")
    assert {column.kind for column in entry.columns} <= KINDS.keys()
    assert entry.requires_sandbox == (entry.kind == "code")
    assert entry.requires_judge == (entry.kind == "judged")


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_made_rows_come_to_cases(name: str, sample: Sample) -> None:
    case = read(name, sample)
    assert isinstance(case, Case), case
    assert case.expected_output is not None
    assert Case.from_dict(case.to_dict()) == case
    recipe = recipes()[name]
    assert {*case.metadata} <= {*recipe.entry.metadata_names(variant_of(recipe, sample))}


@pytest.mark.parametrize(("name", "sample"), LEFT_OUT)
def test_rows_that_are_no_part_of_a_benchmark_are_left_out_with_a_reason(name: str, sample: Sample) -> None:
    found = read(name, sample)
    assert isinstance(found, LeftOut)
    assert found.reason


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_cases_are_named_by_the_dataset_or_by_split_and_row(name: str, sample: Sample) -> None:
    recipe = recipes()[name]
    case = read_case(recipe, variant_of(recipe, sample), sample.row, 42)
    assert isinstance(case, Case)
    variant = variant_of(recipe, sample)
    ids = [column for column in recipe.entry.columns_of(variant) if column.role == "id"]
    named = "/".join(str(lookup(sample.row, column.name)) for column in ids)
    assert case.case_id == (named or f"{recipe.entry.split_of(variant)}-42")


# --- misfits ----------------------------------------------------------------------------------------------


def changed(row: Mapping[str, Any], name: str, change: Any) -> dict[str, Any]:
    """Return a row with one column changed: dropped, renamed or holding something else."""
    copied = copy.deepcopy(dict(row))
    *path, last = name.split(".") if name not in copied else [name]
    inner = copied
    for part in path:
        inner = inner[part]
    value = inner.pop(last)
    change(inner, last, value)
    return copied


def columns_of(name: str, sample: Sample) -> tuple[Column, ...]:
    recipe = recipes()[name]
    return recipe.entry.columns_of(variant_of(recipe, sample))


def assert_named(found: Any, column: str, name: str) -> None:
    assert isinstance(found, list), f"{name}: a row with a fault in {column} came to {found}"
    assert column in {part for fault in found for part in fault.column.split(", ")}


def assert_type_is_checked(name: str, sample: Sample, column: Column, other: Any) -> None:
    if KINDS[column.kind].holds(other) or (other is None and column.nullable):
        return
    found = read(name, sample, changed(sample.row, column.name, lambda inner, last, _: inner.update({last: other})))
    if found == LeftOut("has no published answer"):
        assert (column.role, other) == ("answer", "")
        return
    assert_named(found, column.name, name)
    assert any("expected, found" in fault.problem for fault in found if fault.column == column.name)


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_a_missing_column_is_named(name: str, sample: Sample) -> None:
    for column in columns_of(name, sample):
        if column.required:
            found = read(name, sample, changed(sample.row, column.name, lambda *_: None))
            assert_named(found, column.name, name)
            assert any("is missing" in fault.problem for fault in found)


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_a_renamed_column_is_named_with_its_new_name(name: str, sample: Sample) -> None:
    for column in columns_of(name, sample):
        if column.required:
            new = f"{column.name.rpartition('.')[2]}_text"
            row = changed(sample.row, column.name, lambda inner, _, value, new=new: inner.update({new: value}))
            found = read(name, sample, row)
            assert_named(found, column.name, name)
            if len(column.name) > 4 and "." not in column.name:
                assert any(new in fault.problem for fault in found)


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_a_column_of_another_type_is_named_with_what_was_found(name: str, sample: Sample) -> None:
    for column in columns_of(name, sample):
        if column.name in sample.row or column.required:
            for other in OTHERS:
                assert_type_is_checked(name, sample, column, other)


@given(which=st.sampled_from(SAMPLES), index=st.integers(0, 30), other=ANY_JSON)
def test_no_value_of_a_column_breaks_a_recipe(which: tuple[str, Sample], index: int, other: Any) -> None:
    name, sample = which
    columns = columns_of(name, sample)
    column = columns[index % len(columns)]
    if column.name in sample.row:
        found = read(name, sample, {**sample.row, column.name: other})
        assert isinstance(found, Case | LeftOut | list)
        assert_type_is_checked(name, sample, column, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_column_refuses_one_of_the_values_that_the_tests_above_put_there(name: str) -> None:
    for column in recipes()[name].entry.columns:
        assert [other for other in OTHERS if not KINDS[column.kind].holds(other)], column


# --- names ------------------------------------------------------------------------------------------------


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean mmlu_pro"):
        find_recipe("mmlu_por")


def test_variants_are_checked_unless_they_are_open() -> None:
    assert find_recipe("superchem")[1] == "en"
    assert find_recipe("mmmlu:SW_KE")[1] == "SW_KE"
    assert find_recipe("mmmlu")[1] == "default"
    assert find_recipe("hle")[1] == ""
    with pytest.raises(SpecError, match="superchem:zhh: no such variant; did you mean zh"):
        find_recipe("superchem:zhh")
    with pytest.raises(SpecError, match="aime_2025 has no variants"):
        find_recipe("aime_2025:hard")


def test_what_a_benchmark_is_grouped_by_is_in_its_cases_metadata() -> None:
    grouped = {name: recipe.entry for name, recipe in recipes().items() if recipe.entry.groups_by}
    assert {"mmlu_pro", "mmmlu", "supergpqa", "hle", "livecodebench"} <= grouped.keys()
    for entry in grouped.values():
        assert {*entry.metadata_names(entry.default_variant)}.issuperset(entry.groups_by), entry.benchmark_id


def test_code_and_competitions_say_at_which_k_they_are_reported() -> None:
    at = {name: recipe.entry.reports_at for name, recipe in recipes().items()}
    assert at["humaneval"] == at["humaneval_plus"] == (1, 10, 100)
    stated = {name for name, ks in at.items() if ks}
    assert stated >= {name for name, recipe in recipes().items() if recipe.entry.kind == "code"}
    assert stated >= {name for name in at if name.startswith(("aime_", "hmmt_", "apex_"))}
    for name in stated:
        assert at[name][0] == 1, name
        assert at[name] == tuple(sorted({*at[name]})), name
