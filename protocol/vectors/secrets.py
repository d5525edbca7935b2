"""Checks the vectors of the contact secret: both roles, and which psk a link takes (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.link.states import ContactPsk
from protocol.messages import SharedDrawn, ShareNames
from protocol.pairing.contact_secret import (
    ContactSecret,
    Pair,
    Share,
    contact_secret,
    own_share,
    pairing_id,
)
from protocol.vectors.frame import Action, Json, run_steps

AREA: Final = "secrets"


def _hex(step: Json, *names: str) -> list[bytes]:
    return [bytes.fromhex(step[name]) for name in names]


def _secret(_: Json, step: Json) -> Json:
    names = ("pairing_root", "own_person", "own_share", "their_person", "their_share")
    root, own, own_share, their, their_share = _hex(step, *names)
    return {"contact_secret": contact_secret(root, own, own_share, their, their_share).reveal().hex()}


def _link_psk(_: Json, step: Json) -> Json:
    secret, initiator, responder = _hex(step, "contact_secret", "initiator", "responder")
    return {"link_psk": ContactSecret(secret).link_psk(initiator, responder).hex()}


def _discovery_key(_: Json, step: Json) -> Json:
    secret, announcer, viewer = _hex(step, "contact_secret", "announcer", "viewer")
    return {"discovery_key": ContactSecret(secret).discovery_key(announcer, viewer).hex()}


def _share(_: Json, step: Json) -> Json:
    root, operation, secret = _hex(step, "pairing_root", "operation", "secret")
    share = own_share(root, SharedDrawn(operation, secret))
    return {"pairing_id": pairing_id(root).hex(), "share": share.share.hex(), "name": share.name.hex()}


def _pair(step: Json, pairing: Json) -> Pair:
    own, theirs = (
        tuple(Share(*_hex(share, "operation", "share")) for share in pairing[name])
        for name in ("own_shares", "their_shares")
    )
    own_person, their_person = _hex(step, "own_person", "their_person")
    root, first_own, first_theirs = _hex(pairing, "pairing_root", "first_own", "first_theirs")
    persons, firsts = (own_person, their_person), (first_own, first_theirs)
    return Pair(root, *persons, own, theirs, *firsts, pairing["fresh"], pairing["retired"])


def _found(_: Json, step: Json) -> Json:
    pair = _pair(step, step["pairing"])
    return {
        "announced": [secret.reveal().hex() for secret in pair.announced()],
        "looked_for": [secret.reveal().hex() for secret in pair.secrets()],
    }


def _chosen(psk: ContactPsk) -> Json:
    return {"own": psk.own.hex(), "theirs": psk.theirs.hex(), "psk": psk.psk.hex()}


def _candidates(_: Json, step: Json) -> Json:
    return {"candidates": [_chosen(psk) for psk in _pair(step, step["pairing"]).candidates()]}


def _answer(_: Json, step: Json) -> Json:
    own, theirs = ([bytes.fromhex(one) for one in step["names"][side]] for side in ("own", "theirs"))
    answers = (_pair(step, pairing).answer(ShareNames(own, theirs)) for pairing in step["pairings"])
    found = next((answer for answer in answers if answer is not None), None)
    return {"answer": None if found is None else _chosen(found)}


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "contact_secret": _secret,
    "link_psk": _link_psk,
    "share": _share,
    "found": _found,
    "discovery_key": _discovery_key,
    "candidates": _candidates,
    "answer": _answer,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
