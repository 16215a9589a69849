"""Models that the any-llm library reaches (extra `any-llm`): for providers that have no adapter here.

Its clients are asyncio's, and run over the bridge. They answer in OpenAI's chat form, whatever the provider's own is,
so requests are rendered and answers read as those of chat completions; its exceptions, which are of one family,
become failures by one table. It makes one attempt: asking again is the `CallRuntime`'s.

Source: the library's own `AnyLLM.create`, `acompletion` and `exceptions`, version 1.40.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import attrs
import trio

from themis.effects.asyncio_bridge import run_in_asyncio
from themis.effects.providers.http import REDACTED, Answer, web_address
from themis.effects.providers.model import Model
from themis.effects.providers.options import refuse, split_options
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.errors import MissingExtraError, SpecError, nearest, pip_install
from themis.pure.json import JSONValue, content_hash, encode
from themis.pure.wire import openai_wire
from themis.pure.wire.exchange import Prompt, Reply, Sampling, stated
from themis.pure.wire.failures import StatedError, shortened
from themis.pure.wire.providers import Quirk, quirks_of

ANY_LLM: Final = "any-llm"
_UNSUPPORTED: Final = "UnsupportedParameterError"

_STATUS: Final = {
    "AuthenticationError": 401,
    "MissingApiKeyError": 401,
    "InsufficientFundsError": 402,
    "ModelNotFoundError": 404,
    "UnsupportedProviderError": 404,
    "RateLimitError": 429,
    "InvalidRequestError": 400,
    "ContextLengthExceededError": 400,
    _UNSUPPORTED: 400,
    "UpstreamProviderError": 502,
    "GatewayTimeoutError": 504,
}
"""What an exception means where it states no status of its own."""

_REFUSALS: Final = frozenset({"ContentFilterError", "ContentFilterFinishReasonError"})


@attrs.frozen(kw_only=True)
class AnyLLMModel(Model):
    """A model that is asked through any-llm.

    Attributes:
        through: any-llm's name of the provider.
        base_url: another address than the provider's own.
        key_env: the variable that holds the key; any-llm's own for the provider if not given.
        total_timeout_s: for one call.
    """

    through: str
    base_url: str | None = attrs.field(default=None, validator=attrs.validators.optional(web_address))
    key_env: str | None = None
    total_timeout_s: float = 600.0

    @property
    def _quirks(self) -> tuple[Quirk, ...]:
        return quirks_of(self.through, self.base_url or "", "chat", self.model)

    def fingerprint(self) -> str:
        facts = {"endpoint": self.base_url, "model": self.model, "sampling": self.sampling}
        return content_hash({"adapter": [ANY_LLM, self.version, self.through], **facts})

    def describe(self) -> dict[str, JSONValue]:
        """Return how the model is asked, as far as it is stated."""
        facts: dict[str, JSONValue] = {
            "model": self.model,
            "api": f"{ANY_LLM}:{self.through}",
            "base_url": self.base_url,
            **attrs.asdict(self.sampling, recurse=False),
            "api_key_env": self.key_env,
        }
        return {name: fact for name, fact in facts.items() if fact is not None and fact not in ((), [], {})}

    def check(self) -> Sequence[str]:
        """Return what is missing for calls to succeed, without making one: the library, a key, the provider's SDK."""
        if not installed():
            return [str(missing())]
        if self.key_env is not None and not self._key():
            return [f"{self.key_env} is not set; {self.through} needs a key: export {self.key_env}=..."]
        try:
            self._new_client()
        except Exception as error:  # any-llm's own, the provider's SDK's, or an import that fails
            return [f"any-llm can't reach {self.through}: {self._redact(str(error))}"]
        return []

    def _key(self) -> str | None:
        return os.environ.get(self.key_env, "").strip() or None if self.key_env else None

    def _redact(self, text: str) -> str:
        key = self._key()
        return text.replace(key, REDACTED) if key else text

    def _body(self, prompt: Prompt, seed: int | None) -> dict[str, Any]:
        return openai_wire.chat_body(self.model, prompt, self.sampling, seed, self._quirks)

    def _read(self, payload: Any, *, is_structured: bool) -> Reply | CallFailure:
        return openai_wire.read_chat(payload, is_structured=is_structured)

    async def _answer(self, body: Mapping[str, Any]) -> Answer:
        began = trio.current_time()
        try:
            with trio.fail_after(self.total_timeout_s):
                payload = await run_in_asyncio(lambda: self._asked(dict(body)))
        except trio.TooSlowError:
            message = f"no complete answer from {self.through} within {self.total_timeout_s:g} s"
            payload = CallFailure(kind=FailureKind.TIMEOUT, message=message)
        if isinstance(payload, CallFailure):
            raise ProviderError(payload.evolve(message=self._redact(payload.message)))
        return Answer(headers={}, body=payload, latency_ms=(trio.current_time() - began) * 1000)

    async def _asked(self, body: dict[str, Any]) -> bytes | CallFailure:
        """Ask on an asyncio loop; a client belongs to the loop that it was made on."""
        clients = _clients.setdefault(asyncio.get_running_loop(), {})
        name = (self, self._key())
        try:
            if name not in clients:
                clients[name] = self._new_client()
            answer = await clients[name].acompletion(**body)
            return encode(answer.model_dump(mode="json"))
        except Exception as error:
            return _failure(error)

    def _new_client(self) -> Any:
        from any_llm import AnyLLM

        options: dict[str, Any] = {"api_key": self._key(), "api_base": self.base_url, "unified_exceptions": True}
        try:
            return AnyLLM.create(self.through, **options, max_retries=0)
        except Exception as error:
            if type(error).__name__ != _UNSUPPORTED:
                raise
            return AnyLLM.create(self.through, **options)


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, Any]] = WeakKeyDictionary()


