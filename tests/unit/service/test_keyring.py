"""The keyring: the order of slots, the owner of a key, and the terminals that are dialled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.network.links import Peer
from chat.service.keyring import TERMINALS_DIALLED, ContactKeys, Keyring, OpenInvitation, Visibility
from chat.service.views import holds
from chat.storage.keys import OwnRow, PairingRow, ShareRow
from protocol.entries_and_receipts import conversation_of_two
from protocol.errors import Unexpected, Untrusted
from protocol.identity.author import NewPerson, add_operation, create_person
from protocol.identity.drawing import share_name
from protocol.identity.log import sign_operation
from protocol.identity.reduction import CauseKind, PersonState, reduce
from protocol.keys import X25519Pair
from protocol.messages import ContactHello, Ping, SharedDrawn, ShareNames
from protocol.pairing.contact_secret import own_share
from protocol.pairing.invitation import make_invitation
from protocol.primitives import ed25519_from_seed
from protocol.relay.rendezvous import contact_token
from tests.support.protocol.pairings import SECOND, THIEF, Person, Terminal, id_of
from tests.support.storage.samples import blob, seeded

ADA = create_person("Ada", seeded("ada"))
CONTACTS = {name: create_person(name, seeded(name)) for name in ("Ben", "Eve", "Zoe")}


def keys_of(person: NewPerson, state: PersonState, *later: ShareRow) -> ContactKeys:
    """One pairing, with the contact's share of its genesis and these later ones."""
    theirs = ShareRow(person.person, seeded(person.person.hex())(32)), *later
    pairing = PairingRow(person.person, bytes(32), ADA.person, theirs)
    return ContactKeys(person.operations, state, (pairing,), pending=False, blocked=False)


def names_of(keyring: Keyring, person: bytes) -> ShareNames:
    """Of the best shares in the newest pairing, as a terminal of the contact names them."""
    pair = keyring.pairs(person)[0]
    return ShareNames([pair.theirs[0].name], [pair.own[0].name])


def hello(keyring: Keyring, person: bytes, names: ShareNames | None = None) -> ContactHello:
    """The call of a contact's terminal."""
    return ContactHello(person, names or names_of(keyring, person), bytes(1184), bytes(32))


@pytest.fixture
def keyring() -> Keyring:
    drawn = (SharedDrawn(ADA.person, ADA.drawn),)
    secrets = ADA.terminal, ADA.signing_seed, ADA.static_secret, drawn, ADA.recovery_seed
    contacts = {person.person: keys_of(person, reduce(person.operations)) for person in CONTACTS.values()}
    own = OwnRow(ADA.person, *secrets)
    return Keyring(own, reduce(ADA.operations), Visibility(), lambda: 0, contacts)


def test_slots_go_first_to_those_spoken_to_last(keyring: Keyring) -> None:
    ascending = sorted(keyring.contacts)
    last, before = ascending[2], ascending[1]
    own, *others = keyring.viewers()
    by_person = dict(zip(ascending, others, strict=True))
    latest = [own, by_person[last], by_person[before], by_person[ascending[0]]]
    assert keyring.viewers([last, before]) == latest
    keyring.contacts[last].blocked = True
    assert keyring.viewers([last, before]) == [own, by_person[before], by_person[ascending[0]]]


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
    # Each announcement of a stranger is compared with all that are looked for.
    assert [Peer(known.person, known.static) for known in keyring.announcers()] == peers[:TERMINALS_DIALLED]
    keyring.contacts[ben.id].blocked = True
    assert keyring.announcers() == []
    assert keyring.dialled() == []
    assert not any(keyring.dial_psks(peer) for peer in peers)


