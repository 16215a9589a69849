r"""The blocks of code that an answer marks off: fences, `[PYTHON]...[/PYTHON]`, `<code>...</code>`.

Fences are those of CommonMark 0.31, section 4.5: the closing fence is of the same sign, at least as long as the opening
one, not indented deeper by more than three blanks, and nothing follows it. Models don't always keep to that:

- If no such fence follows, a shorter one closes (four signs open and three close). A longer one may always close.
- A fence with a language's name opens a block, wherever it stands: what was open before was not closed. Inside a longer
  fence, which is closed by one of its own length, it is text. So is a fence within triple quotes that are closed later.
- A fence may close at the end of the last line of code, and prose may follow it in its line.
- A block that never ends was cut off, or its closing fence forgotten; it counts as far as the text goes.
- A block of Markdown, of text or of no language that holds fences is a wrapper: the blocks in it count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

LANGUAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "python": ("python", "py", "python3", "py3", "python2", "ipython", "pycon", "sage", "python-repl"),
    "cpp": ("cpp", "c++", "cc", "cxx", "c", "c++17", "c++20", "cpp17", "cpp20", "c++14", "c++11"),
    "java": ("java",),
    "javascript": ("javascript", "js", "node", "jsx", "typescript", "ts"),
    "go": ("go", "golang"),
    "rust": ("rust", "rs"),
}
"""Names that may stand behind a fence, by the language that they mean."""

NO_CODE: Final = frozenset(
    re.findall(
        r"\w+",
        """
    text txt plaintext plain output console bash sh shell zsh markdown md json yaml diff input stdout stdin latex tex
    math mermaid xml html csv pseudocode pseudo toml none
""",
    )
)
_WRAPPERS: Final = ("", "markdown", "md", "text", "txt", "plaintext", "plain", "none")
_KNOWN: Final = NO_CODE.union(
    *LANGUAGES.values(), ("csharp", "c#", "kotlin", "ruby", "php", "swift", "sql", "r", "scala")
)

_FENCE: Final = re.compile(r"^(?P<indent>[ \t>]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)$", re.MULTILINE)
_ONE_LINE: Final = re.compile(r"```(?:(?:python|py|cpp|java|js)[ \t]+)?([^`\n]{1,2000})```")
_TAG: Final = re.compile(r"\[PYTHON\]\n?|<code(?:\s[^<>]{0,100})?>\n?")
_GLUED: Final = re.compile(r"(?<=[^`\s\"'])`{3,}[ \t]*$", re.MULTILINE)
_PROMPT: Final = re.compile(r"^(?:>>>|\.\.\.) ?", re.MULTILINE)
_LOOKS_AHEAD: Final = 200
_DEEPEST: Final = 2


@attrs.frozen
class Block:
    """A block of code, with the name of its language in lower case, if one stands there."""

    code: str
    language: str
    closed: bool = True


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of an answer."""
    yield from _fenced(text, 0)
    for match in _ONE_LINE.finditer(text):
        yield Block(match[1].strip(), "")
    yield from _tagged(text)


def _tagged(text: str) -> Iterator[Block]:
    at = 0
    while (tag := _TAG.search(text, at)) is not None:
        python = tag[0].startswith("[")
        end = text.find("[/PYTHON]" if python else "</code>", tag.end())
        if end < 0 and not python:
            return
        at = end if end >= 0 else len(text)
        yield Block(text[tag.end() : at], "python" if python else "")


def _fenced(text: str, depth: int) -> Iterator[Block]:
    fences, at = list(_FENCE.finditer(text)), 0
    while at < len(fences):
        opening = fences[at]
        end = _end(opening, fences, at + 1)
        closing = fences[end] if end < len(fences) else None
        code = text[opening.end() + 1 : closing.start() if closing is not None else len(text)]
        opens = closing is None or _opens(closing)
        block = _block(opening, code, closed=not opens)
        if block.language in _WRAPPERS and depth < _DEEPEST and _FENCE.search(code):
            yield from _fenced(code, depth + 1)
        else:
            yield block
        at = end if opens else end + 1


def _end(opening: re.Match[str], fences: Sequence[re.Match[str]], at: int) -> int:
    """Return which fence ends a block: one that closes it, the next one that opens, or else the number of fences."""
    shorter = quoted = None
    seen, quotes = opening.end(), {'"""': 0, "'''": 0}
    for number in range(at, min(at + _LOOKS_AHEAD, len(fences))):
        fence = fences[number]
        for mark in quotes:
            quotes[mark] += fence.string.count(mark, seen, fence.start())
        seen = fence.start()
        if fence["fence"][0] != opening["fence"][0] or len(fence["indent"]) > len(opening["indent"]) + 3:
            continue
        long_enough, opens = len(fence["fence"]) >= len(opening["fence"]), _opens(fence)
        if any(count % 2 for count in quotes.values()):
            quoted = number if quoted is None and (long_enough or not opens) else quoted
        elif long_enough:
            return number if shorter is None or not opens else shorter
        elif shorter is None and not opens:
            shorter = number
    return next((number for number in (quoted, shorter) if number is not None), len(fences))


def _opens(fence: re.Match[str]) -> bool:
    """Tell whether a fence behind an open one opens a block: what follows it is a language, and no prose."""
    words = fence["info"].split()
    return bool(words) and (len(words) == 1 or _language(fence["info"]) in _KNOWN)


def _language(info: str) -> str:
    bare = info.strip().lower().strip("{}.")
    return re.split(r"[\s,:{]", bare, maxsplit=1)[0] if bare else ""


def _block(opening: re.Match[str], code: str, *, closed: bool) -> Block:
    indent, info = opening["indent"], opening["info"]
    if indent:
        code = "\n".join(line.removeprefix(indent) for line in code.split("\n"))
    glued = _GLUED.search(code)
    if glued is not None:
        code, closed = code[: glued.start()], True
    language = _language(info)
    if code.lstrip().startswith(">>>") and language in ("", *LANGUAGES["python"]):
        code = "\n".join(_PROMPT.sub("", line) for line in code.split("\n") if line.startswith((">>>", "...")))
    return Block(code, language, closed)
