"""Secrets: finding literal credentials before they are stored, and removing them from text.

Credentials come from the environment at call time and are never part of a record (law 10). What is one is decided by
one vocabulary of names and one of shapes. Some names say it of whatever they name (`api_key`, `password`); others say
it in a URL's query, a header or the environment, and of anything else only where the value looks like one (`token`,
`secret`). A shape is what a provider documents for its keys, and a prefix alone is none: what follows it must have a
part that is no word, as names of models and packages have not. A text that assigns one
(`--api-key=...`, `Cookie: ...`) is read as its name and its value are, and so are the neighbours `["--token", ...]` and
the members of `{"name": ..., "value": ...}`. A reference to the environment (`${oc.env:NAME}`,
`$NAME`) is no secret, however it is written, and neither is what stands in place of one (`[secret]`).
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

from themis.pure.errors import LiteralSecretError, listed
from themis.pure.json import JSONValue

# --- shapes -----------------------------------------------------------------------------------------------

_KEYS: Final = re.compile(
    r"""(?x)
    # What can be nothing else, for its length, its alphabet or its name.
      \bgh[pousr]_[A-Za-z0-9]{30,} | \bgithub_pat_[A-Za-z0-9_]{40,}                      # GitHub
    | \bgl(?:pat|dt|rt|ptt|ft|imt|agent|oas|soat|cbt)-[A-Za-z0-9_-]{20,}                 # GitLab
    | \b(?:hf|api_org)_[A-Za-z0-9]{30,}                                                  # Hugging Face
    | \bA(?:KIA|SIA)[0-9A-Z]{16}\b                                                       # AWS
    | \bAIza[0-9A-Za-z_-]{35} | \bGOCSPX-[\w-]{24,} | \bya29\.[\w-]{30,} | \b1//0[\w-]{40,}  # Google
    | \bxox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,} | \bxapp-\d-[A-Z0-9]+-\d+-[0-9a-f]{32,} # Slack
    | \bhooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{16,}
    | \bdiscord(?:app)?\.com/api/webhooks/\d{15,20}/[\w-]{50,}
    | \b\d{8,10}:AA[\w-]{32,34}\b                                                        # Telegram
    | \bSG\.[\w-]{20,24}\.[\w-]{39,50} | \bSK[0-9a-f]{32}\b                              # SendGrid, Twilio
    | \b(?:dapi|dkea|(?:key|fc|e2b|pplx|sbp|sk|pul|shp(?:at|ca|pa|ss))[_-])[0-9a-f]{32,64}\b  # Mailgun, Databricks, ...
    | \bpat\w{14}\.[0-9a-f]{64}\b | \b\w{14}\.atlasv1\.[\w-]{60,}                        # Airtable, Terraform
    | \bhv[sbr]\.[\w-]{24,} | \bdp\.[a-z]{2,6}\.[A-Za-z0-9]{40,}                         # Vault, Doppler
    | \blsv2_[a-z]{2}_[0-9a-f]{32}_[0-9a-f]{10}\b                                        # LangSmith
    | \b[sp]k-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b                           # Langfuse
    | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{32}\b                       # fal
    | \bAGE-SECRET-KEY-1[0-9A-Z]{50,}
    | \beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,9000}\.[A-Za-z0-9_-]{10,}                 # JSON Web Token
    | -----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY(?:\ BLOCK)?----- | \bPuTTY-User-Key-File-\d:
    # What names begin with, too: a key if its tail was made by a machine.
    | (?:\bsk-                                                # OpenAI, Anthropic, OpenRouter and their like
        |\b(?:gsk|xai|pplx|r8|nvapi|csk|tgp|fw)[_-]           # Groq, xAI, Perplexity, Replicate, NVIDIA, Cerebras, ...
        |(?i:\bbearer\s{1,9}))
      (?P<tail>[A-Za-z0-9._~+/-]{16,}=*)
    | \b(?:(?:[sr]k|npm|ntn|jina|tvly|pcsk|flp|fpk|lin_api|e?secret|glsa|glc|dckr_pat|do[opr]_v1|pscale_[a-z]{1,8}
          |sntry[su]|wandb_v1|whsec|HRKU|pypi|pa|vo|as|ak|key|sb_secret|rpa)[_-]|EAAA)
      (?P<machine_made>[A-Za-z0-9_-]{16,})
    """
)
_PIECE: Final = re.compile(r"[A-Za-z0-9]{16,}")
_MIXED: Final = re.compile(r"(?=.*[A-Za-z])(?:.*[0-9]|.*[a-z].*[A-Z])")
_USER_INFO: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,30}://(?P<user>[^\s/:@?#]{0,1000}))(?::(?P<secret>[^\s/@]{1,1000}))?@",
    re.IGNORECASE,
)


def _looks_random(text: str) -> bool:
    """Tell whether a part of a text was made by a machine: 16 letters and digits in a row, mixed and varied.

    A random one passes nearly always: it changes between digits, small and large letters at every second character, and
    repeats few. Words, names with versions, dates and numbers do not.

    >>> _looks_random("tok_a1B2c3D4e5F6g7H8"), _looks_random("llama-3.1-instruct-20241126-preview")
    (True, False)
    """
    return any(_is_random(piece) for piece in _PIECE.findall(text))


def _is_random(piece: str, changing: float = 0.25) -> bool:
    changes = sum(_kind(a) != _kind(b) for a, b in itertools.pairwise(piece))
    counts, length = Counter(piece).values(), len(piece)
    bits = -sum(count / length * math.log2(count / length) for count in counts)
    return changes >= length * changing and bits >= 2.5


def _kind(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.islower() else 2


def _is_key(found: re.Match[str]) -> bool:
    if found["tail"] is not None:
        return any(map(_MIXED.match, _PIECE.findall(found["tail"])))
    return found["machine_made"] is None or _looks_random(found["machine_made"])


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
    r"(?:^|_)(?:api_?keys?|[a-z]*(?:password|passwd)|passphrase|(?:proxy_)?authorization|credentials?"
    r"|(?:access|api|auth|bearer|oauth|refresh|session)_?token|(?:client|app|shared)_?secret"
    r"|(?:secret|private|subscription|functions|account|shared_access)_?key)$"
)
"""Names that say of anything that it is a credential."""
_LIKELY: Final = re.compile(
    r"(?:^|_)(?:secrets?|tokens?|keys?|pwd|pat|auth|dsn|cookies?|sig|signature|sessionid|jwt|bearer|pass"
    r"|(?:app|auth|hapi)key|(?:access|auth)_?code)(?:_|$)"
)
"""Names that say it of a variable, and of what looks like one."""

# Beside `_SURE`. They differ because the same word means different things: a URL's query says `key` for a credential, a
# record says it for other things.
_SECRET_NAMES: Final[Mapping[Place, re.Pattern[str]]] = {
    "field": re.compile(r"(?!)"),
    "variable": re.compile(
        r"(?:^|_)(?:api_?keys?|keys?|token|secrets?|password|passwd|pwd|pat|credentials?|auth|dsn)(?:_|$)"
    ),
    "query": re.compile(
        r"^(?:(?:.*_)?(?:key|token|secret|pwd|auth|sig|signature)|code|sas|jwt|session(?:_?id)?|ticket|bearer"
        r"|(?:app|auth|hapi)key|x_(?:amz|goog)_credential)$"
    ),
    "header": re.compile(r"(?:^|_)(?:token|secret|cookie|auth|signature)$"),
}
_DSN_NAME: Final = re.compile(r"^(?:dsn|conninfo|connection_string)$")
# As libpq and ODBC write it, and a URL's query; a reference to the environment is no password.
_DSN_PASSWORD: Final = re.compile(
    r"(?i)(?P<before>\b(?:password|passwd|pwd|accountkey|sharedaccesskey)\s?=\s?'?)"
    r"(?![=$<{*%.]|\[secret\]|\s|(?-i:[A-Z_]+\b))[^\s&;]+"
)
_DSN: Final = re.compile(
    r"(?i)\b(?:host(?:name)?|server|data source|driver|endpoint|account(?:name|endpoint)|dbname|database)\s?=\s?[^\s;=]"
)
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


@functools.lru_cache(maxsize=1_000)
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
            if _has_secret(key) or _is_secret_field(key, item):
                yield where
            else:
                yield from find_secrets(item, where)
        if _is_secret_field(_named_value(value), value.get("value")):
            yield f"{path}.value"
    elif isinstance(value, Sequence):
        before = [None, *value]
        for index, (name, item) in enumerate(zip(before, value, strict=False)):
            if isinstance(name, str) and _is_named_by(name, item, is_pair=len(value) == 2):
                yield f"{path}[{index}]"
            else:
                yield from find_secrets(item, f"{path}[{index}]")


def _named_value(members: Mapping[str, JSONValue]) -> str:
    """Return what an object that consists of a name and a value names."""
    return next((item for key in ("name", "key", "header") if isinstance(item := members.get(key), str)), "")


def _is_named_by(name: str, item: JSONValue, is_pair: bool) -> bool:
    """Tell whether the text before it in a list, an option or one half of a pair, makes an item a credential."""
    if name.startswith("-"):
        return _is_secret_field(name.lstrip("-"), item)
    likely = is_pair and isinstance(item, str) and _looks_like_a_key(item)
    return likely and _is_secret_field(name, item)


def _is_secret_field(key: str, item: JSONValue) -> bool:
    """Tell whether a name makes its value a credential: a text, a list of texts, a number where a password is due.

    >>> _is_secret_field("api_keys", ["abc"]), _is_secret_field("api_keys", 3), _is_secret_field("token", {"use": "x"})
    (True, False, False)
    """
    if isinstance(item, str):
        return _is_secret_text(key, item)
    plain = _plain(key)
    if isinstance(item, Mapping):
        return any(
            isinstance(each, str) and _LIKELY.search(plain) and _is_secret_text(key, each) for each in item.values()
        )
    if isinstance(item, Sequence):
        texts = [each for each in item if isinstance(each, str)]
        is_pair = plain in {"auth", "basic_auth", "http_auth", "proxy_auth"} and len(texts) == len(item) == 2
        return (is_pair and not all(map(_is_reference, texts))) or any(_is_secret_text(key, each) for each in texts)
    return isinstance(item, int) and item > 999 and plain.endswith(("password", "passwd", "passphrase"))


def _is_secret_text(key: str, text: str) -> bool:
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


_SCHEME: Final = re.compile(r"(?i)(?:Basic|Bearer|Token)\s{1,9}")


def _looks_like_a_key(text: str) -> bool:
    text = _SCHEME.sub("", text.strip(), count=1)
    is_hash = re.fullmatch(r"[0-9a-f]+", text) is not None and len(text) in {32, 40, 64, 128}
    return re.search(r"\s", text) is None and not is_hash and (_looks_random(text) or _is_base64(text))


def _is_base64(text: str) -> bool:
    """Tell whether a text is random behind its slashes, plus signs and escapes, as keys of AWS and Azure are."""
    return re.fullmatch(r"[A-Za-z0-9/+%]{20,}=*", text) is not None and _is_random(
        re.sub("[^A-Za-z0-9]", "", text), 0.4
    )


def _has_secret(text: str) -> bool:
    return (
        any(map(_is_key, _KEYS.finditer(text)))
        or any(map(_is_secret_query, _QUERY.finditer(text)))
        or any(map(_is_secret_user, _USER_INFO.finditer(text)))
        or any(map(_assigns_key, _ASSIGNED.finditer(text)))
        or _is_secret_option(text)
        or (_DSN_PASSWORD.search(text) is not None and _DSN.search(text) is not None)
    )


_QUERY: Final = re.compile(r"(?P<before>[?&#;](?P<name>[A-Za-z][\w.-]{0,60})=)(?P<value>[^\s&#;\"']+)")
"""A field of a URL's query, and its value."""


