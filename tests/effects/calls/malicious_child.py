"""A run against servers that mean no good, measured: `python malicious_child.py URL...`; prints a line per server.

A line holds the megabytes by which the process's peak memory grew, and the correct and failed cases.
"""

from __future__ import annotations

import resource
import sys

from themis import RuntimeConfig, adapters, evaluate


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(url: str) -> tuple[int, int]:
    rows = [{"case_id": f"c{i}", "input": f"question {i}", "expected_output": f"echo: question {i}"} for i in range(6)]
    result = evaluate(
        model=adapters.openai("tiny", base_url=url),  # all limits as they are by default
        data=rows,
        metric="builtin/exact_match",
        runtime=RuntimeConfig(generation_retry_attempts=2, generation_retry_delay=0.001),
    )
    counts = result.benchmark.outcome_counts["builtin/exact_match"]
    return counts["correct"], counts["error"]


def main(good: str, *urls: str) -> None:
    run(good)  # what is loaded and opened once is no part of what a malicious server costs
    for url in urls:
        before = peak_mb()
        correct, failed = run(url)
        print(f"{peak_mb() - before:.0f} {correct} {failed}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
