"""Seals of runs: they state what the report states, show what was chosen, and say of any change that there is one."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ssh_keys import make_key, needs_openssh

from themis import (
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    RunResult,
    disclose_seal,
    read_seal,
    seal,
    verify_seal,
)
from themis.api.data import as_dataset
from themis.api.runs.report import read_report
from themis.core import StorageConfig
from themis.effects import signatures
from themis.effects.signatures import NoProgramError
from themis.pure.errors import DataError, LiteralSecretError, RunNotFoundError, SchemaVersionError, SpecError
from themis.pure.seals.content import run_data
from themis.pure.seals.layout import Leaf, SealReader
from themis.pure.stats import Estimate

from .drawn import Drawn, drawn

ROWS = [
    {
        "case_id": f"q{n}",
        "input": f"{n} + {n}",
        "expected_output": f"the answer is {2 * n}",
        "split": "private" if n % 5 else "public",
        "level": n % 2,
    }
    for n in range(20)
]
BOTH = as_dataset(ROWS).evolve(dataset_id="sums"), as_dataset(ROWS[:3]).evolve(dataset_id="more")


STORE = InMemoryRunStore()


@pytest.fixture(scope="module")
def made() -> RunResult:
    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics=["builtin/exact_match", "builtin/f1"]),
        datasets=BOTH,
        environment_metadata={"seat": "the-office-of-someone"},
        name="twice",
    )
    return experiment.run(store=STORE)


@pytest.fixture(scope="module")
def whole(made: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal(STORE, made.run_id, tmp_path_factory.mktemp("seal") / "whole.seal")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "mine")


def stated(estimate: Estimate) -> dict[str, object]:
    names = ("metric_id", "planned", "scored", "mean", "if_missing_wrong", "if_missing_right")
    return {name: getattr(estimate, name) for name in names} | {
        "missing": dict(estimate.missing_by_category),
        "unparsed": estimate.unparsed,
    }


@given(drawn())
@settings(max_examples=8)
def test_a_seal_states_what_the_report_states(tmp_path_factory: pytest.TempPathFactory, run: Drawn) -> None:
    store, folder = InMemoryRunStore(), tmp_path_factory.mktemp("seal")
    result = run.run(store)
    report = read_report(result.view)
    path = seal(store, result.run_id, folder / "whole.seal")
    found = verify_seal(path)
    assert found.header is not None
    assert found.run is not None
    assert not found.altered
    assert found.not_verified == ("its signature: it has none, and anybody may have made it",)
    assert [
        {
            name: value
            for name, value in metric.to_dict().items()
            if name not in ("answers", "unparsed_score", "score_range")
        }
        | {"unparsed": sum(metric.unparsed.values())}
        for metric in found.header.metrics
    ] == [stated(row.estimate) for row in report.overview.metrics]
    assert (found.run_id, found.run.results_digest) == (result.run_id, report.overview.digest)
    assert (found.header.status, found.cases, found.shown) == (
        report.status,
        *[report.overview.benchmark.total_cases] * 2,
    )
    rows = Counter((row.metric_id, row.value, row.error_category) for row in result.view.rows())
    for file in (path, disclose_seal(path, folder / "hidden.seal", hide=["all"])):
        assert rows == Counter(
            (name, value, reason)
            for case in read_seal(file).cases()
            for name in case.scores
            for value, reason in zip(case.scores[name], case.reasons[name], strict=True)
        )


def test_a_run_that_its_rule_ended_is_sealed_as_far_as_it_was_planned(tmp_path: Path) -> None:
    data = [{"input": f"{n} + {n}", "expected_output": str(2 * n)} for n in range(300)]
    store = InMemoryRunStore()
    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics="builtin/exact_match", until="exact_match>=0.5"),
        datasets=as_dataset(data),
    )
    result = experiment.run(store=store)
    found = verify_seal(seal(store, result.run_id, tmp_path / "stopped.seal"))
    assert found.header is not None
    assert found.cases == found.header.cases == result.view.total_cases < 300
    assert not found.altered


# --- what is shown ----------------------------------------------------------------------------------------


def shown(path: Path) -> list[str]:
    """Return the ids of the cases whose data a file shows, with the first letter of their dataset's."""
    data = [case.data for case in read_seal(path).cases() if case.data is not None]
    return [f"{str(each['dataset_id'])[0]}/{each['case']['case_id']}" for each in data]  # type: ignore[index, call-overload]  # JSON


