"""Compiling: from what an experiment is written with to the snapshot that everything else works from.

All faults are found here, before anything is run, paid for or stored, and are reported at once.
"""

from __future__ import annotations

import difflib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

import attrs

from themis.pure.abilities import Components
from themis.pure.descriptions import description
from themis.pure.errors import DataError, SpecError, ThemisError, listed, nearest
from themis.pure.families import FAMILIES
from themis.pure.fingerprints import SourceOf, component_ref
from themis.pure.identity import FIRST_ALGORITHM, IDENTITY_ALGORITHM, case_hash
from themis.pure.json import EMPTY, JSONValue, decode, encode
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.plan import candidate_count
from themis.pure.records.config import STAGES_THAT_PAY, RuntimeConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import json_object, named_fields, sequence
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.snapshot import (
    ComponentRef,
    ComponentRefs,
    DatasetRef,
    RunIdentity,
    RunProvenance,
    RunSnapshot,
    Unparsed,
)
from themis.pure.records.stopping import StoppingRule
from themis.pure.security import refuse_secrets
from themis.pure.wire.providers import MODEL_STRINGS


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Authored:
    """An experiment with its components resolved: everything that `compile_snapshot` reads."""

    components: Components
    datasets: tuple[Dataset, ...] = attrs.field(converter=sequence)
    candidate_policy: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    generation_prompt_spec: PromptSpec | None = None
    evaluation_prompt_spec: PromptSpec | None = None
    judge_config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    workflow_overrides: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    seeds: tuple[int, ...] = attrs.field(default=(), converter=sequence)
    unparsed: Unparsed = "incorrect"
    until: StoppingRule | None = None


def compile_snapshot(authored: Authored, provenance: RunProvenance, source_of: SourceOf) -> RunSnapshot:
    """Compile an experiment.

    Args:
        authored: components, data and policies.
        provenance: where and how the run is made; no part of the identity.
        source_of: returns a component's source text.

    Raises:
        SpecError: the experiment can't be run as written; every fault at once.
        LiteralSecretError: it holds a credential.
        DataError: the data can't be used: no cases, or two of one id.
    """
    _refuse_secrets(authored, provenance)
    faults = [*_shape_faults(authored), *_judge_faults(authored.components), *_prompt_faults(authored)]
    faults += [*_rule_faults(authored), *_option_faults(authored)]
    faults += runtime_faults(provenance.runtime, authored.components)
    refs: dict[int, ComponentRef] = {}
    descriptions: dict[int, JSONValue] = {}
    for able in authored.components:
        if able.is_none:
            continue
        try:
            refs[id(able.component)] = component_ref(able.component, source_of)
        except SpecError as error:
            faults.append(str(error))
        try:
            descriptions[id(able.component)] = description(able.component)
        except SpecError as error:
            faults.append(str(error))
    if faults:
        raise SpecError(listed("the experiment can't be run as it is written", faults))
    component_refs = ComponentRefs(**_placed(authored.components, refs))
    dataset_refs = _dataset_refs(authored.datasets, authored.generation_prompt_spec)
    identity = _identity(authored, component_refs, dataset_refs)
    metrics = authored.components.metrics
    return RunSnapshot(
        identity=canonical_identity(identity, judges=bool(_judged(authored.components))),
        identity_algorithm=IDENTITY_ALGORITHM,
        provenance=provenance,
        component_refs=component_refs,
        datasets=authored.datasets,
        metric_kinds={metric.component_id: metric.family for metric in metrics},
        metric_thresholds={m.component_id: m.threshold for m in metrics if m.threshold is not None},
        metric_ranges={m.component_id: m.score_range for m in metrics if m.score_range is not None},
        descriptions=decode(encode(_placed(authored.components, descriptions))),  # in the order that stores keep
    )


