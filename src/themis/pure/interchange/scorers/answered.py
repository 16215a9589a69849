"""What a rule is given, and what all rules share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from themis.pure.components.text.patterns import compiled, longest_text
from themis.pure.interchange.exported import text_of
from themis.pure.json import JSONValue
from themis.pure.records.dataset import Case


@attrs.frozen
class Answered:
    """An answer that a tool scored.

    Attributes:
        case: what was asked.
        answers: all answers to it, in order; `None` stands for one that failed.
        index: which one was scored.
    """

    case: Case
    answers: Sequence[JSONValue]
    index: int = 0

    @property
    def answer(self) -> JSONValue:
        return self.answers[self.index]

    @property
    def text(self) -> str:
        return text_of(self.answer)


Rule: TypeAlias = Callable[[Answered, Mapping[str, Any]], float | None]
"""Returns what a tool scores an answer, by the options that its log states; `None` where that can't be told."""


@functools.lru_cache(maxsize=256)
def pattern_of(pattern: str, flags: str = "") -> re.Pattern[str] | None:
    """Return a stranger's pattern; `None` if it is none, or could take longer than anyone waits."""
    try:
        return compiled(f"(?{flags}){pattern}" if flags else pattern)
    except (ValueError, RecursionError, OverflowError):
        return None


def is_short(text: str, pattern: re.Pattern[str]) -> bool:
    """Tell whether a text may be searched for a pattern."""
    return len(text) <= longest_text(pattern.pattern)
