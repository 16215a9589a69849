"""Bundles through the doors: into every kind of store, through files, all or nothing, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from themis import InMemoryRunStore, Reporter, RunResult, RunStore, evaluate, verify
from themis.api.bundles.files import import_bundle_file, write_bundle
from themis.api.bundles.transfer import (
    export_evaluation_bundle,
    export_generation_bundle,
    export_parse_bundle,
    export_reduction_bundle,
    export_score_bundle,
    import_bundle,
    import_evaluation_bundle,
    import_generation_bundle,
    import_parse_bundle,
    import_reduction_bundle,
    import_score_bundle,
)
from themis.api.runs.inspect import get_execution_state
from themis.pure.bundles.records import KINDS, Bundle, BundleKind
from themis.pure.errors import DataError, InvalidRecordError, LiteralSecretError, RunLockedError, SchemaVersionError
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    GenerationCompletedEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    RunCompletedEvent,
    RunEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
    StepCompletedEvent,
    StepEvent,
    event_from_dict,
)
from themis.pure.json import decode, encode
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.stored import ChainHead
from themis.testing.pipelines import Pipeline

from .conftest import STORES, is_untouched
from .drawn import JUDGED, PLAIN, UNTIL, Drawn, drawn, states_of, without

ORDER = [*UNTIL.values()].index
RESTING_ON: dict[type[RunEvent], tuple[type[RunEvent], ...]] = {
    EvaluationCompletedEvent: (),
    SelectionCompletedEvent: (
        SelectionFailedEvent,
        ReductionCompletedEvent,
        ReductionFailedEvent,
        ParseCompletedEvent,
        ParseFailedEvent,
        ScoreCompletedEvent,
        ScoreFailedEvent,
        EvaluationCompletedEvent,
        EvaluationFailedEvent,
    ),
}
EXPORTS: dict[BundleKind, Callable[[RunStore, str], Bundle]] = {
    "generation": export_generation_bundle,
    "reduction": export_reduction_bundle,
    "parse": export_parse_bundle,
    "score": export_score_bundle,
    "evaluation": export_evaluation_bundle,
}
IMPORTS: dict[BundleKind, Callable[[RunStore, Any], None]] = {
    "generation": import_generation_bundle,
    "reduction": import_reduction_bundle,
    "parse": import_parse_bundle,
    "score": import_score_bundle,
    "evaluation": import_evaluation_bundle,
}


def seen(store: RunStore, run_id: str, made: Drawn) -> tuple[object, ...]:
    """Return everything that must be the same: states, results, report, verification."""
    result = RunResult(snapshot=store.load_snapshot(run_id), store=store)
    found = verify(store, run_id, experiment=made.experiment())
    assert found.ok, found
    report = json.loads(Reporter(store).export_json(run_id))
    usage = result.usage.stages
    if made.stops:  # attempts that were made good are not handed on, nor what they used
        del report["costs"]
        usage = ()
    return states_of(store, run_id), result.digest, result.status, report, found.verdict, found.recomputed, usage


def part_of(made: Drawn, kind: BundleKind) -> Drawn:
    """Return the run without attempts that went further than a kind of bundle, and without what that leaves out."""
    pipeline = attrs.evolve(made.pipeline, execution=None) if kind == "score" else made.pipeline
    stops = tuple(stop for stop in made.stops if ORDER(stop) < ORDER(UNTIL[kind]))
    return attrs.evolve(made, pipeline=pipeline, stops=stops)


# --- from store to store ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)  # of each kind and store
@given(made=drawn())
def test_what_is_imported_is_the_run(
    kind: BundleKind, name: str, made: Drawn, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, there = InMemoryRunStore(), STORES[name](tmp_path_factory.mktemp("store"))
    made = part_of(made, kind)
    run_id = made.run(here, UNTIL[kind]).run_id
    bundle = EXPORTS[kind](here, run_id)
    IMPORTS[kind](there, bundle)
    assert seen(there, run_id, made) == seen(here, run_id, made)
    assert EXPORTS[kind](there, run_id) == bundle
    before = there.head(run_id)
    IMPORTS[kind](there, bundle)
    assert there.head(run_id) == before
    there.close()


@given(drawn(), st.sampled_from(KINDS))
def test_a_part_of_a_run_is_what_was_stored_when_it_was_that_far(made: Drawn, kind: BundleKind) -> None:
    made = attrs.evolve(part_of(made, kind), stops=())
    so_far, whole, there = InMemoryRunStore(), InMemoryRunStore(), InMemoryRunStore()
    run_id = made.run(so_far, UNTIL[kind]).run_id
    made.run(whole)
    import_bundle(there, EXPORTS[kind](whole, run_id))
    found = [RunResult(snapshot=place.load_snapshot(run_id), store=place).digest for place in (so_far, there)]
    assert found[0] == found[1]


@given(drawn(), st.sampled_from(KINDS))
def test_a_run_goes_on_from_a_bundle_and_asks_nothing_again(made: Drawn, kind: BundleKind) -> None:
    here, there = InMemoryRunStore(), InMemoryRunStore()
    whole = made.run(here)
    import_bundle(there, EXPORTS[kind](here, whole.run_id))
    again = attrs.evolve(made, stops=()).experiment()
    result = again.run(store=there)
    assert result.digest == whole.digest
    failed = {f"{c.case_key}/{f.candidate_index}" for c in whole.cases for f in c.generation_failures}
    generator: Any = again.generation.generator
    assert set(generator.seen) == failed
    if kind == "evaluation" and not made.pipeline.judges_selection:  # its calls have the names of others
        states = states_of(here, whole.run_id)
        answered = {f"{state.case_key}/{step.step_id}" for state in states for step in state.steps.values()}
        judges: Any = again.evaluation.judge_models
        assert not answered & {prompt.partition(" ")[0] for judge in judges for prompt in judge.seen}


@example(Drawn(JUDGED), EvaluationCompletedEvent)
@given(drawn(), st.sampled_from([EvaluationCompletedEvent, SelectionCompletedEvent]))
def test_a_workflow_that_was_interrupted_goes_on_from_its_answers(made: Drawn, outcome: type[RunEvent]) -> None:
    whole = InMemoryRunStore()
    run_id = made.run(whole).run_id
    here, there = without(whole, run_id, outcome, *RESTING_ON[outcome]), InMemoryRunStore()
    bundle = export_evaluation_bundle(here, run_id)
    import_bundle(there, bundle)
    assert states_of(there, run_id) == states_of(here, run_id)
    assert export_evaluation_bundle(there, run_id) == bundle
    assert import_bundle(there, bundle) == 0
    digests = [made.run(place).digest for place in (here, there)]
    assert digests[0] == digests[1] == RunResult(snapshot=whole.load_snapshot(run_id), store=whole).digest


@given(drawn(), st.sampled_from(["reduce", "parse", "score", "judge"]))
def test_an_imported_run_is_replayed_like_a_local_one(made: Drawn, stage: Any) -> None:
    made = attrs.evolve(made, pipeline=attrs.evolve(made.pipeline, generator=("right",)), connection=("fine",))
    here, there = InMemoryRunStore(), InMemoryRunStore()
    run_id = made.run(here).run_id
    import_bundle(there, export_evaluation_bundle(here, run_id))
    replayed = [made.experiment().replay(stage=stage, store=place).digest for place in (here, there)]
    assert replayed[0] == replayed[1]
    import_bundle(there, export_evaluation_bundle(here, run_id))
    assert RunResult(snapshot=there.load_snapshot(run_id), store=there).digest == replayed[0]


def test_another_experiment_reuses_imported_generations(store: RunStore) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    import_generation_bundle(store, export_generation_bundle(here, run_id))
    other = attrs.evolve(PLAIN, metrics=(("error",),)).experiment()
    result = other.replay(stage="score", store=store)
    assert result.run_id != run_id
    assert not other.generation.generator.calls.counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_says_what_its_run_is_called_and_how_it_was_set(
    store: RunStore, kind: BundleKind, tmp_path: Path
) -> None:
    source = InMemoryRunStore()
    rows = [{"input": "1+1", "expected_output": "2"}]
    *_, made = [
        evaluate(model="builtin/demo_model", data=rows, metric="exact_match", store=source, name=name, tags=tags)
        for name, tags in (("first", ["a"]), (None, ["b"]), ("last", ["a"]))
    ]
    write_bundle(source, made.run_id, kind, tmp_path / "bundle.json")
    import_bundle_file(store, tmp_path / "bundle.json")
    (line,) = store.list_runs()
    assert (line.name, line.tags, line.settings) == ("last", ("a", "b"), {"error_rate": 0.25})
    assert store.load_snapshot(made.run_id).descriptions == made.snapshot.descriptions
    assert verify(store, made.run_id).ok or kind in ("generation", "reduction", "parse")


def test_large_artifacts_are_blobs_again(store: RunStore, tmp_path: Path) -> None:
    experiment = JUDGED.experiment()
    cases = [case.evolve(expected_output="x" * 100_000) for case in experiment.datasets[0].cases]
    experiment = experiment.evolve(datasets=experiment.datasets[0].evolve(cases=cases))
    here = InMemoryRunStore()
    whole = experiment.run(store=here)
    bundle = export_evaluation_bundle(here, whole.run_id)
    refs = {getattr(event, "result_blob_ref", None) for event in bundle.upstream} - {None}
    assert refs
    path = write_bundle(here, whole.run_id, "evaluation", tmp_path / "large.json.gz")
    import_bundle_file(store, path)
    assert all(len(store.blob(ref)) > 100_000 for ref in refs if ref)
    assert RunResult(snapshot=store.load_snapshot(whole.run_id), store=store).digest == whole.digest
    assert verify(store, whole.run_id, experiment=experiment).ok
    assert export_evaluation_bundle(store, whole.run_id) == bundle


def test_a_small_artifact_is_no_blob_whatever_its_name_in_the_bundle(store: RunStore) -> None:
    here = InMemoryRunStore()
    whole = PLAIN.experiment().run(store=here)
    bundle = export_generation_bundle(here, whole.run_id)
    named = [
        record.evolve(result_blob_ref=hashlib.sha256(encode(record.result)).hexdigest())
        for record in bundle.records
        if isinstance(record, GenerationCompletedEvent)
    ]
    assert import_bundle(store, bundle.evolve(records=named)) == len(named) + 2
    assert states_of(store, whole.run_id) == states_of(bundle_store(bundle), whole.run_id)
    assert export_generation_bundle(store, whole.run_id) == bundle


def bundle_store(bundle: Bundle) -> RunStore:
    store = InMemoryRunStore()
    import_bundle(store, bundle)
    return store


def test_a_bundle_completes_what_a_store_has_in_part(store: RunStore) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    import_bundle(store, export_generation_bundle(here, run_id))
    assert RunResult(snapshot=store.load_snapshot(run_id), store=store).completed_through_stage == "generate"
    import_bundle(store, export_score_bundle(here, run_id))
    assert seen(store, run_id, Drawn(PLAIN)) == seen(here, run_id, Drawn(PLAIN))
    import_bundle(store, export_generation_bundle(here, run_id))
    assert RunResult(snapshot=store.load_snapshot(run_id), store=store).completed_through_stage == "judge"


def test_a_run_that_took_something_in_records_its_end_anew(store: RunStore) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    interrupted = without(here, run_id, EvaluationCompletedEvent, StepCompletedEvent)
    for place, stage in ((interrupted, "score"), (here, "score"), (here, "judge")):
        bundle = export_evaluation_bundle(place, run_id).evolve(completed_through_stage=stage)
        assert import_bundle(store, bundle) > 0
        *_, last = store.events(run_id)
        event = event_from_dict(decode(last.payload))
        assert isinstance(event, RunCompletedEvent)
        assert event.completed_through_stage == stage
        assert event.event_count == last.sequence == store.head(run_id).count
        assert import_bundle(store, bundle) == 0
    assert states_of(store, run_id) == states_of(here, run_id)


class Flaky:
    """A parser and a reducer that fail as long as they are told to; that is no part of what they are."""

    component_id = "flaky/both"
    version = "1"
    fails = False

    def fingerprint(self) -> str:
        return "flaky"

    def parse(self, candidate: Any, ctx: Any) -> ParsedOutput:
        if self.fails:
            raise ValueError("not today")
        return ParsedOutput(value=candidate.final_output)

    def reduce(self, candidates: Any, ctx: Any) -> ReducedCandidate:
        if self.fails:
            raise ValueError("not today")
        first = candidates[0]
        return ReducedCandidate(candidate_id=first.candidate_id, final_output=first.final_output)


@pytest.mark.parametrize("stage", ["reduce", "parse"])
def test_a_result_and_the_failure_after_it_are_both_taken(store: RunStore, stage: Any) -> None:
    flaky, experiment, here = Flaky(), PLAIN.experiment(), InMemoryRunStore()
    experiment = experiment.evolve(
        generation=experiment.generation.evolve(reducer=flaky), evaluation=experiment.evaluation.evolve(parsers=flaky)
    )
    experiment.run(store=here)
    flaky.fails = True
    result = experiment.replay(stage=stage, store=here)
    assert result.status == ("completed" if stage == "parse" else "partial_failure")
    bundle = export_score_bundle(here, result.run_id)
    import_bundle(store, bundle)
    import_bundle(store, bundle)
    assert get_execution_state(store, result.run_id).case_states == get_execution_state(here, result.run_id).case_states
    assert RunResult(snapshot=result.snapshot, store=store).digest == result.digest


class BeingWritten(InMemoryRunStore):
    """A store of a run that another process has gone on with since its head was read."""

    read: int | None = None

    def head(self, run_id: str) -> ChainHead:
        return super().head(run_id) if self.read is None else ChainHead(self.read, "")


def test_an_export_is_of_one_moment(store: RunStore) -> None:
    here = BeingWritten()
    run_id = PLAIN.experiment().run(store=here).run_id
    here.read = 5
    bundle = export_score_bundle(here, run_id)
    assert bundle.completed_through_stage is None
    assert bundle.started_at is not None
    assert len([*bundle.events()]) == 4  # and one that is the run's
    import_bundle(store, bundle)


# --- what is forged ---------------------------------------------------------------------------------------

NOT_IN_A_DIGEST: dict[str, set[str]] = {
    "*": {"occurred_at", "schema_version", "cache_hit", "source_run_id", "retry_history"},
    "generation_completed": {"seed", "provider_key"},
    "selection_completed": {"metadata", "execution"},
    "score_failed": {"error"},
    "step_completed": {"metadata"},
    "step_failed": {"step_id", "step_type", "metadata", "error_message"},
    **{
        f"{step}_failed": {"component_id", "error_message", "traceback_digest", "retryable"}
        for step in ("generation", "selection", "reduction", "parse", "evaluation")
    },
}
"""What of an event no result rests on; everything else must be refused, or show in the digest or when verified."""
NEVER_IN_A_DIGEST = {"latency_ms", "duration_ms", "timestamp", "provider_request_id", "retry_history", "cached_tokens"}


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in an event there is a value without parts."""
    items = [*data.items()] if isinstance(data, dict) else [*enumerate(data)] if isinstance(data, list) else []
    return [found for key, item in items for found in leaves(item, (*path, key))] if items else [path]


