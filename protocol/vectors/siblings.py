"""Checks the vectors of own terminals: their secret, their links, and what passes (SPEC §5.14, §7.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from protocol.codec import encode
from protocol.identity.exchange import farewell
from protocol.identity.reduction import Pins, reduce
from protocol.messages import (
    MESSAGE,
    Digests,
    PassedReceipt,
    ShareNames,
)
from protocol.own_terminals import (
    Mark,
    accept_passed,
    check_digests,
    check_passed,
    check_place,
    is_of_holding,
    keeper,
    marks_hash,
    passed_receipts,
    standing,
)
from protocol.pairing.own_secret import answer_sibling, own_psks, own_secret
from protocol.vectors.frame import Action, Json, VectorMismatch, run_steps

AREA: Final = "siblings"


def _ids(listed: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in listed]


def _keys(_: Json, step: Json) -> Json:
    person, self_key = _ids([step["person"], step["self_key"]])
    secret = own_secret(person, self_key)
    psk = secret.link_psk(self_key)
    return {
        "own_secret": secret.reveal().hex(),
        "name": psk.own.hex(),
        "psk": psk.psk.hex(),
        "discovery_key": secret.discovery_key().hex(),
        "meeting_key": secret.meeting_key().hex(),
    }


def _answer(_: Json, step: Json) -> Json:
    person, *self_keys = _ids([step["person"], *step["self_keys"]])
    names = ShareNames(*(_ids(step["names"][side]) for side in ("own", "theirs")))
    found = answer_sibling(person, self_keys, names)
    return {"psk": None if found is None else found.psk.hex()}


def _name(_: Json, step: Json) -> Json:
    person, first, *self_keys = _ids([step["person"], step["first"], *step["self_keys"]])
    named = own_psks(person, self_keys, first)
    return {"names": [psk.own.hex() for psk in named]}


def _farewell(inputs: Json, step: Json) -> Json:
    log = {name: bytes.fromhex(one) for name, one in inputs["log"].items()}
    told = farewell(log.values(), bytes.fromhex(step["static"]))
    return {"told": sorted(name for name, one in log.items() if one in told)}


def _standing(inputs: Json, step: Json) -> Json:
    confirmed = frozenset(_ids(step["confirmed"]))
    log = reduce(_ids(inputs["log"]), Pins(frozenset(), confirmed))
    if step["whose"] == "contact":
        confirmed = frozenset(log.path)  # a contact's terminals are not doubted
    found = standing(log, confirmed, bytes.fromhex(step["own_static"]), bytes.fromhex(step["static"]))
    return {"standing": found.value}


def _marks(_: Json, step: Json) -> Json:
    conversation = bytes.fromhex(step["conversation"])
    marks = [
        Mark(bytes.fromhex(one["entry"]), bytes.fromhex(one["terminal"]), one["kind"])
        for one in step["marks"]
    ]
    return {
        "hash": marks_hash(conversation, marks).hex(),
        "messages": [encode(message).hex() for message in passed_receipts(conversation, marks)],
    }


def _receive_digests(_: Json, step: Json) -> Json:
    message = MESSAGE.decode(bytes.fromhex(step["message"]))
    if not isinstance(message, Digests):
        raise VectorMismatch("another message than the step is about")
    check_digests(message)
    held = {one["conversation"]: (one["heads"], one["marks"]) for one in step["held"]}
    answers: Json = {"heads": [], "marks": []}
    for one in message.digests:
        own = None if one.answered else held.get(one.conversation.hex())
        if own is not None and own[0] != one.heads.hex():
            answers["heads"].append(one.conversation.hex())
        if own is not None and own[1] != one.marks.hex():
            answers["marks"].append(one.conversation.hex())
    return answers


def _receive(_: Json, step: Json) -> Json:
    check_place(MESSAGE.decode(bytes.fromhex(step["message"])), own=step["link"] == "own")
    return {}


def _receive_passed(_: Json, step: Json) -> Json:
    message = MESSAGE.decode(bytes.fromhex(step["message"]))
    if not isinstance(message, PassedReceipt):
        raise VectorMismatch("another message than the step is about")
    check_passed(message)
    said = accept_passed(message, _ids(step["own_terminals"]), _ids(step["contact_terminals"]))
    return {"says": said.name.lower(), "kind": message.kind, "ids": [one.hex() for one in message.ids]}


def _receive_kept(_: Json, step: Json) -> Json:
    message = MESSAGE.decode(bytes.fromhex(step["message"]))
    if not isinstance(message, PassedReceipt):
        raise VectorMismatch("another message than the step is about")
    check_passed(message)
    receiver, sender = bytes.fromhex(step["receiver"]), bytes.fromhex(step["sender"])
    return {"of_holding": is_of_holding(message, receiver, sender)}


def _keeper(_: Json, step: Json) -> Json:
    return {"keeper": keeper(step["value"], _ids(step["live"])).hex()}


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "keys": _keys,
    "answer": _answer,
    "name": _name,
    "farewell": _farewell,
    "standing": _standing,
    "marks": _marks,
    "receive_digests": _receive_digests,
    "receive_passed": _receive_passed,
    "receive_kept": _receive_kept,
    "keeper": _keeper,
    "receive": _receive,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
