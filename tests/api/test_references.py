"""References to the environment in the forms of other tools are refused with the right form, and text stays text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import Experiment
from themis.api.config.read import build
from themis.api.references import escaped, resolve_text
from themis.api.stores import open_store
from themis.pure.errors import LiteralSecretError, SpecError
from themis.pure.records.config import StorageConfig
from themis.pure.security import find_secrets, named_otherwise

FORMS = ["env:{}", "$env:{}", "${{{}}}", "${{env:{}}}", "${}", "os.environ/{}", "{{{{ env.{} }}}}", "%{}%"]
NAME = "THEMIS_TEST_KEY"


def refusal(generator: Any, **sections: Any) -> str:
    tree = {"generation": {"generator": generator}, "datasets": [{"cases": [{"input": "1"}]}], **sections}
    with pytest.raises(SpecError) as caught:
        build(Experiment, tree, Path("/somewhere"))
    assert not isinstance(caught.value, LiteralSecretError)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_refused_once_with_what_to_write(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "open-sesame-4242")
    text = form.format(NAME)
    right = f"write ${{oc.env:{NAME}}}"
    told = [
        refusal({"id": "openai/m", "headers": {"Authorization": text}}),
        refusal({"id": "openai/m", "headers": {"X-Key": f"Bearer {text}"}}),
        refusal({"id": "openai/m", "base_url": text}),
        refusal("openai/m", environment_metadata={"token": text}),
    ]
    assert all(each.endswith(right) for each in told), told
    for option in ("api_key", "api_key_env"):
        assert refusal({"id": "openai/m", option: text}).endswith(f"write api_key_env: {NAME}")
    with pytest.raises(SpecError) as caught:
        open_store(StorageConfig(store="postgres", parameters={"dsn": "postgresql://h/x", "password": text}))
    assert right in str(caught.value)
    assert not list(find_secrets({"api_key": text, "password": text}))


def test_what_is_no_reference_is_a_text_as_before() -> None:
    for text in ("costs $5", "env: prod", "$x + $Y", "the ${A} of ${B}", "50%", "%d%", "{{question}}", "env:lower"):
        assert (named_otherwise(text), resolve_text(text)) == (None, text)
    assert list(find_secrets({"api_key": "env:not-a-name", "password": "$5 off"})) == ["$.api_key", "$.password"]


@given(
    form=st.sampled_from(FORMS), name=st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), slashes=st.integers(0, 3)
)
def test_a_written_text_is_read_as_it_was(form: str, name: str, slashes: int) -> None:
    text = "\\" * slashes + form.format(name)
    tree = {"generation": {"prompt_spec": {"instructions": text}}}
    assert resolve_text(escaped(tree)["generation"]["prompt_spec"]["instructions"]) == text