def forged(event: CaseRunEvent, path: tuple[Any, ...]) -> Any:
    """Return the event with one value changed, of the same type where that can be."""
    data = event.to_dict()
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    old = inner[path[-1]]
    if path == ("occurred_at",):
        inner["occurred_at"] = "2001-02-03T04:05:06+00:00"
    elif isinstance(old, bool):
        inner[path[-1]] = not old
    elif isinstance(old, int | float):
        inner[path[-1]] = old + 1
    else:
        inner[path[-1]] = f"{old}x" if isinstance(old, str) else {"x": 1} if isinstance(old, dict) else ["x"]
        if old is None:
            inner[path[-1]] = "0" * 64
    return event_from_dict(data)


@settings(max_examples=100)
@given(st.data())
def test_no_event_can_be_forged_without_a_trace(data: st.DataObject) -> None:
    made = data.draw(drawn(max_cases=2))
    here, there = InMemoryRunStore(), InMemoryRunStore()
    whole = made.run(here)
    bundle = export_evaluation_bundle(here, whole.run_id)
    events = [*bundle.events()]
    kinds = sorted({event.event_type for event, _ in events})
    kind = data.draw(st.sampled_from(kinds))
    place = data.draw(st.sampled_from([n for n, (event, _) in enumerate(events) if event.event_type == kind]))
    event, key = events[place]
    path = data.draw(st.sampled_from(leaves(event.to_dict())))
    try:
        other = forged(event, path)
    except (InvalidRecordError, SchemaVersionError):
        return  # it is no event any more
    note(f"{kind} {path}")
    tampered = bundle.with_events([*events[:place], (other, key), *events[place + 1 :]])
    try:
        import_bundle(there, tampered)
    except DataError:
        assert is_untouched(there)
    else:
        is_shown = not {*path} & ({*NEVER_IN_A_DIGEST} | NOT_IN_A_DIGEST["*"] | NOT_IN_A_DIGEST.get(kind, set()))
        if is_shown and not of_a_selector(other):
            again = RunResult(snapshot=whole.snapshot, store=there)
            assert again.digest != whole.digest or not verify(there, whole.run_id, experiment=made.experiment()).ok
    with contextlib.suppress(DataError):
        import_bundle(here, tampered)  # whatever becomes of it, no result that is there is changed
    assert RunResult(snapshot=whole.snapshot, store=here).digest == whole.digest


