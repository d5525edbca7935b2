"""Makes the vectors of pairing: values, courses nearby and by invitation, invitations (SPEC §7.4, §7.5).

A whole course holds the steps of both ends, in one possible order. A refused text of an invitation breaks one
rule and is otherwise an invitation; a text has the spaces that a paste leaves in it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from protocol.codec import encode
from protocol.identity.log import Rename, parse_operation
from protocol.keys import X25519Pair
from protocol.limits import INVITATION_TEXT_MAX, LOG_OPERATIONS_MAX, PENDING_SECONDS
from protocol.messages import Close, LogOperations, Reveal
from protocol.pairing.invitation import invitation_check
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.pairing import ACTIONS, AREA, World
from tests.vectors.files import Group, Script, Seed, build_file, one_step
from tests.vectors.pairing_ends import Course, drawn, end, facts, record, remade
from tests.vectors.pairing_wrong import refused_groups
from tests.vectors.persons_log import Person, Terminal

_EXPIRES: Final = 1_795_003_600
_PREFIX: Final = "PARLOUR:"
_ADDRESSES: Final = ("192.168.1.20:4747", "[fe80::1]:4747")
Wrong = tuple[str, str, str, str]
"""Rule, class, comment, text."""


def invitation_groups(seed: Seed) -> list[Group]:
    """Everything about invitations."""
    return [_valid(seed), _refused(seed), _burned(seed), _made(seed)]


def _text(data: bytes) -> str:
    return _PREFIX + base64.b32encode(data).decode("ascii").rstrip("=")


def _fields(seed: Seed) -> dict[str, Any]:
    return {
        "version": 1,
        "secret": seed.bytes("invitation secret")[:16],
        "expires": _EXPIRES,
        "check": seed.bytes("check"),
        "one_time": seed.bytes("one-time"),
        "addresses": list(_ADDRESSES),
        "relays": [],
    }


def _one_time_key(seed: Seed) -> str:
    return X25519Pair(seed.bytes("one-time key")).public.hex()


def _encoded(seed: Seed, **changes: Any) -> bytes:
    return encode(list((_fields(seed) | changes).values()))


# --- Written and read ---


def _valid(seed: Seed) -> Group:
    group, world = Group("7.5", {}), World({})
    person, static = seed.bytes("inviter").hex(), X25519Pair(seed.bytes("static")).public.hex()
    steps = one_step(ACTIONS, world, "check", person=person, static=static)
    group.add("whom an invitation names", ["Invitation"], SUCCESS, steps)
    once = one_step(ACTIONS, world, "one_time", one_time_key=_one_time_key(seed))
    group.add("the key that an invitation names", ["Invitation"], SUCCESS, once)
    given = {"secret": _fields(seed)["secret"].hex(), "expires": _EXPIRES, **once[0]["gives"]}
    for comment, addresses, relays in (
        ("two addresses", list(_ADDRESSES), []),
        ("nothing but the secret", [], []),
        ("as many as may be", [f"10.0.0.{n}:{n + 1}" for n in range(8)], [f"relay-{n}" for n in range(4)]),
    ):
        script = Script(ACTIONS, world)
        places = {"addresses": addresses, "relays": relays}
        text = script.take("write", check=steps[0]["gives"]["check"], **given, **places)["text"]
        script.take("read", text=text)
        group.add(comment, ["Invitation"], SUCCESS, script.steps)
    for comment, text in _spellings(_text(_encoded(seed))):
        group.add(comment, ["Invitation"], SUCCESS, one_step(ACTIONS, world, "read", text=text))
    script = Script(ACTIONS, world)
    for now in (_EXPIRES - 1, _EXPIRES, _EXPIRES + 1):
        script.take("expired", text=_text(_encoded(seed)), now=now)
    group.add("the second in which it ends", ["Invitation"], SUCCESS, script.steps)
    return group


def _spellings(text: str) -> Iterator[tuple[str, str]]:
    yield "lower case", text.lower()
    yield "spaces, tabs and line breaks", "\r\n\t ".join(text[at : at + 7] for at in range(0, len(text), 7))
    yield "4,096 characters, most of them spaces", text.ljust(INVITATION_TEXT_MAX)


# --- Refused ---


def _refused(seed: Seed) -> Group:
    group = Group("7.5", {})
    text = _text(_encoded(seed))
    cases = (*_bad_texts(text), *_bad_versions(seed), *_bad_encodings(seed), *_bad_addresses(seed))
    for rule, expect, comment, wrong in cases:
        group.add(comment, ["BadInvitation"], expect, [{"do": "read", "text": wrong}], rule=rule)
    return group


def _bad_texts(text: str) -> Iterator[Wrong]:
    yield "V-IN-01", "limit", "4,097 characters, most of them spaces", text.ljust(INVITATION_TEXT_MAX + 1)
    digits = text[len(_PREFIX) :]
    for comment, wrong in {
        "nothing": "",
        "no beginning": digits,
        "another beginning": "PARLOR:" + digits,
        "the beginning alone, cut": "PARLOUR",
        "a long s in place of an S": text.replace("S", "ſ", 1),
        "a dotless i in place of an I": text.replace("I", "ı", 1),
        "a digit that is not of base32": _PREFIX + "1" + digits[1:],
        "padding": text + "=" * (-len(digits) % 8 or 8),
        "a length that no bytes have": text[: len(_PREFIX) + 8 * (len(digits) // 8) + 1],
        "bits after the last byte": _with_bits(digits),
        "a line separator": text[:20] + "\u2028" + text[20:],
    }.items():
        yield "V-IN-02", "malformed", comment, wrong


def _with_bits(digits: str) -> str:
    """The last digit with the lowest of its unused bits set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    last = alphabet.index(digits[-1])
    return _PREFIX + digits[:-1] + alphabet[last | 1]


