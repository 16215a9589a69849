"""Prompts as data: every part of a prompt is a part of the run's identity."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, TypeAlias

import attrs

from themis.pure.errors import DataError, InvalidRecordError, SpecError
from themis.pure.identity import shuffled
from themis.pure.json import CAME_LATER, EMPTY, JSONValue, encode, thaw
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.fields import is_count, json_objects, named_fields, shown, text
from themis.pure.templates import fill, names_in

Block: TypeAlias = Mapping[str, JSONValue]
PARTS: Final = ("messages", "tools", "tool_choice", "response_format", "images")
"""What an input that is an object may hold beside its text."""
TEXT_FIELDS: Final = ("text", "prompt", "question", "input")


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class PromptSpec(HashableModel):
    """The text around a case's input when a model is asked, and what it is shown before.

    Attributes:
        instructions: the system message of a chat; the first paragraph of a plain prompt.
        prefix: put directly before the input.
        suffix: put directly behind the input.
        blocks: what comes between instructions and input, in order: `{"role": ..., "content": ...}` is a message,
            `{"text": ...}` a paragraph, and `{"input": ..., "output": ...}` an example: a question, written as a case's
            is, and its answer, as two turns; `metadata` may hold more fields for the template. Any other block is not
            shown; it is there for generators of your own.
        continuations: names the field of each case, in its input or its metadata, that holds texts which could go on
            from the prompt. The model is then asked how likely each is, and writes nothing: the prompt is the context
            (`themis.pure.likelihoods`).
        template: stands for the input: a text with fields of the case in braces, `{question}`. They are those of its
            input, if it is an object, those of its metadata, and `{input}`, the input as it is shown without a template
            (an input that is a text may also be called `{question}`, `{prompt}` or `{text}`). A brace that is to be
            seen is doubled. Nothing is evaluated (`themis.pure.templates`).
        answer_template: stands for the answer of an example: a template over its fields and `{output}`.
        shots: how many examples are shown; all by default. A case is never among its own examples: one that asks the
            same is left out, and the next one takes its place.

    >>> spec = PromptSpec(instructions="Answer with a number.", prefix="Q: ", suffix=" A:")
    >>> spec.render("1 + 1?")
    'Answer with a number.\\n\\nQ: 1 + 1? A:'
    >>> spec.render_messages("1 + 1?")[1]
    {'role': 'user', 'content': 'Q: 1 + 1? A:'}
    >>> example = {"input": "x", "output": "y", "metadata": {"topic": "a"}}
    >>> spec = PromptSpec(template="{topic}: {input}", blocks=[example])
    >>> spec.render(Case(case_id="1", input="z", metadata={"topic": "b"}))
    'a: x y\\n\\nb: z'
    """

    instructions: str | None = attrs.field(default=None, validator=text)
    prefix: str | None = attrs.field(default=None, validator=text)
    suffix: str | None = attrs.field(default=None, validator=text)
    blocks: tuple[Block, ...] = attrs.field(default=(), converter=json_objects)
    continuations: str | None = attrs.field(default=None, validator=text, metadata=CAME_LATER)
    template: str | None = attrs.field(default=None, validator=text, metadata=CAME_LATER)
    answer_template: str | None = attrs.field(default=None, validator=text, metadata=CAME_LATER)
    shots: int | None = attrs.field(default=None, metadata=CAME_LATER)

    def __attrs_post_init__(self) -> None:
        faults = [*self._template_faults(), *self._block_faults()]
        examples = sum(map(_is_example, self.blocks))
        if self.shots is not None and not (is_count(self.shots) and self.shots <= examples):
            faults.append(
                f"shots: {shown(self.shots)} asked for, and blocks hold {examples} example(s) (input and output)"
            )
        if faults:
            raise InvalidRecordError("PromptSpec", faults)

    def _template_faults(self) -> Iterator[str]:
        for field in ("template", "answer_template"):
            template: str | None = getattr(self, field)
            try:
                if template is not None and not names_in(template):
                    yield (
                        f"{field}: no field in it, so that all would be the same; write "
                        f"{'{input}' if field == 'template' else '{output}'} where it belongs"
                    )
            except SpecError as error:
                yield f"{field}: {error}"

    def _block_faults(self) -> Iterator[str]:
        for i, block in enumerate(self.blocks):
            if isinstance(block.get("role"), str) and not {"text", "content"} & block.keys():
                yield (
                    f"blocks[{i}]: {dict(block)!r} has neither 'text' nor 'role' and 'content'; "
                    "a block is a paragraph or a message"
                )
            elif _is_example(block) and (problem := self._unwritable(block)):
                yield f"blocks[{i}]: {problem}"

    def _unwritable(self, example: Block) -> str | None:
        try:
            self._block_text(example)
        except SpecError:  # the template is none, which is said of it
            return None
        except DataError as error:
            return str(error)
        return None

    def with_examples(
        self, pool: Dataset | Iterable[Case | Mapping[str, JSONValue]], count: int, *, seed: int | None = 0
    ) -> Self:
        """Return the prompt with examples drawn from other cases: few-shot prompting.

        The examples become a part of the prompt, and so of a run's identity and record: neither a replay nor a
        verification needs the pool. One more than `count` is drawn, which takes the place of an example that is the
        case itself. What is drawn depends on the cases that are there, the seed and nothing else; a larger count keeps
        the first ones.

        Args:
            pool: what is drawn from, cases or rows like them; one without a reference is passed over, and so is one
                that asks what another asked. Of several references the first is shown.
            count: how many are shown with each case.
            seed: gives the order; with `None` they come in the pool's own.

        Raises:
            DataError: the pool holds too few, or one lacks a field that the template names.

        >>> train = [Case(case_id=str(n), input=f"{n} + {n}?", expected_output=str(2 * n)) for n in range(9)]
        >>> PromptSpec().with_examples(train, 2, seed=1).render("1 + 1?")
        '7 + 7? 14\\n\\n0 + 0? 0\\n\\n1 + 1?'
        """
        if count < 0:
            raise SpecError(f"examples: a number from 0 up expected, found {count}")
        if isinstance(pool, str):
            raise SpecError(
                f"examples: cases expected, found the text {pool!r}; a file is read by `examples` in a config"
            )
        if count == 0:
            return self
        answered: dict[str, Case] = {}
        unanswered = 0
        for number, row in enumerate(pool.cases if isinstance(pool, Dataset) else pool, 1):
            case = row if isinstance(row, Case) else Case.from_dict({"case_id": str(number), **row})
            if case.expected_output is None:
                unanswered += 1
            elif (asks := self._asks(_question(case))) not in self._asked_by_blocks:
                answered.setdefault(asks, case)
        names = [*answered]
        order = range(len(names)) if seed is None else shuffled(names, seed)
        if len(names) < count:
            without = f", besides {unanswered} without a reference" if unanswered else ""
            raise DataError(f"examples: {count} asked for, and there are {len(names)} different ones{without}")
        drawn = [self._example_of(answered[names[place]]) for place in order[: count + 1]]
        shown = sum(map(_is_example, self.blocks)) if self.shots is None else self.shots
        return self.evolve(blocks=(*self.blocks, *drawn), shots=shown + count)

    def _example_of(self, case: Case) -> Block:
        templates = filter(None, (self.template, self.answer_template))
        named = {name for template in templates for name in names_in(template)}
        output = case.expected_output
        metadata = {name: item for name, item in case.metadata.items() if name in named}
        example: Block = {
            "input": case.input,
            "output": output[0] if isinstance(output, list | tuple) and output else output,
            **({"metadata": metadata} if metadata else {}),
        }
        if problem := self._unwritable(example):
            raise DataError(f"examples: case {case.case_id!r}: {problem}")
        return example

    # --- rendering: a pure function of the prompt and the case ------------------------------------------------

    def render(self, asked: Case | JSONValue, *, of: Case | JSONValue = None) -> str:
        """Return the whole prompt as one text, for models that complete text.

        Args:
            asked: a case, or an input alone: then metadata are no fields of a template.
            of: the case, where `asked` is but a part of its input.

        Raises:
            DataError: a field that a template names is not there.
        """
        question = _question(asked, of)
        parts = [self.instructions, *map(self._block_text, self._shown_blocks(question)), self._text(question)]
        return "\n\n".join(part for part in parts if part is not None)

    def render_messages(self, asked: Case | JSONValue, *, of: Case | JSONValue = None) -> list[dict[str, Any]]:
        """Return the prompt as chat messages: instructions, blocks, then the input as the user's message.

        An input that is a list of messages keeps its messages; prefix and suffix go around the last of the
        user's, if its content is text, and a template stands for it. Arguments and errors as for `render`.
        """
        question = _question(asked, of)
        opening: list[dict[str, Any]] = []
        if self.instructions is not None:
            opening.append({"role": "system", "content": self.instructions})
        for block in self._shown_blocks(question):
            opening += self._block_messages(block)
        return [*opening, *self._messages(question)]

    def lacking(self, case: Case) -> str | None:
        """Say why a case can't be asked: a field that the template names is not there, or an example is lacking."""
        if self.template is None and self.shots is None:
            return None
        question = _question(case)
        try:
            if self.template is not None:
                self._text(question)
        except DataError as error:
            return f"case {case.case_id!r}: prompt_spec.template: {error}"
        shown = 0 if self.shots is None else sum(map(_is_example, self._shown_blocks(question)))
        if self.shots is not None and shown < self.shots:
            return (
                f"case {case.case_id!r}: prompt_spec.shots: {self.shots} example(s) asked for, and {shown} are left "
                "for it, which is among them itself; draw from more, or show fewer"
            )
        return None

    def _shown_blocks(self, question: _Question) -> Iterator[Block]:
        """Yield the blocks that are shown with a case: no example that it is itself, and not too many."""
        left, own = self.shots, None
        for block, asks in zip(self.blocks, self._asked_by_blocks, strict=True):
            if asks is not None:
                own = self._asks(question) if own is None else own
                if left == 0 or asks == own:
                    continue
                left = None if left is None else left - 1
                yield block
            elif self.is_shown(block):
                yield block

    @staticmethod
    def is_shown(block: Block) -> bool:
        """Tell whether a block is of a kind that models are shown; any other is data for generators of one's own."""
        return "text" in block or block.keys() >= _MESSAGE or _is_example(block)

    @functools.cached_property
    def _asked_by_blocks(self) -> tuple[str | None, ...]:
        return tuple(self._asks(_question_of(block)) if _is_example(block) else None for block in self.blocks)

    def _asks(self, question: _Question) -> str:
        """Name what a question asks: by its input or, with a template, by what that shows of the input, and its images.

        Where it shows metadata alone, by those. Upper case and blanks make no other question.
        """
        if self.template is None:
            return _content(question.whole)
        fields = self._fields(self.template, _shown_in(question.whole), question)
        named = [name for name in names_in(self.template) if name in fields]
        own = [name for name in named if name == "input" or name in question.own or name not in question.metadata]
        images = question.own.get("images")
        return _content([*(fields[name] for name in own or named), *([images] if images else [])])

    def _block_text(self, block: Block) -> str:
        if _is_example(block):
            asked, answer = self._text(_question_of(block)), self._answer(block)
            return f"{asked}{'' if not asked or asked[-1].isspace() else ' '}{answer}"
        return text_of(block["text"] if "text" in block else block["content"])

    def _block_messages(self, block: Block) -> list[dict[str, Any]]:
        if _is_example(block):
            asked = self._messages(_question_of(block))
            attach_images(asked, block["input"])
            return [*asked, {"role": "assistant", "content": self._answer(block)}]
        content = block["text"] if "text" in block else block["content"]
        return [{"role": block.get("role", "user"), "content": thaw(content)}]

    def _answer(self, block: Block) -> str:
        if self.answer_template is None:
            return text_of(block["output"])
        question, template = _question_of(block), self.answer_template
        return fill(template, {**self._fields(template, question.shown, question), "output": block["output"]})

    def _text(self, question: _Question) -> str:
        messages = as_messages(question.shown)
        if messages is None:
            return self._around(question.shown, question)
        if self.template is not None:
            messages = self._around_last(question)
        return "\n\n".join(text_of(m["content"]) for m in messages if m.get("content") is not None)

    def _messages(self, question: _Question) -> list[dict[str, Any]]:
        if as_messages(question.shown) is None:
            return [{"role": "user", "content": self._around(question.shown, question)}]
        return self._around_last(question)

    def _around(self, value: JSONValue, question: _Question) -> str:
        shown = (
            text_of(value)
            if self.template is None
            else fill(self.template, self._fields(self.template, value, question))
        )
        return f"{self.prefix or ''}{shown}{self.suffix or ''}"

    @staticmethod
    def _fields(template: str, shown: JSONValue, question: _Question) -> dict[str, JSONValue]:
        fields = {**question.metadata, "input": text_of(shown), **question.own}
        if isinstance(shown, str):
            fields |= {name: shown for name in names_in(template) if name in TEXT_FIELDS and name not in fields}
        return fields

    def _around_last(self, question: _Question) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = thaw(as_messages(question.shown))
        for message in reversed(messages):
            if message["role"] == "user":
                if isinstance(message["content"], str):
                    message["content"] = self._around(message["content"], question)
                break
        return messages


