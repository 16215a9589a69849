"""Pages of all kinds of runs, in a real Chromium: nothing is cut off on a phone, and they show what there was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.e2e.browser import IN_BROWSER, Page, chromium
from tests.e2e.report_runs import DIMENSIONS, RUNS, SYSTEM

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with chromium() as page:
        yield page


@attrs.frozen
class Opened:
    """A run's page in the browser, at some width, with its first cases opened and all that is folded in them."""

    page: Page

    def run(self, expression: str) -> Any:
        return json.loads(self.page.run(f"JSON.stringify({expression})"))

    def texts(self, selector: str) -> list[str]:
        found: list[str] = self.run(f"[...document.querySelectorAll({selector!r})].map(e => e.textContent)")
        return found


@pytest.fixture(scope="module", params=RUNS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    reporter, run_id = RUNS[request.param]()
    path = tmp_path_factory.mktemp("pages") / f"{request.param}.html"
    reporter.write_html(run_id, path)
    return request.param, path


def opened(browser: Page, path: Path, width: int) -> Opened:
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 700)
    browser.open(path)
    browser.run("[...document.querySelectorAll('#list button')].slice(0, 4).forEach(each => each.click())")
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    return Opened(browser)


@pytest.mark.parametrize("width", [420, 1300])
def test_nothing_is_wider_than_the_page(browser: Page, written: tuple[str, Path], width: int) -> None:
    page = opened(browser, written[1], width)
    assert page.run("document.documentElement.scrollWidth") <= width
    # Wide tables scroll in their own place; of everything else nothing may stick out and be cut.
    out = (
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide-table, .skip')"
        " && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 99))"
    )
    assert page.run(out) == []
    assert browser.events("Runtime.exceptionThrown") == []


def test_the_messages_that_were_sent_are_there_by_their_roles(browser: Page, written: tuple[str, Path]) -> None:
    name, path = written
    page = opened(browser, path, 1300)
    first = page.run("[...document.querySelector('.detail .part').children].map(e => e.textContent)")
    if name == "code":  # an agent of one's own records nothing of what it sends
        assert first == ["Prompt", "userPrint the sum of two numbers."]
    else:  # a demo model records nothing either, and neither does a model that never answered
        recorded = page.run("!document.querySelector('.detail').textContent.includes('Candidates: 0')")
        assert first[0] == ("Sent to the model" if recorded and name != "subgroups" else "Prompt")
        assert first[1:4] == [f"system{SYSTEM}", "userWhat is 1 + 1?", "assistant2"]
        assert first[4].startswith("userQuestion: What is")
        assert first[4].endswith("\nAnswer:")


def test_only_binary_scores_are_right_or_wrong(browser: Page, written: tuple[str, Path]) -> None:
    name, path = written
    page = opened(browser, path, 1300)
    graded = page.run("Object.keys(JSON.parse(document.getElementById('context').textContent).graded)")
    assert ("builtin/f1" in graded) == (name in ("eight_samples", "five_metrics"))
    assert "builtin/contains" not in graded
    for metric_id in graded:
        articles = "[...document.querySelectorAll('main article')]"
        of_metric = f"e => e.querySelector('h3')?.textContent === {metric_id!r}"
        assert page.run(f"{articles}.find({of_metric}).querySelectorAll('.correct, .incorrect').length") == 0
        named = f"e => e.querySelector('b').textContent === {metric_id!r}"
        lines = f"[...document.querySelectorAll('.score-line')].filter({named})"
        assert page.run(f"{lines}.filter(e => e.querySelector('.correct, .incorrect')).length") == 0
        scored = page.run(f"{lines}.filter(e => e.querySelector('.value')).length")
        assert page.run(f"{lines}.filter(e => e.querySelector('svg.scale')).length") == scored
    if name == "five_metrics":
        assert "rubric_of_five" in graded
        assert page.run("[...document.querySelectorAll('.outcome.incorrect')].length") > 0  # of those that are binary


def test_each_call_of_a_judge_stands_by_itself(browser: Page, tmp_path: Path) -> None:
    page = made(browser, "judged", tmp_path)
    titles = page.texts(".call h5.verdict span")
    asked = [title.partition(",")[0] for title in titles if not title.endswith(", asked again")]
    assert asked[:3] == list(DIMENSIONS)
    assert all(", openai/judge" in title for title in titles)
    assert len(page.texts(".call")) == len(titles)
    for call in page.run("[...document.querySelectorAll('.call')].map(e => [...e.querySelectorAll('pre')].length)"):
        assert call >= 2  # what was answered, and what was asked
    assert "builtin/llm_rubric by dimension" in page.texts("h2")


def test_each_test_of_a_program_has_its_verdict_and_a_failed_one_its_message(browser: Page, tmp_path: Path) -> None:
    page = made(browser, "code", tmp_path)
    passed, timed, raised, wrong = page.run(
        "[...document.querySelectorAll('.tests')].map(list => "
        "[...list.children].map(line => [...line.children].map(part => part.textContent)))"
    )
    assert passed == [["tests 0 to 29", "passed"]]
    assert ["test 3", "timeout", "the time limit was reached"] in timed
    assert raised[0] == ["tests 0 to 7", "passed"]
    assert raised[1][:2] == ["test 8", "runtime error"]
    assert ["test 3", "wrong answer", "expected '7', found '41'"] in wrong
    steps = page.texts(".step h5")
    assert "Step 2: run_tests (tool)" in steps


def made(browser: Page, name: str, folder: Path) -> Opened:
    reporter, run_id = RUNS[name]()
    reporter.write_html(run_id, folder / "page.html")
    return opened(browser, folder / "page.html", 1300)