def _is_secret_query(found: re.Match[str]) -> bool:
    name, value = found["name"], found["value"]
    if _is_reference(value) or not names_secret(name, "query"):
        return False
    return _looks_random(value) or _is_base64(value) or (_SURE.search(_plain(name)) is not None and _is_password(value))


def _is_password(text: str) -> bool:
    """Tell whether a text is a password rather than what stands for one in an example."""
    return re.fullmatch(r"(?=[!-~]*\d)[A-Za-z0-9][!-~]{5,}", text) is not None


def _is_secret_user(found: re.Match[str]) -> bool:
    password = found["secret"]
    return _looks_random(found["user"]) if password is None else not _is_reference(password)


def _assigns_key(found: re.Match[str]) -> bool:
    """Tell whether a text assigns what looks like a credential."""
    name, value = found["name"].lstrip("?&-"), found["value"].strip("\"'")
    if len(value) < _SHORTEST or not _may_name(name):
        return False
    if name.lower() == "cookie":  # which has names and values of its own
        value = value.rpartition("=")[2]
    return _looks_like_a_key(value) and _is_secret_text(name, value)


@functools.lru_cache(maxsize=1_000)
def _may_name(name: str) -> bool:
    plain = _plain(name)
    return any(pattern.search(plain) for pattern in (_SURE, _LIKELY, _DSN_NAME))


