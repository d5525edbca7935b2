"""Pairings that others begin: by words while this terminal is visible, or with an invitation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from weakref import WeakValueDictionary

from chat.errors import PROBLEM, REFUSED, WRONG_KEYS
from chat.interface import InvitationUsed, InvitationView, Unconfirmed
from chat.network.connection import format_address
from chat.network.driver import Driver, Handler
from chat.ports import Transport
from chat.service.discovery import ListeningPort
from chat.service.events import EventBus, InvitationsChanged, VisibilityUsed
from chat.service.keyring import Keyring, OpenInvitation, Visibility
from chat.service.maintenance import Cleaner
from chat.service.pairing.session import REFUSED_HERE, ActivePairing, PairingService, blocked
from chat.service.settings import Relays
from chat.storage import keys
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.storage.keys import InvitationRow
from chat.tasks import Runtime
from protocol.keys import X25519Pair
from protocol.limits import INVITATIONS_TRIED_MAX
from protocol.link.framing import Pattern
from protocol.link.states import HandshakeAuthenticated, LinkOpen
from protocol.pairing.invitation import format_invitation, make_invitation

FOR_GOOD: Final = frozenset(
    problem.template for problem in (REFUSED_HERE, REFUSED, PROBLEM, WRONG_KEYS, blocked(""))
)
"""Templates of problems after which the same pairing is not tried again."""


class Accept:
    """The use case *invite*, and the responder's side of pairing."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        visibility: Visibility,
        pairings: PairingService,
        relays: Relays,
        port: ListeningPort,
        transport: Transport,
        cleaner: Cleaner,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._visibility, self._pairings, self._relays = visibility, pairings, relays
        self._port, self._transport, self._cleaner = port, transport, cleaner
        # By the invitation's secret. The service of pairings keeps each one until it is over.
        self._joining: WeakValueDictionary[bytes, ActivePairing] = WeakValueDictionary()

    async def invite(self) -> InvitationView:
        """Make a one-time invitation. With more than four the oldest ends, preferably one that was used.

        Raises Unconfirmed.
        """
        await self._pairings.check_own()
        await self.drop_expired()
        keyring, random = self._keyring, self._runtime.random
        addresses = [format_address(host, self._port.number) for host in self._transport.addresses()]
        now = self._runtime.clock.wall() // 1000
        terminal, one_time = keyring.identity.static.public, X25519Pair.generate(random)
        places = addresses, self._relays.to_carry()
        made = make_invitation(keyring.own.person, terminal, one_time.public, now, *places, random)
        text = format_invitation(made)
        row = InvitationRow(made.secret, one_time.reveal(), made.expires, text, None)
        await self._store.write(keys.add_invitation, row)
        opened = keyring.invitations
        opened[made.secret] = OpenInvitation(made, text, one_time, None)
        # A joiner's first message is tried against four invitations.
        by_age = sorted(opened, key=lambda it: (opened[it].burned_by is None, opened[it].invitation.expires))
        for secret in by_age[: max(0, len(opened) - INVITATIONS_TRIED_MAX)]:
            opened.pop(secret, None)  # two calls may drop the same
            await self._forget(secret)
        self._bus.signal(InvitationsChanged())
        return InvitationView(text, datetime.fromtimestamp(made.expires, UTC))

    async def drop_expired(self) -> None:
        now = self._runtime.clock.wall() // 1000
        opened = self._keyring.invitations
        expired = [secret for secret, item in opened.items() if item.invitation.expired(now)]
        for secret in expired:
            del opened[secret]
        if expired:
            await self._store.write(keys.drop_expired_invitations, now)
            self._cleaner.begin()
            self._bus.signal(InvitationsChanged())

    async def _forget(self, secret: bytes) -> None:
        """Erase an invitation with its one-time key."""
        await self._store.write(keys.remove_invitation, secret)
        self._cleaner.begin()

    async def burn(self, event: HandshakeAuthenticated) -> bool:
        """Use up an invitation on the disk, before its user gets any answer; whether this key may go on.

        Only the one-time static key that burned it may finish. Where the disk fails, this person hears of it
        as of a pairing that failed.
        """
        opened = self._keyring.invitations.get(event.invitation)
        if opened is None:
            return False
        try:
            may = await self._store.write(keys.burn_invitation, event.invitation, event.static)
        except StorageFailure as failure:
            self._pairings.new("", incoming=True, invitation=opened.text).fail_with(failure.phrase)
            return False
        if may:
            opened.burned_by = event.static
        return may

    async def opened(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """Begin a pairing on a stranger's open link; None to close it."""
        try:
            identity = await self._pairings.identity()
        except Unconfirmed:  # the own log changed while the link opened
            return None
        if opened.pattern is Pattern.XX and not self._visibility.take():
            return None
        if opened.invitation is None:
            pairing = self._pairings.new("", incoming=True, failed=lambda: self._bus.signal(VisibilityUsed()))
            return await pairing.begin(driver, await self._pairings.by_words(opened, identity), opened)
        secret = opened.invitation
        invitation = self._keyring.invitations.get(secret)
        if invitation is None:  # it expired, or gave way to newer ones, while the link opened
            return None
        pairing = self._pairings.new(
            "",
            incoming=True,
            invitation=invitation.text,
            completed=lambda person: self._used(secret, person),
            failed=lambda: self._failed(secret),
        )
        before, self._joining[secret] = self._joining.get(secret), pairing
        if before is not None and not before.over:  # its link was cut, and the joiner has come again
            await before.give_way()
        return await pairing.begin(driver, await self._pairings.as_inviter(opened, identity), opened)

    def _failed(self, secret: bytes) -> None:
        """Forget an invitation whose pairing failed for good: nobody but its joiner can use it any more.

        A joiner whose link ended may come again.
        """
        pairing = self._joining.get(secret)
        if pairing is None or pairing.view.problem.template not in FOR_GOOD:
            return
        if self._keyring.invitations.pop(secret, None) is not None:
            self._runtime.tasks.spawn(self._forget(secret))
            self._bus.signal(InvitationsChanged())

    def _used(self, secret: bytes, person: bytes) -> None:
        opened = self._keyring.invitations.pop(secret, None)
        if opened is not None:
            self._runtime.tasks.spawn(self._forget(secret))
            self._bus.publish(InvitationUsed(opened.text, person.hex()))
            self._bus.signal(InvitationsChanged())
