"""Makes the vectors of delivery: heads, what is sent for them, receipts, typing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Final

from protocol.codec import encode
from protocol.entries_and_receipts import READ, STORED, conversation_of_two, receipt_for
from protocol.history import heads
from protocol.limits import RECEIPT_IDS_MAX
from protocol.messages import Entry, Head, Heads, HeadsHash, Receipt, Typing
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.receipts import ACTIONS, AREA
from tests.vectors.entries import Talk
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.persons_log import Person

NOTES: Final = {
    "Open": ("BASIC", "What is sent first on a link that has opened."),
    "Claims": ("EDGE_CASE", "A head whose author and sequence are not those of its id."),
    "Heads": ("BASIC", "Heads of what is held, their hash, and the messages."),
    "Missing": ("BASIC", "Which heads ask for bodies that are missing."),
    "Bodies": ("BASIC", "What becomes of a body, and which entries are acknowledged."),
    "Forks": ("RESOURCES", "An author whose chain forks more often than its heads are named."),
    "Pages": ("EDGE_CASE", "Heads that several messages name."),
    "BadPage": ("RESOURCES", "A page of heads of another form."),
    "Lacking": ("BASIC", "Which entries the other side's heads do not cover."),
    "Receipt": ("BASIC", "Whose receipt it is, and which of its ids count."),
    "State": ("BASIC", "What may be said of an own entry."),
    "Typing": ("BASIC", "The contact types, or stops."),
    "Elsewhere": ("AUTHENTICITY", "A conversation in which the other side has no part."),
    "Removed": ("AUTHENTICITY", "A terminal that is no longer live in its person's log."),
}


def _talk(seed: Seed) -> Talk:
    """Both write, one of them from a copy of a profile too."""
    talk = Talk(seed, "delivery")
    talk.write("a1", "their")
    talk.write("b1", "own", parents=["a1"], ms=1_000)
    talk.write("a2", "their", "a1", ["b1"], ms=-60_000)
    talk.write("b2", "own", "b1", ["a2"], ms=3_000)
    talk.write("a3", "their", "a2", ["b2"], ms=4_000)
    copied = seed.bytes("copied")[:8]
    talk.write("a2 copied", "their", "a1", ms=2_000, incarnation=copied)
    talk.write("b1 elsewhere", "own", conversation=seed.bytes("another conversation"))
    talk.write("a4", "their", "a3", ms=5_000)
    talk.write("b after a1", "own", "a1", ms=6_000)
    return talk


def _inputs(talk: Talk, **more: Any) -> Json:
    persons = {"own_person": talk.own.hex(), "contact": talk.their.hex()}
    return persons | {"entries": talk.named()} | more


_CHAIN: Final = ["a1", "b1", "a2", "b2", "a3"]


def _heads_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("11.4", _inputs(talk))
    for comment, names in (
        ("nothing is held", []),
        ("one entry", ["a1"]),
        ("two chains", _CHAIN),
        ("a chain in another order of arrival", _CHAIN[::-1]),
        ("a fork has two heads", [*_CHAIN, "a2 copied"]),
        ("what lies before a gap is a head too", ["a1", "a3"]),
        ("an entry of another conversation", ["a1", "b1 elsewhere"]),
    ):
        steps = one_step(ACTIONS, group.inputs, "heads", held=names)
        group.add(comment, ["Heads"], SUCCESS, steps)
    return group


def _asking_group(seed: Seed) -> Group:
    """What is asked for missing bodies, and what becomes of bodies as they come."""
    talk = _talk(seed)
    group = Group("11.4", _inputs(talk))
    for comment, names, wanted in (
        ("a missing body: the chain ends before it", _CHAIN, ["a3"]),
        ("the first of a chain: the chain is not named", _CHAIN, ["a1"]),
        ("two of one chain: the chain ends before the first", _CHAIN, ["a2", "a3"]),
        ("of both chains", _CHAIN, ["b2", "a2"]),
        ("one whose previous entry is not held", ["a1", "b1", "a3"], ["a3"]),
        ("on one branch of a fork: the branch that ends before it stays", [*_CHAIN, "a2 copied"], ["a3"]),
        ("at the root of a fork: no branch is named", [*_CHAIN, "a2 copied"], ["a1"]),
        ("one whose previous entry is of another author", ["a1", "a2", "b after a1"], ["b after a1"]),
    ):
        steps = one_step(ACTIONS, group.inputs, "heads", held=names, wanted=wanted)
        group.add(comment, ["Missing"], SUCCESS, steps)
    for comment, theirs in (
        ("the other side names all", _CHAIN),
        ("and this one too", ["a1", "b1", "a2", "b2"]),
    ):
        message = _said(group.inputs, theirs)["heads_hash_message"]
        given = {"held": _CHAIN, "wanted": ["a3"], "message": message}
        steps = one_step(ACTIONS, group.inputs, "receive_heads_hash", **given)
        group.add(f"HeadsHash with a missing body: {comment}", ["Missing"], SUCCESS, steps)
    whole = {"message": encode(talk.entries["a1"].message()).hex()}
    alone = {"message": encode(Entry(talk.entries["a1"].header_bytes, b"", b"")).hex()}
    gone, other = {"delete": "a1"}, {"message": encode(talk.entries["b1"].message()).hex()}
    for comment, what in (
        ("an entry with its body", [whole]),
        ("a header alone: its body is missing", [alone]),
        ("a header alone, and again", [alone, alone]),
        ("a missing body is filled", [alone, other, whole]),
        ("a header alone takes no body away", [whole, alone]),
        ("a deleted body stays deleted", [whole, gone, whole]),
        ("a missing body that was deleted stays deleted", [alone, gone, whole]),
        ("a deleted body, and a header alone", [whole, gone, alone]),
    ):
        steps = one_step(ACTIONS, group.inputs, "arrive", what=what)
        group.add(comment, ["Bodies"], SUCCESS, steps)
    return group


def _said(inputs: Json, names: Sequence[str]) -> Json:
    """What the other side says when it holds these."""
    return ACTIONS["heads"](inputs, {"held": list(names)})


def _answers_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("11.4", _inputs(talk))
    for comment, mine, theirs in (
        ("the same on both sides", _CHAIN, _CHAIN),
        ("nothing on either side", [], []),
        ("the other side holds more", ["a1"], _CHAIN),
        ("the other side holds nothing", _CHAIN, []),
    ):
        message = _said(group.inputs, theirs)["heads_hash_message"]
        steps = one_step(ACTIONS, group.inputs, "receive_heads_hash", held=mine, message=message)
        group.add(f"HeadsHash: {comment}", ["Heads"], SUCCESS, steps)
    fork = [*_CHAIN, "a2 copied"]
    for comment, mine, theirs in (
        ("the other side holds nothing: all, in the order of the conversation", _CHAIN, []),
        ("the other side holds all", _CHAIN, _CHAIN),
        ("the end of one chain", _CHAIN, ["a1", "b1", "a2", "b2"]),
        ("one chain and the end of the other", _CHAIN, ["a1", "b1"]),
        ("the other side holds more than this one", ["a1", "b1"], _CHAIN),
        ("one branch of a fork", fork, _CHAIN),
        ("the other branch of a fork", fork, ["a1", "b1", "b2", "a2 copied"]),
        ("a head that is not held covers nothing", _CHAIN, ["a1", "a2", "a3", "a4"]),
    ):
        (message,) = _said(group.inputs, theirs)["heads_messages"]
        steps = one_step(ACTIONS, group.inputs, "receive_heads", held=mine, message=message)
        group.add(f"Heads: {comment}", ["Lacking"], SUCCESS, steps)
    return group


def _forked(seed: Seed) -> Talk:
    """The contact's chain forks six times; this person writes one entry."""
    talk = Talk(seed, "forked")
    talk.write("a1", "their")
    for number in range(6):
        copied = seed.bytes(f"copy {number}")[:8]
        talk.write(f"fork {number}", "their", "a1", ms=number, incarnation=copied)
    talk.write("longer", "their", "fork 0", ms=100)
    talk.write("b1", "own", parents=["a1"], ms=1_000)
    return talk


