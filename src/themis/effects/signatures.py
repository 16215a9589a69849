"""Signatures of seals, by OpenSSH's `ssh-keygen -Y` (its format: PROTOCOL.sshsig). No key is ever read here.

Ed25519 alone: its signatures have one form, so that no byte of a seal can be changed; and there is one set of numbers
for other implementations to check.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from themis.pure.errors import DataError, SpecError
from themis.pure.seals.layout import Signature
from themis.pure.text import one_line, shortened

NAMESPACE: Final = "themis-seal"
"""What keeps a signature that was made for something else from passing for one of a seal."""

_KIND: Final = "ssh-ed25519"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_PUBLIC_KEY: Final = re.compile(r"(?:ssh-|ecdsa-|sk-)\S+ +\S+(?: +(?P<comment>.*))?")
_LARGEST_KEYS: Final = 1 << 20
_PATIENCE: Final = 60.0
"""Seconds for a check, which asks nobody; to sign may take as long as a passphrase does."""


class NoProgramError(SpecError):
    """`ssh-keygen` is not there."""


@attrs.frozen
class Signer:
    """Who signed, by a file of keys; no name if the key is none of them, and then perhaps why."""

    name: str | None
    problem: str = ""


def check_key(path: Path) -> None:
    """Check that there is a key to sign with, before anything is read.

    Raises:
        DataError: there is no such file.
        NoProgramError: `ssh-keygen` is not there.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such key; `ssh-keygen -t ed25519 -f {path}` makes one")
    _program()


def sign(signed: bytes, key: Path) -> Signature:
    """Sign the beginning of a seal.

    Args:
        signed: what is signed.
        key: the file of an Ed25519 key: a private one, or a public one whose private key is in the agent.

    Raises:
        DataError: the key is of another kind, or can't be read.
        NoProgramError: `ssh-keygen` is not there.
    """
    check_key(key)
    done = _run(["sign", "-f", str(key), "-n", NAMESPACE], signed, patience=None)
    if done.returncode:
        raise DataError(f"{key}: ssh-keygen can't sign with it: {_said(done)}")
    return _read_signature(done.stdout.decode(errors="replace"), key)


def signer_of(signed: bytes, signature: Signature, keys: Path) -> Signer:
    """Return whose key made a signature.

    Args:
        signed: what is signed.
        signature: the signature.
        keys: public keys, one a line, or lines as in an `allowed_signers` file (`man ssh-keygen`), whose names,
            namespaces and dates are heeded.

    Raises:
        DataError: the file of keys can't be read.
        NoProgramError: `ssh-keygen` is not there.
    """
    allowed = _allowed_signers(keys)
    with _laid_out(signature, allowed) as (written, signers):
        found = _run(["find-principals", "-f", str(signers), "-s", str(written)], b"")
        names = found.stdout.decode(errors="replace").splitlines()
        if found.returncode or not names:
            return Signer(None)
        checked = ["verify", "-f", str(signers), "-I", names[0], "-n", NAMESPACE, "-s", str(written)]
        done = _run(checked, signed)
        return Signer(names[0]) if done.returncode == 0 else Signer(None, _said(done))


def is_signed(signed: bytes, signature: Signature) -> bool:
    """Tell whether a signature is one of these bytes by its own key, whoever has that.

    Raises:
        NoProgramError: `ssh-keygen` is not there.
    """
    with _laid_out(signature, "") as (written, _):
        return _run(["check-novalidate", "-n", NAMESPACE, "-s", str(written)], signed).returncode == 0


def key_name(signature: Signature) -> str:
    """Return a key's fingerprint as OpenSSH writes it."""
    digest = hashlib.sha256(_public_key(signature.key)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


# --- the format -------------------------------------------------------------------------------------------


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


def _public_key(key: bytes) -> bytes:
    return _text(_KIND.encode()) + _text(key)


def _armoured(signature: Signature) -> str:
    """Return a signature as OpenSSH has it; all but the key and the number is the same in each."""
    made = _text(_KIND.encode()) + _text(signature.signature)
    fields = [_public_key(signature.key), NAMESPACE.encode(), b"", b"sha512", made]
    whole = b"SSHSIG" + (1).to_bytes(4) + b"".join(map(_text, fields))
    return f"{_BEGIN}\n{base64.encodebytes(whole).decode()}{_END}\n"


def _read_signature(armoured: str, key: Path) -> Signature:
    body = armoured.partition(_BEGIN)[2].partition(_END)[0]
    whole = base64.b64decode(body)
    # The key begins behind the magic, the version and two lengths with the kind; the signature is at the very end.
    start = len(b"SSHSIG") + 4 + 4 + 4 + len(_KIND) + 4
    found = Signature(whole[start : start + 32], whole[-64:])
    if "".join(_armoured(found).split()) != "".join(armoured.split()):
        raise DataError(f"{key}: no Ed25519 key, and a seal takes no other; `ssh-keygen -t ed25519` makes one")
    return found


def _allowed_signers(keys: Path) -> str:
    """Return the lines of a file of keys as those of an `allowed_signers` file."""
    try:
        with keys.open("rb") as file:
            text = file.read(_LARGEST_KEYS + 1)
    except OSError as error:
        raise DataError(f"{keys}: the file of keys can't be read: {error.strerror or error}") from error
    if len(text) > _LARGEST_KEYS:
        raise DataError(f"{keys}: more than {_LARGEST_KEYS:,} bytes, which is no file of public keys")
    lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
    if any("PRIVATE KEY" in line for line in lines):
        raise DataError(f"{keys}: this is a private key; to check a signature, name the public one: {keys}.pub")
    lines = [line for line in lines if line and not line.startswith("#")]
    if not any(_KIND in line for line in lines):
        raise DataError(f"{keys}: it holds no Ed25519 key; a line is expected as in {_KIND} AAAA... me@example.org")
    return "".join(f"{_with_name(line)}\n" for line in lines)


def _with_name(line: str) -> str:
    found = _PUBLIC_KEY.fullmatch(line)
    if found is None:
        return line
    name = re.sub(r"[^\w.@+-]", "-", found["comment"] or "").strip("-") or "its-key"
    return f"{name} {line}"


# --- the program ------------------------------------------------------------------------------------------


@contextmanager
def _laid_out(signature: Signature, signers: str) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="themis-") as folder:
        written, allowed = Path(folder) / "signature", Path(folder) / "allowed_signers"
        written.write_text(_armoured(signature), encoding="ascii")
        allowed.write_text(signers, encoding="utf-8")
        yield written, allowed


def _program() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        raise NoProgramError("signatures are made and checked by ssh-keygen, which is not there: install OpenSSH")
    return found


def _run(words: list[str], given: bytes, *, patience: float | None = _PATIENCE) -> subprocess.CompletedProcess[bytes]:
    command = [_program(), "-Y", *words]
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=patience, check=False)  # noqa: S603  # OpenSSH's own
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"ssh-keygen: {error}") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = one_line(done.stderr.decode(errors="replace")) or one_line(done.stdout.decode(errors="replace"))
    return shortened(said, 300) or f"it ended with {done.returncode}"
