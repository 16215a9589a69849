"""How a program is put together that an answer gives in several blocks.

Models explain as they go: the imports in one block, a helper in the next, then the function, then what calls it. The
rule goes by the names at the margin of the blocks (definitions, imports, variables), without a grammar:

1. The program starts from one block, the last of the best (see `text.code`); or from one that reads input, if that one
   turns out to belong to it.
2. A block belongs to it that defines or imports a name which is used there and defined nowhere there. Unless a function
   is asked for that is there, so does one that uses a name of the program's and goes on with it: it defines a function
   or a class, or it starts the program (reads input, stands behind `if __name__`, does nothing but call functions
   without arguments); and any other that uses its names, as long as the program reads input and writes nothing. And so
   on, until no block is added.
3. A block that defines a name which the program defines already is another version of it: the later one counts. But
   where it defines more than the program does, and runs nothing, the later block amends it, and both stand (in Python,
   where the last definition holds).
4. A block of methods, indented as they stand in a class, goes on with the block before it.
5. A block of nothing but imports belongs to the program, unless it stands behind all of it.
6. Examples and tests are otherwise no part of it. The pieces stand in the order of the answer, imports first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

_MOST: Final = 40
"""The last so many blocks are looked at."""

_STRING: Final = (
    r"(?P<prefix>[bBrRuUfF]{0,2})(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
)
_SUBSCRIPT: Final = re.compile(r"\[[^\[\]]*\]")
_ANNOTATION: Final = re.compile(r"[:=][^,]*")
_WORD: Final = re.compile(r"\w+")
_USED: Final = re.compile(r"(?<![\w.])[^\W\d]\w*")
_FUNCTION: Final = re.compile(r"^(?:async[ \t]+)?def[ \t]+(?!test_?)\w|^class[ \t]+(?!Test)\w", re.MULTILINE)
_METHODS: Final = re.compile(
    r"(?:[ \t]*\n)*[ \t]+(?:@\w[^\n]*\n[ \t]+)*(?:async[ \t]+)?def[ \t]+\w+[ \t]*\([ \t]*(?:self|cls)\b"
)
_READS: Final = re.compile(r"\binput\(|\bsys\.stdin|\bopen\(0")
_WRITES: Final = re.compile(r"\bprint\(|\bstdout\b")
_STARTS: Final = re.compile(r"^if[ \t]+__name__[ \t]*==|\bint[ \t]+main[ \t]*\(", re.MULTILINE)
_CALLS: Final = re.compile(r"\s*(?:\w+\(\)[ \t]*;?\s*)+")
_RUNS: Final = re.compile(r"^(?:\w[\w.]*\(|(?:if|for|while|print|assert)\b)", re.MULTILINE)
_OF_IMPORTS: Final = frozenset(["import", "from", "as", "include", "using", "namespace", "use", "package", "static"])
_BUILTIN: Final = frozenset(
    re.findall(
        r"\w+",
        """
    abs all any ascii bin bool bytes chr dict dir divmod enumerate filter float format frozenset hash hex id input int
    iter len list map max min next object oct open ord pow print range repr reversed round set slice sorted str sum
    tuple type vars zip
