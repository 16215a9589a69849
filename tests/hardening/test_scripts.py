"""A script in every field of every record of a stored run: the HTML report holds it as text, and runs none of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import attrs
from tests.e2e.browser import BINARY, chromium
from tests.e2e.report_runs import RUNS
from tests.hardening.conftest import Report

from themis import InMemoryRunStore
from themis.api.runs.report import Reporter
from themis.pure.errors import ThemisError
from themis.pure.records.snapshot import RunSnapshot
from themis.testing.stores import MadeRun, made_run

SCRIPT = (
    "\"'></pre></script><script>window.pwned=1</script><img src=x onerror='window.pwned=1'><a href=javascript:pwned=1>"
)
Place: TypeAlias = tuple[str, ...]
KEYS = "<keys>"


def places(value: Any, at: Place) -> Iterator[Place]:
    """Yield where texts are: fields by name, the items of a list as one, and a mapping's keys as one."""
    if isinstance(value, str):
        yield at
    elif isinstance(value, Mapping):
        yield (*at, KEYS)
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for inner in value:
            yield from places(inner, (*at, "*"))


def with_script(value: Any, at: Place, wanted: Collection[Place]) -> Any:
    if isinstance(value, str):
        return value + SCRIPT if at in wanted else value
    if isinstance(value, Mapping):
        end = SCRIPT if (*at, KEYS) in wanted else ""
        return {name + end: with_script(inner, (*at, name), wanted) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_script(inner, (*at, "*"), wanted) for inner in value]
    return value


@attrs.frozen
class Plain:
    """A stored run as plain data."""

    made: MadeRun
    header: Mapping[str, Any]
    events: tuple[tuple[str, Any], ...]
    blobs: Mapping[str, Any]

    def places(self) -> set[Place]:
        found = set(places(self.header, ("header",)))
        for kind, event in self.events:
            found.update(places(event, (kind,)))
        for blob in self.blobs.values():
            found.update(places(blob, ("blob",)))
        return found | {
            place for d in self.made.snapshot.datasets for c in d.cases for place in places(c.to_dict(), ("case",))
        }

    def page(self, wanted: Collection[Place]) -> str:
        """Return the report of the run with a script at these places."""
        header = RunSnapshot.from_dict(with_script(self.header, ("header",), wanted)).stored_as(self.made.run_id)
        datasets = [
            slim.evolve(cases=[with_script(case.to_dict(), ("case",), wanted) for case in whole.cases])
            for slim, whole in zip(header.datasets, self.made.snapshot.datasets, strict=True)
        ]
        snapshot = header.evolve(datasets=datasets)
        events = tuple(
            attrs.evolve(stored, payload=json.dumps(with_script(event, (kind,), wanted)))
            for stored, (kind, event) in zip(self.made.events, self.events, strict=True)
        )
        blobs = {ref: json.dumps(with_script(blob, ("blob",), wanted)).encode() for ref, blob in self.blobs.items()}
        store = InMemoryRunStore()
        MadeRun(snapshot, events, blobs).write(store)
        return Reporter(store).export_html(self.made.run_id)

    def page_if_any(self, wanted: Collection[Place]) -> str | None:
        """Return the same; `None` if it is a stored run no more: no such name, time or kind."""
        try:
            return self.page(wanted)
        except (ValueError, LookupError, TypeError, ThemisError):
            return None


def plain(name: str) -> Plain:
    reporter, run_id = RUNS[name]()
    made = made_run(cast(InMemoryRunStore, reporter._store), run_id)
    events = tuple((event.event_type, json.loads(event.payload)) for event in made.events)
    return Plain(
        made, json.loads(json.dumps(made.snapshot.header())), events, {r: json.loads(b) for r, b in made.blobs.items()}
    )


def test_no_field_brings_a_script(tmp_path: Path, report: Report) -> None:
    fields: set[Place] = set()
    taken: set[Place] = set()
    shown: set[Place] = set()
    for name in RUNS:
        run = plain(name)
        fields |= run.places()
        took, shows = tried(run)
        assert ("case", "case_id") in shows
        taken, shown = taken | took, shown | shows
        if BINARY is not None:
            browse(run, shows, tmp_path / f"{name}.html")
    seen = "shown as text, also in Chromium with all of them at once" if BINARY is not None else "shown as text"
    report(
        "scripts in the HTML report",
        f"{len(fields)} fields of {len(RUNS)} kinds of runs, one at a time; {len(taken)} of them take any text; "
        f"{len(shown)} are {seen}; "
        "no element came of one, nothing ran, nothing was fetched",
    )


def tried(run: Plain) -> tuple[set[Place], set[Place]]:
    """Return the places where a script is taken, and those of them where the page shows it; no page holds one raw."""
    taken, shown = set(), set()
    for place in sorted(run.places()):
        page = run.page_if_any([place])
        if page is None:
            continue
        assert SCRIPT not in page, place
        assert "<img" not in page, place
        assert page.count("<script") == 3, place
        taken.add(place)
        if "window.pwned" in page:
            shown.add(place)
    return taken, shown


def browse(run: Plain, shown: Collection[Place], path: Path) -> None:
    """Open the run's page with scripts at all these places, as far as it is one run still with the next one, too."""
    wanted: list[Place] = []
    for place in sorted(shown):
        if run.page_if_any([*wanted, place]) is not None:
            wanted.append(place)
    assert len(wanted) > len(shown) / 2
    path.write_text(run.page(wanted), encoding="utf-8")
    with chromium() as browser:
        browser.open(path)
        browser.run("document.querySelectorAll('button[aria-expanded=false]').forEach(each => each.click())")
        browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert browser.run("window.pwned === undefined")
        assert browser.run("document.scripts.length") == 3
        made = "document.querySelectorAll('img, a:not(.skip), iframe, object, embed, link, base')"
        assert browser.run(f"{made}.length") == 0
        assert browser.run("document.body.textContent.includes('window.pwned')")
        for event in ("Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Log.entryAdded"):
            assert browser.events(event) == []
        asked = [event["request"]["url"] for event in browser.events("Network.requestWillBeSent")]
        assert [url for url in asked if not url.startswith("file:")] == []
