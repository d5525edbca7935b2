"""The interface is the one description: its implementations have its signatures and pass its contract."""

from __future__ import annotations

import ast
from inspect import signature
from typing import get_args

import pytest

from chat.engine import Engine
from chat.interface import Door, Event, Messenger
from chat.ipc.client import RemoteMessenger
from chat.ipc.wire import CALLS, ONCE
from tests.architecture.imports import ROOT
from tests.support.fakes.messenger import FakeDoor, FakeMessenger

PARTS = {
    "MessengerContract": "tests/contract/messenger.py",
    "AroundContract": "tests/contract/around.py",
    "CallsContract": "tests/contract/calls.py",
}

# What tells of the machine that an engine runs on, which a contract cannot have happen.
OF_THE_MACHINE = {
    "Ready",
    "Notice",
    "Cleaning",
    "HistoryMoving",
    "FileProgress",
    "FileSealing",
    "FileSupplied",
}


def _calls(of: type) -> set[str]:
    return {name for name in vars(of) if not name.startswith("_")}


def _names(*files: str) -> set[str]:
    """Every name and attribute that these files use after their imports."""
    nodes = [node for file in files for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8")))]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("kind", [FakeMessenger, RemoteMessenger, Engine])
def test_every_messenger_has_the_signatures_of_the_interface(kind: type[Messenger]) -> None:
    for name in _calls(Messenger):
        declared, offered = getattr(Messenger, name), getattr(kind, name)
        assert signature(offered, eval_str=True) == signature(declared, eval_str=True), name


def test_the_fake_door_has_the_parameters_of_the_interface() -> None:
    for name in _calls(Door):
        assert signature(getattr(FakeDoor, name)).parameters == signature(getattr(Door, name)).parameters


def test_the_socket_offers_every_call() -> None:
    assert _calls(Messenger) - CALLS.keys() == {"events", "close"}
    assert CALLS.keys() >= ONCE


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
