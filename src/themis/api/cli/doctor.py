"""`themis doctor`: what this machine has and lacks."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from themis.api.cli.options import Json
from themis.api.cli.output import show


def doctor(*, json_output: Json = False) -> None:
    """Say what this machine has and lacks: extras, sandbox, keys and endpoints.

    Keys are looked for and never shown. No provider is called; servers of this host are knocked at.

    For example:
      themis doctor
      themis doctor --json
    """
    from themis.api.doctor import look_around

    found = look_around()
    show([finding.to_dict() for finding in found], lambda: _text(found), as_json=json_output)


def _text(findings: Any) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = []
    for section, of_section in groupby(findings, lambda finding: finding.section):
        lines.append(section)
        lines += [f"  {'has  ' if f.there else 'lacks'}  {f.name.ljust(width)}  {f.detail}" for f in of_section]
    return "\n".join(lines)
