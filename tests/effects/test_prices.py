from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from themis.effects.prices import budget_prices, known_prices, price_table
from themis.pure.errors import MissingExtraError, SpecError
from themis.pure.records.config import RuntimeConfig

AT = datetime(2026, 1, 1, tzinfo=UTC)
USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000}


def test_a_model_of_the_table_and_its_cached_tokens() -> None:
    pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")
    price = price_table(at=AT)
    whole = price("openai/gpt-4o", USAGE)
    cached = price("openai/gpt-4o", {**USAGE, "cached_tokens": 500_000})
    assert whole == pytest.approx(2.5 + 1.0)
    assert cached == pytest.approx(1.25 + 0.625 + 1.0)


def test_models_and_providers_that_are_not_in_the_table() -> None:
    pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")
    price = price_table(at=AT)
    assert price("openai/no-such-model", USAGE) is None
    assert price("vllm/gpt-4o", USAGE) is None
    assert price("nonsense", USAGE) is None
    with pytest.raises(SpecError) as caught:
        budget_prices(RuntimeConfig(max_cost=1.0), ("openai/gpt-4o", "vllm/x"))
    assert str(caught.value).split(";")[0] == "the run can't start: max_cost: the price of vllm/x is not known"


def test_own_prices_come_first() -> None:
    pytest.importorskip("genai_prices", reason="the extra 'prices' is not installed")
    price = price_table({"openai/gpt-4o": {"prompt": 1.0, "completion": 10.0}})
    assert price("openai/gpt-4o", USAGE) == pytest.approx(2.0)
    with pytest.raises(SpecError, match="'prompt' and 'completion' expected"):
        price_table({"m": {"input": 1.0}})


def test_a_total_alone_has_no_price() -> None:
    price = known_prices({"vllm/m": {"prompt": 0.1, "completion": 0.4}})
    for model in ("vllm/m", "openai/gpt-4o"):
        assert price(model, {"total_tokens": 1000}) is None
    assert price("vllm/m", {"completion_tokens": 1_000_000}) == 0.4


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(MissingExtraError, match=r"themis-evals\[prices\]"):
        price_table()
    price = known_prices({"vllm/m": {"prompt": 1.0, "completion": 10.0}})
    assert price("vllm/m", USAGE) == pytest.approx(2.0)
    assert price("openai/gpt-4o", USAGE) is None
