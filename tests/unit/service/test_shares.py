"""Shares of contacts: which are taken, which are kept, and when those before are erased (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.network.links import Peer
from chat.service.events import ContactsChanged, SecretsRenewed
from chat.service.keyring import Keyring, Visibility, contact_keys
from chat.service.renewal import Renewals
from chat.storage import contacts, keys, persons
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from chat.storage.keys import OwnRow, PairingRow, ShareRow
from protocol.limits import SHARES_HELD_MAX
from protocol.link.states import ContactPsk, LinkOpen, Role
from protocol.messages import RenewedShare, SharedDrawn
from protocol.pairing.contact_secret import pairing_id
from tests.support.protocol.pairings import SECOND, THIRD, Person, Terminal, id_of
from tests.support.storage.samples import blob, new_database

ROOT = blob("root")


class Known:
    """This person's terminal, which knows Ben: real rows and keys, and a link that is none."""

    def __init__(self, database: Database) -> None:
        self.database, self.bus, self.cleaner = database, mock.Mock(), mock.Mock()
        self.ada, self.ben = Person("Ada"), Person("Ben")
        self.first = ShareRow(self.ben.id, blob("the first share"))
        first = self.ada.first
        own = OwnRow(self.ada.id, first.id, first.seed, first.secret, (self.ada.drawn,), None)
        self.keyring = Keyring(own, self.ada.state, Visibility(), lambda: 0)
        with database.transaction():
            contacts.add(database, ContactRow(self.ben.id, "Ben", "", PAIRED, True, False, False, 1))
            keys.add_pairing(database, PairingRow(self.ben.id, ROOT, self.ada.id, (self.first,)))
        runtime: Any = SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: 0.0))
        store: Any = SimpleNamespace(read=self._read, write=self._write)
        self.renewals = Renewals(runtime, store, self.bus, self.keyring, mock.Mock(), self.cleaner)
        self.follow()

    async def _read(self, work: Callable[..., Any], *given: Any) -> Any:
        return work(self.database, *given)

    async def _write(self, work: Callable[..., Any], *given: Any) -> Any:
        with self.database.transaction():
            return work(self.database, *given)

    def follow(self, *, confirm: bool = False) -> None:
        """Ben's log came as it is now; `confirm`: this person has confirmed its recoveries."""
        with self.database.transaction():
            for operation in self.ben.operations:
                persons.add_operation(self.database, self.ben.id, id_of(operation), operation)
            if confirm:
                persons.pin(self.database, self.ben.id, self.ben.state.path, confirmed=True)
        row = contacts.get(self.database, self.ben.id)
        assert row is not None
        self.keyring.contacts[self.ben.id] = contact_keys(self.database, row)

    def renew(self) -> bytes:
        """Ben's first terminal draws a secret; the operation."""
        operation = id_of(self.ben.renew(self.ben.first))
        self.follow()
        return operation

    @property
    def held(self) -> dict[bytes, bytes]:
        """Ben's shares by operation, as they are stored and used."""
        (row,) = keys.pairings_of(self.database, self.ben.id)
        assert self.keyring.contacts[self.ben.id].pairings == (row,)
        return {one.operation: one.share for one in row.theirs}

    @property
    def retired(self) -> bool:
        return self.keyring.contacts[self.ben.id].pairings[0].retired

    def signals(self) -> list[object]:
        """What was signalled since the last look."""
        told = [call.args[0] for call in self.bus.signal.call_args_list]
        self.bus.signal.reset_mock()
        return told

    async def take(self, operation: bytes, name: str = "share", root: bytes = ROOT) -> list[object]:
        """A share comes from Ben; what was signalled."""
        said = RenewedShare(pairing_id(root), operation, blob(name))
        await self.renewals.take(Peer(self.ben.id, self.ben.first.static), said)
        return self.signals()

    async def open(self, terminal: Terminal, operation: bytes) -> list[object]:
        """A terminal opens a link under the share of an operation; what was signalled."""
        (pair,) = self.keyring.pairs(self.ben.id)
        name = next(one.name for one in pair.theirs if one.operation == operation)
        psk = ContactPsk(bytes(32), pair.own[0].name, name)
        await self.renewals.keyed(LinkOpen(bytes(16), Role.RESPONDER, 3, terminal.static, self.ben.id, psk))
        return self.signals()


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    database = new_database(tmp_path)
    yield Known(database)
    database.close()


