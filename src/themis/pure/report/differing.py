"""What two runs differ by, factor by factor, in words: what it is in the one, and in the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.json import JSONValue
from themis.pure.pipeline.swaps import (
    CASES,
    CUT,
    ERRORS,
    INPUTS,
    METADATA,
    REASONING,
    REFERENCES,
    SAME,
    SETTINGS,
    TOGETHER,
    Swaps,
)
from themis.pure.plan import candidate_count
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.report.settings import described, leaves, setting_text

PROMPT: Final = "prompt"
MODEL: Final = "model"
SAMPLING: Final = "sampling"
LENGTH: Final = "max_tokens"
SEEDS: Final = "seeds"
CHANCE: Final = "chance"

TITLES: Final[Mapping[str, str]] = {
    CASES: "cases in one run only",
    ERRORS: "errors",
    REFERENCES: "expected outputs",
    METADATA: "metadata of cases",
    INPUTS: "questions",
    PROMPT: "prompt",
    MODEL: "model",
    SAMPLING: "sampling settings",
    LENGTH: "longest answer",
    SEEDS: "seeds",
    CHANCE: "chance",
    CUT: "cut answers",
    REASONING: "reasoning marks",
    "unparsed": "unparsed answers",
    SAME: "same inputs, other outcome",
}
"""The factors there are, each in words."""

_SAMPLING: Final = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "repetition_penalty"}
)
_LENGTHS: Final = frozenset(["max_tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens"])
_MOST: Final = 3
_LONGEST: Final = 60

Change = tuple[str, str]
"""What something is in the first run, and in the second."""


def title_of(factor: str) -> str:
    """Return what a factor is, in words; of several that can't be told apart, of all."""
    return " and ".join(TITLES.get(name, name) for name in factor.split(TOGETHER))


@attrs.frozen
class Generation:
    """What of two runs differs in how their answers came about: each thing that can be changed by itself."""

    changes: Mapping[str, Change]

    @classmethod
    def of(cls, a: RunSnapshot, b: RunSnapshot) -> Generation:
        return cls(dict(_generation(a, b)))

    @property
    def factor(self) -> str:
        """What the answers differ by; several things at once can't be told apart by stored answers."""
        return TOGETHER.join(self.changes) or CHANCE

    @property
    def halves(self) -> tuple[str, ...]:
        """The prompt and what else differs, where both do: runs with the one of the one and the other of the other may
        be stored."""
        others = [name for name in self.changes if name != PROMPT]
        both = PROMPT in self.changes and others and SEEDS not in others
        return (PROMPT, TOGETHER.join(others)) if both else ()

    @property
    def is_length(self) -> bool:
        """Nothing differs but how long an answer may be."""
        return set(self.changes) == {LENGTH}


def _generation(a: RunSnapshot, b: RunSnapshot) -> Iterator[tuple[str, Change]]:
    specs = [snapshot.identity.generation_prompt_spec for snapshot in (a, b)]
    if specs[0] != specs[1]:
        yield PROMPT, changed_settings(*(dict(leaves((spec or PromptSpec()).to_dict())) for spec in specs))
    if a.identity.generator_ref != b.identity.generator_ref:
        yield from _of_generators(a, b)
    seeds = a.identity.seeds, b.identity.seeds
    shared = min(map(len, seeds))
    if seeds[0][:shared] != seeds[1][:shared] or (not shared and seeds[0] != seeds[1]):
        yield SEEDS, (setting_text(seeds[0]), setting_text(seeds[1]))


def _of_generators(a: RunSnapshot, b: RunSnapshot) -> Iterator[tuple[str, Change]]:
    of_a, of_b = (dict(leaves(snapshot.descriptions.get("generator"))) for snapshot in (a, b))
    refs = a.identity.generator_ref, b.identity.generator_ref
    groups: dict[str, list[str]] = {}
    for name in {**of_a, **of_b}:
        if of_a.get(name) != of_b.get(name):
            last, is_told = name.rpartition(".")[2], name in of_a and name in of_b
            # What only one of two models says is a difference of the models.
            is_own = refs[0].component_id == refs[1].component_id or is_told
            of = SAMPLING if last in _SAMPLING and is_own else LENGTH if last in _LENGTHS and is_own else MODEL
            groups.setdefault(of, []).append(name)
    if not groups or refs[0].component_id != refs[1].component_id:
        groups.setdefault(MODEL, [])
    for thing in (MODEL, SAMPLING, LENGTH):
        if thing in groups:
            settings = [{name: of.get(name) for name in groups[thing]} for of in (of_a, of_b)]
            before, after = changed_settings(*settings)
            if thing == MODEL and refs[0].component_id != refs[1].component_id:
                before, after = (ref.component_id for ref in refs)
            elif thing == MODEL and not groups[MODEL]:
                before, after = _named(refs)
            yield thing, (before, after)


