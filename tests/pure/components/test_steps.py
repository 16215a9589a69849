"""The limit on steps holds also where something on the way keeps what it raises."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from themis.pure.components.steps import StepLimitReached, limited

MANY = 2_000_000


def one() -> int:
    return 1


class Finalized:
    """Is done with in the middle of a computation, and takes so many steps that the limit is met there."""

    def __del__(self) -> None:
        for _ in range(10_000):
            one()


def after_a_finalizer() -> str:
    Finalized()
    for _ in range(MANY):
        one()
    return "it was not stopped"


def after_it_was_caught() -> str:
    try:
        for _ in range(10_000):
            one()
    except BaseException:  # as no code should
        pass
    for _ in range(MANY):
        one()
    return "it was not stopped"


@pytest.mark.parametrize("compute", [after_a_finalizer, after_it_was_caught])
def test_a_computation_that_kept_the_limit_s_exception_is_stopped_all_the_same(
    compute: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: None)  # nobody can catch what a finalizer raises
    before = sys.gettrace(), sys.getprofile()
    with pytest.raises(StepLimitReached):
        limited(5_000, compute)
    assert (sys.gettrace(), sys.getprofile()) == before