@pytest.mark.parametrize(
    "pipeline",
    [
        attrs.evolve(PLAIN, cases=4, execution=("right", "error")),
        attrs.evolve(PLAIN, cases=4, judge=("right", "wrong")),
    ],
    ids=["sandbox", "judge"],
)
def test_no_step_can_be_forged_without_a_trace(pipeline: Pipeline) -> None:
    made = Drawn(pipeline)
    here = InMemoryRunStore()
    whole = made.run(here)
    bundle = export_evaluation_bundle(here, whole.run_id)
    events = [*bundle.events()]
    found = [(n, event, key) for n, (event, key) in enumerate(events) if isinstance(event, StepCompletedEvent)]
    assert found
    for place, event, key in found:
        for path in leaves(event.to_dict()):
            if {*path} & ({*NEVER_IN_A_DIGEST} | NOT_IN_A_DIGEST["*"] | NOT_IN_A_DIGEST["step_completed"]):
                continue
            there = InMemoryRunStore()
            try:
                other = forged(event, path)
                import_bundle(there, bundle.with_events([*events[:place], (other, key), *events[place + 1 :]]))
            except (DataError, InvalidRecordError, SchemaVersionError):
                continue
            again = RunResult(snapshot=whole.snapshot, store=there)
            assert again.digest != whole.digest or not verify(there, whole.run_id, experiment=made.experiment()).ok, (
                path
            )


