"""Runs the vectors of entries: writing, parsing, acceptance and order (SPEC §11.1 to §11.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from protocol.amendments import declared, deleted, deleted_on_all, edits, notes_shown
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    Facts,
    ParsedEntry,
    accept_entry,
    conversation_of_two,
    is_own,
    parse_entry,
    sign_entry,
    take_entry,
    text_body,
    write_entry,
)
from protocol.expiry import ends, is_read_by_nobody, read_at, timer_of
from protocol.history import (
    claims,
    cuts_in_force,
    evidence,
    followed,
    heads,
    named,
    order,
    quarantined,
    ranks,
    tips,
    uncovered,
    with_claims,
)
from protocol.messages import ENTRY_HEADER, MESSAGE, EditBody, Entry, EntryHeader
from protocol.notes import in_force, notes_of, subject
from protocol.vectors.frame import Action, Json, VectorMismatch, read_bytes, run_steps

AREA: Final = "entries"


def read_entry(written: object) -> ParsedEntry:
    """The entry in an encoded message, checked by its form."""
    message = MESSAGE.decode(read_bytes(written))
    if not isinstance(message, Entry):
        raise VectorMismatch("the message is not an entry")
    return parse_entry(message)


def held_entries(inputs: Json, names: list[str]) -> tuple[dict[bytes, EntryHeader], dict[bytes, str]]:
    """Headers and names by id, of the entries that the steps name and the group's inputs hold."""
    read = {name: read_entry(inputs["entries"][name]) for name in names}
    return (
        {entry.id: entry.header for entry in read.values()},
        {entry.id: name for name, entry in read.items()},
    )


def of_conversation(held: Mapping[bytes, EntryHeader], conversation: str) -> dict[bytes, EntryHeader]:
    """Those of one conversation."""
    wanted = bytes.fromhex(conversation)
    return {entry: header for entry, header in held.items() if header.conversation == wanted}


# --- Actions ---


def _conversation(_: Json, step: Json) -> Json:
    own, their = bytes.fromhex(step["own_person"]), bytes.fromhex(step["their_person"])
    return {"conversation": conversation_of_two(own, their).hex()}


def _write(_: Json, step: Json) -> Json:
    salt, previous = bytes.fromhex(step["salt"]), step["previous"]
    place = EntryPlace(
        conversation=bytes.fromhex(step["conversation"]),
        author=bytes.fromhex(step["author"]),
        incarnation=bytes.fromhex(step["incarnation"]),
        previous=None if previous is None else (previous["sequence"], bytes.fromhex(previous["id"])),
        parents=[bytes.fromhex(tip) for tip in step["tips"]],
        membership=[bytes.fromhex(head) for head in step["membership"]],
    )
    body = text_body(step["text"], bytes.fromhex(step["reply"]))
    key = bytes.fromhex(step["self_key"])
    entry = write_entry(place, step["time"], KIND_TEXT, body, key, lambda size: salt[:size], step["timer"])
    return {
        "body": body.hex(),
        "content": entry.header.content.hex(),
        "self_tag": entry.header.self_tag.hex(),
        "header": entry.header_bytes.hex(),
        "entry_id": entry.id.hex(),
        "message": encode(entry.message()).hex(),
    }


def _parse(_: Json, step: Json) -> Json:
    entry = read_entry(step["message"])
    said = entry.amends if isinstance(entry.amends, EditBody) else entry.said
    return {
        "entry_id": entry.id.hex(),
        "kind": entry.header.kind,
        "author": entry.header.author.hex(),
        "sequence": entry.header.sequence,
        "has_body": entry.has_body,
        "text_length": 0 if said is None else len(said.text),
        "amends": _amended(entry),
        "reply": "" if entry.said is None else entry.said.reply.hex(),
        "timer": entry.header.timer,
        "until": entry.header.until,
        "seconds": None if entry.timing is None else entry.timing.seconds,
        "registers": [] if entry.state is None else [one.register for one in entry.state.writes],
    }


def _amended(entry: ParsedEntry) -> list[str]:
    """The ids that a delete or an edit names."""
    if isinstance(entry.amends, EditBody):
        return [entry.amends.entry.hex()]
    return [] if entry.amends is None else [one.hex() for one in entry.amends.ids]