def _named(refs: Sequence[ComponentRef | None], settings: Change = ("", "")) -> Change:
    """Return two components by name, and by fingerprint where that alone tells them apart."""
    names = [
        "none" if ref is None else " ".join(filter(None, (ref.component_id, said)))
        for ref, said in zip(refs, settings, strict=True)
    ]
    if names[0] == names[1]:
        names = [f"{name} {ref.fingerprint[:8]}" for name, ref in zip(names, refs, strict=True) if ref is not None]
    return names[0], names[1]


def changed_settings(of_a: Mapping[str, JSONValue], of_b: Mapping[str, JSONValue]) -> Change:
    """Return the settings that differ, as they are in the one and in the other.

    >>> changed_settings({"suffix": "!", "prefix": "Q: "}, {"suffix": None, "prefix": "Q: "})
    ('suffix "!"', 'suffix (not set)')
    """
    names = [name for name in {**of_a, **of_b} if of_a.get(name) != of_b.get(name)]
    more = f", and {len(names) - _MOST} more" if len(names) > _MOST else ""
    before, after = (
        ", ".join(f"{name} {_value(of.get(name))}" for name in names[:_MOST]) + more for of in (of_a, of_b)
    )
    return before, after


def _value(value: JSONValue) -> str:
    if value is None or (isinstance(value, list | tuple) and not value):
        return "(not set)"
    return f'"{setting_text(value, _LONGEST)}"' if isinstance(value, str) else setting_text(value, _LONGEST)


# --- settings of the later stages -------------------------------------------------------------------------


def setting_change(swaps: Swaps, setting: str) -> Change:
    """Return what a setting is in each run, together with those that are swapped with it."""
    names = [setting, *(other for other, leading in swaps.follows.items() if leading == setting)]
    changes = [_setting(swaps, name) for name in names]
    before, after = (", ".join(said for each in changes if (said := each[side]) not in ("", "none")) for side in (0, 1))
    return before or "none", after or "none"


def _setting(swaps: Swaps, setting: str) -> Change:
    a, b = swaps.a.snapshot, swaps.b.snapshot
    identities = a.identity, b.identity
    match setting:
        case "samples":
            before, after = (str(candidate_count(identity.candidate_policy)) for identity in identities)
            return before, after
        case "unparsed":
            return identities[0].unparsed, identities[1].unparsed
        case "judge":
            return _of_judges(a, b)
        case "metric":
            return _of_components(a, b, "metrics", [[side.metric_ref] for side in (swaps.a, swaps.b)])
        case _:
            (field,) = SETTINGS[setting]
            refs = [getattr(identity, field) for identity in identities]
            several = [each if isinstance(each, tuple) else () if each is None else (each,) for each in refs]
            return _of_components(a, b, field.replace("_ref", ""), several)


def _of_components(a: RunSnapshot, b: RunSnapshot, place: str, refs: Sequence[Sequence[ComponentRef]]) -> Change:
    """Return the components of a place in two runs: by name, and by the settings that differ."""
    settings = []
    for snapshot, wanted in zip((a, b), refs, strict=True):
        known = {ref.fingerprint: said for where, ref, said in described(snapshot) if where == place}
        settings.append([dict(leaves(known.get(ref.fingerprint))) for ref in wanted])
    names = [[ref.component_id for ref in wanted] for wanted in refs]
    if names[0] != names[1]:
        return ", ".join(names[0]) or "none", ", ".join(names[1]) or "none"
    said = [
        _named((one, other), changed_settings(of_one, of_other))
        for one, other, of_one, of_other in zip(*refs, *settings, strict=True)
        if one != other
    ]
    return ", ".join(before for before, _ in said), ", ".join(after for _, after in said)


def _of_judges(a: RunSnapshot, b: RunSnapshot) -> Change:
    refs = a.identity.judge_model_refs, b.identity.judge_model_refs
    before, after = _of_components(a, b, "judge_models", refs) if refs[0] != refs[1] else ("", "")
    settings = []
    for snapshot in (a, b):
        identity = snapshot.identity
        spec = identity.evaluation_prompt_spec
        settings.append(
            {
                **dict(leaves(identity.judge_config)),
                **dict(leaves(identity.workflow_overrides)),
                **({} if spec is None else dict(leaves(spec.to_dict(), "prompt"))),
            }
        )
    more = changed_settings(*settings)
    return ", ".join(filter(None, (before, more[0]))), ", ".join(filter(None, (after, more[1])))