def test_the_most_senior_own_terminals_are_dialled_and_all_may_link(keyring: Keyring) -> None:
    ada = Person("Ada")
    for number in range(TERMINALS_DIALLED + 3):
        ada.add(ada.first, Terminal.named(f"own {number}"))
    drawn = (SharedDrawn(ada.id, ada.new.drawn),)
    secrets = ada.first.id, ada.first.seed, ada.first.secret, drawn, None
    keyring.take_keys(OwnRow(ada.id, *secrets))
    keyring.follow_own_log(ada.state, frozenset())
    others = [Peer(ada.id, one.static) for one in list(ada.state.live.values())[1:]]
    keyring.contacts = {}
    assert keyring.dialled() == others[:TERMINALS_DIALLED]
    assert [keyring.is_dialled(peer) for peer in others] == [True] * TERMINALS_DIALLED + [False] * 3
    assert all(keyring.may_link(peer) and keyring.dial_psks(peer) for peer in others)
    names = [share_name(ada.new.self_key)]
    call = hello(keyring, ada.id, ShareNames(names, names))
    assert all(keyring.contact_psk(peer.static, call) is not None for peer in others)


def ben_at(keyring: Keyring) -> Peer:
    """Ben's first terminal."""
    ben = CONTACTS["Ben"].person
    return Peer(ben, keyring.contacts[ben].dialled()[0].static)


def test_case_90_the_pairing_that_both_sides_have_is_named_among_many_that_only_this_side_has(
    keyring: Keyring,
) -> None:
    """Attempts whose last message never came. The newest are named too, since one of them may be complete."""
    ben = CONTACTS["Ben"].person
    contact, peer = keyring.contacts[ben], ben_at(keyring)
    (oldest,) = contact.pairings
    later = [replace(oldest, root=bytes([number]) * 32) for number in range(1, 8)]
    contact.pairings = (*reversed(later), oldest)
    pairs = keyring.pairs(ben)
    assert [pair.root for pair in pairs] == [row.root for row in contact.pairings]
    named = {psk for pair in (*pairs[:2], *pairs[-2:]) for psk in pair.candidates()}
    assert set(keyring.dial_psks(peer)) == named
    assert keyring.dial_psks(peer)[0] == pairs[0].candidates()[0]


def test_case_90_who_lacks_the_newest_pairing_finds_this_terminal_all_the_same(keyring: Keyring) -> None:
    """Only this side has stored it: the other one looks for announcements under the earlier pairing."""
    ben, newest_first = CONTACTS["Ben"].person, keyring.viewers()
    contact = keyring.contacts[ben]
    contact.pairings = (replace(contact.pairings[0], root=bytes([1]) * 32), *contact.pairings)
    keys = [pair.announced()[0].discovery_key(ADA.person, ben) for pair in keyring.pairs(ben)]
    place = newest_first.index(keys[1])
    assert keyring.viewers() == [*newest_first[:place], keys[0], *newest_first[place + 1 :], keys[1]]
    contact.pairings = contact.pairings[:1]  # a link has opened under the newest
    assert keys[1] not in keyring.viewers()


def test_each_terminal_has_addresses_of_its_own(keyring: Keyring) -> None:
    first, second = Peer(b"p" * 32, b"1" * 32), Peer(b"p" * 32, b"2" * 32)
    other = Peer(b"q" * 32, b"1" * 32)
    for peer, host in ((first, "10.0.0.1"), (second, "10.0.0.2"), (other, "10.0.0.3")):
        keyring.found[peer] = keyring.remembered[peer] = ((host, 4747),)
    assert keyring.hints(second) == [("10.0.0.2", 4747)]
    keyring.forget_addresses(b"p" * 32)
    assert [keyring.hints(peer) for peer in (first, second, other)] == [[], [], [("10.0.0.3", 4747)]]


def test_case_82_no_link_with_the_own_static_key_is_begun_or_answered(keyring: Keyring) -> None:
    """Eve, and a thief of her terminal, can claim it in her log."""
    eve, own = CONTACTS["Eve"], X25519Pair(ADA.static_secret).public
    state, seed = keyring.contacts[eve.person].state, seeded("claim")(32)
    claim = add_operation(state, eve.terminal, ed25519_from_seed(seed), own, "laptop")
    signed = sign_operation(claim, eve.signing_seed, seed)
    before = keyring.dialled()
    keyring.contacts[eve.person] = keys_of(eve, reduce([*eve.operations, signed]))
    assert own in {terminal.static for terminal in keyring.contacts[eve.person].dialled()}
    assert keyring.dialled() == before
    assert not keyring.may_link(Peer(eve.person, own))
    assert keyring.dial_psks(Peer(eve.person, own)) == ()


