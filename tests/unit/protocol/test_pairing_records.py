"""Records that must not be taken: each is one alteration of a good one (SPEC §7.4)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import encode
from protocol.link.states import Role
from protocol.messages import Close, Commit, Record, Reveal
from protocol.pairing.pairing import State
from protocol.pairing.record import Transcript, make_record
from tests.support.protocol.pairings import (
    ANNA,
    BOB,
    MALLORY,
    Person,
    Terminal,
    facts,
    id_of,
    identity,
    invited,
    nearby,
    reach,
    secret_pair,
)

# --- Records that must not be taken ---


# Each of these makes, of the record that Bob would send, one that Anna must not take.


def resigned(
    record: Record, seed: bytes = BOB.first.seed, role: Role = Role.RESPONDER, **fields: object
) -> Record:
    """The record with other fields, signed as it should be (or by another key or for another role)."""
    record = replace(record, **fields)
    core = encode(replace(record, signature=bytes(64)))
    digest = primitives.b2b(core, personal=labels.RECORD_CORE)
    text = labels.SIGN_RECORD + bytes([role]) + Transcript.of(facts(), role).t + digest
    return replace(record, signature=primitives.ed25519_sign(seed, text))


def verdict(record: Record, **rules: object) -> str:
    """How Anna, having confirmed the words, takes this record of Bob's."""
    anna = nearby(ANNA, BOB, **rules).carry().initiator  # type: ignore[arg-type]
    anna.take(anna.machine.confirm()).receive(record)
    assert (anna.failure == "") == (anna.pending is not None)
    assert not anna.completed
    return anna.failure


BOBS = make_record(identity(BOB), Transcript.of(facts(), Role.RESPONDER))


def test_the_unaltered_record_passes() -> None:
    assert verdict(BOBS) == ""
    assert verdict(resigned(BOBS)) == ""


def test_attack_09_a_record_of_another_link_is_refused() -> None:
    """Unknown key share: Bob's record, made for his link with Mallory, comes on Mallory's link with Anna."""
    elsewhere = make_record(identity(BOB), Transcript.of(facts("bob and mallory"), Role.RESPONDER))
    assert verdict(elsewhere) == "authentication"


def test_attack_09_a_log_under_another_name_than_was_shown_is_refused() -> None:
    bob = Person("Bob")
    bob.rename(bob.first, "Carol")
    record = make_record(identity(bob), Transcript.of(facts(), Role.RESPONDER))
    assert verdict(record) == "untrusted"


def test_attack_09_a_key_of_another_person_is_refused() -> None:
    """Mallory's log with Bob's key in it would have Bob's link taken for Mallory's."""
    mallory = Person("Bob")
    mixed = Terminal(Terminal.named("mixed").seed, ANNA.first.secret)
    mallory.add(mallory.first, mixed)
    record = make_record(identity(mallory), Transcript.of(facts(), Role.RESPONDER))

    def foreign(key: bytes, person: bytes) -> bool:
        return person != ANNA.id and key in (ANNA.first.static, ANNA.first.signing)

    assert verdict(record, foreign=foreign) == "untrusted"
    assert verdict(BOBS, foreign=foreign) == ""


def test_attack_10_a_record_of_the_other_role_is_refused() -> None:
    assert verdict(make_record(identity(BOB), Transcript.of(facts(), Role.INITIATOR))) == "authentication"
    assert verdict(resigned(BOBS, role=Role.INITIATOR)) == "authentication"


def test_attack_10_a_record_names_a_terminal_and_nothing_else() -> None:
    for wrong in (BOB.id, BOB.first.signing, BOB.first.static, id_of(BOB.operations[1]), bytes(32)):
        assert verdict(resigned(BOBS, terminal=wrong)) == "untrusted"


def test_attack_11_signatures_of_other_uses_are_refused() -> None:
    """A signature of the person log, or one over the same text without its prefix, makes no record."""
    core = primitives.b2b(encode(replace(BOBS, signature=bytes(64))), personal=labels.RECORD_CORE)
    text = bytes([Role.RESPONDER]) + Transcript.of(facts(), Role.RESPONDER).t + core
    for prefix in (labels.SIGN_OPERATION, b"", labels.SIGN_RECORD[:-1]):
        signature = primitives.ed25519_sign(BOB.first.seed, prefix + text)
        assert verdict(replace(BOBS, signature=signature)) == "authentication"
    assert verdict(resigned(BOBS, seed=BOB.new.recovery_seed)) == "authentication"


def test_every_field_of_a_record_is_signed() -> None:
    for fields in (
        {"number": 2},
        {"share": bytes(32)},
        {"heads": [BOB.id]},
        {"operations": [BOB.operations[1], BOB.operations[0]]},
        {"signature": bytes(64)},
    ):
        assert verdict(replace(BOBS, **fields)) == "authentication"


