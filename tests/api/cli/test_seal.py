"""`themis seal`, and `themis verify` of its files: what is printed, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ssh_keys import make_key, needs_openssh

from .conftest import Themis

pytestmark = needs_openssh


WRONG = [
    (("seal", "whole.seal", "--hide", "all"), "--out: name the file"),
    (("seal", "whole.seal", "--out", "x.seal", "--key", "mine"), "is a seal already"),
    (("seal", "whole.seal", "--out", "x.seal", "--hide", "1 + 2"), "'1 + 2': did you mean"),
    (("seal", "latest", "--key", "theirs"), "there is no such key; `ssh-keygen -t ed25519 -f theirs` makes one"),
    (("seal", "hole.seal", "--out", "x.seal"), "hole.seal: there is no such file; did you mean whole.seal?"),
    (("seal", "nobody"), "no run 'nobody'"),
    (("seal", "latest", "--only", "1+2", "--show", "1+2"), "leave out hide and show"),
    (("verify", "hole.seal"), "hole.seal: there is no such file; did you mean whole.seal?"),
    (("verify", "experiment.yaml", "--key", "mine.pub"), "experiment.yaml: it is no seal"),
    (("verify", "whole.seal", "--key", "mine"), "name the public one: mine.pub"),
]


@pytest.fixture
def sealed(project: Path, themis: Themis) -> Path:
    """Return a project with a run, a key `mine`, and a whole seal."""
    assert themis("run", "experiment.yaml").code == 0
    make_key(project / "mine", name="lab@example.org")
    assert themis("seal", "latest", "--out", "whole.seal", "--key", "mine").code == 0
    return project


def test_a_seal_is_made_narrowed_and_checked(sealed: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    made = themis("seal", "whole.seal", "--out", "public.seal", "--hide", "all")
    size = f"{(sealed / 'public.seal').stat().st_size:,}"
    assert made.out.splitlines()[-1] == f"wrote public.seal ({size} bytes)"
    assert not made.err
    checked = themis("verify", "public.seal", "--key", "mine.pub")
    lines = checked.out.splitlines()
    assert (checked.code, lines[-1]) == (0, "verified")
    assert lines[0] == "run not shown"
    assert lines[1:5] == [
        "builtin/demo_model on sums: completed, 40 cases",
        "builtin/exact_match: 0.7750; 40 of 40 scored",
        "close_enough: 1.0000; 40 of 40 scored",
        "has the scores of all 40 cases, and the data of 0",
    ]
    assert "signed by lab@example.org (SHA256:" in lines[5]
    anybodys = themis("verify", "public.seal")
    assert (anybodys.code, anybodys.out.splitlines()[-1]) == (3, "verified in part")
    assert "not checked: whose the key is: pass a file of the keys that you trust (--key)" in anybodys.out
    alone = themis("seal", "whole.seal", "--out", "one.seal", "--only", "1+2", "run")
    assert "has 1 of its 40 cases, and the data of 1" in alone.out
    assert alone.out.startswith("run 56ad9057d163")
    monkeypatch.setenv("THEMIS_KEY", "mine.pub")  # and of a run, which has no key, the same is said as before
    assert themis("verify", "latest", "--config", "experiment.yaml").code == 0
    assert themis("verify", "whole.seal").code == 0


def test_a_changed_file_has_exit_code_1_and_its_json_says_why(sealed: Path, themis: Themis) -> None:
    file = (sealed / "whole.seal").read_bytes()
    (sealed / "changed.seal").write_bytes(file.replace(b'"mean":0.775', b'"mean":0.975'))
    changed = themis("verify", "changed.seal", "--key", "mine.pub", "--json")
    assert (changed.code, changed.data["verdict"], changed.data["ok"]) == (1, "not verified", False)
    assert any("its signature is not one of this header" in text for text in changed.data["altered"])
    (sealed / "changed.seal").write_bytes(file[:-40])
    cut = themis("verify", "changed.seal", "--key", "mine.pub")
    assert (cut.code, cut.out.splitlines()[-2:]) == (1, ["altered: it is cut off: its end is missing", "not verified"])
    (sealed / "changed.seal").write_bytes(b"themis-seal/2\n" + file[14:])
    newer = themis("verify", "changed.seal")
    assert newer.code == 2
    assert "a seal of version '2', and this Themis reads version 1: upgrade it" in newer.err


def test_what_is_lost_is_said_and_what_is_wrong_is_one_message(sealed: Path, themis: Themis) -> None:
    done = themis("seal", "latest", "--hide", "1+2", "--json")
    assert done.code == 0
    assert done.data["path"] == "56ad9057d163.seal"
    assert (done.data["run_id"], done.data["shown"], done.data["key"]) == (None, 39, None)
    assert "what this file hides can't be shown later: keep a whole seal" in done.err
    whole = themis("seal", "latest", "--json")
    assert (whole.data["shown"], whole.err) == (40, "")
    assert whole.data["run_id"].startswith("56ad9057d163")
    for words, said in WRONG:
        done = themis(*words)
        assert (done.code, done.out) == (2, ""), words
        assert said in done.err, words
        assert done.err.startswith("themis: error: ")
        assert not (sealed / "x.seal").exists()
