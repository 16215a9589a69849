"""Where a run stands, by its last event: decided in one function, whoever asks."""

from __future__ import annotations

import pytest

from themis.pure.state import status_of


@pytest.mark.parametrize(
    ("last_event", "status"),
    [
        (None, "pending"),
        ("", "pending"),
        ("run_started", "running"),
        ("score_completed", "running"),
        ("generation_failed", "running"),
        ("run_completed", "completed"),
        ("run_failed", "failed"),
    ],
)
def test_the_last_event_says_where_a_run_stands(last_event: str | None, status: str) -> None:
    assert status_of(last_event).value == status


def test_a_run_without_an_end_is_interrupted_where_nobody_writes_it() -> None:
    for begun in ("run_started", "score_completed"):
        assert status_of(begun, is_interrupted=lambda: True).value == "interrupted"
        assert status_of(begun, is_interrupted=lambda: False).value == "running"
    for last_event in (None, "run_completed", "run_failed"):
        assert status_of(last_event, is_interrupted=lambda: True) == status_of(last_event)


def test_failures_are_asked_for_only_where_they_decide() -> None:
    def unasked() -> bool:
        raise AssertionError

    for last_event in (None, "run_started", "run_failed"):
        status_of(last_event, unasked)
    assert status_of("run_completed", lambda: 1).value == "partial_failure"
    assert status_of("run_completed", lambda: 0).value == "completed"
