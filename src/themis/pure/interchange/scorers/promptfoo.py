"""promptfoo's assertions that compare texts, and their negations (`not-equals`).

Source: promptfoo 0.121, `src/assertions/` (`equals.ts`, `contains.ts`, `regex.ts`, `json.ts`, `startsWith.ts`).
Of a pattern that JavaScript reads otherwise than Python, and of a schema, nothing is told.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from themis.pure.interchange.exported import text_of
from themis.pure.interchange.scorers.answered import Answered, is_short, pattern_of
from themis.pure.json import decode, thaw


def asserted(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """Tell whether an assertion, `type` with `value`, holds."""
    kind = str(options.get("type"))
    check = _CHECKS.get(kind.removeprefix("not-"))
    found = None if check is None else check(answered.text, thaw(options.get("value")))
    return None if found is None else float(found != kind.startswith("not-"))


def _equals(text: str, value: Any) -> bool | None:
    if not isinstance(value, dict | list):
        return text == text_of(value)
    try:
        return bool(decode(text) == value)
    except ValueError:
        return False


def _one(fold: Callable[[str], str]) -> Callable[[str, Any], bool | None]:
    return lambda text, value: fold(text_of(value)) in fold(text) if _is_plain(value) else None


def _some(fold: Callable[[str], str], enough: Callable[[Any], bool]) -> Callable[[str, Any], bool | None]:
    def check(text: str, value: Any) -> bool | None:
        values = _values(value)
        return None if values is None else enough(fold(one) in fold(text) for one in values)

    return check


def _values(value: Any) -> Sequence[str] | None:
    if isinstance(value, str):
        parts = next(csv.reader([value.replace("\n", " ")], skipinitialspace=True), [])
        return [part.strip() for part in parts]
    return [text_of(one) for one in value] if isinstance(value, list) and all(map(_is_plain, value)) else None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


def _matches(text: str, value: Any) -> bool | None:
    known = pattern_of(value, "a") if isinstance(value, str) and value else None
    return None if known is None or not is_short(text, known) else known.search(text) is not None


def _is_json(text: str, value: Any) -> bool | None:
    if value not in (None, ""):
        return None
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)


def _ends(which: str) -> Callable[[str, Any], bool | None]:
    return lambda text, value: getattr(text, which)(value) if isinstance(value, str) and value else None


_CHECKS: Final[Mapping[str, Callable[[str, Any], bool | None]]] = {
    "equals": _equals,
    "contains": _one(str),
    "icontains": _one(str.lower),
    "contains-any": _some(str, any),
    "icontains-any": _some(str.lower, any),
    "contains-all": _some(str, all),
    "icontains-all": _some(str.lower, all),
    "starts-with": _ends("startswith"),
    "ends-with": _ends("endswith"),
    "regex": _matches,
    "is-json": _is_json,
}
KINDS: Final = frozenset(kind for name in _CHECKS for kind in (name, f"not-{name}"))
"""The types of assertions that are known."""
