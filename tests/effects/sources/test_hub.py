"""Datasets from a hub on loopback, with the real library: pinned, cached, offline, gated, missing, unreachable."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import pytest

from themis.effects.sources import hub
from themis.pure.errors import MissingExtraError

CHILD = Path(__file__).parent / "hub_child.py"
COMMIT = "1" * 40
CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n---\n# A card\n"

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface-hub is not installed"
)


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


PROBLEMS = [{"problem_idx": n, "problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(1, 4)]
DATASETS: Mapping[str, Mapping[str, str]] = {
    "MathArena/aime_2026": {
        "README.md": CARD,
        "data/train-00000.jsonl": lines(PROBLEMS[:2]),
        "data/train-00001.jsonl": lines(PROBLEMS[2:]),
        "data/test-00000.jsonl": lines([{"not": "wanted"}]),
    },
    "MathArena/apex_2025": {"README.md": CARD.replace("train", "test"), "data/test-0.jsonl": lines(PROBLEMS)},
    "MathArena/hmmt_nov_2025": {"README.md": "no head", "train.jsonl": lines([{"problem": "no answer"}])},
    "livecodebench/code_generation_lite": {"README.md": "", "test5.jsonl": "{}\n"},
}
GATED = "cais/hle"
MOVING = "MathArena/hmmt_feb_2025"
LATER = "2" * 40
COMMITS: Mapping[str, Mapping[str, str]] = {
    COMMIT: {"README.md": "", "train.jsonl": lines(PROBLEMS)},
    LATER: {"README.md": "", "train.jsonl": lines([{"problem_idx": 9, "problem": "9?", "answer": "9"}])},
}
"""A dataset whose branch moves on as soon as it was asked for once."""


class Hub(BaseHTTPRequestHandler):
    """The few requests that the library makes to load a file: the commit, the tree, the file's head, the file."""

    asked: list[str]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(path)
        parts = path.strip("/").split("/")
        kind, name = ("api", "/".join(parts[2:4])) if parts[0] == "api" else ("file", "/".join(parts[1:3]))
        if name == GATED:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body=body)
        elif name not in DATASETS and name != MOVING:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)
        elif kind == "api":
            self._api(name, parts[4], self._commit(name, parts[5]), body=body)
        else:
            commit = self._commit(name, parts[4])
            self._file(self._files(name, commit).get("/".join(parts[5:])), commit, body=body)

    def _commit(self, name: str, revision: str) -> str:
        if name != MOVING or revision != "main":
            return COMMIT if revision == "main" else revision
        return COMMIT if self.asked.count(f"/api/datasets/{name}/revision/main") == 1 else LATER

    def _files(self, name: str, commit: str) -> Mapping[str, str]:
        return COMMITS[commit] if name == MOVING else DATASETS[name]

    def _api(self, name: str, what: str, revision: str, *, body: bool) -> None:
        files = self._files(name, revision) if revision in COMMITS else {}
        if not files:
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"}, body=body)
        tree = [
            {"type": "file", "path": path, "size": len(text.encode()), "oid": oid(text)} for path, text in files.items()
        ]
        info = {"id": name, "sha": revision, "siblings": [{"rfilename": path} for path in files]}
        answer = json.dumps(tree if what == "tree" else info).encode()
        return self._send(200, answer, {"Content-Type": "application/json"}, body=body)

    def _file(self, text: str | None, commit: str, *, body: bool) -> None:
        if text is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body=body)
        headers = {"ETag": f'"{oid(text)}"', "X-Repo-Commit": commit}
        return self._send(200, text.encode(), headers, body=body)

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def oid(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


@attrs.frozen
class Served:
    """A hub that serves, a home for its files, and what it was asked."""

    url: str
    home: Path
    asked: list[str]

    def load(self, *wanted: str | tuple[str, dict[str, Any]], **environment: str) -> list[dict[str, Any]]:
        jobs = [(item, {}) if isinstance(item, str) else item for item in wanted]
        settings = {"HF_ENDPOINT": self.url, "HF_HOME": str(self.home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        done = subprocess.run(
            [sys.executable, str(CHILD)],
            input=json.dumps(jobs),
            env={**os.environ, "HF_HUB_DISABLE_XET": "1", **settings, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outcomes: list[dict[str, Any]] = json.loads(done.stdout)
        return outcomes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Watched", (Hub,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_address[1]}", tmp_path_factory.mktemp("hub"), asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@needs_library
def test_the_split_is_downloaded_once_and_pinned_to_its_commit(served: Served) -> None:
    first, again, pinned = served.load("aime_2026", "aime_2026", ("aime_2026", {"revision": COMMIT, "limit": 2}))
    assert first["revision"] == COMMIT
    assert first["ids"] == ["1", "2", "3"]
    assert again == first
    assert (pinned["revision"], pinned["ids"]) == (COMMIT, ["1", "2"])
    fetched = [path for path in served.asked if path.endswith(".jsonl")]
    assert not any("test-00000" in path for path in fetched)
    assert len({path for path in fetched if "train-00000" in path}) == 1

    before = len(served.asked)
    [offline] = served.load("aime_2026", HF_HUB_OFFLINE="1")
    assert offline == first
    assert len(served.asked) == before


@needs_library
def test_a_branch_that_moves_meanwhile_is_read_at_one_commit(served: Served) -> None:
    first, later = served.load("hmmt_feb_2025", "hmmt_feb_2025")
    assert (first["revision"], first["ids"]) == (COMMIT, ["1", "2", "3"])
    assert (later["revision"], later["ids"]) == (LATER, ["9"])


@needs_library
def test_what_can_not_be_loaded_says_what_to_do(served: Served) -> None:
    gated, missing, no_revision, no_split, no_file, misfit = served.load(
        "hle", "gpqa_diamond", ("aime_2026", {"revision": "v9"}), "apex_2025", "livecodebench", "hmmt_nov_2025"
    )
    assert gated["error"].startswith("DataError: cais/hle: the dataset is gated: accept its terms at https://")
    assert "HF_TOKEN" in gated["error"]
    assert "the hub has no such dataset, or hides it" in missing["error"]
    assert "the dataset has no such revision" in no_revision["error"]
    assert "the configuration 'default' has no split 'train'; known names: test" in no_split["error"]
    assert "there is no file 'test6.jsonl'; did you mean test5.jsonl" in no_file["error"]
    assert "column 'problem_idx' is missing" in misfit["error"]
    assert "in train.jsonl:1" in misfit["error"]


@needs_library
def test_offline_without_the_files_says_so(served: Served) -> None:
    [error] = served.load("mmlu_pro", HF_HUB_OFFLINE="1")
    assert "offline mode is on (HF_HUB_OFFLINE)" in error["error"]
    assert "source=..." in error["error"]


@needs_library
def test_a_hub_that_can_not_be_reached_says_so(served: Served) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        [error] = served.load("mmlu_pro", HF_ENDPOINT=f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert "the hub can't be reached, and the files are not all in the cache (HF_HOME)" in error["error"]


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'themis-evals\[datasets\]'; or give a file or folder"):
        hub.fetch_files("a/b", split="test")
