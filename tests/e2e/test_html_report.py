"""The HTML report in a real Chromium: nothing runs, nothing is fetched, no element comes from data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from themis import InMemoryRunStore, evaluate
from themis.api.runs.report import Reporter
from themis.testing.hostile import HOSTILE, hostile_rows

NAMES = ("chromium", "chromium-browser", "google-chrome")
BINARY = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and answers on 4.
LAUNCH = (
    "import fcntl, os, sys\n"
    "read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])\n"
    "os.dup2(read, 3), os.dup2(write, 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])"
)


class Page:
    """One tab. What it logs, asks for and pops up is kept in `seen`."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._out = to_browser
        self._in = from_browser
        self._buffer = b""
        self._number = 0
        self.seen: list[Mapping[str, Any]] = []
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Performance"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: Mapping[str, Any]) -> None:
        self.seen.append(event)
        if event.get("method") == "Page.javascriptDialogOpening":  # it would block the page
            self._number += 1
            message = {"id": self._number, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            self._out.write(json.dumps({**message, "sessionId": self._session}).encode() + b"\0")

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = self._in.read(1 << 20)
            assert piece, "the browser went away"
            self._buffer += piece
        raw, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(raw)
        return answer

    def open(self, path: Path) -> None:
        self.seen.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.seen):
            self._note(self._receive())

    def run(self, expression: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def events(self, method: str) -> list[Mapping[str, Any]]:
        return [event["params"] for event in self.seen if event.get("method") == method]


@contextmanager
def chromium() -> Iterator[Page]:
    assert BINARY is not None
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        os.fdopen(to_write, "wb", buffering=0) as out,
        os.fdopen(from_read, "rb", buffering=0) as answers,
        subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(to_read), str(from_write), BINARY, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(to_read, from_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        os.close(to_read)
        os.close(from_write)
        try:
            yield Page(out, answers)
        finally:
            process.kill()


pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    store, run_id = hostile_run()
    path = tmp_path_factory.mktemp("report") / "report.html"
    Reporter(store).write_html(run_id, path)
    with chromium() as page:
        page.open(path)
        yield page


def hostile_run() -> tuple[InMemoryRunStore, str]:
    store = InMemoryRunStore()
    result = evaluate(model="builtin/demo_model", data=hostile_rows(), metric="builtin/exact_match", store=store)
    return store, result.run_id


def open_all(page: Page) -> None:
    page.run("document.querySelectorAll('#list button[aria-expanded=false]').forEach(each => each.click())")


def test_hostile_data_runs_nothing_fetches_nothing_and_makes_no_element(page: Page) -> None:
    open_all(page)
    assert page.events("Page.javascriptDialogOpening") == []
    assert page.events("Runtime.exceptionThrown") == []
    assert page.events("Log.entryAdded") == []
    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("file:")] == []
    assert len(asked) == 1
    assert page.run("document.scripts.length") == 3
    assert page.run("document.querySelectorAll('a:not(.skip), img, iframe, object, embed, link, base').length") == 0
    handlers = (
        "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on|^style$/.test(a.name)))"
    )
    assert page.run(f"{handlers}.length") == 0


def test_the_policy_is_what_stops_a_script_that_got_in(page: Page) -> None:
    page.run("document.body.insertAdjacentHTML('beforeend', '<img id=probe src=x onerror=\"window.broken=1\">')")
    page.run("const s = document.createElement('script'); s.textContent = 'window.broken = 2'; document.body.append(s)")
    assert page.run("window.broken === undefined")
    page.run("document.getElementById('probe').remove()")


def test_every_case_is_there_as_text(page: Page) -> None:
    open_all(page)
    shown = page.run(
        "JSON.stringify([...document.querySelectorAll('.case')].map(e => e.querySelector('pre').textContent))"
    )
    inputs = json.loads(shown)
    assert len(inputs) == len(HOSTILE)
    assert inputs[0] == HOSTILE[0]
    assert "\x1b" not in "".join(inputs)
    assert "\u202e" not in "".join(inputs)


def test_search_and_filters_narrow_the_list(page: Page) -> None:
    def found(search: str, outcome: str) -> int:
        return int(
            page.run(
                f"""new Promise(done => {{
                    document.getElementById('search').value = {json.dumps(search)};
                    const outcome = document.getElementById('outcome');
                    outcome.value = {json.dumps(outcome)};
                    outcome.dispatchEvent(new Event('change'));
                    done(document.querySelectorAll('.case').length);
                }})"""
            )
        )

    everything = len(HOSTILE)
    assert found("", "all") == everything
    assert found("onerror=alert", "all") == 1
    assert found("", "correct") + found("", "incorrect") == everything
    assert found("no such text", "all") == 0
    assert "No case matches" in page.run("document.getElementById('found').textContent")
    found("", "all")


def test_it_is_labelled_and_works_from_the_keyboard_at_phone_width(page: Page) -> None:
    assert page.run("document.documentElement.lang") == "en"
    fields = "document.querySelectorAll('input, select')"
    assert page.run(f"[...{fields}].every(field => field.labels.length === 1)")
    page.run("document.querySelector('#list button').focus()")
    before = page.run("document.activeElement.getAttribute('aria-expanded')")
    for kind in ("keyDown", "keyUp"):
        page.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    assert page.run("document.activeElement.getAttribute('aria-expanded')") != before
    page.send("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=1, mobile=True)
    assert page.run("document.documentElement.scrollWidth") <= 360


def test_the_file_names_no_other_place(tmp_path: Path) -> None:
    store, run_id = hostile_run()
    page = Reporter(store).export_html(run_id)
    before_data = page.partition('<script type="application/json" id="data">')[0]
    assert "http://" not in before_data
    assert "https://" not in before_data
    assert "url(" not in before_data
