"""Cases per second against a local model endpoint, as a ratio to a bare httpx loop in the same run.

    python benchmarks/http_throughput.py [CASES] [ROUNDS]

The endpoint runs in a process of its own. Bare loop and Themis take turns, so that whatever else the machine
does meets all of them; a ratio is the median of the rounds' ratios. A second ratio compares the processor time of this
process alone, which a busy machine disturbs less. Themis is measured twice, at 32 concurrent calls
and with the default configuration: `calls` are adapter and call runtime (limits, adaptive concurrency, retries, bounded
reading, result records), `evaluate` is a whole run with a metric, into an SQLite store. How much of a core the
endpoint used is printed too: near 100 % it would be what is measured.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import trio

from themis import Dataset, RuntimeConfig, StorageConfig, adapters, evaluate_async
from themis.effects.calls import CallRuntime
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
    """Return the processor time that a process used (Linux: proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    server = subprocess.Popen([sys.executable, "-m", "themis.testing.endpoint"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for name in MEASURED:
            rates(name, url, 100)  # what is loaded late is loaded now
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in MEASURED}
        began, used = time.perf_counter(), cpu_s(server.pid)
        for _ in range(rounds):
            for name, measured in found.items():
                measured.append(rates(name, url, cases))
        busy = (cpu_s(server.pid) - used) / (time.perf_counter() - began)
    finally:
        server.terminate()
        server.wait()
    least = float("inf")
    for name, measured in found.items():
        pairs = list(zip(measured, found["bare"], strict=True))
        clock, processor = (statistics.median(own[i] / base[i] for own, base in pairs) for i in (0, 1))
        least = min(least, clock)
        speed = statistics.median(clock for clock, _ in measured)
        print(f"{name:<9} {speed:6.0f}/s  ratio {clock:.2f} by the clock, {processor:.2f} by processor time")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{cases:,} cases, {rounds} rounds, {CONCURRENT} concurrent, peak {megabytes:.0f} MB, server {busy:.0%} busy")
    return 0 if least >= LEAST_RATIO and megabytes < MOST_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
