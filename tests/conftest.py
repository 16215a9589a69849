"""For all tests: hypothesis, the same each time in CI and quick enough to be run often; Ctrl-C; a fickle component."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from tests.postgres_server import postgres_server

from themis.core import ParseContext, ParsedOutput, ReducedCandidate

settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.register_profile("ci", parent=settings.get_profile("quick"), derandomize=True)
settings.register_profile("brief", parent=settings.get_profile("ci"), max_examples=10)  # for the other Pythons
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "quick"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has Ctrl-C ignored, also by the processes which they interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what listings note of runs out of the folder of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(tmp_path_factory.mktemp("cache")))
        yield


class FickleParser:
    """A parser that fails while its world is broken; its fingerprint does not show it."""

    component_id = "tests/fickle"
    version = "1"
    broken = False

    def fingerprint(self) -> str:
        return "fickle"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        if self.broken:
            raise OSError("the world is broken")
        return ParsedOutput(value=candidate.final_output)


@pytest.fixture
def fickle_parser() -> FickleParser:
    return FickleParser()


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """The address of a PostgreSQL server of our own."""
    with postgres_server() as server:
        yield server.dsn