def test_case_90_a_link_lives_under_the_pairings_that_are_held(keyring: Keyring) -> None:
    ben = CONTACTS["Ben"]
    (pair,) = keyring.pairs(ben.person)
    begun, answered = pair.candidates()[0], pair.answer(names_of(keyring, ben.person))
    for psk, initiates in ((begun, True), (answered, False)):
        assert keyring.holds(ben.person, psk, initiates=initiates)
        assert not keyring.holds(ben.person, psk, initiates=not initiates)
        assert not keyring.holds(CONTACTS["Eve"].person, psk, initiates=initiates)
        assert not keyring.holds(bytes(32), psk, initiates=initiates)
    assert not keyring.holds(ben.person, None, initiates=True)
    contact = keyring.contacts[ben.person]
    contact.pairings = (replace(contact.pairings[0], root=b"n" * 32),)
    assert not keyring.holds(ben.person, begun, initiates=True)


def test_case_81_callers_are_looked_up_by_person_and_static_key(keyring: Keyring) -> None:
    """Eve's log claims the key of Ben's terminal: each claim has the psk of its own person."""
    ben, eve = CONTACTS["Ben"], CONTACTS["Eve"]
    static, seed = X25519Pair(ben.static_secret).public, seeded("claim")(32)
    state = keyring.contacts[eve.person].state
    claim = add_operation(state, eve.terminal, ed25519_from_seed(seed), static, "laptop")
    signed = sign_operation(claim, eve.signing_seed, seed)
    keyring.contacts[eve.person] = keys_of(eve, reduce([*eve.operations, signed]))
    answers = []
    for caller in (ben, eve):
        found = keyring.contact_psk(static, hello(keyring, caller.person))
        assert found is not None
        assert found[0] == caller.person
        assert keyring.may_link(Peer(caller.person, static))
        answers.append(found[1].psk)
    assert answers[0] != answers[1]
    zoe = Peer(CONTACTS["Zoe"].person, static)
    assert keyring.is_provisional(zoe), "her log does not name it"
    assert not keyring.may_link(zoe)
    for caller in (ben, eve):
        assert Peer(caller.person, static) in keyring.dialled()
    dialled = [keyring.dial_psks(Peer(caller.person, static)) for caller in (ben, eve)]
    assert dialled[0] != dialled[1]


@pytest.fixture
def grown(keyring: Keyring) -> tuple[Keyring, Person]:
    """A contact who added a terminal, drew secrets upon that, and removed it."""
    ben = Person("Ben")
    ben.add(ben.first, SECOND)
    ben.renew(ben.first)
    ben.remove(ben.first, SECOND)
    keyring.contacts = {ben.id: keys_of(ben.new, ben.state)}
    return keyring, ben


def test_a_caller_in_no_operation_of_a_contact_has_a_provisional_link(grown: tuple[Keyring, Person]) -> None:
    """It may be a terminal of a recovery, of which its contacts hear by it alone (SPEC §7.8.2)."""
    keyring, ben = grown
    new = Peer(ben.id, THIEF.static)
    found = keyring.contact_psk(new.static, hello(keyring, ben.id))
    assert found is not None
    assert found == (ben.id, keyring.pairs(ben.id)[0].answer(names_of(keyring, ben.id)))
    assert keyring.is_provisional(new)
    assert not keyring.may_link(new)
    assert not keyring.was_removed(new)
    assert keyring.dial_psks(new) == ()
    other = ShareNames([blob("a name", 16)], names_of(keyring, ben.id).theirs)
    assert keyring.contact_psk(new.static, hello(keyring, ben.id, other)) is None, "it lacks the secret"
    keyring.contacts[ben.id].blocked = True
    assert keyring.contact_psk(new.static, hello(keyring, ben.id)) is None
    assert not keyring.is_provisional(new)


