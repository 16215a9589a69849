"""Seals made without a run: of any scores, of any data, whatever of them is shown."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st

from themis.pure.json import encode
from themis.pure.projections import UNPARSED
from themis.pure.seals.content import checked
from themis.pure.seals.layout import Leaf, SealReader, Signature, mark_bytes, proofs_body, to_be_signed, whole_body
from themis.pure.seals.records import SealedMetric, SealHeader, SealVerification
from themis.pure.seals.scores import REASONS, Columns, SealedScore
from themis.pure.seals.tree import Root

LARGEST = 1e100
numbers = st.one_of(
    st.sampled_from([0.0, 1.0]),
    st.integers(0, 100).map(lambda whole: whole / 100),
    st.floats(-LARGEST, LARGEST),
    st.floats(-1e-300, 1e-300),
).map(lambda value: value + 0.0)


@st.composite
def scores(draw: st.DrawFn, metric: SealedMetric) -> SealedScore:
    """Any score that a metric may have."""
    missing = st.sampled_from(REASONS).map(lambda reason: SealedScore(None, reason))
    scored = numbers.map(lambda value: SealedScore(value, None))
    if metric.unparsed_score is None:
        return draw(scored | missing)
    unparsed = st.sampled_from(UNPARSED).map(lambda reason: SealedScore(metric.unparsed_score, reason))
    return draw(scored | missing | unparsed)


@st.composite
def columns(draw: st.DrawFn, cases: int) -> tuple[list[SealedMetric], list[list[SealedScore]]]:
    """Any metrics with the scores that each case has of them."""
    made = [
        metric_of(f"metric {place}", answers, unparsed)
        for place, (answers, unparsed) in enumerate(
            draw(st.lists(st.tuples(st.integers(1, 2), st.none() | numbers), min_size=1, max_size=2))
        )
    ]
    each = st.tuples(*(scores(metric) for metric in made for _ in range(metric.answers)))
    return made, [list(draw(each)) for _ in range(cases)]


def metric_of(name: str = "metric", answers: int = 1, unparsed_score: float | None = None) -> SealedMetric:
    return SealedMetric(metric_id=name, answers=answers, planned=0, scored=0, unparsed_score=unparsed_score)


def leaves_of(metrics: Sequence[SealedMetric], rows: Sequence[Sequence[SealedScore]]) -> list[Leaf]:
    """Return the leaves of a run: of the run itself, which no reader knows what to make of, and of its cases."""
    names = [metric.metric_id for metric in metrics for _ in range(metric.answers)]
    leaves = [Leaf.of(0, (), bytes(32), b"{}")]
    for number, row in enumerate(rows, 1):
        stated = [
            {"metric_id": name, "outcome": "correct", "value": score.value, "error_category": score.reason}
            for name, score in zip(names, row, strict=True)
        ]
        data = {"case": {"case_id": f"case {number}", "input": "?"}, "dataset_id": "data", "scores": stated}
        leaves.append(Leaf.of(number, row, number.to_bytes(32), encode(data)))
    return leaves


def header_of(metrics: Sequence[SealedMetric], leaves: Sequence[Leaf]) -> SealHeader:
    adding, root = Columns(metrics), Root()
    for leaf in leaves:
        root.add(leaf.hash)
        if leaf.number:
            adding.add(leaf.scores)
    return SealHeader(
        tool="tests",
        version="1",
        sealed_at=datetime(2026, 1, 1, tzinfo=UTC),
        model="a model",
        datasets=["data"],
        status="completed",
        cases=len(leaves) - 1,
        metrics=adding.found(),
        root=root.digest().hex(),
    )


def file_of(
    header: SealHeader,
    leaves: Sequence[Leaf],
    is_shown: Callable[[Leaf], bool] = lambda leaf: True,
    signature: Signature | None = None,
    *,
    alone: bool = False,
) -> bytes:
    signed = to_be_signed(header)
    body = proofs_body if alone else whole_body
    return signed + mark_bytes(signed, signature) + b"".join(body(leaves, is_shown))


def sealed(
    metrics: Sequence[SealedMetric],
    rows: Sequence[Sequence[SealedScore]],
    is_shown: Callable[[Leaf], bool] = lambda leaf: True,
    *,
    alone: bool = False,
) -> bytes:
    leaves = leaves_of(metrics, rows)
    return file_of(header_of(metrics, leaves), leaves, is_shown, alone=alone)


def read(file: bytes) -> SealVerification:
    return checked(SealReader.of(io.BytesIO(file).read))


def double(value: float) -> bytes:
    return struct.pack(">d", value)
