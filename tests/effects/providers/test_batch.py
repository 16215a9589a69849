from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from themis import adapters
from themis.effects.providers.batch import BatchItem, generate_batch
from themis.pure.calls import Failure, FailureKind, ProviderError
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.testing.endpoint import FakeEndpoint


def item(number: int) -> BatchItem:
    ctx = GenerateContext(
        run_id="r", case_id=str(number), dataset_id="d", case_key=f"d/{number}", candidate_id=f"{number}:0", seed=number
    )
    text = f"question {number}" if number != 3 else "REFUSE"
    return BatchItem(key=f"key-{number}", case=Case(case_id=str(number), input=text), ctx=ctx)


ITEMS = [item(number) for number in range(5)]


class Killed(BaseException):
    pass


def run(endpoint: FakeEndpoint, items: list[BatchItem], stored: list[str], **options: Any) -> Any:
    async def store(batch_id: str) -> None:
        await trio.lowlevel.checkpoint()
        stored.append(batch_id)

    async def main() -> Any:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        options.setdefault("store_id", store)
        return await generate_batch(model, items, poll_s=0.0, **options)

    return trio.run(main)


def submissions(endpoint: FakeEndpoint) -> int:
    return sum(served.request.method == "POST" and served.request.path == "/v1/batches" for served in endpoint.log)


def test_every_item_gets_its_own_answer() -> None:
    stored: list[str] = []
    with FakeEndpoint(batch_polls=3) as endpoint:
        outcomes = run(endpoint, ITEMS, stored)
    answers = [outcome.final_output if isinstance(outcome, GenerationResult) else outcome.kind for outcome in outcomes]
    assert answers == [f"echo: question {n}" if n != 3 else FailureKind.REFUSAL for n in range(5)]
    assert outcomes[0].artifacts["transport"]["request_id"] == "key-0"
    assert stored == ["batch_1"]


def test_the_id_is_stored_before_the_first_poll_and_a_killed_process_never_submits_again() -> None:
    with FakeEndpoint() as endpoint:

        async def killed_while_storing(batch_id: str) -> None:
            raise Killed

        with pytest.raises(Killed):
            run(endpoint, ITEMS, [], store_id=killed_while_storing)
        assert not any(served.request.path == "/v1/batches/batch_1" for served in endpoint.log)
        stored: list[str] = []
        run(endpoint, ITEMS, stored)
        assert (submissions(endpoint), stored) == (1, ["batch_1"])
        run(endpoint, ITEMS, [], stored_id="batch_1")
        assert submissions(endpoint) == 1


def test_other_items_are_another_batch() -> None:
    with FakeEndpoint() as endpoint:
        stored: list[str] = []
        run(endpoint, ITEMS, stored)
        run(endpoint, ITEMS[:2], stored)
    assert stored == ["batch_1", "batch_2"]


def test_a_batch_that_expired_says_which_items_have_no_answer() -> None:
    with FakeEndpoint() as endpoint:
        stored: list[str] = []
        run(endpoint, ITEMS[:2], stored)
        endpoint.protocols.batches["batch_1"]["status"] = "expired"
        outcomes = run(endpoint, ITEMS, [], stored_id="batch_1")
    assert [type(outcome).__name__ for outcome in outcomes[:2]] == ["GenerationResult"] * 2
    assert isinstance(outcomes[4], Failure)
    assert "the batch is expired" in outcomes[4].message


def test_a_batch_that_failed_as_a_whole_is_an_error_with_its_reason() -> None:
    with FakeEndpoint() as endpoint:
        run(endpoint, ITEMS, [])
        batch = endpoint.protocols.batches["batch_1"]
        del batch["output_file_id"]
        batch |= {"status": "failed", "errors": {"data": [{"code": "token_limit_exceeded", "message": "too much"}]}}
        with pytest.raises(ProviderError, match="the batch is failed: too much"):
            run(endpoint, ITEMS, [], stored_id="batch_1")
        # What failed may be tried again, as a new batch.
        run(endpoint, ITEMS, [])
        assert submissions(endpoint) == 2


def test_keys_must_differ() -> None:
    with FakeEndpoint() as endpoint, pytest.raises(SpecError, match="a key of its own"):
        run(endpoint, [item(1), item(1)], [])
