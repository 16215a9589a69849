"""The notebook runs in a kernel, whose asyncio loop is running, and gives the outputs that it is kept with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


def outputs(path: Path) -> list[tuple[str, str]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shown = [(cell, output) for cell in cells for output in cell.get("outputs", [])]
    return [
        ("".join(cell["source"]), "".join(output.get("text") or output.get("data", {}).get("text/plain", "")))
        for cell, output in shown
    ]


@pytest.mark.slow
def test_the_notebook_gives_the_outputs_it_is_kept_with(tmp_path: Path) -> None:
    copy = tmp_path / NOTEBOOK.name
    kept = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in kept["cells"]:
        cell.pop("outputs", None)
        cell |= {"outputs": []} if cell["cell_type"] == "code" else {}
    copy.write_text(json.dumps(kept), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).parent / "jupyter-execute", "--inplace", copy.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert outputs(copy) == outputs(NOTEBOOK)
    assert any("await evaluate_async" in source for source, _ in outputs(copy))
