"""What models' tokens cost, from the price table of the library `genai-prices` (the extra `prices`).

The table is the one that the installed version brings along: nothing is fetched.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from themis.pure.errors import MissingExtraError, SpecError, listed, pip_install
from themis.pure.json import EMPTY
from themis.pure.records.config import RuntimeConfig
from themis.pure.usage import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS, Price, Prices


def price_table(own: Prices = EMPTY, at: datetime | None = None) -> Price:
    """Return the function that prices a model's usage.

    Args:
        own: prices that come before the table's, in US dollars per million tokens:
            `{"vllm/my-model": {"prompt": 0.1, "completion": 0.4}}`.
        at: the moment whose prices are meant; now if not given.

    Raises:
        MissingExtraError: `genai-prices` is not installed.
        SpecError: an own price that is not of that form.
    """
    price = known_prices(own, at)
    if not _has_table():
        raise MissingExtraError(
            f"prices need the library genai-prices: {pip_install('prices')}, or give max_tokens instead of max_cost"
        )
    return price


def _has_table() -> bool:
    return importlib.util.find_spec("genai_prices") is not None


def budget_prices(runtime: RuntimeConfig, models: tuple[str, ...]) -> Price | None:
    """Return the prices that a run's budget counts with; `None` if it has no `max_cost`.

    Raises:
        SpecError: the price of a model that would be paid for is not known.
        MissingExtraError: the price table is needed and not installed.
    """
    if runtime.max_cost is None:
        return None
    stated = set(models) <= set(runtime.prices)
    price = known_prices(runtime.prices) if stated else price_table(runtime.prices)
    one_each = {PROMPT_TOKENS: 1, COMPLETION_TOKENS: 1}
    faults = [
        f"max_cost: the price of {model} is not known; state it in prices, or give max_tokens instead"
        for model in models
        if price(model, one_each) is None
    ]
    if faults:
        raise SpecError(listed("the run can't start", faults))
    return price


def known_prices(own: Prices = EMPTY, at: datetime | None = None) -> Price:
    """Return the same; without the library it knows the `own` prices alone."""
    for model, rates in own.items():
        if set(rates) != {"prompt", "completion"}:
            raise SpecError(
                f"prices.{model}: 'prompt' and 'completion' expected, in US dollars per million tokens; "
                f"found {', '.join(map(repr, sorted(rates))) or 'nothing'}"
            )
    moment, has_table = at or datetime.now(UTC), _has_table()

    @functools.lru_cache(maxsize=1 << 16)  # most calls of a run have counts that others have, too
    def of_table(model: str, prompt: int, cached: int, completion: int) -> float | None:
        return _table_price(model, prompt, cached, completion, moment)

    def price(model: str, usage: Mapping[str, int]) -> float | None:
        if PROMPT_TOKENS not in usage and COMPLETION_TOKENS not in usage:
            return None  # of a total alone it can't be told: prompts and answers have prices of their own
        prompt, completion = usage.get(PROMPT_TOKENS, 0), usage.get(COMPLETION_TOKENS, 0)
        if model in own:
            rates = own[model]
            return (prompt * rates["prompt"] + completion * rates["completion"]) / 1e6
        return of_table(model, prompt, usage.get(CACHED_TOKENS, 0), completion) if has_table else None

    return price


def _table_price(model: str, prompt: int, cached: int, completion: int, at: datetime) -> float | None:
    library: Any = importlib.import_module("genai_prices")  # takes a while, and is often not needed
    provider, _, name = model.partition("/")
    counts = library.Usage(input_tokens=prompt, cache_read_tokens=cached or None, output_tokens=completion)
    try:
        found = library.calc_price(counts, name, provider_id=provider, genai_request_timestamp=at)
    except (LookupError, ValueError):
        return None  # the table does not know this provider or model
    return float(found.total_price)
