"""Templates: texts with the names of fields in braces, `{question}`, and how a field's value stands in such a text.

    template  =  *( text  |  "{{"  |  "}}"  |  "{" name "}" )

`{{` and `}}` stand for one brace each. Only a name may stand between braces: of Python's format strings (PEP 3101)
nothing further is taken, no attribute, index, conversion or format spec, for they reach into objects. Nothing is
evaluated: a value is put in as it is, and braces in it are braces.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.errors import DataError, SpecError
from themis.pure.json import JSONValue, encode
from themis.pure.text import shortened

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_REACHES_FURTHER: Final = re.compile(r"[.\[\]!:]")
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@attrs.frozen
class _Field:
    name: str


def names_in(template: str) -> tuple[str, ...]:
    """Return the fields that a template names, each once, in order.

    Raises:
        SpecError: the text is no template; says where, and what to write.

    >>> names_in("{question} {{one}} of {choices}, {question}")
    ('question', 'choices')
    """
    return tuple(dict.fromkeys(piece.name for piece in _pieces(template) if isinstance(piece, _Field)))


def fill(template: str, fields: Mapping[str, JSONValue]) -> str:
    """Return a template with the values of its fields in their places.

    Raises:
        SpecError: the text is no template.
        DataError: a field is not there, or there is nothing in it; names the fields there are.

    >>> fill("{question} {{a, b}}", {"question": "Which of {these}?"})
    'Which of {these}? {a, b}'
    """
    return "".join(_value(piece.name, fields) if isinstance(piece, _Field) else piece for piece in _pieces(template))


def escaped(text: str) -> str:
    """Return a template that stands for a text.

    >>> escaped('Answer as {"answer": ...}')
    'Answer as {{"answer": ...}}'
    """
    return text.replace("{", "{{").replace("}", "}}")


def as_shown(value: JSONValue) -> str:
    r"""Return a value as a prompt shows it: a list of texts or numbers as options, one a line with its letter.

    Text stands as it is, all else as JSON. Options past the 26th letter are numbered, all of them.

    >>> as_shown(["Paris", 7]), as_shown(0.5), as_shown({"a": [True]})
    ('A. Paris\nB. 7', '0.5', '{"a":[true]}')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and not any(isinstance(item, Mapping | list | tuple) for item in value):
        marks = _LETTERS if len(value) <= len(_LETTERS) else [str(number + 1) for number in range(len(value))]
        return "\n".join(f"{mark}. {as_shown(item)}" for mark, item in zip(marks, value, strict=False))
    return encode(value).decode()


def _value(name: str, fields: Mapping[str, JSONValue]) -> str:
    value = fields.get(name)
    if value is None:
        problem = f"there is nothing in the field {name!r}" if name in fields else f"there is no field {name!r}"
        hint = "; the reference is no field, for it is not shown" if name == "expected_output" else ""
        raise DataError(f"{problem} (fields found: {', '.join(fields) or 'none'}){hint}")
    return as_shown(value)


@functools.lru_cache(maxsize=64)
def _pieces(template: str) -> tuple[str | _Field, ...]:
    return tuple(_read(template))


def _read(template: str) -> Iterator[str | _Field]:
    end = 0
    for found in _PIECE.finditer(template):
        yield template[end : found.start()]
        end, piece, name = found.end(), found[0], found[1]
        if piece in ("{{", "}}"):
            yield piece[0]
        elif name is None:
            raise _no_template(template, found.start(), f"a lone {piece!r}")
        elif not name or name != name.strip() or _REACHES_FURTHER.search(name):
            problem = f"{shortened(piece, 60)!r}, and only the name of a field may stand in braces"
            raise _no_template(template, found.start(), problem)
        else:
            yield _Field(name)
    yield template[end:]


def _no_template(template: str, place: int, found: str) -> SpecError:
    line, column = template.count("\n", 0, place) + 1, place - template.rfind("\n", 0, place)
    return SpecError(
        f"line {line}, column {column}: {found}; a field is written {{question}}, and a brace that is to be "
        "seen is doubled: {{ or }}"
    )
