"""The HTTP library: `httpx`, or `httpx2`, which has taken its interface over. Nothing else here imports either.

`httpx` is used where it is installed, and `httpx2` where it is not, or where `THEMIS_HTTP_LIBRARY` names it: what some
other package brings along does not change how calls are made. A client that a user hands over may be of either, so an
exception is caught by its class in each (`every`).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Final

from themis.pure.errors import SpecError

if TYPE_CHECKING:
    import httpx as httpx

VARIABLE: Final = "THEMIS_HTTP_LIBRARY"
LIBRARIES: Final = ("httpx", "httpx2")
_PARTS: Final = ("connection", "http11", "http2", "proxy", "socks")
LOGGERS: Final = (*LIBRARIES, *(f"{core}.{part}" for core in ("httpcore", "httpcore2") for part in _PARTS))
"""Where the libraries log addresses and headers."""


def chosen() -> str:
    """Return the name of the library to use.

    Raises:
        SpecError: the variable names none of them, or one that is not installed.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named and named not in LIBRARIES:
        raise SpecError(f"{VARIABLE}: {' or '.join(LIBRARIES)} expected, found {named!r}")
    for library in [named] if named else LIBRARIES:
        if importlib.util.find_spec(library) is not None:
            return library
    missing = f"{VARIABLE} names {named}, which is not installed" if named else "no HTTP library is installed"
    raise SpecError(f"{missing}: pip install {named or LIBRARIES[0]}")


if not TYPE_CHECKING:
    httpx = importlib.import_module(chosen())


def every(*names: str) -> tuple[type[Exception], ...]:
    """Return exceptions by name, as each library has them that is loaded."""
    found = (getattr(sys.modules.get(library), name, None) for library in LIBRARIES for name in names)
    return tuple(filter(None, found))
