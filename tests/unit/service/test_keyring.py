"""The keyring: the order of slots, the owner of a key, and the terminals that are dialled."""

from __future__ import annotations

import pytest

from chat.network.links import Peer
from chat.service.keyring import TERMINALS_DIALLED, ContactKeys, Keyring, Visibility
from chat.storage.keys import OwnRow
from protocol.identity.author import NewPerson, create_person, recover_operation
from protocol.identity.log import sign_operation
from protocol.identity.reduction import PersonState, reduce
from protocol.keys import X25519Pair
from protocol.pairing.contact_secret import Pair, new_share
from protocol.primitives import ed25519_from_seed
from tests.support.protocol.pairings import Person, Terminal
from tests.support.storage.samples import seeded

ADA = create_person("Ada", seeded("ada"))
CONTACTS = {name: create_person(name, seeded(name)) for name in ("Ben", "Eve", "Zoe")}


def keys_of(person: NewPerson, state: PersonState) -> ContactKeys:
    shares = (new_share(1, state.heads, seeded(person.person.hex())),)
    pair = Pair(bytes(32), ADA.person, person.person, shares, shares)
    return ContactKeys(person.operations, state, (pair,), pending=False, blocked=False)


@pytest.fixture
def keyring() -> Keyring:
    secrets = ADA.terminal, ADA.signing_seed, ADA.static_secret, ADA.self_key, ADA.recovery_seed
    contacts = {person.person: keys_of(person, reduce(person.operations)) for person in CONTACTS.values()}
    own = OwnRow(ADA.person, *secrets)
    return Keyring(own, reduce(ADA.operations), Visibility(), lambda: 0, contacts)


def test_slots_go_first_to_those_spoken_to_last(keyring: Keyring) -> None:
    ascending = sorted(keyring.contacts)
    last, before = ascending[2], ascending[1]
    by_person = dict(zip(ascending, keyring.viewers(), strict=True))
    assert keyring.viewers([last, before]) == [by_person[last], by_person[before], by_person[ascending[0]]]
    keyring.contacts[last].blocked = True
    assert keyring.viewers([last, before]) == [by_person[before], by_person[ascending[0]]]


def test_the_most_senior_terminals_of_a_contact_are_dialled_and_all_may_link(keyring: Keyring) -> None:
    ben = Person("Ben")
    for number in range(TERMINALS_DIALLED + 3):
        ben.add(ben.first, Terminal.named(f"terminal {number}"))
    keyring.contacts = {ben.id: keys_of(ben.new, ben.state)}
    by_rank = sorted(ben.state.live.values(), key=lambda terminal: (terminal.depth, terminal.id))
    peers = [Peer(ben.id, terminal.static) for terminal in by_rank]
    assert keyring.dialled() == peers[:TERMINALS_DIALLED]
    assert peers[0].static == ben.first.static
    assert all(keyring.dial_psks(peer) for peer in peers)
    assert [keyring.is_dialled(peer) for peer in peers] == [True] * TERMINALS_DIALLED + [False] * 4
    keyring.contacts[ben.id].blocked = True
    assert keyring.dialled() == []
    assert not any(keyring.dial_psks(peer) for peer in peers)


def test_each_terminal_has_addresses_of_its_own(keyring: Keyring) -> None:
    first, second = Peer(b"p" * 32, b"1" * 32), Peer(b"p" * 32, b"2" * 32)
    other = Peer(b"q" * 32, b"1" * 32)
    for peer, host in ((first, "10.0.0.1"), (second, "10.0.0.2"), (other, "10.0.0.3")):
        keyring.found[peer] = keyring.remembered[peer] = ((host, 4747),)
    assert keyring.hints(second) == [("10.0.0.2", 4747)]
    keyring.forget_addresses(b"p" * 32)
    assert [keyring.hints(peer) for peer in (first, second, other)] == [[], [], [("10.0.0.3", 4747)]]


def test_a_key_of_another_log_is_foreign_even_one_replaced_since(keyring: Keyring) -> None:
    """V-LG-11: the first recovery key stands in the log for ever, although another one holds now."""
    ben, seed = CONTACTS["Ben"], seeded("next recovery")(32)
    state = keyring.contacts[ben.person].state
    recover = sign_operation(recover_operation(state, ed25519_from_seed(seed), []), ben.recovery_seed)
    keyring.contacts[ben.person] = keys_of(ben, reduce([*ben.operations, recover]))
    terminal = state.live[ben.terminal]
    for key in (ed25519_from_seed(ben.recovery_seed), ed25519_from_seed(seed), terminal.static):
        assert keyring.foreign(key, CONTACTS["Eve"].person)
        assert not keyring.foreign(key, ben.person)
    own = X25519Pair(ADA.static_secret).public
    assert keyring.foreign(own, ben.person)
    assert not keyring.foreign(bytes(32), ben.person)
