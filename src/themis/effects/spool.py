"""Answers made elsewhere, laid aside in a scratch file: checked and counted before a run begins, then found by case.

A log names its samples in any order, and a run wants them case by case. What is laid aside is a SQLite file of its own
in a temporary folder, so that a log of a million answers takes no more memory than one of a thousand.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from themis.effects.stores.base import ReadCases
from themis.pure.errors import DataError, ThemisError, listed
from themis.pure.interchange.records import IMPORTED, ImportedScore, LoggedSample, Tally
from themis.pure.json import content_hash, decode, encode
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.generation import GenerationResult
from themis.pure.text import shortened

_SCHEMA: Final = """
CREATE TABLE cases (no INTEGER PRIMARY KEY, case_id TEXT UNIQUE, content BLOB, place TEXT);
CREATE TABLE answers (no INTEGER, place_no INTEGER, content BLOB, place TEXT, PRIMARY KEY (no, place_no))
    WITHOUT ROWID;
"""
_FAULTS_SHOWN: Final = 10
_PLACES_SHOWN: Final = 3
_LONGEST_NAME: Final = 80


class Faults:
    """What is wrong with a file: each problem once, with the first places that have it."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, place: str, problem: str) -> None:
        places = self._places.setdefault(problem, [])
        if len(places) < _PLACES_SHOWN:
            places.append(place)
        else:
            self._more[problem] = self._more.get(problem, 0) + 1

    def refuse(self, headline: str) -> None:
        """Raise all that was found.

        Raises:
            DataError: anything was.
        """
        if not self._places:
            return
        lines = [f"{self._where(problem)}{problem}" for problem in list(self._places)[:_FAULTS_SHOWN]]
        left = len(self._places) - len(lines)
        raise DataError(listed(headline, [*lines, f"and {left} more"] if left else lines))

    def _where(self, problem: str) -> str:
        places = [place for place in self._places[problem] if place]
        more = self._more.get(problem, 0)
        return ", ".join(places) + (f" and {more:,} more: " if more else ": ") if places else ""


