"""Which files of a dataset's repository hold a split: by patterns, by its card's configurations, or by their names.

Source of the rules: the hub's "Data files configuration" and "Automatic split detection"
(huggingface.co/docs/hub/datasets-data-files-configuration).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.errors import DataError, nearest

DATA_SUFFIXES: Final = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
ALL: Final = "all"
_WORDS: Final = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "dev", "val"),
}


def choose_files(
    names: Sequence[str], configs: Sequence[Mapping[str, Any]], config: str | None, split: str, patterns: Sequence[str]
) -> list[str]:
    """Return the names of the files that hold a split, in order.

    Args:
        names: all files of the repository.
        configs: the `configs` of the dataset's card.
        config: the configuration's name; the default one if not given; `all` of a dataset that has none of that name
            stands for all that have the split.
        split: the split.
        patterns: patterns of the files, if they are known; nothing else counts then.

    Raises:
        DataError: no file, or no configuration, of that name; names those there are.

    >>> choose_files(["README.md", "data/test-0.parquet", "data/train-0.parquet"], [], None, "test", [])
    ['data/test-0.parquet']
    """
    data = sorted(name for name in names if name.removesuffix(".gz").endswith(DATA_SUFFIXES))
    stated = patterns or _stated_patterns(configs, config, split)
    if stated:
        return _matching(data, stated)
    found = _named_after(data, split)
    if not found and (split == "train" and not any(_named_after(data, other) for other in _WORDS)):
        found = data  # without any split in its names, all of a repository is its train split
    if not found:
        raise DataError(f"no file holds the split {split!r}; files found: {', '.join(data[:20]) or 'none'}")
    return found


def _matching(data: Sequence[str], patterns: Sequence[str]) -> list[str]:
    found: list[str] = []
    for pattern in patterns:
        matches = [name for name in data if fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            raise DataError(
                f"there is no file {pattern!r}; {nearest(pattern, data) if data else 'no data files at all'}"
            )
        found += [name for name in matches if name not in found]
    return found


def _stated_patterns(configs: Sequence[Mapping[str, Any]], config: str | None, split: str) -> list[str]:
    """Return the patterns that a configuration states for a split; none if it leaves that to the files' names."""
    if config == ALL and ALL not in [item.get("config_name") for item in configs]:
        every = [item for item in configs if split in _by_split(item.get("data_files", ()))]
        return list(dict.fromkeys(name for item in every for name in _stated_patterns([item], None, split)))
    chosen = _configuration(configs, config)
    if chosen is None or "data_files" not in chosen:
        return []
    prefix = f"{str(chosen['data_dir']).strip('/')}/" if chosen.get("data_dir") else ""
    by_split = _by_split(chosen["data_files"])
    if split not in by_split:
        name = chosen.get("config_name", "default")
        raise DataError(f"the configuration {name!r} has no split {split!r}; {nearest(split, by_split)}")
    return [f"{prefix}{pattern}" for pattern in by_split[split]]


def _configuration(configs: Sequence[Mapping[str, Any]], config: str | None) -> Mapping[str, Any] | None:
    named = {str(item.get("config_name", "default")): item for item in configs}
    if config is not None and config != "default":
        if named and config not in named:
            raise DataError(f"the dataset has no configuration {config!r}; {nearest(config, named)}")
        return named.get(config)
    default = [item for item in configs if item.get("default")]
    return default[0] if default else named.get("default") or (configs[0] if len(configs) == 1 else None)


def _by_split(data_files: Any) -> dict[str, list[str]]:
    if isinstance(data_files, Mapping):
        stated = list(data_files.items())
    elif isinstance(data_files, str) or all(isinstance(item, str) for item in data_files):
        stated = [("train", data_files)]
    else:
        stated = [(item.get("split", "train"), item.get("path", ())) for item in data_files]
    found: dict[str, list[str]] = {}
    for split, paths in stated:
        found.setdefault(str(split), []).extend([paths] if isinstance(paths, str) else paths)
    return found


def _named_after(data: Sequence[str], split: str) -> list[str]:
    words = "|".join(_WORDS.get(split, (split,)))
    word = re.compile(rf"(?<![a-z]){words if '|' not in words else f'(?:{words})'}(?![a-z])", re.IGNORECASE)
    exact = re.compile(rf"(?<![a-z]){re.escape(split)}(?![a-z])", re.IGNORECASE)
    return [name for name in data if exact.search(name)] or [name for name in data if word.search(name)]