def test_a_record_without_a_whole_log_is_refused() -> None:
    assert verdict(resigned(BOBS, operations=[BOB.operations[0]])) == "untrusted"
    assert verdict(resigned(BOBS, operations=[BOB.operations[1]])) == "malformed"
    joiner = invited(ANNA, BOB).initiator
    genesis_only = resigned(BOBS, operations=[BOB.operations[0]], heads=[BOB.id])
    assert joiner.receive(genesis_only).failure == "untrusted"
    longer = Person("Bob")
    longer.rename(longer.first, "Robert")
    longer.rename(longer.first, "Bob")
    gap = [*longer.operations[:2], longer.operations[3]]
    assert verdict(resigned(BOBS, operations=gap)) == "malformed"
    assert verdict(resigned(BOBS, operations=[*BOB.operations, *MALLORY.operations])) == "malformed"


def test_a_share_needs_a_number_and_heads_of_its_log() -> None:
    assert verdict(resigned(BOBS, number=0)) == "malformed"
    for heads in ([], [bytes(32)], [BOB.id, BOB.id], [BOB.id, bytes(32)]):
        assert verdict(resigned(BOBS, heads=heads)) == "malformed"


def two_terminals() -> tuple[Person, Terminal]:
    bob, second = Person("Bob"), Terminal.named("second of bob")
    bob.add(bob.first, second)
    return bob, second


def test_attack_15_a_removed_terminal_is_refused() -> None:
    bob, second = two_terminals()
    bob.remove(bob.first, second)
    record = resigned(
        BOBS, seed=second.seed, operations=bob.operations, terminal=second.id, heads=list(bob.state.heads)
    )
    assert verdict(record) == "untrusted"


def test_attack_15_a_removed_terminal_cannot_come_back_with_the_log_of_before() -> None:
    """A thief pairs anew with the log as it was before its removal; what is held of the person decides."""
    bob, second = two_terminals()
    before, heads = list(bob.operations), list(bob.state.heads)
    record = resigned(BOBS, seed=second.seed, operations=before, terminal=second.id, heads=heads)
    assert verdict(record) == ""
    bob.remove(bob.first, second)
    held = {bob.id: bob.operations}
    assert verdict(record, held=lambda person: held.get(person, ())) == "untrusted"


def test_a_share_from_before_a_removal_is_refused() -> None:
    bob, second = two_terminals()
    heads = list(bob.state.heads)
    bob.remove(bob.first, second)
    record = resigned(BOBS, operations=bob.operations, heads=heads)
    assert verdict(record) == "untrusted"


def test_a_forked_log_is_refused() -> None:
    bob = Person("Bob")
    upon = bob.state
    bob.rename(bob.first, "Bob", upon=upon)
    bob.rename(bob.first, "Robert", upon=upon)
    name = bob.state.name
    meeting = nearby(ANNA, BOB)
    anna = meeting.initiator
    anna.receive(Reveal(bytes(32), name))
    anna.take(anna.machine.confirm())
    anna.receive(resigned(BOBS, operations=bob.operations, heads=sorted(bob.state.heads)))
    assert anna.failure == "untrusted"


def test_a_known_person_paired_again_brings_what_is_new() -> None:
    bob, second = two_terminals()
    held = bob.operations[:2]
    record = resigned(BOBS, operations=bob.operations, heads=list(bob.state.heads))
    anna = nearby(ANNA, BOB, held=lambda person: held if person == bob.id else ()).carry().initiator
    anna.take(anna.machine.confirm()).receive(record)
    assert anna.pending is not None
    assert anna.pending.operations == tuple(bob.operations[2:])
    assert anna.pending.state == bob.state
    assert second.id in anna.pending.state.live


def test_attack_14_a_name_that_steers_a_screen_ends_the_pairing() -> None:
    for name in ("\x1b]52;c;x\x07", "\u202ebob", " ", "Bob\n"):
        initiator = nearby(ANNA, BOB).initiator.receive(Reveal(bytes(32), name))
        responder = nearby(ANNA, BOB).responder.receive(Commit(bytes(32), name))
        assert (initiator.failure, responder.failure) == ("malformed", "malformed")


def test_attack_14_two_contacts_of_one_name_are_two_persons() -> None:
    first = nearby(ANNA, BOB).finish().initiator.pending
    mallory = Person("Mallory")
    mallory.rename(mallory.first, "Bob")
    second = nearby(ANNA, mallory).finish().initiator.pending
    assert first is not None
    assert second is not None
    assert first.name == second.name == "Bob"
    assert first.person != second.person
    assert secret_pair(ANNA, first).newest() != secret_pair(ANNA, second).newest()


@given(
    st.lists(st.binary(max_size=80) | st.sampled_from(BOB.operations), min_size=1, max_size=4), st.binary()
)
def test_whatever_a_record_holds_the_machine_fails_and_never_raises(
    operations: list[bytes], data: bytes
) -> None:
    sized = (data + bytes(64))[:64]
    record = Record(operations, sized[:32], 1, sized[32:], [sized[:32]], sized)
    for state in (State.COMPARING, State.OFFERED, State.INVITED):
        side = reach(state).receive(record)
        assert side.failure in ("malformed", "untrusted", "authentication", "limit")
        assert side.sent[-1] == Close(3)
