"""Batch endpoints as runs use them, against a loopback server that keeps its batches while clients are killed.

What any of the protocols keeps is asked of each of them in `test_contract.py`, too.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis import RuntimeConfig, StorageConfig, adapters, evaluate
from themis.effects.batching import BatchLog
from themis.pure.batches import BatchItem, BatchRequests, Sighting, Submission
from themis.pure.calls import CallFailed, CallFailure
from themis.pure.errors import SpecError
from themis.pure.json import decode, encode
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.testing.endpoint import Answer, Drop, FakeEndpoint, Play, Reject, Request

CHILD = Path(__file__).parent / "batch_child.py"
CASES = 12
MODELS: Mapping[str, Callable[..., Any]] = {
    "openai": adapters.openai,
    "anthropic": adapters.anthropic,
    "gemini": lambda model, **options: adapters.from_model_string(f"gemini/{model}", **options),
}
every_batch_endpoint = pytest.mark.parametrize("provider", MODELS)
# What submits, polls, and fetches the results; Gemini's come with the batch.
SUBMITS = {"openai": "/batches", "anthropic": "/messages/batches", "gemini": ":batchGenerateContent"}
POLLS = {"openai": "/batches/batch_1", "anthropic": "/messages/batches/msgbatch_1", "gemini": "/batches/g1"}
FETCHES = {"openai": "/files/out-batch_1/content", "anthropic": "/msgbatch_1/results", "gemini": "/batches/g1"}
NAMES = {"openai": "batch_1", "anthropic": "msgbatch_1", "gemini": "batches/g1"}

opened: list[Any] = []


@pytest.fixture(autouse=True)
def _closed_stores() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def rows(count: int = CASES) -> list[dict[str, object]]:
    return [{"case_id": f"c{i}", "input": f"q {i}", "expected_output": f"echo: q {i}"} for i in range(count)]


def run(
    endpoint: FakeEndpoint,
    folder: Path,
    data: list[dict[str, object]] | None = None,
    provider: str = "openai",
    **options: Any,
) -> Any:
    result = evaluate(
        model=MODELS[provider]("tiny", base_url=endpoint.base_url),
        data=data or rows(),
        metric="builtin/exact_match",
        storage=StorageConfig(store="sqlite", parameters={"path": str(folder / "runs.sqlite3")}),
        runtime=RuntimeConfig(
            generation_mode="batch", batch_root=str(folder / "batches"), **{"batch_poll_s": 0.001, **options}
        ),
    )
    opened.append(result.store)
    return result


def submissions(endpoint: FakeEndpoint) -> int:
    return len(endpoint.protocols.batches)


def asked(endpoint: FakeEndpoint, kind: str) -> int:
    return sum(served.request.path.startswith(f"/v1/{kind}") for served in endpoint.log)


def handed_in(endpoint: FakeEndpoint, number: int = -1) -> int:
    return len([*endpoint.protocols.batches.values()][number]["handed_in"])


def only_log(folder: Path) -> BatchLog:
    (path,) = (folder / "batches").iterdir()
    return BatchLog(path)


def counts(result: Any) -> dict[str, int]:
    found: dict[str, int] = result.benchmark.outcome_counts["builtin/exact_match"]
    return found


@every_batch_endpoint
def test_a_run_in_batches_is_the_same_run(tmp_path: Path, provider: str) -> None:
    with FakeEndpoint(batch_polls=3) as endpoint:
        result = run(endpoint, tmp_path / "batch", provider=provider)
        assert (submissions(endpoint), asked(endpoint, "chat")) == (1, 0)
        if provider == "openai":
            case: Any = result.cases[0]
            assert case.generated_candidates[0].artifacts["transport"]["request_id"]
        model = MODELS[provider]("tiny", base_url=endpoint.base_url)
        plain = evaluate(model=model, data=rows(), metric="builtin/exact_match")
    assert counts(result) == {"correct": CASES, "incorrect": 0, "error": 0}
    assert (result.run_id, result.digest) == (plain.run_id, plain.digest)


@every_batch_endpoint
def test_what_is_stored_is_not_asked_again_and_more_cases_are_another_batch(tmp_path: Path, provider: str) -> None:
    with FakeEndpoint() as endpoint:
        run(endpoint, tmp_path, provider=provider)
        assert counts(run(endpoint, tmp_path, provider=provider))["correct"] == CASES
        assert submissions(endpoint) == 1
        run(endpoint, tmp_path, rows(CASES + 3), provider)
        assert handed_in(endpoint) == 3


@every_batch_endpoint
def test_equal_prompts_of_one_seed_are_asked_once(tmp_path: Path, provider: str) -> None:
    data: list[dict[str, object]] = [{**row, "input": "same", "expected_output": "echo: same"} for row in rows(4)]
    with FakeEndpoint() as endpoint:
        assert counts(run(endpoint, tmp_path, data, provider))["correct"] == 4
        assert handed_in(endpoint) == 1


@every_batch_endpoint
def test_a_failed_request_is_a_failed_case_and_a_later_run_asks_for_it_alone(tmp_path: Path, provider: str) -> None:
    class StumbleError(Exception):
        pass

    fails = True

    def answer(prompt: str, body: Any) -> str:
        if fails and prompt == "q 3":
            raise StumbleError
        return "REFUSE" if prompt == "q 4" else f"echo: {prompt}"

    with FakeEndpoint(answer=answer) as endpoint:
        complete = endpoint.protocols._complete

        def stumbling(route: str, body: bytes) -> tuple[int, bytes]:
            try:
                return complete(route, body)
            except StumbleError:
                return 500, b'{"error": {"message": "stumbled"}}'

        endpoint.protocols._complete = stumbling  # type: ignore[method-assign]  # one request of a batch fails
        assert counts(run(endpoint, tmp_path, provider=provider)) == {"correct": CASES - 2, "incorrect": 0, "error": 2}
        fails = False
        # The refusal was paid for and stays what it is.
        assert counts(run(endpoint, tmp_path, provider=provider)) == {"correct": CASES - 1, "incorrect": 0, "error": 1}
        assert (submissions(endpoint), handed_in(endpoint)) == (2, 1)


def test_a_batch_that_failed_as_a_whole_is_one_error_and_may_be_tried_again(tmp_path: Path) -> None:
    fail = True

    def script(request: Request) -> Play:
        if fail and request.method == "GET" and request.path == "/v1/batches/batch_1":
            failed = {"data": [{"code": "token_limit_exceeded", "message": "too much"}]}
            endpoint.protocols.batches["batch_1"].update(status="failed", errors=failed)
        return Answer()

    with FakeEndpoint(script=script) as endpoint:
        with pytest.raises(CallFailed, match="the batch is failed: too much"):
            run(endpoint, tmp_path)
        fail = False
        assert counts(run(endpoint, tmp_path))["correct"] == CASES
        assert submissions(endpoint) == 2


@every_batch_endpoint
def test_a_lost_answer_to_the_submission_is_not_a_second_submission(tmp_path: Path, provider: str) -> None:
    class Swallow(Drop):
        """Does the work, and hangs up before it says so."""

    def script(request: Request) -> Play:
        first = request.method == "POST" and request.path.endswith(SUBMITS[provider]) and request.attempt == 1
        return Swallow() if first else Reject(status=503) if request.attempt == 2 else Answer()

    with FakeEndpoint(script=script) as endpoint:
        assert counts(run(endpoint, tmp_path, provider=provider))["correct"] == CASES
    assert submissions(endpoint) == 1


@every_batch_endpoint
@pytest.mark.parametrize("moment", ["submitted", "polling", "answered"])
def test_a_process_killed_at_any_moment_asks_again_and_never_submits_twice(
    tmp_path: Path, moment: str, provider: str
) -> None:
    """When the provider has the batch and the client has no id yet; at the second poll; when it reads the answers."""
    children = list[subprocess.Popen[bytes]]()

    def script(request: Request) -> Play:
        path = request.path
        if (
            len(children) == 1
            and {
                "submitted": request.method == "POST" and path.endswith(SUBMITS[provider]),
                "polling": path.endswith(POLLS[provider]) and request.attempt == 2,
                # Those that come with the batch come with the last of the polls.
                "answered": path.endswith(FETCHES[provider]) and request.attempt == (3 if provider == "gemini" else 1),
            }[moment]
        ):
            children[0].send_signal(signal.SIGKILL)
            children[0].wait()
        return Answer()

    with FakeEndpoint(script=script, batch_polls=3) as endpoint:
        command = [sys.executable, str(CHILD), endpoint.base_url, str(tmp_path), provider]
        children.append(subprocess.Popen(command))
        assert children[0].wait(timeout=60) == -signal.SIGKILL
        expected = None if moment == "submitted" else NAMES[provider]
        assert [submission.batch_id for submission in only_log(tmp_path).read().values()] == [expected]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == str(CASES)
        assert submissions(endpoint) == 1
        assert [submission.batch_id for submission in only_log(tmp_path).read().values()] == [NAMES[provider]]
    assert asked(endpoint, "chat") == 0


def test_a_batch_of_the_same_size_that_is_somebody_elses_is_not_taken_up(tmp_path: Path) -> None:
    """Anthropic keeps no name of ours, and shows the requests' keys with the results only."""
    theirs = [{"custom_id": f"t{i}", "params": {"model": "tiny", "messages": []}} for i in range(CASES)]

    def script(request: Request) -> Play:
        if request.method == "POST" and request.attempt == 1:
            return Drop()  # does the work, and hangs up before it says so
        if "?limit" in request.path and submissions(endpoint) == 1:
            endpoint.protocols.answer("POST", "/v1/messages/batches", {}, encode({"requests": theirs}))
        return Answer()

    with FakeEndpoint(script=script, batch_polls=3) as endpoint:
        assert counts(run(endpoint, tmp_path, provider="anthropic"))["correct"] == CASES
        assert [batch["is_done"] for batch in endpoint.protocols.batches.values()] == [True, True]
    (submission,) = only_log(tmp_path).read().values()
    assert submission.batch_id == "msgbatch_1"


