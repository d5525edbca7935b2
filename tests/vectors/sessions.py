"""Makes the vectors of sessions: exchanges, skipped envelopes, and every envelope that is refused (SPEC §9).

The plain route makes what is written down; a refusal is written and not taken, so that one script goes on.
A link never skips; the core can, for vectors of others and for these. Lost envelopes are made and not
written down. The groups of `_first_groups` keep their places, since a test's id is its place; new ones
follow them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from protocol.keys import X25519Pair
from protocol.limits import (
    COUNTER_MAX,
    PADDED_MAX,
    PADDED_MIN,
)
from protocol.primitives import Aead
from protocol.ratchet import Parameters, parlour_parameters
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from protocol.vectors.sessions import ACTORS, AEADS, AREA, Ends, Recorder, other
from tests.vectors.files import Group, Seed, build_file

SKIP_PER_CHAIN_MAX: Final = 1_000
SKIPPED_STORED_MAX: Final = 2_000
SKIPPED_AGE_MAX: Final = 2_000
HEADER: Final = 40
"""Bytes of an envelope before what is sealed."""

Refused = tuple[str, str, str, str, list[Json]]
"""Rule, class, comment, flag, steps."""


class Script:
    """Steps written down as they happen between two sessions."""

    def __init__(self, inputs: Json, parameters: Parameters | None = None) -> None:
        self._recorder = Recorder(AEADS[inputs["aead"]])
        self._ends = Ends(inputs, parameters or self._recorder.parameters)
        self.steps: list[Json] = []

    def encrypt(self, actor: str, content: bytes) -> bytes:
        """One envelope, with the step that makes it."""
        envelope = self._ends.encrypt(actor, content)
        step: Json = {"actor": actor, "do": "encrypt", "content": content.hex(), "envelope": envelope.hex()}
        self.steps.append(step | {"intermediate": self._recorder.intermediate})
        return envelope

    def decrypt(self, actor: str, envelope: bytes) -> None:
        """Open an envelope that opens."""
        content = self._ends.decrypt(actor, envelope)
        self.steps.append(
            {"actor": actor, "do": "decrypt", "envelope": envelope.hex(), "content": content.hex()}
        )

    def says(self, actor: str, content: bytes) -> bytes:
        """An envelope that arrives at once."""
        envelope = self.encrypt(actor, content)
        self.decrypt(other(actor), envelope)
        return envelope

    def lose(self, actor: str, count: int) -> None:
        """Envelopes that are made and never arrive."""
        self._ends.lose(actor, count)
        self.steps.append({"actor": actor, "do": "lose", "count": count})

    def pass_on(self, actor: str, count: int) -> None:
        """Envelopes that arrive in order."""
        self._ends.pass_on(actor, count)
        self.steps.append({"actor": actor, "do": "pass", "count": count})

    def refused(self, actor: str, envelope: bytes, then: bytes = b"", content: bytes = b"") -> list[Json]:
        """All steps so far, and the last one, which must fail; `then` opens to `content` all the same."""
        step: Json = {"actor": actor, "do": "decrypt", "envelope": write_bytes(envelope)}
        after = {"then": {"envelope": then.hex(), "content": content.hex()}} if then else {}
        return [*self.steps, step | after]


def session_inputs(seed: Seed, aead: str, *, allow_skip: bool, keys: int = 4) -> Json:
    """The inputs of a group: so many ratchet keys of each end."""
    inputs: Json = {"aead": aead, "allow_skip": allow_skip, "root": seed.bytes("root").hex()}
    for actor in ACTORS:
        inputs[f"{actor}_ratchet_keys"] = [seed.bytes(f"{actor}/{n}").hex() for n in range(keys)]
    return inputs


def flip(envelope: bytes, position: int) -> bytes:
    """One bit of a byte changed."""
    return envelope[:position] + bytes([envelope[position] ^ 1]) + envelope[position + 1 :]


def with_counters(envelope: bytes, pn: int, n: int) -> bytes:
    """Other counters in the header."""
    return envelope[:32] + pn.to_bytes(4, "big") + n.to_bytes(4, "big") + envelope[40:]


def skipping_group(seed: Seed, name: str) -> Group:
    """What is skipped, kept and erased."""
    group = Group("22", session_inputs(seed, name, allow_skip=True, keys=8))
    group.add("shuffled, in both directions", ["SkippedKeys"], SUCCESS, _shuffled(group.inputs))
    group.add("1,000 skipped at once", ["SkippedKeys"], SUCCESS, _thousand(group.inputs))
    script, _, second = _full(group.inputs)
    script.decrypt("bob", second)
    comment = "2,000 are kept, and one more took the place of the oldest: the second oldest opens"
    group.add(comment, ["SkippedKeys"], SUCCESS, script.steps)
    aged, waiting = _aged(group.inputs, SKIPPED_AGE_MAX - 1)
    aged.decrypt("bob", waiting)
    comment = "a skipped key after 1,999 envelopes that opened"
    group.add(comment, ["SkippedKeys"], SUCCESS, aged.steps)
    for rule, expect, comment, flag, steps in (*_erased(group.inputs), *_skipped_wrongly(group.inputs)):
        group.add(comment, [flag], expect, steps, rule=rule)
    return group


def _shuffled(inputs: Json) -> list[Json]:
    script = Script(inputs)
    one = [script.encrypt("alice", b"alice %d" % n) for n in range(4)]
    script.decrypt("bob", one[2])
    two = [script.encrypt("bob", b"bob %d" % n) for n in range(3)]
    script.decrypt("alice", two[2])
    three = [script.encrypt("alice", b"alice again %d" % n) for n in range(3)]
    for envelope in (three[1], one[3], three[2], one[0], three[0], one[1]):
        script.decrypt("bob", envelope)
    for envelope in (two[0], two[1]):
        script.decrypt("alice", envelope)
    script.says("bob", b"all is there")
    return script.steps


def _thousand(inputs: Json) -> list[Json]:
    script = Script(inputs)
    first = script.encrypt("alice", b"first")
    script.lose("alice", SKIP_PER_CHAIN_MAX - 1)
    script.says("alice", b"last")
    script.decrypt("bob", first)
    return script.steps


def _full(inputs: Json) -> tuple[Script, bytes, bytes]:
    """One skipped key more than may be kept: the script, the oldest skipped envelope, the second oldest."""
    script = Script(inputs)
    oldest, second = script.encrypt("alice", b"oldest"), script.encrypt("alice", b"second oldest")
    script.lose("alice", SKIP_PER_CHAIN_MAX - 2)
    script.says("alice", b"after 1,000")
    script.says("bob", b"answer")
    script.lose("alice", SKIPPED_STORED_MAX - SKIP_PER_CHAIN_MAX)
    script.says("alice", b"after 2,000")
    script.lose("alice", 1)
    script.says("alice", b"after 2,001")
    return script, oldest, second


def _aged(inputs: Json, opened: int) -> tuple[Script, bytes]:
    """A skipped envelope, and how many opened since: the script, the envelope."""
    script = Script(inputs)
    waiting = script.encrypt("alice", b"waiting")
    script.says("alice", b"the one it was skipped for")
    script.pass_on("alice", opened - 1)
    return script, waiting


def _erased(inputs: Json) -> Iterator[Refused]:
    flag = "Erased"
    script = Script(inputs)
    first = script.encrypt("alice", b"0")
    script.says("alice", b"1")
    script.decrypt("bob", first)
    steps = script.refused("bob", first)
    yield "V-EN-05", "unexpected", "a skipped key serves once", flag, steps
    script.says("bob", b"answer")
    script.says("alice", b"2")
    steps = script.refused("bob", first)
    yield (
        "V-EN-10",
        "authentication",
        "a used one of an earlier chain: its ratchet key counts as new",
        flag,
        steps,
    )
    script, oldest, second = _full(inputs)
    steps = script.refused("bob", oldest, second, b"second oldest")
    yield "V-EN-10", "authentication", "the oldest had to make room", flag, steps
    aged, waiting = _aged(inputs, SKIPPED_AGE_MAX)
    yield (
        "V-EN-05",
        "unexpected",
        "a skipped key after 2,000 envelopes that opened",
        flag,
        aged.refused("bob", waiting),
    )


def _skipped_wrongly(inputs: Json) -> Iterator[Refused]:
    script = Script(inputs)
    first = script.encrypt("alice", b"0")
    script.says("alice", b"1")
    steps = script.refused("bob", flip(first, HEADER), first, b"0")
    yield "V-EN-10", "authentication", "one bit of a skipped envelope, whose key stays", "Tampered", steps
    steps = script.refused("bob", with_counters(first, 1, 0), first, b"0")
    yield "V-EN-10", "authentication", "another PN in a skipped envelope", "Tampered", steps
    script.says("bob", b"answer")
    new = script.encrypt("alice", b"new chain")
    missing = SKIP_PER_CHAIN_MAX + 1
    for comment, pn, n in (
        ("1,001 missing at the end of the old chain", 2 + missing, 0),
        ("1,001 missing in a new chain", 2, missing),
    ):
        steps = script.refused("bob", with_counters(new, pn, n), new, b"new chain")
        yield "V-EN-07", "limit", comment, "Gap", steps
    steps = script.refused("bob", with_counters(new, 1, 0), new, b"new chain")
    yield "V-EN-10", "authentication", "fewer envelopes in the old chain than have come", "Tampered", steps
    script.decrypt("bob", new)
    far = script.encrypt("alice", b"far")
    steps = script.refused("bob", with_counters(far, 2, 1 + missing), far, b"far")
    yield "V-EN-07", "limit", "1,001 missing in the present chain", "Gap", steps
    real = Script(inputs)
    real.lose("alice", missing)
    steps = real.refused("bob", real.encrypt("alice", b"truly too far"))
    yield "V-EN-07", "limit", "1,001 truly lost", "Gap", steps


NOTES: Final = {
    "Exchange": ("BASIC", "Envelopes in order, with several steps of the DH ratchet."),
    "Padding": ("EDGE_CASE", "Contents at the edges of padded sizes."),
    "SkippedKeys": (
        "EDGE_CASE",
        "Envelopes arrive out of order, which a session allows and a link does not.",
    ),
    "Tampered": ("AUTHENTICITY", "One bit of the envelope differs."),
    "WrongSize": ("MALFORMED", "No envelope has this size."),
    "Repeated": ("REPLAY", "The envelope was opened before."),
    "Gap": ("ORDER", "Envelopes before this one are missing."),
    "Counter": ("EDGE_CASE", "The reserved counter 2^32-1."),
    "RatchetKey": ("CONFIDENTIALITY", "A ratchet key of low order, not canonical, or the receiver's own."),
    "BadPadding": ("MALLEABILITY", "Sealed with the right key, but padded in another way than the one way."),
    "Erased": ("CONFIDENTIALITY", "A skipped key that was used, or had to make room, or waited too long."),
}
_PADDING_SIZES: Final = (0, 1, 253, 254, 255, 510, 1_000, 2_047)


def _exchange(inputs: Json) -> list[Json]:
    script = Script(inputs)
    for actor, count in (("alice", 2), ("bob", 1), ("alice", 1), ("bob", 2), ("alice", 1)):
        for n in range(count):
            script.says(actor, f"{actor} {n}".encode())
    return script.steps


def _paddings(inputs: Json, seed: Seed) -> list[Json]:
    script = Script(inputs)
    for size in _PADDING_SIZES:
        script.says("alice", (seed.bytes("content") * 64)[:size])
    return script.steps


def _skipped(inputs: Json) -> list[Json]:
    script = Script(inputs)
    first, second, third = (script.encrypt("alice", b"%d" % n) for n in range(3))
    script.decrypt("bob", second)
    script.says("bob", b"answer")
    script.says("alice", b"a new chain")
    script.decrypt("bob", first)
    script.decrypt("bob", third)
    return script.steps


def _add_tampered(group: Group) -> None:
    script = Script(group.inputs)
    envelope = script.encrypt("alice", b"content")
    places = {"ratchet key": 0, "PN": 35, "ciphertext": 40, "padding": 200, "tag": len(envelope) - 1}
    then = envelope, b"content"
    for name, position in places.items():
        expect, rule = ("unexpected", "V-EN-06") if name == "PN" else ("authentication", "V-EN-10")
        steps = script.refused("bob", flip(envelope, position), *then)
        group.add(f"one bit of the {name}", ["Tampered"], expect, steps, rule=rule)
    short, long = (
        script.refused("bob", envelope[:-1], *then),
        script.refused("bob", envelope + b"\x00", *then),
    )
    flags = ["WrongSize"]
    group.add("an envelope without its last byte", flags, "malformed", short, rule="V-EN-01")
    comment = "an envelope with a byte after its last byte"
    group.add(comment, flags, "authentication", long, rule="V-EN-10")
    steps = script.refused("bob", envelope[:HEADER], *then)
    group.add("a header alone", flags, "malformed", steps, rule="V-EN-01")


def _add_order(link: Group, skipping: Group) -> None:
    script = Script(link.inputs)
    first, second = script.encrypt("alice", b"0"), script.encrypt("alice", b"1")
    steps = script.refused("bob", second, first, b"0")
    link.add("the second first, on a link", ["Gap"], "unexpected", steps, rule="V-EN-06")
    for name, (pn, n) in {"N": (0, COUNTER_MAX), "PN": (COUNTER_MAX, 0)}.items():
        steps = script.refused("bob", with_counters(first, pn, n), first, b"0")
        link.add(f"{name} of 2^32-1", ["Counter"], "limit", steps, rule="V-EN-02")
    steps = script.refused("bob", with_counters(first, 0, SKIP_PER_CHAIN_MAX + 1), first, b"0")
    skipping.add("one more skipped than allowed", ["Gap"], "limit", steps, rule="V-EN-07")
    script.decrypt("bob", first)
    steps = script.refused("bob", first, second, b"1")
    link.add("the first twice", ["Repeated"], "unexpected", steps, rule="V-EN-05")
    steps = script.refused("bob", with_counters(second, 1, 1), second, b"1")
    link.add("another PN within a chain", ["Tampered"], "unexpected", steps, rule="V-EN-04")


def _add_ratchet_keys(group: Group) -> None:
    script = Script(group.inputs)
    envelope = script.encrypt("alice", b"content")
    own = X25519Pair(bytes.fromhex(group.inputs["bob_ratchet_keys"][0])).public
    keys = {
        "of low order": (bytes(32), "authentication", "V-EN-09"),
        "not canonical": ((2**255 - 10).to_bytes(32, "little"), "malformed", "V-EN-08"),
        "with bit 255 set": (envelope[:31] + bytes([envelope[31] | 0x80]), "malformed", "V-EN-08"),
        "of the receiver": (own, "unexpected", "V-EN-03"),
    }
    for name, (key, expect, rule) in keys.items():
        steps = script.refused("bob", key + envelope[32:], envelope, b"content")
        group.add(f"a ratchet key {name}", ["RatchetKey"], expect, steps, rule=rule)


def _add_bad_padding(group: Group, aead: Aead) -> None:
    payloads = {
        "a length beyond the payload": (b"\x00\xff".ljust(256, b"\x00"), "V-PD-02"),
        "a filling that is not zero": (b"\x00\x01a".ljust(255, b"\x00") + b"\x01", "V-PD-03"),
        "the next larger size": (b"\x00\x01a".ljust(272, b"\x00"), "V-PD-02"),
        "no multiple that Padmé gives": (b"\x01\x00".ljust(258, b"\x00"), "V-PD-02"),
    }
    nonce, plain = bytes(aead.nonce_size), parlour_parameters(aead, fast=False)

    def seal_unpadded(message_key: bytes, header: bytes, payload: bytes) -> bytes:
        return aead.seal(message_key, nonce, header[32:], payload)

    for name, (payload, rule) in payloads.items():
        script = Script(group.inputs, replace(plain, encrypt=seal_unpadded))
        steps = script.refused("bob", script.encrypt("alice", payload))
        group.add(f"padding with {name}", ["BadPadding"], "malformed", steps[-1:], rule=rule)


def _first_groups(seed: Seed, name: str, aead: Aead) -> list[Group]:
    """A link and a session with gaps."""
    link = Group("9.4", session_inputs(seed, name, allow_skip=False))
    skipping = Group("22", session_inputs(seed, name, allow_skip=True))
    link.add("an exchange in order", ["Exchange"], SUCCESS, _exchange(link.inputs))
    link.add("contents of many sizes", ["Padding"], SUCCESS, _paddings(link.inputs, seed))
    skipping.add("out of order, over two chains", ["SkippedKeys"], SUCCESS, _skipped(skipping.inputs))
    _add_tampered(link)
    _add_order(link, skipping)
    _add_ratchet_keys(link)
    _add_bad_padding(link, aead)
    return [link, skipping]


# --- More of a link ---


def _link_group(seed: Seed, name: str, aead: Aead) -> Group:
    group = Group("9.4", session_inputs(seed, name, allow_skip=False, keys=8))
    for cases in (_sizes, _repeats, _gaps, _late_keys):
        for rule, expect, comment, flag, steps in cases(group.inputs, aead):
            group.add(comment, [flag], expect, steps, rule=rule)
    return group


def _sizes(inputs: Json, aead: Aead) -> Iterator[Refused]:
    script = Script(inputs)
    envelope, then = script.encrypt("alice", b"content"), b"content"
    for comment, size in {
        "a padded content of 255 bytes": PADDED_MIN - 1,
        "a padded content of 61,441 bytes": PADDED_MAX + 1,
    }.items():
        wrong = envelope[:HEADER] + bytes(size + aead.tag_size)
        yield "V-EN-01", "malformed", comment, "WrongSize", script.refused("bob", wrong, envelope, then)
    yield "V-EN-01", "malformed", "an empty envelope", "WrongSize", script.refused("bob", b"", envelope, then)
    empty = envelope[:HEADER] + bytes(PADDED_MIN + aead.tag_size)
    steps = script.refused("bob", empty, envelope, then)
    yield "V-EN-10", "authentication", "zero bytes in place of what is sealed", "Tampered", steps


def _repeats(inputs: Json, _: Aead) -> Iterator[Refused]:
    rule = "V-EN-05", "unexpected"
    script = Script(inputs)
    first = script.says("alice", b"0")
    own = script.encrypt("bob", b"answer")
    steps = script.refused("bob", own)
    yield "V-EN-03", "unexpected", "an envelope that the receiver sent", "RatchetKey", steps
    script.decrypt("alice", own)
    steps = script.refused("alice", own)
    yield *rule, "an answer twice", "Repeated", steps
    following = script.encrypt("alice", b"1")
    steps = script.refused("bob", first, following, b"1")
    yield *rule, "the first again, while its chain is the present one", "Repeated", steps
    script.decrypt("bob", following)
    last = script.encrypt("alice", b"2")
    steps = script.refused("bob", first, last, b"2")
    yield *rule, "the first again, after another chain began", "Repeated", steps
    script.decrypt("bob", last)
    steps = script.refused("bob", following)
    yield *rule, "the first of the present chain again", "Repeated", steps


def _gaps(inputs: Json, _: Aead) -> Iterator[Refused]:
    rule = "V-EN-06", "unexpected"
    script = Script(inputs)
    script.says("alice", b"0")
    lost, third = script.encrypt("alice", b"lost"), script.encrypt("alice", b"2")
    yield *rule, "one is missing within a chain", "Gap", script.refused("bob", third, lost, b"lost")
    script.says("bob", b"answer")
    new, newer = script.encrypt("alice", b"new chain"), script.encrypt("alice", b"and on")
    yield *rule, "the end of the old chain is missing", "Gap", script.refused("bob", new, lost, b"lost")
    script.decrypt("bob", lost)
    script.decrypt("bob", third)
    steps = script.refused("bob", newer, new, b"new chain")
    yield *rule, "the first of a new chain is missing", "Gap", steps
    for comment, pn, place in (
        ("a new chain that claims fewer envelopes in the old one", 2, ("V-EN-05", "unexpected")),
        ("a new chain that claims more envelopes in the old one", 4, rule),
    ):
        steps = script.refused("bob", with_counters(new, pn, 0), new, b"new chain")
        yield *place, comment, "Tampered", steps


def _late_keys(inputs: Json, _: Aead) -> Iterator[Refused]:
    script = Script(inputs)
    script.says("alice", b"0")
    script.says("bob", b"answer")
    new = script.encrypt("alice", b"new chain")
    counters = {"N": (1, COUNTER_MAX), "PN": (COUNTER_MAX, 0)}
    for comment, (pn, n) in counters.items():
        steps = script.refused("bob", with_counters(new, pn, n), new, b"new chain")
        yield "V-EN-02", "limit", f"{comment} of 2^32-1 with a new ratchet key", "Counter", steps
    for comment, key, rule in (
        ("of low order", (1).to_bytes(32, "little"), ("V-EN-09", "authentication")),
        ("that is 2^255-19", (2**255 - 19).to_bytes(32, "little"), ("V-EN-08", "malformed")),
        ("of somebody else", X25519Pair(bytes(32)).public, ("V-EN-10", "authentication")),
    ):
        steps = script.refused("bob", key + new[32:], new, b"new chain")
        yield *rule, f"a new ratchet key {comment}", "RatchetKey", steps
    script.decrypt("bob", new)
    following = script.encrypt("alice", b"following")
    for comment, position in {"ciphertext": HEADER, "tag": len(following) - 1}.items():
        steps = script.refused("bob", flip(following, position), following, b"following")
        yield "V-EN-10", "authentication", f"one bit of the {comment} of a later envelope", "Tampered", steps
    swapped = following[:HEADER] + new[HEADER:]
    steps = script.refused("bob", swapped, following, b"following")
    yield "V-EN-10", "authentication", "what another envelope sealed", "Tampered", steps


def _largest_group(seed: Seed, name: str, aead: Aead) -> Group:
    """The largest envelope is not refused for its size."""
    group = Group("9.4", session_inputs(seed, name, allow_skip=False))
    script = Script(group.inputs)
    envelope = script.encrypt("alice", b"content")
    wrong = envelope[:HEADER] + bytes(PADDED_MAX + aead.tag_size)
    steps = script.refused("bob", wrong, envelope, b"content")
    comment = "a padded content of 61,440 bytes, all of them zero"
    group.add(comment, ["Tampered"], "authentication", steps, rule="V-EN-10")
    return group


def _first_chain_groups(seed: Seed, name: str) -> Iterator[Group]:
    """Envelopes before there is a receiving chain, with and without the option of skipped keys."""
    link, skipping = (session_inputs(seed, name, allow_skip=skip) for skip in (False, True))
    group, script = Group("9.4", link), Script(link)
    first = script.encrypt("alice", b"0")
    for comment, pn, n in (("PN is 1", 1, 0), ("N is 1", 0, 1), ("PN is 2^32-2", COUNTER_MAX - 1, 0)):
        steps = script.refused("bob", with_counters(first, pn, n), first, b"0")
        group.add(f"the first envelope: {comment}", ["Gap"], "unexpected", steps, rule="V-EN-06")
    script.decrypt("bob", first)
    answer = script.encrypt("bob", b"answer")
    steps = script.refused("alice", with_counters(answer, 1, 0), answer, b"answer")
    comment = "the first envelope that the initiator receives: PN is that of the other direction"
    group.add(comment, ["Gap"], "unexpected", steps, rule="V-EN-06")
    yield group
    group, script = Group("22", skipping), Script(skipping)
    first = script.encrypt("alice", b"0")
    for pn, expect, rule in (
        (SKIP_PER_CHAIN_MAX, "authentication", "V-EN-10"),
        (SKIP_PER_CHAIN_MAX + 1, "limit", "V-EN-07"),
    ):
        steps = script.refused("bob", with_counters(first, pn, 0), first, b"0")
        group.add(f"PN of {pn:,} without an old chain", ["Gap"], expect, steps, rule=rule)
    yield group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    groups = [group for name, aead in AEADS.items() for group in _first_groups(seed, name, aead)]
    for name, aead in AEADS.items():
        groups += [_link_group(seed, name, aead), skipping_group(seed, name)]
    groups += [_largest_group(seed, name, aead) for name, aead in AEADS.items()]
    groups += [group for name in AEADS for group in _first_chain_groups(seed, name)]
    return build_file(seed, NOTES, groups)