def _bad_versions(seed: Seed) -> Iterator[Wrong]:
    rule = "V-IN-03", "unexpected"
    yield *rule, "version 2", _text(_encoded(seed, version=2))
    yield *rule, "version 0", _text(_encoded(seed, version=0))
    yield *rule, "version 200", _text(_encoded(seed, version=200))
    yield *rule, "version 2 of another shape", _text(encode([2, "something else"]))


def _bad_encodings(seed: Seed) -> Iterator[Wrong]:
    rule, whole = ("V-IN-04", "malformed"), _encoded(seed)
    fields = list(_fields(seed).values())
    for comment, data in {
        "no array": encode("an invitation"),
        "a byte after it": whole + b"\x00",
        "its last byte missing": whole[:-1],
        "without its last field": encode(fields[:-1]),
        "one field more": encode([*fields, 0]),
        "a longer encoding of the array": b"\xdc\x00\x07" + whole[1:],
        "a secret of 15 bytes": _encoded(seed, secret=bytes(15)),
        "a check of 33 bytes": _encoded(seed, check=bytes(33)),
        "a hash of 31 bytes": _encoded(seed, one_time=bytes(31)),
        "an end of 2^32": _encoded(seed, expires=2**32),
        "nine addresses": _encoded(seed, addresses=["10.0.0.1:1"] * 9),
        "an address of five characters": _encoded(seed, addresses=["a:123"]),
        "an address of 54 characters": _encoded(seed, addresses=["1" * 54]),
        "five relays": _encoded(seed, relays=["a"] * 5),
        "an empty relay": _encoded(seed, relays=[""]),
        "a space in a relay": _encoded(seed, relays=["a b"]),
        "a relay that is not ASCII": _encoded(seed, relays=["é"]),
    }.items():
        yield *rule, comment, _text(data)


