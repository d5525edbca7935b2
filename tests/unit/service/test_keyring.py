"""What the keyring says to discovery and to whoever checks a log: whom slots are for, whose a key is."""

from __future__ import annotations

import pytest

from chat.network.links import Identity
from chat.service.keyring import ContactKeys, Keyring, Visibility
from protocol.identity.author import NewPerson, create_person, recover_operation
from protocol.identity.log import sign_operation
from protocol.identity.reduction import PersonState, reduce
from protocol.keys import X25519Pair
from protocol.pairing.contact_secret import Pair, new_share
from protocol.primitives import ed25519_from_seed
from tests.support.storage.samples import seeded

ADA = create_person("Ada", seeded("ada"))
CONTACTS = {name: create_person(name, seeded(name)) for name in ("Ben", "Eve", "Zoe")}


def keys_of(person: NewPerson, state: PersonState) -> ContactKeys:
    shares = (new_share(1, state.heads, seeded(person.person.hex())),)
    pair = Pair(bytes(32), ADA.person, person.person, shares, shares)
    return ContactKeys(person.operations, state, (pair,), pending=False, blocked=False)


@pytest.fixture
def keyring() -> Keyring:
    identity = Identity(ADA.person, X25519Pair(ADA.static_secret))
    made = Keyring(identity, reduce(ADA.operations), Visibility(), lambda: 0)
    made.contacts = {
        person.person: keys_of(person, reduce(person.operations)) for person in CONTACTS.values()
    }
    return made


def test_slots_go_first_to_those_spoken_to_last(keyring: Keyring) -> None:
    ascending = sorted(keyring.contacts)
    last, before = ascending[2], ascending[1]
    by_person = dict(zip(ascending, keyring.viewers(), strict=True))
    assert keyring.viewers([last, before]) == [by_person[last], by_person[before], by_person[ascending[0]]]
    keyring.contacts[last].blocked = True
    assert keyring.viewers([last, before]) == [by_person[before], by_person[ascending[0]]]


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
