"""A study of 3 models x 2 prompts x 2 datasets x 3 temperatures x 4 samples that is killed again and again."""

from __future__ import annotations

import random
from pathlib import Path

import attrs
from tests.hardening.conftest import Report, part_of
from tests.laws.crash.study_child import Settings
from tests.laws.killed_study import endpoints, killed_until_done

KILLS = part_of(5)


def test_a_study_that_is_killed_again_and_again(tmp_path: Path, rng: random.Random, report: Report) -> None:
    with endpoints() as served:
        settings = Settings(
            store=str(tmp_path / "killed.sqlite3"),
            log=str(tmp_path / "killed.log"),
            urls=[each.base_url for each in served],
            cases=20,
            samples=4,
            temperatures=[0.0, 0.5, 1.0],
        )
        said, counts = killed_until_done(settings, served, KILLS, rng)
        alone = attrs.evolve(settings, store=str(tmp_path / "alone.sqlite3"), log=str(tmp_path / "alone.log"))
        undisturbed, _ = killed_until_done(alone, served, 0, rng)
    assert said == undisturbed
    assert said.split()[:3] == ["completed", "36", "0"]
    report(
        "SIGKILL of a study of 36 cells",
        f"{counts.kills} kills in {counts.processes} processes; of {settings.calls:,} calls {counts.again} were lost "
        f"with a kill and made again, none that was stored; {counts.rejected:,} further requests were rejected or cut; "
        "the digest of a study that was left alone",
    )
