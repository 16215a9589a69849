"""What components say of how they are set: JSON, the same everywhere, and never a credential."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis import generator, metric
from themis.adapters import anthropic, openai, vllm
from themis.effects.asyncio_bridge import AsyncioComponent
from themis.effects.sources.source_code import source_of
from themis.pure.components.basic import DemoModel
from themis.pure.components.parsers import Regex
from themis.pure.descriptions import description
from themis.pure.errors import SpecError
from themis.pure.fingerprints import fingerprint
from themis.pure.json import encode
from themis.pure.protocols import Describes
from themis.pure.security import find_secrets, without_secrets
from themis.testing import strategies

# Built from parts, so that no scanner takes this file for a leak.
SECRET = "hunter2" + "Zq9"
KEYS = ["sk-" + "proj-" + "a1B2c3D4e5F6g7H8i9J0", "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8"]
NAMES = [
    *("api_key", "apiKey", "OPENAI_API_KEY", "openai-api-key", "x-goog-api-key", "authToken", "hf_token", "token"),
    *("password", "db_password", "PWD", "secret", "clientSecret", "Authorization", "proxy-authorization", "Cookie"),
    *("X-Auth-Token", "credentials", "signing_key", "dsn", "auth", "bearer", "sig"),
]


class Plain:
    """An ordinary class of an author's."""

    component_id = "mine/plain"
    version = "1"

    def __init__(self, model: Any = "m", temperature: float = 0.5, **more: Any) -> None:
        self._model = model
        self.temperature = temperature
        self._calls = 0
        self.__dict__.update(more)


def settings_of(**settings: Any) -> Any:
    return description(Plain(**settings))


@attrs.frozen
class Framed:
    model: Any = "m"
    hidden: str = attrs.field(default="here", repr=False)
    derived: str = attrs.field(init=False, default="x")
    _quiet: int = 3
    component_id: str = "mine/framed"


