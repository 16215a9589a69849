"""A report as one page that opens offline: figures and plots as markup, cases as data that the page's script shows.

What models, datasets and errors say is untrusted. In the markup it is escaped (`markup.py`); the cases travel as JSON
in a block that no text can end, and the script puts them into the page as text alone. A content security policy with
the hashes of the page's own style and script forbids everything else, the network included.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from themis.pure.report.markup import Markup, element, embedded_json
from themis.pure.report.overview import Bin, RunOverview
from themis.pure.report.plots import draw
from themis.pure.report.sections import Facts, Report, Section, Table, sections


def html_pieces(
    report: Report, cases: Iterable[bytes], *, sampling: str | None = None, style: str, script: str
) -> Iterator[str]:
    """Yield the page piece by piece; the listed cases come as JSON, and `sampling` says how they were chosen."""
    yield page_head(f"Run {report.snapshot.run_id[:12]} - Themis", style, script)
    yield '<body>\n<a class="skip" href="#cases">Skip to the cases</a>\n'
    yield _header(report)
    yield "\n<main>\n"
    for section in sections(report, "html"):
        yield f"{_section(section)}\n"
    yield _CASES.format(element("p", sampling, class_="note sampled") if sampling else "")
    yield "</main>\n"
    context = json.dumps(_context(report.overview))
    yield f'<script type="application/json" id="context">{embedded_json(context)}</script>\n'
    yield '<script type="application/json" id="data">['
    for number, case in enumerate(cases):
        yield f"{',' if number else ''}{embedded_json(case.decode())}"
    yield f"]</script>\n<script>{script}</script>\n</body>\n</html>\n"


def page_head(title: str, style: str, script: str | None = None) -> str:
    """Return a page up to its body; nothing is allowed on it but this style, and this script if there is one."""
    scripts = "" if script is None else f" script-src {_hash(script)};"
    policy = f"default-src 'none'; style-src {_hash(style)};{scripts} base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"{element('title', title)}\n<style>{style}</style>\n</head>\n"
    )


def html_summary(report: Report) -> str:
    """Return the head of a report as a fragment of a page, for a notebook: what was run, and the result table."""
    results = next(section for section in sections(report, "html") if section.title == "Results")
    table = "" if results.table is None else _table(results.table)
    note = element("p", results.note)
    return str(element("div", _header(report), table, note, *_remarks(results)))


def _context(overview: RunOverview) -> dict[str, Any]:
    """Return what the list of cases is told of the run: its metrics, of the graded ones the scale, and its datasets."""
    benchmark = overview.benchmark
    return {
        "metrics": list(benchmark.metric_ids),
        "graded": {name: _scale(overview.scores[name]) for name in overview.graded},
        "datasets": list(benchmark.dataset_ids),
    }


def _scale(bins: Sequence[Bin]) -> tuple[float, float]:
    """Return the ends of the scale that graded scores are drawn on: 0 and 1 unless some lie outside."""
    low, high = bins[0].low, bins[-1].high
    return (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high)


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _header(report: Report) -> Markup:
    status = element("span", report.status.replace("_", " "), class_=f"status {report.status}")
    problem = element("p", f"Ended early: {report.error_message}", class_="problem") if report.error_message else ""
    return element(
        "header",
        element("p", "Themis evaluation run", class_="eyebrow"),
        element("h1", element("code", report.snapshot.run_id[:12]), " ", status),
        problem,
        _facts(report.facts(), "facts"),
    )


def _facts(facts: Facts, kind: str) -> Markup:
    return element("dl", *(element("div", element("dt", n), element("dd", v)) for n, v in facts), class_=kind)


# --- sections ---------------------------------------------------------------------------------------------


def _section(section: Section) -> Markup:
    name = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
    if section.facts and not (section.plot or section.table or section.parts):  # to look up, not to read through
        summary = element("summary", section.note or section.title)
        content = [element("details", summary, _facts(section.facts, "list")), *_remarks(section)]
    else:
        parts = [_part(part) for part in section.parts]
        if not any(part.parts for part in section.parts):
            parts = [element("div", *parts, class_="columns")] if parts else []
        note = section.parts_note if parts and section.parts_note else section.note
        shown = attrs.evolve(section, note=note, table=None if parts else section.table)
        content = [*_body(shown), *parts, *_remarks(section)]
    return element("section", element("h2", section.title, id=name), *content, aria_labelledby=name)


def _part(section: Section) -> Markup:
    body = element("div", *_body(section))
    inner = [body, *(element("div", element("h4", part.title), *_body(part)) for part in section.parts)]
    content = [element("div", *inner, class_="columns")] if section.parts else inner
    return element("article", element("h3", section.title), *content, *_remarks(section))


def _body(section: Section) -> Iterator[Markup]:
    if section.figure:
        yield element("p", section.figure, class_="figure")
    if section.note:
        yield element("p", section.note, class_="note")
    if section.plot is not None:
        yield draw(section.plot)
    if section.facts:
        yield _facts(section.facts, "facts small")
    if section.table is not None:
        yield _table(section.table)


def _table(table: Table) -> Markup:
    kinds = [_kind(table, column) for column in range(len(table.header))]
    head = (element("th", name, scope="col", class_=kind) for name, kind in zip(table.header, kinds, strict=True))
    body = (
        element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in table.rows
    )
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return element("div", whole, class_="wide-table", tabindex="0", role="group", aria_label=table.header[0])


def _kind(table: Table, column: int) -> str:
    """Return how a column is set: figures to the right, short texts on one line, long ones broken where they must."""
    if table.align[column] == "r":
        return "number"
    longest = max((len(row[column]) for row in table.rows), default=0)
    return "short" if longest <= _SHORT else "long"


_SHORT: Final = 16


def _remarks(section: Section) -> list[Markup]:
    lines = [element("li", remark) for remark in section.remarks]
    first, rest = lines[:_FIRST_REMARKS], lines[_FIRST_REMARKS:]
    shown = [element("ul", *first, class_="remarks")] if first else []
    if rest:
        more = element("summary", f"{len(rest)} more remark{'' if len(rest) == 1 else 's'}")
        shown.append(element("details", more, element("ul", *rest, class_="remarks")))
    return shown


_FIRST_REMARKS: Final = 6
"""Remarks of a section that are shown at once; the others unfold."""


_CASES: Final = """<section aria-labelledby="cases"><h2 id="cases" tabindex="-1">Cases</h2>
{}<noscript><p class="problem">The list of cases needs JavaScript; the figures above do not.</p></noscript>
<form id="filters" role="search" aria-label="Cases"><label class="wide">Search <input type="search" id="search" \
autocomplete="off" spellcheck="false" placeholder="id, prompt, answer, error"></label>
<label>Metric <select id="metric"></select></label>
<label>Outcome <select id="outcome"></select></label>
<label>Dataset <select id="dataset"></select></label>
<label>Order <select id="order"></select></label></form>
<div class="pager"><p id="found" role="status" aria-live="polite"></p><nav aria-label="Pages">\
<button type="button" id="previous">Previous</button><span id="page"></span>\
<button type="button" id="next">Next</button></nav></div>
<ol id="list"></ol>
</section>
"""
