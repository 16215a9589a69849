"""What changed between two runs: for a terminal, as Markdown, as plain data, and as a page.

Texts of cases are untrusted, and are made harmless for each. On the page and on the terminal the two runs stand side by
side, and what differs is marked.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.case_view import shown_content
from themis.pure.changes import (
    CHANGED,
    KINDS,
    UNCHANGED,
    CasesOfKind,
    ChangedCase,
    ChangeKind,
    MetricChanges,
    ShownAnswer,
    ShownCase,
    ShownScore,
)
from themis.pure.differences import marked, side_by_side
from themis.pure.records.prompt import text_of
from themis.pure.report.markdown import escape, fenced, table
from themis.pure.report.markup import Markup, element, joined
from themis.pure.text import one_line, printable, shortened

WORDS: Final[Mapping[ChangeKind, str]] = {kind: kind.replace("_", " ") for kind in KINDS} | {
    "score_fell": "score fell",
    "score_rose": "score rose",
    "parsed_differently": "same score, parsed differently",
    "without_answer": "no answer in either run",
    "same": "no change",
}
"""What each kind is called."""

_NAMED: Final = 8
"""Cases of each kind that a summary names."""
_LONGEST: Final = 4_000
"""Longer texts of a case are cut, and say so; the store has them whole."""
_MOST_LINES: Final = 24


def changes_data(metrics: Sequence[MetricChanges], cases: Iterable[ChangedCase], *, paired: int) -> dict[str, Any]:
    """Return what changed as plain data: the kinds by metric, and cases in full."""
    return {
        "paired": paired,
        "metrics": [{**each.to_dict(), "changed": each.changed} for each in metrics],
        "cases": [{"kind": each.kind, **each.to_dict()} for each in cases],
    }


# --- on the terminal --------------------------------------------------------------------------------------


def changes_text(metrics: Iterable[MetricChanges]) -> str:
    """Return how many cases changed by each metric, by kind, and the names of the first."""
    lines = []
    found = [*metrics]
    named = _Named.of(found)
    for each in found:
        told = "no case changed" if not each.changed else f"{_cases(each.changed)} of {each.total:,} changed"
        lines.append(one_line(f"{each.metric_id}: {told}"))
        lines += [
            f"  {WORDS[of.kind]} ({of.count:,}): {named.names(of)}" for of in each.kinds if of.kind not in UNCHANGED
        ]
    return "\n".join(lines)


def _cases(count: int) -> str:
    return f"{count:,} case{'' if count == 1 else 's'}"


@attrs.frozen
class _Named:
    """How cases are named: by their ids, and by their datasets' too where there are several."""

    with_dataset: bool

    @classmethod
    def of(cls, metrics: Sequence[MetricChanges]) -> _Named:
        keys = (key for each in metrics for of in each.kinds for key in of.case_keys)
        return cls(len({dataset_and_case(key)[0] for key in keys}) > 1)

    def names(self, found: CasesOfKind) -> str:
        parts = map(dataset_and_case, found.case_keys[:_NAMED])
        names = [shortened(one_line(f"{of}/{name}" if self.with_dataset else name), 40) for of, name in parts]
        more = f", and {found.count - _NAMED:,} more" if found.count > _NAMED else ""
        return f"{', '.join(names)}{more}" if names else ""


def dataset_and_case(key: str) -> tuple[str, str]:
    """Return the dataset's id and the case's from the key that holds both.

    >>> dataset_and_case("4:data:17")
    ('data', '17')
    """
    length, _, rest = key.partition(":")
    place = int(length) if length.isdecimal() else 0
    return rest[:place], rest[place + 1 :]