@pytest.mark.parametrize(
    ("hide", "show", "of_sums", "has_run"),
    [
        ((), None, range(20), True),
        (["all"], None, (), False),
        ((), ["all"], range(20), True),
        (["run"], None, range(20), False),
        (["split=private"], None, range(0, 20, 5), False),
        (["split=private"], ["all", "run"], range(0, 20, 5), True),
        (["dataset=sums"], None, (), False),
        ((), ["4:sums:q3", "4:sums:q7", "run"], (3, 7), True),
        (["level=1", "4:sums:q0"], ["dataset=sums"], range(2, 20, 2), False),
    ],
)
def test_what_is_shown_is_what_was_chosen(
    whole: Path, tmp_path: Path, hide: Sequence[str], show: Sequence[str] | None, of_sums: Sequence[int], has_run: bool
) -> None:
    path = disclose_seal(whole, tmp_path / "some.seal", hide=hide, show=show)
    assert [name for name in shown(path) if name[0] == "s"] == [f"s/q{n}" for n in of_sums]
    found = verify_seal(path)
    assert not found.altered
    assert (found.run is not None) is has_run
    assert found.cases == 23
    for row in ROWS if not shown(path) else ():
        assert str(row["expected_output"]).encode() not in path.read_bytes()


def test_single_cases_lead_to_what_was_sealed_without_the_others_scores(whole: Path, tmp_path: Path) -> None:
    path = disclose_seal(whole, tmp_path / "some.seal", only=["q17", "4:more:q1"])
    assert shown(path) == ["s/q17", "m/q1"]
    assert not read_seal(path).is_whole
    found = verify_seal(path)
    assert (found.cases, found.shown, found.run, found.altered) == (2, 2, None, ())
    assert found.not_verified[0] == "the results: the file has 2 of 23 cases, and not the scores of the others"
    assert len(path.read_bytes()) < len(whole.read_bytes()) / 4
    with pytest.raises(DataError, match="it holds single cases already"):
        disclose_seal(path, tmp_path / "fewer.seal", only=["q17"])


def test_what_is_hidden_stays_hidden_and_more_can_be_hidden(whole: Path, tmp_path: Path) -> None:
    some = disclose_seal(whole, tmp_path / "some.seal", show=["level=1"])
    fewer = disclose_seal(some, tmp_path / "fewer.seal", hide=["split=private"])
    assert shown(fewer) == ["s/q5", "s/q15"]
    with pytest.raises(DataError, match=r"some.seal: no case whose data are there .*'q2': "):
        disclose_seal(some, tmp_path / "no.seal", show=["q2", "q3"])
    assert not (tmp_path / "no.seal").exists()


def test_a_seal_that_hides_a_case_has_no_hash_by_which_it_can_be_guessed(made: RunResult, tmp_path: Path) -> None:
    snapshot = made.view.snapshot
    hashes = [made.run_id, made.digest, STORE.head(made.run_id).digest]
    hashes += [ref.fingerprint for ref in snapshot.identity.dataset_refs]
    hashes += [event.digest for event in STORE.events(made.run_id)]  # a chain over all cases
    hashes += [hashlib.sha256(event.payload.encode()).hexdigest() for event in STORE.case_events(made.run_id, 0)]
    file = seal(STORE, made.run_id, tmp_path / "one-hidden.seal", hide=["4:sums:q0"]).read_bytes()
    assert file.count(b"q1") > 0
    for each in hashes:
        assert each.encode() not in file
        assert bytes.fromhex(each) not in file


def test_two_seals_of_a_run_have_no_hash_in_common(made: RunResult, whole: Path, tmp_path: Path) -> None:
    again = seal(STORE, made.run_id, tmp_path / "again.seal")

    def hashes(path: Path) -> set[bytes]:
        with path.open("rb") as file:
            return {leaf.commitment for leaf in SealReader.of(file.read).leaves()}

    assert not hashes(whole) & hashes(again)


# --- what is not in it ------------------------------------------------------------------------------------


