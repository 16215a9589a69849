"""What several commands share: their options, and how a store or a run is named."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

import attrs
from cyclopts import Parameter

from themis._stages import UntilStage

if TYPE_CHECKING:  # loaded when a command runs: help is quick without them
    from themis.api.experiment.many.engines import WorkEngine
    from themis.effects.sources.files import CaseFields
    from themis.pure.protocols import RunStore
    from themis.pure.records.config import StorageConfig
    from themis.pure.records.dataset import Dataset
    from themis.pure.records.prompt import PromptSpec
    from themis.pure.records.stopping import StoppingRule
    from themis.pure.stats.engine import StatsEngine

DEFAULT_STORE: Final = "runs/themis.sqlite3"

Config: TypeAlias = Annotated[
    Path, Parameter(name="CONFIG", env_var=(), help="A YAML, TOML or JSON file that describes the experiment.")
]
Overrides: TypeAlias = Annotated[
    str, Parameter(name="KEY=VALUE", env_var=(), help="Values instead of those in the file: datasets.0.limit=10.")
]
RunName: TypeAlias = Annotated[
    str, Parameter(name="RUN", env_var=(), help="A run's id, its first characters, its name, or 'latest'.")
]
Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for programs.")]
Store: TypeAlias = Annotated[
    str, Parameter(name="--store", help="A SQLite file, or kind:place, such as jsonl:runs/log or postgres:DSN.")
]
SAMPLES: Final = "Candidates per case; each is an answer, unless a reducer or selector makes one of them."
PROMPT: Final = Parameter(
    help="A template over the cases' fields, as in 'Question: {input}'; or @FILE with the keys of a prompt_spec."
)
ReportAt: TypeAlias = Annotated[
    str | None, Parameter(name="--report-at", help="For which k to report pass@k, pass^k and maj@k, as in 1,4,8.")
]
By: TypeAlias = Annotated[
    list[str] | None,
    Parameter(name="--by", negative="", help="Group by a key of the cases' metadata or 'dataset'; or 'none'."),
]
ClusterBy: TypeAlias = Annotated[
    str | None,
    Parameter(help="A key of the cases' metadata; cases with the same value there are one cluster, and stay together."),
]
Correction: TypeAlias = Annotated[
    Literal["cr1", "cr2"],
    Parameter(help="Of cluster-robust errors; 'cr1' is too small where clusters are few or of unequal size."),
]
Price: TypeAlias = Annotated[
    list[str] | None,
    Parameter(name="--price", negative="", help="MODEL=PROMPT,ANSWER: US dollars per million tokens of each."),
]
Until: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        name="--until",
        negative="",
        help="The last stage; or a rule, METRIC>=X: stop as soon as it is clear whether that holds, or does not.",
    ),
]
Grid: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        name="--grid",
        negative="",
        help="OPTION=VALUE,VALUE: a run for each value, as in temperature=0,0.5,1; repeat it for every combination.",
    ),
]
Words: TypeAlias = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Options:
    """How to evaluate: what `run` and its like take beside a config, and `quick-eval` in place of one."""

    limit: Annotated[int | None, Parameter(help="Take only the first cases of each dataset.")] = None
    seed: Annotated[int | None, Parameter(help="The seed of the first candidate; the others count on from it.")] = None
    samples: Annotated[int | None, Parameter(name=["--samples", "--epochs"], help=SAMPLES)] = None
    temperature: Annotated[float | None, Parameter(help="The model's sampling temperature.")] = None
    max_tokens: Annotated[int | None, Parameter(help="The longest answer, in tokens.")] = None
    stop: Annotated[Words, Parameter(help="Texts that end the answer.")] = None
    base_url: Annotated[str | None, Parameter(help="The endpoint's address, as in http://localhost:8000/v1.")] = None
    api: Annotated[
        Literal["responses", "chat", "completions"] | None, Parameter(help="How the model is asked there.")
    ] = None
    concurrency: Annotated[
        int | None, Parameter(name=["--concurrency", "--max-connections"], help="Steps under way at once.")
    ] = None
    max_cost: Annotated[
        float | None, Parameter(help="US dollars; the run stops, resumably, before it would spend more.")
    ] = None
    name: Annotated[
        str | None, Parameter(help="What to call the run; running it again under another name renames it.")
    ] = None
    tags: Annotated[
        list[str] | None,
        Parameter(name="--tag", negative="", help="A word to find the run by; repeat it for more."),
    ] = None

    def of_model(self) -> dict[str, Any]:
        """Return the options of the model that were given."""
        named = ("temperature", "max_tokens", "stop", "base_url", "api")
        return {name: value for name in named if (value := getattr(self, name)) is not None}


attrs.resolve_types(Options, include_extras=True)  # what inherits the fields is read in a module of its own


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Fields:
    """Which fields of the rows make a case."""

    input_field: Annotated[str | None, Parameter(help="The field with the question, if it is not 'input'.")] = None
    expected_field: Annotated[
        str | None, Parameter(help="The field with the reference, if it is not 'expected_output'.")
    ] = None
    id_field: Annotated[str | None, Parameter(help="The field with the case's id, if it is not 'case_id' or 'id'.")] = (
        None
    )
    metadata_field: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="A field to keep as the cases' metadata, such as one for --by; of a file all others if not given.",
        ),
    ] = None

    def of_rows(self, *metadata: str) -> CaseFields:
        """Return the fields; as metadata these, unless others are named."""
        from themis.effects.sources.files import CaseFields

        kept = tuple(self.metadata_field or metadata)
        return CaseFields(input=self.input_field, expected=self.expected_field, case_id=self.id_field, metadata=kept)


AS_USUAL: Final = Fields()


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Changes(Options):
    """Options that change an experiment without touching its file."""

    store: Annotated[
        str | None,
        Parameter(
            name="--store",
            help=f"Keep the run here: a SQLite file, or kind:place; {DEFAULT_STORE} if the config says nothing.",
        ),
    ] = None

    def overrides(self) -> list[str]:
        """Return the options that a config has a key for, as overrides."""
        keys = {
            **{f"generation.generator.{name}": value for name, value in self.of_model().items()},
            "generation.candidate_policy.num_samples": self.samples,
            "runtime.max_concurrent_tasks": self.concurrency,
            "runtime.max_cost": self.max_cost,
        }
        return [f"{key}={json.dumps(value)}" for key, value in keys.items() if value is not None]

    def load(self, config: Path, overrides: tuple[str, ...]) -> Any:
        """Return the experiment of a config with these changes; without a storage it is kept where quick-eval's are."""
        from themis.api.config.read import read_config
        from themis.api.experiment.experiment import Experiment
        from themis.pure.plan import candidate_count

        storage = storage_of(DEFAULT_STORE)
        experiment = read_config(Experiment, config, [*overrides, *self.overrides()], storage)
        changes: dict[str, Any] = {}
        if self.limit is not None:
            changes["datasets"] = [limited(dataset, self.limit) for dataset in experiment.datasets]
        if self.seed is not None:
            count = candidate_count(experiment.generation.candidate_policy)
            changes["seeds"] = range(self.seed, self.seed + count)
        if self.store is not None:
            changes["storage"] = storage_of(self.store)
        if self.name is not None:
            changes["name"] = self.name
        if self.tags:
            changes["tags"] = (*experiment.tags, *self.tags)
        return experiment.evolve(**changes)


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class ByMany:
    """Options that have many workers do a run."""

    engine: Annotated[
        Literal["processes", "dask", "ray"] | None,
        Parameter(
            help="Who does the cases: workers in 'processes' of this machine, of 'dask' or of 'ray'. The store "
            "must be a PostgreSQL one. By default this process does."
        ),
    ] = None
    workers: Annotated[
        int | None, Parameter(help="Workers that the engine starts; as many as there are processors if not given.")
    ] = None
    address: Annotated[
        str | None,
        Parameter(help="A cluster that runs already: tcp://scheduler:8786 of Dask, ray://head:10001 of Ray."),
    ] = None
    segment_size: Annotated[int | None, Parameter(help="How many cases a worker takes at a time.")] = None

    def chosen(self) -> WorkEngine | None:
        """Return the engine that is meant, if any.

        Raises:
            SpecError: options of an engine are given, and none is.
            MissingExtraError: what it needs is not installed.
        """
        from themis.api.experiment.many.engines import engine_named
        from themis.pure.errors import SpecError

        if self.engine is not None:
            return engine_named(self.engine, workers=self.workers, address=self.address)
        given = {"--workers": self.workers, "--address": self.address, "--segment-size": self.segment_size}
        if any(value is not None for value in given.values()):
            names = " and ".join(name for name, value in given.items() if value is not None)
            raise SpecError(f"{names}: this process does all by itself; name who does the cases with --engine")
        return None