class Spool:
    """Cases and their answers, laid aside on disk until it is closed."""

    def __init__(self, dataset_id: str) -> None:
        self.dataset_id: str = dataset_id
        self.samples: int = 0
        self.failed: int = 0
        self.empty: int = 0
        self.scores: dict[str, Tally] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="themis-import-")
        self._db = sqlite3.connect(Path(self._folder.name) / "spool.sqlite3", check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_SCHEMA}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()
        self._folder.cleanup()

    # --- taking in ----------------------------------------------------------------------------------------

    def fill(self, samples: Iterable[LoggedSample], faults: Faults) -> None:
        """Take samples in; what is wrong with one is noted, and with the file ends the reading."""
        try:
            for sample in samples:
                self._take(sample, faults)
        except ThemisError as error:
            faults.add("", str(error))

    def _take(self, sample: LoggedSample, faults: Faults) -> None:
        case, content = sample.case, encode(sample.case.to_dict())
        found = self._db.execute("SELECT no, content, place FROM cases WHERE case_id = ?", [case.case_id]).fetchone()
        if found is None:
            number = len(self)
            self._db.execute("INSERT INTO cases VALUES (?, ?, ?, ?)", [number, case.case_id, content, sample.place])
            self._count = number + 1
        else:
            number, known, place = found
            if known != content:
                differs = _difference(decode(known), decode(content))
                faults.add(
                    sample.place,
                    f"case {_called(case)} has another {differs} than at {place}; rows of one case are its answers, "
                    "and say the same of it",
                )
                return
        if sample.result is None and sample.error is None:
            self._add_scores(number, sample, faults)
            return
        index = sample.index
        if index is None:
            row = self._db.execute("SELECT max(place_no) FROM answers WHERE no = ?", [number]).fetchone()
            index = 0 if row[0] is None else row[0] + 1
        try:
            self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", [number, index, _kept(sample), sample.place])
        except sqlite3.IntegrityError:
            place = self._db.execute(
                "SELECT place FROM answers WHERE no = ? AND place_no = ?", [number, index]
            ).fetchone()[0]
            faults.add(sample.place, f"answer {index} of case {_called(case)} is at {place} already")
            return
        self.samples += 1
        self.failed += sample.result is None
        self.empty += sample.result is not None and sample.result.is_empty
        self._count_scores(sample)

    def _add_scores(self, number: int, sample: LoggedSample, faults: Faults) -> None:
        """Put scores that stand apart to the answer that they are of."""
        key = [number, sample.index or 0]
        row = self._db.execute("SELECT content FROM answers WHERE no = ? AND place_no = ?", key).fetchone()
        if row is None:
            faults.add(sample.place, f"it scores answer {key[1]} of case {_called(sample.case)}, which is not there")
            return
        kept = decode(row[0])
        if "result" in kept:
            result = _with_scores(GenerationResult.from_dict(kept["result"]), sample)
            self._db.execute(
                "UPDATE answers SET content = ? WHERE no = ? AND place_no = ?",
                [encode({"result": result.to_dict()}), *key],
            )
        self._count_scores(sample)

    def _count_scores(self, sample: LoggedSample) -> None:
        for score in sample.scores:
            self.scores.setdefault(score.name, Tally()).add(score.number)

    _count = 0

    def __len__(self) -> int:
        """Return the number of cases."""
        return self._count

    # --- giving out ---------------------------------------------------------------------------------------

    @functools.cached_property
    def per_case(self) -> int:
        """How many answers the case with the most of them has."""
        return int(self._db.execute("SELECT coalesce(max(place_no) + 1, 1) FROM answers").fetchone()[0])

    @property
    def missing(self) -> int:
        """How many answers are missing for each case to have as many as the one with the most of them."""
        return len(self) * self.per_case - self.samples

    def dataset(self) -> Dataset:
        return Dataset(dataset_id=self.dataset_id, cases=ReadCases(len(self), self._cases))

    def _cases(self) -> Iterator[Case]:
        with contextlib.closing(self._db.cursor()) as rows:
            for (content,) in rows.execute("SELECT content FROM cases ORDER BY no"):
                yield Case.from_dict(decode(content))

    def content(self) -> str:
        """Return the hash of all answers, each with its case's id and its place among the case's answers."""
        hashed = hashlib.sha256()
        with contextlib.closing(self._db.cursor()) as rows:
            for row in rows.execute(
                "SELECT case_id, place_no, answers.content FROM answers JOIN cases USING (no) ORDER BY no, place_no"
            ):
                hashed.update(content_hash([row[0], row[1], decode(row[2])]).encode())
        return hashed.hexdigest()

    def answer(self, case_id: str, index: int) -> GenerationResult | str:
        """Return an answer, or why there is none."""
        row = self._db.execute(
            "SELECT answers.content FROM answers JOIN cases USING (no) WHERE case_id = ? AND place_no = ?",
            [case_id, index],
        ).fetchone()
        if row is None:
            return f"what was imported has no answer {index} to case {case_id!r}"
        kept = decode(row[0])
        return GenerationResult.from_dict(kept["result"]) if "result" in kept else str(kept["error"])


def _called(case: Case) -> str:
    return repr(shortened(case.case_id, _LONGEST_NAME))


def _kept(sample: LoggedSample) -> bytes:
    if sample.result is None:
        return encode({"error": sample.error})
    return encode({"result": _with_scores(sample.result, sample).to_dict()})


def _with_scores(result: GenerationResult, sample: LoggedSample) -> GenerationResult:
    if not sample.scores:
        return result
    artifacts = result.artifacts or {}
    known = artifacts.get(IMPORTED)
    about = known if isinstance(known, Mapping) else {}
    before = about.get("scores")
    scores = [*(before if isinstance(before, list | tuple) else ()), *map(_plain, sample.scores)]
    return result.evolve(artifacts={**artifacts, IMPORTED: {**about, "scores": scores}})


def _plain(score: ImportedScore) -> dict[str, Any]:
    return {name: value for name, value in score.to_dict().items() if value is not None}


_OF_A_CASE: Final = {"input": "input", "expected_output": "reference", "metadata": "metadata"}


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    differing = [
        f"{word} ({shortened(repr(other[name]), 40)} instead of {shortened(repr(one[name]), 40)})"
        for name, word in _OF_A_CASE.items()
        if one[name] != other[name]
    ]
    return " and another ".join(differing)
