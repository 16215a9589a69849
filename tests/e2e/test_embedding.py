"""The pure core alone drives a whole evaluation in a plain loop: the page in the docs is the program that is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "embed-the-core.md"


def test_the_page_is_short_and_loads_no_shell(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) < 60
    watch = "\nimport sys\nassert not {'trio', 'httpx', 'httpx2', 'sqlite3', 'sqlite_utils'} & set(sys.modules)\n"
    script = tmp_path / "page.py"
    script.write_text(block + watch, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mean 0.5" in done.stdout
