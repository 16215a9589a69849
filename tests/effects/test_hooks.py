"""Subscribers are told everything and can change nothing; spans nest rightly, whatever runs side by side."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio

from themis import Case, InMemoryRunStore, RuntimeConfig
from themis.core import GenerateContext, GenerationResult, RunEvent, StoredEvent
from themis.effects import engine, hooks
from themis.effects.hooks import HookWarning
from themis.effects.host import run_async
from themis.pure.errors import SpecError, StoreError
from themis.testing.pipelines import Pipeline

PIPELINE = Pipeline(
    cases=4,
    samples=2,
    generator=("right",),
    reducer=("right",),
    parser=("right",),
    metrics=(("right",),),
    judge=("right",),
)
HOOKS = [
    f"{when}_{stage}" for stage in ("generate", "reduce", "parse", "score", "judge") for when in ("before", "after")
]


class Everything:
    """Implements every hook by counting."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        if name not in HOOKS and name != "on_event":
            raise AttributeError(name)
        return lambda *args: self.counts.update([name])


def test_every_hook_is_called_for_every_step() -> None:
    told = Everything()
    store = InMemoryRunStore()
    result = PIPELINE.experiment().run(store=store, subscribers=[told])
    assert told.counts.pop("on_event") == store.head(result.run_id).count
    assert told.counts == {hook: 8 if hook.endswith("generate") else 4 for hook in HOOKS}


def test_the_hooks_are_those_of_the_protocol() -> None:
    assert set(HOOKS) | {"on_event"} == set(hooks.HOOKS)


class Generated:
    """Is told of results, without their cases."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def after_generate(self, result: GenerationResult, ctx: GenerateContext) -> None:
        self.told.append((result.candidate_id, ctx.candidate_id))


class GeneratedWithCase(Generated):
    """Is told of results with their cases, and takes something of its own."""

    async def after_generate(  # type: ignore[override]  # the longer form of the same hook
        self, case: Case, result: GenerationResult, ctx: GenerateContext, note: str = ""
    ) -> None:
        assert case.case_id == ctx.case_id
        super().after_generate(result, ctx)


class GeneratedAnyhow(Generated):
    """Takes whatever there is."""

    def after_generate(self, *told: Any) -> None:
        _, result, ctx = told
        super().after_generate(result, ctx)


def test_after_generate_is_called_with_the_case_or_without_it() -> None:
    subscribers = [Generated(), GeneratedWithCase(), GeneratedAnyhow()]
    PIPELINE.experiment().run(subscribers=subscribers)
    for told in subscribers:
        assert len(told.told) == 8
        assert all(candidate == said for candidate, said in told.told)


class Misled:
    """Has a method that is named like a hook, and a hook that can't be called."""

    on_event = None
    before_judge = "later"

    def after_generation(self, result: object, ctx: object) -> None: ...

    def before_parses(self, ctx: object) -> None: ...

    def after_score(self, score: object) -> None: ...

    def after_generate(self, result: object) -> None: ...

    def _on_close(self) -> None: ...


def test_what_would_never_be_called_is_refused_by_name_before_the_run() -> None:
    store = InMemoryRunStore()
    with pytest.raises(SpecError) as caught:
        PIPELINE.experiment().run(store=store, subscribers=[Misled(), object(), OnlyParse])
    assert str(caught.value).splitlines() == [
        "subscribers; 7 problems:",
        "  - Misled.after_generation: there is no such hook; did you mean after_generate or before_generate?",
        "  - Misled.before_parses: there is no such hook; did you mean before_parse or before_score or before_reduce?",
        "  - Misled.after_generate: it is called with (case, result, ctx) or (result, ctx), and takes (result)",
        "  - Misled.after_score: it is called with (score, ctx), and takes (score)",
        "  - Misled.before_judge: it is called with (subject, ctx), and takes no call",
        f"  - object has none of the hooks {', '.join(hooks.HOOKS)}",
        "  - OnlyParse is a class; give an object of it, such as OnlyParse()",
    ]
    assert not list(store.list_runs())
    with pytest.raises(SpecError, match="subscribers: a list expected, found Everything"):
        PIPELINE.experiment().run(store=store, subscribers=Everything())  # type: ignore[arg-type]  # that is the test


