"""Calls of functions, compared as the Berkeley Function Calling Leaderboard does by their syntax, without running them.

Source: Patil et al., "Berkeley Function Calling Leaderboard" (gorilla.cs.berkeley.edu/leaderboard.html), its AST
evaluation. A call is right if it names the function, has all required parameters and none that is unknown, and each
value has the declared type, or that of an accepted one (a whole number may stand for a decimal one), and is one of
those accepted; an empty text among these says that the parameter may be left out. Texts are compared in lower case,
without blanks and the marks `, . / - _ * ^`, and with one kind of quotes. Several calls may come in any order: each
expected one is paired with a right one, in whatever way that is possible, while the leaderboard takes the first
right one that is left.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.metrics import unusable_reference
from themis.pure.json import JSONValue, thaw
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.scoring import Score, ScoreError

Call = tuple[str, Mapping[str, Any]]

_LONGEST: Final = 20_000
_DROPPED: Final = re.compile(r"[ ,./\-_*^]")
_FENCE: Final = re.compile(r"\A```\w*\n(.*?)\n?```\Z", re.DOTALL)
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "tuple": (list,),
    "dict": (dict,),
    "object": (dict,),
}


def name_for_models(name: str) -> str:
    """Return a function's name as servers take it: without dots.

    >>> name_for_models("math.factorial")
    'math_factorial'
    """
    return name.replace(".", "_")


def read_calls(output: JSONValue) -> list[Call] | None:
    """Return the calls of an answer, native or as text; `None` if a text is none but reads like something else.

    >>> read_calls("[f(a=1), g.h(b='x')]")
    [('f', {'a': 1}), ('g.h', {'b': 'x'})]
    >>> read_calls("I can't help with that.")
    """
    if isinstance(output, Mapping):
        calls = output.get("tool_calls")
        return [] if not isinstance(calls, Sequence) or isinstance(calls, str) else [*map(_native, calls)]
    return _written(output) if isinstance(output, str) else None


def _native(call: Any) -> Call:
    arguments = call.get("arguments") if isinstance(call, Mapping) else None
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = None
    given = thaw(arguments) if isinstance(arguments, Mapping) else {}
    return (str(call.get("name")) if isinstance(call, Mapping) else "", given)


def _written(text: str) -> list[Call] | None:
    """Return the calls that a text spells in Python: one, or a list of them, perhaps in a fence."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    fenced = _FENCE.match(text)
    try:
        tree = ast.parse((fenced[1] if fenced else text).strip(" `"), mode="eval").body
        nodes = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
        return [_call(node) for node in nodes]
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call) or node.args or not all(keyword.arg for keyword in node.keywords):
        raise ValueError("a call with named arguments expected")
    return ast.unparse(node.func), {str(one.arg): _plain(ast.literal_eval(one.value)) for one in node.keywords}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


# --- comparing --------------------------------------------------------------------------------------------


