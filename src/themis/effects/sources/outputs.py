"""Tables of answers made elsewhere: each row is one answer to one case, in the columns that fields name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

from themis.effects.sources.files import DEFAULT_IDS, CaseFields
from themis.effects.spool import Faults
from themis.pure.errors import DataError, ThemisError, nearest
from themis.pure.interchange.records import ImportedScore, LoggedSample, answer_of
from themis.pure.json import content_hash, freeze
from themis.pure.records.dataset import Case
from themis.pure.records.fields import is_count, sequence, shown
from themis.pure.rows import MISSING, lookup

T = TypeVar("T")

DEFAULT_OUTPUT: Final = "output"
DEFAULT_SAMPLE: Final = "candidate_index"
DEFAULT_ERROR: Final = "error"
_USAGE: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_MEASURED: Final = (*_USAGE, "token_usage", "latency_ms", "model", "finish_reason")
"""Columns of an answer that are known by their names alone, where they are there."""


class RowError(DataError):
    """What is wrong with one row."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems: Sequence[str] = problems

    def __reduce__(self) -> tuple[type[RowError], tuple[Sequence[str]]]:
        return type(self), (self.problems,)


@attrs.frozen(kw_only=True)
class OutputFields:
    """Which fields of a row make an answer; those of `case` make its case.

    Attributes:
        case: the fields of the case.
        output: the answer; `output` if not given.
        sample: which of the case's answers it is, from 0; `candidate_index` if not given, and then a row may lack it.
        error: why there is no answer, where it is not empty; `error` if not given, and then a row may lack it.
        scores: fields with scores that were made elsewhere too; they are kept beside the run's own.
    """

    case: CaseFields = attrs.field(factory=CaseFields)
    output: str | None = None
    sample: str | None = None
    error: str | None = None
    scores: tuple[str, ...] = attrs.field(default=(), converter=sequence)

    @property
    def _taken(self) -> set[str]:
        return {
            self.output or DEFAULT_OUTPUT,
            self.sample or DEFAULT_SAMPLE,
            self.error or DEFAULT_ERROR,
            *self.scores,
            *_MEASURED,
        }

    def sample_of(self, row: Mapping[str, Any], number: int, place: str) -> LoggedSample:
        """Return a row as an answer to a case; the row's number, from 1, names a case without an id.

        Rows that lack an id but say which of the answers they are belong to one case where all else of it is equal.

        Raises:
            RowError: fields that were asked for are not there, or hold nothing of their kind; all of them.
        """
        faults: list[str] = []

        def part(read: Callable[..., T], *args: Any) -> T | None:
            try:
                return read(*args)
            except ThemisError as error:
                faults.append(str(error))
                return None

        case, index = part(self._case, row, number), part(self._index, row)
        error, scores = part(self._error, row), part(self._scores, row)
        result = part(self._result, row) if error is None and not faults else None
        if faults or case is None:
            raise RowError(faults)
        if index is not None and self.case.case_id is None and all(row.get(name) is None for name in DEFAULT_IDS):
            case = case.evolve(case_id=content_hash([case.input, case.expected_output, case.metadata])[:12])
        return LoggedSample(place=place, case=case, index=index, result=result, error=error, scores=scores or ())

    def _case(self, row: Mapping[str, Any], number: int) -> Case:
        # A column that makes the answer makes nothing of the case, unless it was named for that, too.
        own = {self.case.input, self.case.expected, self.case.case_id, *self.case.metadata}
        return self.case.case({name: row[name] for name in row if name in own or name not in self._taken}, number)

    def _error(self, row: Mapping[str, Any]) -> str | None:
        said = self._found(row, self.error, DEFAULT_ERROR, "error", "--error-field")
        if said is not None and said != "":
            return said if isinstance(said, str) else str(freeze(said))
        name = self.output or DEFAULT_OUTPUT
        output = lookup(row, name)
        if output is MISSING:
            raise DataError(
                f"there is no field {name!r} for the answer; {nearest(name, map(str, row))} Say which field is the "
                f"answer with --output-field (`output_field` in Python) (fields found: {', '.join(map(str, row))})"
            )
        return "the file has no answer here, and no error" if output is None else None

    def _result(self, row: Mapping[str, Any]) -> Any:
        whole = row.get("token_usage")
        usage = whole if isinstance(whole, Mapping) else {}
        stated = {name: row[name] for name in _USAGE if row.get(name) not in (None, "")}
        counts = {name: _count(name, value) for name, value in {**usage, **stated}.items() if value is not None}
        latency = row.get("latency_ms")
        facts = {name: row[name] for name in ("finish_reason", "model") if row.get(name) not in (None, "")}
        return answer_of(
            lookup(row, self.output or DEFAULT_OUTPUT),
            token_usage=counts or None,
            latency_ms=None if latency in (None, "") else _number("latency_ms", latency),
            artifacts=facts or None,
        )

    def _index(self, row: Mapping[str, Any]) -> int | None:
        stated = self._found(row, self.sample, DEFAULT_SAMPLE, "number of the answer", "--sample-field")
        return None if stated is None or stated == "" else _count(self.sample or DEFAULT_SAMPLE, stated)

    def _scores(self, row: Mapping[str, Any]) -> tuple[ImportedScore, ...]:
        found = {name: self._found(row, name, name, "score", "--score-field") for name in self.scores}
        return tuple(ImportedScore(name=name, value=value, number=number_in(value)) for name, value in found.items())

    def _found(self, row: Mapping[str, Any], stated: str | None, usual: str, what: str, option: str) -> Any:
        value = lookup(row, stated or usual)
        if value is not MISSING:
            return value
        if stated is None:
            return None
        raise DataError(
            f"there is no field {stated!r} for the {what} ({option}); {nearest(stated, map(str, row))} "
            f"(fields found: {', '.join(map(str, row))})"
        )


def number_in(value: Any) -> float | None:
    """Return a score as a number, if it is one, or is written as one; of a boolean 1 or 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return {"true": 1.0, "false": 0.0}.get(value.strip().lower()) if isinstance(value, str) else None
    return number if math.isfinite(number) else None


def _count(name: str, value: Any) -> int:
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20:
        text = int(text)
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    if not is_count(text):
        raise DataError(f"{name}: a whole number from 0 on expected, found {shown(value)}")
    return text


def _number(name: str, value: Any) -> float:
    number = None if isinstance(value, bool) else number_in(value)
    if number is None:
        raise DataError(f"{name}: a number expected, found {shown(value)}")
    return number


def samples_of(
    rows: Iterable[tuple[str, Mapping[str, Any]]], fields: OutputFields, faults: Faults
) -> Iterator[LoggedSample]:
    """Yield the answers of rows, which come with their places; what is wrong with a row is noted."""
    for number, (place, row) in enumerate(rows, 1):
        try:
            yield fields.sample_of(row, number, place)
        except RowError as error:
            for problem in error.problems:
                faults.add(place, problem)