ONE_PROCESS: Final = ByMany()


def read_prompt(text: str | None) -> PromptSpec | None:
    """Return the prompt that `--prompt` names: a template, or a file."""
    from themis.api.config.read import as_prompt

    return as_prompt(Path(text[1:]) if text is not None and text.startswith("@") else text)


NO_CHANGES: Final = Changes()


_PRICE: Final = re.compile(r"(.+)=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)")


def read_prices(texts: list[str] | None) -> dict[str, dict[str, float]]:
    """Return the prices that `--price` states.

    Raises:
        SpecError: one is not of that form; all such at once.
    """
    from themis.pure.errors import SpecError, listed

    prices, faults = dict[str, dict[str, float]](), list[str]()
    for text in texts or ():
        found = _PRICE.fullmatch(text)
        if found is None:
            faults.append(f"MODEL=PROMPT,ANSWER expected, as in vllm/mine=0.1,0.4; found {text!r}")
        else:
            prices[found[1]] = {"prompt": float(found[2]), "completion": float(found[3])}
    if faults:
        raise SpecError(listed("--price", faults))
    return prices


def report_at(text: str | None, answers: int) -> tuple[int, ...] | None:
    """Return the k that `--report-at` names, of a run with so many answers a case.

    Raises:
        SpecError: it is no list of numbers, or one of them exceeds the answers of a case.

    >>> report_at("4,1", 8)
    (1, 4)
    """
    from themis.pure.errors import DataError, SpecError
    from themis.pure.stats.several import checked_at

    if text is None:
        return None
    try:
        return checked_at([int(part) for part in text.split(",")], answers)
    except DataError as error:
        raise SpecError(f"--report-at {text}: {error}") from None
    except ValueError:
        raise SpecError(f"--report-at {text}: numbers expected, as in 1,4,8") from None


