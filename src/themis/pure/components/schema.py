"""Validity against a JSON schema (extra `jsonschema`). Remote references are never fetched."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.metrics import unusable_reference
from themis.pure.errors import MissingExtraError, SpecError, pip_install
from themis.pure.json import canonical_bytes, decode, encode, freeze, thaw
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.scoring import Score, ScoreError

MOST_FAULTS: Final = 10
"""How many faults the details name."""

_MOST_COUNTED: Final = 1_000
_MOST_VALUES: Final = 50_000


def _frozen(value: Any) -> Any:
    return None if value is None else freeze(value)


def _schema(instance: Any, attribute: Any, value: object) -> None:
    if not (value is None or isinstance(value, Mapping | bool)):
        raise SpecError(f"{instance.component_id}: schema must be a JSON schema (an object), found {value!r}")


@attrs.frozen
class JsonSchema:
    """1 if the answer is valid against a JSON schema, else 0; the details name the faults, each with its path.

    Option `schema`; without it a case's schema is its expected output, or stands there under `schema`. The draft is the
    one that `$schema` names, else 2020-12. A reference to another document is never fetched: it is an error, as is a
    schema that is none itself. Of more than 50,000 values an answer is an error, and of its faults the first thousand
    are counted. `pattern` is matched by Python's `re`, so schemas must come from whom you trust.

    Source: json-schema.org, draft 2020-12; the validator is the `jsonschema` library.
    """

    schema: Any = attrs.field(default=None, converter=_frozen, validator=_schema)
    component_id: str = "builtin/json_schema"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for."""
        if importlib.util.find_spec("jsonschema") is None:
            return [str(MissingExtraError(f"json_schema needs jsonschema: {pip_install('jsonschema')}"))]
        problem = _validator(self.schema)[1] if self.schema is not None else ""
        return [f"schema: {problem}"] if problem else []

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        schema = self.schema if self.schema is not None else _of_case(case.expected_output)
        if not isinstance(schema, Mapping | bool):
            return unusable_reference(self.component_id, case, "a JSON schema, or hold one under 'schema'")
        validator, problem = _validator(schema)
        if problem:
            return ScoreError(metric_id=self.component_id, reason=f"case {case.case_id!r}: {problem}")
        try:
            # Encoded and decoded, so that a fault quotes the answer with its keys in the order that stores keep.
            answer = decode(encode(parsed.value))
            if _is_large(answer):
                reason = f"case {case.case_id!r}: an answer of more than {_MOST_VALUES:,} values is not checked"
                return ScoreError(metric_id=self.component_id, reason=reason)
            found = itertools.islice(validator.iter_errors(answer), _MOST_COUNTED)
            faults = [f"{fault.json_path}: {fault.message[:200]}" for fault in found]
        except Exception as error:
            if type(error).__name__ not in ("_WrappedReferencingError", "Unresolvable", "RefResolutionError"):
                raise
            return ScoreError(
                metric_id=self.component_id,
                reason=f"case {case.case_id!r}: the schema refers to {str(error)[:200]}, and nothing is fetched",
            )
        details = {"faults": faults[:MOST_FAULTS], "fault_count": len(faults)} if faults else {}
        return Score(metric_id=self.component_id, value=float(not faults), details=freeze(details))


def _is_large(answer: Any) -> bool:
    """Tell whether an answer has too many values; each may be looked at several times, by Python."""
    left, waiting = _MOST_VALUES, [answer]
    while waiting and left >= 0:
        value = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        left -= len(inner)
        waiting += inner
    return left < 0


def _unique_items(validator: Any, unique: Any, items: Any, _: Any) -> Iterator[Any]:
    """Check `uniqueItems` in one pass; the library compares each with each."""
    from jsonschema import ValidationError

    if unique and validator.is_type(items, "array") and len(set(map(canonical_bytes, items))) < len(items):
        yield ValidationError(f"{items!r} has non-unique elements")


def _of_case(expected: Any) -> Any:
    stated = expected.get("schema") if isinstance(expected, Mapping) else None
    return stated if isinstance(stated, Mapping) else expected


def _validator(schema: Any) -> tuple[Any, str]:
    """Return a validator that fetches nothing, or what is wrong with the schema."""
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator, extend, validator_for
    from referencing import Registry

    plain = thaw(schema)
    kind = validator_for(plain, default=Draft202012Validator)
    try:
        kind.check_schema(plain)
    except SchemaError as error:
        return None, f"no valid JSON schema: {error.json_path}: {error.message[:200]}"
    # An explicit registry: the library's own default fetches what a `$ref` names.
    return extend(kind, {"uniqueItems": _unique_items})(plain, registry=Registry()), ""


SCHEMA_METRICS: Final = (JsonSchema,)