def as_first_named(snapshot: RunSnapshot, authored: Authored, source_of: SourceOf) -> RunSnapshot | None:
    """Return a compiled experiment as the first algorithm named it, under which a store may have it.

    `None` if a component's name of that time can't be known.
    """
    try:
        component_refs = refs_of(authored.components, source_of, FIRST_ALGORITHM)
    except SpecError:
        return None
    return snapshot.evolve(
        identity=_identity(authored, component_refs, snapshot.identity.dataset_refs),
        identity_algorithm=FIRST_ALGORITHM,
        component_refs=component_refs,
    )


def refs_of(components: Components, source_of: SourceOf, algorithm: str) -> ComponentRefs:
    """Name components by their code and configuration.

    Raises:
        SpecError: one can't be named.
    """
    refs = {id(able.component): component_ref(able.component, source_of, algorithm) for able in components}
    return ComponentRefs(**_placed(components, refs))


def _identity(authored: Authored, component_refs: ComponentRefs, dataset_refs: Sequence[DatasetRef]) -> RunIdentity:
    return RunIdentity(
        dataset_refs=dataset_refs,
        generator_ref=component_refs.generator,
        selector_ref=component_refs.selector,
        reducer_ref=component_refs.reducer,
        parser_refs=component_refs.parsers,
        metric_refs=component_refs.metrics,
        judge_model_refs=component_refs.judge_models,
        candidate_policy=authored.candidate_policy,
        generation_prompt_spec=authored.generation_prompt_spec,
        evaluation_prompt_spec=authored.evaluation_prompt_spec,
        judge_config=authored.judge_config,
        workflow_overrides=authored.workflow_overrides,
        seeds=authored.seeds,
        unparsed=authored.unparsed,
        until=_named_rule(authored),
    )


def _named_rule(authored: Authored) -> StoppingRule | None:
    """Return the rule that ends the run with its metric's whole name."""
    rule = authored.until
    metrics = [metric.component_id for metric in authored.components.metrics]
    return None if rule is None else rule.evolve(metric_id=whole_name(rule.metric_id, metrics))


def whole_name(metric: str, metric_ids: Sequence[str]) -> str:
    """Return a metric's id; `builtin/` before it may be left out.

    Raises:
        SpecError: there is no such metric.
    """
    for name in (metric, f"builtin/{metric}"):
        if name in metric_ids:
            return name
    raise SpecError(f"there is no metric {metric!r}; {nearest(metric, metric_ids)}")


def _rule_faults(authored: Authored) -> Iterator[str]:
    """Yield why a rule can't decide when the run ends."""
    if authored.until is None:
        return
    try:
        rule = _named_rule(authored)
    except SpecError as error:
        yield f"until: {error}"
        return
    assert rule is not None
    metric = next(each for each in authored.components.metrics if each.component_id == rule.metric_id)
    if metric.score_range is None:
        yield (
            f"until: {rule.metric_id} does not state its score_range, and without bounds nothing can be told before "
            "the end: declare it on the metric, as in score_range = (0, 1), or name another metric"
        )
        return
    low, high = metric.score_range
    if not low < rule.value < high:
        yield (
            f"until: {rule.condition}: a value between {low:g} and {high:g} expected, which are the lowest and the "
            f"highest score of {rule.metric_id}"
        )
    by = rule.cluster_by
    if by is not None and not any(by in case.metadata for dataset in authored.datasets for case in dataset.cases):
        yield f"until: no case has the key {by!r} in its metadata to cluster by"


def canonical_identity(identity: RunIdentity, *, judges: bool) -> RunIdentity:
    """Return an identity with one form for what is the same: what equals its default is left out.

    It is what a run works from, so two experiments of one canonical identity do the same.

    - Of several counts of candidates the largest decides, and one candidate is what there is without a policy.
    - A prompt that adds nothing is no prompt.
    - What only judges read is left out where nobody is asked for a judgment. The evaluation's prompt stays where there
      is a selector, which is shown it too.

    Args:
        identity: as it was written.
        judges: whether a metric or the selector asks a judge.
    """
    count = candidate_count(identity.candidate_policy)
    shown = identity.evaluation_prompt_spec if judges or identity.selector_ref is not None else None
    identity = identity.evolve(
        candidate_policy={"num_samples": count} if count > 1 else {},
        generation_prompt_spec=_canonical_prompt(identity.generation_prompt_spec),
        evaluation_prompt_spec=_canonical_prompt(shown),
    )
    return identity if judges else identity.evolve(judge_model_refs=(), judge_config={}, workflow_overrides={})


