"""What holds for each call of `Messenger`, whichever it is: a new one cannot be left out.

Rules: the tables below have every call; tests/architecture/test_contract.py holds them to the interface.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import partial
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from chat.interface import Closed, Messenger, ParlourError, SettingsView, UsageError
from tests.contract.subject import RELAY, Subject, until

NOBODY = "00" * 32
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
QUIET = SettingsView(read_receipts=False, typing=False)

# Each call with arguments that suit it, of a contact and an entry of the conversation with it.
OF_CONTACT: Mapping[str, Callable[[Messenger, str, str], Awaitable[object]]] = {
    "rename": lambda it, contact, _: it.rename(contact, "Benno"),
    "block": lambda it, contact, _: it.block(contact, False),
    "safety_number": lambda it, contact, _: it.safety_number(contact),
    "set_verified": lambda it, contact, _: it.set_verified(contact, True),
    "send": lambda it, contact, _: it.send(contact, "again"),
    "history": lambda it, contact, _: it.history(contact),
    "entry": lambda it, contact, entry: it.entry(contact, entry),
    "first_unread": lambda it, contact, _: it.first_unread(contact),
    "entry_at": lambda it, contact, _: it.entry_at(contact, LONG_AGO),
    "details": lambda it, contact, entry: it.details(contact, entry),
    "search": lambda it, contact, _: it.search("before", contact),
    "mark_read": lambda it, contact, entry: it.mark_read(contact, (entry,)),
    "mark_all_read": lambda it, contact, _: it.mark_all_read(contact),
    "typing": lambda it, contact, _: it.typing(contact, True),
    "delete": lambda it, contact, entry: it.delete(contact, entry),
    "remove": lambda it, contact, _: it.remove(contact),
}
OTHERS: Mapping[str, Callable[[Messenger, Subject], Awaitable[object]]] = {
    "me": lambda it, _: it.me(),
    "contacts": lambda it, _: it.contacts(),
    "nearby": lambda it, _: it.nearby(),
    "set_visible": lambda it, _: it.set_visible(False),
    "invite": lambda it, _: it.invite(),
    "settings": lambda it, _: it.settings(),
    "change_settings": lambda it, _: it.change_settings(QUIET),
    "preferences": lambda it, _: it.preferences(),
    "set_preference": lambda it, _: it.set_preference("theme", "dark"),
    "relays": lambda it, _: it.relays(),
    "add_relay": lambda it, _: it.add_relay(RELAY),
    "change_passphrase": lambda it, subject: it.change_passphrase(subject.passphrase, "another one"),
    "diagnose": lambda it, _: it.diagnose(),
    "clean": lambda it, _: it.clean(),
}
FAILING: Mapping[str, Callable[[Messenger], Awaitable[object]]] = {
    "pair_nearby": lambda it: it.pair_nearby("nobody"),
    "pair_address": lambda it: it.pair_address("198.51.100.7", 4747),
    "join": lambda it: it.join("this is no invitation"),
    "remove_relay": lambda it: it.remove_relay(RELAY),
    "answer_pairing": lambda it: it.answer_pairing("none", True),
}
ENDING = ("lock", "close", "events")
"""Those that end it, and the one that is no coroutine: tests of their own are about them."""


class CallsContract:
    """The tests. A subclass adds the fixture `subject`."""

    async def test_every_call_returns_what_its_types_say(self, subject: Subject) -> None:
        it = subject.messenger
        entry = await subject.hear("before", "")
        for name, call in OTHERS.items():
            assert conforms(await call(it, subject), _returned(name)), name
        for name, call_of in OF_CONTACT.items():
            assert conforms(await call_of(it, subject.friend, entry), _returned(name)), name

    async def test_a_call_for_nobody_is_a_usage_error(self, subject: Subject) -> None:
        entry = await subject.hear("before", "")
        for nobody in (NOBODY, "nobody", ""):
            for name, call in OF_CONTACT.items():
                with pytest.raises(UsageError):
                    await call(subject.messenger, nobody, entry)
                    pytest.fail(f"{name} of nobody works")

    async def test_after_the_lock_every_call_says_so(self, subject: Subject) -> None:
        it, friend = subject.messenger, subject.friend
        entry = await subject.hear("before", "")
        await it.lock()
        late: dict[str, Callable[[], Awaitable[object]]] = {
            **{name: partial(call, it, friend, entry) for name, call in OF_CONTACT.items()},
            **{name: partial(call, it, subject) for name, call in OTHERS.items()},
            **{name: partial(call, it) for name, call in FAILING.items()},
        }
        working = [name for name, called in late.items() if not await _fails(called)]
        assert working == []

    async def test_a_stream_that_is_asked_for_after_the_end_says_so(self, subject: Subject) -> None:
        await subject.messenger.lock()
        late = subject.messenger.events()
        assert isinstance(await until(late, lambda event: True), Closed)
        with pytest.raises(StopAsyncIteration):
            await anext(late)

    async def test_who_has_closed_it_uses_it_no_more(self, subject: Subject) -> None:
        events = subject.messenger.events()
        await subject.messenger.close()
        await subject.messenger.close()
        assert isinstance(await until(events, lambda event: isinstance(event, Closed)), Closed)
        for name, call in OTHERS.items():
            assert await _fails(partial(call, subject.messenger, subject)), name


async def _fails(called: Callable[[], Awaitable[object]]) -> bool:
    try:
        await called()
    except ParlourError:
        return True
    return False


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
    hints = get_type_hints(hint) if is_dataclass(hint) else {}
    return not hints or all(conforms(getattr(value, one.name), hints[one.name]) for one in fields(hint))


def _returned(name: str) -> Any:
    return get_type_hints(getattr(Messenger, name))["return"]
