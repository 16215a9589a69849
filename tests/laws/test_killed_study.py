"""Law 5 for a study: SIGKILL at any moment; its digest is that of one left alone, and nothing stored is asked again."""

from __future__ import annotations

import random
from pathlib import Path

import attrs
import pytest
from tests.laws.crash.study_child import Settings
from tests.laws.killed_study import endpoints, killed_until_done


@pytest.mark.slow
def test_a_study_that_is_killed_ends_in_the_digest_of_one_that_was_not(tmp_path: Path) -> None:
    with endpoints() as served:
        settings = Settings(
            store=str(tmp_path / "killed.sqlite3"),
            log=str(tmp_path / "killed.log"),
            urls=[each.base_url for each in served],
            cases=3,
            samples=2,
            temperatures=[0.5],
        )
        said, counts = killed_until_done(settings, served, 1, random.Random(0))
        alone = attrs.evolve(settings, store=str(tmp_path / "alone.sqlite3"), log=str(tmp_path / "alone.log"))
        undisturbed, _ = killed_until_done(alone, served, 0, random.Random(0))
    assert said == undisturbed
    assert said.split()[:3] == ["completed", "12", "0"]
    assert counts.kills == 1
    assert counts.rejected > 0.2 * counts.answered