def test_rerun_submits_anew(tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint:
        run(endpoint, tmp_path)
        run(endpoint, tmp_path, existing_run_policy="rerun")
        assert submissions(endpoint) == 2


def test_a_line_cut_short_is_not_there(tmp_path: Path) -> None:
    log = BatchLog(tmp_path / "deep" / "r.jsonl")
    begun = Submission(digest="bb", size=3, first_key="k", began_at=datetime.now(UTC))
    done = Submission(digest="aa", size=1, first_key="j", began_at=datetime.now(UTC), batch_id="batch_1")
    for submission in (attrs.evolve(done, batch_id=None), done, begun):
        log.add(submission)
    with log.path.open("ab") as file:
        file.write(b'{"requests":"bb","batch_')
    assert log.read() == {"aa": done, "bb": begun}


def test_what_can_not_be_done_in_batches_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        evaluate(
            model="builtin/demo_generator",
            data=rows(),
            metric="builtin/exact_match",
            runtime=RuntimeConfig(generation_mode="batch", max_tokens=5),
        )
    message = str(caught.value)
    assert "3 problems" in message
    assert "builtin/demo_generator has no batch endpoint; these have one: openai/..., anthropic/..., " in message
    assert "runtime.batch_root" in message
    assert "stopped by a budget" in message


class OwnBatches:
    """A batch endpoint of nobody's in particular, which needs a look or two until it is done."""

    def __init__(self) -> None:
        self.submitted: dict[str, BatchRequests] = {}
        self.looks = 0

    def render(self, items: Sequence[BatchItem]) -> Iterator[BatchRequests]:
        for item in items:  # this one takes a request at a time
            yield BatchRequests(digest=item.key, keys=(item.key,), lines=(encode({"text": item.case.input}),))

    async def submit(self, requests: BatchRequests) -> str:
        self.submitted[requests.digest] = requests
        return requests.digest

    async def find(self, submission: Submission) -> Sighting | None:
        return Sighting(batch_id=submission.digest) if submission.digest in self.submitted else None

    async def ended(self, batch_id: str) -> Mapping[str, Any] | None:
        self.looks += 1
        return {"id": batch_id} if self.looks % 3 == 0 else None

    async def cancel(self, batch_id: str) -> None:
        raise AssertionError("nobody asked for it")

    def failure(self, batch: Mapping[str, Any]) -> CallFailure | None:
        return None

    async def answers(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        asked = self.submitted[batch["id"]]
        return {asked.keys[0]: f"echo: {decode(asked.lines[0])['text']}"}

    def is_answer(self, line: Any) -> bool:
        return line is not None

    def outcome(self, item: BatchItem, line: Any) -> GenerationResult | CallFailure:
        return GenerationResult(candidate_id=item.ctx.candidate_id, final_output=line)


def test_any_generator_that_states_a_batch_endpoint_generates_in_batches(tmp_path: Path) -> None:
    class Own:
        component_id = "mine/batched"
        version = "1"

        def __init__(self) -> None:
            self.batch = OwnBatches()

        def fingerprint(self) -> str:
            return "mine"

        async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
            raise AssertionError("it was called case by case")

    model = Own()
    result = evaluate(
        model=model,
        data=rows(3),
        metric="builtin/exact_match",
        runtime=RuntimeConfig(generation_mode="batch", batch_root=str(tmp_path), batch_poll_s=0.001),
    )
    assert counts(result)["correct"] == len(model.batch.submitted) == 3


@pytest.mark.parametrize(
    ("body", "is_answer"),
    [
        ({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}, True),
        ({"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]}, True),
        ({"choices": [{"message": {"content": "half"}, "finish_reason": "error"}]}, False),
        ({"error": {"code": 503, "message": "busy"}}, False),
        ({"choices": []}, False),
        (None, False),
    ],
)
def test_a_failure_that_came_as_an_answer_is_asked_again(body: Any, is_answer: bool) -> None:
    batch = adapters.openai("tiny", base_url="http://127.0.0.1:1/v1").batch
    assert batch is not None
    assert batch.is_answer({"custom_id": "a", "response": {"status_code": 200, "body": body}}) is is_answer
