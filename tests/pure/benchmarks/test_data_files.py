from __future__ import annotations

import pytest

from themis.pure.benchmarks.data_files import choose_files
from themis.pure.errors import DataError

FILES = [
    "README.md",
    ".gitattributes",
    "data/test-00000-of-00002.parquet",
    "data/test-00001-of-00002.parquet",
    "data/train-00000-of-00001.parquet",
]
CONFIGS = [
    {"config_name": "default", "data_files": [{"split": "test", "path": "test/*.csv"}]},
    {"config_name": "DE_DE", "data_files": [{"split": "test", "path": "test/mmlu_DE-DE.csv"}]},
]
LANGUAGES = ["README.md", "test/mmlu_DE-DE.csv", "test/mmlu_ZH-CN.csv"]


def test_splits_are_found_by_the_files_names() -> None:
    assert choose_files(FILES, [], None, "test", []) == FILES[2:4]
    assert choose_files(["a/test/x.jsonl", "latest.jsonl"], [], None, "test", []) == ["a/test/x.jsonl"]
    assert choose_files(["my_eval.csv"], [], None, "test", []) == ["my_eval.csv"]


def test_configurations_name_files() -> None:
    assert choose_files(LANGUAGES, CONFIGS, "DE_DE", "test", []) == ["test/mmlu_DE-DE.csv"]
    assert choose_files(LANGUAGES, CONFIGS, "default", "test", []) == LANGUAGES[1:]
    assert choose_files(LANGUAGES, CONFIGS, None, "test", []) == LANGUAGES[1:]


@pytest.mark.parametrize(
    "data_files", ["all.jsonl", ["all.jsonl"], {"train": "all.jsonl"}, [{"split": "train", "path": ["all.jsonl"]}]]
)
def test_data_files_may_be_written_in_several_ways(data_files: object) -> None:
    configs = [{"config_name": "main", "data_files": data_files}]
    assert choose_files(["all.jsonl", "other.jsonl"], configs, None, "train", []) == ["all.jsonl"]


def test_a_configuration_may_leave_files_to_their_names() -> None:
    assert choose_files(FILES, [{"config_name": "default"}], "default", "train", []) == FILES[4:]


def test_a_folder_of_a_configuration_is_put_before_its_files() -> None:
    configs = [{"config_name": "v1", "data_dir": "v1/", "data_files": [{"split": "test", "path": "*.parquet"}]}]
    assert choose_files(["v1/a.parquet", "v2/a.parquet"], configs, "v1", "test", []) == ["v1/a.parquet"]


def test_without_any_split_everything_is_train() -> None:
    assert choose_files(["questions.json", "README.md"], [], None, "train", []) == ["questions.json"]


def test_patterns_come_first_and_must_match() -> None:
    assert choose_files(FILES, CONFIGS, "DE_DE", "test", ["data/train-*"]) == FILES[4:]
    with pytest.raises(DataError, match=r"no file 'test6.jsonl'; did you mean test5.jsonl"):
        choose_files(["test5.jsonl"], [], None, "test", ["test6.jsonl"])
    with pytest.raises(DataError, match="no data files at all"):
        choose_files(["README.md"], [], None, "test", ["test6.jsonl"])


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(DataError, match="no configuration 'DE_D'; did you mean DE_DE"):
        choose_files(LANGUAGES, CONFIGS, "DE_D", "test", [])
    with pytest.raises(DataError, match="'DE_DE' has no split 'train'; known names: test"):
        choose_files(LANGUAGES, CONFIGS, "DE_DE", "train", [])
    with pytest.raises(DataError, match=r"no file holds the split 'test'; files found: a\.csv"):
        choose_files(["a.csv"], [], None, "test", [])