_OPTION: Final = re.compile(r"(?:--?)?(?P<name>[A-Za-z][\w-]{0,60})=(?P<value>[^\s{<%*.]\S{0,1000})")
"""A text that is nothing but a command's option, or a variable's definition."""


def _is_secret_option(text: str) -> bool:
    found = _OPTION.fullmatch(text)
    return found is not None and _SURE.search(_plain(found["name"])) is not None and not _is_reference(found["value"])


def redact(text: str) -> str:
    """Return text with every credential in it removed.

    >>> redact("postgresql://me:hunter2@localhost/db")
    'postgresql://me:[secret]@localhost/db'
    """
    # More than is refused: to blot out a long word that stands behind a key's prefix costs nothing.
    text = _KEYS.sub(lambda found: BLOT if found["tail"] is None or _PIECE.search(found["tail"]) else found[0], text)
    text = _QUERY.sub(lambda found: f"{found['before']}{BLOT}" if _is_secret_query(found) else found[0], text)
    text = _USER_INFO.sub(_without_password, text)
    if _DSN.search(text):
        text = _DSN_PASSWORD.sub(lambda found: f"{found['before']}{BLOT}", text)
    if _is_secret_option(text):
        text = f"{text.partition('=')[0]}={BLOT}"
    return _without_assigned(text, _assigns_key)


