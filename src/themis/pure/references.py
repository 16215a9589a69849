"""Kinds of JSON values, and which references no answer can ever equal: what makes every score 0 without a word.

A kind is a function of the value, so values of different kinds are never equal, whatever the model says. From that
follows what is said before a run (`reference_warnings`) and beside its result (`report/suspicions.py`).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import attrs

from themis.pure.abilities import Components
from themis.pure.components.metrics import METRICS, each_reference
from themis.pure.components.parsers import MOST_OPTIONS, ChoiceLetter, CodeText, MathAnswer, Regex, Text
from themis.pure.json import JSONValue
from themis.pure.records.dataset import Dataset

CASES_LOOKED_AT: Final = 200
"""How many cases of a dataset are looked at before a run."""

EXACT_MATCH: Final = "builtin/exact_match"


class ReferenceWarning(UserWarning):
    """No answer of a run can be right, for no answer can be what its references are."""


class Kind(StrEnum):
    """What a JSON value is, as far as it decides what it may equal; equal values are of one kind."""

    NUMBER = "numbers"
    BOOLEAN = "booleans"
    OBJECT = "objects"
    LIST = "lists"
    NULL = "nulls"
    EMPTY = "empty texts"
    PADDED = "texts with blanks or line breaks around them"
    LETTERS = "letters of options"
    TEXT = "texts"


def kind_of(value: JSONValue) -> Kind:
    """Return the kind of a value.

    >>> [str(kind_of(value)) for value in (4, "4", "B", "AC", "Paris", "Paris\\n", ["4"])]
    ['numbers', 'texts', 'letters of options', 'letters of options', 'texts', \
'texts with blanks or line breaks around them', 'lists']
    """
    if value is None:
        return Kind.NULL
    if isinstance(value, str):
        return _kind_of_text(value)
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int | float):
        return Kind.NUMBER
    return Kind.OBJECT if isinstance(value, Mapping) else Kind.LIST


def _kind_of_text(text: str) -> Kind:
    if not text.strip():
        return Kind.EMPTY
    if text != text.strip():
        return Kind.PADDED
    letters = text.upper() if len(text) == 1 else text
    options = set(letters) <= set(MOST_OPTIONS) and sorted(set(letters)) == list(letters)
    return Kind.LETTERS if options else Kind.TEXT


@attrs.frozen
class Shape:
    """What a case's references are: in words, and the kinds of the answers that one of them can equal."""

    name: str
    accepts: frozenset[Kind]

    @classmethod
    def of(cls, expected: JSONValue) -> Shape:
        """Return the shape of an expected output; one that is missing accepts no answer.

        >>> Shape.of([1, 2]).name, Shape.of(None).name, Shape.of("Paris").name
        ('lists of numbers', 'missing', 'texts')
        """
        if expected is None:
            return cls("missing", frozenset())
        kind, kinds = kind_of(expected), {kind_of(one) for one in each_reference(expected)}
        if kind is not Kind.LIST:
            return cls(kind.value, frozenset({kind}))
        inner = " and ".join(sorted(kinds))
        return cls(f"lists of {inner}" if inner else "empty lists", frozenset({kind, *kinds}))


def advice(wanted: Iterable[Kind], found: Iterable[Kind]) -> str:
    """Return what to do where references accept some kinds, and the answers are of others."""
    references, answers = set(wanted) - {Kind.LIST}, set(found)
    if answers <= {Kind.OBJECT, Kind.LIST}:
        return "use a parser that takes the one value that is compared out of the answer"
    if references & {Kind.NUMBER}:
        return "use builtin/numeric_match, a parser that makes numbers, or str references"
    if references & {Kind.OBJECT, Kind.BOOLEAN}:
        return "use the parser builtin/json, or str references"
    if references <= {Kind.EMPTY}:
        return "give every case a reference, or leave expected_output out where there is none"
    if references & {Kind.LETTERS} and answers & {Kind.TEXT, Kind.PADDED}:
        return "use the parser builtin/choice_letter"
    if answers <= {Kind.LETTERS}:
        return "give the letter of the right option as the reference"
    if references & {Kind.PADDED} and not answers & {Kind.NUMBER}:
        return "strip the references, or use builtin/exact_match_normalized"
    if answers <= {Kind.NUMBER}:
        return "use builtin/numeric_match, or the parser builtin/text"
    if answers <= {Kind.PADDED, Kind.EMPTY}:
        return "use the parser builtin/text, which takes blanks away"
    return "use a parser that makes what the references are"


def counted(kinds: Mapping[str, int]) -> str:
    """Return counts in words, the commonest first.

    >>> counted({"numbers": 3}), counted({"objects": 1, "numbers": 3})
    ('all 3 references are numbers', 'of 4 references 3 are numbers, 1 are objects')
    """
    ordered = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    total = sum(kinds.values())
    if len(ordered) == 1:
        return f"all {total} references are {ordered[0][0]}"
    return f"of {total} references " + ", ".join(f"{count} are {name}" for name, count in ordered)