def _header(_: Json, step: Json) -> Json:
    return {"sequence": ENTRY_HEADER.decode(read_bytes(step["header"])).sequence}


def _accept(inputs: Json, step: Json) -> Json:
    known = inputs["knows"] | step.get("knows", {})
    entry = read_entry(step["message"])
    facts = Facts(
        own_person=bytes.fromhex(known["own_person"]),
        own_terminals={bytes.fromhex(each) for each in known["own_terminals"]},
        contact=bytes.fromhex(known["contact"]),
        contact_terminals={bytes.fromhex(each) for each in known["contact_terminals"]},
        carrier=bytes.fromhex(known["carrier"]),
        self_keys=[bytes.fromhex(each) for each in known["self_keys"]],
        welcome=known["carrier_is"] == "contact",
        own_former={bytes.fromhex(each) for each in known["own_former"]},
        contact_former={bytes.fromhex(each) for each in known["contact_former"]},
        signing={bytes.fromhex(one): bytes.fromhex(key) for one, key in known["signing"].items()},
    )
    return {"entry_id": entry.id.hex(), "author": accept_entry(entry, facts)}


def _sign(_: Json, step: Json) -> Json:
    entry, seed = read_entry(step["message"]), bytes.fromhex(step["seed"])
    signer = bytes.fromhex(step["signer"])
    if signer == entry.header.author:
        return {"message": encode(sign_entry(entry, seed).passed()).hex()}
    taken = replace(entry, signed=take_entry(entry.id, signer, seed))
    return {"message": encode(taken.passed()).hex()}


