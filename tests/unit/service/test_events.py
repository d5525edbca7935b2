"""The event bus, and what services publish on it, one part at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.errors import UsageError, phrase
from chat.interface import Closed, EntryChanged, EntryState, VisibilityChanged
from chat.network import driver
from chat.network.links import LiveLink, Peer
from chat.service import sync
from chat.service.events import ContactsChanged, EventBus, InvitationsChanged
from chat.service.pairing import storage as pending_module
from chat.service.pairing.storage import PendingContacts
from chat.service.state import ContactBook
from chat.service.sync import Inbound, Outbound
from chat.storage import contacts, persons, receipts, sharing
from chat.storage import keys as stored_keys
from chat.storage.contacts import PAIRED
from chat.storage.entries import WHOLE
from protocol.entries_and_receipts import READ, STORED, conversation_of_two
from protocol.errors import Untrusted
from protocol.limits import PENDING_SECONDS
from protocol.link.states import LinkOpen, Role
from protocol.messages import (
    LogHeads,
    Receipt,
)

ON, OFF = VisibilityChanged(True), VisibilityChanged(False)
CLOSED = Closed(phrase("Stopped."))


def waiting(subscription: Any) -> list[Any]:
    return [subscription.queue.get_nowait() for _ in range(subscription.queue.qsize())]


async def test_every_client_gets_every_event_in_order_up_to_the_end() -> None:
    bus = EventBus()
    bus.publish(OFF)
    first, second = bus.subscribe(), bus.subscribe()
    bus.publish(ON)
    bus.forget(second)
    bus.forget(second)
    bus.publish(OFF)
    bus.publish(CLOSED)
    bus.publish(Closed(phrase("Again.")))
    assert waiting(second) == [ON]
    assert [event async for event in first] == [ON, OFF, CLOSED]
    with pytest.raises(StopAsyncIteration):
        await first.__anext__()
    assert bus._subscriptions == []
    late = bus.subscribe()
    assert [event async for event in late] == [CLOSED]
    assert waiting(bus.subscribe()) == [CLOSED]


def test_a_signal_reaches_the_handlers_of_its_type_in_their_order() -> None:
    bus, heard = EventBus(), list[tuple[str, object]]()
    bus.on(ContactsChanged, lambda signal: heard.append(("first", signal)))
    bus.on(ContactsChanged, lambda signal: heard.append(("second", signal)))
    bus.on(InvitationsChanged, lambda signal: heard.append(("other", signal)))
    bus.signal(ContactsChanged())
    assert heard == [("first", ContactsChanged()), ("second", ContactsChanged())]


ROW: Any = SimpleNamespace(state=PAIRED)


class Contacts:
    """PendingContacts among mocks: the store runs its work on a database that is a mock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database, self.bus, self.views, self.cleaner, self.notes = (mock.Mock() for _ in range(5))
        self.notes.done = mock.AsyncMock()
        self.store = mock.Mock(read=self._run, write=self._run, write_once=self._run_once)
        self.keyring = mock.Mock(contacts={}, proven={})
        self.keyring.own.person = b"own"
        self.rows: dict[bytes, Any] = {b"person": ROW}
        book = self.book = ContactBook({}, {})
        self.stored: list[tuple[Any, ...]] = []
        self.earlier = True
        clock = mock.Mock(wall=lambda: 1000 * PENDING_SECONDS + 7)
        self.pending = PendingContacts(
            clock, self.store, self.bus, self.keyring, book, self.views, self.cleaner, self.notes
        )
        monkeypatch.setattr(contacts, "get", lambda database, person: self.rows.get(person))
        monkeypatch.setattr(contacts, "digits", lambda database: {b"person": 4})
        monkeypatch.setattr(contacts, "set_state", lambda *told: self.stored.append(told[1:]))
        monkeypatch.setattr(contacts, "drop_pending", self._drop)
        monkeypatch.setattr(persons, "add_proven_key", lambda *told: self.stored.append(told[1:]))
        monkeypatch.setattr(sharing, "of_contact", lambda database, person: [])
        monkeypatch.setattr(sharing, "superseded", lambda *told: [b"of " + told[2]] if self.earlier else [])
        monkeypatch.setattr(stored_keys, "forget_pairing", lambda *told: self.stored.append(told[1:]))
        monkeypatch.setattr(pending_module, "contact_keys", lambda database, row: ("keys", row))
        self.old: list[bytes] = []

    async def _run(self, work: Any, *args: Any) -> Any:
        return work(self.database, *args)

    async def _run_once(self, is_stored: Any, work: Any, *given: Any) -> Any:
        return await self._run(work, *given)

    def _drop(self, database: Any, is_late: Any) -> list[bytes]:
        assert [is_late(since) for since in (7, 8)] == [True, False]
        return self.old

    def calls(self) -> list[Any]:
        """What the others were told, in order of the parts."""
        return [*self.bus.mock_calls, *self.views.mock_calls, *self.cleaner.mock_calls]


