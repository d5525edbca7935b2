"""Vectors of links just at their limits, beside those that stand just beyond.

Rules: as in links_lives.py and links_wrong.py; what is added later stands at the end, since ids stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from protocol.codec import encode
from protocol.frames import FRAME_MAX
from protocol.limits import HANDSHAKE_FRAME_MAX, LINK_ENVELOPES_MAX
from protocol.messages import Close, Typing
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.links import AREA
from tests.vectors.files import Group, Seed
from tests.vectors.links_ends import confirmed, finished, frame, greeting
from tests.vectors.links_life import Life, link_inputs
from tests.vectors.links_wrong import REFUSAL, Refusal, add_refusal, flip, refusing


def edge_groups(phrase: str) -> list[Group]:
    """All groups of this file."""
    contact, invited = link_inputs(phrase, "IKpsk2"), link_inputs(phrase, "XXpsk0")
    return [
        _frames(contact),
        _largest(contact),
        _lives(contact),
        _fourth(invited),
        *_invited(invited),
        _candidates(contact, Seed(phrase, AREA)),
    ]


def _frames(inputs: Json) -> Group:
    group, _ = refusing("5.1", inputs, "responder")
    size = HANDSHAKE_FRAME_MAX - 1
    stream = [HANDSHAKE_FRAME_MAX.to_bytes(2, "big").hex() + "02", {"hex": "00", "times": size}]
    gives = {"sends": REFUSAL, "versions": [2, 2]}
    comment = "a first frame of 4,096 bytes, of version 2"
    add_refusal(group, "responder", Refusal(comment, "Version", "V-CH-02", "unexpected", stream, gives))
    return group


def _largest(inputs: Json) -> Group:
    frames = confirmed(inputs)[2]
    group, _ = refusing("5.1", inputs, "responder", frames[0], frames[-1])
    stream = ["ffff", {"hex": "00", "times": FRAME_MAX}]
    row = Refusal("a frame of 65,535 bytes once OPEN", "Limit", "V-EN-01", "malformed", stream)
    add_refusal(group, "responder", row)
    return group


def _lives(inputs: Json) -> Group:
    group = Group("6.5", inputs)
    life = Life(inputs).open()
    for until in (3_599.9, 3_600):
        life.take("wait", actor="responder", until=until)
    group.add("just before an hour, and after it", ["Time"], SUCCESS, life.steps)
    life = Life(inputs).open()
    life.take("count", actor="initiator", sent=LINK_ENVELOPES_MAX - 2)
    life.say("initiator", Typing(bytes(32), True))
    life.take("send", actor="initiator", message=encode(Close(1)).hex())
    life.take("receive", actor="responder", sent_by="initiator")
    group.add("the last envelope is one for Close", ["Limit"], SUCCESS, life.steps)
    return group


def _fourth(inputs: Json) -> Group:
    """An invitation that is the last to be tried."""
    group = Group("6.2", inputs)
    open_ones: Json = {"responder_psks": [*inputs["missing_psks"], inputs["initiator_psk"]]}
    open_ones["missing_psks"] = []
    steps = Life(inputs | open_ones).open().steps
    group.add("the fourth of four invitations", ["Held"], SUCCESS, steps, **open_ones)
    return group


def _invited(inputs: Json) -> Iterator[Group]:
    """Messages 2 and 3 of XXpsk0."""
    call, reply, finish = finished(inputs)[2]
    for actor, before, right in (
        ("initiator", greeting(inputs), reply),
        ("responder", frame(call), finish),
    ):
        group, _ = refusing("6.3", inputs, actor, before)
        for comment, place in (("the static key", 40), ("the payload", -1)):
            stream, expect = frame(flip(right, place)), "authentication"
            add_refusal(group, actor, Refusal(f"one bit of {comment}", "Tampered", "V-HS-02", expect, stream))
        yield group


def _candidates(inputs: Json, seed: Seed) -> Group:
    """As many psks as there can be, of which the last opens the answer."""
    group = Group("6.3", inputs)
    secrets = {
        place: seed.bytes("secret {} {}".format(*place)).hex() for place in product(range(4, 0, -1), repeat=2)
    }
    pairs = [
        {"own": own, "theirs": theirs, "contact_secret": made} for (own, theirs), made in secrets.items()
    ]
    held = [{"own": 1, "theirs": 1, "contact_secret": secrets[1, 1]}]
    changed: Json = {"initiator_pairs": pairs, "responder_pairs": held}
    steps = Life(inputs | changed).open().steps
    group.add("the last of 16 candidates", ["ShareNumbers"], SUCCESS, steps, **changed)
    return group