# --- before a run -----------------------------------------------------------------------------------------

_TEXTS: Final = frozenset({Kind.EMPTY, Kind.PADDED, Kind.LETTERS, Kind.TEXT})
_STRIPPED: Final = frozenset({Kind.LETTERS, Kind.TEXT})
_MADE_BY: Final[Mapping[type, frozenset[Kind]]] = {
    ChoiceLetter: _STRIPPED,
    CodeText: _TEXTS,
    MathAnswer: _TEXTS,
    Regex: _TEXTS,
    Text: _STRIPPED,
}
"""The kinds that a parser makes, where that is known: `builtin/json` makes any, and so may one's own."""

_NEED_REFERENCES: Final = frozenset(
    {
        *(attrs.fields(metric).component_id.default for metric in METRICS),
        "builtin/bleu",
        "builtin/chrf",
        "builtin/json_fields",
        "builtin/math_equivalence",
    }
)


def kinds_made(components: Components) -> frozenset[Kind] | None:
    """Return the kinds that parsed answers may have; `None` if that can't be known before the run."""
    generator = components.generator
    if not components.parsers:
        # Endpoints answer with texts; what is generated in this process may be any JSON.
        return _TEXTS if generator.provider_key is not None and generator.request is not None else None
    made = [_MADE_BY.get(type(parser.component)) for parser in components.parsers]
    known = [kinds for kinds in made if kinds is not None]
    return frozenset[Kind]().union(*known) if len(known) == len(made) else None


def reference_warnings(components: Components, datasets: Iterable[Dataset]) -> list[str]:
    """Return what makes it sure, before anything is paid for, that no answer can be scored as right.

    The first `CASES_LOOKED_AT` cases of each dataset are read, and no more. There is one message for each metric and
    kind of fault, which names the datasets.

    Args:
        components: the run's components.
        datasets: its data.
    """
    metrics = [metric.component_id for metric in components.metrics if metric.component_id in _NEED_REFERENCES]
    if not metrics:
        return []
    made = kinds_made(components) if EXACT_MATCH in metrics else None
    missing: list[str] = []
    unequal: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for dataset in datasets:
        shapes = Counter(Shape.of(case.expected_output) for case in itertools.islice(dataset.cases, CASES_LOOKED_AT))
        there = {shape: count for shape, count in shapes.items() if shape.name != "missing"}
        if not there:
            missing.append(dataset.dataset_id)
        elif made is not None and all(made.isdisjoint(shape.accepts) for shape in there):
            found = counted({shape.name: count for shape, count in there.items()})
            what_to_do = advice(frozenset[Kind]().union(*(shape.accepts for shape in there)), made)
            unequal[what_to_do].append((dataset.dataset_id, found))
    return [*_of_missing(metrics, missing), *_of_unequal(unequal)]


_LIKE_REFERENCES: Final = re.compile(
    r"(?i)(?:(?:correct|best|right|final|true|gold)[ _]?)?(?:answers?|labels?|outputs?|targets?|references?|solutions?)"
    r"|expected|gold|correct|ground[ _]?truth"
)
"""What fields of references are called."""


def missing_references(components: Components, datasets: Sequence[Dataset]) -> Iterator[str]:
    """Yield why a run could only fail for want of references: it would pay for every answer, and score none.

    That is so where no case has any, and every metric needs them; or where a field is called as references are, which
    is then the one that was meant.
    """
    metrics = [metric.component_id for metric in components.metrics if metric.component_id in _NEED_REFERENCES]
    if not metrics or any(case.expected_output is not None for dataset in datasets for case in dataset.cases):
        return
    fields = list(dict.fromkeys(name for dataset in datasets for name in dataset.further_fields()))
    meant = list(filter(_LIKE_REFERENCES.fullmatch, fields))
    if meant or len(metrics) == len(components.metrics):
        name = f"is it {' or '.join(map(repr, meant))}? Name" if meant else "name"
        found = f" (further fields found: {', '.join(fields)})" if fields else ""
        yield (
            f"{', '.join(metrics)}: no case has an expected_output to compare with{found}; {name} the field of the "
            "references with --expected-field (`expected_field` in a config or for evaluate), or take a metric that "
            "needs none"
        )


def _of_missing(metrics: Sequence[str], datasets: Sequence[str]) -> Iterator[str]:
    if datasets:
        for metric in metrics:
            yield (
                f"{metric}, dataset {', '.join(datasets)}: no case has an expected_output to compare with, so that "
                f"each will be an error; {_LOOKED_AT}; give the cases references, or use a metric that needs none"
            )


def _of_unequal(unequal: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[str]:
    for what_to_do, found in unequal.items():
        where = "; ".join(f"dataset {dataset}: {count}" for dataset, count in found)
        yield (
            f"{EXACT_MATCH}, {where}, and answers come as texts, so that none can be right; {_LOOKED_AT}; {what_to_do}"
        )


_LOOKED_AT: Final = f"the first {CASES_LOOKED_AT} cases were looked at"
