"""Tokens at a relay (SPEC §11.7.5): what binds them, and that days have nothing in common."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from protocol.pairing.contact_secret import ContactSecret
from protocol.pairing.invitation import make_invitation
from protocol.relay.rendezvous import (
    DAY_SECONDS,
    OtherDay,
    contact_token,
    day_ends_in,
    invitation_token,
    relay_day,
)
from tests.support.protocol.samples import seeded

DAY = 20_000
ADA, BEN = bytes([1]) * 32, bytes([2]) * 32
RELAYS = (bytes([3]) * 32, bytes([4]) * 32)
STATICS = (bytes([5]) * 32, bytes([6]) * 32)
SECRET = ContactSecret(bytes([7]) * 32)


def test_both_persons_compute_the_same_token() -> None:
    waits = contact_token(SECRET.meeting_key(ADA, BEN), DAY, RELAYS[0], STATICS[0])
    dials = contact_token(SECRET.meeting_key(ADA, BEN), DAY, RELAYS[0], STATICS[0])
    assert waits == dials
    assert len(waits) == 16


def test_a_token_is_bound_to_all_that_it_is_for() -> None:
    secrets = (SECRET, ContactSecret(bytes([8]) * 32))
    tokens = {
        contact_token(secret.meeting_key(*persons), day, relay, static)
        for secret, persons, day, relay, static in product(
            secrets, ((ADA, BEN), (BEN, ADA)), range(DAY, DAY + 30), RELAYS, STATICS
        )
    }
    assert len(tokens) == 2 * 2 * 30 * 2 * 2


def test_the_keys_of_a_pair_have_nothing_in_common() -> None:
    keys = {
        SECRET.meeting_key(ADA, BEN),
        SECRET.meeting_key(BEN, ADA),
        SECRET.discovery_key(ADA, BEN),
        SECRET.link_psk(ADA, BEN),
    }
    assert len(keys) == 4


def test_the_token_of_an_invitation_is_bound_to_it_to_the_day_and_to_the_relay() -> None:
    made = make_invitation(ADA, STATICS[0], 1_767_225_600, (), (), seeded("invitation"))
    tokens = {
        invitation_token(invitation, day, relay)
        for day, relay in product((DAY, DAY + 1), RELAYS)
        for invitation in (
            made,
            replace(made, secret=bytes(16)),
            replace(made, expires=1),
            replace(made, check=BEN),
        )
    }
    assert len(tokens) == 16
    assert invitation_token(replace(made, relays=("x",), addresses=()), DAY, RELAYS[0]) in tokens


def test_the_day_is_the_relays_within_a_day_of_the_own() -> None:
    noon = DAY * DAY_SECONDS + DAY_SECONDS // 2
    for days in (-1, 0, 1):
        assert relay_day(noon + days * DAY_SECONDS, noon) == DAY + days
    for days in (-2, 2, 1_000):
        with pytest.raises(OtherDay):
            relay_day(noon + days * DAY_SECONDS, noon)


def test_when_a_day_ends() -> None:
    midnight = DAY * DAY_SECONDS
    assert relay_day(midnight - 1, midnight) == DAY - 1
    assert [day_ends_in(midnight + seconds) for seconds in (-1, 0, 1)] == [1, DAY_SECONDS, DAY_SECONDS - 1]
