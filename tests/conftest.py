"""For all tests: hypothesis, deterministic in CI and quick enough to be run often, and a component that turns bad."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from themis.core import ParseContext, ParsedOutput, ReducedCandidate

settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.register_profile("ci", parent=settings.get_profile("quick"), derandomize=True)
settings.register_profile("brief", parent=settings.get_profile("ci"), max_examples=10)  # for the other Pythons
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "quick"))


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