def _forks_group(seed: Seed) -> Group:
    talk = _forked(seed)
    group = Group("11.4", _inputs(talk))
    forks = [f"fork {number}" for number in range(6)]
    for comment, names in (
        ("four forks, and all are named", ["a1", *forks[:4], "b1"]),
        ("six forks: those with the highest ids, and another author's head", ["a1", *forks, "b1"]),
        ("the longest of six forks is named", ["a1", *forks, "longer", "b1"]),
    ):
        group.add(comment, ["Forks"], SUCCESS, one_step(ACTIONS, group.inputs, "heads", held=names))
    everything = ["a1", *forks, "longer", "b1"]
    (told,) = _said(group.inputs, everything)["heads_messages"]
    for comment, mine, message in (
        ("what the named forks do not lead to is not sent", everything, _said(group.inputs, ["a1", "b1"])),
        ("six forks on both sides", everything, {"heads_messages": [told]}),
    ):
        (said,) = message["heads_messages"]
        steps = one_step(ACTIONS, group.inputs, "receive_heads", held=mine, message=said)
        group.add(f"Heads: {comment}", ["Forks", "Lacking"], SUCCESS, steps)
    return group


def _author(number: int) -> bytes:
    return bytes([number]) * 32


def _head(author: int, sequence: int, entry: int = 0) -> Head:
    return Head(_author(author), sequence, bytes([author, entry]) * 16)


