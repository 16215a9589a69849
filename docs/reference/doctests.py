"""Shows docstrings as they are meant: an extension of griffe, which reads the sources for the reference."""

from __future__ import annotations

import inspect
import re
from typing import Any

from griffe import Extension

_EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


_OF_BUILTINS = {inspect.cleandoc(kind.__doc__ or "") for kind in (dict, list, tuple)}


class Doctests(Extension):
    """Puts a fence around each paragraph that begins with `>>>`, and describes fields by what is written of them.

    A class without fields of its own shows those of the class that it is made of, and a sync variant of an async
    function its signature.
    """

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change a docstring before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)

    def on_function_instance(self, *, func: Any, **_: Any) -> None:
        """Show the sync variant of an async function with the signature that it takes from there."""
        for decorator in func.decorators:
            if decorator.callable_path.endswith(".sync_variant"):
                function = func.parent.members[str(decorator.value.arguments[0])]
                func.parameters, func.returns = function.parameters, function.returns

    def on_class(self, *, cls: Any, **_: Any) -> None:
        """Take out what a default's type says of itself, where nothing was written about the field."""
        if cls.docstring is None:
            return
        for field in (field for section in _fields(cls) for field in section.value):
            if field.description in _OF_BUILTINS:
                field.description = ""
        if not _fields(cls):
            bases = [base for base in cls.resolved_bases if base.docstring is not None]
            cls.docstring.parsed.extend(section for base in bases for section in _fields(base))


def _fields(cls: Any) -> list[Any]:
    return [section for section in cls.docstring.parsed if section.kind.value == "attributes"]


def fenced(text: str) -> str:
    r"""Return a docstring with its examples in fences.

    >>> print(fenced("Add.\n\n>>> 1 + 1\n2").replace("`", "'"))
    Add.
    <BLANKLINE>
    '''pycon
    >>> 1 + 1
    2
    '''
    """
    return _EXAMPLE.sub(lambda found: f"{found['indent']}```pycon\n{found[0]}\n{found['indent']}```", text)
