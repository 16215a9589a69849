"""Worker processes: answers come in order, what goes wrong is said, and nothing is held that need not be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from themis.effects.jobs import JobError, in_order

WORKER = "tests.effects.odd_worker"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    monkeypatch.chdir(Path(__file__).parents[2])


def test_answers_are_in_order_and_lines_are_taken_as_answers_are() -> None:
    taken = 0

    def lines() -> Iterator[int]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield number

    answers = in_order(WORKER, None, lines(), 2)
    assert list(itertools.islice(answers, 50)) == [2 * number for number in range(50)]
    assert taken <= 54
    answers.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.parametrize(
    ("setup", "line", "said"),
    [
        ("refuse", 1, r"it is not to be done\Z"),
        (None, "die", r"died: (.*\n)*these are my last words\Z"),
        (None, "vanish", r"a worker process died: "),
    ],
)
def test_what_goes_wrong_in_a_worker_is_said(setup: Any, line: Any, said: str) -> None:
    with pytest.raises(JobError, match=said):
        list(in_order(WORKER, setup, [line, 1, 2, 3, 4, 5, 6], 1))