def _canonical_prompt(spec: PromptSpec | None) -> PromptSpec | None:
    if spec is None:
        return None
    # Empty instructions are a message of their own, an empty prefix or suffix is nothing.
    spec = spec.evolve(prefix=spec.prefix or None, suffix=spec.suffix or None)
    return None if spec == PromptSpec() else spec


def _refuse_secrets(authored: Authored, provenance: RunProvenance) -> None:
    refuse_secrets(
        {
            "storage.parameters": provenance.storage.parameters,
            "environment_metadata": provenance.environment_metadata,
            "provider_metadata": provenance.provider_metadata,
            "candidate_policy": authored.candidate_policy,
            "judge_config": authored.judge_config,
            "workflow_overrides": authored.workflow_overrides,
            "generation.prompt_spec": (authored.generation_prompt_spec or PromptSpec()).to_dict(),
            "evaluation.prompt_spec": (authored.evaluation_prompt_spec or PromptSpec()).to_dict(),
            "metadata": {dataset.dataset_id: dataset.metadata for dataset in authored.datasets},
        }
    )


def _shape_faults(authored: Authored) -> Iterator[str]:
    components = authored.components
    if not authored.datasets:
        yield "datasets: none given; an experiment needs at least one"
    yield from _twice("datasets", (dataset.dataset_id for dataset in authored.datasets))
    yield from _twice("metrics", (metric.component_id for metric in components.metrics))
    judges = [judge.component_id for judge in components.judge_models]
    yield from (f"{fault}: give each a component_id of its own" for fault in _twice("judge_models", judges))
    for place, able in components.placed():
        yield from (f"{place}: {fault}" for fault in able.faults)
    yield from _candidate_faults(authored)


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1 and name:
            yield f"{what}: {name!r} is there {count} times; ids must differ"


def _candidate_faults(authored: Authored) -> Iterator[str]:
    try:
        count = candidate_count(authored.candidate_policy)
    except SpecError as error:
        yield str(error)
        return
    if authored.seeds and len(authored.seeds) != count:
        yield f"seeds: {len(authored.seeds)} given for {count} candidate(s) a case; give as many, or none"


def _judged(components: Components) -> list[str]:
    """Return what asks a judge; a metric of no known family does not."""
    selector = components.selector
    judged = [selector.name] if selector is not None and selector.build_workflow is not None else []
    return [*judged, *(m.name for m in components.metrics if m.family and FAMILIES[m.family].stage == "judge")]


def _judge_faults(components: Components) -> Iterator[str]:
    yield from (f"metrics: {metric.problem}" for metric in components.metrics if metric.problem and not metric.is_none)
    judged = _judged(components)
    if judged and not components.judge_models:
        yield f"judge_models: none given, and {', '.join(judged)} asks a judge; give one, such as builtin/demo_judge"


def _option_faults(authored: Authored) -> Iterator[str]:
    """Yield the names of options that no judge reads, where all workflows are ours; one's own may read any."""
    components = authored.components
    judged = [each for each in (components.selector, *components.metrics) if each is not None and each.build_workflow]
    if not judged or not all(type(each.component).__module__.startswith("themis.") for each in judged):
        return
    from themis.pure.components.judging.workflows import CONFIG, OPTIONS

    for place, known in (("judge_config", CONFIG), ("workflow_overrides", OPTIONS)):
        for name in getattr(authored, place):
            if name not in known:
                yield f"{place}.{name}: no judge reads it; {nearest(name, known)}"


