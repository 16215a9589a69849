"""JSON as other tools write it, and fields of it as they may be: read with care, refused with their place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from themis.pure.errors import DataError, ThemisError
from themis.pure.json import MAX_DEPTH, decode
from themis.pure.records.fields import is_count, shown
from themis.pure.text import shortened

T = TypeVar("T")

_BOM: Final = b"\xef\xbb\xbf"


def parse(data: bytes, place: str) -> Any:
    """Return JSON; NaN and infinities, which some tools write, are `None`, and halves of characters are U+FFFD.

    Raises:
        DataError: it is not JSON, not UTF-8, or nested too deep.
    """
    raw, is_strict = data.removeprefix(_BOM), True
    try:
        value = decode(raw)
    except ValueError:
        is_strict = False
        try:
            value = json.loads(raw, parse_constant=lambda _: None, parse_float=_finite, parse_int=_integer)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        except (ValueError, RecursionError) as error:
            problem = "it is nested too deep" if isinstance(error, RecursionError) else f"not JSON: {error}"
            raise DataError(f"{place}: {shortened(problem, 200)}") from None
    if _too_deep(value):
        raise DataError(f"{place}: it is nested deeper than {MAX_DEPTH} levels")
    return value if is_strict and not _HALF.search(raw) else _mended(value)


_MOST_DIGITS: Final = 4300


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise DataError(f"a number of {len(digits):,} digits, and up to {_MOST_DIGITS:,} are read")
    return int(digits)


_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return list(map(_mended, value)) if isinstance(value, list) else value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def parse_object(data: bytes, place: str) -> dict[str, Any]:
    """Return a JSON object; errors as for `parse`, and if it is another value."""
    value = parse(data, place)
    if not isinstance(value, dict):
        raise DataError(f"{place}: an object expected, found {type(value).__name__}")
    return value


def objects(lines: Iterator[tuple[int, bytes]], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of JSON lines, each with its place."""
    for number, line in lines:
        place = f"{where}:{number}"
        yield place, parse_object(line, place)


def field(value: Any, *names: str) -> Any:
    """Return what stands at a path of keys; `None` if it is not there."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def mapping(value: Any, *names: str) -> Mapping[str, Any]:
    """Return the object at a path; an empty one if there is none."""
    found = field(value, *names)
    return found if isinstance(found, Mapping) else {}


def items(value: Any, *names: str) -> Sequence[Any]:
    """Return the list at a path; an empty one if there is none."""
    found = field(value, *names)
    return found if isinstance(found, list | tuple) else ()


def text(value: Any, *names: str) -> str | None:
    """Return the text at a path, numbers as text; `None` if there is none."""
    found = field(value, *names)
    if isinstance(found, bool) or found is None:
        return None
    return found if isinstance(found, str) else str(found) if isinstance(found, int | float) else None


def count(value: Any) -> int | None:
    """Return a count; `None` if it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if is_count(value) else None


def counts(**values: Any) -> dict[str, int] | None:
    """Return those of the values that are counts; `None` if none is."""
    found = {name: known for name, value in values.items() if (known := count(value)) is not None}
    return found or None


def number(value: Any) -> float | None:
    """Return a finite number, of a boolean 1 or 0; `None` if it is none."""
    if not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def facts(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an object can be a case's metadata: texts, numbers, booleans, and lists of them."""
    return {str(name): item for name, item in value.items() if _is_fact(item)}


def _is_fact(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str | int | float) and _is_fact(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool | int) and value != ""


def at(place: str, read: Callable[..., T], *args: Any) -> T:
    """Return what a reader makes of a part of a log; whatever it can't read becomes an error with its place.

    Raises:
        DataError: it can't be read.
    """
    try:
        return read(*args)
    except DataError as error:
        raise error if str(error).startswith(place) else DataError(f"{place}: {error}") from None
    except ThemisError as error:
        raise DataError(f"{place}: {error}") from None


def missing(place: str, what: str, found: Any) -> DataError:
    """Return the error of a log that lacks something it must have."""
    return DataError(f"{place}: {what} expected, found {shown(found)}")


def newer(place: str, what: str, known: object) -> DataError:
    """Return the error of a log that a newer tool wrote than is read."""
    return DataError(
        f"{place}: written in {what}, and up to {known} is read: upgrade Themis, or export with an older one"
    )