def of_a_selector(event: CaseRunEvent) -> bool:
    """Tell whether it is a selector's step: what it chose is in the digest, and what it was told is not checked."""
    return isinstance(event, StepEvent) and event.workflow_id == "scripted/judging_selector"


# --- what is refused --------------------------------------------------------------------------------------


def exported(kind: BundleKind = "score") -> Any:
    here = InMemoryRunStore()
    return EXPORTS[kind](here, PLAIN.experiment().run(store=here).run_id)


def refused(store: RunStore, bundle: Bundle, match: str) -> None:
    with pytest.raises(DataError, match=match):
        import_bundle(store, bundle)
    assert is_untouched(store)
    store.acquire(bundle.run_id)  # the lock was given back
    store.release(bundle.run_id)


def test_a_bundle_that_is_not_its_runs_is_refused_whole(store: RunStore) -> None:
    bundle = exported("generation")
    records, snapshot = bundle.records, bundle.snapshot
    refused(store, bundle.evolve(run_id="0" * 64), "says run 0000")
    stranger = records[1].evolve(case_id="77", case_key="4:made:77")
    refused(store, bundle.evolve(records=[records[0], stranger, records[2]]), "case 4:made:77: the run has no such")
    identity = snapshot.identity.evolve(candidate_policy={"num_samples": 2})
    misnamed = snapshot.evolve(identity=identity).stored_as(bundle.run_id)  # as a store that was edited returns it
    refused(store, bundle.evolve(snapshot=misnamed), "and its snapshot is that of run")
    forged = records[1].evolve(result_blob_ref="0" * 64)
    refused(store, bundle.evolve(records=[records[0], forged, records[2]]), "generation record of case 4:made:1")
    cases = [case.evolve(expected_output="forged") for case in snapshot.datasets[0].cases]
    dataset = snapshot.datasets[0].evolve(cases=cases)
    refused(store, bundle.evolve(snapshot=snapshot.evolve(datasets=[dataset])), "dataset made: its cases are not")
    refused(store, bundle.evolve(snapshot=snapshot.evolve(datasets=[])), "datasets: they are not those")
    refused(store, exported("score").evolve(upstream=()), "import the bundle of the stage before first")
    for stage in ("judge", "parse", "select", "nowhere"):
        refused(store, bundle.evolve(completed_through_stage=stage), f"completed_through_stage: '{stage}' is none that")
    with pytest.raises(DataError, match="ScoreBundle expected, GenerationBundle found"):
        import_score_bundle(store, bundle)


