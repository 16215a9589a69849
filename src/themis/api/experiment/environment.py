"""Detects where a run is made: versions, commit. Provenance, never identity."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess

DEPENDENCIES = ("attrs", "cattrs", "httpx", "httpx2", "orjson", "returns", "sacrebleu", "sqlite-utils", "trio")


@functools.cache
def git_commit() -> str | None:
    """Return the commit of the current folder's repository; `None` outside of one or without git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607  # whichever git the user has
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


@functools.cache
def dependency_versions() -> dict[str, str]:
    """Return the versions of the libraries that Themis rests on."""
    versions = {}
    for name in DEPENDENCIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
