"""The laws that components are held to, what a breach of each says, and how a component is tried on an input.

Nothing here knows hypothesis: `laws.py` draws the inputs. A trial calls a component the way a run does, with deeply
frozen records, and looks at the output, at whether the inputs changed, and at what a second call returns.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from themis.effects.sources.source_code import source_of
from themis.pure.errors import ThemisError
from themis.pure.fingerprints import fingerprint
from themis.pure.identity import case_key
from themis.pure.json import canonical_bytes, decode, encode
from themis.pure.records.contexts import GenerateContext, ParseContext, ReduceContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.text import shortened

LAWS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "totality": (
            "every JSON value is an input, and gets an answer without an exception",
            "handle this input too; where there is no answer, return what says so (a ScoreError, ParsedOutput(value="
            "None)): in a run an exception makes an error of the case",
        ),
        "kind": (
            "a component returns the record that its stage needs",
            "return that record, or make the component of a plain function with a decorator of themis",
        ),
        "finite values": (
            "a value is a finite number; NaN and infinity are no values",
            "return ScoreError(metric_id=..., reason=...) where there is no number, such as for an empty text",
        ),
        "range": ("a value lies in the range that is stated", "clip or scale the value, or state its real range"),
        "no mutation": (
            "a component does not change its inputs",
            "work on a copy: themis.core.thaw(value) returns JSON as plain dicts and lists",
        ),
        "determinism": (
            "the same input gets the same answer, however often it is asked",
            "keep nothing between calls (no attribute, global or cache that changes answers), and take randomness "
            "from the seed in the context alone",
        ),
        "order of calls": (
            "an answer does not depend on what was asked before",
            "keep nothing between calls: cases are worked on in any order, and some are taken from the cache",
        ),
        "order of keys": (
            "JSON objects with the same members are the same input, in any order of their keys",
            "don't rely on the order of keys; themis caches answers by content, in which it does not count",
        ),
        "order independence": (
            "the order of candidates or references changes nothing, as was claimed",
            "make the choice by content (ties too), or don't claim that the order does not matter",
        ),
        "JSON round trip": (
            "what comes out survives being stored and read back",
            "put plain JSON into the record: text, numbers, booleans, null, lists and objects with text as keys",
        ),
        "fingerprint": (
            "a fingerprint stands for what a component does: it stays when the component is used, and components "
            "that do different things have different ones",
            "let fingerprint() cover all configuration and no state, or leave it out: themis makes one from the code",
        ),
        "size": (
            "a text of a megabyte takes less than two seconds of the processor",
            "let the work grow with the length of the text and not with its square: bound the repetitions of patterns, "
            "go through the text once, and read no more of it than can matter",
        ),
        "sources": (
            "the sources of a reduced candidate are candidates that it was given",
            "fill source_candidate_ids from the candidates' candidate_id",
        ),
    }
)
"""Each law by name: what it demands, and what to do about a breach."""


class BrokenLawError(AssertionError):
    """A component breaks a law.

    Attributes:
        law: the law's name.
        component_id: whose breach it is.
        example: the input that shows it, as small as it could be made, line by line.
        found: what the component did.
    """

    def __init__(self, law: str, component_id: str, example: Sequence[str], found: str) -> None:
        self.law = law
        self.component_id = component_id
        self.example: tuple[str, ...] = tuple(example)
        self.found = found
        demand, advice = LAWS[law]
        lines = [
            f"{component_id} breaks the law of {law}: {demand}",
            *(f"  {line}" for line in self.example),
            f"  found: {found}",
            f"  to do: {advice}",
        ]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[BrokenLawError], tuple[str, str, tuple[str, ...], str]]:
        return type(self), (self.law, self.component_id, self.example, self.found)


@attrs.frozen
class Input:
    """One call's arguments, and how a reader is shown them.

    Attributes:
        arguments: records, or tuples of records, as the component's method takes them.
        example: the same in a line or more.
    """

    arguments: tuple[Any, ...]
    example: tuple[str, ...]


def score_input(parsed: ParsedOutput, case: Case) -> Input:
    """Return a metric's call."""
    candidate = GenerationResult(
        candidate_id=f"{case.case_id}-0",
        final_output=parsed.value,
        artifacts={"finish_reason": "stop"},
        token_usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
        latency_ms=7.0,
    )
    ctx = ScoreContext(
        run_id=_RUN,
        case=case,
        parsed_output=parsed,
        dataset_id=_DATASET,
        case_key=case_key(_DATASET, case.case_id),
        candidate=candidate,
        candidates=[candidate],
    )
    return Input((parsed, case, ctx), (f"answer: {shown(parsed)}", f"case: {shown(case)}"))