def test_a_caller_that_is_gone_gets_the_psk_to_hear_of_that(grown: tuple[Keyring, Person]) -> None:
    keyring, ben = grown
    gone = Peer(ben.id, SECOND.static)
    assert keyring.contact_psk(gone.static, hello(keyring, ben.id)) is not None
    assert keyring.was_removed(gone)
    assert not keyring.is_provisional(gone)
    assert not keyring.may_link(gone)
    keyring.contacts[ben.id].blocked = True
    assert not keyring.was_removed(gone)


def test_a_caller_that_a_log_names_as_live_and_as_gone_counts_as_live(
    grown: tuple[Keyring, Person],
) -> None:
    """A terminal that was removed claimed its static key: it would be cut off with that one."""
    keyring, ben = grown
    # Neither Add knows the other one.
    ben.add(ben.first, Terminal(THIEF.seed, SECOND.secret), upon=Person("Ben").state)
    keyring.contacts[ben.id].state = ben.state
    assert SECOND.static in {one.static for one in ben.state.live.values()}
    assert SECOND.static in {one.static for one in ben.state.gone.values()}
    both = Peer(ben.id, SECOND.static)
    assert keyring.may_link(both)
    assert keyring.dial_psks(both)
    assert not keyring.was_removed(both)
    assert not keyring.is_provisional(both)


def renewing(keyring: Keyring) -> tuple[Person, SharedDrawn]:
    """This person, who adds a terminal and draws a secret that is not held yet."""
    ada = Person("Ada")
    keyring.take_keys(OwnRow(ada.id, ada.first.id, ada.first.seed, ada.first.secret, (ada.drawn,), None))
    keyring.follow_own_log(ada.state, frozenset())
    ben = keyring.contacts[CONTACTS["Ben"].person]
    ben.pairings = (replace(ben.pairings[0], first=ada.id),)
    ada.add(ada.first, SECOND)
    return ada, SharedDrawn(id_of(ada.renew(ada.first)), blob("what it draws"))


def test_a_pairing_has_the_own_shares_of_all_drawn_secrets_the_best_first(keyring: Keyring) -> None:
    ada, drawn = renewing(keyring)
    ben = CONTACTS["Ben"].person
    (before,) = keyring.pairs(ben)
    keyring.hold([drawn])
    keyring.follow_own_log(ada.state, frozenset())
    (pair,) = keyring.pairs(ben)
    assert pair.own == (own_share(pair.root, drawn), own_share(pair.root, ada.drawn))
    assert before.own == pair.own[1:]
    assert (pair.fresh, pair.first_own) == (2, ada.id)
    assert keyring.holds(ben, before.candidates()[0], initiates=True), "links under the earlier one go on"
    ada.remove(ada.first, SECOND)
    keyring.follow_own_log(ada.state, frozenset())
    (pair,) = keyring.pairs(ben)
    assert (len(pair.own), pair.fresh) == (2, 0), "the removed one knows both"


def test_this_terminal_is_found_under_fresh_own_shares_alone(keyring: Keyring) -> None:
    """Who was removed would recognise it by any earlier one, in announcements and at relays."""
    ada, _ = renewing(keyring)
    ben = CONTACTS["Ben"].person
    keyring.contacts = {ben: keyring.contacts[ben]}
    ada.remove(ada.first, SECOND)
    drawn = SharedDrawn(id_of(ada.renew(ada.first)), blob("upon the removal"))
    keyring.follow_own_log(ada.state, frozenset())
    stale = keyring.pairs(ben)[0].announced()
    assert len(stale) == 1, "without a fresh one the best is used, or nobody would find it"
    keyring.hold([drawn])
    keyring.follow_own_log(ada.state, frozenset())
    (pair,) = keyring.pairs(ben)
    (fresh,) = pair.announced()
    assert [secret.reveal() for secret in stale] != [fresh.reveal()]
    assert keyring.viewers()[1:] == [fresh.discovery_key(ada.id, ben)]
    of_fresh = contact_token(fresh.meeting_key(ada.id, ben), 1, b"r" * 32, ada.first.static)
    assert keyring.waiting_tokens(b"r" * 32, 1) == [of_fresh]
    # It looks and dials under both: the contact may hold the earlier one alone.
    looked_for = [known.key for known in keyring.announcers()]
    assert looked_for == [secret.discovery_key(ben, ada.id) for secret in (fresh, *stale)]
    assert len(keyring.dial_tokens(ben_at(keyring), b"r" * 32, 1)) == 2