def keys(**fields: Any) -> Any:
    return SimpleNamespace(**{"pending": False, "pairings": (), **fields})


CHANGED = mock.call.signal(ContactsChanged())


async def test_a_pending_contact_is_completed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Contacts(monkeypatch)
    await it.pending.promote(b"person")
    assert it.calls() == []
    it.keyring.contacts[b"person"] = keys(pending=True)
    for _ in range(2):
        await it.pending.promote(b"person")
    assert it.stored == [(b"person", PAIRED)]
    assert it.book.digits == {b"person": 4}
    assert (it.book.rows, it.keyring.contacts[b"person"].pending) == ({b"person": ROW}, False)
    published = [mock.call.publish_contact(b"person"), mock.call.publish_same_key(b"person")]
    assert it.calls() == [CHANGED, *published]


async def test_a_contact_is_completed_whose_keys_were_read_again_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its log grew before the other side's answer was stored."""
    it = Contacts(monkeypatch)
    it.keyring.contacts[b"person"] = keys(pending=True)
    store: Any = it.pending._store
    write = store.write_once

    async def grows(*arguments: Any) -> Any:
        it.keyring.contacts[b"person"] = keys(pending=True)
        return await write(*arguments)

    monkeypatch.setattr(store, "write_once", grows)
    await it.pending.promote(b"person")
    assert not it.keyring.contacts[b"person"].pending


async def test_a_proof_is_kept_once_and_only_of_a_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Contacts(monkeypatch)
    await it.pending.proved(b"stranger", b"static")
    assert (it.stored, it.calls(), it.keyring.prove.mock_calls) == ([], [], [])
    await it.pending.proved(b"person", b"static")
    assert it.stored == [(b"person", b"static")]
    it.keyring.prove.assert_called_once_with(b"person", b"static")
    assert it.calls() == [mock.call.publish_same_key(b"person")]
    it.keyring.proven = {b"static": [b"person"]}
    await it.pending.proved(b"person", b"static")
    assert len(it.stored) == 1


async def test_keys_are_read_again_unless_the_contact_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Contacts(monkeypatch)
    await it.pending.reload(b"person")
    assert it.keyring.contacts == {}
    it.keyring.contacts = {b"person": "old", b"gone": "old"}
    await it.pending.reload(b"person")
    await it.pending.reload(b"gone")
    assert it.keyring.contacts == {b"person": ("keys", ROW), b"gone": "old"}


async def test_incomplete_pairings_are_dropped_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Contacts(monkeypatch)
    it.old = [b"old", b"unknown"]
    it.keyring.contacts = {b"complete": keys()}
    await it.pending.drop_old()
    assert it.calls() == []
    it.keyring.contacts = {b"complete": keys(), b"old": keys(pending=True)}
    await it.pending.drop_old()
    assert list(it.keyring.contacts) == [b"complete"]
    assert it.keyring.forget_proofs.mock_calls == [mock.call(b"old"), mock.call(b"unknown")]
    assert it.calls() == [CHANGED, mock.call.begin()]
    it.old, it.keyring.contacts = [], {b"young": keys(pending=True)}
    await it.pending.drop_old()
    assert len(it.calls()) == 2


