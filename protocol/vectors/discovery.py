"""Checks the vectors of discovery: slots, their days, and announcements as records (SPEC §13).

An announcement is read from an instance name, a port, addresses and a TXT record, as DNS-SD gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.discovery import (
    Known,
    check_place,
    local_addresses,
    make_slots,
    read_text,
    recognise,
    slot,
    utc_day,
    write_text,
)
from protocol.limits import SLOT_BYTES
from protocol.vectors.frame import Action, Json, run_steps

AREA: Final = "discovery"


def _slots_of(joined: str) -> list[bytes]:
    data = bytes.fromhex(joined)
    return [data[at : at + SLOT_BYTES] for at in range(0, len(data), SLOT_BYTES)]


def _day(_: Json, step: Json) -> Json:
    return {"day": utc_day(step["unix_ms"])}


def _slot(_: Json, step: Json) -> Json:
    key, static = bytes.fromhex(step["discovery_key"]), bytes.fromhex(step["static"])
    return {"slot": slot(key, step["day"], static, step["instance"], step["port"], step["addresses"]).hex()}


def _announce(_: Json, step: Json) -> Json:
    keys, static = [bytes.fromhex(key) for key in step["discovery_keys"]], bytes.fromhex(step["static"])
    place = step["instance"], step["port"], step["addresses"]
    # What fills up is random in an announcement; here it is none of the contacts' slots, whatever it is.
    made = make_slots(keys, step["day"], static, *place, lambda size: b"\xff" * size)
    wanted = [slot(key, step["day"], static, *place) for key in keys]
    return {"count": len(made), "contacts_with_a_slot": [each.hex() for each in wanted if each in made]}


def _recognise(_: Json, step: Json) -> Json:
    known = [
        Known(b"", bytes([index]), bytes.fromhex(each["static"]), bytes.fromhex(each["discovery_key"]))
        for index, each in enumerate(step["known"])
    ]
    place = step["instance"], step["port"], step["addresses"]
    found = recognise(_slots_of(step["slots"]), *place, known, step["day"])
    return {"known": None if found is None else found.terminal[0]}


def _read(_: Json, step: Json) -> Json:
    check_place(step["instance"], step["port"])
    said = read_text(bytes.fromhex(step["text"]))
    addresses = local_addresses(step["addresses"])
    return {"slots": b"".join(said.slots).hex(), "name": said.name, "addresses": list(addresses)}


def _write(_: Json, step: Json) -> Json:
    return {"text": write_text(_slots_of(step["slots"]), step["name"]).hex()}


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "day": _day,
    "slot": _slot,
    "announce": _announce,
    "recognise": _recognise,
    "read": _read,
    "write": _write,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
