"""LaTeX for tests: tables are compiled as they would be in a paper."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

needs_pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
_HEAD = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}\begin{document}"


def assert_compiles(tables: Sequence[str], folder: Path) -> None:
    """Compile tables, each on a page of its own, and look whether any did more than that."""
    document = "\n".join([_HEAD, *(f"{table}\\clearpage" for table in tables), r"\end{document}"])
    (folder / "tables.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "No pages of output" not in done.stdout
    assert not (folder / "pwned").exists()
