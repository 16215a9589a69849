"""Measures one package in its own interpreter; imports nothing but the standard library."""

import json
import sys
import time
from collections.abc import Callable

WARM_UP = 3
"""Cases that are evaluated first, so that what is loaded late is loaded before the clock runs."""


def main(run: Callable[[int], int], version: str) -> None:
    """Time `run` over as many cases as the command line says; it returns how many were correct."""
    count = int(sys.argv[1])
    run(WARM_UP)
    began = time.perf_counter()
    correct = run(count)
    seconds = time.perf_counter() - began
    if correct != count:
        raise SystemExit(f"{correct} of {count} cases came out as correct; all should have")
    print(json.dumps({"seconds": seconds, "version": version}))