def test_nothing_of_a_place_or_a_person_is_in_it(tmp_path: Path) -> None:
    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics="builtin/exact_match"),
        datasets=as_dataset(ROWS),
        environment_metadata={"seat": "the-office-of-someone"},
        storage=StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "secret-project.sqlite3")}),
    )
    result = experiment.run()
    file = seal(tmp_path / "secret-project.sqlite3", result.run_id, tmp_path / "whole.seal").read_bytes()
    assert b"demo_model" in file
    for private in (b"the-office-of-someone", b"secret-project", str(tmp_path).encode()):
        assert private not in file


def test_a_credential_in_the_settings_is_refused(made: RunResult) -> None:
    snapshot = made.view.snapshot.evolve(descriptions={"generator": {"api_key": "sk-a1B2c3D4e5F6g7H8i9J0"}})
    with pytest.raises(LiteralSecretError, match="api_key"):
        run_data(snapshot, STORE.head(made.run_id), "", None, None)


# --- whether it holds -------------------------------------------------------------------------------------


@needs_openssh
def test_the_verdict_says_what_was_checked_and_by_whose_key(made: RunResult, key: Path, tmp_path: Path) -> None:
    path = seal(STORE, made.run_id, tmp_path / "signed.seal", key=key, hide=["all"])
    other = make_key(tmp_path / "other")
    mine = verify_seal(path, key=f"{key}.pub")
    assert (mine.verdict, mine.ok, mine.signer, mine.not_verified) == ("verified", True, "me@example.org", ())
    anybody = verify_seal(path)
    assert (anybody.verdict, anybody.key, anybody.signer) == ("verified in part", mine.key, None)
    assert "pass a file of the keys that you trust" in anybody.not_verified[0]
    theirs = verify_seal(path, key=f"{other}.pub")
    assert (theirs.verdict, theirs.signer) == ("not verified", None)
    assert "is none of the keys in" in theirs.altered[0]
    alone = verify_seal(disclose_seal(seal(STORE, made.run_id, path, key=key), path, only=["q5"]), key=f"{key}.pub")
    assert (alone.verdict, alone.signer) == ("verified in part", "me@example.org")


@needs_openssh
def test_without_a_signature_no_key_holds(whole: Path, key: Path) -> None:
    found = verify_seal(whole, key=f"{key}.pub")
    assert (found.verdict, found.altered) == (
        "not verified",
        ("its signature: it has none, and anybody may have made it",),
    )


