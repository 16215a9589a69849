"""What is evaluated: cases, and the datasets that hold them."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from themis.pure.errors import DataError, InvalidRecordError, ThemisError
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import a_list, facts, json_value, named_fields, non_empty, text_mapping


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Case(HashableModel):
    """One question to a model.

    Attributes:
        case_id: unique within its dataset.
        input: what the model is asked: text, a list of messages, or any JSON.
        expected_output: the reference, if there is one.
        metadata: facts about the case, such as its topic: text, numbers, booleans or lists. A key may name its group,
            or its cluster.
    """

    case_id: str = attrs.field(validator=non_empty)
    input: JSONValue = attrs.field(converter=json_value)
    expected_output: JSONValue = attrs.field(default=None, converter=json_value)
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=facts)

    def __attrs_post_init__(self) -> None:
        if self.input is None:
            raise DataError(f"case {self.case_id!r} has no input; every case needs one")


@attrs.frozen(kw_only=True)
class CaseName(HashableModel):
    """Names a case of a run: by its id, its dataset's, and the key made of both, which is unique within the run."""

    case_id: str
    dataset_id: str
    case_key: str


class CaseSource(abc.ABC):
    """Cases that are read as needed, in the same order each time: a file, or a table of a store."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Case]:
        """Yield the cases from the first on."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of cases."""

    def part(self, wanted: range) -> Iterator[Case]:
        """Yield consecutive cases; a source that can begin in its middle does so."""
        return itertools.islice(self, wanted.start, wanted.stop)

    def further_fields(self) -> Sequence[str]:
        """Return what the source's rows hold beside what makes a case, as far as it is known."""
        return tuple(next(iter(self)).metadata) if len(self) else ()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CaseSource | tuple):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((len(self), next(iter(self), None)))


def _cases(value: Iterable[Case | Mapping[str, JSONValue]]) -> tuple[Case, ...] | CaseSource:
    if isinstance(value, CaseSource):
        return value
    cases: list[Case] = []
    faults: list[str] = []
    for i, item in enumerate(a_list(value, "cases", "cases")):
        try:
            cases.append(item if isinstance(item, Case) else Case.from_dict(item))
        except ThemisError as error:
            faults.append(f"cases[{i}]: {error}")
    if faults:
        raise InvalidRecordError("Dataset", faults)
    return tuple(cases)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Dataset(HashableModel):
    """A named list of cases.

    Attributes:
        dataset_id: the name of the dataset, unique within an experiment.
        cases: the cases: any iterable of cases or plain mappings, kept as a tuple, or a lazy `CaseSource`.
        revision: the version of the data, such as a hub's commit.
        metadata: facts about the dataset; metrics can read them.
    """

    dataset_id: str = attrs.field(validator=non_empty)
    cases: tuple[Case, ...] | CaseSource = attrs.field(converter=_cases)
    revision: str | None = None
    metadata: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)

    def further_fields(self) -> Sequence[str]:
        """Return what the first case's row holds beside what makes a case: the fields of its metadata, if no more."""
        if isinstance(self.cases, CaseSource):
            return self.cases.further_fields()
        return tuple(self.cases[0].metadata) if self.cases else ()

    def to_dict(self) -> dict[str, Any]:
        """Return the dataset as plain data, its cases included."""
        whole = self if isinstance(self.cases, tuple) else self.evolve(cases=tuple(self.cases))
        return super(Dataset, whole).to_dict()
