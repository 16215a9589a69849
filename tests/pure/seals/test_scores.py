"""How scores are written, and what is stated of them: what a report says of the same rows."""

from __future__ import annotations

import io
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.projections import UNPARSED
from themis.pure.records.results import ErrorCategory
from themis.pure.seals.scores import REASONS, Columns, SealedScore, read_score, score_bytes
from themis.pure.stats import estimate_mean

from .made import columns, double, metric_of, scores

UNPARSED_SCORE = -2.5


@given(scores(metric_of(unparsed_score=UNPARSED_SCORE)))
def test_a_score_is_read_as_it_was_written_in_eight_bytes_at_most(score: SealedScore) -> None:
    written = score_bytes(*score)
    assert len(written) == (1 if score.reason is not None or score.value in (0.0, 1.0) else 8)
    assert read_score(io.BytesIO(written + b"more").read, UNPARSED_SCORE) == (written, score)


def test_what_is_written_otherwise_is_refused() -> None:
    other = [double(value) for value in (0.0, -0.0, 1.0, 1.1e100, -1.1e100, float("inf"), float("nan"))]
    known = {score_bytes(None, reason)[0] for reason in REASONS}
    known |= {score_bytes(0.5, reason)[0] for reason in UNPARSED} | {0xE0, 0xE1}
    for written in [*other, *(bytes([code]) + bytes(7) for code in range(0xE0, 0x100) if code not in known)]:
        with pytest.raises(DataError):
            read_score(io.BytesIO(written).read, 0.0)
    with pytest.raises(DataError):  # the metric has no score for an answer that could not be parsed
        read_score(io.BytesIO(score_bytes(0.0, "parse_null")).read, None)


def test_every_reason_has_a_code_and_keeps_it() -> None:
    assert sorted(REASONS) == sorted(get_args(ErrorCategory))
    assert REASONS[: len(UNPARSED)] == UNPARSED
    assert score_bytes(None, "generation_failure") == b"\xf3"
    assert score_bytes(0.0, "parse_invalid") == b"\xea"


@given(st.data())
def test_what_is_stated_is_what_an_estimate_of_these_scores_says(data: st.DataObject) -> None:
    metrics, rows = data.draw(columns(data.draw(st.integers(0, 8))))
    adding = Columns(metrics)
    for row in rows:
        adding.add(row)
    start = 0
    for metric, found in zip(metrics, adding.found(), strict=True):
        column = [score for row in rows for score in row[start : start + metric.answers]]
        start += metric.answers
        values, reasons = [score.value for score in column], [score.reason for score in column]
        whole = estimate_mean(values, categories=reasons)
        assert (found.mean, found.planned, found.scored) == (whole.mean, whole.planned, whole.scored)
        assert (found.if_missing_wrong, found.if_missing_right) == (whole.if_missing_wrong, whole.if_missing_right)
        assert sum(found.missing.values()) == whole.missing
        assert sum(found.unparsed.values()) == whole.unparsed