def runtime_faults(runtime: RuntimeConfig, components: Components) -> Iterator[str]:
    """Yield the names of stages and providers that a limit is given for and no call of any run can have.

    Limits for other providers than this run's are taken: several runs may share one configuration.
    """
    for stage in runtime.stage_concurrency:
        if stage not in STAGES_THAT_PAY:
            yield f"runtime.stage_concurrency.{stage}: no stage that calls models; {nearest(stage, STAGES_THAT_PAY)}"
    callers = (components.generator, *components.judge_models)
    own = {each.provider_key for each in callers if each.provider_key is not None}
    known = {*own, *(key.partition("@")[0] for key in own), *MODEL_STRINGS}
    for name in ("provider_concurrency", "provider_rate_limits", "provider_token_limits"):
        for key in getattr(runtime, name):
            if key not in known and key.partition("@")[0] not in known:
                close = difflib.get_close_matches(key, sorted(known), n=1)
                hint = f" did you mean {close[0]}?" if close else ""
                called = ", ".join(sorted(own)) or "no endpoint"
                yield f"runtime.{name}.{key}: no provider has this name;{hint} this run calls {called}"


def _prompt_faults(authored: Authored) -> Iterator[str]:
    generator = authored.components.generator
    for place in ("generation", "evaluation"):
        spec: PromptSpec | None = getattr(authored, f"{place}_prompt_spec")
        if spec is not None and spec.template is not None and place == "evaluation":
            yield "evaluation.prompt_spec.template: a judge is asked in the words of its metric; leave it out"
        if spec is None or spec.continuations is None:
            continue
        if place == "evaluation":
            yield "evaluation.prompt_spec.continuations: a judge is asked for words; leave it out"
        elif generator.loglikelihood is None:
            yield (
                f"generation.prompt_spec.continuations: {generator.name} gives no log-likelihoods; models of "
                "hf/... and llama_cpp/... do, and with api=completions those of vllm/..., llamacpp/... and other "
                "servers that show the log-probabilities of a prompt"
            )


def _placed(components: Components, found: Mapping[int, Any]) -> dict[str, Any]:
    """Return what was found of each component by its place: one thing, or a tuple where a place has several."""
    placed: dict[str, Any] = {}
    for place, able in components.placed():
        each = found[id(able.component)]
        placed[place] = (*placed.get(place, ()), each) if isinstance(getattr(components, place), tuple) else each
    return placed


def _dataset_refs(datasets: Iterable[Dataset], spec: PromptSpec | None) -> list[DatasetRef]:
    """Name each dataset, in one pass over its cases; refuse empty ones, and cases that can't be asked or come twice."""
    refs, faults = [], []
    for dataset in datasets:
        try:
            refs.append(DatasetRef.of(dataset, _distinct_hashes(dataset, spec)))
            if not len(dataset.cases):
                faults.append(f"{dataset.dataset_id}: the dataset has no cases")
        except ThemisError as error:
            faults.append(f"{dataset.dataset_id}: {error}")
    if faults:
        raise DataError(listed("the data can't be used", faults))
    return refs


def _distinct_hashes(dataset: Dataset, spec: PromptSpec | None) -> Iterator[str]:
    # Hashes of ids, not ids, and in parts, so that no set of all is needed: ten million cases take 80 MB.
    marks = [array("q") for _ in range(_PARTS)]
    for case in dataset.cases:
        mark = hash(case.case_id)
        marks[mark % _PARTS].append(mark)
        asked_likelihoods(case, spec)  # refuses a case without the continuations that it is to be asked about
        if spec is not None and (problem := spec.lacking(case)):
            raise DataError(problem)
        yield case_hash(case)
    twice = {mark for part in marks if len(set(part)) < len(part) for mark, times in Counter(part).items() if times > 1}
    if twice:
        _refuse_duplicates(dataset, twice)


_PARTS: Final = 256


def _refuse_duplicates(dataset: Dataset, marks: Set[int]) -> None:
    """Refuse ids that are there twice, among those with these hashes; others may clash."""
    known: dict[str, int] = {}
    for number, case in enumerate(dataset.cases, 1):
        if hash(case.case_id) in marks and (earlier := known.setdefault(case.case_id, number)) < number:
            raise DataError(
                f"case id {case.case_id!r} is there twice, as cases {earlier} and {number}; "
                "ids must differ within a dataset"
            )
