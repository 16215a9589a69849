r"""The program that an answer gives: from the right fence of several, from no fence at all, or out of prose.

Rules from the surest to the least sure:

1. `fence`: fenced blocks as in CommonMark 0.31, section 4.5 (the closing fence is as long as the opening one, of the
   same sign, and not indented deeper by more than three blanks); also `[PYTHON]...[/PYTHON]` and
   `<code>...</code>`. Of several, the last of the highest rank counts: a block in the wanted language that defines
   something and is more than a test or an example of use; then any block in the wanted language; then blocks
   without a language. A block that never ends (the answer was cut off) still counts.
2. `whole`: the answer is code from its first line on, or the indented continuation of a function.
3. `prose`: the block of code lines between the prose, from the first line that can only be code.

Lines are told apart by how they look: no grammar is asked, so that the outcome is the same under every version of
Python, and for every language.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from themis.pure.components.text.extraction import Extraction, found, nothing

_FENCE: Final = re.compile(r"^(?P<indent>[ \t>]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)$", re.MULTILINE)
_ONE_LINE: Final = re.compile(r"```(?:(?:python|py|cpp|java|js)[ \t]+)?([^`\n]{1,2000})```")
_TAG: Final = re.compile(r"\[PYTHON\]\n?|<code(?:\s[^<>]{0,100})?>\n?")

_NAMES: Final = {
    "python": ("python", "py", "python3", "py3", "python2", "ipython", "pycon", "sage", "python-repl"),
    "cpp": ("cpp", "c++", "cc", "cxx", "c", "c++17", "c++20", "cpp17", "cpp20", "c++14", "c++11"),
    "java": ("java",),
    "javascript": ("javascript", "js", "node", "jsx", "typescript", "ts"),
    "go": ("go", "golang"),
    "rust": ("rust", "rs"),
}
_NO_CODE: Final = frozenset(
    re.findall(
        r"\w+",
        """
    text txt plaintext plain output console bash sh shell zsh markdown md json yaml diff input stdout stdin latex tex
    math mermaid xml html csv pseudocode pseudo toml none
