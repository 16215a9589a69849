"""Printing: JSON on stdout for programs, text for people.

What a stream's encoding can't hold is replaced in text. JSON is UTF-8 (RFC 8259, 8.1) or else escaped, so that it is
the same to whoever reads it; a document that goes into a file or pipe (`themis report latest --format html > a.html`)
is UTF-8. When nobody reads on (`themis list | head -1`), a command goes on to its end in silence: a run is finished, a
gate gives its exit code.

What is printed may be a model's, a server's or a file's: no character that steers a display passes here, in whatever
field of whatever command it stands. Text names such characters, JSON escapes them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, AnyStr, Final, TextIO

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def write(text: str) -> None:
    _put(sys.stdout, harmless(text if text.endswith("\n") else f"{text}\n"))


def write_json(value: Any) -> None:
    from themis.pure.json import formatted  # help loads none of these

    write_document(formatted(value), "json")


def write_document(text: str, kind: str) -> None:
    """Write a document of a format, such as `json` or `html`."""
    if kind == "json" and not _is_utf8_of(sys.stdout, text):
        write(_BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text))
    elif kind in ("json", "markdown") or sys.stdout.isatty():
        write(text)
    else:
        sys.stdout.flush()
        _put(sys.stdout.buffer, f"{text.rstrip(chr(10))}\n".encode("utf-8", "replace"))


def say(text: str) -> None:
    _put(sys.stderr, harmless(f"{text}\n"))


def harmless(text: str) -> str:
    """Return text for a terminal or a log; line breaks of Windows are line breaks."""
    from themis.pure.text import printable

    return printable(text.replace("\r\n", "\n"))


def show(value: Any, text: Callable[[], str] | str, *, as_json: bool) -> None:
    """Write a value as JSON, or its text."""
    if as_json:
        write_json(value)
    else:
        write(text if isinstance(text, str) else text())


def make_streams_hold_all() -> None:
    """Let nothing that is printed to this process's streams fail for its characters, or for want of a stream."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed when the process began
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # the process's
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def finish() -> None:
    """Print what is still held back, where somebody reads it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # its stream now leads nowhere, and nothing more can be said
            _put(stream, "")


def _put(stream: IO[AnyStr], text: AnyStr) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _let_go(stream)
    except OSError:  # a full disk
        _let_go(stream)
        raise


def _let_go(stream: IO[Any]) -> None:
    """Let what is printed from now on go nowhere: nobody reads on."""
    with contextlib.suppress(OSError, ValueError):  # no file at all, or a closed one
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _is_utf8_of(stream: TextIO, text: str) -> bool:
    """Tell whether a stream makes UTF-8 of a text: half of a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return (stream.encoding or "").lower().replace("-", "") == "utf8"
