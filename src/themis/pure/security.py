"""Secrets: finding literal credentials before they are stored, and removing them from text.

Credentials come from the environment at call time and are never part of a record (law 10). The patterns are
those that the providers document for their keys; a named field (`api_key`, `password`, ...) with a literal value
counts, however it looks. A reference to the environment (`${oc.env:NAME}`, `$NAME`) is no secret, and neither is what
stands in place of one (`[secret]`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from themis.pure.errors import LiteralSecretError, listed
from themis.pure.json import JSONValue

_KEYS: Final = re.compile(
    r"""(?x)
      \bsk-(?:ant-|proj-|or-|svcacct-)?[A-Za-z0-9_-]{16,}   # OpenAI, Anthropic, OpenRouter
    | \bgh[pousr]_[A-Za-z0-9]{30,}                          # GitHub
    | \bhf_[A-Za-z0-9]{30,}                                 # Hugging Face
    | \bAKIA[0-9A-Z]{16}\b                                  # AWS access key id
    | \bAIza[0-9A-Za-z_-]{35}                               # Google
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                        # Slack
    | \b(?:gsk|xai|pplx|r8|nvapi)[_-][A-Za-z0-9_-]{20,}     # Groq, xAI, Perplexity, Replicate, NVIDIA
    | \beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}  # JSON Web Token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | (?i:\bbearer\s+)[A-Za-z0-9._~+/-]{16,}=*
    """
)
_URL_PASSWORD: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)(?P<secret>[^\s/@]+)(?=@)", re.IGNORECASE
)
Place = Literal["field", "variable", "query", "header"]
"""Where a name is found: in a record or config, in the environment, in a URL, in a request."""

# They differ because the same word means different things: a variable or a URL's query says `token` or `key` for a
# credential, a record says it for other things.
_SECRET_NAMES: Final[Mapping[Place, re.Pattern[str]]] = {
    "field": re.compile(
        r"(?i)^(?:.*[_-])?(?:api[_-]?key|secret|password|passwd|authorization|access[_-]?token|auth[_-]?token|bearer|credentials?)$"
    ),
    "variable": re.compile(
        r"(?i)(?:^|_)(?:api_?keys?|keys?|token|secrets?|password|passwd|pwd|credentials?|auth|dsn)(?:_|$)"
    ),
    "query": re.compile(r"(?i)^(?:api[_-]?key|key|token|access_token|secret|password|sig|signature)\Z"),
    "header": re.compile(r"(?i)^(?:(?:proxy-)?authorization|(?:x-(?:goog-)?)?api-key|cookie)\Z"),
}
_DSN_NAME: Final = re.compile(r"(?i)^(?:dsn|conninfo|connection_string)$")
# As libpq and ODBC write it, and a URL's query; a reference to the environment is no password.
_DSN_PASSWORD: Final = re.compile(r"(?i)\b(?:password|passwd|pwd)\s*=\s*(?!\s*'?(?:\$|\[secret\]))[^\s&;]")
_REFERENCE: Final = re.compile(r"^\s*(?:\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|\[secret\])\s*$")

BLOT: Final = "[secret]"


def names_secret(name: str, place: Place) -> bool:
    """Tell whether a name says that what it names is a credential.

    >>> names_secret("OPENAI_API_KEY", "variable"), names_secret("MAX_TOKENS", "variable")
    (True, False)
    """
    return _SECRET_NAMES[place].search(name) is not None


def find_secrets(value: JSONValue, path: str = "$") -> Iterator[str]:
    """Yield the path of every literal credential in a JSON value.

    >>> list(find_secrets({"api_key": "abc", "note": "fine", "key_name": "${oc.env:OPENAI_API_KEY}"}))
    ['$.api_key']
    """
    if isinstance(value, str):
        if _has_secret(value):
            yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{path}.{key}"
            if isinstance(item, str) and _is_secret_field(key, item):
                yield where
            else:
                yield from find_secrets(item, where)
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from find_secrets(item, f"{path}[{index}]")


def _is_secret_field(key: str, text: str) -> bool:
    if _DSN_NAME.match(key):
        return _DSN_PASSWORD.search(text) is not None or _has_secret(text)
    return bool(text.strip() and names_secret(key, "field") and not _REFERENCE.match(text))


def _has_secret(text: str) -> bool:
    if _KEYS.search(text):
        return True
    password = _URL_PASSWORD.search(text)
    return password is not None and not _REFERENCE.match(password["secret"])


def redact(text: str) -> str:
    """Return text with every credential in it removed.

    >>> redact("postgresql://me:hunter2@localhost/db")
    'postgresql://me:[secret]@localhost/db'
    """
    return _URL_PASSWORD.sub(lambda found: f"{found['before']}{BLOT}", _KEYS.sub(BLOT, text))


def without_secrets(value: JSONValue) -> JSONValue:
    """Return a JSON value to show, with every credential in it blotted out.

    It is stricter than `find_secrets`, which must refuse nothing harmless: a name counts that says credential in a
    config, the environment, a URL or a request, however it is spelled; so does the item of a list behind such a name,
    and what a text assigns to one. The name of an environment variable stays.

    >>> without_secrets({"X-Auth-Token": "abc", "api_key_env": "MY_KEY", "max_tokens": 9, "args": ["--token", "abc"]})
    {'X-Auth-Token': '[secret]', 'api_key_env': 'MY_KEY', 'max_tokens': 9, 'args': ['--token', '[secret]']}
    """
    if isinstance(value, str):
        return _without_assigned(redact(value))
    if isinstance(value, Mapping):
        return {key: BLOT if _is_credential(key, item) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        before = [None, *value]
        return [
            BLOT if isinstance(name, str) and _is_credential(name.strip("-"), item) else without_secrets(item)
            for name, item in zip(before, value, strict=False)
        ]
    return value


_ASSIGNED: Final = re.compile(
    r"""(?P<name>(?:[?&]|(?<![\w-]))[A-Za-z][\w-]{0,60})["']?\s*[=:]\s*"""
    r"""(?=(?P<value>"[^"]*"|'[^']*'|(?:(?:Basic|Bearer)\s+)?[^\s&;,]+))"""
)
"""A name with what is assigned to it, which is looked ahead to: it may hold assignments of its own."""
_HARMLESS: Final = re.compile(
    "(?:stop|eos|bos|pad|unk|mask|sep|end)_token"
    "|(?:provider|input|output|answer|label|target|expected|text|case|sort|group|cluster|metadata)_key"
)
"""Names that only look like a credential's."""
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")


