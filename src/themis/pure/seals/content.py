"""What of a run goes into a seal, and whether what a seal shows fits together.

The run's own leaf holds what would give hidden cases away: its id, its identity, the head of its events and the digest
of its results are hashes over all cases, and without a salt. So it is hidden as soon as a case is, unless asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from themis.pure.errors import DataError, InvalidRecordError, SchemaVersionError, ThemisError
from themis.pure.identity import dataset_fingerprint, misnamed
from themis.pure.json import content_hash, decode, encode, freeze, freeze_mapping, thaw
from themis.pure.plan import CaseItem
from themis.pure.projections import Digest, reproducible_result
from themis.pure.records.results import BenchmarkScoreRow, CaseResult
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.seals.layout import Leaf, SealReader
from themis.pure.seals.records import SealedCase, SealedRun, SealHeader, SealVerification
from themis.pure.seals.scores import Columns, SealedScore, scores_of
from themis.pure.seals.tree import Root, root_of_path
from themis.pure.security import refuse_secrets

_SHOWN = 10
"""Faults of one kind that are told."""


# --- what goes in -----------------------------------------------------------------------------------------


def run_data(
    snapshot: RunSnapshot, head: ChainHead, digest: str, began: datetime | None, ended: datetime | None
) -> bytes:
    """Return what a seal's leaf of the run holds; of its provenance, versions alone.

    Raises:
        LiteralSecretError: the run's identity or settings hold a credential.
    """
    identity, settings = snapshot.identity, snapshot.descriptions
    refuse_secrets({"snapshot.identity": identity.to_dict(), "snapshot.descriptions": settings})
    return encode(
        SealedRun(
            run_id=snapshot.run_id,
            identity_algorithm=snapshot.identity_algorithm,
            identity=identity,
            settings=settings,
            datasets=[dataset.evolve(cases=()) for dataset in snapshot.datasets],
            provenance={name: thaw(getattr(snapshot.provenance, name)) for name in _HARMLESS},
            began_at=began,
            ended_at=ended,
            event_count=head.count,
            event_head=head.digest,
            results_digest=digest,
        )
    )


_HARMLESS: Final = ("themis_version", "python_version", "platform", "git_commit", "dependency_versions")


def case_data(
    item: CaseItem, result: CaseResult, rows: Iterable[BenchmarkScoreRow], stored: Iterable[StoredEvent]
) -> bytes:
    """Return what a seal's leaf of a case holds.

    Its events are named by hashes of their own: the digests of their chain are over other cases' events, too.
    """
    return encode(
        {
            "dataset_id": item.dataset_id,
            "case": item.case,
            "result": reproducible_result(result),
            "scores": [_row(row) for row in rows],
            "events": [hashlib.sha256(event.payload.encode()).hexdigest() for event in stored],
        }
    )


def _row(row: BenchmarkScoreRow) -> dict[str, Any]:
    names = ("metric_id", "candidate_id", "outcome", "value", "error_category", "error_message")
    return {name: getattr(row, name) for name in names}


# --- what is read -----------------------------------------------------------------------------------------


def leaf_data(leaf: Leaf) -> Mapping[str, Any]:
    """Return what a leaf shows.

    Raises:
        DataError: it is not a JSON object.
    """
    try:
        return freeze_mapping(freeze(decode(leaf.data or b""), depth=-_DEEPER))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{_name(leaf)}: its data are no JSON object: {error}") from None


_DEEPER: Final = 32
"""How much deeper than a value of a record it may stand here: records hold it, and the data of a leaf hold them."""


def sealed_case(header: SealHeader, leaf: Leaf) -> SealedCase:
    """Return a case of a seal."""
    scores = iter(leaf.scores)
    by_metric = {metric.metric_id: [next(scores) for _ in range(metric.answers)] for metric in header.metrics}
    return SealedCase(
        number=leaf.number,
        scores={name: tuple(score.value for score in some) for name, some in by_metric.items()},
        reasons={name: tuple(score.reason for score in some) for name, some in by_metric.items()},
        data=None if leaf.data is None else leaf_data(leaf),
    )


def _name(leaf: Leaf) -> str:
    return f"case {leaf.number}" if leaf.number else "the run"


# --- whether it fits together -----------------------------------------------------------------------------


def checked(reader: SealReader) -> SealVerification:
    """Read a seal to its end, and say what of it does not follow from its header; its signature is not looked at."""
    walk = _Checking(reader)
    try:
        walk.through()
    except ThemisError as error:
        walk.altered.append(str(error))
    return SealVerification(
        header=reader.header,
        run=walk.run,
        cases=walk.cases,
        shown=walk.shown,
        altered=walk.altered,
        not_verified=walk.notes,
    )


@attrs.define
class _Checking:
    reader: SealReader
    altered: list[str] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)
    run: SealedRun | None = None
    cases: int = 0
    shown: int = 0
    _unlike: int = 0
    _hashes: dict[str, list[str]] = attrs.field(factory=dict)
    """Of each dataset, the hashes of the cases that are shown."""

    def through(self) -> None:
        header = self.reader.header
        columns, root, digest = Columns(header.metrics), Root(), Digest()
        for leaf in self.reader.leaves():
            if self.reader.parts == "whole":
                root.add(leaf.hash)
            elif root_of_path(leaf.hash, leaf.number, self.reader.count, leaf.path).hex() != header.root:
                self.altered.append(f"{_name(leaf)} is not what was sealed: it does not lead to the header's root")
                continue
            if leaf.number:
                self.cases += 1
                columns.add(leaf.scores)
            if leaf.data is not None:
                self._look_into(leaf, digest)
        if self.reader.parts == "proofs":
            self.notes.append(
                f"the results: the file has {self.cases} of {header.cases} cases, and not the scores of the others"
            )
        elif root.digest().hex() != header.root:
            self.altered.append("its cases are not those that were sealed: they do not lead to the header's root")
        else:
            self._compare(columns)
        if self.run is not None:
            self._of_the_run(self.run, digest.hexdigest())

    def _look_into(self, leaf: Leaf, digest: Digest) -> None:
        data = leaf_data(leaf)
        if leaf.number == 0:
            try:
                self.run = SealedRun.from_dict(data)
            except InvalidRecordError as error:
                self.notes.append(f"the run: this Themis can't read what is told of it (is it a newer one's?): {error}")
            return
        self.shown += 1
        if stated_scores(data) != leaf.scores:
            self._unlike += 1
            if self._unlike <= _SHOWN:
                self.altered.append(f"{_name(leaf)}: the scores in its data are not those that it counts with")
        if self.run is not None:
            self._hashes.setdefault(str(data.get("dataset_id")), []).append(content_hash(data.get("case")))
            digest.add_data(data.get("result"))

    def _compare(self, columns: Columns) -> None:
        for stated, found in zip(self.reader.header.metrics, columns.found(), strict=True):
            if stated != found:
                was, is_ = stated.to_dict(), found.to_dict()
                differing = ", ".join(f"{name} {was[name]}, not {is_[name]}" for name in was if was[name] != is_[name])
                self.altered.append(f"{stated.metric_id}: it states {differing}, which follows from its scores")

    def _of_the_run(self, run: SealedRun, digest: str) -> None:
        try:
            self.altered += filter(None, [misnamed(run.run_id, run.identity, run.identity_algorithm)])
        except SchemaVersionError as error:
            self.notes.append(f"the run's id: {error}")
        if self.shown < self.reader.header.cases:
            return  # what follows is a hash over all cases
        if run.results_digest != digest:
            self.altered.append("the digest of the results, which the run states, is not that of its cases")
        if run.identity.until is None:  # a run that its rule ended has cases that it did not come to
            self.altered += _altered_datasets(run, self._hashes)


def stated_scores(data: Mapping[str, Any]) -> tuple[SealedScore, ...]:
    """Return the scores that a case's data state.

    Raises:
        DataError: they are no scores.
    """
    try:
        rows = [
            BenchmarkScoreRow.from_dict({**row, "case_id": "", "dataset_id": "", "case_key": ""})
            for row in data["scores"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"the scores of a case's data can't be read: {error}") from None
    return tuple(scores_of(rows))


_OF_NO_CASE: Final = {"case_id": "", "dataset_id": "", "case_key": ""}


def _altered_datasets(run: SealedRun, hashes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    named = {ref.dataset_id: ref.fingerprint for ref in run.identity.dataset_refs}
    for dataset in run.datasets:
        if named.get(dataset.dataset_id) != dataset_fingerprint(dataset, hashes.get(dataset.dataset_id, ())):
            yield f"the cases of dataset {dataset.dataset_id} are not those that the run's identity names"
