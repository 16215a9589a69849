"""Thousands of cases against an endpoint that does to most of them whatever an endpoint can: each ends as it must."""

from __future__ import annotations

import random
from collections import Counter

import attrs
from tests.hardening.conftest import Report, part_of
from tests.hardening.faults import KINDS, Ending

from themis import Dataset, EvaluationConfig, Experiment, GenerationConfig, InMemoryRunStore, RuntimeConfig, adapters
from themis.api.experiment.verify import verify
from themis.core import RunResult, Score
from themis.testing.endpoint import Answer, FakeEndpoint, Play, Request

CASES = part_of(3_000)
ATTEMPTS = 4
NAMES = tuple(KINDS)


@attrs.define
class Script:
    """Which case meets which fault: the same in every run. It counts what it played, and how often a case was asked."""

    seed: int
    is_over: bool = False
    """Whether the endpoint does all right by now."""
    played: Counter[str] = attrs.field(factory=Counter)
    asked: Counter[int] = attrs.field(factory=Counter)

    def draw(self, case: int) -> tuple[str | None, bool]:
        """Return the kind of fault that a case meets, if any, and whether at every attempt."""
        drawn = random.Random(f"{self.seed} {case}")
        kind = NAMES[drawn.randrange(len(NAMES))] if drawn.random() < 0.5 else None
        return kind, drawn.random() < 0.1

    def ending(self, case: int) -> Ending:
        kind, always = self.draw(case)
        if kind is None:
            return "harmless"
        _, ending = KINDS[kind]
        return "failed" if ending == "retried" and always else ending

    def __call__(self, request: Request) -> Play:
        case = int(request.json()["messages"][0]["content"].split()[-1])
        self.asked[case] += 1
        kind, always = self.draw(case)
        if self.is_over or kind is None or (self.asked[case] > 1 and not always):
            return Answer()
        self.played[kind] += 1
        return KINDS[kind][0]


def experiment(base_url: str) -> Experiment:
    model = adapters.openai("tiny", base_url=base_url, total_timeout_s=5, max_bytes=1 << 20)
    rows = [
        {"case_id": f"{i}", "input": f"question {i}", "expected_output": f"echo: question {i}"} for i in range(CASES)
    ]
    return Experiment(
        generation=GenerationConfig(generator=model),
        evaluation=EvaluationConfig(metrics="builtin/exact_match"),
        datasets=Dataset(dataset_id="d", cases=rows),
        runtime=RuntimeConfig(generation_retry_attempts=ATTEMPTS, generation_retry_delay=0.001),
    )


def check(result: RunResult, script: Script) -> Counter[str]:
    """Hold every case to the ending of its fault; return how many there were of each."""
    endings: Counter[str] = Counter()
    for number, case in enumerate(result.cases):
        assert case.case_id == str(number)
        ending, failures = script.ending(number), case.generation_failures
        where = f"case {number}, {script.draw(number)}: {failures}"
        assert bool(failures) == (ending == "failed"), where
        assert all(failure.error_message for failure in failures), where
        if not failures:
            (score,) = case.scores
            assert isinstance(score, Score), where
            assert score.value == float(ending != "taken"), where
        endings[ending] += 1
    return endings


def test_an_endpoint_with_every_fault(rng: random.Random, report: Report) -> None:
    seed = rng.getrandbits(32)
    failed = Counter(number for number in range(CASES) if Script(seed).ending(number) == "failed")
    digests, endings, played = set(), Counter[str](), Counter[str]()
    for _ in range(2):
        script, store = Script(seed), InMemoryRunStore()
        with FakeEndpoint(script=lambda request: script(request)) as endpoint:  # noqa: B023  # used in this turn alone
            made = experiment(endpoint.base_url)
            result = made.run(store=store)
            endings, played = check(result, script), script.played
            assert verify(store, result.run_id, experiment=made).ok
            script = Script(seed, is_over=True)
            resumed = made.run(store=store)
            assert script.asked == failed, "what had an answer was asked again, or what had none was not"
            assert not any(case.generation_failures for case in resumed.cases)
            assert verify(store, result.run_id, experiment=made).ok
            assert made.replay(stage="parse", store=store).digest == resumed.digest
            assert script.asked == failed
        digests.add(resumed.digest)
    assert len(digests) == 1
    assert set(played) == set(KINDS) or CASES < 3000
    assert endings.total() == CASES
    report(
        "an endpoint with every fault",
        f"{CASES:,} cases, {played.total():,} faults of {len(played)} kinds: {endings['retried']} right after another "
        f"try, {endings['taken']} with the odd answer that was sent, {endings['failed']} failed as stated, all others "
        f"right; verified; resumed with {len(failed)} calls, one for each that failed; replayed; the same digest in a "
        "second run",
    )