def parse_input(candidate: ReducedCandidate) -> Input:
    """Return a parser's call."""
    ctx = ParseContext(
        run_id=_RUN,
        case_id="1",
        dataset_id=_DATASET,
        case_key=case_key(_DATASET, "1"),
        candidate_id=candidate.candidate_id,
    )
    return Input((candidate, ctx), (f"answer: {candidate.final_output!r}",))


def reduce_input(candidates: Sequence[GenerationResult]) -> Input:
    """Return a reducer's call."""
    ctx = ReduceContext(
        run_id=_RUN,
        case_id="1",
        dataset_id=_DATASET,
        case_key=case_key(_DATASET, "1"),
        candidate_ids=[candidate.candidate_id for candidate in candidates],
        seed=7,
    )
    answers = [f"candidate {each.candidate_id}: {each.final_output!r}" for each in candidates]
    return Input((tuple(candidates), ctx), tuple(answers))


def generate_input(case: Case, seed: int) -> Input:
    """Return a generator's call."""
    ctx = GenerateContext(
        run_id=_RUN,
        case_id=case.case_id,
        dataset_id=_DATASET,
        case_key=case_key(_DATASET, case.case_id),
        candidate_id=f"{case.case_id}-0",
        seed=seed,
    )
    return Input((case, ctx), (f"case: {shown(case)}", f"seed: {seed}"))


_DATASET: Final = "data"
_RUN: Final = "run"

Check: TypeAlias = Callable[[Any, Input, Any], None]
"""A further law of one kind of component: takes the component, the input and what was returned."""


@attrs.frozen
class Trial:
    """How components of one kind are tried.

    Attributes:
        of: the protocol's method that is called, such as `PureMetric.score`.
        kinds: what it must return.
        settle: makes the answer of what was returned (awaits it, unwraps it); takes the component and the value.
        checks: the laws of this kind besides those of all.
        expected: exceptions that the component may raise; they are its answer then.
        deterministic: whether the component claims that the same input gets the same answer.
        compared: what of an answer must be the same again.
    """

    of: Callable[..., Any]
    kinds: tuple[type, ...]
    settle: Callable[[Any, Any], Any] = lambda component, value: value
    checks: tuple[Check, ...] = ()
    expected: tuple[type[Exception], ...] = ()
    deterministic: bool = True
    compared: Callable[[Any], Any] = canonical_bytes

    @property
    def method(self) -> str:
        return self.of.__name__

    def call(self, component: Any, given: Input) -> Any:
        """Ask once, and check the laws that a single call can break."""
        before = decode(encode(given.arguments))
        try:
            answer = self.settle(component, getattr(component, self.method)(*given.arguments))
        except self.expected as error:
            answer = error
        except BrokenLawError:
            raise
        except Exception as error:
            raise _of_exception(component, given, error) from error
        for was, now in zip(before, decode(encode(given.arguments)), strict=True):
            if now != was:
                found = f"after {self.method}() an input reads {_short(now)}"
                raise BrokenLawError("no mutation", component.component_id, given.example, found)
        if isinstance(answer, self.expected):
            return answer
        self._look_at(component, given, answer)
        return answer

    def _look_at(self, component: Any, given: Input, answer: Any) -> None:
        name = component.component_id
        if not isinstance(answer, self.kinds):
            needed = " or ".join(kind.__name__ for kind in self.kinds)
            found = f"{self.method}() returned {type(answer).__name__} {_short(answer)}; {needed} is needed"
            raise BrokenLawError("kind", name, given.example, found)
        kind: Any = type(answer)
        if (back := kind.from_dict(decode(encode(answer)))) != answer:
            raise BrokenLawError(
                "JSON round trip", name, given.example, f"returned {shown(answer)}, which reads back as {shown(back)}"
            )
        for check in self.checks:
            check(component, given, answer)

    def same(self, first: Any, second: Any) -> bool:
        """Tell whether two answers are the same."""
        if isinstance(first, Exception) or isinstance(second, Exception):
            return type(first) is type(second)
        return bool(self.compared(first) == self.compared(second))


