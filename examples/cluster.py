"""A run by Dask workers into PostgreSQL, both of which this starts: `make demo-cluster`.

It needs PostgreSQL's programs (Debian: `apt-get install postgresql`) and the extras `dask` and `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from themis import Dataset, EvaluationConfig, Experiment, GenerationConfig, RuntimeConfig, verify
from themis.engines import Dask

CASES = 5_000


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server of our own on loopback, and yield its address."""
    on_path = shutil.which("initdb")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) + ([Path(on_path)] if on_path else [])
    if not found:
        sys.exit("PostgreSQL is not installed here; on Debian and Ubuntu: apt-get install postgresql")
    tools, folder = found[-1].parent, Path(tempfile.mkdtemp(prefix="themis-cluster-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(tool: str, *words: object) -> None:
        command = [*as_user, str(tools / tool), *map(str, words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)

    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    try:
        call("initdb", "-D", folder / "data", "-U", "themis", "-A", "trust", "-E", "UTF8", "--locale=C")
        call("pg_ctl", "-D", folder / "data", "-l", folder / "log", "-o", settings, "-w", "start")
        try:
            yield f"postgresql://themis@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", folder / "data", "-m", "fast", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run one experiment by two workers of Dask, and by this process alone."""
    cases = [{"case_id": str(n), "input": f"{n} + {n}", "expected_output": str(2 * n)} for n in range(CASES)]
    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model", reducer=None),
        evaluation=EvaluationConfig(metrics="builtin/exact_match"),
        datasets=Dataset(dataset_id="sums", cases=cases),
        runtime=RuntimeConfig(max_concurrent_tasks=64),
    )
    with postgres() as dsn:
        print(f"PostgreSQL runs at {dsn}; two workers of Dask begin")
        many = experiment.run(store=dsn, engine=Dask(workers=2))
        print(f"by many: {many.status}, digest {many.digest[:16]}, {many.benchmark.metric_means}")
        print(f"verify:  {verify(many.store, many.run_id, experiment=experiment).verdict}")
        many.store.close()
        alone = experiment.run()
        print(f"alone:   {alone.status}, digest {alone.digest[:16]}")
        if alone.digest != many.digest:
            sys.exit("the digests differ: this is a fault in Themis")


if __name__ == "__main__":
    main()
