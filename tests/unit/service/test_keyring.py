"""The keyring: the order of slots, and the owner of a key."""

from __future__ import annotations

import pytest

from chat.service.keyring import ContactKeys, Keyring, Visibility
from chat.storage.keys import OwnRow
from protocol.identity.author import NewPerson, add_operation, create_person
from protocol.identity.log import sign_operation
from protocol.identity.reduction import PersonState, reduce
from protocol.keys import X25519Pair
from protocol.messages import ContactHello, ShareNumbers
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


def test_only_a_key_of_the_own_log_is_foreign_in_another_one(keyring: Keyring) -> None:
    """V-LG-11. What another person claims of a third one's keys proves nothing (case 81)."""
    ben, eve = CONTACTS["Ben"], CONTACTS["Eve"]
    own = X25519Pair(ADA.static_secret).public
    for key in (own, ed25519_from_seed(ADA.signing_seed)):
        assert keyring.foreign(key, ben.person)
        assert not keyring.foreign(key, ADA.person)
    terminal = keyring.contacts[ben.person].state.live[ben.terminal]
    assert not keyring.foreign(terminal.static, eve.person)
    assert not keyring.foreign(bytes(32), ben.person)


def test_case_81_callers_are_looked_up_by_person_and_static_key(keyring: Keyring) -> None:
    """Eve's log claims the key of Ben's terminal: each claim has the psk of its own person."""
    ben, eve = CONTACTS["Ben"], CONTACTS["Eve"]
    static, seed = X25519Pair(ben.static_secret).public, seeded("claim")(32)
    state = keyring.contacts[eve.person].state
    claim = add_operation(state, eve.terminal, ed25519_from_seed(seed), static)
    signed = sign_operation(claim, eve.signing_seed, seed)
    keyring.contacts[eve.person] = keys_of(eve, reduce([*eve.operations, signed]))
    answers = []
    for caller in (ben, eve):
        hello = ContactHello(caller.person, ShareNumbers([1], [1]), bytes(1184), bytes(32))
        found = keyring.contact_psk(static, hello)
        assert found is not None
        assert found[0] == caller.person
        assert keyring.may_link(caller.person, static)
        answers.append(found[1].psk)
    assert answers[0] != answers[1]
    other = ContactHello(CONTACTS["Zoe"].person, ShareNumbers([1], [1]), bytes(1184), bytes(32))
    assert keyring.contact_psk(static, other) is None
    dialled = keyring.dial_keys(ben.person)
    assert dialled is not None
    assert dialled.terminal == static
    assert [candidate.psk for candidate in dialled.candidates] != answers[:1]
