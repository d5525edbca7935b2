"""The contract of the narrow door leaves out no call and no event, and the fakes are held to all of it."""

from __future__ import annotations

import ast
from typing import get_args

from chat.interface import Door, Event, Messenger
from tests.architecture.imports import ROOT
from tests.contract.calls import ENDING, FAILING, OF_CONTACT, OTHERS

PARTS = {
    "MessengerContract": "tests/contract/messenger.py",
    "AroundContract": "tests/contract/around.py",
    "CallsContract": "tests/contract/calls.py",
}

# What tells of the machine that an engine runs on, which a contract cannot have happen.
OF_THE_MACHINE = {"Ready", "Notice"}


def _calls(of: type) -> set[str]:
    return {name for name in vars(of) if not name.startswith("_")}


def _names(*files: str) -> set[str]:
    """Every name and attribute that these files use after their imports."""
    nodes = [node for file in files for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8")))]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def test_the_tables_have_every_call() -> None:
    tables = [*OF_CONTACT, *OTHERS, *FAILING, *ENDING]
    assert sorted(tables) == sorted(_calls(Messenger))


def test_the_way_to_a_messenger_has_its_contract_too() -> None:
    assert _calls(Door) - {"diagnose"} <= _names("tests/contract/door.py")  # which asks the network


def test_every_event_is_waited_for() -> None:
    events = {kind.__name__ for kind in get_args(Event)}
    assert events - _names(*PARTS.values()) == OF_THE_MACHINE


def test_fake_and_engine_stand_under_the_whole_contract() -> None:
    held = {
        node.name: {ast.unparse(base) for base in node.bases}
        for file in (
            "tests/integration/test_control.py",
            "tests/integration/test_engine_contract.py",
            "tests/integration/test_door.py",
        )
        for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    }
    for name in ("TestFake", "TestRemote", "TestEngine", "TestEngineBehindTheSocket"):
        assert held[name] == set(PARTS), name
    assert held["TestFakeDoor"] == held["TestProfileDoor"] == {"DoorContract"}