def _same_text(value: Any) -> Any:
    """Return a value with its texts in the form in which they are compared."""
    if isinstance(value, str):
        return _DROPPED.sub("", value).lower().replace("'", '"')
    if isinstance(value, list | tuple):
        return [_same_text(item) for item in value]
    return {key: _same_text(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _accepts(accepted: Sequence[Any], value: Any) -> bool:
    """Tell whether a value is one of those accepted; of an object each field has accepted values of its own."""
    if isinstance(value, dict):
        return any(isinstance(one, Mapping) and _accepts_fields(one, value) for one in accepted)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return any(
            isinstance(one, Sequence)
            and not isinstance(one, str)
            and len(one) == len(value)
            and all(_accepts([fields], item) for fields, item in zip(one, value, strict=True))
            for one in accepted
        )
    return any(
        isinstance(one, bool) == isinstance(value, bool) for one in accepted if _same_text(one) == _same_text(value)
    )


def _accepts_fields(accepted: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    known = {name: values if isinstance(values, list | tuple) else [values] for name, values in accepted.items()}
    return value.keys() <= known.keys() and all(
        _accepts(values, value[name]) if name in value else "" in values for name, values in known.items()
    )


def _is_of_type(value: Any, declared: str, accepted: Sequence[Any]) -> bool:
    types = _TYPES.get(declared, (object,))
    is_right = isinstance(value, types) and not (isinstance(value, bool) and bool not in types and object not in types)
    return is_right or type(value) in {type(one) for one in accepted if one != ""}


def call_fault(call: Call, name: str, accepted: Mapping[str, Sequence[Any]], function: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a call; `None` if it is right.

    Args:
        call: the call.
        name: the function that should be called.
        accepted: the values that are accepted for each of its parameters.
        function: its declaration, with `parameters` as a JSON schema.
    """
    said, arguments = call
    if name_for_models(said) != name_for_models(name):
        return f"{name} expected, and {said} is called"
    declared = function.get("parameters", {})
    properties, required = declared.get("properties", {}), declared.get("required", ())
    for parameter in required:
        if parameter not in arguments:
            return f"{name}: {parameter} is required and missing"
    for parameter, value in arguments.items():
        if parameter not in properties or parameter not in accepted:
            return f"{name}: there is no parameter {parameter}"
        if not _is_of_type(value, str(properties[parameter].get("type")), accepted[parameter]):
            return f"{name}: {parameter}: {properties[parameter].get('type')} expected, found {value!r}"[:200]
        if not _accepts(accepted[parameter], value):
            return f"{name}: {parameter}: {value!r} is not accepted"[:200]
    left_out = [parameter for parameter in accepted if parameter not in arguments and "" not in accepted[parameter]]
    return f"{name}: {left_out[0]} is missing" if left_out else None


@attrs.frozen
class FunctionCalls:
    """1 if an answer calls the functions that it should, with accepted values, else 0.

    The reference is `{"calls": [{"name": {"parameter": [accepted, ...]}}], "functions": [declaration, ...]}`. Without
    any calls in it, an answer that calls nothing is right; with `"calls": "any"`, one that calls something.

    An answer is what a model with tools gives (`tool_calls`), or a text that spells calls in Python: `[f(a=1)]`.
    """

    component_id: str = "builtin/function_calls"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Find for each expected call one that is right."""
        expected: Any = thaw(case.expected_output) if isinstance(case.expected_output, Mapping) else {}
        wanted = expected.get("calls")
        if wanted != "any" and not (isinstance(wanted, Sequence) and not isinstance(wanted, str)):
            return unusable_reference(self.component_id, case, '{"calls": [...], "functions": [...]}')
        calls = read_calls(parsed.value) or []
        if wanted == "any" or not wanted:
            return Score(metric_id=self.component_id, value=float(bool(calls) == (wanted == "any")))
        functions = {one.get("name"): one for one in expected.get("functions", ())}
        problem = _problem(calls, wanted, functions)
        details = {} if problem is None else {"problem": problem}
        return Score(metric_id=self.component_id, value=float(problem is None), details=details)


def _problem(calls: Sequence[Call], wanted: Sequence[Any], functions: Mapping[Any, Any]) -> str | None:
    if len(calls) != len(wanted):
        return f"{len(wanted)} call(s) expected, found {len(calls)}"
    faults = []
    for one in wanted:
        ((name, accepted),) = one.items()
        faults.append([call_fault(call, name, accepted, functions.get(name, {})) for call in calls])
        if None not in faults[-1]:
            return faults[-1][0]
    if _can_pair([[place for place, fault in enumerate(row) if fault is None] for row in faults]):
        return None
    return "two expected calls are met by one and the same"


def _can_pair(rows: Sequence[Sequence[int]]) -> bool:
    """Tell whether every row can have a place of its own, by augmenting paths."""
    holder: dict[int, int] = {}

    def placed(row: int, seen: set[int]) -> bool:
        for place in rows[row]:
            if place not in seen:
                seen.add(place)
                if place not in holder or placed(holder[place], seen):
                    holder[place] = row
                    return True
        return False

    return all(placed(row, set()) for row in range(len(rows)))


CALL_METRICS: Final = (FunctionCalls,)
