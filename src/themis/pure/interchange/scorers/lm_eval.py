"""lm-evaluation-harness's filters, and the metrics of texts and choices that are not computed by a task's own code.

Source: lm_eval 0.4.13, `filters/`, `api/metrics.py` (`exact_match_hf_evaluate`) and `api/task.py` (`process_results`).
"""

from __future__ import annotations

import ast
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from themis.pure.components.likelihoods import read_likelihoods
from themis.pure.interchange import loose
from themis.pure.interchange.exported import text_of
from themis.pure.interchange.scorers.answered import Answered, is_short, pattern_of
from themis.pure.json import JSONValue


def exact_match(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """Compare what the filters leave of the answers with the target, or one of several."""
    found = _filtered(answered.answers, loose.items(options, "filters"))
    texts = [_plain(text, options) for text in (found, *_gold(answered.case.expected_output)) if text is not None]
    if found is None or len(texts) < 2 or None in texts:
        return None
    return float(texts[0] in texts[1:])


def _gold(expected: JSONValue) -> Sequence[str]:
    """Return the targets; several stand in a log as Python writes a list."""
    if isinstance(expected, str) and expected.startswith("[") and expected.endswith("]"):
        try:
            value = ast.literal_eval(expected)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [expected]
        return [str(one) for one in value] if isinstance(value, list) and value else [expected]
    if isinstance(expected, list | tuple):
        return [text_of(one) for one in expected]
    return [] if expected is None else [text_of(expected)]


def _plain(text: str, options: Mapping[str, Any]) -> str | None:
    """Return a text without what a metric ignores."""
    for stated in loose.items(options, "regexes_to_ignore"):
        known = pattern_of(stated) if isinstance(stated, str) else None
        if known is None or not is_short(text, known):
            return None
        text = known.sub("", text)
    if options.get("ignore_case"):
        text = text.lower()
    gone = (string.punctuation if options.get("ignore_punctuation") else "") + (
        string.digits if options.get("ignore_numbers") else ""
    )
    return text.translate(str.maketrans("", "", gone))


def _filtered(answers: Sequence[JSONValue], filters: Sequence[Any]) -> str | None:
    """Return what a chain of filters makes of all answers to a document; `None` if it can't be told."""
    left: Any = ["" if answer is None else text_of(answer) for answer in answers]
    for stated in filters or [{"function": "take_first"}]:
        name = loose.text(stated, "function") or ""
        each, whole = _OF_EACH.get(name), _OF_ALL.get(name)
        if not isinstance(left, list) or not left:
            return None
        if whole is not None:
            left = whole(left, stated)
        elif each is not None:
            left = [each(text, stated) for text in left]
        else:
            return None
        if left is None or (isinstance(left, list) and None in left):
            return None
    return left if isinstance(left, str) else None


def _matched(text: str, stated: Mapping[str, Any]) -> str | None:
    pattern, fallback = stated.get("regex_pattern", r"#### (\-?[0-9\.\,]+)"), stated.get("fallback", "[invalid]")
    known, selected = pattern_of(pattern) if isinstance(pattern, str) else None, stated.get("group_select", 0)
    if known is None or not is_short(text, known) or type(selected) is not int or not isinstance(fallback, str):
        return None
    found = known.findall(text)
    if not found:
        return fallback
    if not -len(found) <= selected < len(found):
        return None
    one = found[selected]
    return next((group.strip() for group in one if group), fallback) if isinstance(one, tuple) else str(one).strip()


def _mapped(text: str, stated: Mapping[str, Any]) -> str | None:
    value = loose.mapping(stated, "mapping_dict").get(text, stated.get("default_value"))
    return value if isinstance(value, str) else None


def _voted(left: list[str], stated: Mapping[str, Any]) -> list[str]:
    return [Counter(left).most_common(1)[0][0]]


def _some(left: list[str], stated: Mapping[str, Any]) -> list[str] | None:
    wanted = loose.count(stated.get("k"))
    return left[:wanted] if wanted and len(left) >= wanted else None


_OF_EACH: Final[Mapping[str, Callable[[str, Mapping[str, Any]], str | None]]] = {
    "regex": _matched,
    "remove_whitespace": lambda text, _: text.strip(),
    "lowercase": lambda text, _: text.lower(),
    "uppercase": lambda text, _: text.upper(),
    "map": _mapped,
}
_OF_ALL: Final[Mapping[str, Callable[[list[str], Mapping[str, Any]], Any]]] = {
    "take_first": lambda left, _: left[0],
    "take_first_k": _some,
    "majority_vote": _voted,
}


def accuracy(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """Tell whether the likeliest choice, its likelihood divided by its length as `per` says, is the target."""
    found = read_likelihoods(answered.answer)
    if found is None or len(found) < 2:
        return None
    delimiter = options.get("delimiter", " ")
    choices = [one.text.removeprefix(delimiter) if isinstance(delimiter, str) else one.text for one in found]
    sizes = {
        "characters": [len(choice) for choice in choices],
        "bytes": [len(choice.encode("utf-8", "replace")) for choice in choices],
    }.get(str(options.get("per")), [1] * len(found))
    gold = _number_of(answered, options, choices)
    if not all(sizes) or not gold:
        return None
    values = [one.logprob / size for one, size in zip(found, sizes, strict=True)]
    return float(values.index(max(values)) in gold)


def _number_of(answered: Answered, options: Mapping[str, Any], choices: Sequence[str]) -> set[int]:
    """Return the numbers of the right choices; the document says whether a number is one, the target not always."""
    expected = answered.case.expected_output
    stated = answered.case.metadata.get(str(options.get("gold")), expected)
    found: set[int] = set()
    for one in stated if isinstance(stated, list | tuple) else [stated]:
        if type(one) is int:
            found.add(one)
        elif isinstance(one, str) and one in choices:
            found.add(choices.index(one))
        elif isinstance(one, str) and re.fullmatch(r"[0-9]{1,3}", one):
            found.add(int(one))
    return {number for number in found if 0 <= number < len(choices)}