def _pages_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("11.4", _inputs(talk))
    full = [_head(author, 9, entry) for author in range(63) for entry in range(4)]
    straddling = [*full, *(_head(100, 5, entry) for entry in range(3)), _head(101, 1), _head(101, 2)]
    for comment, some in (
        ("no heads: one page", []),
        ("256 heads of 64 authors: one page", [*full, *(_head(200, 3, entry) for entry in range(4))]),
        ("the heads of one author stand on one page", straddling),
        ("five heads of one author, two of another, in another order", [
            *(_head(7, sequence) for sequence in (5, 3, 4, 9, 1)), _head(3, 8, 2), _head(3, 8, 1),
        ]),
    ):  # fmt: skip
        steps = one_step(ACTIONS, group.inputs, "pages", encoded_heads=encode(some).hex())
        group.add(comment, ["Pages"], SUCCESS, steps)
    first, last = heads({entry.id: entry.header for name in _CHAIN for entry in [talk.entries[name]]})
    for comment, page in (
        ("the first of two pages: its author's entries alone", (b"", [first], True)),
        ("the last of two pages", (first.author, [last], False)),
        ("the last page is empty: everything of the authors after the first one", (first.author, [], False)),
        ("a page after the last author", (last.author, [], False)),
        ("a page of other authors", (b"", [_head(0, 1)], True)),
    ):
        said = encode(Heads(talk.conversation, *page)).hex()
        steps = one_step(ACTIONS, group.inputs, "receive_heads", held=_CHAIN, message=said)
        group.add(f"Heads: {comment}", ["Pages", "Lacking"], SUCCESS, steps)
    for rule, comment, page in _bad_pages(first, last):
        said = encode(Heads(talk.conversation, *page)).hex()
        step = {"do": "receive_heads", "held": _CHAIN, "message": said}
        group.add(comment, ["BadPage"], "malformed", [step], rule=rule)
    return group


def _bad_pages(first: Head, last: Head) -> Iterator[tuple[str, str, tuple[bytes, list[Head], bool]]]:
    yield "V-CD-03", "an author of 33 bytes", (bytes(33), [last], False)
    for size in (1, 31):
        yield "V-HD-02", f"an author of {size} bytes", (bytes(size), [last], False)
    yield "V-HD-02", "more is to follow an empty page", (b"", [], True)
    yield "V-HD-02", "more is to follow an empty page after an author", (first.author, [], True)
    for comment, heads_of_page in {
        "a head twice": [first, first],
        "authors that descend": [last, first],
        "sequences that descend": [_head(5, 2), _head(5, 1)],
        "ids that descend": [_head(5, 2, 1), _head(5, 2, 0)],
        "five heads of one author": [_head(5, sequence) for sequence in range(1, 6)],
        "five heads of the second author": [_head(4, 1), *(_head(5, sequence) for sequence in range(1, 6))],
    }.items():
        yield "V-HD-03", comment, (b"", heads_of_page, False)
    yield "V-HD-03", "the author after whom the page begins", (first.author, [first, last], False)
    yield "V-HD-03", "an author before the page", (last.author, [first], False)