def _bad_addresses(seed: Seed) -> Iterator[Wrong]:
    for comment, address in {
        "port 0": "192.168.1.20:0",
        "port 65536": "192.168.1.20:65536",
        "a port with a leading 0": "192.168.1.20:04747",
        "no port": "192.168.1.20",
        "a name": "localhost:4747",
        "an octet of 256": "192.168.1.256:4747",
        "an octet with a leading 0": "192.168.1.020:4747",
        "IPv6 without brackets": "fe80::1:4747",
        "IPv4 in brackets": "[192.168.1.20]:4747",
        "a scope": "[fe80::1%eth0]:4747",
        "upper-case IPv6": "[FE80::1]:4747",
        "IPv6 not in its shortest form": "[fe80:0::1]:4747",
        "IPv4 in IPv6": "[::ffff:10.0.0.1]:4747",
        "a space before the port": "192.168.1.20: 4747",
    }.items():
        yield "V-IN-05", "malformed", comment, _text(_encoded(seed, addresses=[address]))


# --- Used once ---


def _burned(seed: Seed) -> Group:
    group, world = Group("7.5", {}), World({})
    joiner, other = (X25519Pair(seed.bytes(name)).public.hex() for name in ("joiner key", "other key"))
    script = Script(ACTIONS, world)
    script.take("use", burned_by=None, static=joiner)
    script.take("use", burned_by=joiner, static=joiner)
    group.add("the first joiner burns it, and may come again", ["Burned"], SUCCESS, script.steps)
    step: Json = {"do": "use", "burned_by": joiner, "static": other}
    group.add("another one cannot use it", ["Burned"], "untrusted", [step], rule="V-IN-06")
    return group


# --- Made ---


def _made(seed: Seed) -> Group:
    """An hour from `now`, the first eight addresses, the first four relays."""
    group, world = Group("7.5", {}), World({})
    given = {
        "person": seed.bytes("inviter").hex(),
        "static": X25519Pair(seed.bytes("static")).public.hex(),
        "one_time_key": _one_time_key(seed),
        "secret": _fields(seed)["secret"].hex(),
        "now": _EXPIRES - 3_600,
    }
    many = [f"10.0.0.{n}:4747" for n in range(9)], [f"relay-{n}" for n in range(5)]
    for comment, addresses, relays in (("made now", list(_ADDRESSES), []), ("of too many the first", *many)):
        steps = one_step(ACTIONS, world, "make", addresses=addresses, relays=relays, **given)
        group.add(comment, ["Invitation"], SUCCESS, steps)
    return group


NOTES: Final = {
    "Rivals": ("BASIC", "Both persons begin to pair with each other at once."),
    "Pending": ("BASIC", "How long a contact is pending."),
    "Values": ("BASIC", "What both ends compute of the link, the nonces and the records."),
    "Course": ("BASIC", "A whole pairing, in one of the orders that are possible."),
    "Again": ("EDGE_CASE", "A person who is known already."),
    "Ended": ("EDGE_CASE", "One side refuses or gives up."),
    "BadName": ("MALFORMED", "A name that steers a screen or is none."),
    "NotNow": ("ORDER", "A message that does not come next."),
    "WordsForged": ("AUTHENTICITY", "The nonce is not the one that was committed to."),
    "BadRecord": ("AUTHENTICITY", "A record that is not that of the other end on this link."),
    "BadProof": ("AUTHENTICITY", "A record that does not prove the terminal's static key on this link."),
    "Shared": ("EDGE_CASE", "One static key stands in the logs of two persons."),
    "BadShare": ("MALFORMED", "A share of an operation that draws nothing, or is not in its owner's log."),
    "BadTag": ("AUTHENTICITY", "A tag over other records, or of the other end."),
    "Invitation": ("BASIC", "The text that one person hands another."),
    "BadInvitation": ("MALFORMED", "A text that is no invitation."),
    "Burned": ("AUTHENTICITY", "An invitation serves one joiner."),
}


