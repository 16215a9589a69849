"""A list of cases for a terminal: a line for each answer, cut to the width there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from themis.pure.changes import ShownAnswer, ShownCase, ShownScore
from themis.pure.records.prompt import text_of
from themis.pure.report.changes import prompt_text
from themis.pure.text import one_line, shortened

_MOST_METRICS: Final = 4
_SHARES: Final = (("prompt", 3), ("expected", 2), ("parsed", 2), ("answer", 3))
"""The columns of texts, and how many parts of the room that is left each takes."""
_LEAST: Final = 8
_LONGEST_NAME: Final = 18


def cases_table(cases: Sequence[ShownCase], metrics: Sequence[str], width: int = 80) -> str:
    """Return cases as a table: each answer with its prompt, the reference, what was parsed, and its scores.

    Args:
        cases: the cases.
        metrics: which scores to show, of which the first four fit.
        width: how many columns the terminal has.
    """
    several = len({case.dataset_id for case in cases}) > 1
    shown = metrics[:_MOST_METRICS]
    header = ["case", *(_short(metric) for metric in shown)]
    lines = [_figures(case, answer, shown, with_dataset=several) for case in cases for answer in case.answers]
    widths = [
        max(len(header[place]), *(len(line[place]) for line in lines)) if lines else 0 for place in range(len(header))
    ]
    room = max(width - sum(widths) - 3 * (len(widths) + len(_SHARES) - 1), _LEAST * len(_SHARES))
    parts = [room * share // sum(share for _, share in _SHARES) for _, share in _SHARES]
    texts = [_texts(case, answer) for case in cases for answer in case.answers]
    columns = [widths[0], *parts, *widths[1:]]
    rows = [
        [header[0], *(name for name, _ in _SHARES), *header[1:]],
        *([line[0], *found, *line[1:]] for line, found in zip(lines, texts, strict=True)),
    ]
    cells = [
        [
            shortened(cell, column).rjust(column) if place > len(_SHARES) else shortened(cell, column).ljust(column)
            for place, (cell, column) in enumerate(zip(row, columns, strict=True))
        ]
        for row in rows
    ]
    rule = "-+-".join("-" * column for column in columns)
    return "\n".join([" | ".join(cells[0]).rstrip(), rule, *(" | ".join(row).rstrip() for row in cells[1:])])


def _short(metric: str) -> str:
    return shortened(one_line(metric.removeprefix("builtin/")), _LONGEST_NAME)


def _figures(case: ShownCase, answer: ShownAnswer, metrics: Sequence[str], *, with_dataset: bool) -> list[str]:
    name = f"{case.dataset_id}/{case.case_id}" if with_dataset else case.case_id
    if len(case.answers) > 1 and answer is not case.answers[0]:
        name = f"  {case.answers.index(answer) + 1}."
    scores = {score.metric_id: score for score in (*case.scores, *answer.scores)}
    return [
        shortened(one_line(name) or name, _LONGEST_NAME),
        *(_figure(scores.get(metric)) for metric in metrics),
    ]


def _figure(score: ShownScore | None) -> str:
    if score is None:
        return "-"
    if score.value is None:
        return score.outcome.replace("_", " ")
    return f"{score.value:.4g}"


def _texts(case: ShownCase, answer: ShownAnswer) -> list[str]:
    parsed = "-" if answer.parsed is None else text_of(answer.parsed)
    said = f"({answer.error})" if answer.answer is None else text_of(answer.answer)
    expected = "-" if case.expected_output is None else text_of(case.expected_output)
    return [one_line(shortened(text, 400)) for text in (prompt_text(case), expected, parsed, said)]
