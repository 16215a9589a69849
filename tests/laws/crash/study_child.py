"""A study in a process of its own: `python study_child.py SETTINGS_JSON`, to be killed at any moment.

It logs every answer that it was told is durable, with the time and the request that it answers, a line each, and
prints at the end what came of the study. Its endpoints are served elsewhere, and outlive it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from themis import Study
from themis.pure.events import GenerationCompletedEvent, RunEvent
from themis.pure.json import content_hash

PROMPTS = {"plain": None, "asked": {"template": "Q: {input}"}}


@attrs.frozen(kw_only=True)
class Settings:
    """What a study is like: `store`, `log`, the endpoints' addresses, and its size."""

    store: str
    log: str
    urls: Sequence[str]
    cases: int
    samples: int
    temperatures: Sequence[float]

    @property
    def calls(self) -> int:
        """How many calls it makes, if each is made once."""
        return len(self.urls) * len(PROMPTS) * 2 * len(self.temperatures) * self.cases * self.samples

    def as_json(self) -> str:
        return json.dumps(attrs.asdict(self))


@attrs.frozen
class Acknowledgements:
    """Lines that survive a SIGKILL: each is one write to the operating system."""

    file: int

    def on_event(self, event: RunEvent) -> None:
        if isinstance(event, GenerationCompletedEvent) and event.result is not None:
            request = content_hash((event.result.artifacts or {})["request"])
            os.write(self.file, f"{time.monotonic()!r} {request}\n".encode())


def study(settings: Settings) -> Study:
    def cases(operator: str) -> list[dict[str, Any]]:
        return [
            {"case_id": f"{n}", "input": f"{n} {operator} {n}", "expected_output": "yes"} for n in range(settings.cases)
        ]

    return Study(
        name="killed",
        models={f"m{number}": {"id": f"vllm/m{number}", "base_url": url} for number, url in enumerate(settings.urls)},
        prompts=PROMPTS,
        datasets={"sums": cases("+"), "products": cases("*")},
        options={"temperature": settings.temperatures},
        generation={"candidate_policy": {"num_samples": settings.samples}},
        evaluation={"metrics": "builtin/exact_match"},
        storage=settings.store,
        runtime={
            "max_concurrent_tasks": 12,
            "generation_retry_attempts": 30,
            "generation_retry_delay": 0.005,
            "generation_retry_backoff": 1.2,
            "provider_rate_limits": {"vllm": 12_000},
        },
    )


def main(text: str) -> None:
    settings = Settings(**json.loads(text))
    file = os.open(Path(settings.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    result = study(settings).run(subscribers=[Acknowledgements(file)])
    errors = sum(each.errors for each in result.statuses())
    sys.stdout.write(f"{result.status} {len(result)} {errors} {result.study_id} {result.digest}\n")


if __name__ == "__main__":
    main(sys.argv[1])
