"""The starter project that `themis init` writes: an experiment that runs as it is, without a key or a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from themis.api.config.schema import config_schema
from themis.pure.errors import SpecError, listed

_EXPERIMENT: Final = """\
# yaml-language-server: $schema=./config.schema.json
# `themis run experiment.yaml` runs this, and running it again goes on from what is stored.

generation:
  # A demo that answers right in about 3 of 4 cases and needs no key. A real one is named by provider and model:
  #   generator: {id: openai/gpt-4o, temperature: 0.0, max_tokens: 64}
  # and reads its key from the environment (OPENAI_API_KEY) when it is called.
  generator: builtin/demo_model
  prompt_spec:
    instructions: Answer with the number alone.

evaluation:
  parsers: builtin/text
  metrics:
    - builtin/exact_match
    - metrics:close_enough

datasets:
  - dataset_id: sums
    path: questions.jsonl

storage:
  store: sqlite
  parameters: {path: runs/themis.sqlite3}

runtime:
  max_concurrent_tasks: 8
"""

_METRICS: Final = '''\
"""Metrics of your own: a function of the parsed answer and the case."""

from themis import Case, ParsedOutput, metric


@metric
def close_enough(parsed: ParsedOutput, case: Case) -> float:
    """Score 1 if the answer is at most 1 away from the reference, else 0; text that is no number scores 0."""
    try:
        return float(abs(float(str(parsed.value)) - float(str(case.expected_output))) <= 1)
    except ValueError:
        return 0.0
'''

_IGNORED: Final = "runs/\n__pycache__/\n"


def _questions() -> str:
    pairs = [(a, b) for a in range(1, 6) for b in range(2, 10)]
    rows = [{"case_id": f"{a}+{b}", "input": f"What is {a} + {b}?", "expected_output": str(a + b)} for a, b in pairs]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def write_starter(folder: Path, *, replace: bool = False) -> list[Path]:
    """Write the starter project and return the files' paths.

    Raises:
        SpecError: a file is there already and may not be replaced; all of them at once, and nothing is written.
    """
    texts = {
        "experiment.yaml": _EXPERIMENT,
        "questions.jsonl": _questions(),
        "metrics.py": _METRICS,
        "config.schema.json": json.dumps(config_schema(), indent=2) + "\n",
        ".gitignore": _IGNORED,
    }
    files = {folder / name: text for name, text in texts.items()}
    present = [str(path) for path in files if path.exists()]
    if present and not replace:
        raise SpecError(listed("a file is there already; name another folder, or replace it with --force", present))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)