@needs_openssh
def test_no_byte_of_a_signed_seal_can_be_changed(
    made: RunResult, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, changed = tmp_path / "signed.seal", tmp_path / "changed.seal"
    seal(STORE, made.run_id, tmp_path / "whole.seal", key=key)
    file = disclose_seal(tmp_path / "whole.seal", path, show=["4:sums:q3"]).read_bytes()
    with path.open("rb") as opened:
        reader = SealReader.of(opened.read)
    signed_to = len(reader.signed) + 97

    def verdict(content: bytes) -> str:
        changed.write_bytes(content)
        try:
            return verify_seal(changed).verdict
        except (DataError, SchemaVersionError):
            return "refused"

    assert verdict(file) == "verified in part"
    for place in [0, 20, 300, signed_to - 97, signed_to - 90, signed_to - 60, signed_to - 1]:  # by OpenSSH itself
        assert verdict(file[:place] + bytes([file[place] ^ 1]) + file[place + 1 :]) in ("not verified", "refused"), (
            place
        )
    # It would take a process for each of the others: a signature holds for what it was made for. What is not signed
    # is held by the root, and changed byte for byte in tests/pure/seals.
    monkeypatch.setattr(
        signatures, "is_signed", lambda signed, mark: (signed, mark) == (reader.signed, reader.signature)
    )
    for place in range(0, signed_to + 40, 3):
        assert verdict(file[:place] + bytes([file[place] ^ 0x10]) + file[place + 1 :]) in ("not verified", "refused"), (
            place
        )


@given(st.data())
@settings(max_examples=20)
def test_whatever_is_done_to_a_file_is_one_error_or_a_verdict(whole: Path, data: st.DataObject) -> None:
    file = disclose_seal(whole, whole.with_name("some.seal"), show=["4:sums:q3"]).read_bytes()
    start = data.draw(st.integers(0, len(file)))
    end = data.draw(st.integers(start, min(len(file), start + 60)))
    put = data.draw(st.binary(max_size=60))
    changed = file[:start] + put + file[end:]
    path = whole.with_name("changed.seal")
    path.write_bytes(changed)
    try:
        found = verify_seal(path)
    except (DataError, SchemaVersionError) as error:
        assert str(error).startswith(str(path))  # noqa: PT017  # a verdict is as good
        assert start < 14
        return
    assert bool(found.altered) is (changed != file)
    with contextlib.suppress(DataError):
        assert len(list(read_seal(path).cases())) == 23


def test_what_the_run_states_of_all_its_cases_is_held_against_them(made: RunResult, tmp_path: Path) -> None:
    """A sealer may write anything; whatever is shown must fit together."""
    path = seal(STORE, made.run_id, tmp_path / "whole.seal")
    with path.open("rb") as file:
        reader = SealReader.of(file.read)
        run, *cases = reader.leaves()
    assert run.data is not None
    assert cases[4].data is not None
    lies = {
        "the digest of the results": (0, run.data.replace(made.digest.encode(), b"0" * 64)),
        "the id of its identity is": (0, run.data.replace(made.run_id.encode(), b"0" * 64)),
        "the cases of dataset sums are not those": (5, cases[4].data.replace(b"4 + 4", b"4 + 5")),
        "can't be read": (5, cases[4].data.replace(b'"value":', b'"worth":')),
        "no JSON object": (5, b"[]"),
    }
    for said, (number, data) in lies.items():
        leaves = [run, *cases]
        leaves[number] = Leaf.of(number, leaves[number].scores, bytes(32), data)
        found = verify_seal(_written(tmp_path / "lie.seal", reader, leaves))
        assert [said in text for text in found.altered] == [True], (said, found.altered)
    newer = Leaf.of(0, (), bytes(32), run.data.replace(b'"run_id":', b'"later":1,"run_id":'))
    found = verify_seal(_written(tmp_path / "newer.seal", reader, [newer, *cases]))
    assert not found.altered
    assert "this Themis can't read what is told of it" in found.not_verified[0]


def _written(path: Path, reader: SealReader, leaves: list[Leaf]) -> Path:
    from tests.pure.seals.made import file_of, header_of

    header = reader.header.evolve(root=header_of([], [attrs.evolve(leaf, scores=()) for leaf in leaves]).root)
    path.write_bytes(file_of(header, leaves))
    return path


# --- what goes wrong --------------------------------------------------------------------------------------


def test_what_can_not_be_done_is_said_before_anything_is_written(
    made: RunResult, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, out = STORE, tmp_path / "out.seal"
    with pytest.raises(RunNotFoundError):
        seal(store, "0" * 64, out)
    with pytest.raises(SpecError, match="only: it names all that the file holds"):
        seal(store, made.run_id, out, only=["q1"], hide=["q2"])
    with pytest.raises(SpecError, match="only: name at least one case"):
        disclose_seal(whole, out, only=[])
    with pytest.raises(SpecError, match="hide"):
        seal(store, made.run_id, out, hide="q1")
    with pytest.raises(DataError, match=r"'q4x': did you mean .*q4"):
        seal(store, made.run_id, out, hide=["q4x", "q5"])
    with pytest.raises(DataError, match="there is no such file; did you mean"):
        verify_seal(whole.with_name("hole.seal"))
    with pytest.raises(DataError, match="can't be read"):
        read_seal(tmp_path)
    with pytest.raises(DataError, match="can't be written"):
        seal(store, made.run_id, tmp_path / "nowhere" / "out.seal")
    out.write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"out\.seal: it was changed, and nothing is made of it"):
        disclose_seal(out, tmp_path / "less.seal", hide=["all"])
    assert [path.name for path in tmp_path.iterdir()] == ["out.seal"]


@needs_openssh
def test_without_openssh_a_signature_is_named_as_not_checked(
    made: RunResult, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = seal(STORE, made.run_id, tmp_path / "signed.seal", key=key)
    monkeypatch.setitem(os.environ, "PATH", "")
    found = verify_seal(path, key=f"{key}.pub")
    assert (found.verdict, found.signer) == ("verified in part", None)
    assert "install OpenSSH" in found.not_verified[0]
    with pytest.raises(NoProgramError):
        seal(STORE, made.run_id, path, key=key)
