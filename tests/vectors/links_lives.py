"""Vectors of links that succeed: whole lives of each pattern, shares, strangers, keepalive, ends.

Rules: each test is told from the beginning of its link, so that it can be run alone; times are seconds since
that beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from protocol.codec import encode
from protocol.frames import PIECE_MAX
from protocol.limits import HELD_BYTES_MAX
from protocol.messages import Close, Commit, Entry, Message, Open, Ping, Reveal, Typing
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.links import AREA
from tests.vectors.files import Group, Seed
from tests.vectors.links_ends import finished, frame, greeting
from tests.vectors.links_life import Life, link_inputs

REASONS: Final = ("done", "replaced", "locked", "refused")


def living_groups(phrase: str) -> list[Group]:
    """All groups of this file."""
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
    rows += [(comment, "ShareNumbers", changed) for comment, changed in _share_numbers(inputs, seed)]
    for comment, flag, changed in rows:
        group.add(comment, [flag], SUCCESS, Life(inputs | changed).open().steps, **changed)
    return group


def _share_numbers(inputs: Json, seed: Seed) -> Iterator[tuple[str, Json]]:
    newest, renewed, older = (
        {"own": own, "theirs": theirs, "contact_secret": seed.bytes(f"secret {own} {theirs}").hex()}
        for own, theirs in ((9, 5), (9, 4), (3, 4))
    )
    (held,) = inputs["initiator_pairs"]
    yield "a share that the responder lacks", {"initiator_pairs": [newest, held]}
    yield "the third of four candidates", {"initiator_pairs": [newest, renewed, held, older]}


def _strangers(phrase: str) -> Group:
    inputs = link_inputs(phrase, "IKpsk2")
    group, other = Group("6.3", inputs), Seed(phrase, AREA).bytes("another").hex()
    rows: list[tuple[str, Json]] = [
        ("a static key that is not known", {"responder_knows": other}),
        ("the static key of another person", {"responder_knows_person": other}),
        ("no share in common", {"responder_pairs": [inputs["responder_pairs"][0] | {"own": 6}]}),
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
    life.take("wait", actor="initiator", until=3.999)
    life.take("wait", actor="initiator", until=4)
    life.take("receive", actor="responder", sent_by="initiator")
    life.take("receive", actor="initiator", sent_by="responder")
    group.add("a Ping after 4 s of silence", ["Keepalive"], SUCCESS, life.steps)
    life = Life(inputs).open()
    for until in (4, 13.999, 14):
        life.take("wait", actor="initiator", until=until)
    group.add("no answer for 10 s", ["Time"], SUCCESS, life.steps)
    life = Life(inputs).open()
    life.take("wait", actor="responder", until=3_600)
    group.add("an hour after OPEN", ["Time"], SUCCESS, life.steps)
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
    invitations: Json = {"responder_psks": [*inputs["missing_psks"][:2], inputs["initiator_psk"]]}
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