def test_under_a_retired_share_links_open_and_nobody_is_found(keyring: Keyring) -> None:
    """A terminal that was removed from the contact's person knows it."""
    ben = CONTACTS["Ben"].person
    state = keyring.contacts[ben].state
    better = ShareRow(blob("a Renew of Ben"), blob("a better share"))
    keyring.contacts[ben] = keys_of(CONTACTS["Ben"], state, better)
    keyring.contacts = {ben: keyring.contacts[ben]}
    slots, tokens = keyring.viewers(), keyring.waiting_tokens(b"r" * 32, 1)
    looked_for, psks = keyring.announcers(), keyring.dial_psks(ben_at(keyring))
    assert [len(found) for found in (slots, tokens, looked_for, psks)] == [1 + 2, 2, 2, 2]
    contact = keyring.contacts[ben]
    contact.pairings = (replace(contact.pairings[0], retired=True),)
    (pair,) = keyring.pairs(ben)
    retired = next(one for one in pair.theirs if one.operation == ben)
    for found in (keyring.viewers()[1:], keyring.waiting_tokens(b"r" * 32, 1), keyring.announcers()):
        assert len(found) == 1
    assert {psk.theirs for psk in keyring.dial_psks(ben_at(keyring))} == {one.name for one in pair.theirs}
    call = hello(keyring, ben, ShareNames([retired.name], [pair.own[0].name]))
    assert keyring.contact_psk(ben_at(keyring).static, call) is not None


def test_visibility_ends_at_its_time_and_has_one_attempt() -> None:
    visibility = Visibility()
    assert not any((visibility.visible, visibility.accepts, visibility.expired(1e9), visibility.take()))
    visibility.begin(10.0)
    assert [visibility.expired(now) for now in (9.9, 10.0, 10.1)] == [False, True, True]
    assert [visibility.take(), visibility.take(), visibility.accepts] == [True, False, False]
    visibility.extend(20.0)
    assert (visibility.visible, visibility.accepts, visibility.expired(19.9)) == (True, False, False)
    visibility.begin(30.0)
    assert visibility.accepts
    visibility.end()
    assert not any((visibility.visible, visibility.accepts, visibility.expired(1e9)))


@pytest.mark.parametrize(("now", "count"), [(4_999_999, 1), (5_000_000, 0), (5_000_999, 0)])
def test_an_invitation_is_open_until_its_second(keyring: Keyring, now: int, count: int) -> None:
    opened = mock.Mock()
    opened.invitation.expired = lambda seconds: seconds >= 5_000
    keyring.invitations = {b"secret": opened}
    keyring._now = lambda: now
    assert [keys.id for keys in keyring.open_invitations()] == [b"secret"] * count


def test_a_joiner_is_waited_for_at_a_relay_until_its_invitation_ends(keyring: Keyring) -> None:
    of_contacts, static = keyring.waiting_tokens(b"r" * 32, 1), keyring.identity.static
    made = make_invitation(ADA.person, static.public, static.public, 1_000, [], [], seeded("invitation"))
    keyring.invitations = {made.secret: OpenInvitation(made, "text", static, None)}
    for now, count in ((1_000 * made.expires - 1, 1), (1_000 * made.expires, 0)):
        keyring._now = lambda now=now: now  # type: ignore[misc]
        assert len(keyring.waiting_tokens(b"r" * 32, 1)) == len(of_contacts) + count