def changed_case_text(case: ChangedCase, label_a: str, label_b: str, width: int = 80) -> str:
    """Return a case that changed for a terminal: both runs side by side, `!` between lines that differ."""
    half = max(16, (width - 3) // 2)
    kinds = one_line("; ".join(f"{metric}: {WORDS[kind]}" for metric, kind in case.kinds.items()))
    lines = [one_line(f"case {case.case_id} of dataset {case.dataset_id}"), *_wrapped(kinds, width - 2, "  ")]
    for title, a, b in _told(case):
        if a == b:
            lines += [f"{one_line(title)}:", *_wrapped(a, width - 2, "  ")]
            continue
        lines.append(one_line(title))
        head = (shortened(one_line(label_a), half - 4), shortened(one_line(label_b), half - 4))
        lines.append(f"{f'  a: {head[0]}'.ljust(half)}   {f'b: {head[1]}'}".rstrip())
        for left, right, is_alike in side_by_side(_wrapped(a, half - 2), _wrapped(b, half - 2)):
            lines.append(f"{f'  {left}'.ljust(half)} {'|' if is_alike else '!'} {right}".rstrip())
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    lines = [
        f"{indent}{line}"
        for whole in printable(_cut(text)).expandtabs(4).split("\n")
        for line in textwrap.wrap(whole, width, replace_whitespace=False) or [""]
    ]
    left = len(lines) - _MOST_LINES
    return lines if left <= 0 else [*lines[:_MOST_LINES], f"{indent}[{left:,} more lines]"]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n[cut here: {len(text):,} characters in all]"


# --- what is told of a case -------------------------------------------------------------------------------


def _told(case: ChangedCase) -> Iterator[tuple[str, str, str]]:
    """Yield what is told of a case, passage by passage: a title, and the text of each run."""
    yield "prompt", prompt_text(case.a), prompt_text(case.b)
    yield "expected", text_of(case.a.expected_output), text_of(case.b.expected_output)
    count = max(len(case.a.answers), len(case.b.answers))
    for number in range(count):
        of = f" {number + 1}" if count > 1 else ""
        a, b = (_nth(side.answers, number) for side in (case.a, case.b))
        yield f"answer{of}", answer_text(a), answer_text(b)
        yield f"parsed{of}", parsed_text(a), parsed_text(b)
        yield f"scores{of}", scores_text(a.scores), scores_text(b.scores)
    if case.a.scores or case.b.scores:
        yield "scores of all answers", scores_text(case.a.scores), scores_text(case.b.scores)


def _nth(answers: Sequence[ShownAnswer], number: int) -> ShownAnswer:
    return answers[number] if number < len(answers) else ShownAnswer()


def prompt_text(case: ShownCase) -> str:
    """Return what the model was sent, each message with its role where there are several."""
    texts = [text_of(shown_content(message["content"])) for message in case.prompt]
    if len(texts) == 1:
        return texts[0]
    return "\n".join(f"[{message['role']}] {text}" for message, text in zip(case.prompt, texts, strict=True))


def answer_text(answer: ShownAnswer) -> str:
    if answer.answer is None:
        return f"(none: {answer.error})" if answer.error else "(none)"
    return text_of(answer.answer)


def parsed_text(answer: ShownAnswer) -> str:
    if answer.parsed is None:
        return f"(nothing: {answer.error})" if answer.error and answer.answer is not None else "(nothing)"
    return text_of(answer.parsed)


def scores_text(scores: Iterable[ShownScore]) -> str:
    """Return scores, a line for each metric."""
    return "\n".join(f"{each.metric_id}: {score_text(each)}" for each in scores)


def score_text(score: ShownScore) -> str:
    outcome = score.outcome.replace("_", " ")
    if score.value is None:
        return f"{outcome}: {score.error}" if score.error else outcome
    return f"{score.value:g} ({outcome}{', not parsed' if score.error_category is not None else ''})"


# --- as Markdown ------------------------------------------------------------------------------------------


def changes_markdown(metrics: Iterable[MetricChanges], cases: Iterable[ChangedCase], label_a: str, label_b: str) -> str:
    """Return what changed as Markdown: a table of the kinds, and cases in full."""
    found = [*metrics]
    named = _Named.of(found)
    rows = [(each.metric_id, WORDS[of.kind], f"{of.count:,}", named.names(of)) for each in found for of in each.kinds]
    parts = ["## What changed", table(("metric", "what changed", "cases", "which"), rows)]
    labels = (label_a, label_b)
    for case in cases:
        kinds = [f"{metric}: {WORDS[kind]}" for metric, kind in case.kinds.items()]
        parts += [f"### {escape(f'{case.case_id} of {case.dataset_id}')}", escape("; ".join(kinds))]
        for title, a, b in _told(case):
            if a == b:
                parts += [escape(title), fenced(a)]
            else:
                for label, text in zip(labels, (a, b), strict=True):
                    parts += [escape(f"{title}, {label}"), fenced(text)]
    return "\n\n".join(parts) + "\n"


# --- as a page --------------------------------------------------------------------------------------------


def changes_html(
    metrics: Sequence[MetricChanges], cases: Iterable[ChangedCase], label_a: str, label_b: str
) -> Iterator[Markup]:
    """Yield what changed as sections of a page: the counts, and the cases by the most telling of their kinds."""
    by_kind: dict[ChangeKind, list[Markup]] = {}
    for case in cases:
        by_kind.setdefault(case.kind, []).append(_case_html(case, label_a, label_b))
    named = _Named.of(metrics)
    counted = (_counted(each, by_kind, named) for each in metrics)
    yield element("section", element("h2", "What changed", id="changed"), *counted)
    for kind in CHANGED:
        if kind in by_kind:
            total = max((each.of_kind(kind).count for each in metrics), default=0)
            shown = len(by_kind[kind])
            note = element("p", f"{shown:,} of {total:,} cases", class_="note") if total > shown else ""
            yield element("section", element("h2", WORDS[kind].capitalize(), id=kind), note, *by_kind[kind])


def _counted(each: MetricChanges, shown: Collection[ChangeKind], named: _Named) -> Markup:
    rows = (
        element(
            "tr",
            element("td", _link(of.kind) if of.kind in shown else WORDS[of.kind]),
            element("td", f"{of.count:,}", class_="number"),
            element("td", named.names(of), class_="long"),
        )
        for of in each.kinds
    )
    head = element("tr", element("th", "What changed"), element("th", "Cases", class_="number"), element("th", "Which"))
    counted = element("table", element("thead", head), element("tbody", *rows), class_="counts")
    whole = element("div", counted, class_="wide-table", tabindex="0", role="group", aria_label=each.metric_id)
    return element("article", element("h3", each.metric_id), whole)


def _link(kind: ChangeKind) -> Markup:
    return element("a", WORDS[kind], href=f"#{kind}")


def _case_html(case: ChangedCase, label_a: str, label_b: str) -> Markup:
    kinds = [element("li", f"{metric}: {WORDS[kind]}") for metric, kind in case.kinds.items()]
    head = element("h3", element("code", case.case_id), element("span", f" of {case.dataset_id}", class_="of"))
    return element(
        "article",
        head,
        element("ul", *kinds, class_="kinds"),
        *(_passage(title, a, b, (label_a, label_b)) for title, a, b in _told(case)),
        class_="changed",
    )


def _passage(title: str, a: str, b: str, labels: tuple[str, str]) -> Markup:
    if a == b:
        return element("div", element("h4", title), element("pre", _cut(a)))
    sides = [
        element("div", element("h5", label), element("pre", joined(*(_piece(*each, tag) for each in pieces))))
        for label, pieces, tag in zip(labels, marked(_cut(a), _cut(b)), ("del", "ins"), strict=True)
    ]
    return element("div", element("h4", title), element("div", *sides, class_="sides"))


def _piece(text: str, is_marked: bool, tag: str) -> str:
    return element(tag, text) if is_marked else text
