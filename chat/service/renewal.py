"""Shares of contact secrets: handed to contacts, taken from them, and erased (SPEC §7.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from chat.network.limits import Buckets
from chat.network.links import LiveLink, Peer
from chat.service.events import ContactsChanged, EventBus, SecretsRenewed
from chat.service.keyring import Keyring, best_first
from chat.service.maintenance import Cleaner
from chat.service.own_log import OwnLog
from chat.storage import keys
from chat.storage.database import Database, Store
from chat.storage.keys import PairingRow, ShareRow
from chat.tasks import Runtime
from protocol.identity.reduction import PersonState
from protocol.limits import SHARES_HELD_MAX
from protocol.link.states import LinkOpen
from protocol.messages import RenewedShare
from protocol.pairing.contact_secret import Pair, pairing_id

RENEWALS_AT_ONCE: Final = 256.0
RENEWALS_A_SECOND: Final = 32.0
"""Rate of shares per terminal, of which each may cause a write. More of them delay the reading of
their link."""


class Renewals:
    """Takes the shares of contacts and hands out the own ones."""

    def __init__(
        self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring, own: OwnLog, cleaner: Cleaner
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._own, self._cleaner = own, cleaner
        self._rates = Buckets(RENEWALS_A_SECOND, RENEWALS_AT_ONCE)

    def lacking(self, link: LiveLink) -> Sequence[RenewedShare]:
        """The own shares that a contact's terminal may lack: the best of each pairing, unless the link is
        under it."""
        psk, best = link.psk, [(pair, pair.own[0]) for pair in self._keyring.pairs(link.person)]
        return [
            RenewedShare(pairing_id(pair.root), one.operation, one.share)
            for pair, one in best
            if psk is None or one.name != psk.own
        ]

    async def take(self, peer: Peer, message: RenewedShare) -> None:
        """Store a contact's share, unless another one came of its operation before, or the log has none such.

        Who has a key of one terminal can make up any number: the best ones are kept, and the first.
        """
        await self._affords(peer)
        contact = self._keyring.contacts.get(peer.person)
        if contact is None or message.operation not in contact.state.drawn:
            return
        for row in contact.pairings:
            if pairing_id(row.root) == message.pairing:
                store = partial(_take, row, ShareRow(message.operation, message.share), contact.state)
                if await self._store.write(store):
                    await self._reload(peer.person)

    async def keyed(self, opened: LinkOpen) -> None:
        """A contact's terminal holds the shares under which its link opened.

        Once all live terminals of the contact have opened one under a better share of it, those before are
        erased. A thief of its words, whose recovery nobody confirmed, may be one of these terminals alone.
        """
        person, psk = opened.person or b"", opened.contact_psk
        contact = self._keyring.contacts.get(person)
        if contact is None or psk is None or not self._keyring.may_link(Peer(person, opened.peer_static)):
            return
        under = ((pair, one) for pair in self._keyring.pairs(person) for one in pair.theirs)
        pair, share = next(((pair, one) for pair, one in under if one.name == psk.theirs), (None, None))
        if pair is None or share is None or len(pair.theirs) == 1:
            return
        known = contact.pins.confirmed.issuperset(contact.state.path)
        settle = partial(_opened, pair, opened.peer_static, share.operation, contact.state, known)
        if await self._store.write(settle):
            await self._reload(person)
            self._bus.signal(ContactsChanged())
            self._cleaner.begin()

    async def _affords(self, peer: Peer) -> None:
        now = self._runtime.clock.monotonic()
        await asyncio.sleep(self._rates.of(peer, now).reserve(now))

    async def _reload(self, person: bytes) -> None:
        held = await self._store.read(keys.pairings_of, person)
        if (contact := self._keyring.contacts.get(person)) is not None:
            contact.hold(held)
        self._bus.signal(SecretsRenewed())


def _take(row: PairingRow, share: ShareRow, state: PersonState, database: Database) -> bool:
    """Whether it was stored, and is one of those that are kept."""
    if row.root not in keys.roots_of(database, row.contact) or not keys.add_share(
        database, row.contact, row.root, share
    ):
        return False
    now = next(one for one in keys.pairings_of(database, row.contact) if one.root == row.root)
    best = best_first({one.operation for one in now.theirs[1:]}, state)
    if beyond := best[SHARES_HELD_MAX - 1 :]:
        keys.forget_shares(database, row.contact, row.root, beyond)
    return share.operation not in beyond


def _opened(
    pair: Pair, static: bytes, operation: bytes, state: PersonState, known: bool, database: Database
) -> bool:
    """Store what a terminal holds, and erase what no live one needs; whether there was any."""
    contact, root = pair.their_person, pair.root
    keys.opened_under(database, contact, root, static, operation)
    last = keys.last_opened(database, contact, root)
    row = next((one for one in keys.pairings_of(database, contact) if one.root == root), None)
    statics = {one.static for one in state.live.values()}
    if row is None or not known or not statics <= last.keys():
        return False
    order = best_first({one.operation for one in row.theirs}, state)
    needed = max((order.index(last[one]) if last[one] in order else len(order) for one in statics), default=0)
    erased = [one for one in order[needed + 1 :] if one != row.theirs[0].operation or not row.retired]
    if erased:
        keys.forget_shares(database, contact, root, erased)
    return bool(erased)
