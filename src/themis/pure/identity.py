"""Names that are computed: case keys, seeds, cache keys, component fingerprints.

Every name here is a function of content. Equal content has an equal name on every machine and Python version.
Reading a component's source code is I/O, so that function is handed in (`SourceOf`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from themis.pure.json import canonical_bytes, content_hash, encode
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.generation import TRANSPORT, GenerationResult
from themis.pure.records.snapshot import ComponentRef, DatasetRef

__all__ = [
    "candidate_id",
    "candidate_key",
    "case_key",
    "content_hash",
    "dataset_ref",
    "derive_seed",
    "generation_key",
    "result_hash",
    "stage_key",
]

MAX_SEED: Final = 2**31 - 1
"""Seeds are below 2^31, for several providers read them as signed 32-bit integers."""


def case_key(dataset_id: str, case_id: str) -> str:
    """Name a case within a run. The length in front keeps any two pairs of ids apart.

    >>> case_key("math", "7")
    '4:math:7'
    """
    return f"{len(dataset_id)}:{dataset_id}:{case_id}"


def candidate_id(case_id: str, index: int) -> str:
    """Name the candidate of a case by its index."""
    return f"{case_id}-candidate-{index}"


def dataset_ref(dataset: Dataset, case_hashes: Iterable[str] | None = None) -> DatasetRef:
    """Name a dataset by its content, in one pass over its cases.

    Args:
        dataset: the dataset.
        case_hashes: the cases' hashes in order, if they are known already.
    """
    digest = hashlib.sha256(canonical_bytes({"dataset_id": dataset.dataset_id, "metadata": dataset.metadata}))
    for item in case_hashes if case_hashes is not None else map(case_hash, dataset.cases):
        digest.update(item.encode())
    return DatasetRef(dataset_id=dataset.dataset_id, revision=dataset.revision, fingerprint=digest.hexdigest())


def case_hash(case: Case) -> str:
    """Return the hash of everything in a case."""
    return content_hash(case)


def generation_key(generator: ComponentRef, request: bytes) -> str:
    """Name what a generator is asked: who is asked, and the whole request.

    Seeds derive from it and candidates are cached under it, so it holds no run id and no candidate index.
    """
    return stage_key("generate", generator.fingerprint, hashlib.sha256(request).hexdigest())


def candidate_key(generation: str, index: int, seed: int | None) -> str:
    """Return the cache key of one candidate of a generation."""
    return stage_key("candidate", generation, str(index), str(seed))


def stage_key(stage: str, *parts: str) -> str:
    """Return the cache key of a stage from the names of everything that it reads."""
    return hashlib.sha256("\n".join(("themis/1", stage, *parts)).encode()).hexdigest()


def derive_seed(generation: str, index: int) -> int:
    """Return the seed of a candidate, from 0 to 2^31 - 1.

    It depends on the generation's identity and the candidate's index alone: samples of one case differ from
    each other, and asking for more samples keeps the first ones.
    """
    digest = hashlib.sha256(f"themis/1\nseed\n{generation}\n{index}".encode()).digest()
    return int.from_bytes(digest[:4]) & MAX_SEED


def result_hash(result: GenerationResult) -> str:
    """Name what later stages read of a generation: all of it but latency and transport facts."""
    if result.latency_ms is None and not result.artifacts:
        return hashlib.sha256(encode(result)).hexdigest()
    artifacts = result.artifacts
    if artifacts and TRANSPORT in artifacts:
        artifacts = {key: value for key, value in artifacts.items() if key != TRANSPORT}
    return hashlib.sha256(encode(result.evolve(latency_ms=None, artifacts=artifacts))).hexdigest()
