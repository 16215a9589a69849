"""What the first Ctrl-C says where the run can't stop at once; that the second one exits, tests of commands say."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from themis.effects import interrupts
from themis.effects.interrupts import second_interrupt_exits


@pytest.fixture
def pressed() -> Iterator[list[int]]:
    """Take SIGINT without stopping, as a component does that is busy."""
    found: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: found.append(number))
    yield found
    signal.signal(signal.SIGINT, before)


def timers() -> list[threading.Timer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_who_waits_is_told_that_another_one_exits(
    pressed: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interrupts, "_PATIENCE", 0.0)
    with second_interrupt_exits():
        assert timers() == []
        signal.raise_signal(signal.SIGINT)
        for timer in timers():
            timer.join()
    assert pressed == [signal.SIGINT]
    assert "Ctrl-C again exits at once" in capfd.readouterr().err


def test_who_need_not_wait_is_told_nothing(pressed: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    with second_interrupt_exits():
        signal.raise_signal(signal.SIGINT)
    for timer in timers():
        timer.join()
    assert (pressed, capfd.readouterr().err) == ([signal.SIGINT], "")