async def test_of_an_operation_the_share_that_comes_first_is_taken_and_a_second_is_not(known: Known) -> None:
    """A thief's terminal may send another one later, and would cut off those who use the first."""
    renewed = known.renew()
    assert await known.take(renewed) == [SecretsRenewed()]
    for operation in (renewed, known.ben.id):
        assert await known.take(operation, "a thief's") == []
    assert known.held == {known.ben.id: known.first.share, renewed: blob("share")}
    (pair,) = known.keyring.pairs(known.ben.id)
    assert [one.operation for one in pair.theirs] == [renewed, known.ben.id]


async def test_a_share_of_no_operation_that_draws_or_of_no_pairing_is_passed_over(known: Known) -> None:
    renewed, rename = known.renew(), id_of(known.ben.rename(known.ben.first, "Benny"))
    known.follow()
    assert await known.take(rename) == []
    assert await known.take(blob("an operation that has not come")) == []
    assert await known.take(renewed, root=blob("another root")) == []
    assert known.held == {known.ben.id: known.first.share}
    with known.database.transaction():
        keys.add_pairing(known.database, PairingRow(known.ben.id, blob("n"), known.ada.id, (known.first,)))
        keys.forget_pairing(known.database, known.ben.id, ROOT)
    assert await known.take(renewed) == [], "the pairing was retired while the share was on its way"
    assert keys.roots_of(known.database, known.ben.id) == [blob("n")]
    known.keyring.contacts.clear()
    assert await known.take(renewed) == []


async def test_the_eight_best_shares_and_the_first_are_kept(known: Known) -> None:
    """A terminal of the contact draws again and again."""
    drawn = [known.renew() for _ in range(SHARES_HELD_MAX + 1)]
    best = [one for one in known.keyring.contacts[known.ben.id].state.drawn if one in drawn]
    assert best[-1] != known.ben.id
    *better, worst = best[1:]
    for operation in (*better, worst)[: SHARES_HELD_MAX - 1]:
        assert await known.take(operation) == [SecretsRenewed()]
    kept = {known.ben.id, *better[: SHARES_HELD_MAX - 1]}
    assert known.held.keys() == kept
    assert await known.take(worst) == []
    assert known.held.keys() == kept
    assert await known.take(best[0]) == [SecretsRenewed()]
    assert known.held.keys() == {best[0], *kept} - {better[SHARES_HELD_MAX - 2]}
    assert len(known.held) == SHARES_HELD_MAX


async def with_two_terminals(known: Known) -> tuple[bytes, bytes]:
    """Ben has two terminals and sent two shares; the operations, the better one last."""
    known.ben.add(known.ben.first, SECOND)
    earlier, later = known.renew(), known.renew()
    for operation in (earlier, later):
        await known.take(operation, f"share of {operation.hex()}")
    assert known.held.keys() == {known.ben.id, earlier, later}
    return earlier, later


ERASED = [SecretsRenewed(), ContactsChanged()]


async def test_shares_are_erased_once_all_live_terminals_have_opened_under_a_better_one(known: Known) -> None:
    earlier, later = await with_two_terminals(known)
    ben = known.ben
    assert await known.open(ben.first, later) == []
    assert known.held.keys() == {ben.id, earlier, later}, "the second terminal may not know it"
    assert await known.open(SECOND, earlier) == ERASED
    assert (set(known.held), known.retired) == ({ben.id, earlier, later}, True)
    assert await known.open(SECOND, earlier) == []
    known.cleaner.begin.assert_called_once_with()
    assert await known.open(SECOND, later) == ERASED
    assert (set(known.held), known.retired) == ({ben.id, later}, True)
    assert known.held[ben.id] == known.first.share
    assert known.cleaner.begin.call_count == 2
    assert await known.open(ben.first, ben.id) == []
    assert known.held.keys() == {ben.id, later}


