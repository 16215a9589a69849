"""Law 7 for the store of JSON lines: an edit of any field of any kind of line that changes a number is never verified.

A crash may cut the last line short, or lose a batch that was not acknowledged: that is verified in part.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from themis import JsonlRunStore, RunResult, verify
from themis.pure.errors import ThemisError
from themis.testing.pipelines import Pipeline

PIPELINE = Pipeline(
    cases=3,
    samples=2,
    generator=("right", "wrong"),
    reducer=("right",),
    parser=("right", "right", "null"),
    metrics=(("right",), ("right", "error")),
    judge=("right", "wrong"),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("edits") / "log"
    experiment = PIPELINE.experiment()
    with JsonlRunStore(folder) as store:
        result = experiment.run(store=store)
        assert verify(store, result.run_id, experiment=experiment).verdict == "verified"
        return folder, result.run_id, result.digest


def other(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"x{value[1:]}" if value[:1] != "x" else f"y{value[1:]}"
    if isinstance(value, list):
        return value[:-1] if value else ["x"]
    if isinstance(value, dict):
        return {key: other(item) for key, item in value.items()} or {"x": "y"}
    return "x"


def edited(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what can be done to a file of JSON lines: each field of each kind of line, and whole lines."""
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines):
        data = json.loads(line)
        for field in data:
            kind = str(data.get("event_type", "line"))
            if (kind, field) not in seen:
                seen.add((kind, field))
                new = json.dumps({**data, field: other(data[field])}, separators=(",", ":"))
                yield f"{kind}.{field} changed", [*lines[:number], new, *lines[number + 1 :]]
                gone = json.dumps({key: item for key, item in data.items() if key != field}, separators=(",", ":"))
                yield f"{kind}.{field} dropped", [*lines[:number], gone, *lines[number + 1 :]]
        yield f"line {number} dropped", [*lines[:number], *lines[number + 1 :]]
        yield f"line {number} twice", [*lines[: number + 1], *lines[number:]]
        yield f"cut before line {number}", lines[:number]
        if number:
            yield f"line {number} swapped", [*lines[: number - 1], line, lines[number - 1], *lines[number + 1 :]]


@pytest.mark.parametrize("name", ["runs/*/events.jsonl", "runs/*/run.json", "datasets/*.jsonl"])
def test_an_edit_that_changes_a_number_is_never_verified(
    original: tuple[Path, str, str], tmp_path: Path, name: str
) -> None:
    folder, run_id, digest = original
    (path,) = folder.glob(name)
    tried = 0
    for what, lines in edited(path.read_text(encoding="utf-8").splitlines()):
        copy = tmp_path / str(tried)
        shutil.copytree(folder, copy)
        (copy / path.relative_to(folder)).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        verdict, now = judged(copy, run_id)
        assert verdict != "verified" or now == digest, what
        tried += 1
    assert tried >= 10


def judged(folder: Path, run_id: str) -> tuple[str, str]:
    """Return what `verify` says of a run and, where it says verified, the digest that it comes to."""
    with JsonlRunStore(folder) as store:
        try:
            verdict = verify(store, run_id, experiment=PIPELINE.experiment()).verdict
        except ThemisError as error:
            return f"refused: {error}", ""
        if verdict != "verified":
            return verdict, ""
        return verdict, RunResult(snapshot=store.load_snapshot(run_id), store=store).digest
