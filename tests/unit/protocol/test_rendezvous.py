"""Days at a relay (SPEC §11.7.5), and the frames and subjects of a cluster (chat/relay/cluster)."""

from __future__ import annotations

import pytest

from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.limits import NOISE_NONCE_MAX, RELAY_WAITERS_MAX
from protocol.relay.cluster import (
    FRAME_BYTES_MAX,
    FRAME_OVERHEAD,
    ClusterKeys,
    Kind,
    Opener,
    Sealer,
    kind_of,
    own_subject,
    read_offer,
    read_subject,
    size_of,
    write_offer,
)
from protocol.relay.rendezvous import (
    DAY_SECONDS,
    RelayAddress,
    day_ends_in,
    format_relay,
    relay_day,
)

DAY = 20_000


def test_when_a_day_ends() -> None:
    midnight = DAY * DAY_SECONDS
    assert relay_day(midnight - 1, midnight) == DAY - 1
    assert [day_ends_in(midnight + seconds) for seconds in (-1, 0, 1)] == [1, DAY_SECONDS, DAY_SECONDS - 1]


@pytest.mark.parametrize(("host", "port"), [("Host", 1), ("h", 0), ("h", 65_536), ("fe80::1%2", 1)])
def test_a_value_without_a_text_is_our_own_mistake(host: str, port: int) -> None:
    with pytest.raises(LocalMisuse):
        format_relay(RelayAddress(host, port, X25519Pair(bytes(range(32))).public))


TOKEN = bytes(range(16))
SUBJECT = own_subject("a" * 26, "b" * 26)
RELAY_SECRET = bytes(range(1, 33))

SIZES = [
    *((Kind.CALL, size, size in range(2, 128)) for size in (1, 2, 127, 128)),
    *(
        (Kind.DATA, size, 0 < size <= FRAME_BYTES_MAX)
        for size in (0, 1, FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1)
    ),
    *((Kind.CREDIT, size, size == 4) for size in (0, 3, 4, 5)),
    *((Kind.END, size, size == 1) for size in (0, 1, 2)),
    *((kind, size, not size) for kind in (Kind.ANSWERED, Kind.FINISHED, Kind.ALIVE) for size in (0, 1)),
]


def one_way() -> tuple[Sealer, Opener]:
    """A direction from the asking relay to the one that answers."""
    asking, answering = (
        ClusterKeys(X25519Pair(RELAY_SECRET)).handshake(b"name", asking=first) for first in (True, False)
    )
    answering.read_message(asking.write_message())
    asking.read_message(answering.write_message())
    return Sealer(asking.finish().send), Opener(answering.finish().receive)


def opened(opener: Opener, frame: bytes) -> bytes:
    out = bytearray(size_of(frame))
    opener.open_into(frame, memoryview(out))
    return bytes(out)


def test_a_name_is_the_same_for_every_relay_that_has_the_key_and_does_not_show_the_token() -> None:
    one, same, other = (
        ClusterKeys(X25519Pair(key)) for key in (RELAY_SECRET, RELAY_SECRET, bytes(range(2, 34)))
    )
    assert one.name(TOKEN) == same.name(TOKEN) != other.name(TOKEN)
    assert TOKEN not in one.name(TOKEN)


def test_frames_open_once_and_in_their_order() -> None:
    sealer, opener = one_way()
    frames = [sealer.seal(Kind.DATA, b"one"), sealer.seal(Kind.DATA, b"two"), sealer.seal(Kind.ALIVE)]
    assert opened(opener, frames[0]) == b"one"
    for wrong in (frames[0], frames[2]):  # repeated, and before its turn
        with pytest.raises(AuthenticationFailed):
            opened(opener, wrong)
    assert opened(opener, frames[1]) == b"two"
    assert opened(opener, frames[2]) == b""


@pytest.mark.parametrize("place", [0, 1, 3, -1])
def test_a_changed_frame_does_not_open_and_leaves_nothing(place: int) -> None:
    sealer, opener = one_way()
    frame = bytearray(sealer.seal(Kind.DATA, b"link bytes"))
    frame[place] ^= 1
    out = bytearray(len(b"link bytes"))
    with pytest.raises(AuthenticationFailed):
        opener.open_into(bytes(frame), memoryview(out))
    assert not any(out)


def test_a_peer_without_the_key_makes_no_handshake() -> None:
    asking = ClusterKeys(X25519Pair(bytes(range(2, 34)))).handshake(b"name", asking=True)
    answering = ClusterKeys(X25519Pair(RELAY_SECRET)).handshake(b"name", asking=False)
    with pytest.raises(AuthenticationFailed):
        answering.read_message(asking.write_message())


def test_nonces_end() -> None:
    sealer, opener = one_way()
    sealer._count = opener._count = NOISE_NONCE_MAX - 1
    assert opened(opener, sealer.seal(Kind.DATA, b"the last")) == b"the last"
    with pytest.raises(LimitExceeded):
        sealer.seal(Kind.DATA, b"one more")
    with pytest.raises(LimitExceeded):
        opened(opener, bytes(FRAME_OVERHEAD))


@pytest.mark.parametrize(("kind", "size", "right"), SIZES)
def test_each_kind_of_frame_has_its_sizes(kind: Kind, size: int, right: bool) -> None:
    frame = bytes((kind,)) + bytes(size + FRAME_OVERHEAD - 1)
    if right:
        assert kind_of(frame) is kind
    else:
        with pytest.raises(Malformed):
            kind_of(frame)


@pytest.mark.parametrize(
    "frame", [b"", bytes((max(Kind) + 1,)) + bytes(FRAME_OVERHEAD), bytes((Kind.ALIVE,))]
)
def test_what_is_no_frame_is_none(frame: bytes) -> None:
    with pytest.raises(Malformed):
        kind_of(frame)


WRONG_SUBJECTS = (
    *(b"", SUBJECT.encode() + b".c", SUBJECT.upper().encode()),
    *(b"parlour.relay.v1.to.*.>", b"\xff" * len(SUBJECT)),
)


@pytest.mark.parametrize("wrong", WRONG_SUBJECTS)
def test_only_a_subject_of_relays_is_answered(wrong: bytes) -> None:
    assert read_subject(SUBJECT.encode()) == SUBJECT
    with pytest.raises(Malformed):
        read_subject(wrong)


def test_an_offer_tells_how_long_each_has_waited() -> None:
    assert read_offer(write_offer(SUBJECT, [5, 1 << 40, -1])) == ([5, 0xFFFF_FFFF, 0], SUBJECT)
    ages, subject = read_offer(write_offer(SUBJECT, range(20)))
    assert (ages, subject) == (list(range(RELAY_WAITERS_MAX)), SUBJECT)


@pytest.mark.parametrize("wrong", [b"", b"\0" + SUBJECT.encode(), b"\x02" + bytes(7), b"\x01" + bytes(4)])
def test_an_offer_of_nobody_is_none(wrong: bytes) -> None:
    with pytest.raises(Malformed):
        read_offer(wrong)


def test_an_offer_of_too_many_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitExceeded):
        read_offer(bytes((RELAY_WAITERS_MAX + 1,)))
