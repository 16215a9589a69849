"""What a seal states, and what checking it finds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import attrs

from themis.pure.errors import DataError, InvalidRecordError
from themis.pure.json import EMPTY, JSONValue, canonical_bytes, decode
from themis.pure.pipeline.verification import Verdict
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import json_object, named_fields, optional_object, sequence, texts
from themis.pure.records.snapshot import RunIdentity


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SealedMetric(HashableModel):
    """What a seal states of a metric: what the run's report says, as far as it follows from the scores alone.

    Attributes:
        metric_id: the metric.
        answers: how many scores each case has of it.
        planned: how many scores were planned.
        scored: how many there are.
        mean: their mean; `None` if there is none.
        missing: how many are missing, by why.
        unparsed: how many are of answers that could not be parsed and count as incorrect, by why.
        unparsed_score: what such an answer scores; `None` if its score is missing.
        score_range: the metric's lowest and highest score, if it states them.
        if_missing_wrong: the mean if all missing scores were the lowest; `None` if that is not known.
        if_missing_right: the mean if they were the highest.
    """

    metric_id: str
    answers: int
    planned: int
    scored: int
    mean: float | None = None
    missing: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)
    unparsed: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)
    unparsed_score: float | None = None
    score_range: tuple[float, float] | None = None
    if_missing_wrong: float | None = None
    if_missing_right: float | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SealHeader(HashableModel):
    """The part of a seal that is signed. It binds all else: the root is the hash over the run and all cases.

    What is shown is no part of it, so that whoever has a file can pass on less of it under the same signature.

    Attributes:
        tool: what made the seal.
        version: its version.
        sealed_at: when, by that machine's clock.
        name: what the run is called, if anything.
        model: what answered.
        datasets: the datasets' ids.
        status: the run's status.
        cases: how many cases it planned.
        metrics: its results.
        root: the root of the tree of hashes over the run and its cases, 64 hexadecimal digits.
    """

    tool: str
    version: str
    sealed_at: datetime
    name: str | None = None
    model: str
    datasets: tuple[str, ...] = attrs.field(converter=texts)
    status: str
    cases: int
    metrics: tuple[SealedMetric, ...] = attrs.field(converter=sequence)
    root: str


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SealedRun(HashableModel):
    """What a seal tells of its run, if it shows it.

    Attributes:
        run_id: the run; the hash of its identity.
        identity_algorithm: how that hash is made.
        identity: what can change a result.
        settings: how its components were set, an endpoint's address included.
        datasets: its datasets, without their cases.
        provenance: versions of what made the run, and its platform; nothing of a place or a person.
        began_at: when its last attempt began.
        ended_at: when that ended.
        event_count: how many events the store has of it.
        event_head: the digest at the end of their chain.
        results_digest: the digest of its results, as in its report.
    """

    run_id: str
    identity_algorithm: str
    identity: RunIdentity
    settings: Mapping[str, JSONValue] = attrs.field(converter=json_object)
    datasets: tuple[Dataset, ...] = attrs.field(converter=sequence)
    provenance: Mapping[str, JSONValue] = attrs.field(converter=json_object)
    began_at: datetime | None = None
    ended_at: datetime | None = None
    event_count: int
    event_head: str
    results_digest: str


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SealedCase(HashableModel):
    """One case of a seal.

    Attributes:
        number: its place in the run, from 1.
        scores: of each metric its scores, in the header's order; `None` where one is missing.
        reasons: of each of them why it is missing, or why its answer could not be parsed.
        data: the case with its answers, results, and the hashes of its events; `None` if the file hides them.
    """

    number: int
    scores: Mapping[str, tuple[float | None, ...]]
    reasons: Mapping[str, tuple[str | None, ...]]
    data: Mapping[str, JSONValue] | None = attrs.field(default=None, converter=optional_object)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SealVerification(HashableModel):
    """What checking a seal found.

    Attributes:
        header: what the seal states; `None` if it can't be read.
        run: what it tells of the run; `None` if the file hides that.
        cases: how many cases the file has the scores of.
        shown: of how many it shows the data, too.
        key: the fingerprint of the key that signed it, as OpenSSH writes it; `None` without a signature.
        signer: whose that key is, by the file of keys that was given.
        altered: what of the file is not what was sealed, or does not follow from it.
        not_verified: what could not be checked, and what would make it possible.
    """

    header: SealHeader | None = None
    run: SealedRun | None = None
    cases: int = 0
    shown: int = 0
    key: str | None = None
    signer: str | None = None
    altered: tuple[str, ...] = attrs.field(default=(), converter=texts)
    not_verified: tuple[str, ...] = attrs.field(default=(), converter=texts)

    @property
    def run_id(self) -> str | None:
        """The run's id, if the file shows the run."""
        return None if self.run is None else self.run.run_id

    @property
    def verdict(self) -> Verdict:
        """Whether everything was checked and found to be as it must be, or a part of it, or something is wrong."""
        if self.altered:
            return "not verified"
        return "verified in part" if self.not_verified else "verified"

    @property
    def ok(self) -> bool:
        """Whether the verdict is `verified`."""
        return self.verdict == "verified"


_MOST_ANSWERS: Final = 1 << 20
"""Scores of a case. A header that states more is nobody's; a file would hold as many for each case."""


def read_header(text: bytes) -> SealHeader:
    """Read a seal's header.

    Raises:
        DataError: it is not what a seal's header looks like; all faults of its fields at once.
    """
    try:
        data = decode(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"its header is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise DataError(f"its header: an object expected, {type(data).__name__} found")
    try:
        header = SealHeader.from_dict(data)
    except InvalidRecordError as error:
        raise DataError(str(error)) from None
    # One way to write it: two readers that differ in what they make of odd JSON must not see two headers.
    if canonical_bytes(header) != text:
        raise DataError("its header is not written in canonical JSON (RFC 8785)")
    answers = [metric.answers for metric in header.metrics]
    if header.cases < 0 or min(answers, default=0) < 0 or sum(answers) > _MOST_ANSWERS:
        raise DataError(f"its header states {header.cases} cases with {sum(answers)} scores each")
    if len({metric.metric_id for metric in header.metrics}) < len(answers):
        raise DataError("its header states a metric twice")
    return header
