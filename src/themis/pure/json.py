"""Immutable JSON and its two encodings.

`freeze` turns any JSON-like value into a deeply immutable one that reads like plain `dict` and `list`;
`canonical_bytes` is the encoding that identities are hashed over (RFC 8785); `encode`/`decode` is the fast,
deterministic and lossless encoding that stores keep. Nothing else in Themis decides what JSON is.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, SupportsIndex, TypeAlias, overload

import attrs
import orjson

from themis.pure.errors import ThemisError
from themis.pure.text import printable_json, shortened

if TYPE_CHECKING:
    JSONValue: TypeAlias = bool | int | float | str | Sequence["JSONValue"] | Mapping[str, "JSONValue"] | None
else:
    # A recursive alias can't be evaluated at run time, where records resolve their annotations.
    JSONValue = Any

MAX_DEPTH: Final = 200
"""How deep JSON may nest. Encoders and parsers recurse; past this a value is refused, not half-written."""


class JSONValueError(ThemisError, ValueError):
    """A value that JSON can't hold losslessly: says where in the value, and what was found there."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[JSONValueError], tuple[str, str]]:
        return type(self), (self.path, self.problem)


def _refuse_change(*_: object, **__: object) -> NoReturn:
    raise TypeError("this JSON is immutable: build a changed copy with thaw(value), then change that")


class FrozenDict(dict[str, Any]):
    """A JSON object that can't be changed: a `dict` for every reader, `TypeError` for every writer."""

    __slots__ = ()
    __setitem__: Any = _refuse_change
    __delitem__: Any = _refuse_change
    __ior__: Any = _refuse_change
    update: Any = _refuse_change
    setdefault: Any = _refuse_change
    pop: Any = _refuse_change
    popitem: Any = _refuse_change
    clear: Any = _refuse_change

    def __new__(cls, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> FrozenDict:
        """Return an object of these items, which must be frozen already; `freeze` freezes them."""
        self = dict.__new__(cls)
        dict.update(self, items)
        return self

    def __init__(self, *_: object) -> None:
        """Do nothing: `dict.__init__`, called again, would change what is there."""

    def __hash__(self) -> int:  # type: ignore[override]  # dict is unhashable only because it can change
        return hash(frozenset(self.items()))

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: object) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)

    def __or__(self, other: Mapping[str, Any], /) -> FrozenDict:  # type: ignore[override]  # stays frozen
        return freeze_mapping({**self, **other})

    def copy(self) -> FrozenDict:
        return self


class FrozenList(tuple[Any, ...]):
    """A JSON array that can't be changed: a real tuple underneath, equal to the `list` of its items."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return tuple.__eq__(self, other) if isinstance(other, tuple) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return tuple.__hash__(self)

    def __repr__(self) -> str:
        return repr(list(self))

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, index: slice, /) -> FrozenList: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Any:
        item = tuple.__getitem__(self, index)
        return FrozenList(item) if isinstance(index, slice) else item

    def __add__(self, other: Iterable[Any], /) -> FrozenList:
        if isinstance(other, str | bytes | Mapping):
            raise JSONValueError("$", f"an array is needed, and {type(other).__name__} was found: {_short(other)}")
        return FrozenList((*self, *freeze([*other])))

    def __copy__(self) -> FrozenList:
        return self

    def __deepcopy__(self, memo: object) -> FrozenList:
        return self


_FROZEN: Final = frozenset({str, int, bool, type(None), FrozenDict, FrozenList})
_TEXT_LIKE: Final = (str, bytes, bytearray, memoryview)
EMPTY: Final = FrozenDict()
_MOST_DIGITS: Final = 4_300
_TOO_LARGE: Final = 10**_MOST_DIGITS
"""What Python's own reader and writer of integers take at most, unless it is told otherwise."""


