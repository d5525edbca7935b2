"""Every kind of entry in every readable form: what the file shows, and which change of it is refused.

The checksum refuses any change. With a checksum that was computed again, the bytes of the entries still
refuse each change but of what they do not say, which UNPROVEN names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from chat.interface import EntryKind, EntryState
from chat.service.export_check import verified, verify
from chat.service.formats import (
    ABSENT,
    CLAIMED,
    FORMS,
    KINDS,
    Known,
    NotVerified,
    Speakers,
    shown,
)
from chat.service.views import utc
from protocol import entries_and_receipts as kinds
from protocol.attachments import file_body
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.bots import bot_body
from protocol.entries_and_receipts import EntryPlace, ParsedEntry, conversation_of, parse_entry, write_entry
from protocol.messages import BotBody, BotCommand, CutHead, Entry, FileBody
from protocol.notes import deletion, state_body

ADA, BEN = bytes([1]) * 32, bytes([2]) * 32
TERMINALS = {ADA: bytes([3]) * 32, BEN: bytes([4]) * 32}
TIME = utc(1_767_225_600_000)
UNKNOWN = 200
NAMED = FileBody("plan.txt", "text/plain", 7, 1, bytes(32), bytes(32), ["holiday", "2027"], 0)

BODIES: Final = {
    kinds.KIND_TEXT: kinds.text_body("did you take it?", bytes([9]) * 32),
    kinds.KIND_CUT: kinds.cut_body(bytes([5]) * 32, [CutHead(bytes(8), 1, bytes([6]) * 32)]),
    kinds.KIND_DELETE: kinds.delete_body([bytes([7]) * 32]),
    kinds.KIND_EDIT: kinds.edit_body(bytes([7]) * 32, "no, I did"),
    kinds.KIND_TIMER: kinds.timer_body(3_600),
    kinds.KIND_STATE: state_body([deletion(bytes([7]) * 32)]),
    kinds.KIND_BOT: bot_body(BotBody(True, [BotCommand("echo", "says the same")])),
    kinds.KIND_FILE: file_body(NAMED),
    UNKNOWN: b"of a later version",
}
SAID = {kinds.KIND_TEXT: "did you take it?", kinds.KIND_EDIT: "no, I did", kinds.KIND_FILE: "plan.txt"}

every_kind = pytest.mark.parametrize("kind", sorted({*kinds.KINDS, UNKNOWN}))
every_form = pytest.mark.parametrize("form", FORMS)


def entry_of(
    kind: int, author: bytes = BEN, other: bytes = ADA, body: bytes = b"", number: int = 0
) -> ParsedEntry:
    place = EntryPlace(
        conversation_of(author, other), TERMINALS[author], bytes([number]) * 8, None, [], [bytes([8]) * 32]
    )
    return write_entry(
        place, 1_767_225_600_000 + number, kind, body or BODIES[kind], b"k" * 32, lambda n: b"s" * n
    )


def header_of(entry: ParsedEntry) -> ParsedEntry:
    return parse_entry(Entry(entry.header_bytes, b"", b""))


def exported(
    form: str,
    *some: tuple[ParsedEntry, Known],
    own: str = "Ada",
    contact: str = "Ben",
    person: bytes = BEN,
) -> str:
    """A file of one conversation."""
    writer, conversation = FORMS[form], conversation_of(ADA, person)
    who = Speakers(ADA.hex(), own, person.hex(), contact)
    root = RootHash(conversation)
    text = writer.begin(who.own, own, TIME) + writer.talk(conversation.hex(), who.person, contact)
    for entry, known in some:
        root.add(entry.id, entry.header.content if entry.has_body else NOT_HELD)
        text += writer.entry(shown(entry, who, known))
    text += writer.end_talk(conversation.hex(), root.count, root.root.hex())
    return sealed(form, text + writer.end(root.count, history_root([(conversation, root.root)]).hex()))


def sealed(form: str, text: str) -> str:
    return text + FORMS[form].seal(sha256(text.encode()).hexdigest())


def again(form: str, text: str) -> str:
    """A file with a checksum that fits."""
    return sealed(form, "".join(text.splitlines(keepends=True)[:-1]))


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def refused(text: str) -> bool:
    try:
        verify(lines(text))
    except NotVerified:
        return True
    return False


RECEIVED = Known(own=False, state=EntryState.RECEIVED)
SENT = Known(own=True, state=EntryState.READ)


def test_every_kind_of_the_protocol_has_a_name_in_files_and_a_body_here() -> None:
    assert set(KINDS) == kinds.KINDS
    assert set(BODIES) == {*kinds.KINDS, UNKNOWN}


def changes(text: str) -> Iterator[str]:
    """The text with one other character: in each place, of a run of digits in one."""
    for found in re.finditer(r"[0-9a-f]{16,}|.", text, re.DOTALL):
        at = found.start()
        yield text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]


@every_form
@every_kind
def test_a_file_with_any_kind_is_whole_and_refused_with_one_byte_changed(kind: int, form: str) -> None:
    noted = kind == kinds.KIND_STATE
    entry = entry_of(kind, *((ADA, ADA) if noted else ()))
    who = {"person": ADA, "contact": "Notes"} if noted else {}
    known = Known(own=True, state=EntryState.KEPT) if noted else RECEIVED
    text = exported(form, (entry, known), **who)  # type: ignore[arg-type]
    totals = verify(lines(text))
    assert (totals.entries, totals.conversations) == (1, 1)
    assert bool(totals.root) is (form != "markdown")
    assert SAID.get(kind, "").replace(".", r"\." if form == "markdown" else ".") in text
    begin = len(lines(text)[0]) if kind != kinds.KIND_TEXT else 0
    for changed in changes(text[begin:]):
        assert refused(text[:begin] + changed), changed


@every_form
def test_name_size_and_folders_of_a_file_stand_in_every_form(form: str) -> None:
    voice = replace(NAMED, seconds=65, name="voice \u202egnp", folder=[])
    some = [entry_of(kinds.KIND_FILE), entry_of(kinds.KIND_FILE, body=file_body(voice), number=1)]
    text = exported(form, *((one, RECEIVED) for one in some))
    if form == "jsonl":
        found = [json.loads(line)["file"] for line in lines(text) if '"id"' in line]
        named = {"name": "plan.txt", "folder": "holiday/2027", "media": "text/plain", "size": 7, "seconds": 0}
        assert found == [named, named | {"name": "voice gnp", "folder": "", "seconds": 65}]
        return
    text = text.replace("\\", "")
    assert "(7 bytes, text/plain) holiday/2027/plan.txt" in text
    assert "(7 bytes, text/plain, 65 seconds) voice gnp" in text


@every_form
@pytest.mark.parametrize("absent", ABSENT)
def test_an_entry_without_its_body_is_shown_as_what_is_known_of_it(absent: EntryKind, form: str) -> None:
    for kind in kinds.KINDS - {kinds.KIND_STATE}:
        text = exported(form, (header_of(entry_of(kind)), replace(RECEIVED, absent=absent)))
        assert verify(lines(text)).entries == 1
        assert (absent.value in text) is (kind not in (kinds.KIND_EDIT, kinds.KIND_DELETE))


def test_an_entry_without_its_body_is_never_shown_as_one_with_it() -> None:
    text = exported("jsonl", (header_of(entry_of(kinds.KIND_TEXT)), replace(RECEIVED, absent="deleted")))
    for kind in ("text", "file", "unknown", "", "state"):
        assert refused(again("jsonl", text.replace('"deleted"', f'"{kind}"')))


@every_form
@pytest.mark.parametrize("claimed", CLAIMED)
def test_a_claim_is_shown_as_what_somebody_says_and_spoils_nothing(claimed: str, form: str) -> None:
    """Also after an own entry of the same terminal."""
    own = entry_of(kinds.KIND_TEXT, ADA, BEN, number=1)
    text = exported(
        form, (own, SENT), (entry_of(kinds.KIND_TEXT, ADA, BEN), replace(RECEIVED, claimed=claimed))
    )
    assert verify(lines(text)).entries == 2
    if form != "jsonl":
        assert text.count(CLAIMED[claimed] + " · ") == 1
        assert text.count("You · ") == 1
    elif claimed:
        assert refused(again(form, text.replace('"own": false', '"own": true')))


@pytest.mark.parametrize("name", ["You", "Ada", "Ada (you)", "You · Ada", "**", "<b>", "a\nb", ""])
@every_form
def test_a_contact_looks_like_oneself_under_no_name(name: str, form: str) -> None:
    some = (entry_of(kinds.KIND_TEXT), RECEIVED), (entry_of(kinds.KIND_TEXT, ADA, BEN, number=1), SENT)
    text = exported(form, *some, contact=name)
    assert verify(lines(text)).entries == 2
    if form == "jsonl":
        found = [json.loads(line) for line in lines(text)]
        assert [one["own"] for one in found if "id" in one] == [False, True]
        return
    said = "<small>" if form == "html" else "\n"
    assert [text.count(f"{said}{one} · ") for one in ("You", "Contact")] == [1, 1]


# --- With a checksum that was computed again ---


UNPROVEN: Final = {"name", "contact", "exported", "own", "state"}
"""With `claimed`, and why a body is absent: what the bytes of entries do not say, so that the checksum alone
covers it.
"""


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {**value, "size": value["size"] + 1}
    if value in set(EntryState):
        return EntryState.SENT.value
    if re.fullmatch("20.*Z", value):
        return value.replace("20", "19", 1)
    return value[:-1] + ("1" if value[-1:] == "0" else "0") if value else "00" * 32


@every_kind
def test_the_bytes_of_entries_cover_all_but_what_is_named(kind: int) -> None:
    noted = kind == kinds.KIND_STATE
    entry = entry_of(kind, *((ADA, ADA) if noted else ()))
    who = {"person": ADA, "contact": "Notes"} if noted else {}
    rows = [json.loads(line) for line in lines(exported("jsonl", (entry, RECEIVED), **who))]  # type: ignore[arg-type]
    unproven = set[str]()
    for at, row in enumerate(rows[:-1]):
        for field, value in row.items():
            changed = [*rows]
            changed[at] = row | {field: _other(value)}
            if field == "own":  # what is shown as the author follows from it
                changed[at]["author"] = "Ada"
            if field in ("name", "contact"):
                renamed = {"author": _other(value)}
                changed = [one | renamed if one.get("author") == value else one for one in changed]
            if not refused(again("jsonl", "".join(json.dumps(one) + "\n" for one in changed))):
                unproven.add(field)
    assert unproven == UNPROVEN
    claim = exported("jsonl", (entry, replace(RECEIVED, claimed="contact")), **who)  # type: ignore[arg-type]
    plain = claim.replace('"claimed": "contact", ', "")
    assert refused(plain)
    assert not refused(again("jsonl", plain))
    assert refused(again("jsonl", claim.replace('"claimed": "contact"', '"claimed": "nobody"')))


@pytest.mark.parametrize("form", ["jsonl", "html"])
def test_lines_that_are_moved_left_out_doubled_or_added_are_refused_with_any_checksum(form: str) -> None:
    some = [(entry_of(kinds.KIND_TEXT, number=number), RECEIVED) for number in range(3)]
    whole = lines(exported(form, *some))
    last = len(whole) - 1
    for at in range(last):
        added = whole[at] if form == "jsonl" else "<p>Ben: yes, I took it</p>\n"
        for wrong in (
            [*whole[:at], *whole[at + 1 :]],
            [*whole[:at], whole[at], *whole[at:]],
            [*whole[:at], whole[at + 1], whole[at], *whole[at + 2 :]] if at + 1 < last else [],
            [*whole[:at], added, *whole[at:]],
            [*whole[:at], whole[at].removesuffix("\n"), *whole[at + 1 :]],
        ):
            assert refused(again(form, "".join(wrong)))
    assert refused("".join(whole) + whole[-1])
    assert refused("".join(whole[:-1]))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("did you take it?", "did you leave it?"),
        lambda text: text.replace("<article", "<p>Ben: I took it</p><article"),
        lambda text: text.replace("<article", "<article hidden"),
        lambda text: text.replace('<p dir="auto">', '<p dir="rtl">'),
        lambda text: text.replace("<em>", "<i>"),
        lambda text: text.replace("<bdi>Ben</bdi> <time>", "<bdi>Carl</bdi> <time>"),
        lambda text: text.replace("Ben", "\u202eneB"),
        lambda text: text.replace("you take", "you\u200b take"),
        lambda text: text.replace("</style>", ".own { display: none; }</style>"),
        lambda text: text.replace("<title>", "<script></script><title>"),
        lambda text: text.replace("Contact · ", "Contact · Ada · "),
    ],
)
def test_what_a_page_shows_follows_from_its_entries_with_any_checksum(change: Callable[[str], str]) -> None:
    some = (entry_of(kinds.KIND_TEXT), RECEIVED), (entry_of(kinds.KIND_BOT, number=1), RECEIVED)
    text = exported("html", *some)
    assert not refused(again("html", text))
    assert change(text) != text
    assert refused(again("html", change(text)))


def test_what_devices_say_to_each_other_is_hidden_and_what_people_say_never() -> None:
    notes = {"person": ADA, "contact": "Notes"}
    kept = Known(own=True, state=EntryState.KEPT)
    for kind in BODIES:
        entry = entry_of(kind, ADA, ADA)
        text = exported("html", (entry, kept), **notes)  # type: ignore[arg-type]
        hidden = kind in (kinds.KIND_STATE, kinds.KIND_BOT, kinds.KIND_CUT)
        assert (" hidden data-header" in text) is hidden
        spoilt = text.replace(" hidden", "") if hidden else text.replace(" data-h", " hidden data-h")
        assert refused(again("html", spoilt))


def test_a_file_of_another_conversation_is_refused_with_any_checksum() -> None:
    text = exported("jsonl", (entry_of(kinds.KIND_TEXT), RECEIVED))
    assert refused(again("jsonl", text.replace(BEN.hex(), (bytes([5]) * 32).hex())))


@every_form
def test_a_long_file_is_verified_in_pieces(form: str) -> None:
    text = exported(form, *((entry_of(kinds.KIND_TEXT, number=number), RECEIVED) for number in range(200)))
    assert len(list(verified(lines(text)))) > 3
    assert verify(lines(text)).entries == 200


# --- Markdown ---

ADDRESS = "https://files.example:8443/a_b/(c)?x=1&y=%20#top"
NOT_LINKED = (
    "javascript:alert(1)",
    "[click](javascript:alert(1))",
    "[click](https://x.example/)",
    "![picture](https://x.example/p.png)",
    "<https://x.example/><script>alert(1)</script>",
    "https://x.example/[a](javascript:alert(1))",
    "https://x.example/`code`",
    "https://x.exampl\u00e9/",
    "https://x.example\u202e/moc",
    "https://bank.example@x.example/",
    "https://x.example/&lt;b&gt;",
    "https://x.example/" + "a" * 5_000,
    "xhttps://x.example/",
    "https://",
    "# https://",
    "    code",
    "http://x.example/\\",
    "www.x.example mail@x.example $x$ | a | b",
)


def rendered(text: str) -> list[str]:
    """The addresses of the links and pictures that a Markdown program makes of a text in an export."""
    page = exported("markdown", (entry_of(kinds.KIND_TEXT, body=kinds.text_body(text)), RECEIVED))
    tokens = MarkdownIt("commonmark", {"html": True}).parse(page)
    inner = [one for token in tokens for one in (token, *(token.children or ()))]
    types = {one.type for one in inner}
    assert not types & {"html_block", "html_inline", "image", "fence", "table_open", "hr"}
    assert [one.tag for one in inner if one.type == "heading_open"] == ["h1", "h2"]
    return [str(one.attrs["href"]) for one in inner if one.type == "link_open"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (ADDRESS, ADDRESS),
        (f"see {ADDRESS}, and tell me.", ADDRESS),
        ("(https://x.example/a)", None),
        ("https://x.example/a.", "https://x.example/a"),
        ("http://x.example", "http://x.example"),
        ("\u770bhttps://x.example/\u3002", "https://x.example/"),
        ('"https://x.example/"', "https://x.example/"),
    ],
)
def test_addresses_of_the_web_can_be_clicked_in_markdown(text: str, address: str | None) -> None:
    assert rendered(text) == ([address] if address else ["https://x.example/a"])


@pytest.mark.parametrize("text", NOT_LINKED)
def test_nothing_else_is_more_than_text_in_markdown(text: str) -> None:
    assert all(re.fullmatch("https://x.example/[a-z.]*", address) for address in rendered(text))
    page = exported("markdown", (entry_of(kinds.KIND_TEXT, body=kinds.text_body(text)), RECEIVED))
    assert "<javascript" not in page
