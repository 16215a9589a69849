"""Sections are told once: what is added to them is in every report, and no text of theirs means more than itself."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import Case, InMemoryRunStore, ParsedOutput, evaluate, metric
from themis.api.runs.report import read_report
from themis.api.runs.view import RunView
from themis.pure.report import sections as told
from themis.pure.report.html import html_pieces
from themis.pure.report.latex import run_latex
from themis.pure.report.markdown import run_markdown
from themis.pure.report.overview import Bin
from themis.pure.report.sections import EVERYWHERE, Format, Report, Section, Shares, Table, histogram_of, sections
from themis.pure.report.settings import described
from themis.pure.report.terminal import run_summary
from themis.testing.hostile import HOSTILE
from themis.testing.pipelines import Pipeline, pipelines

MIXED = Pipeline(
    cases=12,
    samples=2,
    generator=("right", "wrong", "raise", "right"),
    reducer=("right",),
    parser=("right", "right", "null"),
    metrics=(("right",), ("right", "error")),
    judge=("right", "wrong", "unusable"),
)


def report_of(pipeline: Pipeline) -> Report:
    store = InMemoryRunStore()
    return read_report(RunView.of(store, pipeline.experiment().run(store=store).run_id))


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(MIXED)


def html_page(report: Report) -> str:
    return "".join(html_pieces(report, (), style="", script=""))


RENDERED = {"html": html_page, "markdown": run_markdown, "latex": run_latex, "terminal": run_summary}


def everything(text: str) -> Section:
    """Return a section that has a text in every place that takes one."""
    table = Table(header=(text, "share"), rows=((text, text),))
    plot = Shares({text: 3}, text)
    part = Section(title=text, figure=text, note=text, facts=((text, text),), plot=plot, remarks=(text,))
    whole = Section(title=text, parts=(part, part.__class__(title=text, table=table, parts=(part,))))
    return Section(
        title=text, figure=text, note=text, facts=((text, text),), table=table, remarks=(text,), parts=(whole,)
    )


@pytest.mark.parametrize("shown_in", EVERYWHERE)
def test_a_section_that_is_added_is_in_every_report(
    report: Report, shown_in: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    def languages(report: Report) -> Iterator[Section]:
        yield Section(
            title="Languages",
            note="Of the answers",
            facts=(("commonest", "Basque"),),
            table=Table(header=("language", "cases"), rows=(("Quechua", "12"),)),
            remarks=("guessed",),
        )

    monkeypatch.setattr(told, "SECTIONS", (*told.SECTIONS, languages))
    text = RENDERED[shown_in](report)
    for word in ("Languages", "Of the answers", "commonest", "Basque", "language", "Quechua", "12", "guessed"):
        assert word in text


@pytest.mark.parametrize("shown_in", EVERYWHERE)
def test_a_plot_alone_is_described_where_it_can_not_be_drawn(
    report: Report, shown_in: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    plot = histogram_of([Bin(low=1.0, high=2.0, count=7)], "Lengths")
    monkeypatch.setattr(told, "SECTIONS", (lambda report: iter([Section(title="Lengths", plot=plot)]),))
    assert "7 from 1 to 2" in RENDERED[shown_in](report)


@given(pipelines())
def test_every_report_has_every_metric_with_its_count_and_the_run(pipeline: Pipeline) -> None:
    report = report_of(pipeline)
    for shown_in, render in RENDERED.items():
        text = render(report)
        for row in report.overview.metrics:
            assert row.metric_id in text
            assert str(row.estimate.scored) in text
        if shown_in != "terminal":
            assert report.snapshot.run_id[:12] in text
    told_of = [section.title for section in sections(report, "html")]
    each_answers = pipeline.samples > 1 and pipeline.reducer is None
    scores_answers = pipeline.metrics or (pipeline.judge is not None and pipeline.judged_family != "selection")
    asked = ["How the model was asked"] if any(each for _, _, each in described(report.snapshot)) else []
    shown = [f"{pipeline.samples} answers a case"] if each_answers and scores_answers else []
    failed = ["Failures by kind"] if report.overview.failures else []
    assert told_of == ["Results", *shown, *failed, "Latency and tokens", *asked, "Identity and provenance"]


TOPICS = ("algebra", "<b>geometry</b> & a name that goes on and on, far past any column", "", None)


@pytest.fixture(scope="module")
def by_topic() -> Report:
    rows = [
        {"input": f"{n}+{n}", "expected_output": str(2 * n), "metadata": {} if topic is None else {"topic": topic}}
        for n in range(40)
        for topic in (TOPICS[n % 4] if n < 38 else None,)
    ]
    result = evaluate(model="builtin/demo_model", data=rows, metric=["builtin/exact_match", "builtin/f1"])
    return read_report(result.view, by=("topic",))


@pytest.mark.parametrize("shown_in", EVERYWHERE)
def test_groups_stand_in_every_report_with_both_averages_below(by_topic: Report, shown_in: Format) -> None:
    text = RENDERED[shown_in](by_topic).replace("\\_", "_")
    for word in (
        "by topic",
        "algebra",
        "geometry",
        "(no topic)",
        "(empty)",
        "micro average",
        "macro average of 4 groups",
    ):
        assert word in text
    for grouped in by_topic.overview.groups:
        for estimate in (*(group.estimate for group in grouped.groups), grouped.micro, grouped.macro):
            assert f"{estimate.mean:.4f}" in text
    assert "<b>geometry" not in text or shown_in in ("terminal", "latex")


def test_groups_fit_into_a_terminal(by_topic: Report) -> None:
    lines = run_summary(by_topic).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("<b>geometry</b>") and "..." in line for line in lines)


@metric
def graded(parsed: ParsedOutput, case: Case) -> float:
    return len(str(case.input)) / 100


def test_what_several_groups_have_in_common_is_said_once() -> None:
    alone, pairs = [f"a topic of one, the {n}th" for n in range(8)], ["x", "y", "z"]
    topics = [*alone, *pairs, *pairs]
    rows = [{"input": "1" * n, "expected_output": "2", "metadata": {"topic": t}} for n, t in enumerate(topics, 1)]
    report = read_report(evaluate(model="builtin/demo_model", data=rows, metric=graded).view, by=("topic",))
    [section] = [section for section in sections(report, "html") if section.title.endswith("by topic")]
    reason = "one scored value has no spread"
    assert section.remarks[:2] == (
        f"{', '.join(alone)}: no 95% interval: {reason}",
        "x, y, z: 2 scored cases: under 30 a t interval rests on near-normal scores",
    )
    assert f"no 95% interval: group '{alone[0]}' has none: {reason}" in section.remarks[-1]
    assert max(map(len, run_summary(report).splitlines())) <= 80


def test_an_average_without_an_interval_says_why() -> None:
    rows = [{"input": "1+1", "expected_output": "2", "metadata": {"topic": topic}} for topic in ("a", "a", "b", "b")]
    result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match")
    [section] = [s for s in sections(read_report(result.view, by=("topic",)), "html") if s.title.endswith("by topic")]
    assert section.remarks == ("macro average of 2 groups: no 95% interval: no variation within any group",)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def tags(page: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = Tags()
    parser.feed(page.partition('<script type="application/json" id="context">')[0])
    return parser.found


@given(st.sampled_from(HOSTILE) | st.text(min_size=1))
def test_no_text_of_a_section_means_more_than_itself(report: Report, text: str) -> None:
    rendered = {}
    for name, said in (("hostile", text), ("plain", "plain")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(told, "SECTIONS", (lambda report, said=said: iter([everything(said)]),))
            rendered[name] = {shown_in: render(report) for shown_in, render in RENDERED.items()}
    assert tags(rendered["hostile"]["html"]) == tags(rendered["plain"]["html"])
    for shown_in in ("markdown", "latex", "terminal"):
        hostile, plain = rendered["hostile"][shown_in], rendered["plain"][shown_in]
        assert not set(hostile) & {"\x1b", "\x07", "\u202e", "\u2028", "\r", "\x00"}
        if text.strip():
            assert hostile.count("\n") == plain.count("\n")
    for command in ("\\input", "\\write", "\\def"):
        assert command not in rendered["hostile"]["latex"]


def test_a_graded_metric_has_no_pass_at_k() -> None:
    rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(12)]
    metrics = ["builtin/exact_match", graded]
    result = evaluate(model="builtin/demo_model", data=rows, metric=metrics, samples=2)
    section = next(each for each in sections(read_report(result.view), "markdown") if each.title == "2 answers a case")
    assert section.table is not None
    by_metric = {row[0]: row[2:] for row in section.table.rows}
    assert by_metric["graded"][:2] == ("-", "-")
    assert "-" not in (by_metric["graded"][2], *by_metric["builtin/exact_match"])
    said = [remark for remark in section.remarks if remark.startswith("graded: its scores are graded")]
    assert len(said) == 1
    assert not any("pass" in remark for remark in section.remarks if remark.startswith("graded, "))


def test_only_a_terminal_has_the_stop_of_a_run_in_lines() -> None:
    store = InMemoryRunStore()
    rows = [{"input": f"{n} + {n}", "expected_output": str(2 * n)} for n in range(200)]
    rule = "exact_match>=0.01, every=100"
    run = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match", store=store, until=rule)
    report = read_report(run.view)
    said = str(run.stop)
    assert len(said) > 80
    shown: dict[Format, list[str]] = {
        form: [line for each in sections(report, form) if each.title == "When the run ended" for line in each.remarks]
        for form in EVERYWHERE
    }
    assert {form for form, lines in shown.items() if said in lines} == {"html", "markdown", "latex"}
    assert all(len(line) <= 80 for line in shown["terminal"])
    assert said in " ".join(shown["terminal"])