def freeze(value: object, path: str = "$", depth: int = 0) -> Any:
    """Return `value` as deeply immutable JSON.

    Args:
        value: anything made of `None`, `bool`, `int`, finite `float`, `str`, sequences and mappings with
            string keys. Subclasses (`StrEnum`, `IntEnum`, named tuples) become the plain type.
        path: what to call the value in an error.

    Raises:
        JSONValueError: NaN or an infinity, an integer of more than 4,300 digits, a lone surrogate, a key that is no
            string, a type JSON does not have, or nesting deeper than `MAX_DEPTH`; its message starts with the path of
            the value.

    >>> freeze({"a": [1, 2.5]})
    {'a': [1, 2.5]}
    >>> freeze({"a": [float("nan")]})
    Traceback (most recent call last):
    themis.pure.json.JSONValueError: $.a[0]: nan is not JSON; use null, or leave the value out
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _valid_text(value, path)  # type: ignore[attr-defined]  # is str
    if kind is int:
        return value if -_TOO_LARGE < value < _TOO_LARGE else _refuse_integer(path)  # type: ignore[operator]  # is int
    if kind in _FROZEN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _refuse_number(value, path)  # type: ignore[arg-type]  # float
    if depth >= MAX_DEPTH:
        raise JSONValueError(path, f"nested deeper than {MAX_DEPTH} levels; flatten the value")
    if kind is dict or isinstance(value, Mapping):
        return _freeze_items(value, path, depth)  # type: ignore[arg-type]  # a mapping
    if isinstance(value, list | tuple) or (isinstance(value, Sequence) and not isinstance(value, _TEXT_LIKE)):
        return FrozenList([freeze(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)])
    return _freeze_subclass(value, path)


def _freeze_items(value: Mapping[Any, object], path: str, depth: int) -> FrozenDict:
    items: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str:
            if not isinstance(key, str):
                raise JSONValueError(path, f"key {key!r} is {type(key).__name__}, and JSON keys are strings")
            key = str.__str__(key)
        if not key.isascii():
            _valid_text(key, path)
        kind = type(item)
        # The two commonest leaves are taken here, so that no path is built for them.
        if (kind is str and item.isascii()) or (kind is int and -_TOO_LARGE < item < _TOO_LARGE):  # type: ignore[attr-defined, operator]  # kind is str, or int
            items[key] = item
        else:
            items[key] = freeze(item, f"{path}.{key}", depth + 1)
    frozen = dict.__new__(FrozenDict)
    dict.update(frozen, items)
    return frozen


def _freeze_subclass(value: object, path: str) -> Any:
    if isinstance(value, str):
        return _valid_text(str.__str__(value), path)
    if isinstance(value, int):
        return freeze(int(value), path)
    if isinstance(value, float):
        return freeze(float(value), path)
    raise JSONValueError(path, f"{type(value).__name__} is not JSON: {_short(value)}")


def _valid_text(value: Any, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        problem = f"text with a lone surrogate at index {error.start} is not Unicode; decode it with errors='replace'"
        raise JSONValueError(path, problem) from None
    return str(value)


def _refuse_integer(path: str) -> NoReturn:
    raise JSONValueError(path, f"an integer of more than {_MOST_DIGITS} digits, which readers refuse; use text")


def _refuse_number(value: float, path: str) -> NoReturn:
    raise JSONValueError(path, f"{value} is not JSON; use null, or leave the value out")


def _short(value: object) -> str:
    return shortened(repr(value), 80)


def freeze_mapping(value: Mapping[str, Any] | None, path: str = "$") -> FrozenDict:
    """Freeze a JSON object; anything that is no mapping is refused."""
    if type(value) is FrozenDict:
        return value
    if type(value) is dict and not value:
        return EMPTY
    if not isinstance(value, Mapping):
        raise JSONValueError(path, f"an object is needed, and {type(value).__name__} was found: {_short(value)}")
    return _freeze_items(value, path, 0)


def thaw(value: JSONValue) -> Any:
    """Return a plain, mutable copy: `dict` and `list` all the way down.

    >>> plain = thaw(freeze({"a": [1]}))
    >>> plain["a"].append(2); plain
    {'a': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [thaw(item) for item in value]
    return value


# --- the storage encoding ---------------------------------------------------------------------------------

_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_DIGITS: Final = b"0" * 19
"""Nineteen digits in a row, once `_DIGITS` has made every digit a 0: found 20 times faster than by a pattern."""

_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_UNPACKERS: dict[type, Callable[[Any], object]] = {FrozenList: list, datetime: datetime.isoformat}

CAME_LATER: Final = {"came_later": True}
"""Metadata of a record's field that came when records of its kind had names by their content already: while it is
`None`, it is not written, so that what was named before it came is named the same."""


def _unpacker(kind: type) -> Callable[[Any], object] | None:
    """Return the function that shows a `kind` as JSON one level deep; made once per record class."""
    if kind not in _UNPACKERS and attrs.has(kind):
        # A dict display, compiled once per record class, is the fastest way to show a record's fields.
        # In order of their names, so that there is little left to sort.
        names = {field.name: bool(field.metadata.get("came_later")) for field in attrs.fields(kind)}
        fields = ",".join(
            f"**({{{name!r}:record.{name}}} if record.{name} is not None else {{}})"
            if later
            else f"{name!r}:record.{name}"
            for name, later in sorted(names.items())
        )
        _UNPACKERS[kind] = eval(f"lambda record: {{{fields}}}", {})  # noqa: S307  # field names are identifiers
    return _UNPACKERS.get(kind)


def _unpack(value: object) -> object:
    kind = type(value)
    unpack = _UNPACKERS.get(kind) or _unpacker(kind)
    if unpack is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return unpack(value)


def encode(value: object) -> bytes:
    """Encode frozen JSON, or a record that holds it, as UTF-8 JSON with sorted keys.

    Equal values give equal bytes, and `decode(encode(value)) == value` to the last digit: integers of any
    size keep all of their digits.
    """
    unpack = _UNPACKERS.get(type(value))
    try:
        return orjson.dumps(unpack(value) if unpack is not None else value, _unpack, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if "64-bit" not in str(error):
            raise
        # Integers past 64 bits are rare; the standard library writes them whole.
        text = json.dumps(value, default=_unpack, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()


def decode(data: bytes | str) -> Any:
    """Decode JSON text into plain values, losslessly.

    Raises:
        ValueError: the text is not JSON (`NaN` and `Infinity` are not), with line and column.
    """
    raw = data.encode() if isinstance(data, str) else data
    if _LONG_DIGITS in raw.translate(_DIGITS):
        # orjson reads integers past 64 bits as floats, which loses digits.
        return json.loads(raw, parse_constant=_refuse_constant)
    return orjson.loads(raw)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def formatted(value: object) -> str:
    """Return a value as JSON for people: indented, in Unicode, harmless to display; it decodes to the same."""
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False))


# --- the canonical encoding -------------------------------------------------------------------------------


def canonical_bytes(value: object) -> bytes:
    """Encode as the JSON Canonicalization Scheme does (RFC 8785).

    Object keys are sorted by UTF-16 code units and numbers written as ECMAScript writes them. RFC 8785 leaves
    integers outside ±(2^53 - 1) undefined because a double can't hold them: here they are written with all
    of their digits, so that two different integers never share an encoding.

    >>> canonical_bytes({"b": 1.0, "a": 2**60})
    b'{"a":1152921504606846976,"b":1}'
    """
    try:
        # Where there are neither floats nor unusual keys, orjson's sorted output is the canonical one.
        text = orjson.dumps(value, _unpack, _OPTIONS)
    except orjson.JSONEncodeError:
        return _canonical_text(value).encode()
    if (text.isascii() and not _MAY_BE_FLOAT.search(text)) or _is_plain(value):
        return text
    return _canonical_text(value).encode()


_MAY_BE_FLOAT: Final = re.compile(rb"\d[.eE]|null")
"""Matches wherever orjson may have written a float, or null for one that JSON can't hold."""


def content_hash(value: object) -> str:
    """Return the SHA-256 of the canonical encoding of JSON or a record, as 64 hexadecimal digits.

    >>> content_hash({"a": 1}) == content_hash({"a": 1.0})
    True
    """
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


_I64: Final = 1 << 63


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -_I64 < value < _I64  # type: ignore[operator]  # value is int
    if kind is FrozenDict or kind is dict:
        return all(k.isascii() and _is_plain(v) for k, v in value.items())  # type: ignore[attr-defined]  # a dict
    if kind is FrozenList or kind is list or kind is tuple:
        return all(map(_is_plain, value))  # type: ignore[call-overload]  # a sequence
    unpack = _unpacker(kind)
    return unpack is not None and _is_plain(unpack(value))


def _canonical_text(value: object) -> str:
    if value is None or isinstance(value, bool | str):
        return orjson.dumps(value).decode()
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _ecmascript_number(value)
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_canonical_text(k)}:{_canonical_text(value[k])}" for k in keys) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_canonical_text, value)) + "]"
    return _canonical_text(_unpack(value))


def _ecmascript_number(value: float) -> str:
    """Write a double as ECMAScript's Number::toString does (ECMA-262, section 6.1.6.1.20)."""
    if not math.isfinite(value):
        _refuse_number(value, "$")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # value = 0.digits x 10^point
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    head = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{sign}{head}e{'+' if power > 0 else '-'}{abs(power)}"
