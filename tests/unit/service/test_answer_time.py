"""The work of a responder before its answer, which must not tell contacts from strangers (SPEC §6.3)."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

import pytest
from msgspec.structs import replace

from chat.service.keyring import ContactKeys, Keyring, Visibility
from chat.storage.keys import OwnRow, PairingRow, ShareRow
from protocol import primitives
from protocol.identity.author import NewPerson, create_person
from protocol.identity.reduction import reduce
from protocol.keys import X25519Pair
from protocol.link.agreement import Established
from protocol.link.handshake import Initiator, Responder
from protocol.link.states import ContactPsk
from protocol.messages import SharedDrawn
from protocol.pairing.contact_secret import Share, own_share
from tests.support.protocol.pairings import recovery
from tests.support.storage.samples import blob, seeded

ADA = create_person("Ada", seeded("ada"))
BEN = create_person("Ben", seeded("ben"))
EVE = create_person("Eve", seeded("eve"))


DRAWN = SharedDrawn(ADA.person, ADA.drawn)
ROOT = blob("root")


def pairing(person: NewPerson, root: bytes = ROOT, *, shares: int = 1) -> PairingRow:
    """A pairing with so many shares of the contact: that of its genesis, and later ones."""
    theirs = (
        ShareRow(person.person, blob("share")),
        *(ShareRow(blob(f"{n}"), blob("share")) for n in range(9)),
    )
    return PairingRow(person.person, root, ADA.person, theirs[:shares])


def keys_of(
    person: NewPerson, *more: bytes, pairings: tuple[PairingRow, ...] = (), blocked: bool = False
) -> ContactKeys:
    state, held = reduce([*person.operations, *more]), pairings or (pairing(person),)
    return ContactKeys((*person.operations, *more), state, held, pending=False, blocked=blocked)


def removed() -> ContactKeys:
    return keys_of(BEN, recovery(BEN.operations, BEN.recovery_seed, {BEN.terminal: []}))


KNOWN = {
    "contact": {BEN.person: keys_of(BEN)},
    "contact among others": {BEN.person: keys_of(BEN), EVE.person: keys_of(EVE)},
    "pending": {BEN.person: replace(keys_of(BEN), pending=True)},
    "two pairings": {BEN.person: keys_of(BEN, pairings=(pairing(BEN, blob("newest")), pairing(BEN)))},
    "nine shares": {BEN.person: keys_of(BEN, pairings=(pairing(BEN, shares=9),))},
    "no common share": {BEN.person: keys_of(BEN, pairings=(pairing(BEN, blob("another root")),))},
    "blocked": {BEN.person: keys_of(BEN, blocked=True)},
    "terminal removed": {BEN.person: removed()},
    "former contact": {EVE.person: keys_of(EVE)},
    "stranger": {},
}


def work(known: dict[bytes, ContactKeys], calls: int) -> Counter[str]:
    """Calls of primitives by the answer to the last of so many handshakes of Ben's terminal."""
    own = OwnRow(
        *(ADA.person, ADA.terminal, ADA.signing_seed, ADA.static_secret),
        *((DRAWN,), ADA.recovery_seed),
    )
    keyring = Keyring(own, reduce(ADA.operations), Visibility(), lambda: 0, known)
    keyring.viewers()  # as when a key changes: shares are derived for the announcement, before anybody calls
    ben, ada = X25519Pair(BEN.static_secret), keyring.identity.static
    names = Share(BEN.person, blob("share")).name, own_share(ROOT, DRAWN).name
    counted: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == primitives.__file__:
            counted[frame.f_code.co_name] += 1

    for _ in range(calls):
        responder = Responder(ada, keyring)
        greeting = responder.greet()
        psk = ContactPsk(bytes(32), *names)
        caller = Initiator.contact(ben, ada.public, BEN.person, ADA.person, [psk])
        call, _ = caller.begin(greeting)
        counted.clear()
        sys.setprofile(count)
        try:
            _, answered = responder.answer(greeting, call)
        finally:
            sys.setprofile(None)
        assert isinstance(answered, Established)
        answered.confirmed(b"", [])
    return counted


@pytest.mark.parametrize("caller", list(KNOWN))
@pytest.mark.parametrize("calls", [1, 2], ids=["first call", "second call"])
def test_case_85_a_responder_does_the_same_work_for_everybody(caller: str, calls: int) -> None:
    """A kept DH, or a psk that is derived for contacts only, would show in the time of the answer."""
    expected = work(KNOWN["contact"], 1)
    assert expected["x25519"] >= 4
    assert work(KNOWN[caller], calls) == expected
