"""Which row a run is in: by the settings that tell rows apart, of which the model comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from themis.pure.errors import SpecError, nearest
from themis.pure.json import JSONValue
from themis.pure.leaderboards.records import MODEL
from themis.pure.records.labels import RunLabels
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.snapshot import ComponentRef, ComponentRefs, RunSnapshot
from themis.pure.report.settings import described, leaves, model_of, setting_text, settings_text

_NO_SETTINGS: Final = ("generator", "metrics")
"""The components that are no settings of a row by their names: the model is told apart, and metrics are columns."""

_WHOLE: Final = 10_000
NOT_SET: Final = "(not set)"
NAME: Final = "name"
RUN: Final = "run"
STORE: Final = "store"
_LAST: Final = (NAME, RUN, STORE)
"""What tells runs apart that are set alike."""


@attrs.frozen(kw_only=True)
class Placed:
    """A run to be placed in a row.

    Attributes:
        snapshot: what it was asked for.
        labels: what it is called.
        store: where it is kept.
        columns: what it has scores of, by any names.
    """

    snapshot: RunSnapshot
    labels: RunLabels
    store: str
    columns: frozenset[str]


def settings_of(run: Placed) -> dict[str, str]:
    """Return what a run was set to, by name, as text: the model, its settings, prompt, samples, seed, parser and so on.

    What it was run on and scored by are columns, and not here.
    """
    snapshot, identity = run.snapshot, run.snapshot.identity
    found = {MODEL: model_of(snapshot)}
    for place, _, description in described(snapshot):
        if place == "generator":
            found |= {name: setting_text(value, _WHOLE) for name, value in leaves(description) if name != MODEL}
    for field in attrs.fields(ComponentRefs):
        if field.name not in _NO_SETTINGS:
            refs = getattr(snapshot.component_refs, field.name)
            found |= _components(snapshot, field.name.removesuffix("s"), refs if isinstance(refs, tuple) else (refs,))
    if identity.generation_prompt_spec is not None:
        found["prompt"] = _prompt(identity.generation_prompt_spec)
    found |= {name: setting_text(value) for name, value in identity.candidate_policy.items()}
    if identity.seeds:
        found["seed"] = str(identity.seeds[0])
    if identity.until is not None:
        found["until"] = str(identity.until)
    found["unparsed"] = identity.unparsed
    return {**found, NAME: run.labels.name or NOT_SET, RUN: snapshot.run_id[:12], STORE: run.store}


def _components(snapshot: RunSnapshot, name: str, refs: Sequence[ComponentRef | None]) -> dict[str, str]:
    """Return which components a run has in a place, if any, and how they are set."""
    there = [ref for ref in refs if ref is not None]
    if not there:
        return {}
    texts: dict[ComponentRef, JSONValue] = {ref: found for _, ref, found in described(snapshot)}
    settings = ", ".join(filter(None, (settings_text(texts[ref], _WHOLE) for ref in there if ref in texts)))
    ids = ", ".join(ref.component_id.removeprefix("builtin/") for ref in there)
    return {name: ids, **({f"{name} settings": settings} if settings else {})}


def _prompt(spec: PromptSpec) -> str:
    return settings_text({name: value for name, value in spec.to_dict().items() if value}, _WHOLE)


def place_runs(
    runs: Sequence[Placed], by: Sequence[str] | None, names: Mapping[str, str]
) -> tuple[list[tuple[str, dict[str, str]]], tuple[str, ...]]:
    """Return each run's row, its name and the settings that tell it apart; and which settings do in all.

    Args:
        runs: the runs.
        by: the settings to tell rows apart by. Without any, the model, and of runs of one model that share a column all
            that differs between them: no two share a cell.
        names: run id -> its row's name, instead.

    Raises:
        SpecError: no run has such a setting.
    """
    settings = [settings_of(run) for run in runs]
    if by is not None:
        _check(by, settings)
    wanted = [tuple(by) if by is not None else (MODEL,)] * len(runs)
    if by is None:
        for group in _grouped(runs, settings, names).values():
            told = (MODEL, *_telling([runs[place] for place in group], [settings[place] for place in group]))
            for place in group:
                wanted[place] = told
    found = [{key: known.get(key, NOT_SET) for key in keys} for known, keys in zip(settings, wanted, strict=True)]
    rows = [
        (names.get(run.snapshot.run_id) or ", ".join(_said(*item) for item in told_apart.items()), told_apart)
        for run, told_apart in zip(runs, found, strict=True)
    ]
    return rows, tuple(dict.fromkeys(key for told_apart in found for key in told_apart))


def _grouped(
    runs: Sequence[Placed], settings: Sequence[Mapping[str, str]], names: Mapping[str, str]
) -> dict[str, list[int]]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, (run, known) in enumerate(zip(runs, settings, strict=True)):
        if run.snapshot.run_id not in names:
            groups[known[MODEL]].append(place)
    return groups


def _check(by: Sequence[str], settings: Sequence[Mapping[str, str]]) -> None:
    known = {name for each in settings for name in each}
    faults = [f"no run has a setting {name!r}; {nearest(name, known)}" for name in by if name not in known]
    if not by:
        faults.append(f"settings that tell rows apart expected, as in {MODEL}; found none")
    if faults:
        raise SpecError(f"rows: {'; '.join(faults)}")


def _telling(runs: Sequence[Placed], settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the settings that differ between any two of these runs that share a column; as few of the last as do."""
    sharing = [(a, b) for a in range(len(runs)) for b in range(a + 1, len(runs)) if runs[a].columns & runs[b].columns]
    names = dict.fromkeys(name for each in settings for name in each)
    found = [
        name
        for name in names
        if name not in (*_LAST, MODEL) and any(settings[a].get(name) != settings[b].get(name) for a, b in sharing)
    ]
    alike = [(a, b) for a, b in sharing if all(settings[a].get(name) == settings[b].get(name) for name in found)]
    for name in _LAST:
        if alike and all(settings[a][name] != settings[b][name] for a, b in alike):
            return [*found, name]
    return [*found, RUN, STORE] if alike else found


def _said(name: str, value: str) -> str:
    return value if name in (MODEL, NAME, RUN) and value != NOT_SET else f"{name} {value}"