""",
    )
)

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
_TEXT_DELIMITER: Final = re.compile(r"\"\"\"|'''")
_PROMPT: Final = re.compile(r"^(?:>>>|\.\.\.) ?", re.MULTILINE)


@attrs.frozen
class _Block:
    code: str
    language: str
    closed: bool = True


def code_text(text: str, language: str = "python") -> Extraction[str]:
    """Return the program that an answer gives.

    Args:
        text: the answer, without its reasoning block.
        language: which of several programs is wanted: `python`, `cpp`, `java`, `javascript`, `go`, `rust`, or any
            other name that may stand behind a fence.

    >>> code_text("Sure!\\n```python\\nprint(1)\\n```\\nIt prints 1.").value
    'print(1)\\n'
    >>> code_text("I can't help with that.").reason
    'the answer holds no code'
    """
    names = _NAMES.get(language.lower(), (language.lower(),))
    blocks = [block for block in _blocks(text) if block.code.strip() and _may_answer(block, names)]
    if blocks:
        best = max(reversed(blocks), key=lambda block: _rank(block, names))  # of equal ones the last
        return found(_tidy(best.code), "fence" if best.closed else "unclosed fence")
    lines = text.expandtabs(4).splitlines()
    first = next((line for line in lines if line.strip()), "")
    if (first.startswith("    ") and not _reads_like_prose(first)) or _STARTS.match(first):
        taken = list(_code_lines(lines, lines.index(first)))
        if taken:
            return found(_tidy("\n".join(taken)), "whole")
    block = _out_of_prose(lines)
    return found(_tidy("\n".join(block)), "prose") if block else nothing("the answer holds no code")


def _tidy(code: str) -> str:
    """Keep the indentation, for a continuation needs it; end with one line break."""
    lines = itertools.dropwhile(lambda line: not line.strip(), code.replace("\r\n", "\n").split("\n"))
    return "\n".join(lines).rstrip() + "\n"


# --- fences -----------------------------------------------------------------------------------------------


def _blocks(text: str) -> Iterator[_Block]:
    yield from _fenced(text)
    for match in _ONE_LINE.finditer(text):
        yield _Block(match[1].strip(), "")
    yield from _tagged(text)


def _tagged(text: str) -> Iterator[_Block]:
    at = 0
    while (tag := _TAG.search(text, at)) is not None:
        python = tag[0].startswith("[")
        end = text.find("[/PYTHON]" if python else "</code>", tag.end())
        if end < 0 and not python:
            return
        at = end if end >= 0 else len(text)
        yield _Block(text[tag.end() : at], "python" if python else "")


def _fenced(text: str) -> Iterator[_Block]:
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif _closes(opening, fence):
            yield _block(opening, text[opening.end() + 1 : fence.start()])
            opening = None
    if opening is not None:
        yield _block(opening, text[opening.end() + 1 :], closed=False)


def _closes(opening: re.Match[str], fence: re.Match[str]) -> bool:
    same = fence["fence"][0] == opening["fence"][0] and len(fence["fence"]) >= len(opening["fence"])
    return same and not fence["info"].strip() and len(fence["indent"]) <= len(opening["indent"]) + 3


def _block(opening: re.Match[str], code: str, *, closed: bool = True) -> _Block:
    indent = opening["indent"]
    if indent:
        code = "\n".join(line.removeprefix(indent) for line in code.split("\n"))
    info = opening["info"].strip().lower().strip("{}.")
    language = re.split(r"[\s,:{]", info, maxsplit=1)[0] if info else ""
    if code.lstrip().startswith(">>>") and language in ("", *_NAMES["python"]):
        code = "\n".join(_PROMPT.sub("", line) for line in code.split("\n") if line.startswith((">>>", "...")))
    return _Block(code, language, closed)


def _may_answer(block: _Block, names: Sequence[str]) -> bool:
    if not block.language:
        return _looks_like_code(block.code)
    # Another language's program answers still, if nothing better is there; a shell session never does.
    return block.language in names or block.language not in _NO_CODE


def _rank(block: _Block, names: Sequence[str]) -> tuple[int, ...]:
    """Rank a block: is it the wanted language, does it define something, is it more than a test."""
    solves = _SOLVES.search(block.code) is not None or (
        _DEFINES.search(block.code) is not None and not _TESTS.search(block.code)
    )
    defines = solves or _READS_INPUT.search(block.code) is not None
    spoken = 2 if block.language in names else int(not block.language)
    return spoken, int(defines), int(block.closed)


def _looks_like_code(code: str) -> bool:
    lines = [line for line in code.splitlines() if line.strip()]
    return any(line.startswith((" ", "\t")) or _STARTS.match(line) or _GOES_ON.match(line) for line in lines[:50])


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


def _code_lines(lines: Sequence[str], at: int) -> Iterator[str]:
    """Yield the lines of code from here to the first line of prose; text in triple quotes is code."""
    delimiter = ""
    for line in lines[at:]:
        if not delimiter and _reads_like_prose(line):
            return
        if not (delimiter or _GOES_ON.match(line) or _STARTS.match(line)):
            return
        for mark in _TEXT_DELIMITER.findall(line):
            delimiter = mark if not delimiter else "" if mark == delimiter else delimiter
        yield line


_PROSE: Final = re.compile(
    r"[A-Z][a-z]*(?:['\u2019][a-z]+)?[ ](?:[a-z]{1,15}[ ,]{1,2}){3,}[^=({]{0,200}[.:!?]?$|(?:Note|Explanation|Example"
    r"|Output|Here|This|The)\b[^=({]{0,200}$"
)


def _reads_like_prose(line: str) -> bool:
    return _PROSE.match(line.strip()) is not None and not line.strip().startswith(("#", "//"))