def _elsewhere_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("5.15", _inputs(talk))
    others = {
        "the contact's conversation with a third": conversation_of_two(talk.their, seed.bytes("third")),
        "this person's conversation with a third": conversation_of_two(talk.own, seed.bytes("third")),
        "the contact's id in place of the conversation": talk.their,
    }
    for comment, conversation in others.items():
        for do, rule, message in (
            ("receive_heads_hash", "V-HH-01", HeadsHash(conversation, bytes(32))),
            ("receive_heads", "V-HD-01", Heads(conversation, b"", [], more=False)),
            ("receive_typing", "V-TY-01", Typing(conversation, True)),
        ):
            step = {"do": do, "held": [], "message": encode(message).hex()}
            name = type(message).__name__
            group.add(f"{name}: {comment}", ["Elsewhere"], "untrusted", [step], rule=rule)
    for on in (True, False):
        said = encode(Typing(talk.conversation, on)).hex()
        steps = one_step(ACTIONS, group.inputs, "receive_typing", message=said)
        group.add("the contact types" if on else "the contact stops", ["Typing"], SUCCESS, steps)
    return group


def _receipts_group(seed: Seed) -> Group:
    talk, bob = _talk(seed), Person(seed, "bob", "Bob")
    second = bob.terminal("second")
    bob.add("add", bob.first, second)
    before = list(bob.named().values())
    bob.remove("remove", bob.first, second)
    log = list(bob.named().values())
    own = [talk.terminal("own").hex()]
    group = Group("5.18", _inputs(talk, contact_log=log, own_terminals=own))
    static, gone = bob.first.static.hex(), second.static.hex()
    held = [*_CHAIN, "b1 elsewhere"]
    ids = {name: talk.entries[name].id for name in held}

    def receipt(kind: int, *names: str, more: Sequence[bytes] = ()) -> str:
        return encode(receipt_for(kind, [*(ids[name] for name in names), *more])).hex()

    for comment, message in (
        ("stored", receipt(STORED, "b1")),
        ("read, two of them", receipt(READ, "b2", "b1")),
        ("the contact's own entry is passed over", receipt(STORED, "a1", "b1")),
        ("an entry of another conversation is passed over", receipt(STORED, "b1 elsewhere", "b2")),
        ("an id that is not held is passed over", receipt(STORED, "b1", more=[bytes(32)])),
        ("nothing of it counts", receipt(READ, "a1")),
    ):
        given = {"held": held, "message": message, "static": static}
        steps = one_step(ACTIONS, group.inputs, "receive_receipt", **given)
        group.add(comment, ["Receipt"], SUCCESS, steps)
    given = {"held": held, "message": receipt(STORED, "b1"), "static": gone}
    steps = one_step(ACTIONS, group.inputs | {"contact_log": before}, "receive_receipt", **given)
    comment = "a second terminal, before it was removed"
    group.add(comment, ["Receipt"], SUCCESS, steps, contact_log=before)
    unknown = given | {"static": bob.terminal("third").static.hex()}
    for comment, step in (("a terminal that was removed", given), ("a terminal of nobody", unknown)):
        group.add(comment, ["Removed"], "untrusted", [{"do": "receive_receipt"} | step], rule="V-RP-01")
    low, high = sorted((ids["b1"], ids["b2"]))
    for comment, named in (
        ("one entry twice", [low, low]),
        ("one entry as often as a receipt may name entries", [low] * RECEIPT_IDS_MAX),
        ("two entries descending", [high, low]),
        ("one entry twice, not in a row", [low, high, low]),
    ):
        given = {"held": held, "message": encode(Receipt(STORED, named)).hex(), "static": static}
        step = {"do": "receive_receipt"} | given
        group.add(comment, ["Receipt"], "malformed", [step], rule="V-RP-02")
    return group


def _states_group(_: Seed) -> Group:
    group = Group("11.5", {})
    for kinds in ([], [STORED], [READ], [STORED, READ]):
        for carried, destroyed in product((False, True), repeat=2):
            steps = one_step(ACTIONS, {}, "state", kinds=kinds, carried=carried, destroyed=destroyed)
            where = "a link that is open has carried it" if carried else "no open link has carried it"
            body = ", its body is destroyed" if destroyed else ""
            group.add(f"receipts of kind {kinds or 'none'}, {where}{body}", ["State"], SUCCESS, steps)
    return group


