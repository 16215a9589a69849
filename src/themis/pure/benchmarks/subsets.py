"""Parts of a benchmark: which cases, in which order, how many; as data, so that a run's record says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from themis.pure.errors import SpecError, nearest
from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case
from themis.pure.records.fields import json_object, named_fields


def _wanted(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if value is None:
        return EMPTY
    if not isinstance(value, Mapping):
        raise SpecError(
            "filter: metadata fields with the values wanted expected, such as {'category': ['math']}; found "
            f"{type(value).__name__} {value!r}"
        )
    return json_object(
        {
            name: [item] if isinstance(item, str) or not isinstance(item, Sequence) else list(item)
            for name, item in value.items()
        }
    )


def _count(record: Subset, field: Any, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise SpecError(f"{field.name}: a whole number from 1 up expected, found {value!r}")


def _seed(record: Subset, field: Any, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise SpecError(f"{field.name}: a seed (a whole number) expected, found {value!r}")


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Subset(HashableModel):
    """A part of a benchmark.

    Attributes:
        limit: take only the first cases.
        shuffle: a seed: take the cases in an order that depends on it and their ids alone, so that a larger limit
            keeps the cases of a smaller one, and new cases in the data don't re-order the others.
        filter: metadata fields with the values wanted: `{"category": ["math", "physics"]}`.
    """

    limit: int | None = attrs.field(default=None, validator=_count)
    shuffle: int | None = attrs.field(default=None, validator=_seed)
    filter: Mapping[str, Any] = attrs.field(default=EMPTY, converter=_wanted)

    def check_fields(self, fields: Sequence[str]) -> None:
        """Refuse a filter by a field that no case can have.

        Raises:
            SpecError: names the fields there are.
        """
        for name in self.filter:
            if name not in fields:
                known = nearest(name, fields) if fields else "this benchmark's cases have no metadata"
                raise SpecError(f"filter: cases have no field {name!r}; {known}")

    def holds(self, case: Case) -> bool:
        """Tell whether a case passes the filter; a case without the field does not."""
        return all(case.metadata.get(name) in [str(value) for value in wanted] for name, wanted in self.filter.items())

    def facts(self) -> dict[str, str]:
        """Return what makes the part a part, as a dataset's metadata."""
        taken = {"limit": self.limit, "shuffle": self.shuffle}
        return {
            **{name: str(value) for name, value in taken.items() if value is not None},
            **{f"filter.{name}": ", ".join(map(str, wanted)) for name, wanted in sorted(self.filter.items())},
        }