def test_a_terminal_is_known_at_each_of_its_hosts_whatever_the_interface(keyring: Keyring) -> None:
    one, two = Peer(b"p" * 32, b"1" * 32), Peer(b"q" * 32, b"2" * 32)
    keyring.found[one] = (("10.0.0.1", 1), ("fe80::1%eth0", 1))
    keyring.remembered[two] = (("fe80::1%3", 2),)
    assert keyring.known_at("fe80::1") == [one, two]
    assert keyring.known_at("10.0.0.1") == [one]
    assert keyring.known_at("10.0.0.2") == []


def test_a_key_is_shared_while_two_contacts_have_proved_it(keyring: Keyring) -> None:
    ben, eve, zoe = (CONTACTS[name].person for name in ("Ben", "Eve", "Zoe"))
    for person, shared in ((ben, set()), (eve, {b"key"}), (zoe, {b"key"})):
        keyring.prove(person, b"key")
        assert keyring.shared == shared
    keyring.forget_proofs(zoe)
    assert keyring.shared == {b"key"}
    keyring.forget_proofs(eve)
    assert keyring.shared == set()


KINDS = list(CauseKind)


@pytest.mark.parametrize("kinds", [[], *([kind] for kind in KINDS), KINDS])
@pytest.mark.parametrize("contested", [True, False])
def test_sending_is_held_after_a_recovery_and_while_contested(
    kinds: list[CauseKind], contested: bool
) -> None:
    causes: Any = [SimpleNamespace(kind=kind) for kind in kinds]
    state: Any = SimpleNamespace(contested=contested)
    assert holds(causes, state) is (CauseKind.RECOVERED in kinds or contested)


def test_case_99_a_terminal_of_the_own_log_stays_an_own_one(keyring: Keyring) -> None:
    own, seed = keyring.own, bytes(32)
    added = add_operation(keyring.own_log, own.terminal, ed25519_from_seed(seed), bytes(31) + b"x", "laptop")
    grown = reduce([*ADA.operations, sign_operation(added, own.signing_seed, seed)])
    assert len(grown.live) == 2
    for log in (grown, reduce(ADA.operations)):
        keyring.follow_own_log(log, frozenset())
        assert keyring.own_terminals == set(grown.live)


def test_of_a_person_who_is_no_contact_there_is_no_log_and_nothing_to_dial(keyring: Keyring) -> None:
    ben, stranger = CONTACTS["Ben"], bytes(32)
    static = X25519Pair(ben.static_secret).public
    assert keyring.log(ben.person) == reduce(ben.operations)
    with pytest.raises(Untrusted):
        keyring.log(stranger)
    assert len(keyring.dial_tokens(Peer(ben.person, static), b"r" * 32, 1)) == 1
    assert keyring.dial_tokens(Peer(stranger, static), b"r" * 32, 1) == []
    keyring.contacts[ben.person].blocked = True
    assert keyring.dial_tokens(Peer(ben.person, static), b"r" * 32, 1) == []


def test_only_entries_are_passed_on_for_a_conversation(keyring: Keyring) -> None:
    with pytest.raises(Unexpected):
        keyring.partner([Ping(1)])


def test_many_conversations_are_looked_up_with_one_hash_per_contact(keyring: Keyring) -> None:
    """An own terminal names 256 in one message, and there may be a thousand contacts."""
    talks = {conversation_of_two(ADA.person, person): person for person in keyring.contacts}
    hashed = "chat.service.keyring.conversation_of_two"
    with mock.patch(hashed, side_effect=conversation_of_two) as counted:
        assert [keyring.talks_with(talk) for talk in talks] == list(talks.values())
        assert [keyring.talks_with(bytes([number]) * 32) for number in range(256)] == [b""] * 256
        assert counted.call_count == len(talks)
    gone, person = next(iter(talks.items()))
    keys = keyring.contacts.pop(person)
    assert keyring.talks_with(gone) == b""
    keyring.contacts[person] = keys
    assert keyring.talks_with(gone) == person
