"""SSH keys for tests: made by OpenSSH, once a session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen (OpenSSH) is not there")


def make_key(path: Path, kind: str = "ed25519", name: str = "me@example.org", passphrase: str = "") -> Path:
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    return path
