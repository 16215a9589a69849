"""The benchmark suite: `python -m benchmarks [--quick]` prints one table and writes `benchmarks/results.json`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import floor

SIZES = (1_000, 20_000, 100_000)


def run(module: str, *arguments: object) -> dict[str, float]:
    """Return what a measurement in a process of its own printed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(quick: bool) -> None:
    rounds = 1 if quick else 3
    results = []
    print(f"{'store':<8} {'cases':>8} {'cases/s':>9} {'us/case':>9} {'floor/s':>9} {'ratio':>6} {'peak MB':>8}")
    for store in ("memory", "sqlite"):
        for cases in SIZES[:2] if quick else SIZES:
            # The floor is measured between the rounds, so that both meet the same weather.
            pairs = [(floor.measure(20_000), run("engine", store, cases)) for _ in range(rounds)]
            speed = statistics.median(found["cases_per_s"] for _, found in pairs)
            ratio = statistics.median(found["cases_per_s"] / base for base, found in pairs)
            base = statistics.median(base for base, _ in pairs)
            peak = max(found["peak_mb"] for _, found in pairs)
            results.append(
                {"store": store, "cases": cases, "cases_per_s": speed, "floor_ratio": ratio, "peak_mb": peak}
            )
            print(
                f"{store:<8} {cases:>8} {speed:>9.0f} {1e6 / speed:>9.1f} {base:>9.0f} {ratio:>6.2f} {peak:>8.0f}",
                flush=True,
            )
    Path(__file__).with_name("results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main("--quick" in sys.argv)