_MESSAGE: Final = frozenset({"role", "content"})


def _is_example(block: Block) -> bool:
    return {"input", "output"} <= block.keys() and "text" not in block and not block.keys() >= _MESSAGE


class _Question(NamedTuple):
    """What is asked: the whole input, what is shown of it, its fields, and those beside it."""

    whole: JSONValue
    shown: JSONValue
    own: Mapping[str, JSONValue]
    metadata: Mapping[str, JSONValue]


def _question(asked: Case | JSONValue, of: Case | JSONValue = None) -> _Question:
    about = asked if of is None else of
    shown = asked.input if isinstance(asked, Case) else asked
    whole = about.input if isinstance(about, Case) else about
    metadata = about.metadata if isinstance(about, Case) else EMPTY
    return _Question(whole, shown, whole if isinstance(whole, Mapping) else EMPTY, metadata)


def _question_of(example: Block) -> _Question:
    value, metadata = example["input"], example.get("metadata")
    own = value if isinstance(value, Mapping) else EMPTY
    return _Question(value, _shown_in(value), own, metadata if isinstance(metadata, Mapping) else EMPTY)


def _shown_in(value: JSONValue) -> JSONValue:
    """Return what of an input is shown as its text."""
    if isinstance(value, Mapping) and any(part in value for part in PARTS) and as_messages(value) is None:
        return text_in(value)
    return value