def installed() -> bool:
    return importlib.util.find_spec("any_llm") is not None


def missing() -> MissingExtraError:
    return MissingExtraError(f"any-llm/... needs any-llm-sdk: {pip_install('any-llm')}")


def _failure(error: Exception) -> CallFailure:
    """Describe what any-llm raised, and drop it: its cause knows the request's headers."""
    names = [kind.__name__ for kind in type(error).__mro__]
    words = shortened(str(error))
    if _REFUSALS & {*names}:
        return CallFailure(kind=FailureKind.REFUSAL, message=words)
    cause: BaseException | None = error
    while cause is not None:
        kinds = " ".join(kind.__name__ for kind in type(cause).__mro__)
        if "Timeout" in kinds and "Gateway" not in kinds:
            return CallFailure(kind=FailureKind.TIMEOUT, message=words)
        if "APIConnectionError" in kinds or "TransportError" in kinds or "ConnectionError" in kinds:
            return CallFailure(kind=FailureKind.CONNECTION, message=words)
        cause = getattr(cause, "original_exception", None) or cause.__cause__
    status = getattr(error, "status_code", None) or next((_STATUS[name] for name in names if name in _STATUS), None)
    if "AnyLLMError" not in names or (status is None or status < 400):
        return CallFailure(kind=FailureKind.MALFORMED, message=f"any-llm can't read the answer: {words}")
    code = getattr(error, "code", None) or getattr(error, "error_type", None)
    stated = StatedError(message=words, code=None if code is None else str(code))
    wait = str(getattr(error, "retry_after", None))
    failure = stated.of_status(status, f"any-llm answers {status}")
    return failure.evolve(retry_after_s=float(wait) if wait.replace(".", "", 1).isdigit() else None)


def build_any_llm(model: str, **options: Any) -> AnyLLMModel:
    """Build an adapter; `themis.adapters` documents the options."""
    if not installed():
        raise missing()
    from any_llm.constants import LLMProvider

    through, colon, name = model.partition(":")
    known = [str(provider.value) for provider in LLMProvider]
    if not (colon and name):
        raise SpecError(f"any-llm/{model}: PROVIDER:MODEL expected, as in any-llm/cohere:command-a-03-2025")
    if through not in known:
        raise SpecError(f"any-llm/{model}: {through!r} is no provider of any-llm's; {nearest(through, known)}")
    given = dict(options)
    named = {"model": name, "base_url": given.pop("base_url", None), "api_key_env": given.pop("api_key_env", None)}
    of_endpoint, of_sampling, of_model = split_options(ANY_LLM, given, **stated(named))
    unknown = [*({*of_endpoint} - {"total_timeout_s"}), *({*of_model} - {"component_id", "provider_key"})]
    refuse(f"{option}: any-llm has no such option; leave it out" for option in sorted(unknown))
    of_model.setdefault("component_id", f"{ANY_LLM}/{model}")
    of_model.setdefault("provider_key", f"{ANY_LLM}:{through}")
    return AnyLLMModel(
        provider=ANY_LLM,
        model=name,
        through=through,
        base_url=named["base_url"],
        key_env=named["api_key_env"],
        sampling=Sampling(**of_sampling),
        **of_endpoint,
        **of_model,
    )
