"""What public functions may be given, by their signatures: anything else is refused before a store is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from themis.pure.errors import SpecError
from themis.pure.stats.arguments import checked_arguments

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse arguments that its signature does not allow, with a `SpecError` that lists them all.

    What is given for a store, `themis.api.stores.at_hand` checks.
    """
    return checked_arguments(function, error=SpecError, but=("store", "store_a", "store_b"))
