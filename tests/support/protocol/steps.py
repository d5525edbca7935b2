"""A handshake of two contacts by its steps, so that a test can spoil each."""

from __future__ import annotations

from typing import Any

from protocol.keys import X25519Pair
from protocol.link.agreement import Established
from protocol.link.framing import Pattern, pad
from protocol.link.handshake import Finish, Initiator, Responder
from protocol.messages import ShareNumbers
from tests.support.engines.pair import Party, contacts
from tests.support.raw_handshake import choice, state

PATTERNS = list(Pattern)
PAIRING = [Pattern.XX, Pattern.XXPSK0]
NUMBERS = ShareNumbers([1], [1])


class Steps:
    """A handshake by its steps: the frames, and the objects that wait for them."""

    def __init__(self, pattern: Pattern, *, aes: bool = True, **options: Any) -> None:
        self.alice, self.bob = contacts(aes=aes)
        self.initiator: Initiator = self.alice.calls(self.bob, pattern, **options)
        self.responder: Responder = self.bob.answers()
        self.greeting = self.responder.greet()
        self.call, self.answer = self.initiator.begin(self.greeting)
        self.reply, self.following = self.responder.answer(self.greeting, self.call)

    def altered(self, call: bytes) -> None:
        """What becomes of another first frame: message 1 of XX holds no key, so only its answer can fail."""
        self.answer.read(self.responder.answer(self.greeting, call)[0])

    def finish(self) -> tuple[Established, Established]:
        """What both sides have in the end, the initiator first."""
        last, initiator = self.answer.read(self.reply)
        if isinstance(self.following, Finish):
            return initiator, self.following.read(last)
        return initiator, self.following


def hello_call(alice: Party, bob: Party, content: bytes, static: X25519Pair | None = None) -> bytes:
    """A first frame of IKpsk2 whose payload is whatever a test wants."""
    call = state(Pattern.IKPSK2, True, static or alice.static, rs=bob.static.public)
    return choice(Pattern.IKPSK2) + call.write_message(pad(content))
