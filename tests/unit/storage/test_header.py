"""The header: one form, bounded cost, and damage told from a wrong passphrase."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.interface import UsageError
from chat.storage.errors import TooLittleMemory, WrongPassphrase
from chat.storage.folder import unwrap, wrap
from protocol import profile_header
from protocol.codec import encode
from protocol.errors import LocalMisuse, ProtocolError
from protocol.profile_header import CHEAPEST, MAGIC, MODERATE, DatabaseKey, Header, NewerHeader, parse
from tests.support.storage.samples import PASSPHRASE, blob, seeded

KEY = DatabaseKey(blob("key"))
WHOLE = wrap(KEY, PASSPHRASE, CHEAPEST, 4747, seeded("header"))


def changed(**fields: object) -> bytes:
    """The header with other fields, and a checksum made right for them: what an attacker would write."""
    whole = msgspec.structs.asdict(WHOLE) | fields
    return profile_header.checked(Header(**whole)).to_bytes()


@pytest.mark.parametrize("port", [4747, 5000])
def test_what_was_wrapped_is_unwrapped_and_the_port_needs_no_passphrase(port: int) -> None:
    found = parse(WHOLE.with_port(port).to_bytes())
    assert (found == WHOLE) is (port == WHOLE.port)
    assert (found.port, found.cost, unwrap(found, PASSPHRASE)) == (port, CHEAPEST, KEY)


def test_each_wrapping_has_a_salt_of_its_own() -> None:
    again = wrap(KEY, PASSPHRASE, CHEAPEST, 4747, seeded("another"))
    assert (again.salt != WHOLE.salt, again.wrapped != WHOLE.wrapped) == (True, True)


def test_attack_71_a_wrong_passphrase_is_not_damage() -> None:
    with pytest.raises(WrongPassphrase, match="Wrong passphrase"):
        unwrap(parse(WHOLE.to_bytes()), PASSPHRASE + ".")


def test_attack_71_every_flip_cut_and_addition_is_damage_before_any_passphrase_is_tried() -> None:
    data = WHOLE.to_bytes()
    number, bits = int.from_bytes(data), range(8 * len(data))
    flipped = ((number ^ 1 << bit).to_bytes(len(data)) for bit in bits)
    for damaged in (*flipped, *(data[:end] for end in range(len(data))), data + b"\x00"):
        with pytest.raises(ProtocolError):
            parse(damaged)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_damage(data: bytes) -> None:
    try:
        assert parse(data).to_bytes() == data
    except ProtocolError:
        return


@pytest.mark.parametrize(
    "wrong",
    [
        *({"operations": value} for value in (0, 11, 2**32)),
        *({"memory_bytes": value} for value in (0, 8 * 2**20 - 1, 2**30 + 1, 64 * 2**30)),
    ],
)
def test_attack_77_a_cost_out_of_bounds_is_refused_before_it_is_paid(wrong: dict[str, int]) -> None:
    with pytest.raises(ProtocolError):
        parse(changed(**wrong))


def test_attack_77_a_cost_within_bounds_that_was_changed_opens_nothing() -> None:
    """Lowering the cost to test guesses faster gives another key; the wrapped one keeps its strength."""
    with pytest.raises(WrongPassphrase):
        unwrap(parse(changed(operations=2)), PASSPHRASE)


def test_attack_77_a_machine_without_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*arguments: object) -> bytes:
        raise LocalMisuse("Argon2id cannot")

    monkeypatch.setattr(profile_header, "argon2id", starved)
    with pytest.raises(TooLittleMemory, match="not enough memory"):
        unwrap(WHOLE, PASSPHRASE)


def test_the_default_cost_is_libsodiums_moderate_one() -> None:
    assert (MODERATE.operations, MODERATE.memory_bytes) == (3, 256 * 2**20)


LATER = (
    changed(version=2),
    encode([MAGIC, 2, "of another shape"]),
    encode([MAGIC, 3]),
    encode([MAGIC, 300]) + b"whatever follows",
)
OTHERS = (
    b"",
    encode([MAGIC]),
    encode(["something", 2]),
    encode({"a": 1}),
    encode([MAGIC, True]),
    changed(version=0),
)


@pytest.mark.parametrize("data", [*LATER, *OTHERS])
def test_a_later_version_is_told_from_another_file(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(data)
    assert isinstance(caught.value, NewerHeader) is (data in LATER)


def test_the_same_letters_typed_otherwise_are_the_same_passphrase() -> None:
    composed = wrap(KEY, "Zo\u00eb und caf\u00e9", CHEAPEST, 0, seeded("nfc"))
    assert unwrap(composed, "Zoe\u0308 und cafe\u0301") == KEY


@pytest.mark.parametrize("passphrase", ["", "half a letter \ud800"])
def test_a_passphrase_that_is_none_is_refused(passphrase: str) -> None:
    with pytest.raises(UsageError, match="passphrase"):
        wrap(KEY, passphrase, CHEAPEST, 0, seeded("none"))


def test_attack_78_neither_key_nor_header_shows_the_key() -> None:
    shown = f"{KEY!r} {KEY} {WHOLE!r}"
    assert KEY.reveal().hex() not in shown
    assert repr(KEY.reveal())[2:-1] not in shown
