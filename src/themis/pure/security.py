"""Secrets: finding literal credentials before they are stored, and removing them from text.

Credentials come from the environment at call time and are never part of a record (law 10). What is one is decided by
one vocabulary of names and one of shapes. Some names say it of whatever they name (`api_key`, `password`); others say
it in a URL's query, a header or the environment, and of anything else only where the value looks like one (`token`,
`secret`). A shape is what a provider documents for its keys, and a prefix alone is none: what follows it must have a
part that is no word, as names of models and packages have not. A reference to the environment (`${oc.env:NAME}`,
`$NAME`) is no secret, however it is written, and neither is what stands in place of one (`[secret]`).
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from themis.pure.errors import LiteralSecretError, listed
from themis.pure.json import JSONValue

# --- shapes -----------------------------------------------------------------------------------------------

_KEYS: Final = re.compile(
    r"""(?x)
      \bgh[pousr]_[A-Za-z0-9]{30,}                          # GitHub
    | \bgithub_pat_[A-Za-z0-9_]{40,}
    | \bglpat-[A-Za-z0-9_-]{20,}                            # GitLab
    | \bhf_[A-Za-z0-9]{30,}                                 # Hugging Face
    | \bAKIA[0-9A-Z]{16}\b                                  # AWS access key id
    | \bAIza[0-9A-Za-z_-]{35}                               # Google
    | \bxox[abprs]-[A-Za-z0-9-]{10,}                        # Slack
    | \beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}  # JSON Web Token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | (?:\bsk-                                              # OpenAI, Anthropic, OpenRouter and their like
        |\b(?:gsk|xai|pplx|r8|nvapi|csk|tgp|fw)[_-]         # Groq, xAI, Perplexity, Replicate, NVIDIA, Cerebras, ...
        |(?i:\bbearer\s+))
      (?P<tail>[A-Za-z0-9._~+/-]{16,}=*)
    """
)
_PIECE: Final = re.compile(r"[A-Za-z0-9]{16,}")
_MIXED: Final = re.compile(r"(?=.*[A-Za-z])(?:.*[0-9]|.*[a-z].*[A-Z])")
_URL_PASSWORD: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)(?P<secret>[^\s/@]+)(?=@)", re.IGNORECASE
)


def _looks_random(text: str) -> bool:
    """Tell whether a part of a text was made by a machine: 16 letters and digits in a row, mixed and varied.

    A random one passes nearly always: it changes between digits, small and large letters at every second character, and
    repeats few. Words, names with versions, dates and numbers do not.

    >>> _looks_random("tok_a1B2c3D4e5F6g7H8"), _looks_random("llama-3.1-instruct-20241126-preview")
    (True, False)
    """
    return any(_is_random(piece) for piece in _PIECE.findall(text))


def _is_random(piece: str) -> bool:
    changes = sum(_kind(a) != _kind(b) for a, b in itertools.pairwise(piece))
    counts, length = Counter(piece).values(), len(piece)
    bits = -sum(count / length * math.log2(count / length) for count in counts)
    return changes >= length / 4 and bits >= 2.5


def _kind(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.islower() else 2


def _is_key(found: re.Match[str]) -> bool:
    tail = found["tail"]
    return tail is None or any(map(_MIXED.match, _PIECE.findall(tail)))


def is_placeholder(credential: str) -> bool:
    """Tell whether what stands where a credential is due is a word that is written there for want of one.

    >>> is_placeholder("EMPTY"), is_placeholder("sk-no-key-required"), is_placeholder("open-sesame-42")
    (True, True, False)
    """
    return len(credential) < _SHORTEST or re.fullmatch(r"[A-Za-z]*(?:[-_ ][A-Za-z]+)*", credential) is not None


_SHORTEST: Final = 8
"""Characters of the shortest credential that is looked for in what comes back."""

# --- names ------------------------------------------------------------------------------------------------

Place = Literal["field", "variable", "query", "header"]
"""Where a name is found: in a record or config, in the environment, in a URL, in a request."""

_SURE: Final = re.compile(
    r"(?:^|_)(?:api_?keys?|password|passwd|passphrase|(?:proxy_)?authorization|bearer|credentials?"
    r"|(?:access|auth|bearer|refresh|session)_?token|(?:client|app|shared)_?secret"
    r"|(?:secret|private|subscription|functions)_?key)$"
)
"""Names that say of anything that it is a credential."""
_LIKELY: Final = re.compile(r"(?:^|_)(?:secrets?|tokens?|keys?|pwd|pat|auth|dsn|cookie|sig|signature)(?:_|$)")
"""Names that say it of a variable, and of what looks like one."""

# Beside `_SURE`. They differ because the same word means different things: a URL's query says `key` for a credential, a
# record says it for other things.
_SECRET_NAMES: Final[Mapping[Place, re.Pattern[str]]] = {
    "field": re.compile(r"(?!)"),
    "variable": re.compile(
        r"(?:^|_)(?:api_?keys?|keys?|token|secrets?|password|passwd|pwd|pat|credentials?|auth|dsn)(?:_|$)"
    ),
    "query": re.compile(
        r"^(?:key|token|secret|pwd|auth|code|sas|sig|(?:.*_)?signature|x_(?:amz|goog)_(?:credential|security_token))$"
    ),
    "header": re.compile(r"(?:^|_)(?:token|secret|cookie|auth|signature)$"),
}
_DSN_NAME: Final = re.compile(r"^(?:dsn|conninfo|connection_string)$")
# As libpq and ODBC write it, and a URL's query; a reference to the environment is no password.
_DSN_PASSWORD: Final = re.compile(r"(?i)\b(?:password|passwd|pwd)\s*=\s*(?!\s*'?(?:\$|\[secret\]))[^\s&;]")
_REFERENCE: Final = re.compile(r"^\s*(?:(?:Basic|Bearer)\s+)?(?:\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|\[secret\])\s*$")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

BLOT: Final = "[secret]"

_OTHER_FORM: Final = re.compile(
    r"""(?x) (?:(?:Basic|Bearer)\s+)?
    (?: \$?env:(?P<a>[A-Z_][A-Z0-9_]*)             # a name with its kind before it, and PowerShell's
    | \$\{(?:env:)?(?P<b>[A-Z_][A-Z0-9_]*)\}       # a shell's, and an editor's
    | \$(?P<c>[A-Z_][A-Z0-9_]*)
    | os\.environ/(?P<d>[A-Z_][A-Z0-9_]*)          # LiteLLM's
    | \{\{\s*env\.(?P<e>[A-Z_][A-Z0-9_]*)\s*\}\}  # a template's
    | %(?P<f>[A-Z_][A-Z0-9_]*)% )                  # that of Windows
    """
)


def named_otherwise(text: str) -> str | None:
    """Return the variable that a text as a whole refers to in the form of another tool, if it does.

    >>> named_otherwise("env:MY_KEY"), named_otherwise("${oc.env:MY_KEY}"), named_otherwise("costs $5")
    ('MY_KEY', None, None)
    """
    found = _OTHER_FORM.fullmatch(text.strip())
    return None if found is None else next(filter(None, found.groups()))


def _is_reference(text: str) -> bool:
    return _REFERENCE.match(text) is not None or named_otherwise(text) is not None


def names_secret(name: str, place: Place) -> bool:
    """Tell whether a name says that what it names is a credential, however the name is spelled.

    >>> names_secret("OPENAI_API_KEY", "variable"), names_secret("MAX_TOKENS", "variable")
    (True, False)
    >>> names_secret("Subscription-Key", "header"), names_secret("code", "query"), names_secret("code", "field")
    (True, True, False)
    """
    plain = _plain(name)
    return _SURE.search(plain) is not None or _SECRET_NAMES[place].search(plain) is not None


def _plain(name: str) -> str:
    """Return a name in small letters with underscores: `apiKey`, `API-KEY` and `api.key` are `api_key`."""
    return re.sub(r"[-.\s]", "_", _CAMEL.sub("_", name)).lower()


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
    plain = _plain(key)
    if _DSN_NAME.match(plain):
        return _DSN_PASSWORD.search(text) is not None or _has_secret(text)
    if not text.strip() or _is_reference(text):
        return False
    if _SURE.search(plain):
        return True
    if plain == "secret" or plain.endswith("_secret"):
        return not re.search(r"\s", text.strip())  # a sentence is a secret of another kind
    return _LIKELY.search(plain) is not None and not _HARMLESS.fullmatch(plain) and _looks_like_a_key(text)


def _looks_like_a_key(text: str) -> bool:
    text = text.strip()
    is_hash = re.fullmatch(r"[0-9a-f]+", text) is not None and len(text) in {32, 40, 64, 128}
    return re.search(r"\s", text) is None and not is_hash and _looks_random(text)


def _has_secret(text: str) -> bool:
    if any(map(_is_key, _KEYS.finditer(text))):
        return True
    if any(_is_secret_query(found) for found in _QUERY.finditer(text)):
        return True
    password = _URL_PASSWORD.search(text)
    return password is not None and not _is_reference(password["secret"])


_QUERY: Final = re.compile(r"(?P<before>[?&](?P<name>[A-Za-z][\w.-]{0,60})=)(?P<value>[^\s&#\"']+)")
"""A field of a URL's query, and its value."""


