"""What an experiment is written with, apart from its components: storage and runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from themis.pure.calls import MAX_WAIT
from themis.pure.errors import InvalidRecordError
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import A_PATH, flag, json_object, named_fields, non_empty, one_of


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StorageConfig(HashableModel):
    """Where a run is kept.

    Attributes:
        store: `memory`, `sqlite`, `jsonl`, `postgres`, or a registered backend.
        parameters: what the backend needs, such as `{"path": "runs/themis.sqlite3"}`.
    """

    store: str = attrs.field(default="memory", validator=non_empty)
    parameters: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object, metadata=A_PATH)


def positive(record: object, field: attrs.Attribute[Any], value: object) -> None:
    """Check that a field, or each value of its mapping, is a number above 0, or nothing where it may be nothing."""
    values = value.items() if isinstance(value, Mapping) else [("", value)]
    for key, number in values:
        if number is None and field.default is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
            path = f"{field.name}.{key}" if key else field.name
            raise InvalidRecordError(type(record).__name__, [f"{path}: a number above 0 expected, found {number!r}"])


def not_negative(record: object, field: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise InvalidRecordError(type(record).__name__, [f"{field.name}: a number from 0 up expected, found {value!r}"])


STAGES_THAT_PAY: Final = ("generate", "judge")
"""The stages that call models; limits and budgets are theirs."""


def _shares(record: object, field: attrs.Attribute[Any], value: Mapping[str, object]) -> None:
    faults = [
        f"{field.name}.{stage}: no stage that costs; {' and '.join(STAGES_THAT_PAY)} do"
        for stage in value
        if stage not in STAGES_THAT_PAY
    ]
    faults += [
        f"{field.name}.{stage}: a part from 0 to 1 expected, found {part!r}"
        for stage, part in value.items()
        if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part <= 1
    ]
    if faults:
        raise InvalidRecordError(type(record).__name__, faults)


def _prices(record: object, field: attrs.Attribute[Any], value: Mapping[str, object]) -> None:
    faults = [
        f"{field.name}.{model}: {{'prompt': .., 'completion': ..}} in US dollars per million tokens expected, "
        f"found {rates!r}"
        for model, rates in value.items()
        if not isinstance(rates, Mapping)
        or set(rates) != {"prompt", "completion"}
        or not all(isinstance(rate, int | float) and rate >= 0 for rate in rates.values())
    ]
    if faults:
        raise InvalidRecordError(type(record).__name__, faults)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RuntimeConfig(HashableModel):
    """How a run is carried out; nothing here can change a result, and so nothing here is in the identity.

    Attributes:
        max_concurrent_tasks: steps under way at once, over the whole run.
        stage_concurrency: the same per stage, such as `{"judge": 4}`.
        provider_concurrency: the same per provider key, such as `{"openai": 8}`.
        provider_rate_limits: requests per minute, per provider key.
        provider_token_limits: tokens per minute, per provider key.
        generation_retry_attempts: tries of one generation, the first included.
        generation_retry_delay: seconds before the second try; full jitter below it.
        generation_retry_backoff: the delay's factor from try to try.
        generation_timeout: seconds that one generation may take, over one try.
        judge_retry_attempts, judge_retry_delay, judge_retry_backoff, judge_timeout: the same for judge calls.
        max_wait: seconds that an endpoint may ask to be left alone, in `Retry-After` or by a quota. A call that it asks
            to wait longer fails, and so do, unsent, all others of the endpoint until then: running again makes them.
        store_retry_attempts, store_retry_delay: the same for writes to the store.
        progress: show how far a run is: on a terminal, below a notebook's cell, and as a line a minute elsewhere.
        existing_run_policy: what to do when the run is stored already: `auto` reuses what is finished and does
            the rest, `error` refuses, `rerun` clears it and starts over.
        max_cost: US dollars that the run may spend; it stops, resumably, before it would spend more.
        max_tokens: tokens that the run may use; the same.
        budget_shares: the part of both that a stage may use, such as `{"generate": 0.7, "judge": 0.3}`; by default
            each may use what the other leaves.
        prices: of models, in US dollars per million tokens, such as `{"vllm/m": {"prompt": 0.1, "completion": 0.4}}`;
            they come before those of the price table.
        generation_mode: `calls` asks the generator case by case; `batch` hands all prompts to the provider's batch
            endpoint, which takes up to a day and costs less.
        batch_poll_s: seconds between two questions whether a batch is done.
        queue_root: folder of deferred execution.
        batch_root: folder where the ids of submitted batches are kept; needed for `generation_mode="batch"`.
    """

    max_concurrent_tasks: int = attrs.field(default=32, validator=positive)
    stage_concurrency: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object, validator=positive)
    provider_concurrency: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object, validator=positive)
    provider_rate_limits: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object, validator=positive)
    provider_token_limits: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object, validator=positive)
    generation_retry_attempts: int = attrs.field(default=3, validator=positive)
    generation_retry_delay: float = attrs.field(default=0.5, validator=not_negative)
    generation_retry_backoff: float = attrs.field(default=2.0, validator=positive)
    generation_timeout: float | None = attrs.field(default=None, validator=positive)
    judge_retry_attempts: int = attrs.field(default=3, validator=positive)
    judge_retry_delay: float = attrs.field(default=0.5, validator=not_negative)
    judge_retry_backoff: float = attrs.field(default=2.0, validator=positive)
    judge_timeout: float | None = attrs.field(default=None, validator=positive)
    max_wait: float = attrs.field(default=MAX_WAIT, validator=not_negative)
    store_retry_attempts: int = attrs.field(default=5, validator=positive)
    store_retry_delay: float = attrs.field(default=0.1, validator=not_negative)
    progress: bool = attrs.field(default=True, validator=flag)
    existing_run_policy: Literal["auto", "error", "rerun"] = attrs.field(
        default="auto", validator=one_of("auto", "error", "rerun")
    )
    max_cost: float | None = attrs.field(default=None, validator=positive)
    max_tokens: int | None = attrs.field(default=None, validator=positive)
    budget_shares: Mapping[str, float] = attrs.field(default=EMPTY, converter=json_object, validator=_shares)
    prices: Mapping[str, Mapping[str, float]] = attrs.field(default=EMPTY, converter=json_object, validator=_prices)
    generation_mode: Literal["calls", "batch"] = attrs.field(default="calls", validator=one_of("calls", "batch"))
    batch_poll_s: float = attrs.field(default=30.0, validator=positive)
    queue_root: str | None = attrs.field(default=None, metadata=A_PATH)
    batch_root: str | None = attrs.field(default=None, metadata=A_PATH)
