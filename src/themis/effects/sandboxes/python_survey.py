"""Tells about the Python that runs it, as JSON: a program of its own, run by whichever Python is promised.

Usage: `python -I python_survey.py` with the question on the standard input. Nothing of Themis is imported here.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def survey(question: dict[str, Any]) -> dict[str, Any]:
    """Return what the Python is, where all of it is, and what is to be shown of its packages.

    Args:
        question: `modules` to import, so that what they load is known; `packages` that are wanted; and two patterns:
            `with_solutions` for names of packages that must not be seen, `data` for files that such packages have.
    """
    for module in question["modules"]:
        with contextlib.suppress(Exception):  # whatever it is, a trial inside says so
            importlib.import_module(module)
    kind = platform.python_implementation()
    library = ("pypy" if kind == "PyPy" else "python") + ".".join(map(str, sys.version_info[:2]))
    standard = (Path(os.__file__).parent, sysconfig.get_path("stdlib"))
    return {
        "version": f"{kind} {platform.python_version()}",
        "library": library,
        "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
        "prefixes": sorted({os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}),
        "libraries": sorted({os.path.realpath(path) for path in standard}) + sorted(_mapped()),
        **_packages(question["packages"], question["with_solutions"], question["data"]),
    }


def _mapped() -> Iterator[str]:
    """Yield each shared library that this process runs with, under every name that it may be sought by."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return
    for path in {Path(line.split(None, 5)[5]) for line in lines if "/" in line and ".so" in line}:
        if path.is_file():
            yield str(path)
            yield from (str(each) for each in path.parent.iterdir() if each.is_symlink() and each.resolve() == path)


def _packages(wanted: list[str], with_solutions: str, data: str) -> dict[str, Any]:
    versions: dict[str, str] = {}
    entries: dict[str, str] = {}
    modules: list[str] = []
    hidden: list[str] = []
    found = {"packages": versions, "entries": entries, "modules": modules, "hidden": hidden, "unknown": []}
    if not wanted:
        return found
    from importlib import metadata

    installed = {_normal(each.metadata["Name"]): each for each in metadata.distributions() if each.metadata["Name"]}
    imported = {name: _normal(which[0]) for name, which in metadata.packages_distributions().items()}
    asked = {name: _normal(name) if _normal(name) in installed else imported.get(name) for name in wanted}
    found["unknown"] = [name for name, known in asked.items() if known is None]
    waiting = [name for name in asked.values() if name is not None]
    while waiting:
        name = waiting.pop()
        if name in versions or name in hidden:
            continue
        files = [str(path).replace("\\", "/") for path in installed[name].files or ()]
        if re.fullmatch(with_solutions, name) or any(re.search(data, path) for path in files):
            hidden.append(name)
            continue
        versions[name] = installed[name].version
        for top in {path.split("/")[0] for path in files} - {"..", "__pycache__"}:
            if not top.endswith(".pth"):
                path = Path(str(installed[name].locate_file(top))).resolve()
                entries[top] = str(path)
                module = top[:-3] if top.endswith(".py") else top
                is_module = module != top or (path / "__init__.py").is_file()
                if name in asked.values() and module.isidentifier() and is_module:
                    modules.append(module)
        needed = [_required(line) for line in installed[name].requires or () if "extra ==" not in line]
        waiting += [other for other in needed if other in installed]
    return found


def _normal(name: str) -> str:
    """Return a package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(line: str) -> str:
    named = re.match(r"[A-Za-z0-9._-]+", line)
    return _normal(named.group().strip("._-")) if named else ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(survey(json.load(sys.stdin))))
