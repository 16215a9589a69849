"""What the writers of other tools' logs share: what a log says of its run, and what is said of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from themis.pure.json import JSONValue, canonical_bytes
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState


@attrs.frozen(kw_only=True)
class Logged:
    """What a log says of its run.

    Attributes:
        run_id: the run's.
        model: what answered.
        agent: what of Themis, or of another tool, asked the model.
        task: what it answered.
        version: of Themis.
        began, ended: when.
        answers: how many answers a case has.
        name: what the run is called.
    """

    run_id: str
    model: str
    agent: str
    task: str
    version: str
    began: datetime
    ended: datetime
    answers: int = 1
    name: str | None = None


def scores_of(rows: Sequence[BenchmarkScoreRow], state: CaseState, index: int) -> list[BenchmarkScoreRow]:
    """Return those of a case's rows that have a value and are of an answer.

    What compares candidates, or is of the one that they were reduced to, stands with the first.
    """
    candidate = state.candidates.get(index)
    name = None if candidate is None else candidate.candidate_id
    own = {each.candidate_id for each in state.candidates.values()}
    return [
        row
        for row in rows
        if row.value is not None and (row.candidate_id == name if row.candidate_id in own else index == 0)
    ]


def text_of(value: JSONValue) -> str:
    """Return a text as it is, and anything else as canonical JSON."""
    return value if isinstance(value, str) else canonical_bytes(value).decode()


def turns_of(value: JSONValue) -> Sequence[Mapping[str, JSONValue]] | None:
    """Return an input that is messages as those; `None` if it is something else."""
    if not isinstance(value, list | tuple) or not value:
        return None
    turns = [each for each in value if isinstance(each, Mapping) and isinstance(each.get("role"), str)]
    return turns if len(turns) == len(value) else None


_NO_NAME: Final = re.compile(r"[^\w.,=+@-]+")


def in_a_name(text: str, longest: int) -> str:
    """Return what of a text can stand in the name of a file.

    >>> in_a_name("../org/model: 7b", 60)
    '.._org_model_7b'
    """
    return _NO_NAME.sub("_", text)[:longest]
