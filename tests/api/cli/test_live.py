"""How far a run is, where stderr is a file or a pipe: seldom, and at once where an endpoint makes it wait."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator

import pytest

from themis.api.cli import live
from themis.effects.options import Progress


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_INTERVAL_S", 0.001)
    monkeypatch.setattr(live, "_LOG_INTERVAL_S", 0.05)


def until_said(out: io.StringIO, text: str) -> list[str]:
    for _ in range(2_000):
        if text in out.getvalue():
            break
        time.sleep(0.005)
    return out.getvalue().splitlines()


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[io.StringIO]:
    with contextlib.redirect_stderr(io.StringIO()) as out, live.shown(progress):
        yield out


@pytest.mark.usefixtures("fast")
def test_a_line_now_and_then() -> None:
    with shown(Progress(total=10, done=4)) as stderr:
        lines = until_said(stderr, "4/10 done")
    assert lines[0].startswith("themis: ")


def test_a_short_run_says_nothing() -> None:
    with shown(Progress(total=1, done=1)) as stderr:
        pass
    assert not stderr.getvalue()


def test_a_long_wait_is_said_at_once_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_INTERVAL_S", 0.001)
    progress = Progress(total=10)
    with shown(progress) as stderr:
        progress.wait("openai", 2.0)
        progress.wait("groq", 250.0)
        lines = until_said(stderr, "groq")
        for _ in range(20):
            progress.wait("groq", 250.5)
            time.sleep(0.002)
        assert until_said(stderr, "groq") == lines
    assert "groq asked to be left alone until " in lines[0]
    assert "(250 s)" in lines[0]


def test_the_line_of_a_terminal_names_who_waits() -> None:
    progress = Progress()
    assert live.waits(progress, time.monotonic()) == ""
    progress.wait("openai", 280.0)
    assert "openai asked to be left alone until" in live.waits(progress, time.monotonic())
    assert live.waits(progress, time.monotonic() + 281.0) == ""