async def test_the_share_of_the_last_link_of_each_terminal_counts(known: Known) -> None:
    """It came back from an old copy that does not know the better one."""
    earlier, later = await with_two_terminals(known)
    assert await known.open(known.ben.first, later) == []
    assert await known.open(known.ben.first, known.ben.id) == []
    assert await known.open(SECOND, later) == []
    assert (set(known.held), known.retired) == ({known.ben.id, earlier, later}, False)
    assert await known.open(known.ben.first, later) == ERASED


async def test_a_terminal_that_is_removed_or_in_no_operation_holds_up_nothing_and_settles_nothing(
    known: Known,
) -> None:
    _, later = await with_two_terminals(known)
    known.ben.remove(known.ben.first, SECOND)
    known.follow()
    for other in (SECOND, THIRD):
        assert await known.open(other, later) == []
    assert keys.last_opened(known.database, known.ben.id, ROOT) == {}
    assert await known.open(known.ben.first, later) == ERASED
    assert (set(known.held), known.retired) == ({known.ben.id, later}, True)


async def test_nothing_is_erased_while_a_recovery_of_the_contact_is_not_confirmed(known: Known) -> None:
    """All terminals that are live by it may be a thief's of the recovery words."""
    await with_two_terminals(known)
    known.ben.recover({known.ben.first: (), SECOND: ()}, THIRD)
    known.follow()
    assert [one.id for one in known.keyring.contacts[known.ben.id].state.live.values()] == [THIRD.id]
    held = set(known.held)
    best = known.keyring.pairs(known.ben.id)[0].theirs[0].operation
    assert await known.open(THIRD, best) == []
    assert (set(known.held), known.retired) == (held, False)
    known.follow(confirm=True)
    assert await known.open(THIRD, best) == ERASED
    assert set(known.held) < held


async def test_a_link_under_no_share_that_is_held_settles_nothing(known: Known) -> None:
    await with_two_terminals(known)
    (pair,) = known.keyring.pairs(known.ben.id)
    static = known.ben.first.static
    for person, psk in (
        (known.ben.id, ContactPsk(bytes(32), pair.own[0].name, blob("a name", 16))),
        (known.ben.id, None),
        (blob("a stranger"), ContactPsk(bytes(32), pair.own[0].name, pair.theirs[0].name)),
    ):
        await known.renewals.keyed(LinkOpen(bytes(16), Role.RESPONDER, 3, static, person, psk))
    assert keys.last_opened(known.database, known.ben.id, ROOT) == {}


def test_the_best_own_share_of_each_pairing_is_handed_over_unless_the_link_is_under_it(known: Known) -> None:
    ada, ben = known.ada, known.ben.id
    row = known.keyring.contacts[ben].pairings[0]
    known.keyring.contacts[ben].pairings = (replace(row, root=blob("newest root")), row)
    drawn = SharedDrawn(id_of(ada.renew(ada.first)), blob("what it draws"))
    known.keyring.hold([drawn])
    known.keyring.follow_own_log(ada.state, frozenset())
    newest, oldest = known.keyring.pairs(ben)
    both = [
        RenewedShare(pairing_id(pair.root), drawn.operation, pair.own[0].share) for pair in (newest, oldest)
    ]
    assert both[0].share != both[1].share

    def lacking(psk: ContactPsk | None) -> list[RenewedShare]:
        return [*known.renewals.lacking(mock.Mock(person=ben, psk=psk))]

    theirs = newest.theirs[0].name
    assert lacking(None) == both
    assert lacking(ContactPsk(bytes(32), newest.own[1].name, theirs)) == both
    assert lacking(ContactPsk(bytes(32), newest.own[0].name, theirs)) == both[1:]
    assert lacking(ContactPsk(bytes(32), oldest.own[0].name, theirs)) == both[:1]
