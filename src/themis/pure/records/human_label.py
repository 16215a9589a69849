"""What a person says an answer should score."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final, TypeAlias

import attrs

from themis.pure.records.base import HashableModel
from themis.pure.records.fields import as_number, checked_texts, text

LabelValue: TypeAlias = float | bool | str | None
"""A score, right or wrong, or a category in words; `None` takes a label back."""

_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "correct", "right", "pass"), True),
    **dict.fromkeys(("false", "no", "incorrect", "wrong", "fail"), False),
}


def _as_value(value: LabelValue) -> LabelValue:
    """Take whole numbers as numbers, so that 1 and 1.0 are the same label."""
    return value if value is None or isinstance(value, bool | str) else as_number(value)


def _is_text(record: object, field: Any, value: LabelValue) -> None:
    if isinstance(value, str):
        text(record, field, value)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class HumanLabel(HashableModel):
    """One person's label of one answer, for one metric.

    Attributes:
        case_id: the case.
        dataset_id: its dataset; needed where two have a case of this id.
        candidate_id: which answer, where a case has several; `None` where it has one.
        metric_id: the metric whose score it is held against.
        value: a number on the metric's scale, `True` or `False`, or a category in words; `None` takes an earlier label
            of the same person, answer and metric back.
        who: who gave it.
        note: why.
        probability: with what probability the answer was chosen to be labelled; `None` in a simple random sample.
        given_at: when; of one that is to be stored, now if it is not said.
        outdated: the answer was made anew since, and is another one: the label counts no more.
    """

    case_id: str
    dataset_id: str | None = None
    candidate_id: str | None = None
    metric_id: str
    value: LabelValue = attrs.field(converter=_as_value, validator=_is_text)
    who: str
    note: str = ""
    probability: float | None = None
    given_at: datetime | None = None
    outdated: bool = False

    @property
    def score(self) -> float | None:
        """The label on the metric's scale: 1 for right and 0 for wrong; `None` for words."""
        return label_score(self.value)


def label_score(value: LabelValue) -> float | None:
    """Return a label on its metric's scale; `None` for words, and for one that was taken back."""
    return None if value is None or isinstance(value, str) else float(value)


def read_label_value(text: str) -> LabelValue:
    """Return the value that a text states: a number, right or wrong by one of their names, or the words themselves.

    >>> [read_label_value(text) for text in ("0.5", "Correct", "no", "too long")]
    [0.5, True, False, 'too long']
    """
    text = text.strip()
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in text else text
