"""What the terminals of one person share, as a new one gets it (SPEC §7.8.1)."""

from __future__ import annotations

from collections.abc import Iterator

from protocol import limits
from protocol.codec import check_ascending
from protocol.errors import LimitExceeded, Malformed, Unexpected, Untrusted
from protocol.identity.drawing import check_drawn
from protocol.identity.exchange import in_messages, read_whole
from protocol.identity.names import check_name
from protocol.identity.reduction import PersonState, Pins
from protocol.messages import LinkState, LogOperations, SharedPairing, SharedRoot
from protocol.redacting import Redacted, Redacting
from protocol.relay.rendezvous import parse_relay

HandoverMessage = LogOperations | LinkState | SharedPairing


class SharedContact(Redacting, frozen=True):
    """A contact: its log, and what else the terminals of the person share about it."""

    operations: tuple[bytes, ...]
    shared: Redacted[SharedPairing]


class Handover(Redacting, frozen=True):
    """All that the terminals of a person share: its own log, its `state`, and its contacts."""

    operations: tuple[bytes, ...]
    state: Redacted[LinkState]
    contacts: Redacted[tuple[SharedContact, ...]]

    def messages(self) -> Iterator[HandoverMessage]:
        """In the order in which they go. Of each log the operations go before what is said about it."""
        yield from in_messages(self.operations)
        yield self.state
        for contact in self.contacts:
            yield from in_messages(contact.operations)
            yield contact.shared


def pins_of(shared: LinkState | SharedPairing) -> Pins:
    """The pins of the log of the person or of a contact."""
    return Pins(frozenset(shared.seen), frozenset(shared.confirmed))


class HandoverReader:
    """Reads what a new terminal gets. The person who compared words trusts the sender, and may be wrong.

    `log` is the person's own log with its pins, `name` the name that was shown with the words.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._before: list[bytes] = []
        self._own: tuple[tuple[bytes, ...], LinkState] | None = None
        self._contacts: dict[bytes, SharedContact] = {}
        self._log: PersonState | None = None

    @property
    def log(self) -> PersonState:
        if self._log is None:
            raise Unexpected("the person's log has not come")
        return self._log

    def take(self, message: HandoverMessage) -> None:
        """Check and keep one message.

        Errors: Malformed (an order, a number or a name that is none, and the rules of a log), Untrusted
        (another person than the log's, a contact twice, the person itself), LimitExceeded (too many
        operations or contacts), AuthenticationFailed (a false signature in a log).
        """
        match message:
            case LogOperations():
                self._gather(message)
            case LinkState():
                self._begin(message)
            case SharedPairing():
                self._add(message)

    def _gather(self, message: LogOperations) -> None:
        self._before.extend(message.operations)
        if len(self._before) > limits.LOG_HELD_MAX:
            raise LimitExceeded("a log of more operations than are read")

    def _take_log(self, shared: LinkState | SharedPairing) -> tuple[tuple[bytes, ...], PersonState]:
        operations, self._before = tuple(self._before), []
        check_ascending(shared.seen)
        check_ascending(shared.confirmed)
        state = read_whole(operations, pins_of(shared))
        if state.person != shared.person:
            raise Untrusted("the log of another person")
        return operations, state

    def _begin(self, state: LinkState) -> None:
        operations, self._log = self._take_log(state)
        if self._log.name != self._name:
            raise Untrusted("another name than the one that was shown")
        if state.terminal not in self._log.live:
            raise Untrusted("a terminal that is not live in its person's log")
        check_drawn(operations, state.person, state.drawn)
        for relay in state.relays:
            parse_relay(relay.address)
        self._own = operations, state

    def _add(self, shared: SharedPairing) -> None:
        if self._own is None:
            raise Unexpected("a contact before the person")
        operations, state = self._take_log(shared)
        if state.person in (self.log.person, *self._contacts):
            raise Untrusted("a contact twice, or the person itself")
        if len(self._contacts) == self._own[1].contacts:
            raise LimitExceeded("more contacts than were announced")
        _check_contact(shared)
        self._contacts[shared.person] = SharedContact(operations, shared)

    def whole(self) -> Handover:
        """All that came. Malformed where a contact is missing or operations are left over."""
        if self._own is None or self._before or len(self._contacts) != self._own[1].contacts:
            raise Malformed("not all that was announced has come")
        operations, state = self._own
        return Handover(operations, state, tuple(self._contacts.values()))


def _check_contact(shared: SharedPairing) -> None:
    """Malformed for a petname, shares or an order that are none."""
    check_ascending([one.terminal for one in shared.vouchers])
    if shared.petname:
        check_name(shared.petname)
    check_ascending(shared.proven)
    for comparison in shared.comparison:
        check_ascending(comparison.terminals)
    roots = [pairing.root for pairing in shared.pairings]
    if len(set(roots)) != len(roots):
        raise Malformed("one pairing twice")
    for pairing in shared.pairings:
        check_pairing(pairing)


def check_pairing(pairing: SharedRoot) -> None:
    """Malformed for two shares of one operation."""
    if len({share.operation for share in pairing.theirs}) != len(pairing.theirs):
        raise Malformed("two shares of one operation")
