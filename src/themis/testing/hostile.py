"""Texts that try to be more than text: for testing whatever shows, stores or exports what a model says."""

from __future__ import annotations

from typing import Any, Final

HOSTILE: Final = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(3)>",
    "[click](javascript:alert(4))",
    '" onmouseover="alert(5)',
    r"\input{/etc/passwd} \write18{touch pwned} \def\x{} $x^2$ 100% a_b #1 ~",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "| a | b |\n| --- | --- |",
    "\x1b[2J\x1b]0;title\x07",
    "\u202edrow\u202c",
    "line\u2028separator",
    "![](http://127.0.0.1:9/pixel.png) www.example.org https://example.org",
    "中文 naïve é",
]


def hostile_rows() -> list[dict[str, Any]]:
    return [{"case_id": text, "input": text, "expected_output": text, "metadata": {"note": text}} for text in HOSTILE]
