"""The HTML report in a real Chromium: nothing runs, nothing is fetched, no element comes from data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.browser import IN_BROWSER, Page, chromium

from themis import InMemoryRunStore, evaluate
from themis.api.runs.report import Reporter
from themis.testing.hostile import HOSTILE, hostile_rows

pytestmark = IN_BROWSER


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