class OnlyParse:
    """Implements a subset, async."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    async def after_parse(self, parsed: Any, ctx: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.values.append(parsed.value)


def test_a_subset_of_hooks_may_be_async() -> None:
    told = OnlyParse()
    PIPELINE.experiment().run(subscribers=[told])
    assert sorted(told.values) == [f"answer {i}" for i in range(4)]


class Raising:
    """Raises from every hook it has."""

    def before_generate(self, *_: object) -> None:
        raise RuntimeError("not today")

    async def on_event(self, event: RunEvent) -> None:
        raise RuntimeError("nor tomorrow")


def test_what_a_subscriber_raises_is_reported_and_changes_nothing() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = PIPELINE.experiment().run(subscribers=[Raising()])
    assert all(warning.category is HookWarning for warning in caught)
    told = {str(warning.message) for warning in caught}
    assert told == {
        "Raising.before_generate raised RuntimeError: not today; the run goes on",
        "Raising.on_event raised RuntimeError: nor tomorrow; the run goes on",
    }
    plain = PIPELINE.experiment().run()
    assert (result.digest, result.run_id) == (plain.digest, plain.run_id)


class Escaping:
    """Lets something escape from `on_event` once it was told of the event of this number."""

    def __init__(self, error: BaseException | None, number: int) -> None:
        self.error = error
        self.left = number

    async def before_generate(self, *_: object) -> None:
        await trio.sleep(0.1)  # so that the first event is told before there is a second

    def on_event(self, event: RunEvent) -> None:
        self.left -= 1
        if not self.left:
            if self.error is None:
                warnings.warn("a subscriber's own", UserWarning, stacklevel=1)
            else:
                raise self.error


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), RuntimeError("as an error"), None])
@pytest.mark.parametrize("at", ["first", "last"])
@pytest.mark.filterwarnings("error")
def test_what_escapes_from_on_event_ends_the_run_with_everything_stored(error: BaseException | None, at: str) -> None:
    store, whole = InMemoryRunStore(), InMemoryRunStore()
    told = Everything()
    complete = PIPELINE.experiment().run(store=whole, subscribers=[told])
    number = told.counts["on_event"] if at == "last" else 1
    experiment = PIPELINE.experiment()
    # A warning that is an error is one of the subscriber's own or, where it raised, of ours about it.
    expected = type(error) if error is not None and not isinstance(error, Exception) else HookWarning
    with pytest.raises(expected):
        experiment.run(store=store, subscribers=[Escaping(error, number)])
    kinds = [event.event_type for event in store.events(complete.run_id)]
    assert kinds[-1] == ("run_completed" if at == "last" else "run_failed")
    assert experiment.run(store=store).digest == complete.digest


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_a_run_that_is_stopped_does_not_wait_for_ever_for_its_subscribers(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LAST_HOOKS", 0.05)
    store = InMemoryRunStore()
    experiment = PIPELINE.experiment()

    class Stuck:
        async def on_event(self, event: RunEvent) -> None:
            await trio.sleep_forever()

        async def after_generate(self, *_: object) -> None:
            await trio.sleep_forever()

    async def main() -> None:
        with trio.fail_after(20), trio.move_on_after(0.1) as scope:
            await experiment.run_async(store=store, subscribers=[Stuck()])
        assert scope.cancelled_caught

    with pytest.warns(HookWarning, match="on_event of Stuck did not come back within 0.05 s of the run's stop"):
        trio.run(main) if loop == "trio" else asyncio.run(run_async(main))
    assert [event.event_type for event in store.events(experiment.compile().run_id)][-1] == "run_failed"


class FailingStore(InMemoryRunStore):
    """Never writes."""

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        raise OSError("full")


def test_no_event_is_told_before_it_is_durable() -> None:
    told = Everything()
    experiment = PIPELINE.experiment(runtime=RuntimeConfig(store_retry_attempts=1))
    with pytest.raises(StoreError):
        experiment.run(store=FailingStore(), subscribers=[told])
    assert "on_event" not in told.counts
    assert told.counts["before_generate"] > 0


def test_spans_nest_under_the_run_and_close_with_their_status() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from themis.effects.tracing_otel import OpenTelemetryProvider

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    pipeline = Pipeline(
        cases=5,
        samples=2,
        generator=("right", "raise"),
        reducer=("right",),
        parser=None,
        metrics=(("right",),),
        judge=("right",),
    )
    result = pipeline.experiment([3, 0, 5]).run(tracing_provider=OpenTelemetryProvider(provider))
    spans = exporter.get_finished_spans()
    (run,) = [span for span in spans if span.name == "run"]
    names = Counter(span.name for span in spans)
    generated = sum(len(case.generated_candidates) for case in result.cases)
    assert names["generation"] == 10
    assert names["run"] == 1
    assert names["score"] == names["judge"] == names["reduction"]
    judges = {span.context.span_id for span in spans if span.name == "judge" and span.context is not None}
    assert names["judge_call"] >= 1
    for span in spans:
        if span.name == "judge_call":
            assert span.parent is not None
            assert span.parent.span_id in judges
        elif span is not run:
            assert span.parent is not None
            assert span.parent.span_id == run.context.span_id
            named = {name for name in span.attributes or {} if not name.startswith("gen_ai.")}
            assert named <= {"themis.run_id", "themis.case_key", "themis.metric_id", "error.type"}
    errors = [span for span in spans if span.status.status_code.name == "ERROR"]
    assert len(errors) == 10 - generated
    provider.shutdown()
