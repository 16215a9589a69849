"""The benchmark suite: `python -m benchmarks [--quick] [--stored CASES]` prints one table and writes JSON.

Every row quotes medians over rounds. What a row is compared with (a hand-written floor, a bare httpx loop,
`python -c pass`) is measured beside it in each round, so that both meet the same weather, and the ratio is the
median of the rounds' ratios, with its least and largest. Rows that deal with cases are ratios of cases per second;
rows of starting are how many times as long it takes.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from benchmarks import starting
from benchmarks.processes import floor_file, floor_speed, output, run
from benchmarks.steps import STEPS

RESULTS = Path(__file__).with_name("results.json")
RESUMED = 200_000


@attrs.frozen
class Plan:
    """How much is measured."""

    sizes: Sequence[int] = (1_000, 20_000, 100_000)
    stored: int = 20_000
    rounds: int = 3
    calls: int = 1_500
    starts: int = 15
    floor: int = 20_000


QUICK = Plan(sizes=(1_000, 5_000), stored=2_000, rounds=1, calls=500, starts=5, floor=10_000)


@attrs.frozen
class Row:
    """A line of the table; what does not apply is `None`."""

    name: str
    cases: int | None
    seconds: float
    cpu_us: float | None
    base: str
    base_value: float
    ratios: Sequence[float]
    peak_mb: float

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    def text(self) -> str:
        count = f"{self.cases:,}" if self.cases is not None else ""
        speed = f"{self.cases / self.seconds:,.0f}" if self.cases is not None else ""
        cpu = f"{self.cpu_us:.1f}" if self.cpu_us is not None else ""
        spread = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}"
        base = f"{self.base} {self.base_value:,.4g}"
        return (
            f"{self.name:<15} {count:>8} {self.seconds:>9.3f} {speed:>9} {cpu:>8} "
            f"{base:>22} {self.ratio:>6.2f} {spread:>12} {self.peak_mb:>7.0f}"
        )


HEADER = (
    f"{'what':<15} {'cases':>8} {'seconds':>9} {'cases/s':>9} {'cpu us':>8} "
    f"{'compared with':>22} {'ratio':>6} {'spread':>12} {'peak MB':>7}"
)


def beside_the_floor(name: str, cases: int, pairs: Sequence[tuple[float, dict[str, float]]]) -> Row:
    return Row(
        name=name,
        cases=cases,
        seconds=statistics.median(found["seconds"] for _, found in pairs),
        cpu_us=statistics.median(found["cpu_s"] / cases * 1e6 for _, found in pairs),
        base="floor/s",
        base_value=statistics.median(base for base, _ in pairs),
        ratios=[found["per_s"] / base for base, found in pairs],
        peak_mb=max(found["peak_mb"] for _, found in pairs),
    )


def engine_rows(plan: Plan) -> Iterator[Row]:
    for store in ("memory", "sqlite"):
        for cases in plan.sizes:
            pairs = [(floor_speed(plan.floor), run("engine", store, cases)) for _ in range(plan.rounds)]
            yield beside_the_floor(f"run: {store}", cases, pairs)


def http_rows(plan: Plan) -> Iterator[Row]:
    command = [sys.executable, "-m", "benchmarks.http_throughput", "--json", str(plan.calls), str(plan.rounds)]
    found = json.loads(output(command))
    bare, *ours = found["rows"]
    for row in ours:
        seconds = plan.calls / row["per_s"]
        peak = found["peak_mb"]
        yield Row(f"http: {row['name']}", plan.calls, seconds, None, "httpx/s", bare["per_s"], row["ratios"], peak)


def step_rows(plan: Plan) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        run("steps", "prepare", plan.stored, folder)
        found: dict[str, list[tuple[float, dict[str, float]]]] = {step: [] for step in STEPS}
        for _ in range(plan.rounds):
            for step, pairs in found.items():
                pairs.append((floor_speed(plan.floor), run("steps", step, plan.stored, folder)))
        for step, pairs in found.items():
            yield beside_the_floor(step, plan.stored, pairs)


def starting_rows(plan: Plan) -> Iterator[Row]:
    found = starting.compare(plan.starts)
    bare, *ours = found.values()
    for name, seconds in zip(list(found)[1:], ours, strict=True):
        ratios = [own / other for own, other in zip(seconds, bare, strict=True)]
        median, base = statistics.median(seconds), statistics.median(bare)
        yield Row(name, None, median, None, "python s", base, ratios, starting.peak_mb(name))


def rows(plan: Plan) -> Iterator[Row]:
    yield from starting_rows(plan)
    yield from engine_rows(plan)
    yield from http_rows(plan)
    yield from step_rows(plan)


def machine() -> dict[str, str]:
    """Return what the figures were measured on; figures of two machines compare by their ratios alone."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()} | {
        "commit": commit,
        "floor": "our own" if floor_file().parent == Path(__file__).parent else "the contract's",
    }


def main(plan: Plan, results: Path = RESULTS) -> list[Row]:
    print(HEADER)
    found = []
    for row in rows(plan):
        print(row.text(), flush=True)
        found.append(row)
    resumed = next(row for row in found if row.name == "resume")
    if plan.stored < RESUMED:
        seconds = resumed.seconds * RESUMED / plan.stored
        print(f"resume of {RESUMED:,} cases, extrapolated from {plan.stored:,}: {seconds:.1f} s to the first new call")
    print(f"compared with {machine()['floor']} floor; ratios above 1 are faster, but for the first two rows")
    data = {
        "machine": machine(),
        "plan": attrs.asdict(plan),
        "rows": [{**attrs.asdict(r), "ratio": r.ratio} for r in found],
    }
    results.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute's look: fewer cases, one round")
    parser.add_argument("--stored", type=int, help="cases of the stored run that is read, replayed, resumed, ...")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    given = parser.parse_args()
    chosen = QUICK if given.quick else Plan()
    main(attrs.evolve(chosen, stored=given.stored or chosen.stored), given.json)
