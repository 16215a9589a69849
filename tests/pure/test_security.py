"""What is taken for a credential and what is not, by a corpus of each: shapes, names, addresses, options, headers.

All keys are drawn, each by its vendor's rule, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import base64
import random
import string
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from themis.pure.security import find_secrets, redact, without_secrets

_RANDOM = random.Random(7)  # no secret
HEX, CAPITALS = string.hexdigits[:16], string.ascii_uppercase + string.digits
WORD = string.ascii_letters + string.digits
WIDE = WORD + "-_"


def draw(length: int, alphabet: str = WORD) -> str:
    return "".join(_RANDOM.choices(alphabet, k=length))


def encoded(length: int) -> str:
    return base64.b64encode(_RANDOM.randbytes(length)).decode()


def uuid() -> str:
    return "-".join(draw(length, HEX) for length in (8, 4, 4, 4, 12))


PRIVATE: Final = "PRIVATE " + "KEY"
SHAPES: Final = {
    "openai": f"sk-{draw(20)}T3BlbkFJ{draw(20)}",
    "openai project": f"sk-proj-{draw(74, WIDE)}T3BlbkFJ{draw(74, WIDE)}",
    "openai service": f"sk-svcacct-{draw(58, WIDE)}T3BlbkFJ{draw(58, WIDE)}",
    "anthropic": f"sk-ant-api03-{draw(93, WIDE)}AA",
    "openrouter": f"sk-or-v1-{draw(64, HEX)}",
    "deepseek": f"sk-{draw(32, HEX)}",
    "google": f"AIza{draw(35, WIDE)}",
    "google client": f"GOCSPX-{draw(28, WIDE)}",
    "google access": f"ya29.{draw(120, WIDE)}",
    "google refresh": f"1//0{draw(60, WIDE)}",
    "groq": f"gsk_{draw(52)}",
    "xai": f"xai-{draw(80)}",
    "perplexity": f"pplx-{draw(48, HEX)}",
    "replicate": f"r8_{draw(37)}",
    "nvidia": f"nvapi-{draw(64, WIDE)}",
    "cerebras": f"csk-{draw(48, string.ascii_lowercase + string.digits)}",
    "together": f"tgp_v1_{draw(43)}",
    "fireworks": f"fw_{draw(24)}",
    "hugging face": f"hf_{draw(34, string.ascii_letters)}",
    "hugging face organisation": f"api_org_{draw(34, string.ascii_letters)}",
    **{f"github {kind}": f"gh{kind}_{draw(36)}" for kind in "pousr"},
    "github fine": f"github_pat_{draw(22)}_{draw(59)}",
    **{f"gitlab {kind}": f"gl{kind}-{draw(20, WIDE)}" for kind in ("pat", "dt", "rt", "ptt")},
    "aws": f"AKIA{draw(16, CAPITALS)}",
    "aws session": f"ASIA{draw(16, CAPITALS)}",
    "slack bot": f"xoxb-{draw(12, string.digits)}-{draw(13, string.digits)}-{draw(24)}",
    "slack app": f"xapp-1-A{draw(10, CAPITALS)}-{draw(13, string.digits)}-{draw(64, HEX)}",
    "slack hook": f"https://hooks.slack.com/services/T{draw(8, CAPITALS)}/B{draw(8, CAPITALS)}/{draw(24)}",
    "discord hook": f"https://discord.com/api/webhooks/{draw(18, string.digits)}/{draw(68, WIDE)}",
    "telegram": f"{draw(10, string.digits)}:AA{draw(33, WORD)}",
    "stripe": f"sk_live_{draw(24)}",
    "stripe test": f"sk_test_{draw(24)}",
    "stripe restricted": f"rk_live_{draw(24)}",
    "stripe hook": f"whsec_{draw(32)}",
    "twilio": f"SK{draw(32, HEX)}",
    "sendgrid": f"SG.{draw(22, WIDE)}.{draw(43, WIDE)}",
    "mailgun": f"key-{draw(32, HEX)}",
    "npm": f"npm_{draw(36)}",
    "pypi": f"pypi-AgEIcHlwaS5vcmc{draw(120, WIDE)}",
    "docker": f"dckr_pat_{draw(27)}",
    "digitalocean": f"dop_v1_{draw(64, HEX)}",
    "databricks": f"dapi{draw(32, HEX)}",
    "notion": f"secret_{draw(43)}",
    "notion new": f"ntn_{draw(46)}",
    "linear": f"lin_api_{draw(40)}",
    "airtable": f"pat{draw(14)}.{draw(64, HEX)}",
    "shopify": f"shpat_{draw(32, HEX)}",
    "square": f"EAAA{draw(60)}",
    "sentry": f"sntrys_{draw(80)}",
    "grafana": f"glsa_{draw(32)}_{draw(8, HEX)}",
    "vault": f"hvs.{draw(95, WIDE)}",
    "terraform": f"{draw(14)}.atlasv1.{draw(67, WIDE)}",
    "pulumi": f"pul-{draw(40, HEX)}",
    "doppler": f"dp.pt.{draw(43)}",
    "heroku": f"HRKU-AA{draw(58)}",
    "planetscale": f"pscale_tkn_{draw(43)}",
    "supabase": f"sbp_{draw(40, HEX)}",
    "langsmith": f"lsv2_pt_{draw(32, HEX)}_{draw(10, HEX)}",
    "langfuse": f"sk-lf-{uuid()}",
    "wandb": f"wandb_v1_{draw(60)}",
    "tavily": f"tvly-{draw(32)}",
    "firecrawl": f"fc-{draw(32, HEX)}",
    "e2b": f"e2b_{draw(40, HEX)}",
    "pinecone": f"pcsk_{draw(6)}_{draw(60)}",
    "voyage": f"pa-{draw(43)}",
    "jina": f"jina_{draw(60)}",
    "elevenlabs": f"sk_{draw(48, HEX)}",
    "anyscale": f"esecret_{draw(26)}",
    "modal": f"as-{draw(22)}",
    "fal": f"{uuid()}:{draw(32, HEX)}",
    "friendli": f"flp_{draw(46)}",
    "token": f"eyJ{draw(33, WIDE)}.eyJ{draw(80, WIDE)}.{draw(43, WIDE)}",
    "age": f"AGE-SECRET-KEY-1{draw(58, CAPITALS)}",
    "putty": f"PuTTY-User-Key-File-3: ssh-ed25519\n{draw(48)}",
    "pgp": f"-----BEGIN PGP {PRIVATE} BLOCK-----\n{draw(64)}",
    **{f"pem {kind}": f"-----BEGIN {kind}{PRIVATE}-----\n{draw(64)}" for kind in ("", "RSA ", "EC ", "OPENSSH ")},
}
NAMES: Final = [
    "api_key",
    "apiKey",
    "API-KEY",
    "OPENAI_API_KEY",
    "x-api-key",
    "password",
    "passwd",
    "db_password",
    "PGPASSWORD",
    "passphrase",
    "authorization",
    "Proxy-Authorization",
    "client_secret",
    "clientSecret",
    "app_secret",
    "access_token",
    "accessToken",
    "refresh_token",
    "id_token",
    "bearer_token",
    "auth_token",
    "session_token",
    "secret_key",
    "aws_secret_access_key",
    "private_key",
    "subscription_key",
    "Ocp-Apim-Subscription-Key",
    "functions_key",
    "x-functions-key",
    "credentials",
    "token",
    "hf_token",
    "HF_TOKEN",
    "secret",
    "webhook_secret",
    "signing_key",
    "encryption_key",
    "master_key",
    "access_key",
    "accessKeyId",
    "AccountKey",
    "storage_key",
    "shared_access_key",
    "sas_token",
    "auth",
    "x-auth-token",
    "X-Amz-Security-Token",
    "X-Goog-Api-Key",
    "cookie",
    "Set-Cookie",
    "sessionid",
    "csrf_token",
    "pat",
    "pwd",
    "key",
    "PRIVATE-TOKEN",
    "X-Vault-Token",
    "api_token",
    "apitoken",
    "apikey",
    "consumer_secret",
    "oauth_token",
    "jwt",
    "license_key",
    "deploy_key",
    "ssh_key",
    "access_code",
    "authkey",
    "auth_key",
    "basic_auth",
    "authToken",
    "_authToken",
    "proxy_password",
    "mysql_pwd",
    "bearer",
]
QUERIES: Final = [
    "key",
    "api_key",
    "apikey",
    "api-key",
    "access_token",
    "access-token",
    "token",
    "auth",
    "code",
    "sig",
    "signature",
    "subscription-key",
    "client_secret",
    "password",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Goog-Signature",
    "sas",
    "secret",
    "auth_token",
    "jwt",
    "id_token",
    "session",
    "sessionid",
    "pwd",
    "access_key",
    "appkey",
    "app_key",
    "hapikey",
    "private_token",
    "oauth_token",
    "refresh_token",
    "authkey",
    "ticket",
    "bearer",
]
ADDRESSES: Final = [
    *(
        "https://user:pa55w0rd@host/x",
        "postgresql://me:hunter2@db/x",
        "redis://:p4ss@h:6379/0",
        "amqp://guest:guest1@h//",
    ),
    *("http://proxyuser:proxypass@proxy:3128", "mysql+pymysql://root:toor@localhost/db", "socks5://u:p@h:1080"),
    *(f"https://{draw(32)}@host.example/2", "jdbc:postgresql://h/db?user=u&password=hunter22"),
    *("https://h/v1?api_key=hunter2", f"https://h/v1#access_token={draw(40)}", f"https://h/v1;token={draw(40)}"),
    "https://a.blob.core.windows.net/c?sv=2022-11-02&sp=r&sig=Ab3%2Bx9Qz%2FkL0pW7r%2BsT4uV8yZ1cD2eF5gH6jK%3D",
]
STRINGS: Final = [
    f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={encoded(64)};EndpointSuffix=core.windows.net",
    f"Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={encoded(32)}",
    "Server=tcp:x;Database=d;User ID=u;Password=Hunter2!;Encrypt=True",
    "host=h dbname=d user=u password=hunter2",
    "Driver={SQL};Server=s;UID=u;PWD=p4ssw0rd",
    *(
        f"{before}{draw(32)}"
        for before in ("Authorization: Bearer ", "api_key: ", "export OPENAI_API_KEY=", "x-api-key: ")
    ),
    f"Authorization: Basic {encoded(24)}",
    f"Cookie: session={draw(32)}",
    f'{{"api_key": "{draw(32)}"}}',
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYz" + "EXAMPLEKEY",
    *("--password=hunter2", "PGPASSWORD=hunter2", f"--api-key={draw(32)}", f"--token={draw(24)}"),
]
STRUCTURES: Final[list[Any]] = [
    ["--token", draw(32)],
    ["--api-key", "abc"],
    ["--password", "hunter2"],
    ["-H", f"X-Api-Key: {draw(32)}"],
    [["X-Api-Key", draw(32)]],
    {"name": "X-Api-Key", "value": draw(32)},
    {"api_key": ["abc"]},
    {"api_keys": {"openai": draw(32)}},
    {"token": {"value": draw(32)}},
    {"password": 12345678},
    {"basic_auth": ["user", "hunter2"]},
    {"deep": [{"er": [{"password": "x"}]}]},
    {SHAPES["openai"]: "x"},
    *({name: "hunter2"} for name in ("password", "api_key", "db_password", "proxy_password", "client_secret")),
    {"Authorization": "Bearer abc"},
]


def secrets() -> Iterator[Any]:
    """Yield what must be refused, in the places where it is met."""
    yield from ({"note": shape} for shape in SHAPES.values())
    yield from ({"instructions": f"Use {shape} for it."} for shape in SHAPES.values() if "\n" not in shape)
    yield from ({"extra": {name: draw(32)}} for name in NAMES)
    yield from ({"base_url": f"https://h.example/v1?v=1&{name}={draw(40)}"} for name in QUERIES)
    yield from ({"note": text} for text in (*ADDRESSES, *STRINGS))
    yield from STRUCTURES


MODELS: Final = [
    "gpt-4o",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1-nano-2025-04-14",
    "claude-3-5-sonnet-20241022",
    "claude-opus-4-1-20250805",
    "gemini-2.5-pro-preview-05-06",
    "gemini-2.0-flash-thinking-exp-01-21",
    "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
    "Qwen/Qwen2.5-Coder-32B-Instruct-GPTQ-Int4",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    "TheBloke/Mixtral-8x7B-Instruct-v0.1-GGUF",
    "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "ft:gpt-4o-mini-2024-07-18:acemeco:suffix:abc123",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "ft:gpt-3.5-turbo-0125:personal::9KcbUvXy",
    "sk-learn-compatible-api-for-everyone",
    "xai-grok-2-vision-1212-latest-2024",
    "pplx-70b-online-chat-model",
    "fw-llama-v3p1-8b-instruct-2024",
    "gsk_model_with_a_long_name_v2",
    "hf_internal_testing_tiny_random_llama",
    "hf-internal-testing/tiny-random-LlamaForCausalLM",
    "r8-im-a-model-name-of-2024",
    "nvapi-compatible-endpoint-name",
    "csk-something-compatible-model-8b",
    "sk-unet-diffusion-model-v1-5-pruned-emaonly",
    "pa-raphrase-multilingual-MiniLM-L12-v2",
    "as-llama-3.1-8b-instruct-awq",
    "key-value-memory-network-2024",
    "secret_agents_v2_1",
    "ollama/llama3.2:3b-instruct-q4_K_M",
    "openrouter/anthropic/claude-3.5-sonnet:beta",
    "01-ai/Yi-1.5-34B-Chat-16K",
    "mlx-community/Llama-3.2-3B-Instruct-4bit",
    "unsloth/DeepSeek-R1-GGUF/DeepSeek-R1-UD-IQ1_S",
    "kimi-k2-0905-preview",
    "MiniMaxAI/MiniMax-M1-80k",
    "gpt-oss-120b",
    "npm_and_yarn_packages_dataset",
    "pypi-downloads-2024-11-26",
]
PLACES_OF_THINGS: Final = [
    "builtin/exact_match",
    "openai/gsm8k",
    "princeton-nlp/SWE-bench_Verified",
    "TIGER-Lab/MMLU-Pro",
    "data/eval_2024-11-26T12:00:00Z.jsonl",
    "/home/u/projects/My-Project_2024/data/Test_Set_v2.csv",
    "s3://bucket/prefix/2024/11/26/part-00000-a1b2c3d4.snappy.parquet",
    "git@github.com:openai/evals.git",
    "https://huggingface.co/datasets/openai/gsm8k/resolve/main/main/test-00000-of-00001.parquet",
    "https://example.org/search?q=password+reset&token=next",
    "https://h/v1?page_token=3",
    "https://h/v1?key=name&sort=asc",
    "https://h/api?code=200",
    "https://h?signature=false",
    "https://h/?next_token=abc",
    "postgresql://localhost/db",
    "postgresql://me@localhost/db",
    "http://localhost:8000/v1",
    "https://user@host/path",
    "https://h:8443/a@b",
    "http://[::1]:8080/v1",
    "https://x.openai.azure.com/openai/deployments/gpt-4o?api-version=2024-10-21",
    "https://h/x:y@z?w",
    "https://medium.com/@user/some-title-a1b2c3d4e5f6",
    "https://me:${oc.env:PASSWORD}@host/v1",
]
PROSE: Final = [
    "Write a program that reads a password from stdin and prints its length.",
    "What does `Authorization: Bearer <token>` mean in HTTP?",
    "Set the environment variable OPENAI_API_KEY=... before you run it.",
    "The token is next; the key is C major.",
    "What is the bearer capacity of the ground? bearer authentication-mechanisms-explained",
    "password: a string you type",
    "Explain api_key=YOUR_API_KEY in the request.",
    "key: value, token: count, secret: none",
    "sk-SK is the locale of Slovakia; sk-UA is not.",
    "Cookie recipes: add 200g of sugar.",
    "Decrypt the message 'GUVF VF N FRPERG ZRFFNTR' with ROT13.",
    "Das Kennwort lautet Donaudampfschifffahrtsgesellschaft.",
    "AKIA is the prefix of AWS keys; AIza of Google's; eyJ begins a token.",
    "-----BEGIN of the story-----",
    "The answer is 0x7f3a9c2b1d4e5f60718293a4b5c6d7e8.",
    "f(x)=3x^2+2x+1; x=1234567890123456789",
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV",
    "InChI=1S/C9H8O4/c1-6(10)13-8-5-3-2-4-7(8)9(11)12/h2-5H,1H3,(H,11,12)",
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1",
    "import os; key = os.environ['OPENAI_API_KEY']",
    "headers = {'Authorization': f'Bearer {token}'}",
    "def f(password: str) -> bool: return len(password) > 8",
    "client_secret: ${oc.env:CLIENT_SECRET}",
    "token=None",
    "Compare: password == 'x'; connect with host=<host> password=<password>",
    "server=PRODUCTION and PASSWORD=YOUR_PASSWORD are placeholders",
    "https://en.wikipedia.org/wiki/Special:Search?search=api+key&token=abc",
]
FIELDS: Final[list[tuple[str, Any]]] = [
    *(("api_key_env", "OPENAI_API_KEY"), ("api_key", "${oc.env:OPENAI_API_KEY}"), ("api_key", "$OPENAI_API_KEY")),
    *(("Authorization", "Bearer ${TOKEN}"), ("max_tokens", 512), ("token_count", 12), ("stop_token", "<|eot_id|>")),
    *(("eos_token", "</s>"), ("tokens", "sample"), ("key", "value"), ("key", "C# minor"), ("secret", "a game show")),
    *(("tokenizer", "cl100k_base"), ("token_type", "bearer"), ("auth", "none"), ("auth", "oauth2")),
    *(("signature", "def f(x: int) -> int"), ("primary_key", "id"), ("answer_key", "ABCDABCDABCD"), ("keys", "a,b,c")),
    *(("cookie", "chocolate chip"), ("session", "2024-fall"), ("pat", "Pat Smith"), ("code", "print(1)")),
    *(("password_policy", "at least 8"), ("has_password", False), ("api_key", None), ("api_key", "")),
    *(("password", "[secret]"), ("secret_santa", "Bob"), ("public_key", draw(40)), ("keyboard", draw(24))),
    *(("monkey", draw(24)), ("n_tokens", "1024"), ("logprobs_token", "the"), ("author", "J. K. Rowling")),
    *(("design", draw(24)), ("passage", "The Secret Garden"), ("pass", "true"), ("passed", True), ("compass", "N")),
    *(("dsn", "postgresql://localhost/db"), ("dsn", "host=localhost dbname=x"), ("bearer", "the man who carries it")),
    *(
        ("connection_string", "${oc.env:DSN}"),
        ("seed", draw(20)),
        ("api_keys", 3),
        ("key_facts", "Paris is in France."),
    ),
    *(
        ("prompt_cache_key", draw(24)),
        ("idempotency_key", draw(24)),
        ("page_token", draw(24)),
        ("session_id", draw(24)),
    ),
    *(("key", "runs/2024-11-26T12-00-00/Model_A1/B2c3D4.json"), ("stop_tokens", ["<|eot_id|>", "<|reserved_0|>"])),
    *(("args", ["--model", "gpt-4o", "--max-tokens", "512"]), ("args", ["--key-column", "question", "--seed", "7"])),
    *(("pair", ["token", "Llama-3.3-70B-Instruct"]), ("credential", {"required": True}), ("cache_key", draw(64, HEX))),
]
IDS: Final[list[Callable[[], Any]]] = [
    uuid,
    lambda: draw(64, HEX),
    lambda: draw(40, HEX),
    lambda: draw(32, HEX),
    lambda: f"sha256:{draw(64, HEX)}",
    lambda: f"python@sha256:{draw(64, HEX)}",
    lambda: encoded(600),
    lambda: f"data:image/png;base64,{encoded(900)}",
    lambda: f"sha512-{encoded(64)}",
    lambda: f"req_{draw(24)}",
    lambda: f"chatcmpl-{draw(29)}",
    lambda: f"msg_01{draw(22)}",
    lambda: f"file-{draw(22)}",
    lambda: f"resp_{draw(48, HEX)}",
    lambda: f"call_{draw(24)}",
    lambda: f"org-{draw(24)}",
    lambda: draw(26, CAPITALS),
    lambda: f"https://www.youtube.com/watch?v={draw(11, WIDE)}",
    lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{draw(43)}",
    lambda: f"-----BEGIN CERTIFICATE-----\nMIID{draw(60)}",
    lambda: f"-----BEGIN PUBLIC KEY-----\nMIIB{draw(60)}",
]


def harmless() -> Iterator[Any]:
    """Yield what must not be refused."""
    yield from ({"model": name} for name in MODELS)
    yield from ({"path": place} for place in PLACES_OF_THINGS)
    yield from ({"instructions": text} for text in PROSE)
    yield from ({name: value} for name, value in FIELDS)
    yield from ({"id": make()} for make in IDS for _ in range(3))


SECRETS: Final = [*secrets()]
HARMLESS: Final = [*harmless()]


def test_the_corpora_are_large_enough() -> None:
    assert min(len(SECRETS), len(HARMLESS)) >= 200


@pytest.mark.parametrize("value", SECRETS, ids=range(len(SECRETS)))
def test_a_credential_is_found_and_blotted_out(value: Any) -> None:
    assert [*find_secrets(value)] != []
    assert [*find_secrets(without_secrets(value))] == []
    text = value.get("note") if isinstance(value, dict) else None
    assert text is None or [*find_secrets({"note": redact(text)})] == []


@pytest.mark.parametrize("value", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_no_credential_is_not_taken_for_one(value: Any) -> None:
    assert [*find_secrets(value)] == []


UNITS = [
    *("a=", "eyJaaaaaaaaaa-", "eyJaaaaaaaaaaa.eyJaaaaaaaaaa-", "a://", "a://b:", "?key=", "&token=a1B2c3D4e5F6g7H8i9"),
    *("bearer ", "cookie: a=b;", "token:", '"a"=\'', "password=x host=y ", "a.a.a.a", "1234567890:AA", 'x="'),
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_text_is_looked_through_in_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))

    def seconds() -> float:
        start = time.process_time()
        assert any(find_secrets(text)) or redact(text)
        return time.process_time() - start

    assert min(seconds(), seconds()) < 2
