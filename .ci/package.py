"""Build the package, check it, and try it where nothing else is installed; needs what the extra `dev` installs.

1. The sdist is built, and the wheel from it; both have their metadata checked, and hold what they should.
2. The wheel is installed into an empty environment, which stays small. All files of `site-packages` count: pip's too,
   as sqlite-utils requires it, but not setuptools', which `venv` puts there before Python 3.12.
3. A component whose extra is missing says so before anything is paid for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_MB = 60
HELD = (
    "themis/py.typed",
    "themis/effects/stores/views.sql",
    "themis/effects/stores/postgres_schema.sql",
    "themis/effects/stores/sqlite_1.sql",
    "themis/pure/report/page.css",
    "themis/pure/report/page.js",
)
LACKING = "from themis import evaluate; evaluate(model='builtin/demo_model', data=[{'input': 'a'}], metric='bleu')"
BESIDE = {"CHANGELOG.md", "LICENSE", "README.md", "PKG-INFO", "pyproject.toml", ".gitignore"}
# Nothing of this folder is on the path: the wheel is what is tried.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "THEMIS_"))}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return what a command prints; if it fails, end with what it said."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def built(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    return sdist, wheel


def faults(sdist: Path, wheel: Path) -> list[str]:
    """Return what is missing from the files, and what should not be in them."""
    with zipfile.ZipFile(wheel) as packed:
        in_wheel = set(packed.namelist())
    with tarfile.open(sdist) as packed:
        in_sdist = {name.partition("/")[2] for name in packed.getnames()}
    sources = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "themis").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    info = {name for name in in_wheel if name.split("/")[0].endswith(".dist-info")}
    other = {name for name in in_sdist if not name.startswith("src/themis/")} - BESIDE
    return [
        *(f"{wheel.name} lacks {name}" for name in sorted({*HELD, *sources} - in_wheel)),
        *(f"{wheel.name} holds {name}" for name in sorted(in_wheel - sources - info)),
        *(f"{sdist.name} lacks {name}" for name in sorted({f"src/{name}" for name in sources} - in_sdist)),
        *(f"{sdist.name} holds {name}" for name in sorted(other)),
    ]


def measured(python: Path) -> dict[str, int]:
    """Return the bytes of each folder and file of an environment's `site-packages`."""
    where = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    given = ("setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
    return {
        top.name: sum(path.lstat().st_size for path in [top, *top.rglob("*")] if path.is_file())
        for top in where.iterdir()
        if not top.name.startswith(given)
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist, wheel = built(folder / "dist")
        if found := faults(sdist, wheel):
            sys.exit("\n".join(found))
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", wheel)
        sizes = measured(python)
        total = sum(sizes.values()) / 1e6
        largest = sorted(sizes.items(), key=lambda size: -size[1])[:12]
        print(f"{wheel.name}: {total:.1f} MB installed, at most {MOST_MB}")
        if total > MOST_MB:
            sys.exit("\n".join(f"{size / 1e6:6.1f} MB {name}" for name, size in largest))
        hint = run(python, "-I", "-c", "from themis.pure.errors import pip_install; print(pip_install('translation'))")
        refused = subprocess.run(
            [python, "-I", "-c", LACKING], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if hint not in refused.stderr:
            sys.exit(f"the missing extra is not named:\n{refused.stdout}{refused.stderr}")


if __name__ == "__main__":
    main()
