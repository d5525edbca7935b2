"""Inputs of links, and the steps that lives of links are made of (SPEC §6).

Rules: what is sent is what links give; an end made of Noise alone goes along, so that the handshake hash is
known and both agree.
"""

from __future__ import annotations

from typing import Any, Final

from protocol.codec import encode
from protocol.messages import Message
from protocol.vectors.frame import Json, write_bytes
from protocol.vectors.links import ACTIONS, AREA, World, encoded_payloads, pair
from tests.vectors.files import Script, Seed
from tests.vectors.kem import kem_ciphertext, kem_secret, kem_seed
from tests.vectors.links_ends import finished

_RATCHET_KEYS: Final = 4
ENDS: Final = ("initiator", "responder")


# --- Inputs ---


def link_inputs(phrase: str, pattern: str, *, aes: tuple[bool, bool] = (True, True), **changed: Any) -> Json:
    """All inputs of both ends; `aes`: whether initiator and responder have AES instructions."""
    seed = Seed(phrase, AREA)

    def drawn(name: str, size: int = 32) -> str:
        return seed.bytes(f"{pattern}/{name}")[:size].hex()

    inputs: Json = {"pattern": pattern, "initiator_aes": aes[0], "responder_aes": aes[1]}
    for end in ENDS:
        inputs |= {f"{end}_{name}": drawn(f"{end} {name}") for name in ("static", "ephemeral", "share")}
        keys = [drawn(f"{end} ratchet {n}") for n in range(_RATCHET_KEYS)]
        inputs[f"{end}_ratchet_keys"] = keys
    inputs |= {
        "greeting_random": drawn("greeting", 16),
        "kem_seed": kem_seed(phrase, pattern).hex(),
        "kem_ciphertext": kem_ciphertext(pattern).hex(),
        "kem_secret": kem_secret(phrase, pattern).hex(),
    }
    own: dict[str, Json] = {
        "XX": {"responder_visible": True},
        "XXpsk0": _invited(drawn("psk"), [drawn(f"missing {n}") for n in range(3)]),
        "IKpsk2": _contacts(inputs, seed),
    }
    return inputs | own[pattern] | changed


def _invited(psk: str, missing: list[str]) -> Json:
    return {"initiator_psk": psk, "responder_psks": [psk], "missing_psks": missing}


def _contacts(inputs: Json, seed: Seed) -> Json:
    secret = seed.bytes("contact secret").hex()
    return {
        "initiator_person": seed.bytes("initiator person").hex(),
        "responder_person": seed.bytes("responder person").hex(),
        "initiator_knows": pair(inputs["responder_static"]).public.hex(),
        "responder_knows": pair(inputs["initiator_static"]).public.hex(),
        "responder_knows_person": seed.bytes("initiator person").hex(),
        "initiator_pairs": [{"own": 3, "theirs": 5, "contact_secret": secret}],
        "responder_pairs": [{"own": 5, "theirs": 3, "contact_secret": secret}],
        "stranger_psk": seed.bytes("stranger psk").hex(),
        "replaces": "",
    }


# --- Steps that are taken again and again ---


class Life(Script[World]):
    """The life of a link, both ends of it."""

    def __init__(self, inputs: Json) -> None:
        super().__init__(ACTIONS, World(inputs))
        self.inputs = inputs

    def open(self, receive: str = "receive", *, payloads: bool = False) -> Life:
        """From the greeting to OPEN on both sides, an invitation burned on the way.

        With `payloads`, the structs in the handshake messages stand in the steps that send them.
        """
        h = finished(self.inputs)[0].handshake_hash.hex()
        sent = encoded_payloads(self.inputs) if payloads else ("", "", "")
        hello, reply, finish = ({"payload": one} if one else {} for one in sent)
        self.take("begin", actor="responder")
        self.take(receive, actor="initiator", sent_by="responder", **hello)
        self.take(receive, actor="responder", sent_by="initiator", **reply)
        self.take(receive, actor="initiator", sent_by="responder", h=h, **finish)
        if self.inputs["pattern"] == "XXpsk0":
            self.take(receive, actor="responder", sent_by="initiator")
            self.take("burned", actor="responder", h=h)
        else:
            self.take(receive, actor="responder", sent_by="initiator", h=h)
        return self

    def say(self, end: str, *messages: Message) -> Life:
        """One end sends messages; the other reads each at once."""
        other = ENDS[1 - ENDS.index(end)]
        for message in messages:
            self.take("send", actor=end, message=write_bytes(encode(message)))
            self.take("receive", actor=other, sent_by=end)
        return self
