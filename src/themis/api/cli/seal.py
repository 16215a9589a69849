"""`themis seal`: a run's result in a file that a stranger can check; and what `themis verify` says of such a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from themis.api.cli import DONE, GATE_FAILED, INCOMPLETE
from themis.api.cli.options import DEFAULT_STORE, Json, Store, Words, stored_run
from themis.api.cli.output import say, show

if TYPE_CHECKING:
    from themis.pure.seals.records import SealedMetric, SealVerification


def seal(
    source: Annotated[
        str,
        Parameter(name="RUN", env_var=(), help="A run's id, its first characters, its name, or 'latest'; or a seal."),
    ],
    /,
    *,
    out: Path | None = None,
    key: Path | None = None,
    hide: Words = None,
    show_cases: Annotated[list[str] | None, Parameter(name="--show", consume_multiple=True, negative="")] = None,
    only: Words = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> int:
    """Write a run's result into one file that a stranger can check, signed.

    It has the scores of all cases, so that its means can be checked, the data
    of those that are shown, and a salted hash of the others' data. Of a seal
    that is there, a file that shows less is made, under the same signature.
    So seal a whole run once, keep that, and pass on what you make of it.

    A case is named by its id, by KEY=VALUE of its metadata, or by dataset=ID;
    'all' are all cases. 'run' is what is told of the run: id, identity and
    versions. It is hidden with any case, unless --show names it.

    For example:
      themis seal latest --out whole.seal --key ~/.ssh/id_ed25519
      themis seal whole.seal --out public.seal --hide split=private
      themis seal whole.seal --out public.seal --show 17 42 run
      themis seal whole.seal --out two-cases.seal --only 17 42
      themis verify public.seal --key allowed_signers

    Args:
        out: The file to write; RUN's first characters with '.seal' if not given.
        key: The Ed25519 key that signs, which ssh-keygen reads; without it, the file is not signed.
        hide: Cases to hide the data of.
        show_cases: Cases to show the data of; all others are hidden.
        only: Cases that the file is to hold, without the scores of the others: their means can't be checked from it.
    """
    from themis.api.bundles import seals
    from themis.effects.files import from_here
    from themis.pure.errors import SpecError

    chosen: dict[str, Any] = {"hide": hide or (), "show": show_cases, "only": only}
    if seals.is_seal(source) or source.endswith(".seal"):
        if key is not None:
            raise SpecError(f"--key: {source} is a seal already, and what is made of it bears its signature")
        if out is None:
            raise SpecError("--out: name the file to write what is made of the seal")
        path = seals.disclose_seal(source, out, **chosen)
    else:
        opened, run_id = stored_run(store, source)
        path = seals.seal(opened, run_id, out or Path(f"{run_id[:12]}.seal"), key=key, **chosen)
        if any(value for value in chosen.values()):
            say("themis: what this file hides can't be shown later: keep a whole seal, and make such files of it")
    found = seals.verify_seal(path)
    show(
        {"path": str(path), **_data(found)},
        lambda: f"{_told(found)}\nwrote {from_here(str(path))} ({path.stat().st_size:,} bytes)",
        as_json=json_output,
    )
    return DONE


def verify_file(path: Path, key: Path | None, *, as_json: bool) -> int:
    """Check a seal, print what was found, and return the exit code."""
    from themis.api.bundles.seals import verify_seal

    found = verify_seal(path, key=key)
    show({**_data(found), "ok": found.ok, "verdict": found.verdict}, lambda: _verification(found), as_json=as_json)
    return {"verified": DONE, "verified in part": INCOMPLETE, "not verified": GATE_FAILED}[found.verdict]


def _data(found: SealVerification) -> dict[str, Any]:
    return {"run_id": found.run_id, **found.to_dict()}


def _verification(found: SealVerification) -> str:
    from themis.pure.text import one_line

    lines = [f"altered: {text}" for text in found.altered]
    lines += [f"not checked: {text}" for text in found.not_verified]
    return "\n".join(map(one_line, [*_told(found).splitlines(), *lines, found.verdict]))


def _told(found: SealVerification) -> str:
    """Say what a seal states, and of what of it the file has the data."""
    from themis.pure.text import one_line

    if found.header is None:
        return "a seal"
    header = found.header
    lines = [
        f"run {found.run_id or 'not shown'}{f' ({header.name})' if header.name else ''}",
        f"{header.model} on {', '.join(header.datasets)}: {header.status}, {header.cases:,} cases",
        *(_metric(metric) for metric in header.metrics),
        _has(found, header.cases),
        f"sealed {header.sealed_at:%Y-%m-%d %H:%M:%S} UTC by {header.tool} {header.version}, {_signed(found)}",
    ]
    return "\n".join(map(one_line, lines))


def _has(found: SealVerification, cases: int) -> str:
    if found.cases < cases:
        return f"has {found.cases:,} of its {cases:,} cases, and the data of {found.shown:,}"
    return f"has the scores of all {cases:,} cases, and the data of {found.shown:,}"


def _signed(found: SealVerification) -> str:
    if found.key is None:
        return "not signed"
    return f"signed by {found.signer} ({found.key})" if found.signer else f"signed by the key {found.key}"


def _metric(metric: SealedMetric) -> str:
    counted = [f"{metric.scored:,} of {metric.planned:,} scored"]
    counted += [f"{count:,} missing ({reason})" for reason, count in metric.missing.items()]
    counted += [f"{count:,} unparsed, as incorrect ({reason})" for reason, count in metric.unparsed.items()]
    if metric.missing and metric.if_missing_wrong is not None:
        counted.append(f"{metric.if_missing_wrong:.4f} to {metric.if_missing_right:.4f} by what is missing")
    return f"{metric.metric_id}: {'no mean' if metric.mean is None else f'{metric.mean:.4f}'}; {', '.join(counted)}"
