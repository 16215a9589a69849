"""Signatures by OpenSSH: who signed, whose keys are trusted, and what is said where something is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest
from tests.ssh_keys import make_key, needs_openssh

from themis.effects import signatures
from themis.effects.signatures import NoProgramError, is_signed, key_name, sign, signer_of
from themis.pure.errors import DataError
from themis.pure.seals.layout import Signature

pytestmark = needs_openssh
SIGNED = b"themis-seal/1\n and a header"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "mine")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "other", name="Some One, else")


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text(encoding="utf-8")


def test_what_is_signed_is_found_signed_and_by_whom(key: Path, other: Path, tmp_path: Path) -> None:
    made = sign(SIGNED, key)
    assert is_signed(SIGNED, made)
    assert not is_signed(SIGNED + b"!", made)
    assert not is_signed(SIGNED, attrs.evolve(made, key=sign(SIGNED, other).key))
    assert key_name(made).startswith("SHA256:")
    keys = tmp_path / "keys"
    keys.write_text(f"# those we trust\n\n{public(other)}{public(key)}", encoding="utf-8")
    assert signer_of(SIGNED, made, keys).name == "me@example.org"
    assert signer_of(SIGNED, sign(SIGNED, other), keys).name == "Some-One--else"
    assert signer_of(SIGNED + b"!", made, keys).name is None
    assert signer_of(SIGNED, made, other.with_suffix(".pub")).name is None


def test_what_allowed_signers_say_is_heeded(key: Path, tmp_path: Path) -> None:
    made, kind_and_key = sign(SIGNED, key), " ".join(public(key).split()[:2])
    lines = {
        "alice@example.org,bob ": "alice@example.org",
        'alice namespaces="themis-seal,git" ': "alice",
        'alice namespaces="git" ': None,
        'alice valid-before="20200101" ': None,
        'alice valid-after="20200101" ': "alice",
    }
    for line, name in lines.items():
        keys = tmp_path / "allowed_signers"
        keys.write_text(line + kind_and_key + "\n", encoding="utf-8")
        assert signer_of(SIGNED, made, keys).name == name, line


def test_a_signature_for_something_else_is_none_of_a_seal(
    key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "NAMESPACE", "git")
    made = sign(SIGNED, key)
    monkeypatch.undo()
    assert not is_signed(SIGNED, made)
    assert signer_of(SIGNED, made, key.with_suffix(".pub")).name is None


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    made = make_key(tmp_path / "key", "ecdsa")
    with pytest.raises(DataError, match="no Ed25519 key, and a seal takes no other"):
        sign(SIGNED, made)
    with pytest.raises(DataError, match="holds no Ed25519 key"):
        signer_of(SIGNED, Signature(bytes(32), bytes(64)), made.with_suffix(".pub"))


def test_what_is_no_key_is_said(key: Path, tmp_path: Path) -> None:
    made = sign(SIGNED, key)
    with pytest.raises(DataError, match="there is no such key; `ssh-keygen -t ed25519 -f"):
        sign(SIGNED, tmp_path / "nowhere")
    (tmp_path / "text").write_text("no key", encoding="utf-8")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(DataError, match="text: ssh-keygen can't sign with it"):
        sign(SIGNED, tmp_path / "text")
    with pytest.raises(
        DataError, match=r"this is a private key; to check a signature, name the public one: .*mine\.pub"
    ):
        signer_of(SIGNED, made, key)
    with pytest.raises(DataError, match="can't be read"):
        signer_of(SIGNED, made, tmp_path)
    (tmp_path / "large").write_bytes(b"x" * (2 << 20))
    with pytest.raises(DataError, match="no file of public keys"):
        signer_of(SIGNED, made, tmp_path / "large")


def test_without_the_program_it_is_said_what_to_install(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", "")
    with pytest.raises(NoProgramError, match="install OpenSSH"):
        sign(SIGNED, key)