@dataclasses.dataclass
class Data:
    model: Any = "m"
    hidden: str = dataclasses.field(default="here", repr=False)


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (Plain(), {"model": "m", "temperature": 0.5}),
        (Framed(), {"model": "m", "quiet": 3}),
        (Data(), {"model": "m"}),
        (DemoModel(), {"error_rate": 0.25}),
        (Regex(r"(\d+)"), {"pattern": r"(\d+)", "strip_reasoning": "auto"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_are_found_where_authors_put_them(component: Any, expected: Mapping[str, Any]) -> None:
    assert description(component) == expected


def test_a_function_says_its_name_its_defaults_and_what_it_closes_over() -> None:
    def within(tolerance: float, exact: Callable[..., bool]) -> Any:
        def close(parsed: Any, case: Any, *, digits: int = 3) -> bool:
            return exact(parsed, case) or abs(parsed.value - case.expected_output) < tolerance / digits

        return close

    close = within(0.25, without_secrets)  # type: ignore[arg-type]  # any function
    made = metric(component_id="close")(lambda parsed, case: close(parsed, case))
    assert description(made) == {
        "function": f"{__name__}.{test_a_function_says_its_name_its_defaults_and_what_it_closes_over.__name__}"
        ".<locals>.<lambda>",
        "close": f"{close.__module__}.{close.__qualname__}",
    }
    own = generator(component_id="own")(functools.wraps(close)(lambda case: "x"))
    assert "function" in dict(description(own))  # type: ignore[arg-type]  # it is an object


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            openai("gpt-4o", temperature=0, stop="END", base_url="http://host/v1", headers={"X-Team": "a"}),
            {
                "model": "gpt-4o",
                "api": "chat",
                "base_url": "http://host/v1",
                "temperature": 0,
                "stop": ["END"],
                "headers": ["x-team"],
                "api_key_env": "OPENAI_API_KEY",
            },
        ),
        (
            anthropic("claude-x"),
            {
                "model": "claude-x",
                "api": "messages",
                "base_url": "https://api.anthropic.com/v1",
                "max_tokens": 4096,
                "api_key_env": "ANTHROPIC_API_KEY",
            },
        ),
    ],
    ids=lambda value: getattr(value, "component_id", ""),
)
def test_a_model_says_how_it_is_asked_and_not_what_it_leaves_to_the_server(
    model: Any, expected: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert description(model) == expected
    assert description(AsyncioComponent(model)) == expected
    assert isinstance(model, Describes)


def test_a_component_may_say_it_itself_and_credentials_are_still_taken_out() -> None:
    class Own(Plain):
        def describe(self) -> Any:
            return {"model": self._model, "api_key": SECRET, "ladder": range(3)}

    assert description(Own()) == {"model": "m", "api_key": "[secret]", "ladder": [0, 1, 2]}
    assert settings_of(judge=Own())["judge"] == description(Own())


@pytest.mark.parametrize(
    ("describe", "message"),
    [
        (lambda self: {"client": object()}, r"mine/plain.describe\(\) must return JSON: .* JSONValueError: \$\.client"),
        (lambda self: {1: 2}, r"keys are strings"),
        (lambda self: 1 / 0, r"mine/plain.describe\(\) must return JSON: .* ZeroDivisionError: division by zero"),
        (lambda self, more: {}, r"TypeError"),
    ],
    ids=["no JSON", "keys", "raises", "arguments"],
)
def test_a_component_that_can_not_say_it_is_named(describe: Any, message: str) -> None:
    component = type("Own", (Plain,), {"describe": describe})()
    with pytest.raises(SpecError, match=message):
        description(component)


# --- laws -------------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class SecretText(str):
    """As some libraries hand out credentials."""


class Masked:
    def get_secret_value(self) -> str:
        return SECRET


class Hostile:
    """Everything that is asked of it fails."""

    component_id = "mine/hostile"

    @property
    def setting(self) -> Any:
        raise RuntimeError(SECRET)

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError(SECRET)

    def __repr__(self) -> str:
        raise RuntimeError(SECRET)

    def __len__(self) -> int:
        raise RuntimeError(SECRET)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(SECRET)

    __hash__ = None  # type: ignore[assignment]  # on purpose


class HostileMapping(dict[str, Any]):
    def __len__(self) -> int:
        raise RuntimeError(SECRET)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError(SECRET)


def looped() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


ODD = (
    *(object(), threading.Lock(), Hostile(), HostileMapping(a=1), looped(), len, print, int, Plain.__init__),
    *(Colour.RED, re.compile("a+"), Decimal("1.5"), PurePosixPath("/a/b"), {1, 2}, frozenset("ab"), b"bytes"),
    *(float("nan"), float("inf"), 10**40, "\ud800", {"\ud800": 1, 2: 3, (1,): 4}, functools.partial(int, "7")),
    *(SecretText(SECRET), Masked(), Plain(), Framed(), Data(), iter(()), range(3), lambda: SECRET, Exception()),
)
odd = st.integers(0, len(ODD) - 1).map(ODD.__getitem__)


def within(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw values at some depth of what an author's fields may hold."""
    return st.recursive(
        values,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from(["a", "headers", "options"]), inner, min_size=1, max_size=2),
            inner.map(lambda value: Framed(model=value)),
            inner.map(lambda value: Data(model=value)),
            inner.map(lambda value: functools.partial(print, value, option=value)),
        ),
        max_leaves=5,
    )


ASSIGNED = [
    f"api_key={SECRET} a=b",
    f'{{"password": "{SECRET}"}}',
    f"secret: {SECRET}",
    f"config: api_key={SECRET}",
    f"env=OPENAI_API_KEY={SECRET}",
    f"Authorization: Basic {SECRET}",
    f"curl -H 'x-api-key: {SECRET}'",
]


