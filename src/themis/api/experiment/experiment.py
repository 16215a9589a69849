"""`Experiment`: what to evaluate and how; it compiles to a snapshot, runs it, and replays it."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from themis._stages import ReplayStage, UntilStage
from themis._version import __version__
from themis.api.arguments import checked
from themis.api.components import resolve_component
from themis.api.config.keys import relocated
from themis.api.config.record import ExperimentConfig, GenerationConfig, as_runtime
from themis.api.experiment import environment
from themis.api.experiment.run import run_snapshot
from themis.api.runs.result import RunResult
from themis.api.stores import Storage, open_store, store_or_storage
from themis.effects.files import from_here
from themis.effects.host import run_async as run_on_host
from themis.effects.host import sync_variant
from themis.effects.options import RunOptions
from themis.effects.sources.source_code import source_of
from themis.pure.abilities import PLACES, Components
from themis.pure.compilation import Authored, as_first_named, compile_snapshot
from themis.pure.errors import SpecError, UnknownComponentError, listed
from themis.pure.estimate import estimate_run
from themis.pure.explain import RunExplanation
from themis.pure.preview import RunPreview
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.fields import named_fields
from themis.pure.records.labels import RunLabels
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.results import RunEstimate
from themis.pure.records.snapshot import RunProvenance, RunSnapshot
from themis.pure.security import refuse_secrets

if TYPE_CHECKING:
    from themis.api.experiment.many.engines import EngineName, WorkEngine


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Experiment(ExperimentConfig):
    """An experiment: components, data, and where and how it runs."""

    @classmethod
    @checked
    def from_config(cls, path: str | Path, *, overrides: Sequence[str] | None = None) -> Experiment:
        """Return the experiment that a YAML, TOML or JSON file describes.

        Args:
            path: the file; paths in it are relative to it, and modules beside it can be named.
            overrides: `key=value` with dotted keys, as if they stood in the file: `datasets.0.limit=10`.

        Raises:
            SpecError: the file does not describe an experiment: every fault with its dotted key.
            LiteralSecretError: it contains a credential.
        """
        from themis.api.config.read import read_config

        return read_config(cls, Path(path), overrides or ())

    @checked
    def to_config(self, path: str | Path | None = None) -> dict[str, Any]:
        """Return a config that compiles to the same `run_id`, as plain JSON.

        Args:
            path: write it there too, as YAML with paths relative to that file; without it, paths are absolute.

        Raises:
            SpecError: a component can't be named in a file, such as one defined in a notebook; all at once.
        """
        from themis.api.config.write import config_of, write_config

        return config_of(self) if path is None else write_config(self, Path(path))

    def components(self) -> Components:
        """Return the experiment's components as objects, with what each can do; names are resolved."""
        named = {**attrs.asdict(self.generation, recurse=False), **attrs.asdict(self.evaluation, recurse=False)}
        faults: list[str] = []

        def made(place: str, value: Any) -> Any:
            try:
                return resolve_component(value, place)
            except UnknownComponentError as error:
                faults.append(str(error))

        found = {
            place: tuple(made(place, each) for each in named[place])
            if isinstance(named[place], tuple)
            else made(place, named[place])
            for place in PLACES
        }
        if faults:
            raise UnknownComponentError(faults[0] if len(faults) == 1 else listed("names that nothing has", faults))
        return Components.of(**found)

    def compile(self) -> RunSnapshot:
        """Return the snapshot: identity, provenance and data.

        Raises:
            SpecError: the experiment can't be run as written; every fault at once.
        """
        return self.compile_with(self.components())

    def compile_with(self, components: Components) -> RunSnapshot:
        """Compile with components that are resolved already."""
        refuse_secrets(self.labels.to_dict())
        return compile_snapshot(self._authored(components), self._provenance(), source_of)

    def compile_stored(self, components: Components, store: RunStore) -> RunSnapshot:
        """Compile to the run that the store has; a run of an earlier version kept the id that it had then."""
        snapshot = self.compile_with(components)
        if store.head(snapshot.run_id).count == 0:
            first = as_first_named(snapshot, self._authored(components), source_of)
            if first is not None and store.head(first.run_id).count > 0:
                return first
        return snapshot

    @property
    def labels(self) -> RunLabels:
        """The run's name and tags."""
        return RunLabels(name=self.name, tags=self.tags)

    def _authored(self, components: Components) -> Authored:
        generation, evaluation = self.generation, self.evaluation
        return Authored(
            components=components,
            datasets=self.datasets,
            candidate_policy=generation.candidate_policy,
            generation_prompt_spec=generation.prompt_spec,
            evaluation_prompt_spec=evaluation.prompt_spec,
            judge_config=evaluation.judge_config,
            workflow_overrides=evaluation.workflow_overrides,
            seeds=self.seeds,
            unparsed=evaluation.unparsed,
            until=evaluation.until,
        )

    def _provenance(self) -> RunProvenance:
        versions = self.dependency_versions
        return RunProvenance(
            themis_version=self.themis_version or __version__,
            python_version=self.python_version or platform.python_version(),
            platform=self.platform or platform.platform(),
            git_commit=self.git_commit or environment.git_commit(),
            dependency_versions=versions if versions is not None else environment.dependency_versions(),
            provider_metadata=self.provider_metadata,
            storage=self.storage.evolve(parameters=relocated(self.storage.parameters, from_here)),
            runtime=self.runtime,
            environment_metadata=self.environment_metadata,
        )

    async def run_async(
        self,
        *,
        until_stage: UntilStage = "judge",
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        store: RunStore | Storage | None = None,
        subscribers: Sequence[object] | None = None,
        tracing_provider: TracingProvider | None = None,
        engine: WorkEngine | EngineName | None = None,
        segment_size: int | None = None,
    ) -> RunResult:
        """Run the experiment from async code, under trio or a running asyncio loop; arguments as for `run`."""

        async def main() -> RunResult:
            here, opened = self._kept_in(store)
            components = here.components()
            options = here._options(runtime, opened, subscribers, tracing_provider)
            snapshot = here.compile_with(components)
            if engine is None:
                return await run_snapshot(snapshot, components, options, until_stage=until_stage)
            from themis.api.experiment.many.run import run_experiment

            return await run_experiment(
                here, snapshot, components, options, engine, until_stage=until_stage, segment_size=segment_size
            )

        return await run_on_host(main)

    @sync_variant(run_async, "Experiment.run")
    def run(self) -> None:
        """Run the experiment, or what is left of it, from sync code.

        Args:
            until_stage: stop after this stage; a later run goes on from there.
            runtime: instead of the experiment's own.
            store: an open store, or where one is, instead of the experiment's own.
            subscribers: told of everything that happens.
            tracing_provider: takes spans.
            engine: has workers that do the cases, in other processes and on other hosts: an engine of
                `themis.engines`, or the name of one. The experiment's storage must be one on a server, and its
                components must have names. This process does all by itself if not given.
            segment_size: how many cases a worker takes at a time.

        Raises:
            RunningLoopError: an event loop runs here; await `run_async` instead.
            SpecError: the experiment can't be run so; every fault at once.
        """

    def _kept_in(self, store: RunStore | Storage | None) -> tuple[Experiment, RunStore | None]:
        """Return the experiment, kept where `store` says if that is a place, and the store if it is an open one."""
        opened, storage = store_or_storage(store)
        return (self if storage is None else self.evolve(storage=storage)), opened

    def _options(
        self,
        runtime: RuntimeConfig | Mapping[str, Any] | None,
        store: RunStore | None,
        subscribers: Sequence[object] | None,
        tracing: TracingProvider | None,
    ) -> RunOptions:
        if tracing is not None and not (hasattr(tracing, "start_span") and hasattr(tracing, "end_span")):
            raise SpecError(f"tracing_provider: {type(tracing).__name__} has no start_span() and end_span()")
        return RunOptions(
            runtime=self.runtime if runtime is None else as_runtime(runtime),
            storage=self.storage,
            store=store,
            subscribers=subscribers or (),
            tracing=tracing,
            labels=self.labels,
        )

    async def replay_async(
        self,
        *,
        stage: ReplayStage,
        metric_ids: Sequence[str] | None = None,
        recorded_judging: bool = False,
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        store: RunStore | Storage | None = None,
        subscribers: Sequence[object] | None = None,
        tracing_provider: TracingProvider | None = None,
    ) -> RunResult:
        """Do the stages from `stage` on again, from async code; arguments as for `replay`."""
        from themis.api.experiment.replay import replay_snapshot

        async def main() -> RunResult:
            here, opened = self._kept_in(store)
            components = here.components()
            kept = opened or open_store(here.storage)
            return await replay_snapshot(
                here.compile_stored(components, kept),
                components,
                here._options(runtime, kept, subscribers, tracing_provider),
                stage=stage,
                metric_ids=metric_ids,
                recorded_judging=recorded_judging,
            )

        return await run_on_host(main)

    @sync_variant(replay_async, "Experiment.replay")
    def replay(self) -> None:
        """Do the stages from `stage` on again, from stored upstream artifacts, without a generation.

        Args:
            stage: `reduce`, `parse`, `score` or `judge`.
            metric_ids: of the metrics, these alone; all by default.
            recorded_judging: judge from the recorded answers; without it stage `judge` asks the judges again and
                keeps the new executions beside the old ones.
            runtime, store, subscribers, tracing_provider: as for `run`.

        Raises:
            SpecError: no such stage or metric.
            NotStoredError: something that the replay rests on is not stored; what is missing is listed.
        """

    async def rejudge_async(
        self,
        *,
        metric_ids: Sequence[str] | None = None,
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        store: RunStore | Storage | None = None,
        subscribers: Sequence[object] | None = None,
        tracing_provider: TracingProvider | None = None,
    ) -> RunResult:
        """Ask the judges again about stored answers, from async code; arguments as for `replay`."""
        return await self.replay_async(
            stage="judge",
            metric_ids=metric_ids,
            runtime=runtime,
            store=store,
            subscribers=subscribers,
            tracing_provider=tracing_provider,
        )

    @sync_variant(rejudge_async, "Experiment.rejudge")
    def rejudge(self) -> None:
        """Ask the judges again about stored answers; arguments as for `replay`."""

    def plan(self, *, until_stage: UntilStage = "judge", store: RunStore | Storage | None = None) -> RunExplanation:
        """Say what `run` would do, what it would reuse, and why, without doing it.

        Args:
            until_stage: the last stage that would be run.
            store: instead of the experiment's own.
        """
        from themis.api.experiment.plan import explain_run

        here, given = self._kept_in(store)
        components = here.components()
        snapshot = here.compile_with(components)
        if given is not None:
            return explain_run(snapshot, components, given, until_stage)
        with contextlib.closing(open_store(here.storage)) as opened:
            return explain_run(snapshot, components, opened, until_stage)

    @checked
    def preview(self, cases: int = 3) -> RunPreview:
        """Return what the model would be sent for the first cases, with tokens and cost; nothing is sent or stored.

        Args:
            cases: how many.
        """
        from themis.api.experiment.plan import preview_with_cost

        return preview_with_cost(self, cases)

    def estimate(self) -> RunEstimate:
        """Say how much a whole run would do and about how many tokens it would take, from its real prompts."""
        components = self.components()
        return estimate_run(self.compile_with(components), components)


def sampled(
    generator: object, samples: int, reducer: object = None, prompt: PromptSpec | None = None
) -> GenerationConfig:
    """Return how to generate `samples` candidates per case; without a reducer, each of them is an answer."""
    return GenerationConfig(
        generator=generator,
        candidate_policy={"num_samples": samples} if samples != 1 else {},
        prompt_spec=prompt,
        reducer=reducer,
    )
