"""Whatever is typed as a relay's address: it is one, or what is wrong is said of the right part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.service.settings import ADDRESS_TOO_LONG, BAD_HOST, BAD_KEY, BAD_PORT, NO_KEY, NOT_ONE, problem
from protocol.errors import ProtocolError
from protocol.limits import RELAY_ADDRESS_MAX
from protocol.relay.rendezvous import PREFIX, RelayAddress, parse_relay

WHOLE = str(RelayAddress("relay.example.org", 4746, b"\x09" * 32))
PLACE, KEY = WHOLE.split("#")
SAID = {NOT_ONE, NO_KEY, BAD_KEY, BAD_PORT, BAD_HOST, ADDRESS_TOO_LONG}


def is_one(text: str) -> bool:
    try:
        parse_relay(text)
    except ProtocolError:
        return False
    return True


@given(st.text(max_size=300) | st.text(alphabet="parlourey-:#[]0123456789.", max_size=80))
def test_any_text_is_told_what_it_lacks(text: str) -> None:
    assert is_one(text) or problem(text) in SAID


@given(st.integers(0, len(WHOLE) - 1), st.characters())
def test_a_letter_that_was_spoilt_is_sought_in_its_part(at: int, character: str) -> None:
    spoilt = WHOLE[:at] + character + WHOLE[at + 1 :]
    if is_one(spoilt) or character in "#:":
        return
    said = problem(spoilt)
    if at < len(PREFIX):
        assert said in (NOT_ONE, NO_KEY)
    elif at > len(PLACE):
        assert said is BAD_KEY
    elif at < len(PLACE):
        assert said is (BAD_HOST if at < PLACE.rindex(":") else BAD_PORT) or at == PLACE.rindex(":")


@given(st.integers(1, len(KEY)))
def test_a_key_that_was_cut_is_the_keys_fault(missing: int) -> None:
    assert problem(WHOLE[:-missing]) is (NO_KEY if missing == len(KEY) else BAD_KEY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[fe80::1]:4746", NO_KEY),
        ("relay.example.org:4746", NO_KEY),
        ("relay.example.org", NOT_ONE),
        (f"{PREFIX}[::ffff:10.0.0.1]:4746#{KEY}", BAD_HOST),
        (f"{PREFIX}fe80::1:4746#{KEY}", BAD_HOST),
        (f"{PREFIX}:4746#{KEY}", BAD_HOST),
        (f"{PREFIX}10.0.0.1#{KEY}", BAD_PORT),
        (f"{PREFIX}10.0.0.1:04746#{KEY}", BAD_PORT),
        (f"{PREFIX}10.0.0.1:4746#{KEY.upper()}", BAD_KEY),
        ("x" * RELAY_ADDRESS_MAX, NOT_ONE),
        ("x" * (RELAY_ADDRESS_MAX + 1), ADDRESS_TOO_LONG),
    ],
)
def test_what_people_get_wrong(text: str, said: str) -> None:
    assert problem(text) is said
