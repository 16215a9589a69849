"""What reading an answer comes to: a value with the rule that found it, or the reason why there is none."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Extraction(Generic[T]):
    """The outcome of one extraction.

    Attributes:
        value: what was found, or `None`.
        rule: the name of the rule that decided, such as `boxed`; empty where none did.
        invalid: the answer is unusable (it contradicts itself, say), which is more than finding nothing.
        reason: why there is no value.
    """

    value: T | None
    rule: str = ""
    invalid: bool = False
    reason: str = ""


def found(value: T, rule: str) -> Extraction[T]:
    """Return a value and the rule that found it."""
    return Extraction(value, rule)


def nothing(reason: str) -> Extraction[T]:
    """Return that the answer does not say."""
    return Extraction(None, reason=reason)


def unusable(reason: str, rule: str = "") -> Extraction[T]:
    """Return that what the answer says can't be used."""
    return Extraction(None, rule, True, reason)