def _is_credential(name: str, item: object) -> bool:
    if item is None or isinstance(item, bool) or (isinstance(item, str) and (not item or _REFERENCE.match(item))):
        return False
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    if plain.endswith("_env") and isinstance(item, str) and _VARIABLE.fullmatch(item):
        return False
    if names_secret(plain, "field") or names_secret(plain, "query") or names_secret(plain, "header"):
        return True
    return names_secret(plain, "variable") and not isinstance(item, int | float) and not _HARMLESS.fullmatch(plain)


def _without_assigned(text: str) -> str:
    parts, end = [], 0
    for found in _ASSIGNED.finditer(text):
        name, value = found["name"], found["value"].strip("\"'")
        place: Place = "query" if name[0] in "?&" else "field"
        if found.start() >= end and names_secret(name.lstrip("?&"), place) and not _REFERENCE.match(value):
            parts += [text[end : found.start("value")], BLOT]
            end = found.end("value")
    return "".join([*parts, text[end:]])


def refuse_secrets(parts: Mapping[str, JSONValue]) -> None:
    """Refuse an experiment that holds a literal credential.

    Raises:
        LiteralSecretError: naming every path, and no value.
    """
    paths = [path.replace("$", name, 1) for name, part in parts.items() for path in find_secrets(part)]
    if paths:
        raise LiteralSecretError(
            listed(
                "the experiment holds a credential, which would be stored with it",
                [f"{path}: put it in an environment variable and leave it out here" for path in paths],
            )
        )