def hold_to_laws(trial: Trial, component: Any, inputs: Sequence[Input]) -> None:
    """Hold a component to the laws of its kind on these inputs.

    Raises:
        BrokenLawError: it breaks one.
    """
    # A fresh copy each time: what an earlier example left in the component must not show in this one.
    used, fresh = _copied(component), _copied(component)
    name, stated = component.component_id, fingerprint(used, source_of)
    answers = []
    for given in inputs:
        answer = trial.call(used, given)
        if trial.deterministic and not trial.same(answer, again := trial.call(used, given)):
            found = f"first {shown(answer)}, then {shown(again)}"
            raise BrokenLawError("determinism", name, given.example, found)
        answers.append(answer)
    if (now := fingerprint(used, source_of)) != stated:
        found = f"the fingerprint was {stated[:12]} before {trial.method}() was called, and is {now[:12]} after it"
        raise BrokenLawError("fingerprint", name, inputs[-1].example, found)
    if not trial.deterministic:
        return
    for given, answer in reversed(list(zip(inputs, answers, strict=True))):
        if not trial.same(answer, again := trial.call(fresh, given)):
            found = f"{shown(answer)}; asked in another order, {shown(again)}"
            lines = [line for each in inputs for line in each.example] if len(inputs) > 1 else given.example
            raise BrokenLawError("order of calls", name, lines, found)
        _hold_order_of_keys(trial, fresh, given, answer)


def _hold_order_of_keys(trial: Trial, component: Any, given: Input, answer: Any) -> None:
    for backwards in (False, True):  # one of them is how a store gives keys back
        sorted_keys = tuple(_with_sorted_keys(argument, backwards) for argument in given.arguments)
        again = trial.call(component, Input(sorted_keys, given.example))
        if not trial.same(answer, again):
            found = f"{shown(answer)}; with the keys of objects in another order, {shown(again)}"
            raise BrokenLawError("order of keys", component.component_id, given.example, found)


MOST_SECONDS: Final = 2.0
_LARGE: Final = (
    *("a ", "{", "[", "\\boxed{", "\\frac{", "\\begin{pmatrix}", "1,", "-", "$", "Answer: A\n", "\u0939\u093f"),
    *(
        "```\n",
        "> ```\n",
        ">",
        "> \n",
        "A: x\n",
        "```python\nx\n",
        "<think>",
        "</think>",
        "**",
        "100!",
        "[[1,2],[3,4]]^",
    ),
)
"""What megabytes are made of: words, brackets and boxes that never end, lists, statements, letters with vowel signs,
fences and quotes by lines, sums and powers. Each of a kind that hung a reader once."""

_PIECES: Final = (
    *"aA1 \n\t.,:;!?()[]{}<>\"'`~*_#$%^&|\\/+-=\u00e9\u4e2d\u202e",
    *("```", "> ", "\n\n", "Answer:", "the answer is ", "\\boxed{", "\\frac{", "<think>", "def f():\n", "- A) "),
)
_DRAWN: Final = 8


