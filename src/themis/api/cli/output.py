"""Printing: JSON on stdout for programs, text for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def write(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def write_json(value: Any) -> None:
    write(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def show(value: Any, text: Callable[[], str] | str, *, as_json: bool) -> None:
    """Write a value as JSON, or its text."""
    if as_json:
        write_json(value)
    else:
        write(text if isinstance(text, str) else text())