@st.composite
def planted(draw: st.DrawFn) -> Any:
    """Draw what holds `SECRET`, or one of `KEYS`, where a credential may stand in an author's component."""
    kind = draw(st.sampled_from(["named", "pair", "argument", "assigned", "url", "query", "key", "long", "typed"]))
    name, key = draw(st.sampled_from(NAMES)), draw(st.sampled_from(KEYS))
    match kind:
        case "named":
            return {name: draw(st.sampled_from([SECRET, [SECRET], {"value": SECRET}, (SECRET, SECRET)]))}
        case "pair":
            return [("Accept", "a"), (name, SECRET)]
        case "argument":
            return ["serve", f"--{name}", SECRET]
        case "assigned":
            return draw(st.sampled_from(ASSIGNED))
        case "url":
            return f"postgresql://me:{SECRET}@host/db"
        case "query":
            return f"https://host/v1?{draw(st.sampled_from(['', 'a=b&']))}key={SECRET}"
        case "long":
            return "x" * draw(st.integers(380, 420)) + " " + key + " y" * 300
        case "typed":
            return draw(st.sampled_from([SecretText(SECRET), Masked()]))
        case _:
            return f"use {key}, please"


@given(within(planted()), st.sampled_from([Plain, Framed, Data]))
def test_no_credential_is_in_a_description(value: Any, kind: Callable[..., Any]) -> None:
    for described in (description(kind(model=value)), description(_closing_over(value))):
        text = json.dumps(described)
        assert SECRET not in text
        assert [*find_secrets(described)] == []
        # Not the beginning of one either: a text that is cut is searched before.
        assert not any(key[:14] in text for key in KEYS)


def _closing_over(value: Any) -> Any:
    def ask(case: Any, *, default: Any = value) -> Any:
        return (value, default)

    return generator(ask)


@given(st.sampled_from(NAMES))
def test_no_credential_of_a_named_field_is_in_a_description(name: str) -> None:
    assert SECRET not in json.dumps(settings_of(**{name: SECRET}))
    assert SECRET not in json.dumps(settings_of(headers={name: SECRET, "accept": "a"}))


def test_no_credential_is_in_a_models_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{SECRET}@host/v1?api_key={SECRET}")
    models = [openai("m"), vllm("m", base_url="http://h/v1", headers={"X-Team": SECRET}, extra={"token": SECRET})]
    for model in models:
        assert SECRET not in json.dumps(description(model))


@given(within(st.one_of(odd, strategies.json_values())), st.sampled_from([Plain, Framed, Data]))
@example(value="x" * 10**6, kind=Plain)
@example(value=list(range(10**5)), kind=Plain)
@example(value={str(n): n for n in range(10**4)}, kind=Plain)
def test_a_description_is_json_of_bearable_size_and_always_the_same(value: Any, kind: Callable[..., Any]) -> None:
    described = description(kind(model=value))
    assert json.loads(encode(described)) == json.loads(json.dumps(described))
    assert encode(described) == encode(description(kind(model=value)))
    assert not re.search(r"0x[0-9a-f]{6}", json.dumps(described))
    assert len(encode(described)) < 10**6


@given(strategies.json_values())
def test_taking_out_credentials_twice_is_taking_them_out_once(value: Any) -> None:
    once = without_secrets(value)
    assert without_secrets(once) == once


HARMLESS: dict[str, Any] = {
    "max_tokens": 9,
    "token_limit": 5,
    "stop_token": "</s>",
    "input_key": "question",
    "api_key_env": "MY_KEY",
    "secret_ref": None,
    "password": "${oc.env:PASSWORD}",
    "pattern": r"(?P<key>\w+)=(\d+)",
    "text": "the key to it: nothing",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_a_credential_stays(name: str) -> None:
    assert without_secrets({name: HARMLESS[name]}) == {name: HARMLESS[name]}


def test_long_texts_and_containers_are_cut_and_still_told_apart() -> None:
    first, second = (settings_of(model="x" * 600 + end)["model"] for end in "ab")
    assert first != second
    assert first.startswith("x" * 400 + "... (601 characters, SHA-256 ")
    assert settings_of(model=list(range(60)))["model"][-1] == "... 10 more"


def test_a_description_is_no_part_of_a_fingerprint() -> None:
    class Describing(Plain):
        def describe(self) -> Any:
            return {"a": 1}

    other = type("Describing", (Describing,), {})
    assert fingerprint(openai("m"), source_of) == openai("m").fingerprint()
    assert description(other()) == {"a": 1}
