"""The templates of `docs/how-to/many-workers.md` do what the page says, with a real Slurm and ssh server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.hardening.conftest import Report
from tests.postgres_server import PostgresServer

from themis.api.config.files import read_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "many-workers.md").read_text(encoding="utf-8")
CASES = 120
CONFIG = """\
generation: {generator: "answers:Answers"}
evaluation: {metrics: builtin/exact_match}
datasets: [{dataset_id: sums, path: rows.jsonl}]
runtime: {max_concurrent_tasks: 4, progress: false}
"""
ANSWERS = """\
import attrs
import trio
from themis.core import GenerationResult

@attrs.frozen
class Answers:
    component_id: str = "answers"
    version: str = "1"

    async def generate(self, case, ctx):
        await trio.sleep(0.5)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=str(case.input))
"""
THEMIS = Path(sys.executable).parent / "themis"
pytestmark = pytest.mark.postgres


def template(language: str, after: str) -> str:
    """Return the block of code that follows a sentence of the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "e.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "answers.py").write_text(ANSWERS, encoding="utf-8")
    rows = ({"input": str(number), "expected_output": str(number)} for number in range(CASES))
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(THEMIS.parent), os.environ["PATH"]]))
    return tmp_path


@pytest.fixture
def store(server: PostgresServer, request: pytest.FixtureRequest) -> str:
    """A database of its own, for the templates name no schema."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    name = request.node.name.replace("test_", "")[:40]
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f'create database "{name}"'.encode())
    return server.dsn.rpartition("/")[0] + f"/{name}"


def themis(*words: str) -> Any:
    done = subprocess.run([THEMIS, *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def submitted(store: str) -> str:
    run_id: str = themis("submit", "e.yaml", "--mode", "segments", "--segment-size", "2", "--store", store)["run_id"]
    return run_id


def answers(store: str) -> int:
    """Return how many answers are stored."""
    import psycopg

    with psycopg.connect(store) as db:
        query = "select count(*) from themis.event where event_type = 'generation_completed'"
        return int((db.execute(query).fetchone() or (0,))[0])


def check(store: str, run_id: str) -> None:
    """Look whether the run was ended, and is that of one process."""
    (line,) = themis("list", "--store", store)
    assert (line["run_id"], line["status"]) == (run_id, "completed")
    many = themis("run", "e.yaml", "--store", store)
    alone = themis("run", "e.yaml", "--store", "alone.sqlite3")
    assert many["digest"] == alone["digest"]
    assert themis("verify", run_id, "--store", store, "--config", "e.yaml")["verdict"] == "verified"


def wait_until(done: Callable[[], object], said: Callable[[], object] = str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- Slurm ------------------------------------------------------------------------------------------------


@contextmanager
def daemon(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cluster of one node that takes four jobs at a time."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        pytest.skip("Slurm is not installed, or this is not root (Debian's packages slurm-wlm and munge)")
    place = Path(tempfile.mkdtemp(prefix="themis-slurm-", dir="/run"))
    (place / "munge.key").write_bytes(os.urandom(1024))
    (place / "munge.key").chmod(0o400)
    for name in ("state", "spool"):
        (place / name).mkdir()
    host = socket.gethostname()
    (place / "slurm.conf").write_text(
        f"""\
