"""Names that are computed: runs, case keys, seeds, cache keys.

Every name here is a function of content. Equal content has an equal name on every machine and Python version. This is
the only file that writes the version of an algorithm: what is stored under a name must be found under it for good, so
each kind of name has a version of its own, which changes alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from themis.pure.errors import SchemaVersionError
from themis.pure.json import canonical_bytes
from themis.pure.json import content_hash as content_hash
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case, Dataset

FIRST_ALGORITHM: Final = "themis/1"
"""Names a run whose snapshot states no algorithm. Its components' fingerprints came from source text."""

IDENTITY_ALGORITHM: Final = "themis/2"
"""Names new runs. A new one is due when equal experiments must get other ids: when an identity gains a field, when
other values count as defaults (`compilation.canonical_identity`), or when fingerprints are made in another way."""

SEED_VERSION: Final = "themis/1"
"""Of `derive_seed`: a new one gives every candidate another seed, so that all answers are made anew."""

KEY_VERSION: Final = "themis/1"
"""Of `stage_key`: a new one finds nothing that was stored in a stage cache. It is due when a stage reads more."""

DIGEST_VERSION: Final = "themis/1"
"""Of a run's result digest: a new one is due when the digest covers other fields of a result."""

SHUFFLE_VERSION: Final = "themis/1"
"""Of the order that a seed gives to cases: a new one makes every shuffled part of a dataset another part."""

MAX_SEED: Final = 2**31 - 1
"""Seeds are below 2^31, for several providers read them as signed 32-bit integers."""


# --- runs -------------------------------------------------------------------------------------------------

_FIELDS: Final = (
    "dataset_refs",
    "generator_ref",
    "selector_ref",
    "reducer_ref",
    "parser_refs",
    "metric_refs",
    "judge_model_refs",
    "candidate_policy",
    "generation_prompt_spec",
    "evaluation_prompt_spec",
    "judge_config",
    "workflow_overrides",
    "seeds",
)
"""What both algorithms hash of a `RunIdentity`, by name: a field that it gains later is not theirs."""

_UNLESS_DEFAULT: Final = {"unparsed": "incorrect", "until": None}
"""Fields that came later, with the values that leave a run's name what it was before they came."""

ALGORITHMS: Final = (FIRST_ALGORITHM, IDENTITY_ALGORITHM)
"""Those that this version knows. They hash the same, each under its own name."""


def run_name(identity: HashableModel, algorithm: str) -> str:
    """Return the id that an algorithm gives to a run's identity: 64 hexadecimal digits.

    Raises:
        SchemaVersionError: this version of Themis does not know the algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise SchemaVersionError(
            f"a run is named by the algorithm {algorithm!r}, and this Themis knows {', '.join(ALGORITHMS)}: upgrade it "
            "to compute or check the run's id"
        )
    later = [name for name, default in _UNLESS_DEFAULT.items() if getattr(identity, name, default) != default]
    named = {name: getattr(identity, name) for name in (*_FIELDS, *later)}
    return content_hash({"algorithm": algorithm, "identity": named})


def misnamed(run_id: str, identity: HashableModel, algorithm: str) -> str | None:
    """Say what is wrong with the id that a run is stored under; `None` if it follows from the run's identity.

    Raises:
        SchemaVersionError: this version of Themis does not know the algorithm.
    """
    computed = run_name(identity, algorithm)
    return None if computed == run_id else f"run {run_id}: the id of its identity is {computed} ({algorithm})"


# --- within a run -----------------------------------------------------------------------------------------


def case_key(dataset_id: str, case_id: str) -> str:
    """Name a case within a run. The length in front keeps any two pairs of ids apart.

    >>> case_key("math", "7")
    '4:math:7'
    """
    return f"{len(dataset_id)}:{dataset_id}:{case_id}"


def named_by(key: str) -> tuple[str, str]:
    """Return the ids that a case key was made of: the dataset's and the case's.

    >>> named_by(case_key("a:b", "7"))
    ('a:b', '7')
    """
    length, _, rest = key.partition(":")
    return rest[: int(length)], rest[int(length) + 1 :]


def candidate_id(case_id: str, index: int) -> str:
    return f"{case_id}-candidate-{index}"


def dataset_fingerprint(dataset: Dataset, case_hashes: Iterable[str] | None = None) -> str:
    """Return the hash of a dataset's content, in one pass over its cases.

    Args:
        dataset: the dataset.
        case_hashes: the cases' hashes in order, if they are known already.
    """
    digest = hashlib.sha256(canonical_bytes({"dataset_id": dataset.dataset_id, "metadata": dataset.metadata}))
    for item in case_hashes if case_hashes is not None else map(case_hash, dataset.cases):
        digest.update(item.encode())
    return digest.hexdigest()


def case_hash(case: Case) -> str:
    return content_hash(case)


class _Fingerprinted(Protocol):
    @property
    def fingerprint(self) -> str: ...


def generation_key(generator: _Fingerprinted, request: bytes) -> str:
    """Name what a generator is asked: who is asked, and the whole request.

    Seeds derive from it and candidates are cached under it, so it holds no run id and no candidate index.
    """
    return stage_key("generate", generator.fingerprint, hashlib.sha256(request).hexdigest())


def candidate_key(generation: str, index: int, seed: int | None) -> str:
    return stage_key("candidate", generation, str(index), str(seed))


def stage_key(stage: str, *parts: str) -> str:
    return hashlib.sha256("\n".join((KEY_VERSION, stage, *parts)).encode()).hexdigest()


def derive_seed(generation: str, index: int) -> int:
    """Return the seed of a candidate, from 0 to 2^31 - 1.

    It depends on the generation's identity and the candidate's index alone: samples of one case differ from
    each other, and asking for more samples keeps the first ones.
    """
    digest = hashlib.sha256(f"{SEED_VERSION}\nseed\n{generation}\n{index}".encode()).digest()
    return int.from_bytes(digest[:4]) & MAX_SEED


def shuffled(names: Sequence[str], seed: int) -> list[int]:
    """Return the places of cases, by their names, in the order that a seed gives them; other cases don't change it.

    >>> [place for place in shuffled(["a", "b", "c", "d"], seed=1) if place < 3] == shuffled(["a", "b", "c"], seed=1)
    True
    """

    def place(index: int) -> bytes:
        return hashlib.sha256(f"{SHUFFLE_VERSION}\nshuffle\n{seed}\n{names[index]}".encode()).digest()

    return sorted(range(len(names)), key=place)
