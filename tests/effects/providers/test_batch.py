"""The Batch protocol as runs use it, against a loopback server that keeps its batches while clients are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from themis import RuntimeConfig, StorageConfig, adapters, evaluate
from themis.effects.batching import BatchLog
from themis.effects.providers.batch import BatchItem, BatchRequests
from themis.pure.calls import CallFailed, CallFailure
from themis.pure.errors import SpecError
from themis.pure.json import decode, encode
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.testing.endpoint import Answer, Drop, FakeEndpoint, Play, Reject, Request

CHILD = Path(__file__).parent / "batch_child.py"
CASES = 12

opened: list[Any] = []


@pytest.fixture(autouse=True)
def _closed_stores() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def rows(count: int = CASES) -> list[dict[str, object]]:
    return [{"case_id": f"c{i}", "input": f"q {i}", "expected_output": f"echo: q {i}"} for i in range(count)]


def run(endpoint: FakeEndpoint, folder: Path, data: list[dict[str, object]] | None = None, **options: Any) -> Any:
    result = evaluate(
        model=adapters.openai("tiny", base_url=endpoint.base_url),
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


def only_log(folder: Path) -> BatchLog:
    (path,) = (folder / "batches").iterdir()
    return BatchLog(path)


def counts(result: Any) -> dict[str, int]:
    found: dict[str, int] = result.benchmark.outcome_counts["builtin/exact_match"]
    return found


def test_a_run_in_batches_is_the_same_run(tmp_path: Path) -> None:
    with FakeEndpoint(batch_polls=3) as endpoint:
        result = run(endpoint, tmp_path / "batch")
        assert (submissions(endpoint), asked(endpoint, "chat")) == (1, 0)
        case: Any = result.cases[0]
        assert case.generated_candidates[0].artifacts["transport"]["request_id"]
        plain = evaluate(
            model=adapters.openai("tiny", base_url=endpoint.base_url), data=rows(), metric="builtin/exact_match"
        )
    assert counts(result) == {"correct": CASES, "incorrect": 0, "error": 0}
    assert (result.run_id, result.digest) == (plain.run_id, plain.digest)


def test_what_is_stored_is_not_asked_again_and_more_cases_are_another_batch(tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint:
        run(endpoint, tmp_path)
        assert counts(run(endpoint, tmp_path))["correct"] == CASES
        assert submissions(endpoint) == 1
        run(endpoint, tmp_path, rows(CASES + 3))
        content = endpoint.protocols._files[endpoint.protocols.batches["batch_2"]["input_file_id"]]
    assert len(content.splitlines()) == 3


def test_equal_prompts_of_one_seed_are_asked_once(tmp_path: Path) -> None:
    data: list[dict[str, object]] = [{**row, "input": "same", "expected_output": "echo: same"} for row in rows(4)]
    with FakeEndpoint() as endpoint:
        assert counts(run(endpoint, tmp_path, data))["correct"] == 4
        (batch,) = endpoint.protocols.batches.values()
        assert len(endpoint.protocols._files[batch["input_file_id"]].splitlines()) == 1


def test_a_failed_request_is_a_failed_case_and_a_later_run_asks_for_it_alone(tmp_path: Path) -> None:
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
        assert counts(run(endpoint, tmp_path)) == {"correct": CASES - 2, "incorrect": 0, "error": 2}
        fails = False
        # The refusal was paid for and stays what it is.
        assert counts(run(endpoint, tmp_path)) == {"correct": CASES - 1, "incorrect": 0, "error": 1}
        second = endpoint.protocols.batches["batch_2"]
        assert len(endpoint.protocols._files[second["input_file_id"]].splitlines()) == 1


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


def test_a_lost_answer_to_the_submission_is_not_a_second_submission(tmp_path: Path) -> None:
    class Swallow(Drop):
        """Does the work, and hangs up before it says so."""

    def script(request: Request) -> Play:
        first = request.method == "POST" and request.path == "/v1/batches" and request.attempt == 1
        return Swallow() if first else Reject(status=503) if request.attempt == 2 else Answer()

    with FakeEndpoint(script=script) as endpoint:
        assert counts(run(endpoint, tmp_path))["correct"] == CASES
    assert submissions(endpoint) == 1


@pytest.mark.parametrize("moment", ["submitted", "polling", "answered"])
def test_a_process_killed_at_any_moment_asks_again_and_never_submits_twice(tmp_path: Path, moment: str) -> None:
    """When the provider has the batch and the client has no id yet; at the second poll; when it reads the answers."""
    children = list[subprocess.Popen[bytes]]()

    def script(request: Request) -> Play:
        if (
            len(children) == 1
            and {
                "submitted": request.method == "POST" and request.path == "/v1/batches",
                "polling": request.path == "/v1/batches/batch_1" and request.attempt == 2,
                "answered": request.path.startswith("/v1/files/out"),
            }[moment]
        ):
            children[0].send_signal(signal.SIGKILL)
            children[0].wait()
        return Answer()

    with FakeEndpoint(script=script, batch_polls=3) as endpoint:
        command = [sys.executable, str(CHILD), endpoint.base_url, str(tmp_path)]
        children.append(subprocess.Popen(command))
        assert children[0].wait(timeout=60) == -signal.SIGKILL
        logged = only_log(tmp_path).read()
        assert list(logged.values()) == ([None] if moment == "submitted" else ["batch_1"])
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == str(CASES)
        assert submissions(endpoint) == 1
        assert list(only_log(tmp_path).read().values()) == ["batch_1"]
    assert asked(endpoint, "chat") == 0


def test_rerun_submits_anew(tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint:
        run(endpoint, tmp_path)
        run(endpoint, tmp_path, existing_run_policy="rerun")
        assert submissions(endpoint) == 2


def test_a_line_cut_short_is_not_there(tmp_path: Path) -> None:
    log = BatchLog(tmp_path / "deep" / "r.jsonl")
    log.add("aa")
    log.add("aa", "batch_1")
    log.add("bb")
    with log.path.open("ab") as file:
        file.write(b'{"requests":"bb","batch_')
    assert log.read() == {"aa": "batch_1", "bb": None}


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
    assert "builtin/demo_generator has no batch endpoint" in message
    assert "runtime.batch_root" in message
    assert "stopped by a budget" in message


class OwnBatches:
    """A batch endpoint of nobody's in particular, which needs a look or two until it is done."""

    def __init__(self) -> None:
        self.submitted: dict[str, BatchRequests] = {}
        self.looks = 0

    def render(self, items: Sequence[BatchItem]) -> Iterator[BatchRequests]:
        for item in items:  # this one takes a request at a time
            yield BatchRequests(digest=item.key, content=encode({"key": item.key, "text": item.case.input}))

    async def submit(self, requests: BatchRequests) -> str:
        self.submitted[requests.digest] = requests
        return requests.digest

    async def known(self, digest: str) -> str | None:
        return digest if digest in self.submitted else None

    async def ended(self, batch_id: str) -> Mapping[str, Any] | None:
        self.looks += 1
        return {"id": batch_id} if self.looks % 3 == 0 else None

    def failure(self, batch: Mapping[str, Any]) -> CallFailure | None:
        return None

    async def answers(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        asked = decode(self.submitted[batch["id"]].content)
        return {asked["key"]: f"echo: {asked['text']}"}

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
    assert batch.is_answer({"custom_id": "a", "response": {"status_code": 200, "body": body}}) is is_answer
