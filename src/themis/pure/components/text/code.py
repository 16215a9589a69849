r"""The program that an answer gives: from the right fences of several, from no fence at all, or out of prose.

Rules from the surest to the least sure:

1. `json`: the answer is a JSON object, or nothing but one is marked off in it: its field `code`, `solution`, `program`
   or `answer`, if that holds code; by the other rules if it marks it off.
2. `fence`: blocks that the answer marks off (`text.code_fences`). Of several, the last of the highest rank counts: a
   block in the wanted language that defines something (the function that is asked for, where that is known) and is more
   than a test, a signature or an example of use; then any block in the wanted language; then blocks without a language.
   A block that never ends (the answer was cut off) still counts.
   `fences`: a program in several blocks is put together (`text.code_pieces`).
3. `whole`: the answer is code from its first line on, or the indented continuation of a function.
4. `prose`: the block of code lines between the prose, from the first line that can only be code; one that is indented
   by four blanks, as Markdown has it; a program of one line between single backticks.

Lines are told apart by how they look: no grammar is asked, so that the outcome is the same under every version of
Python, and for every language.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from themis.pure.components.text.code_fences import LANGUAGES, NO_CODE, Block, blocks
from themis.pure.components.text.code_pieces import put_together
from themis.pure.components.text.extraction import Extraction, found, nothing

_DEFINES: Final = re.compile(
    r"^[ \t]{0,12}(?:(?:async[ \t]+)?def[ \t]+\w|class[ \t]+\w|func[ \t]+\w|(?:pub[ \t]+)?fn[ \t]+\w"
    r"|function[ \t]+\w|#include\b|package[ \t]+\w|public[ \t]"
    r"|(?:static[ \t]+)?(?:int|void|bool|string|double|float|long|auto|char"
    r"|vector<[\w:<>, ]{1,40}>)[ \t]+\w+[ \t]*\([^;\n]*$|import[ \t]+sys\b|(?:const|let)[ \t]+\w+[ \t]*=[^\n]*=>)",
    re.MULTILINE,
)
_READS_INPUT: Final = re.compile(
    r"\binput\(|\bsys\.stdin|\bopen\(0|\bcin\s*>>|\bScanner\(|\bBufferedReader\(|\bscanf\(|readline"
)
_TESTS: Final = re.compile(
    r"^[ \t]{0,8}(?:assert\b|def[ \t]+test_?\w*\(|class[ \t]+Test\w*|import[ \t]+(?:unittest|pytest)\b|print\("
    r"|self\.assert|from[ \t]+\w+[ \t]+import[ \t])",
    re.MULTILINE,
)
_SOLVES: Final = re.compile(
    r"^[ \t]{0,8}(?:async[ \t]+)?(?:def[ \t]+(?!test_?|check\b|main\b)\w|class[ \t]+(?!Test)\w)", re.MULTILINE
)
_SIGNATURES: Final = re.compile(
    r"(?:\s*\n|[ \t]*(?:@|#|import\b|from\b)[^\n]*\n)*[ \t]*(?:async[ \t]+)?def\b[^\n]*:(?:\s*\.\.\.|\s*pass\b)?\s*"
)
_HAS_IT: Final = 2
_DEFINES_IT: Final = r"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+{0}\b|{0}[ \t]*(?::[^=\n]{{1,80}})?=(?!=))"
_INLINE: Final = re.compile(r"(?<!`)`((?:def \w+\(|\w+ = lambda\b|print\([^`\n]{0,200}?\binput\()[^`\n]{1,500})`(?!`)")
_STARTS: Final = re.compile(
    r"(?:(?:async[ ])?def[ ]\w+[ ]?\(|class[ ]\w+[^.\n]{0,80}[:{]?[ ]?$"
    r"|import[ ][\w.]+(?:[ ]as[ ]\w+)?(?:,[ ]?[\w.]+)*[ ]?;?$|from[ ][\w.]+[ ]import[ ][\w*(]|@\w[\w.]*(?:\(|$)"
    r"|#include\b|#!/|using[ ]namespace\b"
    r"|(?:int|void)[ ]main[ ]?\(|public[ ](?:static[ ])?(?:final[ ])?class\b|package[ ]\w+;?$|func[ ]\w+\("
    r"|fn[ ]\w+[(<]|use[ ]std::|if[ ]__name__[ ]?=="
    r"|for[ ]\w+(?:,[ ]?\w+)*[ ]in[ ](?:[^.\n]+|[\w.]+(?:\([^\n]*\))?):[ ]?$"
    r"|while[ ][^\n]+:[ ]?$|if[ ][^\n]{1,120}:[ ]?$|\w+(?:,[ ]?\w+)*[ ]=[ ](?:int|list|map|input|sorted|open|len"
    r"|sum|max|min|str|float|set|dict|sys|\[|\{|\(|\"|'|-?\d|lambda\b)|print\(|return\b[^.\n]{0,200}$)"
)
_GOES_ON: Final = re.compile(
    r"$|[ \t]|[#})\]@]|//|/\*|\*/|(?:else|elif|except|finally|try)\b.*:|with[ ].+:$"
    r"|[\w.\[\]\"', ]{1,80}[ ]?(?:[-+*/|&]|//|\*\*)?=[ ]?[^=]|[\w.]{1,80}\([^\n]*\)?[;:]?[ ]?(?:#.*)?$|assert[ ]"
    r"|raise[ ]|(?:pass|break|continue)$|[^\n]*[;{}][ ]?$|\"\"\"|'''|del[ ]|global[ ]|return\b"
)
_FIELDS: Final = ("code", "solution", "program", "answer")
_TEXT_DELIMITER: Final = re.compile(r"\"\"\"|'''")


def code_text(text: str, language: str = "python", name: str | None = None) -> Extraction[str]:
    """Return the program that an answer gives.

    Args:
        text: the answer, without its reasoning block.
        language: which of several programs is wanted: `python`, `cpp`, `java`, `javascript`, `go`, `rust`, or any
            other name that may stand behind a fence.
        name: the function that is asked for, if that is known: of several programs one that defines it counts.

    >>> code_text("Sure!\\n```python\\nprint(1)\\n```\\nIt prints 1.").value
    'print(1)\\n'
    >>> code_text("I can't help with that.").reason
    'the answer holds no code'
    """
    names = LANGUAGES.get(language.lower(), (language.lower(),))
    everything = [_without_prose(block) for block in blocks(text) if block.code.strip()]
    marked = [block for block in everything if _may_answer(block, names)]
    objects = [block.code for block in everything if block.language == "json"] if not marked else []
    field = next((field for field in map(_json_field, [text, *reversed(objects)]) if field), None)
    if field is not None:
        inner = code_text(field, language, name) if "```" in field else nothing("")
        return inner if inner.value is not None else found(_tidy(field), "json")
    if marked:
        return _of_blocks(marked, names, name)
    lines = text.expandtabs(4).splitlines()
    first = next((line for line in lines if line.strip()), "")
    if (first.startswith("    ") and not _reads_like_prose(first)) or _STARTS.match(first):
        taken = list(_code_lines(lines, lines.index(first)))
        if taken:
            return found(_tidy("\n".join(taken)), "whole")
    block = _out_of_prose(lines) or _out_of_prose(list(_indented(lines))) or _INLINE.findall(text)[-1:]
    return found(_tidy("\n".join(block)), "prose") if block else nothing("the answer holds no code")


def _tidy(code: str) -> str:
    """Keep the indentation, for a continuation needs it; end with one line break."""
    lines = itertools.dropwhile(lambda line: not line.strip(), code.replace("\r\n", "\n").split("\n"))
    return "\n".join(lines).rstrip() + "\n"


# --- fences -----------------------------------------------------------------------------------------------


def _of_blocks(marked: Sequence[Block], names: Sequence[str], name: str | None) -> Extraction[str]:
    wanted = re.compile(_DEFINES_IT.format(re.escape(name)), re.MULTILINE) if name else None
    ranks = [_rank(block, names, wanted) for block in marked]
    best = max(range(len(marked)), key=lambda number: (ranks[number], number))  # of equal ones the last
    spoken = ranks[best][0]
    peers = [number for number, rank in enumerate(ranks) if rank[0] == spoken or (rank[0] == 1 < spoken and rank[1])]
    taken = put_together(
        [marked[number].code for number in peers],
        peers.index(best),
        is_python="python" in names,
        goes_on=ranks[best][1] < _HAS_IT,
        examples=[not ranks[number][1] and _is_example(marked[number].code) for number in peers],
    )
    if len(taken) > 1:
        return found(_tidy("\n\n".join(_tidy(marked[peers[number]].code) for number in taken)), "fences")
    return found(_tidy(marked[best].code), "fence" if marked[best].closed else "unclosed fence")


def _without_prose(block: Block) -> Block:
    """Take away what is said behind a block that was not closed."""
    if block.closed:
        return block
    lines = block.code.split("\n")
    while lines and not (lines[-1].strip() and _is_code(lines[-1])):
        lines.pop()
    return attrs.evolve(block, code="\n".join(lines)) if lines else block


def _may_answer(block: Block, names: Sequence[str]) -> bool:
    if not block.language:
        return _looks_like_code(block.code)
    # Another language's program answers still, if nothing better is there; a shell session never does.
    return block.language in names or block.language not in NO_CODE


def _rank(block: Block, names: Sequence[str], wanted: re.Pattern[str] | None) -> tuple[int, ...]:
    """Rank a block: is it the wanted language, does it define something, is it more than a test."""
    solves = _SOLVES.search(block.code) is not None or (
        _DEFINES.search(block.code) is not None and not _TESTS.search(block.code)
    )
    defines = (solves and not _SIGNATURES.fullmatch(block.code)) or _READS_INPUT.search(block.code) is not None
    has_it = defines and wanted is not None and wanted.search(block.code) is not None
    spoken = 2 if block.language in names else int(not block.language)
    return spoken, _HAS_IT if has_it else int(defines), int(block.closed)


def _is_example(code: str) -> bool:
    return (_TESTS.search(code) or _SIGNATURES.fullmatch(code)) is not None


def _looks_like_code(code: str) -> bool:
    lines = [line for line in code.splitlines() if line.strip()]
    return any(line.startswith((" ", "\t")) or _STARTS.match(line) or _GOES_ON.match(line) for line in lines[:50])


# --- JSON -------------------------------------------------------------------------------------------------


def _json_field(text: str) -> str | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fields = [value.get(name) for name in _FIELDS] if isinstance(value, dict) else []
    texts = (field for field in fields if isinstance(field, str))
    return next((text for text in texts if "```" in text or any(map(_STARTS.match, text.splitlines()))), None)


# --- no fences --------------------------------------------------------------------------------------------


def _out_of_prose(lines: Sequence[str]) -> list[str]:
    """Return the last block of code that defines something, else the longest one."""
    blocks: list[list[str]] = []
    at = 0
    while at < len(lines):
        if _STARTS.match(lines[at]) and not _reads_like_prose(lines[at]):
            blocks.append(list(_code_lines(lines, at)))
            at += max(1, len(blocks[-1]))
        else:
            at += 1
    solving = [block for block in blocks if _DEFINES.search("\n".join(block))]
    if solving:
        return solving[-1]
    return max(blocks, key=len, default=[])


def _indented(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of indented blocks (CommonMark 0.31, section 4.4), moved to the margin, and others as prose."""
    margin = ""
    for before, line in itertools.pairwise(["", *lines]):
        if line.strip() and not line.startswith(margin or "    "):
            margin = ""
        if not margin and not before.strip() and line.startswith("    "):
            margin = line[: len(line) - len(line.lstrip())]
        yield line.removeprefix(margin) if margin else "This is prose."


def _code_lines(lines: Sequence[str], at: int) -> Iterator[str]:
    """Yield the lines of code from here to the first line of prose; text in triple quotes is code."""
    delimiter = ""
    for number in range(at, len(lines)):  # a slice for every block would cost its length each time
        line = lines[number]
        if not (delimiter or _is_code(line)):
            return
        for mark in _TEXT_DELIMITER.findall(line):
            delimiter = mark if not delimiter else "" if mark == delimiter else delimiter
        yield line


def _is_code(line: str) -> bool:
    return not _reads_like_prose(line) and (_GOES_ON.match(line) or _STARTS.match(line)) is not None


_PROSE: Final = re.compile(
    r"[A-Z][a-z]*(?:['\u2019][a-z]+)?[ ](?:[a-z]{1,15}[ ,]{1,2}){3,}[^=({]{0,200}[.:!?]?$|(?:Note|Explanation|Example"
    r"|Output|Here|This|The)\b[^=({]{0,200}$"
)


def _reads_like_prose(line: str) -> bool:
    return _PROSE.match(line.strip()) is not None and not line.strip().startswith(("#", "//"))
