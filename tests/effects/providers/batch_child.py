"""A run in batches that is to be killed: `python batch_child.py URL FOLDER PROVIDER`; prints how many are correct."""

from __future__ import annotations

import sys
from pathlib import Path

from themis import RuntimeConfig, StorageConfig, adapters, evaluate

CASES = 12


def main(url: str, folder: str, provider: str) -> None:
    result = evaluate(
        model=adapters.from_model_string(f"{provider}/tiny", base_url=url),
        data=[{"case_id": f"c{i}", "input": f"q {i}", "expected_output": f"echo: q {i}"} for i in range(CASES)],
        metric="builtin/exact_match",
        storage=StorageConfig(store="sqlite", parameters={"path": str(Path(folder) / "runs.sqlite3")}),
        runtime=RuntimeConfig(generation_mode="batch", batch_root=str(Path(folder) / "batches"), batch_poll_s=0.01),
    )
    print(result.benchmark.outcome_counts["builtin/exact_match"]["correct"])


if __name__ == "__main__":
    main(*sys.argv[1:])