@pytest.mark.parametrize("role", list(Role))
async def test_earlier_pairings_are_forgotten_when_a_link_opened_under_the_newest(
    monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    it = Contacts(monkeypatch)
    newest, older = mock.Mock(their_person=b"person", root=b"root"), mock.Mock()
    older.opened.return_value = False
    psk: Any = "psk"

    async def retire(person: bytes | None, pairs: int, psk: Any, opened: bool) -> None:
        state = SimpleNamespace(person=b"person")
        it.keyring.contacts = {b"person": keys(state=state, pairings=(newest, older)[:pairs])}
        it.keyring.pairs = lambda person: it.keyring.contacts[person].pairings
        newest.opened.return_value = opened
        await it.pending.retire(LinkOpen(bytes(16), role, 3, b"static", person, psk))

    await retire(None, 2, psk, True)
    await retire(b"stranger", 2, psk, True)
    await retire(b"person", 2, None, True)
    await retire(b"person", 1, psk, True)
    await retire(b"person", 2, psk, False)
    assert (it.stored, it.calls()) == ([], [])
    newest.opened.assert_called_once_with(psk, initiates=role is Role.INITIATOR)
    older.opened.assert_called_once_with(psk, initiates=role is Role.INITIATOR)
    it.keyring.may_link = lambda peer: peer != (b"person", b"static")
    await retire(b"person", 2, psk, True)
    assert (it.stored, it.calls()) == ([], []), "a link of a terminal that was removed"
    it.keyring.may_link = lambda peer: peer == (b"person", b"static")
    await retire(b"person", 2, psk, True)
    assert it.stored == [(b"person", b"of root")]
    assert it.notes.write.mock_calls == [mock.call(it.database, *sharing.retiring([b"of root"]))]
    assert it.keyring.contacts == {b"person": ("keys", ROW)}
    assert it.calls() == [CHANGED, mock.call.begin()]
    it.earlier = False  # the other pairing was under way at the same time
    await retire(b"person", 2, psk, True)
    assert it.calls() == [CHANGED, mock.call.begin()]


def test_a_pending_contact_is_stored_with_its_row_and_all_of_its_pairings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row, database = mock.Mock(person=b"person"), mock.Mock()

    def is_stored(held: Any, *pairings: str) -> bool:
        monkeypatch.setattr(contacts, "get", lambda database, person: held)
        monkeypatch.setattr(stored_keys, "pairings_of", lambda database, person: pairings)
        return pending_module._is_stored(database, (row, keys(pairings=("one", "two")), ()))

    assert is_stored(row, "one", "two")
    assert not is_stored(row, "one")
    assert not is_stored(None, "one", "two")
    assert not is_stored(mock.Mock(), "one", "two")


class Sending:
    """The sending worker of one link, among mocks."""

    def __init__(self) -> None:
        keyring = mock.Mock(contacts={})
        keyring.own.person = b"a" * 32
        keyring.own_terminals = set()
        self.driver = mock.Mock(send=mock.AsyncMock())
        link: Any = SimpleNamespace(person=b"b" * 32, driver=self.driver, carried={})
        parts: list[Any] = [mock.Mock() for _ in range(5)]
        parts[3].settings.read_receipts = False
        parts[0].read = mock.AsyncMock(return_value=([], (0, WHOLE[1])))
        self.outbound = Outbound(parts[0], parts[1], keyring, parts[2], parts[3], parts[4], link, set())


async def test_a_worker_that_fails_cuts_its_link() -> None:
    it = Sending()
    it.driver.send.side_effect = UsageError(phrase("No."))
    it.outbound.put(LogHeads(bytes(32), []))
    with pytest.raises(UsageError):
        await it.outbound.run()
    it.driver.abort.assert_called_once_with()


async def test_a_queue_that_is_full_cuts_its_link() -> None:
    it = Sending()
    for _ in range(driver.QUEUED_MAX):
        it.outbound.put(LogHeads(bytes(32), []))
    it.driver.abort.assert_not_called()
    it.outbound.put(LogHeads(bytes(32), []))
    it.driver.abort.assert_called_once_with()
    assert it.outbound._queue.qsize() == driver.QUEUED_MAX


@pytest.mark.parametrize(("kind", "state"), [(STORED, EntryState.DELIVERED), (READ, EntryState.READ)])
async def test_a_receipt_counts_on_all_links_with_its_terminal_and_elsewhere_for_what_was_carried(
    monkeypatch: pytest.MonkeyPatch, kind: int, state: EntryState
) -> None:
    one, two, three = (bytes([number]) * 32 for number in range(3))
    person, keyring, bus, store, links = b"b" * 32, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock()
    keyring.own.person, keyring.own.terminal, keyring.contacts = b"a" * 32, b"t" * 32, {person: mock.Mock()}
    store.write = mock.AsyncMock(return_value={one: True, two: False})
    monkeypatch.setattr(sync, "accept_receipt", lambda *_: SimpleNamespace(id=b"i" * 32))

    def link(terminal: bytes, *sent: bytes, queued: bytes) -> LiveLink:
        mocks = mock.Mock(), mock.Mock()
        return LiveLink(
            mocks[0],
            bytes(32),
            person,
            terminal,
            True,
            b"",
            "a",
            0.0,
            mocks[1],
            None,
            {queued: True},
            {*sent},
        )

    here = link(b"1", one, three, queued=two)
    same, other = link(b"1", queued=one), link(b"2", one, queued=two)
    links.of.return_value = [same, other]
    runtime: Any = SimpleNamespace(clock=SimpleNamespace(wall=lambda: 7))
    parts: list[Any] = [mock.Mock() for _ in range(10)]
    inbound = Inbound(runtime, store, bus, keyring, parts[0], links, *parts[1:])
    receipt = Receipt(kind, sorted([one, two]))
    await inbound.receipt(here, receipt)
    talk = conversation_of_two(b"a" * 32, person)
    store.write.assert_awaited_once_with(receipts.acknowledge, talk, b"t" * 32, b"i" * 32, receipt, 7)
    assert (here.sent, here.queued) == ({three}, {})
    # What was read may have been let go of there, and a copy of the profile may lack it.
    assert (same.sent, same.queued) == (set(), {one: False})
    assert (other.sent, other.queued) == (set(), {two: False})
    assert bus.publish.call_args_list == [mock.call(EntryChanged(person.hex(), one.hex(), state))]
    keyring.contacts = {}
    with pytest.raises(Untrusted):
        await inbound.receipt(here, receipt)


def test_a_contact_types_until_the_time_of_its_last_terminal_has_come() -> None:
    clock: Any = SimpleNamespace(monotonic=lambda: 7.0)
    runtime: Any = SimpleNamespace(clock=clock, beat=mock.Mock())
    book, views = ContactBook({}, {}), mock.Mock()
    parts: list[Any] = [mock.Mock() for _ in range(12)]
    store, bus, keyring, links, *later = parts
    inbound = Inbound(runtime, store, bus, keyring, book, links, views, *later)
    one, two, other = Peer(b"p" * 32, b"1"), Peer(b"p" * 32, b"2"), Peer(b"q" * 32, b"1")
    for peer, until in ((one, 7.0), (two, 7.1), (other, 6.9)):
        book.types(peer, until)
    inbound.forget_typing()
    assert book.typing == {one.person: {b"2": 7.1}}
    assert views.mock_calls == [mock.call.publish_contact(other.person)]
    (looks_again,) = runtime.beat.by.call_args.args
    assert looks_again == pytest.approx(0.1)
    book.types(two, 7.0)
    inbound.forget_typing()
    assert book.typing == {}
    assert views.mock_calls[1:] == [mock.call.publish_contact(one.person)]