def test_every_fault_is_named_up_to_a_point(store: RunStore) -> None:
    bundle = exported("generation")
    strangers = [bundle.records[0].evolve(case_key=f"4:made:x{i}") for i in range(20)]
    with pytest.raises(DataError) as caught:
        import_bundle(store, bundle.evolve(records=strangers))
    assert str(caught.value).count("the run has no such case") == 10
    assert "and 10 more" in str(caught.value)


def test_a_result_that_the_store_has_otherwise_is_not_changed(store: RunStore) -> None:
    bundle = exported("generation")
    import_bundle(store, bundle)
    head = store.head(bundle.run_id)
    changed = bundle.records[2].evolve(result=bundle.records[2].result.evolve(final_output="another"))
    with pytest.raises(DataError, match="case 4:made:2, candidate 0: the store has another result"):
        import_bundle(store, bundle.evolve(records=[*bundle.records[:2], changed]))
    assert store.head(bundle.run_id) == head


def test_a_run_that_is_being_written_is_left_alone(store: RunStore) -> None:
    bundle = exported()
    store.acquire(bundle.run_id)
    with pytest.raises(RunLockedError):
        import_bundle(store, bundle)
    store.release(bundle.run_id)
    assert is_untouched(store)


def test_a_store_that_fails_half_way_is_left_as_it_was(tmp_path: Path) -> None:
    class Failing(InMemoryRunStore):
        def append(self, *_: Any) -> None:
            raise OSError("disk full")

    store = Failing()
    with pytest.raises(OSError, match="disk full"):
        import_bundle(store, exported())
    assert is_untouched(store)


def test_a_credential_in_a_bundle_is_refused(store: RunStore) -> None:
    bundle = exported()
    key = "sk-" + "proj-" + "a1B2c3D4e5F6g7H8i9J0"
    provenance = bundle.snapshot.provenance.evolve(environment_metadata={"key": key})
    poisoned = bundle.evolve(snapshot=bundle.snapshot.evolve(provenance=provenance))
    with pytest.raises(LiteralSecretError) as caught:
        import_bundle(store, poisoned)
    assert key not in str(caught.value)
    assert is_untouched(store)
