"""`Study`: a matrix of runs that are run as one, and read as one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from themis._stages import UntilStage
from themis.api.arguments import checked
from themis.api.config.record import as_runtime
from themis.api.config.study import StudyConfig
from themis.api.stores import Storage, existing_or_empty, store_or_storage
from themis.api.studies.cells import CellExperiment, study_cells
from themis.api.studies.gate import read_suite_gate
from themis.api.studies.plan import StudyPlan, plan_study
from themis.api.studies.result import StudyResult
from themis.api.studies.run import StudySettings, compiled, run_study, study_as_stored
from themis.effects.host import run_async as run_on_host
from themis.effects.host import sync_variant
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.fields import named_fields
from themis.pure.study import study_id

if TYPE_CHECKING:
    from themis.api.experiment.many.engines import EngineName, WorkEngine

DEFAULT_NAME: Final = "study"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Study(StudyConfig):
    """A matrix of runs: every model with every prompt, on every dataset and benchmark, by every option and seed.

    Its fields are the keys of a study's file; what varies is given by name, or as a list.

    >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(20)]
    >>> study = Study(
    ...     models={"good": {"id": "builtin/demo_model"}, "echo": "builtin/demo_generator"},
    ...     prompts={"plain": None, "short": "{input}="},
    ...     datasets={"sums": rows},
    ...     evaluation={"metrics": "builtin/exact_match"},
    ...     exclude=[{"model": "echo", "prompt": "short"}],
    ... )
    >>> result = study.run()
    >>> [(cell.name, cell.status.value) for cell in result]
    [('good,plain,sums', 'completed'), ('good,short,sums', 'completed'), ('echo,plain,sums', 'completed')]
    """

    @classmethod
    @checked
    def from_config(cls, path: str | Path, *, overrides: Sequence[str] | None = None) -> Study:
        """Return the study that a YAML, TOML or JSON file describes; without a name in it, it is called by the file's.

        Args:
            path: the file; paths in it are relative to it, and modules beside it can be named.
            overrides: `key=value` with dotted keys, as if they stood in the file: `runtime.max_cost=5`.

        Raises:
            SpecError: the file does not describe a study: every fault with its dotted key.
            LiteralSecretError: it contains a credential.
        """
        return cls.read(Path(path), overrides or ())

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str] = (), storage: StorageConfig | None = None) -> Study:
        """Read a study's file; `storage` is where its runs are kept if it does not say so."""
        from themis.api.config.read import read_config

        found = read_config(cls, path, overrides, storage)
        return found if found.name is not None else found.evolve(name=path.stem)

    def cell_experiments(self) -> tuple[CellExperiment, ...]:
        """Return the cells, each with the experiment that it is.

        Raises:
            SpecError: something in the matrix can't be; every fault at once.
            DataError: a benchmark's data can't be read.
        """
        return study_cells(self)

    @property
    def study_id(self) -> str:
        """The study's identity: the hash of its cells' run ids, whatever their order and names are."""
        return study_id([run.run_id for run in compiled(self.cell_experiments())])

    async def run_async(
        self,
        *,
        until_stage: UntilStage = "judge",
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        store: RunStore | Storage | None = None,
        subscribers: Sequence[object] | None = None,
        engine: WorkEngine | EngineName | None = None,
        segment_size: int | None = None,
    ) -> StudyResult:
        """Run the study from async code, under trio or a running asyncio loop; arguments as for `run`."""

        settings = self.settings(until_stage, runtime, store, subscribers, engine, segment_size)
        return await run_on_host(lambda: self.run_as(settings))

    @sync_variant(run_async, "Study.run")
    def run(self) -> None:
        """Run the study, or what is left of it, from sync code.

        Several cells are under way at once, within one set of limits and one budget: those of `runtime`. Cells that are
        complete are left as they are. One that fails leaves the others, and says why in its result.

        Args:
            until_stage: stop after this stage; a later run goes on from there.
            runtime: instead of the study's own.
            store: an open store, or where one is, instead of the study's own.
            subscribers: told of everything that happens.
            engine: has workers that do the cases of one cell after another: an engine of `themis.engines`, or the name
                of one. This process does all by itself if not given.
            segment_size: how many cases a worker takes at a time.

        Raises:
            RunningLoopError: an event loop runs here; await `run_async` instead.
            SpecError: a cell can't be run, or lacks something; everything about all cells at once, before the first
                call.
        """

    async def run_as(self, settings: StudySettings) -> StudyResult:
        """Run the study as these settings say, under trio."""
        # Benchmarks may have to be downloaded; the event loop must not be blocked.
        cells = await trio.to_thread.run_sync(self.cell_experiments)
        gate = read_suite_gate(self, cells)
        return attrs.evolve(await run_study(cells, settings), gate=gate)

    def settings(
        self,
        until_stage: UntilStage = "judge",
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        store: RunStore | Storage | None = None,
        subscribers: Sequence[object] | None = None,
        engine: WorkEngine | str | None = None,
        segment_size: int | None = None,
        modules: Path | None = None,
    ) -> StudySettings:
        """Return how the study is run."""
        opened, storage = store_or_storage(store)
        return StudySettings(
            name=self.name or DEFAULT_NAME,
            tags=self.tags,
            runtime=self.runtime if runtime is None else as_runtime(runtime),
            storage=self.storage if storage is None else storage,
            store=opened,
            subscribers=subscribers or (),
            cells_at_once=self.cells_at_once,
            until_stage=until_stage,
            engine=engine,
            segment_size=segment_size,
            modules=modules,
        )

    def plan(self, *, until_stage: UntilStage = "judge", store: RunStore | Storage | None = None) -> StudyPlan:
        """Say what `run` would do, reuse and cost, cell by cell, without doing it.

        Args:
            until_stage: the last stage that would be run.
            store: instead of the study's own.
        """
        with self._reading(store) as opened:
            cells = self.cell_experiments()
            read_suite_gate(self, cells)
            return plan_study(compiled(cells), opened, self.runtime, until_stage)

    def status(self, *, store: RunStore | Storage | None = None) -> StudyResult:
        """Return where the study stands by what is stored; nothing is run.

        Args:
            store: instead of the study's own.
        """
        opened, storage = store_or_storage(store)
        kept = opened if opened is not None else existing_or_empty(storage or self.storage)
        kept.initialize()
        cells = self.cell_experiments()
        found = study_as_stored(compiled(cells), self.name or DEFAULT_NAME, kept)
        return attrs.evolve(found, gate=read_suite_gate(self, cells))

    @contextlib.contextmanager
    def _reading(self, store: RunStore | Storage | None) -> Iterator[RunStore]:
        opened, storage = store_or_storage(store)
        if opened is not None:
            yield opened
            return
        with contextlib.closing(existing_or_empty(storage or self.storage)) as kept:
            kept.initialize()
            yield kept
