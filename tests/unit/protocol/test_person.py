"""The person log (SPEC §7.1, §7.2): its beginning, names, and what an operation must be."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from nacl import bindings

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed, ProtocolError
from protocol.identity.author import add_operation, create_person, rename_operation
from protocol.identity.exchange import extend, missing
from protocol.identity.log import (
    Genesis,
    RecoveryKey,
    Rename,
    _Signed,
    parse_operation,
    sign_operation,
)
from protocol.identity.names import is_name
from protocol.identity.reduction import CauseKind, reduce
from tests.support.protocol.pairings import FOURTH, SECOND, THIEF, THIRD, Person, Terminal, id_of
from tests.support.protocol.samples import LOW_ORDER, NOT_CANONICAL, P, flipped, seeded, u


@pytest.fixture
def anna() -> Person:
    return Person("Anna")


def test_a_new_person_has_a_name_and_one_terminal(anna: Person) -> None:
    state = anna.state
    assert (state.person, state.name, list(state.live)) == (anna.new.person, "Anna", [anna.new.terminal])
    terminal = state.live[anna.new.terminal]
    assert (terminal.signing, terminal.static, terminal.depth) == (anna.first.signing, anna.first.static, 0)
    assert not state.gone
    assert not state.copied
    assert not state.pending
    assert state.heads == (id_of(anna.operations[1]),)
    assert [cause.kind for cause in state.causes] == [CauseKind.FOUNDED, CauseKind.RENAMED]


def test_secrets_of_a_new_person_are_not_in_its_text(anna: Person) -> None:
    text = repr(anna.new)
    for secret in (anna.new.signing_seed, anna.new.static_secret, anna.new.recovery_seed, anna.new.drawn):
        assert len(secret) == 32
        assert secret.hex() not in text
        assert repr(secret) not in text


# --- Names ---


STEERING = "\x1b\n\x00\x9b\x7f\u202e\u2066\u2028\u200e\ud800"


@pytest.mark.parametrize("name", ["", " Anna", "Anna ", "x" * 65, *(f"An{one}na" for one in STEERING)])
def test_attack_14_a_name_that_steers_a_screen_is_refused(name: str, anna: Person) -> None:
    assert not is_name(name)
    with pytest.raises(LocalMisuse):
        create_person(name, seeded("x"))
    with pytest.raises(LocalMisuse):
        rename_operation(anna.state, anna.first.id, name)
    if "\ud800" not in name:
        forged = Rename(anna.id, anna.first.id, list(anna.state.heads), name)
        with pytest.raises(Malformed):
            parse_operation(sign_operation(forged, anna.first.seed))


@pytest.mark.parametrize("name", ["A", "Анна", "安娜", "x" * 64, "O'Brien <b>", "👩🏽‍🚀", "[red]Anna[/]"])
def test_other_names_are_allowed(name: str) -> None:
    assert reduce(create_person(name, seeded("x")).operations).name == name


# --- What one operation must be ---


@given(st.data())
def test_attack_37_every_flipped_bit_of_an_operation_is_refused(data: st.DataObject) -> None:
    anna = Person("Anna")
    which = data.draw(st.sampled_from([0, 1]))
    place = data.draw(st.integers(0, 8 * len(anna.operations[which]) - 1))
    operations = list(anna.operations)
    operations[which] = flipped(operations[which], place)
    with pytest.raises(ProtocolError):
        extend((), operations)


def genesis(**changed: object) -> bytes:
    """A founding operation with some fields replaced, signed as it should be."""
    new = create_person("Anna", seeded("person Anna"))
    original = parse_operation(new.operations[0]).operation
    assert isinstance(original, Genesis)
    return sign_operation(replace(original, **changed), new.signing_seed, new.recovery_seed)


ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
SMALL_ED25519 = [u(y | sign) for y in (0, 1, P - 1, P, P + 1, ORDER_8, P - ORDER_8) for sign in (0, 2**255)]
"""Points of order 4, 1, 2 and 8, in their second encodings too."""


@pytest.mark.parametrize("key", [*SMALL_ED25519, u(2)])
@pytest.mark.parametrize("field", ["signing", "recovery"])
def test_attack_05_a_bad_ed25519_key_is_refused(key: bytes, field: str) -> None:
    with pytest.raises(Malformed):
        parse_operation(genesis(**{field: key if field == "signing" else RecoveryKey(key, bytes(32))}))


def test_attack_05_a_key_of_mixed_order_is_refused() -> None:
    """The sum of a good key and a point of order 8, which a check of the small orders alone lets pass."""
    mixed = bindings.crypto_core_ed25519_add(Terminal.named("good").signing, u(ORDER_8))
    with pytest.raises(Malformed):
        parse_operation(genesis(signing=mixed))


@pytest.mark.parametrize("value", [*LOW_ORDER, *NOT_CANONICAL])
def test_attack_04_a_bad_x25519_key_is_refused(value: int) -> None:
    with pytest.raises(Malformed):
        parse_operation(genesis(static=u(value)))


def test_attack_11_a_signature_for_another_use_is_refused(anna: Person) -> None:
    logged = parse_operation(anna.operations[1])
    for prefix in (labels.SIGN_RECORD, b"", labels.SIGN_OPERATION[:-1]):
        signature = primitives.ed25519_sign(anna.first.seed, prefix + logged.id)
        forged = encode(_Signed(encode(logged.operation), [signature]))
        with pytest.raises(AuthenticationFailed):
            reduce([anna.operations[0], forged])


def test_attack_15_a_key_cannot_come_back_as_another_terminal(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    anna.remove(anna.first, SECOND)
    for again in (SECOND, Terminal(SECOND.seed, THIRD.secret), Terminal(THIRD.seed, SECOND.secret)):
        operation = add_operation(anna.state, anna.first.id, again.signing, again.static, "laptop")
        with pytest.raises(Malformed):
            reduce([*anna.operations, sign_operation(operation, anna.first.seed, again.seed)])


# --- Any order, any repetition, pending ---


def eventful() -> Person:
    """A log in which everything happens: adds at once, cuts, a copy, a thief, renewals, a recovery."""
    anna = Person("Anna")
    anna.add(anna.first, SECOND)
    upon = anna.state
    anna.add(anna.first, THIRD, upon=upon)
    anna.add(SECOND, THIEF, upon=upon)
    stolen = anna.now
    anna.rename(THIEF, "Eve", upon=stolen.state())
    anna.rename(THIEF, "Mallory", upon=stolen.state())
    anna.renew(THIEF)
    anna.remove(THIEF, THIRD)
    anna.remove(THIRD, THIEF, [], upon=stolen)
    anna.remove(SECOND, SECOND)
    anna.remove(anna.first, THIEF, [], upon=stolen)
    anna.renew(anna.first)
    anna.recover({THIRD: []}, FOURTH)
    anna.rename(FOURTH, "Anne")
    return anna


EVENTFUL = eventful().operations


@given(st.permutations(EVENTFUL), st.lists(st.sampled_from(EVENTFUL), max_size=8))
def test_reduction_is_the_same_in_any_order_and_with_repetitions(
    shuffled: list[bytes], again: list[bytes]
) -> None:
    assert reduce([*again, *shuffled]) == reduce(EVENTFUL)


@given(st.sets(st.sampled_from(EVENTFUL[1:])))
def test_what_lacks_a_parent_is_pending_and_does_not_count(chosen: set[bytes]) -> None:
    operations = [EVENTFUL[0], *chosen]
    state = reduce(operations)
    known = {EVENTFUL[0]}
    complete = {id_of(EVENTFUL[0])}
    for _ in operations:
        for signed in operations:
            if complete.issuperset(parse_operation(signed).parents):
                known.add(signed)
                complete.add(id_of(signed))
    assert state.pending == {id_of(signed) for signed in operations} - complete
    assert not state.pending & state.counting
    assert reduce(known) == reduce(operations) or state.pending
    assert reduce(known).counting == state.counting


@dataclass
class History:
    """A log that grows by random choices of who does what upon which older state."""

    data: st.DataObject
    person: Person = field(default_factory=lambda: Person("Anna"))

    def __post_init__(self) -> None:
        self.known = {self.person.first.id: self.person.first}
        self.states = [self.person.now]

    def step(self) -> None:
        """One more operation; one that its author could not have made is left out."""
        state = self.data.draw(st.sampled_from(self.states))
        known = sorted(state.terminals())
        author, target = (self.known[self.data.draw(st.sampled_from(known))] for _ in range(2))
        match self.data.draw(st.sampled_from(["add", "rename", "renew", "remove", "cut"])):
            case "add":
                new = Terminal.named(f"random {len(self.known)}")
                self.known[new.id] = new
                self.person.add(author, new, upon=state.state())
            case "rename":
                self.person.rename(author, f"name {len(self.states)}", upon=state.state())
            case "renew":
                self.person.renew(author, upon=state)
            case "remove":
                self.person.remove(author, target, upon=state)
            case "cut":
                self.person.remove(author, target, [], upon=state)
        self.states.append(self.person.now)


@given(st.data())
def test_any_history_is_read_the_same_and_keeps_its_founder(data: st.DataObject) -> None:
    history = History(data)
    for _ in range(data.draw(st.integers(1, 12))):
        history.step()
    person, state = history.person, history.person.state
    assert reduce(data.draw(st.permutations(person.operations))) == state
    assert not state.pending
    ranks = {terminal.id: terminal.rank for terminal in state.terminals()}
    for cause in state.causes:
        # A removal stands though its author, or what it removed, is void by now.
        if cause.kind is CauseKind.REMOVED and {cause.author, cause.terminal} <= ranks.keys():
            assert ranks[cause.author] <= ranks[cause.terminal]
    by_others = {c.terminal for c in state.causes if c.kind is CauseKind.REMOVED and c.author != c.terminal}
    assert person.first.id not in by_others
    assert reduce(extend((), person.operations).new) == state


def test_a_thief_cannot_become_senior_by_backdating(anna: Person) -> None:
    """An add stands upon its author's own, so a thief's accomplice is always junior to the thief."""
    anna.add(anna.first, THIEF)
    early = anna.state
    anna.rename(anna.first, "Anne")
    anna.add(anna.first, SECOND)
    anna.add(THIEF, THIRD, upon=early)
    anna.remove(THIRD, anna.first)
    anna.remove(THIRD, THIEF)
    assert list(anna.state.live)[:2] == [anna.first.id, THIEF.id]


def test_a_removal_stands_though_its_author_was_cut_before_it(anna: Person) -> None:
    """Else a merge of logs could undo a removal."""
    anna.add(anna.first, SECOND)
    anna.add(SECOND, THIRD)
    upon = anna.now
    anna.remove(SECOND, THIRD, upon=upon)
    assert THIRD.id in anna.state.removed
    anna.remove(anna.first, SECOND, upon=upon)
    assert list(anna.state.live) == [anna.first.id]
    assert anna.state.removed == {SECOND.id, THIRD.id}


def test_what_follows_two_additions_at_once_stands_upon_both(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    upon = anna.state
    anna.add(anna.first, THIRD, upon=upon)
    anna.add(SECOND, FOURTH, upon=upon)
    merged = anna.state
    assert len(merged.heads) == 2
    renames = {id_of(anna.rename(one, "Anne", upon=merged)) for one in (THIRD, FOURTH)}
    assert renames <= anna.state.counting


def test_what_neither_counts_nor_carries_is_not_stored(anna: Person) -> None:
    anna.add(anna.first, THIEF)
    upon = anna.now
    removal = anna.remove(anna.first, THIEF, [], upon=upon)
    held = list(anna.operations)
    anna.rename(THIEF, "Ghost", upon=upon.state())
    assert extend(held, anna.operations).new == ()
    assert missing(anna.operations, upon.heads()) == (removal,)
