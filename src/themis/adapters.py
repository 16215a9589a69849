"""Model endpoints, agents and asyncio code as components.

    from themis import adapters

    model = adapters.openai("gpt-4o", temperature=0.0, max_tokens=256)
    local = adapters.vllm("Qwen/Qwen3-8B", base_url="http://gpu1:8000/v1", top_k=20)
    judge = adapters.anthropic("claude-sonnet-4-5")
    agent = adapters.langgraph(graph)

The providers that speak OpenAI's chat completions go by name: `from_model_string("groq/llama-3.3-70b")`, or
`openai("llama-3.3-70b", provider="groq")`.

Each is a generator and a judge model in one. Credentials come from the environment when a call is
made (`OPENAI_API_KEY`, `VLLM_API_KEY`, `ANTHROPIC_API_KEY`, or what `api_key_env` names); `OPENAI_BASE_URL` is
honoured. The libraries behind an adapter are imported when it is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from themis.pure.abilities import no_component
from themis.pure.errors import SpecError, UnknownComponentError, nearest
from themis.pure.wire.providers import MODEL_STRINGS, PROVIDERS

if TYPE_CHECKING:
    from themis.effects.asyncio_bridge import AsyncioComponent
    from themis.effects.providers.anthropic import AnthropicModel
    from themis.effects.providers.any_llm import AnyLLMModel
    from themis.effects.providers.clouds import BedrockModel, GeminiModel
    from themis.effects.providers.hf import HfModel
    from themis.effects.providers.langgraph import LangGraphAgent
    from themis.effects.providers.llama_cpp import LlamaCppModel
    from themis.effects.providers.model import Model
    from themis.effects.providers.openai import OpenAIModel

__all__ = [
    "anthropic",
    "asyncio_component",
    "from_model_string",
    "hf",
    "is_model_string",
    "langgraph",
    "llama_cpp",
    "openai",
    "vllm",
]


def openai(model: str, *, provider: str = "openai", **options: Any) -> OpenAIModel:
    """Return a model of OpenAI's, or of any server that speaks one of its protocols.

    Args:
        model: the model's name, such as `gpt-4o`.
        provider: who serves it: `openai`, or a name of the table in docs/how-to/endpoints.md, such as `groq`,
            `openrouter` or `ollama`, which stands for address, key and peculiarities; or `azure`, where the model is
            the deployment and `api_version` chooses a version of the API.
        **options: of the endpoint: `base_url`, `api` (`responses`, `chat` or `completions`; `responses` at
            OpenAI and `chat` elsewhere if not given), `api_key_env`, `key_header`, `headers`, `ca_file` (the
            certificate authorities to trust), `connect_timeout_s`, `read_timeout_s`, `total_timeout_s`, `max_bytes`;
            headers count in the run's identity, but for credentials, ids of traces and requests, and the user agent.
            Of the sampling:
            `temperature`, `top_p`, `max_tokens`, `stop`, `seed` (each candidate's own if not given),
            `logprobs` (alternatives per token; 0 for none), `extra` (more fields of the request). Of the run:
            `provider_key` (groups calls for limits), `endpoint_name` (stands for the address in the run's
            identity), `client` (an `AsyncClient` of `httpx` or `httpx2` to use), `component_id` (what the model is
            called in the run; `openai/MODEL` if not given, and needed for two judges of one model with other settings).

    Raises:
        SpecError: an option that does not exist, is of the wrong kind, or can't be sent to this model; or an
            address that is none.
        LiteralSecretError: a credential in the address or a header.

    >>> openai("gpt-4o", temperature=0.0).component_id
    'openai/gpt-4o'
    """
    from themis.effects.providers.openai import build_azure, build_openai, build_provider

    if provider == "azure":
        return build_azure(model, **options)
    if provider in PROVIDERS:
        return build_provider(provider, model, **options)
    return build_openai(model, provider=provider, **options)


def vllm(model: str, **options: Any) -> OpenAIModel:
    """Return a model that a vLLM server serves, at `base_url`, `VLLM_BASE_URL` or `http://127.0.0.1:8000/v1`.

    Args:
        model: the model's name, as the server was started with.
        **options: those of `openai`, and vLLM's own sampling fields (`top_k`, `min_p`, `min_tokens`,
            `repetition_penalty`, `chat_template_kwargs`, `structured_outputs`, ...).
    """
    from themis.effects.providers.openai import build_vllm

    return build_vllm(model, **options)


def anthropic(model: str, **options: Any) -> AnthropicModel:
    """Return a model of Anthropic's.

    Args:
        model: the model's name.
        **options: those of `openai`, apart from `api` and `logprobs`; `max_tokens` is 4096 if not given, for the
            protocol wants one. It has no seed: the samples of a case differ by chance alone.
    """
    from themis.effects.providers.anthropic import build_anthropic

    return build_anthropic(model, **options)


def hf(model: str, **options: Any) -> HfModel:
    """Return a causal language model of Hugging Face's `transformers` that runs in this process (extra `hf`).

    Args:
        model: a folder that `save_pretrained()` wrote, or a name on the hub. The hash of the folder's files, or the
            hub's commit, is a part of the run's identity.
        **options: of the model: `device` (a GPU where there is one, if not given), `dtype` (`auto`, `float32`,
            `float16` or `bfloat16`), `revision` (a branch, tag or commit of the hub), `batch_size` (prompts that are
            computed at once; 8 if not given). Of the sampling: `temperature` (greedy if not given), `top_p`,
            `max_tokens` (256), `stop`, `seed`. Of the run: `api` (`chat`: everything in the model's chat template;
            `completions`: everything as text; by the input if not given), `component_id`.

    Raises:
        SpecError: an option that does not exist or is of the wrong kind, or a folder that holds no model.
    """
    from themis.effects.providers.hf import build_hf

    return build_hf(model, **options)


def llama_cpp(model: str, **options: Any) -> LlamaCppModel:
    """Return a model of a GGUF file that llama.cpp runs in this process (extra `llama-cpp`).

    Args:
        model: the file. Its hash is a part of the run's identity.
        **options: those of `hf`, with `n_ctx` (the most tokens of prompt and answer together; 2048 if not given),
            `n_gpu_layers` (-1 for all) and `n_threads` in place of `device`, `dtype`, `revision` and `batch_size`.

    Raises:
        SpecError: an option that does not exist or is of the wrong kind, or no such file.
    """
    from themis.effects.providers.llama_cpp import build_llama_cpp

    return build_llama_cpp(model, **options)


def langgraph(graph: Any, **options: Any) -> LangGraphAgent:
    """Return a compiled LangGraph graph as a generator or judge model; its events become a generation's trace.

    Args:
        graph: what `StateGraph(...).compile()` returned, or anything with `invoke` or `ainvoke`.
        **options: `component_id`, `version`, `input_key` (where the case's input goes in the graph's state;
            the whole state if the input is an object), `output_key` (what of the final state is the answer),
            `config` (passed to the graph), `trace` (whether events are recorded).
    """
    from themis.effects.providers.langgraph import build_langgraph

    return build_langgraph(graph, **options)


def asyncio_component(component: Any, *, component_id: str | None = None) -> AsyncioComponent:
    """Return a component whose async methods run on an asyncio loop: for SDKs and agents that need one.

    Args:
        component: a generator, judge model, or any other component.
        component_id: what it is called in the run; the component's own id if not given.

    Raises:
        SpecError: it is a class, a plain function or value, and no component.
    """
    from themis.effects.asyncio_bridge import AsyncioComponent

    problem = no_component(component)
    if problem is not None:
        raise SpecError(f"asyncio_component(): {problem}")

    return AsyncioComponent(component) if component_id is None else AsyncioComponent(component, component_id)


def _gemini(model: str, **options: Any) -> GeminiModel:
    from themis.effects.providers.clouds import build_gemini

    return build_gemini(model, **options)


def _any_llm(model: str, **options: Any) -> AnyLLMModel:
    from themis.effects.providers.any_llm import build_any_llm

    return build_any_llm(model, **options)


def _bedrock(model: str, **options: Any) -> BedrockModel:
    from themis.effects.providers.clouds import build_bedrock

    return build_bedrock(model, **options)


_BUILDERS: Final[Mapping[str, Callable[..., Any]]] = {
    "openai": openai,
    "vllm": vllm,
    "anthropic": anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "any-llm": _any_llm,
    "hf": hf,
    "llama_cpp": llama_cpp,
}


def is_model_string(name: str) -> bool:
    """Tell whether a component id names a model: `provider/model` or `provider:model`.

    >>> is_model_string("openai/gpt-4o"), is_model_string("builtin/exact_match")
    (True, False)
    """
    return _split(name) is not None


def from_model_string(name: str, **options: Any) -> Model:
    """Return the model that a string such as `openai/gpt-4o` or `vllm:Qwen/Qwen3-8B` names.

    Args:
        name: the provider and the model; `gemini/...` is asked through `generateContent`, `bedrock/...` through
            Converse (with a bearer key, or signed with AWS credentials: extra `bedrock`), the providers of
            docs/how-to/endpoints.md as `openai` asks them, and `any-llm/PROVIDER:MODEL` through the any-llm library;
            `hf/...` and `llama_cpp/...` (with the path of a file) run in this process.
        **options: those of the adapter; for `bedrock/...` also `region` and `profile`, for `any-llm/...` those of the
            sampling, `base_url`, `api_key_env` and `total_timeout_s`.

    Raises:
        UnknownComponentError: the provider is not known, or no model is named.

    >>> from_model_string("vllm:Qwen/Qwen3-8B").model
    'Qwen/Qwen3-8B'
    """
    parts = _split(name)
    if parts is None:
        raise UnknownComponentError(
            f"{name!r} names no model: 'provider/model' expected; {nearest(name.split('/')[0], MODEL_STRINGS)}"
        )
    provider, model = parts
    build = _BUILDERS.get(provider)
    built: Model = openai(model, provider=provider, **options) if build is None else build(model, **options)
    return built


def _split(name: str) -> tuple[str, str] | None:
    for mark in "/:":
        provider, _, model = name.partition(mark)
        if provider in MODEL_STRINGS and model:
            return provider, model
    return None
