"""What a run's cases are grouped by: keys of their metadata, or the word `dataset`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from themis.pure.errors import SpecError, nearest
from themis.pure.json import JSONValue, encode
from themis.pure.plan import CaseItem
from themis.pure.records.dataset import Case, Dataset

BY_DATASET: Final = "dataset"
"""The word that groups cases by their dataset; a key of that name in their metadata is not seen."""

BY_NOTHING: Final = "none"
"""The word that leaves groups out, those that would be shown without being asked for too."""


def group_name(value: JSONValue) -> str | None:
    """Return the group that a value of a case's metadata names: text as it is, anything else by its JSON text.

    >>> group_name("algebra"), group_name(3), group_name(True), group_name(None)
    ('algebra', '3', 'true', None)
    """
    return value if value is None or isinstance(value, str) else encode(value).decode()


def group_of(item: CaseItem, by: str) -> str | None:
    """Return the group that a case is in; `None` if its metadata lack the key."""
    return item.dataset_id if by == BY_DATASET else group_name(item.case.metadata.get(by))


def cluster_of(case: Case, cluster_by: str | None) -> str | None:
    """Return the cluster that a case is in; `None` if nothing is clustered by, or its metadata lack the key."""
    return None if cluster_by is None else group_name(case.metadata.get(cluster_by))


def read_by(stated: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return what to group by, each once: names, or texts of several with commas between; `None` if nothing is said.

    Raises:
        SpecError: `none` stands beside something else, or a name is empty.

    >>> read_by(["topic,level", "dataset"]), read_by("none"), read_by(None)
    (('topic', 'level', 'dataset'), (), None)
    """
    if stated is None:
        return None
    texts = [stated] if isinstance(stated, str) else stated
    names = tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))
    if "" in names:
        raise SpecError(f"by: keys of the cases' metadata expected, as in topic,level; found {', '.join(texts)!r}")
    if BY_NOTHING not in names:
        return names
    if len(names) > 1:
        raise SpecError(f"by: {BY_NOTHING} leaves groups out, and stands alone; found {', '.join(names)}")
    return ()


def check_by(by: Sequence[str], datasets: Sequence[Dataset]) -> None:
    """Refuse to group by a key that no case has. Cases are read until each key was found: the first, as a rule.

    Raises:
        SpecError: names all such keys, and the nearest of those there are.
    """
    _check_keys("by", [name for name in by if name != BY_DATASET], datasets, [BY_DATASET])


def check_cluster_by(key: str | None, datasets: Sequence[Dataset]) -> None:
    """Refuse to cluster by a key that no case has, as `check_by` does: each case would be a cluster of its own.

    Raises:
        SpecError: names the nearest of the keys that there are.
    """
    _check_keys("cluster_by", [] if key is None else [key], datasets, [])


def _check_keys(option: str, keys: Sequence[str], datasets: Sequence[Dataset], words: Sequence[str]) -> None:
    wanted, known = {*keys}, dict.fromkeys(words)
    for case in _until_found(wanted, datasets):
        known.update(dict.fromkeys(name for name, value in case.metadata.items() if value is not None))
    there = "the cases have no metadata"
    faults = [
        f"{name!r} is no key of any case's metadata; {nearest(name, known) if known else there}"
        for name in keys
        if name in wanted
    ]
    if faults:
        raise SpecError(f"{option}: {'; '.join(faults)}")


def _until_found(wanted: set[str], datasets: Sequence[Dataset]) -> Iterable[Case]:
    for dataset in datasets:
        for case in dataset.cases:
            wanted.difference_update(name for name in tuple(wanted) if case.metadata.get(name) is not None)
            if not wanted:
                return
            yield case