def _note_states_group(seed: Seed) -> Group:
    """This terminal, two others of the person, and one that was removed."""
    group = Group("11.10", {})
    here, desk, phone, removed = (seed.bytes(name).hex() for name in ("here", "desk", "phone", "removed"))
    for comment, author, stored, others in (
        ("a person with one terminal", here, [], []),
        ("nobody else has it yet", here, [], [desk, phone]),
        ("one of two others has it", here, [phone], [desk, phone]),
        ("another one wrote it", desk, [], [desk, phone]),
        ("only a removed terminal has it", here, [removed], [desk]),
        ("a removed terminal wrote it", removed, [], [desk]),
        ("a removed terminal wrote it, and another one has it", removed, [desk], [desk]),
        ("this terminal has it, as ever", here, [here], [desk]),
    ):
        given = {"author": author, "stored": stored, "others": others}
        group.add(comment, ["State"], SUCCESS, one_step(ACTIONS, {}, "note_state", **given))
    return group


def _open_group(seed: Seed) -> Group:
    """What is sent first on a link that has opened, in this order."""
    talk, alice, bob = _talk(seed), Person(seed, "alice", "Alice"), Person(seed, "bob", "Bob")
    author = talk.entries["b1"].header.author.hex()
    group = Group("11.4", _inputs(talk, own_terminal=author))
    log_heads, own_log_heads = ([head.hex() for head in one.state().heads] for one in (bob, alice))
    logs = {"log_heads": log_heads, "own_log_heads": own_log_heads}
    nothing: Json = {"held": [], **logs, "port": 0, "read": [], "acknowledged": []}
    for comment, changes in (
        ("nothing is held, and this terminal does not listen", {}),
        ("this terminal listens", {"port": 4747}),
        ("two entries wait", {"held": _CHAIN}),
        ("two entries wait, and came in another order", {"held": _CHAIN[::-1]}),
        ("one of them was acknowledged", {"held": _CHAIN, "acknowledged": ["b1"]}),
        ("all were acknowledged", {"held": _CHAIN, "acknowledged": ["b1", "b2"], "port": 65_535}),
        ("two entries of the contact were read", {"held": _CHAIN, "read": ["a2", "a1"]}),
        ("everything", {"held": _CHAIN, "read": ["a1", "a2", "a3"], "port": 4747}),
        ("an entry of another conversation does not wait here", {"held": ["a1", "b1 elsewhere"]}),
    ):
        steps = one_step(ACTIONS, group.inputs, "open", **(nothing | changes))
        group.add(comment, ["Open"], SUCCESS, steps)
    return group


def _claims_group(seed: Seed) -> Group:
    """What a head covers is its id's alone; its author and sequence place it on the page."""
    talk = _talk(seed)
    group = Group("5.16", _inputs(talk))
    a2, b1 = (talk.entries[name] for name in ("a2", "b1"))
    mine, their = b1.header.author, a2.header.author
    low, high = sorted((mine, their))
    for comment, page in (
        ("another sequence than the entry has", [Head(their, 77, a2.id)]),
        ("sequence 0", [Head(their, 0, a2.id)]),
        ("the other author's id", [Head(mine, 1, a2.id)]),
        ("an author of nobody", [Head(b"\xff" * 32, 1, a2.id)]),
        ("two ids in each other's place", [Head(low, 1, a2.id if low == mine else b1.id),
                                           Head(high, 1, b1.id if low == mine else a2.id)]),
    ):  # fmt: skip
        said = encode(Heads(talk.conversation, b"", page, more=False)).hex()
        steps = one_step(ACTIONS, group.inputs, "receive_heads", held=_CHAIN, message=said)
        group.add(f"Heads: {comment}", ["Claims", "Lacking"], SUCCESS, steps)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (
        _heads_group,
        _asking_group,
        _answers_group,
        _elsewhere_group,
        _receipts_group,
        _states_group,
        _note_states_group,
        _forks_group,
        _pages_group,
        _open_group,
        _claims_group,
    )
    return build_file(seed, NOTES, [make(seed) for make in makers])