def _order(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    held = of_conversation(held, step["conversation"])
    place = ranks(held)
    return {
        "order": [{"entry": names[entry], "rank": place[entry]} for entry in order(held)],
        "tips": [names[entry] for entry in tips(held)],
        "evidence": [[names[entry] for entry in ids] for ids in evidence(held)],
    }


def _quarantine(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    before = [entry for entry, name in names.items() if name in step["before"]]
    author = bytes.fromhex(step["author"])
    live, ranked = ([bytes.fromhex(one) for one in step[name]] for name in ("live", "ranked"))
    entries = [read_entry(inputs["entries"][name]) for name in step["entries"]]
    in_force = cuts_in_force(entries, author, live, ranked)
    cuts = [entry.cut for entry in in_force if entry.cut is not None]
    return {
        "in_force": [names[entry.id] for entry in in_force],
        "quarantined": [names[one] for one in quarantined(held, author, before, cuts)],
    }


def _amend(inputs: Json, step: Json) -> Json:
    entries = {name: read_entry(inputs["entries"][name]) for name in step["entries"]}
    held = {entry.id: entry for entry in entries.values()}
    names = {entry.id: name for name, entry in entries.items()}
    terminals = {bytes.fromhex(one) for one in inputs["own_terminals"]}
    key = bytes.fromhex(inputs["self_key"])
    own = {
        one for one, entry in held.items() if entry.header.author in terminals and is_own(entry.header, [key])
    }
    apart = {entries[name].id for name in step["apart"]}
    destroyed = {entries[name].id for name in step["destroyed"]}
    gone = deleted_on_all(held, [bytes.fromhex(one) for one in step["on_all"]])
    shown = edits(held, own, apart, destroyed | gone)
    return {
        "deleted": sorted(names[one] for one in deleted(held, own, apart)),
        "deleted_on_all": sorted(names[one] for one in gone),
        "edits": {names[one]: [names[edit] for edit in some] for one, some in sorted(shown.items())},
    }


def _notes(_: Json, step: Json) -> Json:
    person, what = bytes.fromhex(step["person"]), bytes.fromhex(step["what"])
    return {"notes": notes_of(person).hex(), "of": subject(what).hex()}


def _registers(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    held = of_conversation(held, step["conversation"])
    read = [read_entry(inputs["entries"][name]) for name in step["entries"]]
    states = {entry.id: entry.state for entry in read if entry.state is not None}
    placed = order(held, clocked=False)
    apart = [entry for entry, name in names.items() if name in step["apart"]]
    found = in_force(states, placed, apart)
    return {
        "order": [names[entry] for entry in placed],
        "in_force": [
            {"register": register, "of": of.hex(), "value": found[register, of].hex()}
            for register, of in sorted(found)
        ],
    }


def _lines(inputs: Json, step: Json) -> Json:
    names = {read_entry(inputs["entries"][name]).id: name for name in step["entries"]}
    conversation = bytes.fromhex(step["conversation"])
    read = [read_entry(inputs["entries"][name]) for name in step["entries"]]
    held = {one.id: one for one in read if one.header.conversation == conversation}
    apart = [entry for entry, name in names.items() if name in step["apart"]]
    found = notes_shown(held, apart, [bytes.fromhex(one) for one in step["on_all"]])
    return {"lines": [{"entry": names[entry], "text": text} for entry, text in found]}


def _previous(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    found = followed(of_conversation(held, step["conversation"]), bytes.fromhex(step["author"]))
    return {"previous": names.get(found)}


def _uncovered(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    passed_on = [entry for entry, name in names.items() if name in step["passed_on"]]
    said = [entry for entry, name in names.items() if name in step["heads"]]
    found = uncovered(held, passed_on, said)
    return {
        "uncovered": [names[one] for one in found],
        "evidence": [[names[one] for one in ids] for ids in evidence(held, found)],
    }


def _claims(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    keys = [bytes.fromhex(one) for one in step["self_keys"]]
    own = {bytes.fromhex(one) for one in inputs["own_terminals"]}
    untagged = [one for one, header in held.items() if header.author in own and not is_own(header, keys)]
    found = claims(held, untagged)
    ends = heads({one: held[one] for one in found})
    others = {one: header for one, header in held.items() if one not in found}
    wanting = [bytes.fromhex(one) for one in step["wanting"]]
    return {
        "claims": [names[one] for one in found],
        "named": [names[head.id] for head in with_claims(named(heads(others)), ends, wanting)],
    }


def _timer(inputs: Json, step: Json) -> Json:
    held, names = held_entries(inputs, step["entries"])
    held = of_conversation(held, step["conversation"])
    entries = [
        one for one in (read_entry(inputs["entries"][name]) for name in step["entries"]) if one.id in held
    ]
    left_out = [entry for entry, name in names.items() if name in step["left_out"]]
    return {"seconds": timer_of(entries, left_out)}


def _bot(inputs: Json, step: Json) -> Json:
    names = {read_entry(inputs["entries"][name]).id: name for name in step["entries"]}
    conversation, key = bytes.fromhex(step["conversation"]), bytes.fromhex(inputs["self_key"])
    read = [read_entry(inputs["entries"][name]) for name in step["entries"]]
    held = {one.id: one for one in read if one.header.conversation == conversation}
    terminals = {bytes.fromhex(one) for one in inputs["own_terminals"]}
    own = {
        one for one, entry in held.items() if entry.header.author in terminals and is_own(entry.header, [key])
    }
    left_out = [entry for entry, name in names.items() if name in step["left_out"]]
    found = {"own": declared(held, own, left_out), "contact": declared(held, held.keys() - own, left_out)}
    return {
        whose: body and {"bot": body.bot, "commands": [[one.name, one.description] for one in body.commands]}
        for whose, body in found.items()
    }


def _ends(inputs: Json, step: Json) -> Json:
    entry = read_entry(inputs["entries"][step["entry"]])
    found = ends(entry.header, step["stored"], own=step["own"])
    for read in (step["read"], step["stored"] if is_read_by_nobody(entry) else None):
        found = found if read is None else read_at(found, entry.header, read)
    return found._asdict()


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "previous": _previous,
    "conversation": _conversation,
    "write": _write,
    "parse": _parse,
    "header": _header,
    "accept": _accept,
    "sign": _sign,
    "order": _order,
    "quarantine": _quarantine,
    "uncovered": _uncovered,
    "claims": _claims,
    "timer": _timer,
    "ends": _ends,
    "bot": _bot,
    "amend": _amend,
    "notes": _notes,
    "registers": _registers,
    "lines": _lines,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