def _content(value: JSONValue) -> str:
    """Name a content, whatever the form that it is written in.

    >>> _content({"question": "What  IS it?"}) == _content([{"role": "user", "content": "what is it? "}])
    True
    """
    messages = as_messages(value)
    if messages is not None:
        value = messages
    if isinstance(value, Mapping):
        name = next(iter(value), "")
        if len(value) == 1 and name in TEXT_FIELDS:
            return _content(value[name])
        return encode({key: _content(item) for key, item in value.items()}).decode()
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) == 1:
            only: Any = value[0]
            return _content(only["content"] if messages is not None and "content" in only else only)
        return encode([*map(_content, value)]).decode()
    return " ".join(unicodedata.normalize("NFKC", text_of(value)).casefold().split())


def text_in(value: Mapping[str, Any]) -> JSONValue:
    """Return the text of an input that is an object: its first field of `TEXT_FIELDS`, or else all that is no part."""
    for name in TEXT_FIELDS:
        if name in value:
            found: JSONValue = value[name]
            return found
    # Messages that are none are shown as they stand, and not left out in silence.
    return {name: item for name, item in value.items() if name not in PARTS or name == "messages"}


def attach_images(messages: list[dict[str, Any]], value: JSONValue) -> None:
    """Put the images of an input behind the text of the user's last message."""
    images: Any = value.get("images") if isinstance(value, Mapping) else None
    if not images:
        return
    last = next(message for message in reversed(messages) if message["role"] == "user")
    content = last["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    last["content"] = parts + [
        {"type": "image_url", "image_url": {"url": image} if isinstance(image, str) else thaw(image)}
        for image in images
    ]


def as_messages(value: JSONValue) -> Sequence[Any] | None:
    """Return the messages of an input that is a conversation, or has one under `messages`; else `None`.

    Each has a `role`, and `content` or `tool_calls`: an assistant that only calls tools says nothing.
    """
    if isinstance(value, Mapping):
        value = value.get("messages")
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    return value if all(map(_is_message, value)) else None


def _is_message(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("role"), str):
        return False
    return "content" in value or bool(value.get("tool_calls"))


def text_of(value: JSONValue) -> str:
    return value if isinstance(value, str) else encode(value).decode()
