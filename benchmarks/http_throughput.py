"""Cases per second against a local model endpoint, as a ratio to a bare httpx loop in the same run.

    python benchmarks/http_throughput.py [CASES] [ROUNDS]

The endpoint runs in a process of its own. Bare loop and Themis take turns, so that whatever else the machine
does meets both; the ratio is that of the median rounds. Themis' side goes through the adapter and the call
runtime with the default configuration: limits, adaptive concurrency, retries, bounded reading, result records.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

import httpx
import trio

from themis import adapters
from themis.effects.calls import CallRuntime
from themis.effects.providers.http import pooled_clients
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case

CONCURRENT = 32
LEAST_RATIO = 0.9


async def bare(url: str, cases: int) -> None:
    todo = iter(range(cases))

    async def worker(client: httpx.AsyncClient) -> None:
        for i in todo:
            body = {"model": "tiny", "messages": [{"role": "user", "content": f"question {i}"}], "seed": i}
            response = await client.post(f"{url}/chat/completions", json=body)
            response.raise_for_status()
            assert response.json()["choices"][0]["message"]["content"] == f"echo: question {i}"

    async with httpx.AsyncClient(timeout=60) as client, trio.open_nursery() as nursery:
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


def rate(function: object, url: str, cases: int) -> float:
    began = time.perf_counter()
    trio.run(function, url, cases)  # type: ignore[arg-type]  # one of the two above
    return cases / (time.perf_counter() - began)


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    server = subprocess.Popen([sys.executable, "-m", "themis.testing.endpoint"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        rates: dict[str, list[float]] = {"bare": [], "themis": []}
        for _ in range(rounds):
            rates["bare"].append(rate(bare, url, cases))
            rates["themis"].append(rate(themis, url, cases))
    finally:
        server.terminate()
        server.wait()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    ratio = medians["themis"] / medians["bare"]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"bare httpx {medians['bare']:.0f}/s, themis {medians['themis']:.0f}/s, ratio {ratio:.2f}, {megabytes:.0f} MB"
    )
    return 0 if ratio >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