def _values(seed: Seed) -> Group:
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    inputs = {"facts": facts(seed, "values")}
    group, world = Group("7.4", inputs), World(inputs)
    steps = one_step(ACTIONS, world, "transcript")
    group.add("t and the pairing root", ["Values"], SUCCESS, steps)
    transcript = steps[0]["gives"]
    nonces = {f"nonce_{end}": seed.bytes(f"nonce {end}").hex() for end in "IR"}
    steps = one_step(ACTIONS, world, "words", t=transcript["t"], **nonces)
    group.add("commitment and words, in both lists and in digits", ["Values"], SUCCESS, steps)
    for comment, begins, answers in (
        ("both read Chinese words", [1], [1]),
        ("the initiator alone reads Chinese words", [1], []),
        ("the responder alone reads Chinese words", [], [1]),
        ("neither does", [], []),
        ("both name features of a later version", [2, 65_535], [2, 65_535]),
        ("both read Chinese words, and name others", [1, 2], [0, 1]),
    ):
        named = {"initiator_features": begins, "responder_features": answers}
        steps = one_step(ACTIONS, world, "shown_list", **named)
        group.add(f"which list is shown: {comment}", ["Values"], SUCCESS, steps)
    ends = inputs | {"initiator": end(anna, "nearby"), "responder": end(bob, "nearby")}
    records = {actor: encode(record(ends, actor)).hex() for actor in ("initiator", "responder")}
    for role, (own, other) in enumerate((("initiator", "responder"), ("responder", "initiator"))):
        given = transcript | {"role": role, "own_record": records[own], "other_record": records[other]}
        steps = one_step(ACTIONS, world, "accept_tag", **given)
        group.add(f"the {own}'s Accept", ["Values"], SUCCESS, steps)
    return group


def _nearby(seed: Seed) -> Group:
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "小雨")
    inputs = {
        "facts": facts(seed, "nearby"),
        "initiator": end(anna, "nearby"),
        "responder": end(bob, "nearby"),
    }
    group, both = Group("7.4", inputs), ("initiator", "responder")
    course = Course(inputs).words_shown().confirms(*both).arrives("initiator").arrives("responder")
    course.stores(*both).arrives("initiator").arrives("responder")
    group.add("both confirm at once", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).words_shown().confirms("initiator").arrives("responder").confirms("responder")
    course.stores("responder").arrives("initiator", 2).stores("initiator").arrives("responder")
    group.add("the initiator first, and last to store", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).words_shown().confirms("responder").arrives("initiator").confirms("initiator")
    course.stores("initiator").arrives("responder", 2).stores("responder").arrives("initiator")
    group.add("the responder first, and last to store", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).words_shown()
    course.does("responder", "refuse")
    course.arrives("initiator")
    group.add("the words differ: the responder refuses", ["Ended"], SUCCESS, course.steps)
    course = Course(inputs).words_shown().confirms(*both).arrives("initiator").stores("initiator")
    course.does("initiator", "receive", message=encode(Close(3)).hex())
    group.add("refused after a contact is pending", ["Ended"], SUCCESS, course.steps)
    return group


def _again(seed: Seed) -> Group:
    """Bob has added a terminal since Anna paired with him."""
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    held = [signed.hex() for signed in bob.log.values()]
    bob.add("add second", bob.first, bob.terminal("second"))
    inputs = {
        "facts": facts(seed, "again"),
        "initiator": end(anna, "nearby", held=held),
        "responder": end(bob, "nearby"),
    }
    group = Group("7.4", inputs)
    course = Course(inputs).words_shown().confirms("initiator", "responder").arrives("initiator")
    group.add("only what is new of a known log is stored", ["Again"], SUCCESS, course.steps)
    for comment, ends in _renewed(seed, anna):
        course = Course(inputs | ends).words_shown().confirms("initiator", "responder").arrives("initiator")
        group.add(comment, ["Again"], SUCCESS, course.steps, **ends)
    squatter = Person(seed, "squatter", "Mallory")
    squatter.add("add", squatter.first, Terminal(seed.bytes("squatter signing"), bob.first.secret))
    held = [signed.hex() for signed in squatter.log.values()]
    ends = {"initiator": end(anna, "nearby", held=held)}
    course = Course(inputs | ends).words_shown().confirms("initiator", "responder").arrives("initiator")
    comment = "the other's static key stands in the log of a contact, too"
    group.add(comment, ["Shared"], SUCCESS, course.steps, **ends)
    for actor, owner, claimed, comment in (
        ("initiator", "anna", bob, "the other's static key is claimed in the receiver's own log"),
        ("responder", "bob", anna, "the receiver's static key is claimed in the log of the other"),
    ):
        writer = Person(seed, owner, owner.title())
        writer.add("claim", writer.first, Terminal(seed.bytes(f"{owner} claims"), claimed.first.secret))
        ends = {actor: end(writer, "nearby")}
        course = Course(inputs | ends).words_shown().confirms("initiator", "responder").arrives("initiator")
        group.add(comment, ["Shared"], SUCCESS, course.steps, **ends)
    return group


