"""Runs' figures, kept from one listing to the next: a file of the user's, for stores of every kind.

What is kept is named by the end of the run's chain, which every event of it changes, so it is never out of date. It is
a convenience of listings: nothing that verifies or reports reads it. A file that can't be read or written is as if it
were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOST: Final = 100_000
"""Runs whose figures are kept; the oldest give way."""
_UNUSABLE: Final = (OSError, sqlite3.Error, RuntimeError)
"""What is raised where the file is of no use; the last by a system that knows of no home."""
_SCHEMA: Final = "create table if not exists figures (name text primary key, content text not null)"


def figure_name(*parts: object) -> str:
    """Return the name of figures: the hash of all that they depend on."""
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def kept_figures(name: str) -> str | None:
    """Return figures that were kept under a name."""
    with contextlib.suppress(*_UNUSABLE), _opened() as file:
        row = file.execute("select content from figures where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])
    return None


def keep_figures(name: str, content: str) -> None:
    """Keep figures under a name."""
    with contextlib.suppress(*_UNUSABLE), _opened() as file:
        file.execute("insert or replace into figures values (?, ?)", (name, content))
        file.execute("delete from figures where rowid <= (select max(rowid) from figures) - ?", (_MOST,))


@contextlib.contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    path = _folder() / "figures.sqlite3"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(sqlite3.connect(path, timeout=2)) as file, file:
        file.execute(_SCHEMA)
        yield file


def _folder() -> Path:
    """Return where programs keep what can be made again (XDG Base Directory 0.8; %LOCALAPPDATA% on Windows)."""
    stated = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    return (Path(stated) if Path(stated).is_absolute() else Path.home() / ".cache") / "themis"