def _without_password(found: re.Match[str]) -> str:
    if found["secret"] is not None:
        return f"{found['before']}:{BLOT}@"
    return f"{found['before'].removesuffix(found['user'])}{BLOT}@" if _looks_random(found["user"]) else found[0]


def without_secrets(value: JSONValue) -> JSONValue:
    """Return a JSON value to show, with every credential in it blotted out.

    It is stricter than `find_secrets`, which must refuse nothing harmless: a name counts that says credential in a
    config, the environment, a URL or a request, however it is spelled; so does the item of a list behind such a name,
    and what a text assigns to one. The name of an environment variable stays.

    >>> without_secrets({"X-Auth-Token": "abc", "api_key_env": "MY_KEY", "max_tokens": 9, "args": ["--token", "abc"]})
    {'X-Auth-Token': '[secret]', 'api_key_env': 'MY_KEY', 'max_tokens': 9, 'args': ['--token', '[secret]']}
    """
    if isinstance(value, str):
        return _without_assigned(redact(value), _may_assign_key)
    if isinstance(value, Mapping):
        named = _named_value(value)
        return {
            redact(key): BLOT
            if _is_credential(key, item) or (key == "value" and _is_credential(named, item))
            else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, Sequence):
        before = [None, *value]
        return [
            BLOT if isinstance(name, str) and _is_credential(name.strip("-"), item) else without_secrets(item)
            for name, item in zip(before, value, strict=False)
        ]
    return value


_ASSIGNED: Final = re.compile(
    r"""(?P<name>(?:[?&]|(?<![\w-])-{0,2})[A-Za-z][\w-]{0,60})["']?\s*[=:]\s*"""
    r"""(?=(?P<value>"[^"]*"|'[^']*'|(?:(?:Basic|Bearer)\s{1,9})?[^\s&;,]{1,50}))"""
)
"""A name with what is assigned to it, which is looked ahead to: it may hold assignments of its own."""
_HARMLESS: Final = re.compile(
    "(?:stop|eos|bos|pad|unk|mask|sep|end)_token"
    "|(?:provider|input|output|answer|label|target|expected|text|case|sort|group|cluster|metadata)_key"
    "|(?:(?:prompt_)?cache|foreign|idempotency|object|partition|primary|public|publishable|routing|s3)_key"
    "|(?:next|page|next_page|continuation)_token"
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


_READ: Final = 50
"""Characters of an assigned value that are looked at."""

_END_OF_VALUE: Final = re.compile(r"[^\s&;,]*")


def _may_assign_key(found: re.Match[str]) -> bool:
    name, value = found["name"], found["value"].strip("\"'")
    place: Place = "query" if name[0] in "?&" else "field"
    says_so = names_secret(name.lstrip("?&-"), place) or _plain(name).endswith("secret")
    return says_so and not _is_reference(value)


def _without_assigned(text: str, is_credential: Callable[[re.Match[str]], bool]) -> str:
    parts, end = [], 0
    for found in _ASSIGNED.finditer(text):
        if found.start() >= end and is_credential(found):
            parts += [text[end : found.start("value")], BLOT]
            end = found.end("value")
            if len(found["value"]) >= _READ and (rest := _END_OF_VALUE.match(text, end)):
                end = rest.end()  # the rest of a longer one
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
