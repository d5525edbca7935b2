"""What holds for each call of `Messenger`. Its type hints name the calls and their arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from inspect import Parameter, iscoroutinefunction, signature
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

import pytest
from msgspec import Struct
from msgspec.structs import fields

from chat.interface import (
    BadData,
    BotCommand,
    ClientRights,
    Closed,
    Messenger,
    NotPermitted,
    ParlourError,
    SettingsView,
    Unreachable,
    UsageError,
)
from tests.contract.subject import RELAY, Subject, listening, until

CALLS: Mapping[str, Mapping[str, Parameter]] = {
    name: signature(method).parameters
    # `remove` is the last, because no other call of the contact works after it.
    for name, method in sorted(vars(Messenger).items(), key=lambda item: item[0] == "remove")
    if iscoroutinefunction(method) and name not in ("lock", "close")
}
"""Each call with its parameters, but for those that end the messenger and have tests of their own."""

OF_CONTACT = [name for name in CALLS if "contact" in CALLS[name]]
FAILING = {
    "pair_nearby": Unreachable,
    "pair_address": UsageError,
    "join": BadData,
    "answer_pairing": ParlourError,
    "edit": UsageError,
    "send_file": UsageError,
    "cancel_file": UsageError,
    "feed": UsageError,
    "take_file": UsageError,
    "pause_file": UsageError,
    "let_go_of_file": UsageError,
    "save_file": UsageError,
    "show_picture": UsageError,
    "back_up": UsageError,
    "export": UsageError,
    "verify": BadData,
    "confirm_own": UsageError,
    "confirm_recovery": UsageError,
    "check_recovery": UsageError,
    "foresee_recovery": UsageError,
    "recover": UsageError,
    "answer_linking": UsageError,
    "remove_terminal": UsageError,
    "foresee_removal": UsageError,
    "choose_keeper": UsageError,
    "permit": UsageError,
    "client_of": NotPermitted,
}
"""Calls that fail with the arguments below, where nothing is under way and nothing is asked."""


def arguments_of(subject: Subject, entry: str) -> dict[str, object]:
    """An argument for each parameter by its name; `entry` is one of the conversation with the contact."""
    return {
        "contact": subject.friend,
        "id": entry,
        "send_id": "an id",
        "entries": (entry,),
        "name": "benno",
        "value": "dark",
        "text": "again",
        "words": "before",
        "on": False,
        "time": datetime(2001, 1, 1, tzinfo=UTC),
        "instance": "nobody",
        "host": "198.51.100.7",
        "port": 4747,
        "pairing": "none",
        "linking": "none",
        "terminal": "00" * 32,
        "number": "1" * 60,
        "width": 80,
        "height": 48,
        "seconds": 3_600,
        "rate": 0,
        "days": 30,
        "operation": "none",
        "accept": True,
        "settings": SettingsView(read_receipts=False, typing=False),
        "address": RELAY,
        "answers": ("acorn",),
        "typed": ("acorn",),
        "removed": (),
        "commands": (BotCommand("echo", "says the same"),),
        "old": subject.passphrase,
        "new": "another one",
        "path": "a relative path",
        "folder": "a relative folder",
        "part": b"a part",
        "form": "jsonl",
        "passphrase": "of a backup",
        "client": "a-program",
        "rights": ClientRights.READ,
        "token": "none",
        "after": 0,
        "position": 0,
    }


def ask(messenger: Messenger, name: str, arguments: Mapping[str, object]) -> Awaitable[object]:
    """Make a call with the arguments that it requires, and with the contact where it takes one."""
    given = {
        parameter.name: arguments[parameter.name]
        for parameter in list(CALLS[name].values())[1:]
        if parameter.default is parameter.empty or parameter.name == "contact"
    }
    return cast(Awaitable[object], getattr(messenger, name)(**given))


class CallsContract:
    """The tests. A subclass adds the fixture `subject`."""

    async def test_every_call_returns_what_its_types_say(self, subject: Subject) -> None:
        arguments = arguments_of(subject, await subject.hear("before", ""))
        assert await subject.messenger.nearby() == ()
        for name in CALLS:
            if name in FAILING:
                with pytest.raises(FAILING[name]):
                    await ask(subject.messenger, name, arguments)
            else:
                returned = get_type_hints(getattr(Messenger, name))["return"]
                assert conforms(await ask(subject.messenger, name, arguments), returned), name

    async def test_a_call_for_nobody_is_a_usage_error(self, subject: Subject) -> None:
        arguments = arguments_of(subject, await subject.hear("before", ""))
        for nobody in ("00" * 32, "nobody", ""):
            for name in OF_CONTACT:
                with pytest.raises(UsageError):
                    await ask(subject.messenger, name, {**arguments, "contact": nobody})
                    pytest.fail(f"{name} of nobody works")

    @pytest.mark.parametrize("way", ["lock", "close"])
    async def test_after_its_end_every_call_says_so_and_every_stream_is_closed(
        self, subject: Subject, way: str
    ) -> None:
        arguments = arguments_of(subject, await subject.hear("before", ""))
        streams = [await listening(subject) for _ in range(2)]
        await getattr(subject.messenger, way)()
        if way == "close":
            await subject.messenger.close()
        for name in CALLS:
            with pytest.raises(ParlourError):
                await ask(subject.messenger, name, arguments)
                pytest.fail(f"{name} works after the end")
        for events in streams:
            await until(events, lambda event: isinstance(event, Closed))
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        if way == "lock":
            late = subject.messenger.events()
            assert [type(event) async for event in late] == [Closed]


def conforms(value: object, hint: Any) -> bool:
    """Whether a value is of a type as the interface writes it, down to the fields of views."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(conforms(item, inner[0]) for item in value)
    if origin is UnionType:
        return any(conforms(value, one) for one in inner)
    if origin is not None:
        return isinstance(value, Mapping) and all(
            conforms(key, inner[0]) and conforms(item, inner[1]) for key, item in value.items()
        )
    if not isinstance(value, hint):
        return False
    hints = get_type_hints(hint) if issubclass(hint, Struct) else {}
    return not hints or all(conforms(getattr(value, one.name), hints[one.name]) for one in fields(hint))
