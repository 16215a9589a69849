"""How stores name the cases that several runs share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from themis.pure.json import canonical_bytes
from themis.pure.records.dataset import Dataset
from themis.pure.records.snapshot import RunSnapshot


def keyed_datasets(snapshot: RunSnapshot) -> Iterator[tuple[str, Dataset]]:
    """Yield a run's datasets, each with the name of its content: runs over the same data share it."""
    for dataset, ref in zip(snapshot.datasets, snapshot.identity.dataset_refs, strict=True):
        yield hashlib.sha256(canonical_bytes([dataset.dataset_id, ref.fingerprint])).hexdigest(), dataset
