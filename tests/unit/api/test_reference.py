"""The published schema and reference: current, whole, and true of what goes over the line."""

from __future__ import annotations

import re
from inspect import iscoroutinefunction
from typing import get_args

import pytest

from chat.api import calls, reference, scopes
from chat.interface import ContactView, EntryAdded, Event, Messenger, ParlourError
from tests.architecture.imports import ROOT


def test_the_files_are_what_the_type_hints_say() -> None:
    """`python -m chat.api.reference` writes them."""
    assert reference.SCHEMA.read_text("utf-8") == reference.schema_text()
    held = reference.REFERENCE.read_text("utf-8")
    assert held == reference.reference_text(held)


def test_every_call_is_a_method_or_left_out_for_a_reason() -> None:
    named = {name for name, call in vars(Messenger).items() if iscoroutinefunction(call)}
    assert named == (calls.METHODS.keys() - calls.OWN.keys()) | calls.LEFT_OUT.keys()
    assert not calls.METHODS.keys() & calls.LEFT_OUT.keys()
    assert all(calls.LEFT_OUT.values())
    assert all(allowed <= calls.METHODS.keys() for allowed in scopes.MAY.values())


def test_no_method_takes_or_returns_a_secret() -> None:
    secret = {"passphrase", "old", "new", "typed", "answers", "words", "token"}
    for name, method in calls.METHODS.items():
        taken = secret.intersection(method.params.__struct_fields__)
        assert not taken or (name, taken) in (("search", {"words"}), ("hello", {"token"})), name
    shapes = reference.schema()["$defs"]
    assert not {"InvitationView", "RecoveryView", "TokenView"} & shapes.keys()


def test_every_event_is_passed_on_or_stands_for_another() -> None:
    assert {kind.__name__ for kind in get_args(Event)} == calls.EVENTS.keys() | {
        kind.__name__ for kind in calls.UNSENT
    }


def test_every_failure_has_a_code() -> None:
    kinds = [ParlourError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    named = {kind for kind in kinds if kind.__module__ == "chat.errors"}
    assert {kind.__name__ for kind in named} == calls.CODES.keys()
    for kind in named:
        assert type(calls.error_of(calls.trouble_of(kind("said")))) is kind
        assert str(calls.error_of(calls.trouble_of(kind("said")))) == "said"


@pytest.mark.parametrize("kind", [ContactView, EntryAdded])
def test_a_shape_names_each_field_with_its_default(kind: type) -> None:
    shape = reference.schema()["$defs"][kind.__name__]
    assert list(shape["properties"]) == list(kind.__struct_fields__)  # type: ignore[attr-defined]
    if kind is ContactView:
        assert shape["properties"]["timer"] == {"type": "integer", "default": 0}
        assert "timer" not in shape["required"]
        assert shape["properties"]["same_key"] == {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
        }


def test_the_document_names_files_that_are_there() -> None:
    text = reference.REFERENCE.read_text("utf-8")
    for name in ("echo_bot", "alert_relay"):
        assert f"../examples/{name}.py" in text
        assert (ROOT / f"examples/{name}.py").is_file()


def test_the_example_of_the_document_is_a_program() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", reference.REFERENCE.read_text("utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code.replace("asyncio.run(main())", ""), "api.md", "exec"), names)  # noqa: S102 - our own
    assert callable(names["main"])
