"""What every reader of another tool's log makes: runs, and in them samples, each with its place in the file."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import attrs

from themis.pure.errors import DataError
from themis.pure.json import EMPTY, JSONValue, encode
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case
from themis.pure.records.fields import json_object, json_value, named_fields, optional_object, sequence
from themis.pure.records.generation import GenerationResult
from themis.pure.text import shortened

T = TypeVar("T")

IMPORTED: Final = "imported"
"""Begins the id of the generator that stands for answers made elsewhere, and names what else the tool said of one: an
artifact of the generation, and a fact in the provenance of the run."""

SCORERS: Final = "scorers"
"""Names, in the provenance of a run, how its imported scores were made."""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ImportedScore(HashableModel):
    """What another tool scored an answer; it is kept as evidence, and never counts among a run's own scores.

    Attributes:
        name: the tool's name of the scorer.
        value: as the tool has it: a number, a boolean, a word such as `C`, a list or an object; `None` if unscored.
        number: the value as a number, where it is one or the tool reads it as one.
        answer: what the scorer took for the answer.
        explanation: why, in the tool's words.
        scorer: how it scored this answer, if the log says it of each: a `name` of `scorers.table`, and `options`.
    """

    name: str
    value: JSONValue = attrs.field(default=None, converter=json_value)
    number: float | None = None
    answer: str | None = None
    explanation: str | None = None
    scorer: Mapping[str, JSONValue] | None = attrs.field(default=None, converter=optional_object)


@attrs.define
class Tally:
    """How many scores of one name another tool made, how many of them are numbers, and the sum of those."""

    scores: int = 0
    numbers: int = 0
    total: float = 0.0

    def add(self, number: float | None) -> None:
        self.scores += 1
        if number is not None:
            self.numbers += 1
            self.total += number

    @property
    def mean(self) -> float | None:
        """The mean of those that are numbers."""
        return self.total / self.numbers if self.numbers else None


@attrs.frozen(kw_only=True)
class LoggedSample:
    """One answer to one case, as another tool logged it; or, with neither answer nor error, more scores of one.

    Attributes:
        place: where it stands, for errors: `answers.csv:3`.
        case: the case; samples of one case state equal cases.
        index: which of the case's answers it is, from 0; in the order of the file if the log does not say.
        result: the answer; its `candidate_id` is not yet that of a run.
        error: why there is no answer.
        scores: the tool's own.
    """

    place: str
    case: Case
    index: int | None = None
    result: GenerationResult | None = None
    error: str | None = None
    scores: tuple[ImportedScore, ...] = ()


_LONGEST_NAME: Final = 300
_LONGEST_FACT: Final = 2000


def _name(text: str) -> str:
    return shortened(text, _LONGEST_NAME)


def _brief(facts: Mapping[str, JSONValue]) -> Mapping[str, JSONValue]:
    """Return facts with what is too long for one cut or, if it is no text, left out."""
    found = {key: shortened(fact, _LONGEST_FACT) if isinstance(fact, str) else fact for key, fact in facts.items()}
    return json_object({key: fact for key, fact in found.items() if len(encode(fact)) <= 8 * _LONGEST_FACT})


@attrs.frozen(kw_only=True)
class LoggedRun:
    """One run of another tool: one model on one dataset.

    Attributes:
        tool: which; `outputs` for a table of nothing but answers.
        dataset_id: the task or dataset.
        model: what answered, if the log says it.
        version: the tool's version.
        facts: what else the log says of the run, in a few words each.
        lacks: what the log lacks, in words, such as a header that a crash left unwritten.
        read: the names of the files that this run stands in, as far as they hold nothing else.
        part: names the one sample that a file has where a run is many of them; what of a folder has the same tool,
            dataset, model and version is one run, unless a name comes twice.
        scorers: how its scores were made, by their names, as `ImportedScore.scorer`.
        samples: the samples, read as needed.
    """

    tool: str
    dataset_id: str = attrs.field(converter=_name)
    model: str | None = attrs.field(default=None, converter=attrs.converters.optional(_name))
    version: str | None = attrs.field(default=None, converter=attrs.converters.optional(_name))
    facts: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=_brief)
    lacks: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    read: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    part: str | None = None
    scorers: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=_brief)
    samples: Iterable[LoggedSample]


def joined(parts: Iterable[tuple[T, LoggedRun]]) -> Iterator[tuple[Sequence[T], LoggedRun]]:
    """Yield the runs that parts make, each with what its parts came with."""
    groups: dict[tuple[str | None, ...], list[tuple[T, LoggedRun]]] = {}
    times: Counter[tuple[str | None, ...]] = Counter()
    for part in parts:
        run = part[1]
        key = (run.tool, run.dataset_id, run.model, run.version)
        times[*key, run.part] += 1
        groups.setdefault((*key, str(times[*key, run.part])), []).append(part)
    for found in groups.values():
        runs = [run for _, run in found]
        run = runs[0]
        shared = {name: fact for name, fact in run.facts.items() if all(one.facts.get(name) == fact for one in runs)}
        lacks = tuple(dict.fromkeys(lack for one in runs for lack in one.lacks))
        samples = itertools.chain.from_iterable(one.samples for one in runs)
        yield [place for place, _ in found], attrs.evolve(run, facts=shared, lacks=lacks, samples=samples)


class NothingLoggedError(DataError):
    """A log is whole, and holds no answers."""


class LogFiles(Protocol):
    """The files of a log: a folder's, or the members of an archive; whoever hands them out bounds what is read."""

    @property
    def where(self) -> str:
        """The folder or archive, for errors."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all files, relative to the folder, with `/` between folders."""

    def read(self, name: str) -> bytes:
        """Return a file's content."""

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Yield a file's lines that are not blank, with their numbers."""

    def rows(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield a Parquet file's rows, with their numbers."""


def answer_of(output: JSONValue, **more: Any) -> GenerationResult:
    """Return an answer that was made elsewhere; whoever stores it names its candidate."""
    return GenerationResult(candidate_id=IMPORTED, final_output=output, **more)