ClusterName=themis
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
AuthType=auth/munge
AuthInfo=socket={place}/munge
CredType=cred/munge
SlurmUser=root
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("SLURM_CONF", str(place / "slurm.conf"))
    files = [f"--{name}-file={place}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    munge = ("munged", "--foreground", "--force", f"--socket={place}/munge", *files)
    with ExitStack() as running:
        running.callback(shutil.rmtree, place, ignore_errors=True)
        running.enter_context(daemon(*munge, log=place / "log"))
        wait_until((place / "munge").exists)
        running.enter_context(daemon("slurmctld", "-D", "-i", log=place / "log"))
        running.enter_context(daemon("slurmd", "-D", log=place / "log"))
        wait_until(lambda: "idle" in slurm_says("sinfo", "--noheader"))
        yield place


def slurm_says(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_an_array_of_slurm(slurm: Path, folder: Path, store: str, server: PostgresServer, report: Report) -> None:
    run_id = submitted(store)
    place = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGDATABASE": store.rpartition("/")[2]}
    script = template("sh", "An array of Slurm").replace("--array=1-40", "--array=1-4")
    script = script.replace("PGHOST=db PGDATABASE=evals", " ".join(f"{name}={value}" for name, value in place.items()))
    assert "PGHOST=127.0.0.1" in script
    (folder / "job.sh").write_text(script, encoding="utf-8")
    command = ["sbatch", "--parsable", "job.sh"]
    sent = subprocess.run(
        command, env={**os.environ, "RUN": run_id}, capture_output=True, text=True, check=False, cwd=folder
    )
    assert sent.returncode == 0, sent.stderr
    job = sent.stdout.strip()

    def told() -> str:
        logs = [*folder.glob("slurm-*.out"), slurm / "log"]
        return slurm_says("scontrol", "show", "job") + "\n".join(log.read_text(encoding="utf-8") for log in logs)

    wait_until(lambda: slurm_says("squeue", "--noheader", "-t", "running", "-r").count("\n") == 4, told, 60)
    wait_until(lambda: answers(store) > 20, told, 60)
    # What Slurm does to a job whose time is over, and to one whose node has failed.
    for words in (("scancel", "--batch", "--signal=INT", f"{job}_2"), ("scontrol", "requeue", f"{job}_3")):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    wait_until(lambda: not slurm_says("squeue", "--noheader").strip())
    said = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("slurm-*.out")))
    assert "interrupted: what finished is stored" in said, said
    check(store, run_id)
    report("an array of Slurm", "4 tasks, one interrupted and one requeued: the run and digest of one process")


# --- Kubernetes -------------------------------------------------------------------------------------------


def test_an_indexed_job_of_kubernetes(folder: Path, store: str, report: Report) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    job: Mapping[str, Any] = read_yaml(template("yaml", "An Indexed Job of Kubernetes"))
    validate.validate(job, validate.latest_version(), strict=True)
    run_id = submitted(store)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    asked = {"postgresql://db/evals": store, "3f9ab2": run_id[:10]}
    command = [asked.get(word, word) for word in container["command"]]
    assert command != container["command"]
    pods = [subprocess.Popen(command, cwd=folder) for _ in range(3)]  # what the kubelet starts
    assert [pod.wait(timeout=180) for pod in pods] == [0, 0, 0]
    check(store, run_id)
    report("an Indexed Job of Kubernetes", f"valid for version {validate.latest_version()}; its command in 3 processes")


# --- ssh --------------------------------------------------------------------------------------------------


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An ssh server on loopback that three names lead to; yields its users' home."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if os.geteuid() != 0 or sshd is None:
        pytest.skip("no ssh server is installed, or this is not root (Debian's package openssh-server)")
    place, port = tmp_path_factory.mktemp("ssh"), free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    shutil.copy(place / "user.pub", place / "authorized_keys")
    Path("/run/sshd").mkdir(exist_ok=True)
    (place / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized_keys\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n",
        encoding="utf-8",
    )
    (place / "ssh_config").write_text(
        f"Host gpu1 gpu2 gpu3\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {place}/user\n"
        f"  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile {place}/known\n  LogLevel ERROR\n",
        encoding="utf-8",
    )
    (place / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {place}/ssh_config "$@"\n', encoding="utf-8")
    (place / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(place), os.environ["PATH"]]))
    with daemon(sshd, "-D", "-e", "-f", str(place / "sshd_config"), log=place / "log"):
        yield place


def test_hosts_that_are_reached_by_ssh(hosts: Path, folder: Path, store: str, report: Report) -> None:
    run_id = submitted(store)
    (folder / "credentials").write_text(f"export PATH={os.environ['PATH']}\n", encoding="utf-8")
    script = template("sh", "Hosts that you reach by ssh").replace("cd evaluations", f"cd {folder}")
    script = script.replace("postgresql://db/evals", store).replace("3f9ab2", run_id[:10])
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("worked on 1 run") == 3, done.stdout + done.stderr
    check(store, run_id)
    report("hosts reached by ssh", "3 workers by a server on loopback: the run and digest of one process")