def large_texts(seed: int | None = None) -> Sequence[str]:
    """Return texts of a megabyte each, in UTF-8: some that are known to be hard, and some that the seed draws."""
    random = Random(seed or 0)  # noqa: S311  # no secret
    drawn = ["".join(random.choices(_PIECES, k=random.randint(1, 4))) for _ in range(_DRAWN)]
    return [unit * (1_000_000 // len(unit.encode())) for unit in (*_LARGE, *drawn)]


def hold_size(trial: Trial, component: Any, inputs: Sequence[Input]) -> None:
    """Hold a component to the law of size on these large inputs, in time of the processor: a busy machine adds none."""
    for given in inputs:
        if all(_seconds(trial, component, given) > MOST_SECONDS for _ in range(2)):
            raise BrokenLawError("size", component.component_id, given.example, "it took longer, twice")


def _seconds(trial: Trial, component: Any, given: Input) -> float:
    start = time.process_time()
    trial.settle(component, getattr(component, trial.method)(*given.arguments))
    return time.process_time() - start


def hold_variants(trial: Trial, component: Any, variants: Sequence[Any], given: Input) -> None:
    """Hold a component and others of its kind to the law of fingerprints: where answers differ, fingerprints do.

    Raises:
        BrokenLawError: two have one fingerprint and give different answers.
    """
    if not variants:
        return
    answer, stated = trial.call(_copied(component), given), fingerprint(component, source_of)
    for variant in variants:
        other = trial.call(_copied(variant), given)
        if fingerprint(variant, source_of) == stated and not trial.same(answer, other):
            found = f"{component!r} returned {shown(answer)}, {variant!r} {shown(other)}; both have {stated[:12]}"
            raise BrokenLawError("fingerprint", component.component_id, given.example, found)


def _of_exception(component: Any, given: Input, error: Exception) -> BrokenLawError:
    """Name the law that an exception breaks: refusals of NaN and of changes have laws of their own."""
    text = f"{type(error).__name__}: {error}"
    law = "totality"
    if isinstance(error, ThemisError) and "finite" in text:
        law = "finite values"
    elif isinstance(error, TypeError | AttributeError) and _is_refused_change(error):
        law = "no mutation"
    elif isinstance(error, ThemisError) and type(error).__name__ == "JSONValueError":
        law = "JSON round trip"
    return BrokenLawError(law, component.component_id, given.example, f"raised {text}")


def _is_refused_change(error: Exception) -> bool:
    if isinstance(error, attrs.exceptions.FrozenError) or "immutable" in str(error):
        return True
    name = getattr(error, "name", None)
    return isinstance(getattr(error, "obj", None), tuple) and hasattr(list, str(name))


def _copied(component: Any) -> Any:
    try:
        return copy.deepcopy(component)
    except Exception:  # it holds what can't be copied, such as a lock: then one for all
        return component


def _with_sorted_keys(argument: Any, backwards: bool) -> Any:
    if isinstance(argument, tuple):
        return tuple(_with_sorted_keys(item, backwards) for item in argument)
    return type(argument).from_dict(_sorted(argument.to_dict(), backwards))


def _sorted(value: Any, backwards: bool) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key], backwards) for key in sorted(value, reverse=backwards)}
    return [_sorted(item, backwards) for item in value] if isinstance(value, list) else value


def shown(answer: Any) -> str:
    """Return an answer in one short line, without the fields that are as they are by default."""
    if not attrs.has(type(answer)):
        return _short(answer)
    fields = [
        f"{field.name}={_short(getattr(answer, field.name))}"
        for field in attrs.fields(type(answer))
        if field.name != "metric_id" and getattr(answer, field.name) != field.default
    ]
    return f"{type(answer).__name__}({', '.join(fields)})"


def _short(value: Any) -> str:
    return shortened(repr(value), 300)
