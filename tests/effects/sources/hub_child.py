"""Loads benchmarks as the environment says, in a process of its own: the hub's library reads its settings once.

Takes names and revisions as JSON on standard input, and prints for each what came of it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from themis.api.catalog.benchmark import Benchmark
from themis.pure.errors import ThemisError


def outcome(name: str, options: dict[str, Any]) -> dict[str, Any]:
    try:
        dataset = Benchmark.named(name).dataset(source="hub", **options)
    except ThemisError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "revision": dataset.revision,
        "ids": [case.case_id for case in dataset.cases],
        "content_hash": dataset.metadata["content_hash"],
    }


if __name__ == "__main__":
    print(json.dumps([outcome(name, options) for name, options in json.load(sys.stdin)]))