def engine_of(correction: Literal["cr1", "cr2"]) -> StatsEngine:
    """Return the statistics that `--correction` asks for."""
    from themis.pure.stats.engine import StatsEngine

    return StatsEngine(correction="CR1" if correction == "cr1" else "CR2")


def read_until(texts: list[str] | None) -> tuple[UntilStage, StoppingRule | None]:
    """Return the last stage and the rule that `--until` names.

    Raises:
        SpecError: it is neither, or there are several of one kind.

    >>> stage, rule = read_until(["exact_match>=0.8"])
    >>> stage, str(rule)
    ('judge', 'exact_match>=0.8')
    """
    from themis.pure.errors import SpecError, nearest
    from themis.pure.records.stopping import EXAMPLE, read_rule

    stages = [text for text in texts or () if text in get_args(UntilStage)]
    rules = [text for text in texts or () if text not in stages]
    for text in rules:
        if not any(sign in text for sign in "<>="):
            stage = nearest(text, get_args(UntilStage))
            raise SpecError(f"--until {text}: a stage, or a rule such as {EXAMPLE}, expected; of the stages: {stage}")
    if len(rules) > 1:
        raise SpecError(f"--until: one rule decides when a run stops, found {len(rules)}; gate the others by --require")
    if len(stages) > 1:
        raise SpecError(f"--until: one last stage expected, found {', '.join(stages)}")
    last: Any = stages[0] if stages else "judge"
    return last, read_rule(rules[0]) if rules else None


