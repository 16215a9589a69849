"""What people call a run: a name and tags. Its attempts tell them, and its identity knows nothing of them."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from themis.pure.errors import InvalidRecordError
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import named_fields, texts


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunLabels(HashableModel):
    """A run's name and tags."""

    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=texts)

    def __attrs_post_init__(self) -> None:
        words = {"name": self.name, **{f"tags[{i}]": tag for i, tag in enumerate(self.tags)}}
        faults = [
            f"{key}: text expected, found {word!r}"
            for key, word in words.items()
            if word is not None and not str(word).strip()
        ]
        if faults:
            raise InvalidRecordError("RunLabels", faults)


def labels_of(attempts: Iterable[RunLabels]) -> RunLabels:
    """Return what a run is called after its attempts, in order.

    Nothing takes a label back: the run has the last name that an attempt gave it, and the tags of all of them.
    """
    name, tags = None, dict[str, None]()
    for attempt in attempts:
        name = attempt.name if attempt.name is not None else name
        tags |= dict.fromkeys(attempt.tags)
    return RunLabels(name=name, tags=tuple(tags))