""",
    )
)


@attrs.frozen
class _Rules:
    """Where names stand in the languages of one kind."""

    aside: re.Pattern[str]
    imports: re.Pattern[str]
    defined: re.Pattern[str]
    bound: re.Pattern[str]
    amends: bool


_PYTHON: Final = _Rules(
    aside=re.compile(_STRING + r"|#[^\n]*"),
    imports=re.compile(r"^(?:import|from)\b[^\n(]*(?:\([^()]*\))?[^\n]*", re.MULTILINE),
    defined=re.compile(
        r"^(?:(?:async[ \t]+)?def[ \t]+|class[ \t]+)(\w+)"
        r"|^(\w+(?:[ \t]*,[ \t]*\w+){0,9})[ \t]*(?::[^=\n]{1,80})?=(?!=)",
        re.MULTILINE,
    ),
    bound=re.compile(
        r"\bdef[ \t]+\w+[ \t]*\(([^()]*(?:\([^()]*\)[^()]*)*)\)|\bfor[ \t]+([\w, \t()]{1,80}?)[ \t]+in\b"
        r"|(?<![\w.])(\w+(?:[ \t]*,[ \t]*\w+){0,9})[ \t]*(?::[^=\n]{1,80})?=(?!=)"
        r"|\blambda[ \t]+([\w, \t*=]{1,80}):|\bas[ \t]+(\w+)"
    ),
    amends=True,
)
_BRACES: Final = _Rules(
    aside=re.compile(_STRING + r"|//[^\n]*|/\*[\s\S]*?\*/"),
    imports=re.compile(r"^(?:#[ \t]*include|using|import|use|package)\b[^\n]*", re.MULTILINE),
    defined=re.compile(
        r"^(?:#define[ \t]+(\w+)"
        r"|(?:[a-z]+[ \t]+){0,3}(?:class|struct|enum|interface|union|trait|type|func|fn|function)[ \t]+(\w+)"
        r"|[A-Za-z_][\w:<>,*&\[\] \t]{0,80}?[ \t*&](\w+)[ \t]*\([^;\n]*$"
        r"|(?:const|constexpr|static|let|var|int|long long|vector<[\w<> ]{1,20}>)"
        r"[ \t][^\n=(]{0,60}?\b(\w+)[ \t]*[=;\[])",
        re.MULTILINE,
    ),
    bound=re.compile(r"(?!)"),
    amends=False,
)


@attrs.frozen(kw_only=True)
class _Piece:
    """A block, seen from the others: what it defines and imports at its margin, what it needs, what else it does."""

    defines: frozenset[str]
    imports: frozenset[str]
    needs: frozenset[str]
    only_imports: bool
    is_methods: bool
    is_example: bool
    reads: bool
    writes: bool
    runs: bool
    follows: bool


def put_together(
    codes: Sequence[str], chosen: int, *, is_python: bool, goes_on: bool, examples: Sequence[bool]
) -> list[int]:
    """Return the numbers of the blocks that make up the program, in order.

    Args:
        codes: the blocks, in the order of the answer.
        chosen: the one that the program starts from.
        is_python: by Python's rules, or those of languages with braces.
        goes_on: what uses the program's names may belong to it, and not only what it needs.
        examples: of each, whether it is an example or a test.
    """
    rules = _PYTHON if is_python else _BRACES
    looked_at = {chosen, *range(max(0, len(codes) - _MOST), len(codes))}
    pieces = {number: _piece(codes[number], rules, examples[number]) for number in looked_at}

    def program_from(start: int) -> list[int]:
        taken = [start]
        while (more := next(_joining(pieces, taken, rules, goes_on), None)) is not None:
            taken.append(more)
        return taken

    taken = program_from(chosen)
    if goes_on and not any(pieces[number].reads for number in taken):
        wider = (program_from(number) for number, piece in pieces.items() if piece.reads)
        taken = next((program for program in wider if chosen in program), taken)
    imports = (number for number, piece in pieces.items() if piece.only_imports)
    front = sorted(number for number in imports if number in taken or number < max(taken))
    return [*front, *sorted(set(taken).difference(front))]


def _joining(pieces: Mapping[int, _Piece], taken: Sequence[int], rules: _Rules, goes_on: bool) -> Iterator[int]:
    """Yield the blocks that belong to those taken: the last first, but of what finishes a program the first."""
    program = [pieces[number] for number in taken]
    defined = frozenset[str]().union(*(piece.defines for piece in program))
    known = defined.union(*(piece.imports for piece in program))
    needed = frozenset[str]().union(*(piece.needs for piece in program)) - known
    unfinished = goes_on and any(piece.reads for piece in program) and not any(piece.writes for piece in program)
    for number in sorted(set(pieces).difference(taken), reverse=not unfinished):
        piece = pieces[number]
        if (piece.is_methods and number - 1 in taken) or (number + 1 in taken and pieces[number + 1].is_methods):
            yield number
        if piece.is_example and not (unfinished and number > min(taken)):
            continue
        if piece.defines & defined:
            amended = rules.amends and piece.defines > defined and number < min(taken)
            if amended and not piece.runs:
                yield number
        elif (piece.defines | piece.imports) & needed or (
            goes_on and piece.needs & known and (unfinished or piece.follows)
        ):
            yield number


def _piece(code: str, rules: _Rules, is_example: bool) -> _Piece:
    # What stands in braces in an f-string is code, so f-strings stay.
    bare = rules.aside.sub(lambda match: match[0] if "f" in (match["prefix"] or "").lower() else "", code)
    defines = _names(rules.defined, bare)
    imports = {name for match in rules.imports.finditer(bare) for name in _WORD.findall(match[0])} - _OF_IMPORTS
    bound = _names(rules.bound, _SUBSCRIPT.sub("", _SUBSCRIPT.sub("", bare)), without=_ANNOTATION)
    only_imports = bool(imports) and not rules.imports.sub("", bare).strip()
    reads = _READS.search(bare) is not None
    return _Piece(
        defines=frozenset(defines),
        imports=frozenset(imports),
        needs=frozenset(set(_USED.findall(bare)) - _BUILTIN - defines - imports - bound),
        only_imports=only_imports,
        is_methods=_METHODS.match(bare) is not None,
        is_example=is_example and not only_imports,
        reads=reads,
        writes=_WRITES.search(bare) is not None,
        runs=_RUNS.search(bare) is not None,
        follows=reads or (_FUNCTION.search(bare) or _STARTS.search(bare) or _CALLS.fullmatch(bare)) is not None,
    )


def _names(pattern: re.Pattern[str], code: str, without: re.Pattern[str] | None = None) -> set[str]:
    groups = (group for match in pattern.finditer(code) for group in match.groups() if group)
    return {name for group in groups for name in _WORD.findall(without.sub("", group) if without else group)}
