"""Those who begin a pairing with this terminal: visible strangers by words, joiners by invitation.

Rules: an invitation is burned on the disk before anything is answered to whoever used it; afterwards only
the same one-time static key may finish. One incoming attempt by words a visibility.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from chat.interface import InvitationUsed, InvitationView
from chat.network.connection import format_address
from chat.network.driver import Driver, Handler
from chat.ports import Transport
from chat.service.keyring import OpenInvitation
from chat.service.pairing.session import ActivePairing, PairingService
from chat.service.state import EngineState
from chat.storage import keys
from chat.storage.keys import InvitationRow
from protocol.limits import INVITATIONS_TRIED_MAX
from protocol.link.framing import Pattern
from protocol.link.states import HandshakeAuthenticated, LinkOpen
from protocol.pairing.invitation import format_invitation, make_invitation


class Accept:
    """The use case *invite*, and the responder's side of pairing.

    `relays`: those that invitations carry. `changed` is called when invitations came or went.
    """

    def __init__(self, world: EngineState, pairings: PairingService, transport: Transport) -> None:
        self._world = world
        self._pairings = pairings
        self._transport = transport
        self._joining: dict[bytes, ActivePairing] = {}
        self.relays: Callable[[], tuple[str, ...]] = tuple
        self.changed: Callable[[], None] = lambda: None
        self.visibility_used: Callable[[], None] = lambda: None

    async def invite(self) -> InvitationView:
        """Make a one-time invitation. With more than four the oldest ends, one that was used first."""
        world = self._world
        await self.drop_expired()
        addresses = [format_address(host, world.port) for host in self._transport.addresses()]
        now = world.clock.wall() // 1000
        static = world.keyring.identity.static.public
        made = make_invitation(world.own.person, static, now, addresses, self.relays(), world.random)
        text = format_invitation(made)
        row = InvitationRow(made.secret, made.check, made.expires, text, None)
        await world.store.write(keys.add_invitation, row)
        world.keyring.invitations[made.secret] = OpenInvitation(made, text, None)
        await self._drop_oldest()
        self.changed()
        return InvitationView(text, datetime.fromtimestamp(made.expires, UTC))

    async def _drop_oldest(self) -> None:
        """A joiner's first message is tried against four invitations: the newest four, whoever made them."""
        opened = self._world.keyring.invitations
        by_age = sorted(opened, key=lambda secret: (opened[secret].burned_by is None, opened[secret].expires))
        for secret in by_age[: max(0, len(opened) - INVITATIONS_TRIED_MAX)]:
            opened.pop(secret, None)  # two calls may drop the same
            await self._world.store.write(keys.remove_invitation, secret)

    async def drop_expired(self) -> None:
        """Forget invitations whose time is over."""
        now = self._world.clock.wall() // 1000
        opened = self._world.keyring.invitations
        expired = [secret for secret, item in opened.items() if item.invitation.expired(now)]
        for secret in expired:
            del opened[secret]
            self._joining.pop(secret, None)
        if expired:
            await self._world.store.write(keys.drop_expired_invitations, now)
            self.changed()

    async def burn(self, event: HandshakeAuthenticated) -> bool:
        """Use an invitation up, durably; whether this static key may go on."""
        opened = self._world.keyring.invitations.get(event.invitation)
        if opened is None:
            return False
        may = await self._world.store.write(keys.burn_invitation, event.invitation, event.static)
        if may:
            opened.burned_by = event.static
        return may

    async def opened(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """A stranger's link is open: begin the pairing, or None to close it."""
        if opened.pattern is Pattern.XX and not self._world.visibility.take():
            return None
        identity = await self._pairings.identity()
        pairing = self._pairings.new("", incoming=True)
        if opened.invitation is None:
            pairing.failed = self.visibility_used
            return await pairing.begin(driver, self._pairings.by_words(opened, identity), opened)
        secret = opened.invitation
        pairing.completed = lambda person: self._used(secret, person)
        before, self._joining[secret] = self._joining.get(secret), pairing
        if before is not None and not before.over:  # whose link was cut: its joiner has come again
            await before.give_way()
        return await pairing.begin(driver, self._pairings.as_inviter(opened, identity), opened)

    def _used(self, secret: bytes, person: bytes) -> None:
        self._joining.pop(secret, None)
        opened = self._world.keyring.invitations.pop(secret, None)
        if opened is not None:
            self._world.tasks.spawn(self._world.store.write(keys.remove_invitation, secret))
            self._world.hub.publish(InvitationUsed(opened.text, person.hex()))
            self.changed()
