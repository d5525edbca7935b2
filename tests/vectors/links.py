"""Makes the vectors of links: whole lives of each pattern, shares, strangers, keepalive, limits, refusals.

Each test begins with its link, so that it can run alone; times are seconds since that beginning. The order of
groups and tests fixes the ids, so new ones go to the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from protocol.codec import encode
from protocol.limits import HANDSHAKE_FRAME_MAX, HELD_BYTES_MAX, LINK_ENVELOPES_MAX
from protocol.link.framing import FRAME_MAX, LAST, PIECE_MAX
from protocol.messages import Close, Commit, Entry, LogOperations, Message, Open, Ping, Reveal, Typing
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.links import ACTIONS, AREA, World, pair
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.links_ends import (
    ENDS,
    Life,
    Peer,
    answered,
    confirmed,
    envelope,
    finished,
    frame,
    greeting,
    invitation,
    link_inputs,
    said,
    share_name,
)
from tests.vectors.links_wrong import REFUSAL, Refusal, add_refusal, flip, open_groups, refusing, wrong_groups

NOTES: Final = {
    "Replaced": ("BASIC", "Which of two links with one terminal an endpoint closes."),
    "Whole": ("BASIC", "A whole life of a link, both ends, with steps of the DH ratchet."),
    "Portions": ("EDGE_CASE", "The stream comes in other portions than frames."),
    "Choice": ("BASIC", "What the initiator takes of a greeting."),
    "ShareNames": ("EDGE_CASE", "Several shares: their names are given, and psks tried in their order."),
    "Features": ("BASIC", "An end names features. Those that the other end does not know change nothing."),
    "Unknown": ("EDGE_CASE", "A message of a later version is passed over."),
    "Replacement": ("BASIC", "Confirm names the session that the link replaces."),
    "Stranger": ("CONFIDENTIALITY", "Whoever is not known is answered in the same form and size."),
    "Pieces": ("BASIC", "A message that travels in several envelopes."),
    "Keepalive": ("BASIC", "Pings and Pongs, and when a Ping is due."),
    "Time": ("EDGE_CASE", "Time ends a link: not open, not answered, too old."),
    "Close": ("BASIC", "An end that is said, and one that is not."),
    "Held": ("EDGE_CASE", "A link that waits for its invitation to be burned."),
    "Greeting": ("MALFORMED", "What answers is not Parlour, or not of this version."),
    "Version": ("DOWNGRADE", "No common version: both sides are told."),
    "Refused": ("EDGE_CASE", "Every choice that is not accepted has one and the same answer."),
    "Frame": ("RESOURCES", "A length that is refused before the body is awaited."),
    "Key": ("CONFIDENTIALITY", "A key of small order, not canonical, or that fails its check."),
    "Truncated": ("MALFORMED", "A handshake message that ends before its last key or tag."),
    "Tampered": ("AUTHENTICITY", "What came was altered on its way, or made under another key."),
    "Thief": ("AUTHENTICITY", "The psk is right, and the static key is not the one of the invitation."),
    "Reflected": ("AUTHENTICITY", "What is one's own comes back."),
    "Payload": ("MALFORMED", "A handshake payload that is not what its message carries."),
    "Confirm": ("AUTHENTICITY", "The first envelope is not the Confirm of this link."),
    "Message": ("MALFORMED", "A message that has no place here."),
    "Replayed": ("REPLAY", "What was sent before is sent again."),
    "Limit": ("RESOURCES", "More than the link may carry."),
}


REASONS: Final = ("done", "replaced", "locked", "refused", "twice")


def living_groups(phrase: str) -> list[Group]:
    """What succeeds."""
    return [
        *_whole(phrase),
        _variants(phrase),
        _strangers(phrase),
        _open(phrase),
        _times(phrase),
        _begun(phrase),
    ]


# --- Whole lives ---


def _pairing_talk(seed: Seed) -> list[tuple[str, Message]]:
    return [
        ("initiator", Commit(seed.bytes("commitment"), "Anna")),
        ("responder", Reveal(seed.bytes("nonce R"), "Bob")),
        ("initiator", Open(seed.bytes("nonce I"))),
        ("initiator", LogOperations([seed.bytes("operation")])),
        ("responder", Close(3)),
    ]


def _contact_talk(seed: Seed) -> list[tuple[str, Message]]:
    entry = Entry(seed.bytes("header"), seed.bytes("salt")[:16], seed.bytes("body"))
    typing = Typing(seed.bytes("conversation"), True)
    return [
        ("responder", typing),
        ("initiator", entry),
        ("initiator", typing),
        ("responder", entry),
        ("initiator", Close(0)),
    ]


def _whole(phrase: str) -> Iterator[Group]:
    seed = Seed(phrase, AREA)
    for pattern in ("XX", "XXpsk0", "IKpsk2"):
        for aes, name in (((True, True), "AEGIS-256"), ((True, False), "ChaCha20-Poly1305")):
            group = Group("6.4", link_inputs(phrase, pattern, aes=aes))
            life = Life(group.inputs).open(payloads=True)
            for end, message in _contact_talk(seed) if pattern == "IKpsk2" else _pairing_talk(seed):
                life.say(end, message)
            group.add(f"{pattern} with {name}", ["Whole"], SUCCESS, life.steps)
            yield group


def _variants(phrase: str) -> Group:
    """Other ways to OPEN, all with a contact."""
    seed, inputs = Seed(phrase, AREA), link_inputs(phrase, "IKpsk2")
    group = Group("6.3", inputs)
    group.add("byte by byte", ["Portions"], SUCCESS, Life(inputs).open("receive_bytewise").steps)
    rows: list[tuple[str, str, Json]] = [
        ("AES instructions at the responder alone", "Choice", {"initiator_aes": False}),
        ("AES instructions at neither end", "Choice", {"initiator_aes": False, "responder_aes": False}),
        ("a link that replaces another", "Replacement", {"replaces": seed.bytes("replaced")[:16].hex()}),
    ]
    rows += [
        (comment, "Features", {f"{end}_features": features for end, features in named.items()})
        for comment, named in (
            ("features of the initiator", {"initiator": [0, 7, 65_535]}),
            ("features of the responder", {"responder": [7]}),
            ("32 features of each end", {"initiator": list(range(32)), "responder": list(range(9, 41))}),
        )
    ]
    rows += [(comment, "ShareNames", changed) for comment, changed in _share_names(inputs, seed)]
    for comment, flag, changed in rows:
        group.add(comment, [flag], SUCCESS, Life(inputs | changed).open().steps, **changed)
    return group


def _share_names(inputs: Json, seed: Seed) -> Iterator[tuple[str, Json]]:
    (held,) = inputs["initiator_pairs"]
    own, theirs = (share_name(seed, label) for label in ("a better own", "another of theirs"))
    best, renewed, older = (
        held | names | {"contact_secret": seed.bytes(f"secret {place}").hex()}
        for place, names in enumerate(({"own": own}, {"own": own, "theirs": theirs}, {"theirs": theirs}))
    )
    yield "a share that the responder lacks", {"initiator_pairs": [best, held]}
    yield "the third of four candidates", {"initiator_pairs": [best, renewed, held, older]}


def _strangers(phrase: str) -> Group:
    inputs = link_inputs(phrase, "IKpsk2")
    group, other = Group("6.3", inputs), Seed(phrase, AREA).bytes("another").hex()
    rows: list[tuple[str, Json]] = [
        ("a static key that is not known", {"responder_knows": other}),
        ("the static key of another person", {"responder_knows_person": other}),
        ("no share in common", {"responder_pairs": [inputs["responder_pairs"][0] | {"own": other[:32]}]}),
    ]
    for comment, changed in rows:
        life = Life(inputs | changed)
        life.take("begin", actor="responder")
        life.take("receive", actor="initiator", sent_by="responder")
        life.take("receive", actor="responder", sent_by="initiator")
        group.add(f"{comment}: answered all the same", ["Stranger"], SUCCESS, life.steps, **changed)
        steps = life.refused("receive", actor="initiator", sent_by="responder")
        refused = f"{comment}: the answer does not open"
        group.add(refused, ["Stranger"], "authentication", steps, rule="V-HS-08", **changed)
    return group


# --- On an open link ---


def _open(phrase: str) -> Group:
    inputs = link_inputs(phrase, "IKpsk2")
    group = Group("6.6", inputs)
    group.add("a Ping is answered, from both ends", ["Keepalive"], SUCCESS, _pings(Life(inputs).open()))
    for end, other in (("initiator", "responder"), ("responder", "initiator")):
        group.add(f"messages of a later version to the {other}", ["Unknown"], SUCCESS, _unknown(inputs, end))
    two_pieces = Entry(b"", b"", bytes(PIECE_MAX))
    group.add(
        "a message of two pieces", ["Pieces"], SUCCESS, Life(inputs).open().say("initiator", two_pieces).steps
    )
    for reason, name in enumerate(REASONS):
        life = Life(inputs).open()
        life.take("send", actor="initiator", message=encode(Close(reason)).hex())
        life.take("receive", actor="responder", sent_by="initiator")
        group.add(f"Close {reason}, {name}", ["Close"], SUCCESS, life.steps)
    group.add("a cut", ["Close"], SUCCESS, _cut(Life(inputs).open()))
    return group


def _unknown(inputs: Json, end: str) -> list[Json]:
    """Messages of unknown numbers and contents, then one that is known."""
    other, life = ENDS[1 - ENDS.index(end)], Life(inputs).open()
    calling, called, _ = confirmed(inputs)
    if end == "responder":
        # A step of the ratchet at each end, as the real ones make it before.
        life.say("initiator", Typing(bytes(32), True))
        called.decrypt(calling.encrypt(LAST + encode(Typing(bytes(32), True))))
    session = calling if end == "initiator" else called
    for content in ("9106", "921ac0", "923501", "dc00107f", "92cc9082a0c0", "92cdffffcb", "9c35"):
        stream = envelope(session, LAST + bytes.fromhex(content)).hex()
        life.take("receive", actor=other, stream=stream)
    life.take("receive", actor=other, stream=said(session, Typing(bytes(32), False)).hex())
    return life.steps


def _pings(life: Life) -> list[Json]:
    """One Ping of the initiator, then two of the responder that are on their way together."""
    life.say("initiator", Ping(1))
    life.take("receive", actor="initiator", sent_by="responder")
    for number in (1, 2):
        life.take("send", actor="responder", message=encode(Ping(number)).hex())
        life.take("receive", actor="initiator", sent_by="responder")
        life.take("receive", actor="responder", sent_by="initiator")
    return life.steps


def _cut(life: Life) -> list[Json]:
    for end in ("initiator", "responder"):
        life.take("cut", actor=end)
    return life.steps


# --- Time ---


def _times(phrase: str) -> Group:
    inputs = link_inputs(phrase, "IKpsk2")
    group = Group("6.6", inputs)
    life = Life(inputs).open()
    life.take("wait", actor="initiator", until=5.999)
    life.take("wait", actor="initiator", until=6)
    life.take("receive", actor="responder", sent_by="initiator")
    life.take("receive", actor="initiator", sent_by="responder")
    group.add("a Ping of the initiator after 6 s of silence", ["Keepalive"], SUCCESS, life.steps)
    life = Life(inputs).open()
    life.take("wait", actor="responder", until=6.499)
    life.take("wait", actor="responder", until=6.5)
    life.take("receive", actor="initiator", sent_by="responder")
    life.take("receive", actor="responder", sent_by="initiator")
    group.add("a Ping of the responder after 6.5 s of silence", ["Keepalive"], SUCCESS, life.steps)
    life = Life(inputs).open()
    for until in (6, 15.999, 16):
        life.take("wait", actor="initiator", until=until)
    group.add("no answer for 10 s", ["Time"], SUCCESS, life.steps)
    life = Life(inputs).open()
    life.take("wait", actor="responder", until=900)
    group.add("900 s after OPEN", ["Time"], SUCCESS, life.steps)
    for end in ("initiator", "responder"):
        life = Life(inputs)
        life.take("begin", actor=end)
        for until in (4.999, 5):
            life.take("wait", actor=end, until=until)
        group.add(f"not OPEN after 5 s, the {end}", ["Time"], SUCCESS, life.steps)
    return group


# --- Beginnings, one end alone ---


def _begun(phrase: str) -> Group:
    """Greetings that are accepted, and what waits while a link is HELD."""
    inputs = link_inputs(phrase, "XXpsk0")
    group = Group("5.1", inputs)
    magic, random = greeting(inputs)[:8], greeting(inputs)[12:]
    for comment, fields in (
        ("versions 1 to 9 and unknown AEADs", (1, 9, 0xFF, 0)),
        ("ChaCha20-Poly1305 alone", (1, 1, 2, 0)),
    ):
        life = Life(inputs)
        life.take("begin", actor="initiator")
        life.take("receive", actor="initiator", stream=(magic + bytes(fields) + random).hex())
        group.add(f"a greeting with {comment}", ["Choice"], SUCCESS, life.steps)
    others = [invitation(psk, inputs["initiator_static"]) for psk in inputs["missing_psks"]]
    invitations: Json = {"responder_invitations": [*others[:2], *inputs["responder_invitations"]]}
    invitations["missing_psks"] = inputs["missing_psks"][2:]
    group.add(
        "the third of three invitations",
        ["Held"],
        SUCCESS,
        Life(inputs | invitations).open().steps,
        **invitations,
    )
    life = held(inputs)
    life.take("receive", actor="responder", stream=[{"hex": "00", "times": HELD_BYTES_MAX}])
    group.add("131,072 bytes that wait", ["Held"], SUCCESS, life.steps)
    return group


def held(inputs: Json) -> Life:
    """A responder that holds, and has nothing more to read."""
    life, (call, _, finish) = Life(inputs), finished(inputs)[2]
    life.take("begin", actor="responder")
    for body in (call, finish):
        life.take("receive", actor="responder", stream=frame(body).hex())
    return life


def edge_groups(phrase: str) -> list[Group]:
    """What is just at a limit, next to what is just beyond."""
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
    for until in (899.9, 900):
        life.take("wait", actor="responder", until=until)
    group.add("just before 900 s, and after them", ["Time"], SUCCESS, life.steps)
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
    others = [invitation(psk, inputs["initiator_static"]) for psk in inputs["missing_psks"]]
    open_ones: Json = {
        "responder_invitations": [*others, *inputs["responder_invitations"]],
        "missing_psks": [],
    }
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
    yield _other_one_time_keys(inputs)


def _other_one_time_keys(inputs: Json) -> Group:
    """Somebody who holds the psk of an invitation answers with a key that the invitation does not name."""
    group, _ = refusing("6.3", inputs, "initiator", greeting(inputs))
    for comment, static in (
        ("another one-time key, under the right psk", inputs["responder_ephemeral"]),
        ("the joiner's own key, under the right psk", inputs["initiator_static"]),
    ):
        thief = Peer("responder", inputs, static=pair(static))
        _, reply = answered(Peer("initiator", inputs), thief)
        row = Refusal(comment, "Thief", "V-HS-09", "untrusted", frame(reply))
        add_refusal(group, "initiator", row)
    return group


def _candidates(inputs: Json, seed: Seed) -> Group:
    """As many psks as there can be, of which the last opens the answer."""
    group = Group("6.3", inputs)
    secrets = {
        place: seed.bytes("secret {} {}".format(*place)).hex() for place in product(range(4, 0, -1), repeat=2)
    }
    pairs = [
        {
            "own": share_name(seed, f"caller {own}"),
            "theirs": share_name(seed, f"called {theirs}"),
            "contact_secret": made,
        }
        for (own, theirs), made in secrets.items()
    ]
    last = pairs[-1]
    held = [last | {"own": last["theirs"], "theirs": last["own"]}]
    changed: Json = {"initiator_pairs": pairs, "responder_pairs": held}
    steps = Life(inputs | changed).open().steps
    group.add("the last of 16 candidates", ["ShareNames"], SUCCESS, steps, **changed)
    return group


def _slowly_open(phrase: str) -> Group:
    """A link that becomes OPEN at 2 s: silence counts from there, although no envelope has come."""
    inputs = link_inputs(phrase, "IKpsk2")
    h = finished(inputs)[0].handshake_hash.hex()
    group, life = Group("6.1", inputs), Life(inputs)
    life.take("begin", actor="responder")
    life.take("receive", actor="initiator", sent_by="responder")
    life.take("receive", actor="responder", sent_by="initiator")
    life.take("wait", actor="initiator", until=2)
    life.take("receive", actor="initiator", sent_by="responder", h=h)
    life.take("wait", actor="responder", until=2)
    life.take("receive", actor="responder", sent_by="initiator", h=h)
    for actor, after in (("initiator", 6), ("responder", 6.5)):
        for until in (2 + after - 0.001, 2 + after):
            life.take("wait", actor=actor, until=until)
    group.add("a Ping 6 or 6.5 s after OPEN, with nothing heard before", ["Keepalive"], SUCCESS, life.steps)
    return group


# --- Two links with one terminal ---


def _replacement(seed: Seed) -> Group:
    """Of two open links with one terminal, which one an endpoint closes; every row from both sides."""
    low, high = sorted(pair(seed.bytes(f"terminal {n}").hex()).public for n in range(2))
    ids = {name: seed.bytes(name)[:16].hex() for name in ("L", "M", "third")}
    group = Group("6.5", {})
    for comment, (l_began, l_names), (m_began, m_names), older, is_high in (
        ("L replaces M, and began here", (True, "M"), (False, ""), True, False),
        ("L replaces M, and began there", (False, "M"), (True, ""), True, True),
        ("L replaces M, both began here, and M is the younger", (True, "M"), (True, ""), False, False),
        ("M replaces L, and began here", (False, ""), (True, "L"), False, True),
        ("M replaces L, and began there", (True, ""), (False, "L"), True, True),
        ("each names the other, L began here", (True, "M"), (True, "L"), False, False),
        ("each names the other, L began there", (False, "M"), (True, "L"), True, True),
        ("both began here, and M is the older", (True, ""), (True, ""), True, False),
        ("both began here, and M is the younger", (True, ""), (True, ""), False, True),
        ("both began there, and M is the older", (False, ""), (False, ""), True, True),
        ("M began here, with the higher key", (False, ""), (True, ""), True, True),
        ("M began here, with the higher key, and is the younger", (False, ""), (True, ""), False, True),
        ("M began here, with the lower key", (False, ""), (True, ""), True, False),
        ("L began here, with the higher key", (True, ""), (False, ""), True, True),
        ("L began here, with the lower key", (True, ""), (False, ""), False, False),
        ("L replaces a third link, both began here", (True, "third"), (True, ""), True, False),
    ):
        given = {
            "answered": {"session_id": ids["L"], "began": l_began, "replaces": ids.get(l_names, "")},
            "other": {"session_id": ids["M"], "began": m_began, "replaces": ids.get(m_names, "")},
            "other_is_older": older,
            "own_static": (high if is_high else low).hex(),
            "peer_static": (low if is_high else high).hex(),
        }
        steps = one_step(ACTIONS, World({}), "closes", **given)
        group.add(f"a Pong has come on L: {comment}", ["Replaced"], SUCCESS, steps)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    groups = [*living_groups(phrase), *wrong_groups(phrase), *open_groups(phrase), *edge_groups(phrase)]
    last = [_replacement(seed), _slowly_open(phrase), *_linking(phrase)]
    return build_file(seed, NOTES, [*groups, *last])


def _linking(phrase: str) -> Iterator[Group]:
    """The life of a link of a new terminal of one's own, and one that nobody waits for."""
    seed, inputs = Seed(phrase, AREA), link_inputs(phrase, "linking")
    group = Group("6.4", inputs)
    life = Life(inputs).open(payloads=True)
    for end, message in _pairing_talk(seed):
        life.say(end, message)
    group.add("linking with AEGIS-256", ["Whole"], SUCCESS, life.steps)
    yield group
    nearby = link_inputs(phrase, "XX")
    for comment, given in (
        ("a new terminal calls one that adds none", inputs | {"responder_adds": False}),
        (
            "a new terminal calls one that is visible",
            inputs | {"responder_adds": False, "responder_visible": True},
        ),
        (
            "a stranger calls one that adds a terminal",
            nearby | {"responder_adds": True, "responder_visible": False},
        ),
    ):
        refused, _ = refusing("5.1", given, "responder")
        stream = frame(Peer("initiator", given).call())
        row = Refusal(comment, "Refused", "V-CH-04", "unexpected", stream, {"sends": REFUSAL})
        add_refusal(refused, "responder", row)
        yield refused
