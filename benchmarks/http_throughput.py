"""Cases per second against a local model endpoint, as a ratio to a bare httpx loop in the same run.

    python -m benchmarks.http_throughput [CASES] [ROUNDS]

The endpoint runs in a process of its own. Bare loop and Themis take turns, so that whatever else the machine
does meets all of them; a ratio is the median of the rounds' ratios. A second ratio compares the processor time of this
process alone, which a busy machine disturbs less. Themis is measured twice, at 32 concurrent calls
and with the default configuration: `calls` are adapter and call runtime (limits, adaptive concurrency, retries, bounded
reading, result records), `evaluate` is a whole run with a metric, into an SQLite store. How much of a core the
endpoint used is printed too: near 100 % it would be what is measured.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time

import attrs
import trio

from benchmarks.processes import peak_mb
from themis import Dataset, RuntimeConfig, StorageConfig, adapters, evaluate_async
from themis.effects.calls import CallRuntime
from themis.effects.http_library import httpx
from themis.effects.providers.http import pooled_clients
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case

CONCURRENT = 32
LEAST_RATIO = 0.9
MOST_MEGABYTES = 300


async def bare(url: str, cases: int) -> None:
    todo = iter(range(cases))

    async def worker(client: httpx.AsyncClient) -> None:
        for i in todo:
            body = {"model": "tiny", "messages": [{"role": "user", "content": f"question {i}"}], "seed": i}
            response = await client.post(f"{url}/chat/completions", json=body)
            response.raise_for_status()
            assert response.json()["choices"][0]["message"]["content"] == f"echo: question {i}"

    # As many connections kept as there are callers: with httpx's default of 20 it would open some anew all the time.
    limits = httpx.Limits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client, trio.open_nursery() as nursery:
        for _ in range(CONCURRENT):
            nursery.start_soon(worker, client)


async def themis(url: str, cases: int) -> None:
    todo = iter(range(cases))
    model = adapters.openai("tiny", base_url=url)
    runtime = CallRuntime.from_config(RuntimeConfig(max_concurrent_tasks=CONCURRENT))

    async def worker() -> None:
        for i in todo:
            case = Case(case_id=str(i), input=f"question {i}")
            ctx = GenerateContext(
                run_id="r", case_id=case.case_id, dataset_id="d", case_key=f"d/{i}", candidate_id=f"{i}:0", seed=i
            )
            outcome = await runtime.call(
                lambda case=case, ctx=ctx: model.generate(case, ctx),  # type: ignore[misc]  # bound, not inferred
                provider_key=model.provider_key,
                model=model.component_id,
            )
            assert outcome.value.final_output == f"echo: question {i}"

    async with pooled_clients(), trio.open_nursery() as nursery:
        for _ in range(CONCURRENT):
            nursery.start_soon(worker)


async def evaluation(url: str, cases: int) -> None:
    rows = (
        {"case_id": str(i), "input": f"question {i}", "expected_output": f"echo: question {i}"} for i in range(cases)
    )
    with tempfile.TemporaryDirectory() as folder:
        result = await evaluate_async(
            model=adapters.openai("tiny", base_url=url),
            data=Dataset(dataset_id="d", cases=rows),
            metric="builtin/exact_match",
            storage=StorageConfig(store="sqlite", parameters={"path": f"{folder}/runs.sqlite3"}),
            runtime=RuntimeConfig(max_concurrent_tasks=CONCURRENT),
        )
        assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == cases
        result.store.close()


MEASURED = {"bare": bare, "calls": themis, "evaluate": evaluation}


def rates(name: str, url: str, cases: int) -> tuple[float, float]:
    """Return cases per second of the clock, and of this process's processor time."""
    began, used = time.perf_counter(), time.process_time()
    trio.run(MEASURED[name], url, cases)
    return cases / (time.perf_counter() - began), cases / (time.process_time() - used)


def cpu_s(process: int) -> float:
    """Return the processor time that a process used.

    It is read from the process's own clock (Linux: clock_getcpuclockid(3), which Python has for threads alone). The
    counters of proc(5) go by hundredths of a second, more than a few dozen calls take.
    """
    return time.clock_gettime(~process << 3 | 2)


@attrs.frozen
class Row:
    """What was measured of one way to make the calls.

    Attributes:
        per_s: cases per second of the clock, a median.
        ratios: the rounds' ratios to the bare loop, by the clock.
        processor_ratio: the median ratio by processor time.
    """

    name: str
    per_s: float
    ratios: tuple[float, ...]
    processor_ratio: float

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


def compare(cases: int, rounds: int) -> tuple[list[Row], float]:
    """Return a row for each way, and which share of a core the endpoint used."""
    endpoint = [sys.executable, "-m", "themis.testing.endpoint"]
    with subprocess.Popen(endpoint, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            for name in MEASURED:
                rates(name, url, min(cases, 100))  # what is loaded late is loaded now
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in MEASURED}
            began, used = time.perf_counter(), cpu_s(server.pid)
            for _ in range(rounds):
                for name, measured in found.items():
                    measured.append(rates(name, url, cases))
            busy = (cpu_s(server.pid) - used) / (time.perf_counter() - began)
        finally:
            server.terminate()
    return [_row(name, measured, found["bare"]) for name, measured in found.items()], busy


def _row(name: str, measured: list[tuple[float, float]], base: list[tuple[float, float]]) -> Row:
    clock, processor = (tuple(own[i] / bare[i] for own, bare in zip(measured, base, strict=True)) for i in (0, 1))
    return Row(name, statistics.median(own for own, _ in measured), clock, statistics.median(processor))


def main(cases: int = 2000, rounds: int = 5) -> int:
    rows, busy = compare(cases, rounds)
    for row in rows:
        print(
            f"{row.name:<9} {row.per_s:6.0f}/s  ratio {row.ratio:.2f} by the clock, "
            f"{row.processor_ratio:.2f} by processor time"
        )
    megabytes = peak_mb()
    print(f"{cases:,} cases, {rounds} rounds, {CONCURRENT} concurrent, peak {megabytes:.0f} MB, server {busy:.0%} busy")
    least = min(row.ratio for row in rows)
    return 0 if least >= LEAST_RATIO and megabytes < MOST_MEGABYTES else 1


if __name__ == "__main__":
    if "--json" in sys.argv:
        rows, _ = compare(int(sys.argv[2]), int(sys.argv[3]))
        print(json.dumps({"rows": [attrs.asdict(row) for row in rows], "peak_mb": peak_mb()}))
    else:
        sys.exit(main(*map(int, sys.argv[1:])))
