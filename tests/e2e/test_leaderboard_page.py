"""A leaderboard's page in a real Chromium: nothing runs, nothing is fetched, and it fits a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.browser import IN_BROWSER, Page, chromium

from themis import Case, Dataset, InMemoryRunStore, evaluate, leaderboard
from themis.testing.hostile import HOSTILE

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    store = InMemoryRunStore()
    for place, name in enumerate(HOSTILE[:6]):
        cases = [Case(case_id=str(n), input=f"{n}+{n}", expected_output=str(2 * n)) for n in range(8 + place)]
        data = Dataset(dataset_id=HOSTILE[3], cases=cases)
        evaluate(model="builtin/demo_model", data=data, metric="builtin/exact_match", store=store, name=name)
    path = tmp_path_factory.mktemp("board") / "board.html"
    path.write_text(leaderboard(store=store, rows="name", title=HOSTILE[0]).to_html(), encoding="utf-8")
    with chromium() as page:
        page.open(path)
        yield page


def test_nothing_runs_and_nothing_is_fetched(page: Page) -> None:
    for event in ("Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Log.entryAdded"):
        assert page.events(event) == []
    asked = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert len(asked) == 1
    assert page.run("document.querySelectorAll('script, a, img, iframe, object, embed, link, base').length") == 0
    assert page.run("document.querySelectorAll('svg').length") >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_colours_of_the_system(page: Page, scheme: str) -> None:
    page.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.send("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=1, mobile=True)
    assert page.run("document.documentElement.scrollWidth") <= 420
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(252, 252, 251)", "dark": "rgb(20, 23, 26)"}[scheme]
