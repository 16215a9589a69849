"""Cases of two runs that are the same though they are called otherwise, such as those of two tools' logs.

Two cases are one where what the one asks is what the other asks, or stands in the other's metadata (a tool that logs
the whole prompt mostly logs the question too), and their references are equal, if both have one. Texts count without
regard to blanks. A text that several cases of a run have tells none of them, and pairs nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import attrs

from themis.pure.json import JSONValue, canonical_bytes, content_hash
from themis.pure.plan import CaseItem, case_items
from themis.pure.records.dataset import Case
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.text import one_line, shortened

_SHOWN: Final = 60
_SEVERAL: Final = ""
"""Stands for the key of a text that several cases have."""


@attrs.frozen
class Pairing:
    """Which cases of one run are which of another.

    Attributes:
        names: the case key in the first run, by that in the second.
        prompts_differ: how many of them are asked in other words.
        example: how one of those is asked in both.
    """

    names: Mapping[str, str] = attrs.field(factory=dict)
    prompts_differ: int = 0
    example: tuple[str, str] | None = None

    def notes(self) -> Iterator[str]:
        """Yield what a comparison says of it."""
        if not self.names:
            return
        count = len(self.names)
        text = f"{count:,} {'case was' if count == 1 else 'cases were'} paired by content, for the ids differ"
        if self.example is not None:
            ours, theirs = self.example
            text += f"; the prompts of {self.prompts_differ:,} of them differ, as in {ours!r} and {theirs!r}"
        yield text


@attrs.frozen
class _Asked:
    """What of a case is compared; texts by their hashes, for a million of them must fit into memory."""

    shown: str
    question: str
    others: frozenset[str]
    reference: str | None


def pairing_of(a: RunSnapshot, b: RunSnapshot) -> Pairing:
    """Pair the cases of two runs that have other keys; runs of the same datasets have none."""
    if a.identity.dataset_refs == b.identity.dataset_refs:
        return Pairing()
    return paired(case_items(a), case_items(b))


def paired(a: Iterable[CaseItem], b: Iterable[CaseItem]) -> Pairing:
    """Pair the cases of two runs that have other keys.

    Args:
        a: the cases of the first run; may be read once alone.
        b: those of the second.
    """
    of_a = {item.case_key: _asked(item.case) for item in a}
    of_b: dict[str, _Asked] = {}
    for item in b:
        if of_a.pop(item.case_key, None) is None:
            of_b[item.case_key] = _asked(item.case)
    names: dict[str, str] = {}
    taken: set[str] = set()
    for of_question, of_other in ((True, True), (True, False), (False, True)):
        by_text = _unique(of_a, of_question=of_question)
        for text, key in _unique(of_b, of_question=of_other).items():
            found = by_text.get(text, _SEVERAL)
            if not found or not key or key in names or found in taken:
                continue
            if _agree(of_a[found].reference, of_b[key].reference):
                names[key] = found
                taken.add(found)
    differing = [(found, key) for key, found in names.items() if of_a[found].question != of_b[key].question]
    example = None
    if differing:
        found, key = differing[0]
        example = of_a[found].shown, of_b[key].shown
    return Pairing(names, len(differing), example)


def same_cases(a: Iterable[CaseItem], b: Iterable[CaseItem]) -> dict[str, str]:
    """Return the case key in the first run, by that in the second, of all cases that both have, edited ones included.

    In this order: cases of one key that ask the same; those that ask the same and have the same reference, the first
    with the first where several do; those that `paired` finds; those that alone of their run ask the same, whatever
    their references; and cases of one key whose references agree and whose questions share half of their words. Ids are
    often mere row numbers: of one key alone, two cases are not one.
    """
    of_a, of_b = ({item.case_key: item for item in items} for items in (a, b))
    names = {key: key for key in of_b if key in of_a and asks(of_a[key]) == asks(of_b[key])}
    left_a, left_b = ({key: item for key, item in of.items() if key not in names} for of in (of_a, of_b))

    def take(found: Mapping[str, str]) -> None:
        for theirs, ours in found.items():
            names[theirs] = ours
            del left_a[ours], left_b[theirs]

    take(_in_turn(left_a, left_b, lambda item: (asks(item), _reference(item))))
    apart = (attrs.evolve(item, case_key=f"b {key}") for key, item in left_b.items())  # equal keys mean nothing here
    found = paired((attrs.evolve(item, case_key=f"a {key}") for key, item in left_a.items()), apart)
    take({theirs[2:]: ours[2:] for theirs, ours in found.names.items()})
    take(_in_turn(left_a, left_b, asks, alone=True))
    take({key: key for key in left_b if key in left_a and _is_edited(left_a[key].case, left_b[key].case)})
    return names


def _in_turn(
    a: Mapping[str, CaseItem], b: Mapping[str, CaseItem], name: Callable[[CaseItem], object], *, alone: bool = False
) -> dict[str, str]:
    """Return keys of the first by those of the second that have the same name, in turn; or only where it is unique."""
    of_a, of_b = dict[object, deque[str]](), dict[object, deque[str]]()
    for items, keys in ((a, of_a), (b, of_b)):
        for key, item in items.items():
            keys.setdefault(name(item), deque()).append(key)
    return {
        theirs: ours
        for each, keys in of_b.items()
        if each in of_a and not (alone and (len(keys) > 1 or len(of_a[each]) > 1))
        for ours, theirs in zip(of_a[each], keys, strict=False)
    }


def asks(item: CaseItem) -> str:
    """Name what a case asks: those that ask the same have the same name."""
    return _hash(_text(item.case.input))


def _reference(item: CaseItem) -> str | None:
    return None if item.case.expected_output is None else _hash(_text(item.case.expected_output))


def _is_edited(one: Case, other: Case) -> bool:
    words, others = ({*_text(case.input).casefold().split()} for case in (one, other))
    shared = len(words & others) >= 0.5 * len(words | others)
    return shared and one.expected_output == other.expected_output


def _unique(cases: Mapping[str, _Asked], *, of_question: bool) -> dict[str, str]:
    """Return the keys of cases by what they ask, or by what stands beside it; of a text of several, no key."""
    found: dict[str, str] = {}
    for key, asked in cases.items():
        for text in [asked.question] if of_question else asked.others:
            found[text] = _SEVERAL if text in found else key
    return found


def _asked(case: Case) -> _Asked:
    reference = None if case.expected_output is None else _hash(_text(case.expected_output))
    beside = frozenset(_hash(value) for value in case.metadata.values() if isinstance(value, str) and value.strip())
    asked = _text(case.input)
    return _Asked(shortened(one_line(asked), _SHOWN), _hash(asked), beside, reference)


def _agree(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _hash(text: str) -> str:
    return content_hash(" ".join(text.split()))[:32]


def _text(value: JSONValue) -> str:
    """Return what is asked: a text, what the user says in messages, or JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        said = [
            each["content"]
            for each in value
            if isinstance(each, Mapping) and each.get("role") == "user" and isinstance(each.get("content"), str)
        ]
        if said:
            return "\n".join(map(str, said))
        if len(value) == 1:
            return _text(value[0])
    return canonical_bytes(value).decode()