def _renewed(seed: Seed, anna: Person) -> Iterator[tuple[str, Json]]:
    """Bob's Record has a share of a Renew, which his log has or the one that Anna holds."""
    bob = Person(seed, "renewed bob", "Bob")
    bob.renew("renew", bob.first)
    whole = end(bob, "nearby", drawn=drawn(bob, "renew"))
    yield "a share of a Renew", {"responder": whole}
    before, held = whole["operations"][:-1], whole["operations"]
    comment = "a share of a Renew that the log has which is held, and the Record has not"
    ends = {"responder": whole | {"operations": before}}
    yield comment, ends | {"initiator": end(anna, "nearby", held=held)}


def _invited(seed: Seed) -> Group:
    joiner, inviter = Person(seed, "joiner", "Anna"), Person(seed, "inviter", "Bob")
    check = invitation_check(inviter.id, inviter.first.static).hex()
    inputs = {
        "facts": facts(seed, "invited"),
        "initiator": end(joiner, "joiner", check=check),
        "responder": end(inviter, "inviter"),
    }
    group = Group("7.5", inputs)
    course = Course(inputs).starts().arrives("responder").confirms("responder").arrives("initiator")
    course.stores("initiator", "responder").arrives("responder").arrives("initiator")
    group.add("a whole pairing by invitation", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).starts().arrives("responder").confirms("responder").stores("responder")
    course.arrives("initiator", 2).stores("initiator").arrives("responder")
    group.add("the joiner stores last", ["Course"], SUCCESS, course.steps)
    course = Course(inputs).starts().arrives("responder")
    course.does("responder", "refuse")
    course.arrives("initiator")
    group.add("the inviter does not know who joins", ["Ended"], SUCCESS, course.steps)
    return group


def _long(seed: Seed) -> Group:
    """Logs of one operation more than a Record has room for; a receiver takes them in any pieces."""
    joiner, inviter = Person(seed, "joiner", "Anna"), Person(seed, "inviter", "Bob")
    by, parent = inviter.first, inviter.id_of("rename")
    for count in range(2, LOG_OPERATIONS_MAX + 1):
        operation = Rename(inviter.id, by.id, [parent], "Bob")
        parent = parse_operation(inviter.write(f"rename {count}", operation, by.seed)).id
    check = invitation_check(inviter.id, by.static).hex()
    inputs = {
        "facts": facts(seed, "long"),
        "initiator": end(joiner, "joiner", check=check),
        "responder": end(inviter, "inviter"),
    }
    group = Group("5.10", inputs)
    course = Course(inputs).starts().arrives("responder").confirms("responder").arrives("initiator", 2)
    course.stores("initiator", "responder").arrives("responder").arrives("initiator")
    group.add("257 operations: 256 before the Record, and one in it", ["Course"], SUCCESS, course.steps)
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "小雨")
    ends: Json = {"initiator": end(anna, "nearby"), "responder": end(bob, "nearby")}
    whole = record(inputs | ends, "initiator")
    course = Course(inputs | ends).words_shown()
    for message in (LogOperations(whole.operations[:1]), replace(whole, operations=whole.operations[1:])):
        course.does("responder", "receive", message=encode(message).hex())
    course.confirms("responder").confirms("initiator").arrives("initiator").stores("initiator", "responder")
    group.add(
        "one operation before the Record, while words are compared", ["Course"], SUCCESS, course.steps, **ends
    )
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    courses = [make(seed) for make in (_values, _nearby, _again, _invited, _long)]
    asked = [_rivals(seed), _pending(seed), _versions(seed), _names(seed)]
    return build_file(seed, NOTES, [*courses, *refused_groups(seed), *invitation_groups(seed), *asked])


