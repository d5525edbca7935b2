"""Links from the inputs of a vector: every random draw is an input with a name (SPEC §6).

Rules: the order in which this code draws is known here and nowhere else; a draw of another size, or one that
no input is left for, is a mismatch. What a responder is told about others comes from inputs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.contact_secret import ContactSecret, newest_common
from protocol.events import ContactPsk
from protocol.greeting import Pattern
from protocol.handshake import Initiator, Responder
from protocol.keys import X25519Pair
from protocol.messages import ContactHello
from protocol.primitives import mlkem_encapsulate
from protocol.vectors.frame import Json, VectorMismatch

PATTERNS: Final = {"XX": Pattern.XX, "XXpsk0": Pattern.XXPSK0, "IKpsk2": Pattern.IKPSK2}
OWN_SHARE, THEIR_SHARE = "own", "theirs"


class Draws:
    """A source of randomness that gives these values in their order."""

    def __init__(self, *values: str) -> None:
        self._values = [bytes.fromhex(value) for value in values]

    def __call__(self, size: int) -> bytes:
        """The next value. VectorMismatch if there is none, or it has another size."""
        if not self._values or len(self._values[0]) != size:
            raise VectorMismatch(f"no input for a draw of {size} bytes")
        return self._values.pop(0)


@dataclass(frozen=True)
class Encapsulation:
    """Gives the ciphertext and secret of the inputs, for a key that is checked as every key is."""

    secret: str
    ciphertext: str

    def __call__(self, public: bytes) -> tuple[bytes, bytes]:
        """(secret, ciphertext). Malformed as mlkem_encapsulate."""
        mlkem_encapsulate(public)
        return bytes.fromhex(self.secret), bytes.fromhex(self.ciphertext)


def encapsulation(inputs: Json) -> Encapsulation:
    """Whoever encapsulates gets this."""
    return Encapsulation(inputs["kem_secret"], inputs["kem_ciphertext"])


def link_psk(inputs: Json, pair: Json) -> bytes:
    """The psk, 32 bytes, that comes from a contact secret of the inputs (SPEC §7.6)."""
    persons = (bytes.fromhex(inputs[f"{role}_person"]) for role in ("initiator", "responder"))
    return ContactSecret(bytes.fromhex(pair["contact_secret"])).link_psk(*persons)


def _contact_psk(inputs: Json, pair: Json) -> ContactPsk:
    return ContactPsk(link_psk(inputs, pair), pair[OWN_SHARE], pair[THEIR_SHARE])


# --- Initiator ---


def initiator(inputs: Json) -> Initiator:
    """The initiator of the inputs."""
    return _contact_call(inputs) if inputs["pattern"] == "IKpsk2" else _pairing_call(inputs)


def _pairing_call(inputs: Json) -> Initiator:
    draws = Draws(inputs["initiator_ephemeral"], inputs["initiator_share"], *inputs["initiator_ratchet_keys"])
    psk = inputs["initiator_psk"] if inputs["pattern"] == "XXpsk0" else None
    return Initiator.pairing(
        PATTERNS[inputs["pattern"]],
        None if psk is None else bytes.fromhex(psk),
        static=X25519Pair(bytes.fromhex(inputs["initiator_static"])),
        random=draws,
        aes=inputs["initiator_aes"],
        encapsulate=encapsulation(inputs),
    )


def _contact_call(inputs: Json) -> Initiator:
    names = ("kem_seed", "initiator_share", "initiator_ephemeral")
    return Initiator.contact(
        X25519Pair(bytes.fromhex(inputs["initiator_static"])),
        bytes.fromhex(inputs["initiator_knows"]),
        bytes.fromhex(inputs["initiator_person"]),
        bytes.fromhex(inputs["responder_person"]),
        [_contact_psk(inputs, pair) for pair in inputs["initiator_pairs"]],
        replaces=bytes.fromhex(inputs["replaces"]),
        random=Draws(*(inputs[name] for name in names), *inputs["initiator_ratchet_keys"]),
        aes=inputs["initiator_aes"],
    )


# --- Responder ---


class InputPolicy:
    """What a responder is told, from the inputs."""

    def __init__(self, inputs: Json) -> None:
        self._inputs = inputs

    def pairing_open(self) -> bool:
        """Whether it is visible and no attempt is under way."""
        return bool(self._inputs["responder_visible"])

    def invitation_psks(self) -> Sequence[tuple[bytes, bytes]]:
        """The open invitations, known by their place in the list."""
        psks = self._inputs["responder_psks"]
        return [(bytes([place]), bytes.fromhex(psk)) for place, psk in enumerate(psks)]

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        """The one contact, if it is the caller and a share of each is held by both."""
        inputs = self._inputs
        known = (inputs["responder_knows"], inputs["responder_knows_person"])
        if (static.hex(), hello.person.hex()) != known:
            return None
        pairs = {(pair[OWN_SHARE], pair[THEIR_SHARE]): pair for pair in inputs["responder_pairs"]}
        held = [{numbers[end] for numbers in pairs} for end in (0, 1)]
        common = newest_common(hello.numbers, *held)
        return common and (hello.person, _contact_psk(inputs, pairs[common]))


def responder(inputs: Json) -> Responder:
    """The responder of the inputs."""
    ratchet, *later = inputs["responder_ratchet_keys"]
    last = (ratchet, inputs["responder_share"], inputs["responder_ephemeral"], *later)
    return Responder(
        X25519Pair(bytes.fromhex(inputs["responder_static"])),
        InputPolicy(inputs),
        random=Draws(inputs["greeting_random"], *_first_draws(inputs), *last),
        aes=inputs["responder_aes"],
        encapsulate=encapsulation(inputs),
    )


def _first_draws(inputs: Json) -> list[str]:
    if inputs["pattern"] == "IKpsk2":
        return [inputs["stranger_psk"]]
    psks = inputs["missing_psks"] if inputs["pattern"] == "XXpsk0" else []
    return [inputs["responder_static"], *psks, inputs["kem_seed"]]
