"""Why two runs' means differ, as text for a terminal, as Markdown and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from themis.pure.identity import named_by
from themis.pure.json import JSONValue
from themis.pure.records.difference import CaseShare, DifferenceExplanation, FactorShare, NewCalls
from themis.pure.records.prompt import text_of
from themis.pure.report.markdown import escape, table
from themis.pure.report.terminal import plain_table
from themis.pure.text import one_line, shortened

_LINE: Final = 150
_FACTOR: Final = 28
_NARROWEST: Final = 10


def difference_text(found: DifferenceExplanation, width: int = 100) -> str:
    """Return an explanation for a terminal: what is explained, a table of factors, what is not known, the cases.

    Args:
        found: the explanation.
        width: columns that the table may take, if that leaves room for its texts.
    """
    header, rows = _header(found), _rows(found)
    longest = [
        min(_FACTOR, max(len(row[0]) for row in rows)),
        *(max(map(len, column)) for column in zip(header, *rows, strict=True)),
    ]
    others = longest[0] + sum(longest[4:]) + 3 * (len(header) - 1)
    room = max(_NARROWEST, (width - others) // 2)
    narrow = [
        [shortened(one_line(cell), most) for cell, most in zip(row, (_FACTOR, room, room, *[_LINE] * 3), strict=True)]
        for row in rows
    ]
    shown = "\n".join(line.rstrip() for line in plain_table(header, narrow).splitlines())
    parts = ["\n".join(_head(found)), shown, "\n".join(map(one_line, _remarks(found, room)))]
    parts += ["\n".join(_cases(each, found)) for each in found.factors if each.cases]
    return "\n\n".join(parts)


def difference_markdown(found: DifferenceExplanation) -> str:
    """Return an explanation as Markdown; what models wrote is escaped."""
    parts = [
        "# Why the means differ",
        "\n".join(f"- {escape(line)}" for line in _head(found)),
        table(_header(found), _rows(found)),
        "\n".join(f"- {escape(line)}" for line in _remarks(found)),
    ]
    for each in found.factors:
        if each.cases:
            title, *lines = _cases(each, found)
            parts += [f"## {escape(title)}", "\n".join(_listed(line) for line in lines)]
    return "\n\n".join(parts) + "\n"


def _listed(line: str) -> str:
    """Return a line of a case as an item of a list: what is told of a case is a list within it."""
    return f"{'  ' if line.startswith('    ') else ''}- {escape(line.strip())}"


def difference_data(found: DifferenceExplanation) -> dict[str, Any]:
    """Return an explanation as plain data: what `--json` prints."""
    data: dict[str, Any] = found.to_dict()
    points = [{"points": each.points if found.in_points else None} for each in found.factors]
    return {
        **data,
        "difference": found.difference,
        "method": _method(found),
        "factors": [each | more for each, more in zip(data["factors"], points, strict=True)],
    }


def _head(found: DifferenceExplanation) -> Iterator[str]:
    sides = (
        ("a", found.label_a, found.metric_a, found.mean_a, found.scored_a),
        ("b", found.label_b, found.metric_b, found.mean_b, found.scored_b),
    )
    for name, label, metric, mean, scored in sides:
        yield one_line(f"{name}: {label}, {metric}: mean {mean:.4f} of {scored:,} scores")
    yield f"b - a: {_amount(found.difference, found)}; {found.shared_cases:,} cases are in both runs"


def _amount(share: float, found: DifferenceExplanation) -> str:
    return f"{_number(share, found)} points" if found.in_points else f"{_number(share, found)} (in the metric's units)"


def _number(share: float, found: DifferenceExplanation) -> str:
    return f"{100 * share:+.2f}" if found.in_points else f"{share:+.4f}"


def _header(found: DifferenceExplanation) -> Sequence[str]:
    return ["factor", "a", "b", "points" if found.in_points else "share", "cases", "how known"]


def _rows(found: DifferenceExplanation) -> list[list[str]]:
    rows = [
        [
            each.title,
            each.before or "-",
            each.after or "-",
            _number(each.share, found),
            f"+{each.raised:,} -{each.lowered:,}",
            each.known,
        ]
        for each in found.factors
    ]
    total = ["all factors", "", "", _number(sum(each.share for each in found.factors), found), "", ""]
    return [*rows, total]


def _remarks(found: DifferenceExplanation, room: int = _LINE) -> Iterator[str]:
    """Yield what the table has no room for: how it came about, what was cut there, what is not known."""
    yield _method(found)
    for each in found.factors:
        if len(each.title) > _FACTOR or max(len(each.before), len(each.after)) > room:
            yield f"{each.title}: from {each.before or '-'} to {each.after or '-'}"
        yield from (f"{each.title}: {note}" for note in each.notes)
        if each.new_calls is not None:
            yield f"{each.title}: {_calls(each.new_calls)}"
    yield from (f"Note: {note}" for note in found.notes)


def _calls(needed: NewCalls) -> str:
    cost = "at a cost that is not known" if needed.cost is None else f"about ${needed.cost:.4f}"
    return f"only new calls could tell {needed.why}: {needed.calls:,} calls, {cost}"


def _method(found: DifferenceExplanation) -> str:
    count = len(found.factors)
    if not count:
        return "Nothing differs between the runs in what the mean is made of."
    gone = (
        f"all {found.combinations:,} combinations were gone through"
        if found.is_exact
        else "orders were drawn, by a fixed seed"
    )
    what = "a share is" if count == 1 else f"a share is, of {count} factors,"
    return (
        f"How it is shared: {what} the Shapley value (Shapley 1953), the mean's change by swapping the factor from a "
        f"to b, averaged over all orders of swapping; {gone}, and the shares sum to the difference."
    )


def _cases(each: FactorShare, found: DifferenceExplanation) -> Iterator[str]:
    behind = each.raised + each.lowered
    yield one_line(f"{each.title}: {_amount(each.share, found)}, {len(each.cases):,} of {behind:,} cases behind it")
    for case in each.cases:
        yield from _case(case, found)


def _case(case: CaseShare, found: DifferenceExplanation) -> Iterator[str]:
    if case.case_a is None or case.case_b is None:
        key, where = (case.case_b, ", b alone") if case.case_a is None else (case.case_a, ", a alone")
    else:
        key, where = case.case_a, "" if case.case_a == case.case_b else f", in b {_case_name(case.case_b)}"
    scores = " to ".join("no score" if score is None else f"{score:g}" for score in _scores(case))
    yield "  " + one_line(f"{_case_name(key or '')}{where}: {scores}, {_amount(case.share, found)}")
    yield _told("asked", case.input)
    if case.expected_a == case.expected_b or case.case_a is None or case.case_b is None:
        yield _told("expected", case.expected_b if case.case_a is None else case.expected_a)
    else:
        yield _told("expected in a", case.expected_a)
        yield _told("expected in b", case.expected_b)
    for side, key, answer, parsed, error in (
        ("a", case.case_a, case.answer_a, case.parsed_a, case.error_a),
        ("b", case.case_b, case.answer_b, case.parsed_b, case.error_b),
    ):
        if key is not None:
            read = "" if parsed is None or parsed == answer else f" -> {_value(parsed)}"
            why = f" ({error})" if error else ""
            yield _line(f"{side} answered", f"{_value(answer)}{read}{why}")


def _case_name(key: str) -> str:
    dataset_id, case_id = named_by(key)
    return f"{case_id} of {dataset_id}"


def _scores(case: CaseShare) -> Iterator[float | None]:
    if case.case_a is not None:
        yield case.score_a
    if case.case_b is not None:
        yield case.score_b


def _value(value: JSONValue) -> str:
    return "nothing" if value is None else shortened(one_line(text_of(value)), _LINE)


def _told(name: str, value: JSONValue) -> str:
    return _line(name, _value(value))


def _line(name: str, text: str) -> str:
    return f"    {one_line(f'{name}: {text}')}"