def read_grid(texts: list[str]) -> dict[str, list[Any]]:
    """Return the options that `--grid` names, each with its values.

    Raises:
        SpecError: a text is not of that form, or an option comes twice; all at once.

    >>> read_grid(["temperature=0,0.5", "stop=[a, b],none"])
    {'temperature': [0, 0.5], 'stop': [['a', 'b'], 'none']}
    """
    from themis.api.config.files import read_value
    from themis.pure.errors import SpecError, listed

    found, faults = dict[str, list[Any]](), list[str]()
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not name or not equals or not values:
            faults.append(f"NAME=VALUE,VALUE expected, as in temperature=0,0.5,1; found {text!r}")
        elif name in found:
            faults.append(f"{name} is given twice; list its values together")
        else:
            found[name] = [read_value(value) for value in _split(values)]
    if faults:
        raise SpecError(listed("--grid", faults))
    return found


def _split(values: str) -> list[str]:
    """Split at commas that stand in no brackets and no quotes."""
    depth, quote, parts = 0, "", [""]
    for character in values:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def with_rule(experiment: Any, rule: StoppingRule | None) -> Any:
    """Return an experiment that this rule may end early; without one it is as it was."""
    return experiment if rule is None else experiment.evolve(evaluation=experiment.evaluation.evolve(until=rule))


_STORE_VARIABLE: Final = "THEMIS_STORE"


def storage_of(text: str) -> StorageConfig:
    """Return the store that `--store` names.

    >>> storage_of("runs/a.sqlite3").parameters
    {'path': 'runs/a.sqlite3'}
    >>> storage_of("jsonl:runs/log").store
    'jsonl'
    """
    from themis.api.stores import as_storage
    from themis.pure.security import find_secrets

    storage = as_storage(text, "--store")
    if storage.store == "postgres" and text == os.environ.get(_STORE_VARIABLE) and any(find_secrets(text)):
        # Where a run is stored is stored with it: the variable's name, and not the password that it holds.
        return storage.evolve(parameters={"dsn": f"${{oc.env:{_STORE_VARIABLE}}}"})
    return storage


def stored(text: str) -> RunStore:
    """Open a store to read from, and close it when the command ends: it must be there.

    Raises:
        StoreError: there is none at that place.
    """
    from themis.api.stores import open_existing

    return closed_at_the_end(open_existing(storage_of(text)))


def stored_run(text: str, run: str) -> tuple[RunStore, str]:
    """Open the store that holds a run, and return it with the run's whole id."""
    from themis.api.stores import find_run

    store = stored(text)
    return store, find_run(store, run)


def closed_at_the_end(store: RunStore) -> RunStore:
    from themis.api.cli import at_the_end

    at_the_end.callback(store.close)
    return store


def limited(dataset: Dataset, limit: int) -> Dataset:
    """Return a dataset's first cases; a file is still read as needed.

    Raises:
        SpecError: the limit is below 1.
    """
    from themis.effects.sources.files import FileCases
    from themis.pure.errors import SpecError

    if limit < 1:
        raise SpecError(f"limit: a number from 1 up expected, found {limit}")
    cases = dataset.cases
    if isinstance(cases, FileCases):
        fewer = limit if cases.limit is None else min(limit, cases.limit)
        return dataset.evolve(cases=FileCases(cases.path, cases.fields, fewer, cases.stated_kind))
    return dataset.evolve(cases=tuple(itertools.islice(cases, limit)))
