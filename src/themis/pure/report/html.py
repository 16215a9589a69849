"""A run as one page that opens offline: figures and plots as markup, cases as data that the page's script shows.

What models, datasets and errors say is untrusted. In the markup it is escaped; the cases travel as JSON in a
block that no text can end, and the script puts them into the page as text alone. A content security policy with
the hashes of the page's own style and script forbids everything else, the network included.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape as _escaped

import attrs

from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.report import plots
from themis.pure.report.overview import Bin, Quantity, RunOverview
from themis.pure.report.plain import printable
from themis.pure.report.sample import joined
from themis.pure.report.summary import SummaryRow
from themis.pure.stats.wording import interval_text, number

_NAMES = {
    "latency_ms": "Latency of a candidate",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Answer tokens",
}


@attrs.frozen(kw_only=True)
class HtmlReport:
    """What a page shows above the list of cases.

    Attributes:
        snapshot: the run.
        status: where it stands.
        error_message: why it ended early, if it did.
        overview: its figures.
        sampling: how the listed cases were chosen; `None` if all are listed.
        style: the page's style sheet.
        script: the page's script.
    """

    snapshot: RunSnapshot
    status: str
    error_message: str | None = None
    overview: RunOverview
    sampling: str | None = None
    style: str
    script: str


def text(value: object) -> str:
    """Return untrusted text as markup that means nothing but itself, in elements and attributes.

    >>> text("<b onclick='x'>")
    '&lt;b onclick=&#x27;x&#x27;&gt;'
    """
    return _escaped(printable(str(value)))


def embedded_json(piece: str) -> str:
    r"""Return JSON that can stand in a script block: nothing in it can end the block or open a comment.

    >>> embedded_json('["</script>"]')
    '["\\u003c/script\\u003e"]'
    """
    for character in "<>&\u2028\u2029":
        piece = piece.replace(character, f"\\u{ord(character):04x}")
    return piece


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def html_pieces(report: HtmlReport, cases: Iterable[bytes]) -> Iterator[str]:
    """Yield the page piece by piece.

    Args:
        report: what stands above the list.
        cases: each listed case as JSON, in plan order.
    """
    policy = (
        f"default-src 'none'; style-src {_hash(report.style)}; script-src {_hash(report.script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    run_id = report.snapshot.run_id
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Run {text(run_id[:12])} - Themis</title>\n<style>{report.style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#cases">Skip to the cases</a>\n'
    )
    yield _header(report)
    yield "<main>\n"
    yield from _metrics(report.overview)
    yield from _quantities(report.overview)
    yield _provenance(report.snapshot, report.overview)
    yield _case_list(report)
    yield "</main>\n"
    context = {"metrics": list(report.overview.benchmark.metric_ids), "datasets": _dataset_ids(report.snapshot)}
    yield f'<script type="application/json" id="context">{embedded_json(json.dumps(context))}</script>\n'
    yield '<script type="application/json" id="data">'
    for piece in joined(cases):
        yield embedded_json(piece)
    yield f"</script>\n<script>{report.script}</script>\n</body>\n</html>\n"


def _dataset_ids(snapshot: RunSnapshot) -> list[str]:
    return [dataset.dataset_id for dataset in snapshot.datasets]


def _header(report: HtmlReport) -> str:
    benchmark = report.overview.benchmark
    identity = report.snapshot.identity
    facts = [
        ("Model", identity.generator_ref.component_id),
        ("Data", ", ".join(_dataset_ids(report.snapshot))),
        ("Cases", f"{benchmark.total_cases:,}"),
        ("Candidates", f"{report.overview.candidates:,}"),
        ("With an error", f"{benchmark.failed_cases:,}"),
    ]
    problem = f'<p class="problem">Ended early: {text(report.error_message)}</p>' if report.error_message else ""
    return (
        f'<header>\n<p class="eyebrow">Themis evaluation run</p>\n<h1><code>{text(report.snapshot.run_id[:12])}</code> '
        f'<span class="status {text(report.status)}">{text(report.status.replace("_", " "))}</span></h1>\n{problem}'
        f'<dl class="facts">{_pairs(facts)}</dl>\n</header>\n'
    )


def _pairs(facts: Iterable[tuple[str, object]]) -> str:
    return "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)


# --- metrics ----------------------------------------------------------------------------------------------


def _metrics(overview: RunOverview) -> Iterator[str]:
    yield (
        '<section aria-labelledby="results"><h2 id="results">Results</h2>\n'
        '<p class="note">Means are over scored cases only. The dot is the mean and the bar its interval; the pale '
        "band shows where the mean could lie if every missing score were wrong, or right.</p>\n"
    )
    if not overview.metrics:
        yield '<p class="note">The run has no metric.</p>'
    for row in overview.metrics:
        yield _metric(row, overview)
    yield "</section>\n"


def _metric(row: SummaryRow, overview: RunOverview) -> str:
    estimate, name = row.estimate, text(row.metric_id)
    mean = "not defined" if estimate.mean is None else f"{estimate.mean:.4f}"
    error = "" if estimate.standard_error is None else f' <span class="error">± {estimate.standard_error:.4f}</span>'
    facts: list[tuple[str, object]] = [
        ("Planned", f"{row.planned:,}"),
        ("Scored", f"{row.scored:,}"),
        ("Missing", f"{estimate.missing:,}"),
        ("Unparsed", f"{row.unparsed:,}"),
        ("Other errors", f"{row.errored:,}"),
        ("Parse rate", "-" if row.parse_rate is None else f"{row.parse_rate:.1%}"),
        ("All missing wrong, or right", row.bounds()),
    ]
    if estimate.clusters is not None:
        facts += [("Clusters", f"{estimate.clusters:,}"), ("If clusters were ignored", row.naive())]
    reasons = [f"{field}: {reason}" for field, reason in estimate.undefined.items()]
    notes = "".join(f"<li>{text(note)}</li>" for note in (*estimate.warnings, *reasons))
    outcomes = ", ".join(f"{row.outcomes.get(outcome, 0):,} {outcome}" for outcome in plots.OUTCOMES)
    legend = "".join(
        f'<li class="{outcome}"><b>{row.outcomes.get(outcome, 0):,}</b> {outcome}</li>' for outcome in plots.OUTCOMES
    )
    return (
        f'<article class="metric"><h3>{name}</h3>\n<div class="columns"><div>'
        f'<p class="mean">{mean}{error}</p><p class="interval">{text(interval_text(estimate.interval))}</p>'
        f"{plots.error_bar(estimate, f'{row.metric_id}: mean {mean}, {interval_text(estimate.interval)}')}"
        f'<h4>Outcomes</h4>{plots.outcome_bar(row.outcomes, f"Outcomes: {outcomes}")}<ul class="legend">{legend}</ul>'
        f"{_errors(row)}</div><div><h4>Scores</h4>"
        f"{_scores(row, overview)}"
        f'<dl class="facts small">{_pairs(facts)}</dl></div></div>'
        + (f'<ul class="mind">{notes}</ul>' if notes else "")
        + "</article>\n"
    )


def _scores(row: SummaryRow, overview: RunOverview) -> str:
    bins = overview.scores.get(row.metric_id, ())
    if not bins:
        return '<p class="note">Nothing was scored.</p>'
    return plots.histogram_bars(bins, f"Distribution of {row.metric_id}: {_spoken(bins)}")


def _spoken(bins: Iterable[Bin]) -> str:
    return ", ".join(
        f"{each.count} at {plots.short(each.low)}"
        if each.low == each.high
        else f"{each.count} from {plots.short(each.low)} to {plots.short(each.high)}"
        for each in bins
    )


def _errors(row: SummaryRow) -> str:
    if not row.errors:
        return ""
    lines = "".join(
        f"<tr><td>{text(category.replace('_', ' '))}</td><td class=number>{count:,}</td>"
        f"<td class=number>{count / row.planned:.1%}</td></tr>"
        for category, count in sorted(row.errors.items(), key=lambda pair: -pair[1])
    )
    return (
        '<table class="errors"><caption>Errors</caption><thead><tr><th scope="col">Kind</th>'
        f'<th scope="col" class=number>Cases</th><th scope="col" class=number>Share</th></tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


# --- latency and tokens -----------------------------------------------------------------------------------


def _quantities(overview: RunOverview) -> Iterator[str]:
    yield '<section aria-labelledby="cost"><h2 id="cost">Latency and tokens</h2>\n'
    if not overview.quantities:
        yield '<p class="note">The generator reported neither latency nor tokens.</p>'
    yield '<div class="columns">'
    for each in overview.quantities:
        yield _quantity(each)
    yield "</div></section>\n"


def _quantity(each: Quantity) -> str:
    name, described = _NAMES.get(each.name, each.name), each.described
    figures = (
        ("Median", described.median),
        ("Mean", described.mean),
        ("90th percentile", described.percentile_90),
        ("99th percentile", described.percentile_99),
    )
    facts: list[tuple[str, object]] = [
        (label, "-" if value is None else f"{number(value)} {each.unit}") for label, value in figures
    ]
    facts += [("Measured", f"{described.measured:,} of {described.planned:,}")]
    return (
        f"<article><h3>{text(name)}</h3>"
        f"{plots.histogram_bars(each.bins, f'{name}: {_spoken(each.bins)}', log_scale=each.log_scale)}"
        f'<dl class="facts small">{_pairs(facts)}</dl>'
        f'<p class="note">Mean: {text(interval_text(described.mean_interval))}</p></article>'
    )


# --- identity and cases -----------------------------------------------------------------------------------


def _provenance(snapshot: RunSnapshot, overview: RunOverview) -> str:
    identity, made = snapshot.identity, snapshot.provenance
    refs: list[tuple[str, ComponentRef]] = [("Generator", identity.generator_ref)]
    refs += [("Selector", ref) for ref in (identity.selector_ref,) if ref is not None]
    refs += [("Reducer", ref) for ref in (identity.reducer_ref,) if ref is not None]
    refs += [("Parser", ref) for ref in identity.parser_refs]
    refs += [("Metric", ref) for ref in identity.metric_refs]
    refs += [("Judge", ref) for ref in identity.judge_model_refs]
    facts: list[tuple[str, object]] = [
        ("Run id", snapshot.run_id),
        ("Result digest", overview.digest or "not made for a page that lists a sample; `themis verify` makes it"),
        *((kind, f"{ref.component_id} {ref.version}, code {ref.fingerprint[:12]}") for kind, ref in refs),
        *(
            ("Dataset", f"{ref.dataset_id} {ref.revision or ''}, content {ref.fingerprint[:12]}")
            for ref in identity.dataset_refs
        ),
        ("Candidates per case", _plain(identity.candidate_policy) or "1"),
        ("Seeds", ", ".join(map(str, identity.seeds)) or "derived from each case"),
        ("Themis", made.themis_version),
        ("Python", f"{made.python_version} on {made.platform}"),
        ("Git commit", made.git_commit or "not known"),
        ("Store", made.storage.store),
        ("Environment", _plain(made.environment_metadata) or "-"),
        ("Libraries", _plain(made.dependency_versions) or "-"),
    ]
    return (
        '<section aria-labelledby="identity"><h2 id="identity">Identity and provenance</h2>\n'
        f'<details><summary>What was run, with what, and where</summary><dl class="list">{_pairs(facts)}</dl>'
        "</details></section>\n"
    )


def _plain(mapping: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in mapping.items())


def _case_list(report: HtmlReport) -> str:
    note = f'<p class="note sampled">{text(report.sampling)}</p>' if report.sampling else ""
    return (
        f'<section aria-labelledby="cases"><h2 id="cases" tabindex="-1">Cases</h2>\n{note}'
        '<noscript><p class="problem">The list of cases needs JavaScript; the figures above do not.</p></noscript>\n'
        '<form id="filters" role="search" aria-label="Cases">'
        '<label class="wide">Search <input type="search" id="search" autocomplete="off" spellcheck="false" '
        'placeholder="id, prompt, answer, error"></label>'
        '<label>Metric <select id="metric"></select></label>'
        '<label>Outcome <select id="outcome"></select></label>'
        '<label>Dataset <select id="dataset"></select></label>'
        '<label>Order <select id="order"></select></label></form>\n'
        '<div class="pager"><p id="found" role="status" aria-live="polite"></p>'
        '<nav aria-label="Pages"><button type="button" id="previous">Previous</button>'
        '<span id="page"></span><button type="button" id="next">Next</button></nav></div>\n'
        '<ol id="list"></ol>\n</section>\n'
    )