def _is_secret_query(found: re.Match[str]) -> bool:
    return names_secret(found["name"], "query") and _looks_random(found["value"])


def redact(text: str) -> str:
    """Return text with every credential in it removed.

    >>> redact("postgresql://me:hunter2@localhost/db")
    'postgresql://me:[secret]@localhost/db'
    """
    # More than is refused: to blot out a long word that stands behind a key's prefix costs nothing.
    text = _KEYS.sub(lambda found: BLOT if found["tail"] is None or _PIECE.search(found["tail"]) else found[0], text)
    text = _QUERY.sub(lambda found: f"{found['before']}{BLOT}" if _is_secret_query(found) else found[0], text)
    return _URL_PASSWORD.sub(lambda found: f"{found['before']}{BLOT}", text)


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
    if item is None or isinstance(item, bool) or (isinstance(item, str) and (not item or _is_reference(item))):
        return False
    plain = _plain(name)
    if plain.endswith("_env") and isinstance(item, str) and _VARIABLE.fullmatch(item):
        return False
    if _SURE.search(plain):
        return True
    return _LIKELY.search(plain) is not None and not isinstance(item, int | float) and not _HARMLESS.fullmatch(plain)


def _without_assigned(text: str) -> str:
    parts, end = [], 0
    for found in _ASSIGNED.finditer(text):
        name, value = found["name"], found["value"].strip("\"'")
        place: Place = "query" if name[0] in "?&" else "field"
        says_so = names_secret(name.lstrip("?&"), place) or _plain(name).endswith("secret")
        if found.start() >= end and says_so and not _is_reference(value):
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