def _rivals(seed: Seed) -> Group:
    """Both persons begin at once; both ends decide alike."""
    group, world = Group("7.4", {}), World({})
    low, high = sorted((seed.bytes(f"h {n}") * 2).hex() for n in range(2))
    near = high[:-2] + f"{int(high[-2:], 16) ^ 1:02x}"
    for comment, one, other in (
        ("the lower h goes on", low, high),
        ("the higher h ends", high, low),
        ("they differ in the last bit", *sorted((high, near))),
    ):
        steps = one_step(ACTIONS, world, "both_began", h=one, other_h=other)
        group.add(f"both begin at once: {comment}", ["Rivals"], SUCCESS, steps)
    return group


def _pending(seed: Seed) -> Group:
    """24 h, by the clock of this terminal."""
    group, world, stored = Group("7.4", {}), World({}), _EXPIRES * 1_000
    day = PENDING_SECONDS * 1_000
    for comment, now in (
        ("a millisecond before 24 h", stored + day - 1),
        ("after 24 h", stored + day),
        ("the clock was set back", stored - 10 * day),
    ):
        steps = one_step(ACTIONS, world, "forgotten", stored=stored, now=now)
        group.add(f"a pending contact: {comment}", ["Pending"], SUCCESS, steps)
    return group


def _versions(seed: Seed) -> Group:
    """What V-IN-03 does not read as another version."""
    group, whole = Group("7.5", {}), _encoded(seed)
    for comment, data in {
        "version 2 as uint 8": whole[:1] + b"\xcc\x02" + whole[2:],
        "version 256": _encoded(seed, version=256),
        "version 2 in an array of 16 elements": encode([2, *range(15)]),
        "a version that is a byte string": encode([b"\x02", "something else"]),
        "version 1 of another shape": encode([1, "something else"]),
    }.items():
        step = {"do": "read", "text": _text(data)}
        group.add(comment, ["BadInvitation"], "malformed", [step], rule="V-IN-04")
    step = {"do": "read", "text": _text(encode([2]) + b"whatever follows")}
    group.add("version 2, and bytes after it", ["BadInvitation"], "unexpected", [step], rule="V-IN-03")
    return group


def _names(seed: Seed) -> Group:
    """The name of a Record is that of its own log, whatever is held of its person."""
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    bob.rename("renamed", bob.first, "Robert")
    held = [signed.hex() for signed in bob.log.values()]
    sent = end(bob, "nearby") | {
        "operations": [bob.log[name].hex() for name in ("genesis", "rename")],
    }
    ends = {"initiator": end(anna, "nearby", held=held), "responder": sent}
    inputs = {"facts": facts(seed, "names"), **ends}
    group = Group("5.10", inputs)
    course = Course(inputs).words_shown().confirms("initiator", "responder").arrives("initiator")
    comment = "the name that was shown, though the log that is held has a later one"
    group.add(comment, ["Again"], SUCCESS, course.steps)
    course = Course(inputs).starts().arrives("responder")
    course.does("initiator", "receive", message=encode(Reveal(bytes(32), "Robert")).hex())
    steps = course.confirms("initiator").refusing("initiator", encode(record(inputs, "responder")))
    comment = "the name of the log that is held was shown, and the Record has an earlier one"
    group.add(comment, ["BadRecord"], "untrusted", steps, rule="V-RC-03")
    nameless = remade(inputs, "responder", operations=[bob.log["genesis"]])
    course = Course(inputs).words_shown().confirms("initiator", "responder")
    steps = course.refusing("initiator", nameless)
    comment = "a log without a name, though the log that is held has one"
    group.add(comment, ["BadRecord"], "untrusted", steps, rule="V-RC-03")
    return group
