"""The second implementation, in JavaScript: it comes to the verdicts that Themis comes to, on good files and bad."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.api.bundles.drawn import drawn
from tests.pure.seals.made import columns, metric_of, sealed
from tests.ssh_keys import make_key, needs_openssh

from themis import InMemoryRunStore, disclose_seal, seal, verify_seal
from themis.pure.errors import DataError, SchemaVersionError
from themis.pure.seals.records import SealedMetric
from themis.pure.seals.scores import SealedScore
from themis.testing.pipelines import ScriptedSandbox

PROGRAM = Path(__file__).parents[2] / "docs" / "reference" / "verify-seal.mjs"
NODE = shutil.which("node") or shutil.which("nodejs")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not there")


def by_node(keys: Path | str, files: Sequence[Path]) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run([str(NODE), str(PROGRAM), str(keys), *files], capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def verdict(path: Path, key: Path | None = None) -> str:
    try:
        return verify_seal(path, key=key).verdict
    except (DataError, SchemaVersionError):
        return "not verified"


def test_it_has_less_than_200_lines_and_the_standard_library_alone() -> None:
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 200
    assert [line.split('"')[1] for line in lines if line.startswith("import ")] == ["node:crypto", "node:fs"]


@needs_openssh
def test_both_come_to_the_same_verdict_on_signed_seals_of_drawn_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("themis.effects.driver", "themis.api.experiment.run"):
        monkeypatch.setattr(f"{module}.open_sandbox", ScriptedSandbox)
    key, store = make_key(tmp_path / "key"), InMemoryRunStore()
    keys, good, bad = tmp_path / "key.pub", list[Path](), list[Path]()

    @given(drawn(), st.data())
    @settings(max_examples=3)
    def collect(run: Any, data: st.DataObject) -> None:
        name = tmp_path / str(len(good))
        whole = seal(store, run.run(store).run_id, name.with_suffix(".whole"), key=key)
        made = [whole, disclose_seal(whole, name.with_suffix(".hidden"), hide=["all"])]
        made.append(disclose_seal(whole, name.with_suffix(".alone"), only=["all", "run"]))
        good.extend(made)
        for origin in made[1:]:
            file = origin.read_bytes()
            for _ in range(10):
                place, flipped = data.draw(st.integers(0, len(file) - 1)), data.draw(st.integers(1, 255))
                bad.append(tmp_path / f"{len(bad)}.bad")
                bad[-1].write_bytes(file[:place] + bytes([file[place] ^ flipped]) + file[place + 1 :])

    collect()
    code, found = by_node(keys, good)
    assert code == 3  # of single cases no mean can be checked
    assert [each["verdict"] for each in found] == [verdict(path, keys) for path in good]
    for path, each in zip(good, found, strict=True):
        ours = verify_seal(path)
        assert each["shown"] == ours.shown
        assert ours.header is not None
        assert each["header"]["metrics"] == json.loads(json.dumps([metric.to_dict() for metric in ours.header.metrics]))
    code, found = by_node(keys, bad)
    assert (code, {each["verdict"] for each in found}) == (1, {"not verified"})
    assert [verdict(path) for path in bad[::7]] == ["not verified"] * len(bad[::7])
    other = make_key(tmp_path / "other")
    code, found = by_node(other.with_suffix(".pub"), good[:1])
    assert (code, found[0]["why"]) == (1, "the key is none of those given")
    assert by_node("-", good[:1])[1][0]["not_checked"] == ["whose the key is"]


def one_metric(*values: float) -> tuple[list[SealedMetric], list[list[SealedScore]]]:
    return [metric_of()], [[SealedScore(value, None)] for value in values]


def test_both_add_up_to_the_same_mean_whatever_the_scores(tmp_path: Path) -> None:
    files = list[Path]()

    @given(st.integers(0, 7).flatmap(columns), st.booleans())
    @example(one_metric(1.0, 2**-53), True)  # a tie, which goes to the even neighbour
    @example(one_metric(1.0, 2**-53, 2**-200), True)  # and what is just above it
    @example(one_metric(-1.0, -(2**-53), -(2**-200), -(2**-52)), False)
    @example(one_metric(1e100, 1.0, -1e100, 5e-324), True)
    @example(one_metric(5e-324, 5e-324, 2.2e-308), True)
    def collect(drawn_columns: Any, is_shown: bool) -> None:
        files.append(tmp_path / f"{len(files)}.seal")
        metrics, rows = drawn_columns
        files[-1].write_bytes(sealed(metrics, rows, lambda leaf: is_shown))

    collect()
    _, found = by_node("-", files)
    assert [each["verdict"] for each in found] == ["verified in part"] * len(files), found
    assert all(each["not_checked"] == ["it is not signed"] for each in found)


def test_it_refuses_what_is_no_seal(tmp_path: Path) -> None:
    (tmp_path / "newer.seal").write_bytes(b"themis-seal/2\n" + bytes(200))
    (tmp_path / "empty.seal").write_bytes(b"")
    code, found = by_node("-", [tmp_path / "newer.seal", tmp_path / "empty.seal", tmp_path / "nowhere.seal"])
    assert (code, [each["verdict"] for each in found]) == (1, ["not verified"] * 3)
    assert found[0]["why"] == "it is no seal of version 1"
