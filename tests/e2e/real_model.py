"""Where the server of a real model is, for the tests that need one."""

from __future__ import annotations

import os
from typing import Final

import pytest

from themis.effects.http_library import httpx

URL: Final = os.environ.get("REAL_MODEL_URL", "http://127.0.0.1:8081/v1")


def needs_server() -> None:
    """Skip a test if no server answers."""
    try:
        httpx.get(URL.removesuffix("/v1") + "/health", timeout=2).raise_for_status()
    except httpx.HTTPError:
        pytest.skip(f"no language model answers at {URL}")
