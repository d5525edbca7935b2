"""The handshake of a link, in both roles (SPEC §6.2, §6.3). Each step is an object, replaced by the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final, Protocol, Self

from msgspec import Struct

from protocol import primitives
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed, ProtocolError, Unexpected, Untrusted
from protocol.keys import X25519Pair
from protocol.limits import (
    FEATURES_MAX,
    INVITATIONS_TRIED_MAX,
    NUMBER_MAX,
    PSK_CANDIDATES_MAX,
    SHARES_NAMED_MAX,
)
from protocol.link import agreement, framing
from protocol.link.agreement import Established, Terms
from protocol.link.framing import Pattern, Refused
from protocol.link.states import ContactPsk, InvitationKeys, LinkOpen, Role
from protocol.messages import ContactHello, ContactReply, PairingFinish, PairingReply, ShareNames
from protocol.noise import HandshakeState
from protocol.primitives import KEY_SIZE, MlKemSecret, Random


class Policy(Protocol):
    """Decisions of the responder's owner. Each call returns at once."""

    def pairing_open(self) -> bool:
        """Whether pairing with strangers nearby (XX) is open now."""

    def linking_open(self) -> bool:
        """Whether a terminal of this person may be linked (LINKING) now."""

    def open_invitations(self) -> Sequence[InvitationKeys]:
        """The keys of the open invitations. The first four are tried."""

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        """The person (32 bytes) of the live terminal with this static key, and the newest common psk.

        None if the terminal is unknown or blocked, or does not belong to the person in `hello`. The same work
        precedes every answer (SPEC §6.3).
        """


def ordered_features(features: Collection[int]) -> list[int]:
    """The features that an end names, ascending. LocalMisuse for more or higher ones than it may name."""
    if len(set(features)) > FEATURES_MAX or not all(0 <= feature <= NUMBER_MAX for feature in features):
        raise LocalMisuse("at most 32 features, each of 0 to 65,535")
    return sorted(set(features))


# --- Initiator ---


class AwaitReply(Protocol):
    """An initiator that waits for the responder's handshake message."""

    def read(self, frame: bytes) -> tuple[bytes, Established]:
        """Our last handshake message, empty if the pattern has none, and the result."""


class _PairingCall(Struct, frozen=True):
    """An initiator before message 1 of XX, XXpsk0 or LINKING. `responder`: hash of the key that answers."""

    pattern: Pattern
    static: X25519Pair
    psks: tuple[bytes, ...]
    responder: bytes

    def begin(self, terms: Terms) -> tuple[bytes, AwaitReply]:
        state = terms.state(Role.INITIATOR, self.static, psks=self.psks)
        return state.write_message(), _AwaitPairingReply(state, self, terms)


class _AwaitPairingReply(Struct, frozen=True):
    """An initiator before message 2 of XX or XXpsk0."""

    state: HandshakeState
    call: _PairingCall
    terms: Terms

    def read(self, frame: bytes) -> tuple[bytes, Established]:
        reply = agreement.opened(self.state, agreement.PAIRING_REPLY, frame)
        peer, expected = agreement.peer_static(self.state), self.call.responder
        # Anybody who has seen the text can come so far, and must not get message 3, let alone a Record.
        if expected and not primitives.equal(agreement.one_time_hash(peer), expected):
            raise Untrusted("not the one-time key of the invitation")
        kem_secret, ciphertext = self.terms.encapsulate(reply.kem_key)
        share = self.terms.random(KEY_SIZE)
        finish = agreement.sealed(self.state, PairingFinish(ciphertext, share))
        kem = (reply.kem_key, ciphertext, kem_secret)
        shares, statics = (share, reply.share), (self.call.static, peer)
        facts = agreement.agree(self.state.finish().handshake_hash, shares, kem, reply.ratchet_key, statics)
        session_id, session = agreement.initiator_session(facts, self.terms)
        event = LinkOpen(session_id, Role.INITIATOR, self.terms.pattern, peer, pairing=facts)
        return finish, Established(session, event)


class _ContactCall(Struct, frozen=True):
    """An initiator before message 1 of IKpsk2."""

    static: X25519Pair
    responder: bytes
    own_person: bytes
    peer_person: bytes
    candidates: tuple[ContactPsk, ...]
    names: ShareNames
    static_dh: agreement.StaticDh | None
    pattern: Pattern = Pattern.IKPSK2

    def begin(self, terms: Terms) -> tuple[bytes, AwaitReply]:
        state = terms.state(Role.INITIATOR, self.static, rs=self.responder, static_dh=self.static_dh)
        kem_secret, kem_key = primitives.mlkem_generate(terms.random)
        share = terms.random(KEY_SIZE)
        hello = ContactHello(self.own_person, self.names, kem_key, share)
        return agreement.sealed(state, hello), _AwaitContactReply(
            state, self, share, kem_key, kem_secret, terms
        )


class _AwaitContactReply(Struct, frozen=True):
    """An initiator before message 2 of IKpsk2, which uses one of the psks that message 1 named."""

    state: HandshakeState
    call: _ContactCall
    share: bytes
    kem_key: bytes
    kem_secret: MlKemSecret
    terms: Terms

    def read(self, frame: bytes) -> tuple[bytes, Established]:
        candidate, state, reply = self._try_candidates(frame)
        kem = (self.kem_key, reply.kem_ciphertext, self.kem_secret.decapsulate(reply.kem_ciphertext))
        call, peer = self.call, self.call.responder
        shares, statics = (self.share, reply.share), (call.static, peer)
        facts = agreement.agree(state.finish().handshake_hash, shares, kem, reply.ratchet_key, statics)
        session_id, session = agreement.initiator_session(facts, self.terms)
        event = LinkOpen(
            session_id, Role.INITIATOR, call.pattern, peer, person=call.peer_person, contact_psk=candidate
        )
        # Not before the answer opened: otherwise anyone at the address could fill the cache.
        if call.static_dh is not None and peer not in call.static_dh:
            call.static_dh[peer] = call.static.dh(peer)
        return b"", Established(session, event)

    def _try_candidates(self, frame: bytes) -> tuple[ContactPsk, HandshakeState, ContactReply]:
        """The first psk with which `frame` opens. AuthenticationFailed if there is none."""
        for candidate in self.call.candidates:
            trial = self.state.fork(psks=(candidate.psk,))
            try:
                payload = trial.read_message(frame)
            except AuthenticationFailed:
                continue
            return candidate, trial, agreement.CONTACT_REPLY.decode(framing.unpad(payload))
        raise AuthenticationFailed("no psk opens the answer")


def _names(candidates: Sequence[ContactPsk]) -> ShareNames:
    """The names of the candidates' shares, ascending. LocalMisuse if message 1 has no room for them."""
    own = sorted({candidate.own for candidate in candidates})
    theirs = sorted({candidate.theirs for candidate in candidates})
    most = max(len(own), len(theirs))
    if not 1 <= len(candidates) <= PSK_CANDIDATES_MAX or most > SHARES_NAMED_MAX:
        raise LocalMisuse(f"{len(candidates)} psks of {len(own)} and {len(theirs)} shares")
    return ShareNames(own, theirs)


class Initiator:
    """The endpoint that begins a link, for a pairing or with a contact's terminal."""

    role: Final = Role.INITIATOR

    def __init__(
        self,
        call: _PairingCall | _ContactCall,
        replaces: bytes,
        random: Random,
        aes: bool | None,
        features: Collection[int],
        encapsulate: agreement.Encapsulate = primitives.mlkem_encapsulate,
    ) -> None:
        """Use `pairing` or `contact`."""
        self._call, self.replaces, self._random, self._encapsulate = call, replaces, random, encapsulate
        self.features = ordered_features(features)
        self._aes = primitives.aes_instructions() if aes is None else aes

    @classmethod
    def pairing(
        cls,
        pattern: Pattern,
        psk: bytes | None = None,
        *,
        responder: bytes = b"",
        static: X25519Pair | None = None,
        random: Random = primitives.system_random,
        aes: bool | None = None,
        features: Collection[int] = (),
        encapsulate: agreement.Encapsulate = primitives.mlkem_encapsulate,
    ) -> Self:
        """For a pairing or linking: XX, or XXpsk0 with the psk of an invitation and its one-time key's hash.

        `psk` and `responder` have 32 bytes each. `static` is the one-time key, by default a new one. Only the
        key that burned an invitation can use it again. `aes` is whether there are AES instructions, by
        default those of this CPU. `features` are those that this end names (SPEC §5.3).
        """
        given = (psk is not None, len(responder) == KEY_SIZE)
        if pattern is Pattern.IKPSK2 or given != (pattern is Pattern.XXPSK0,) * 2:
            raise LocalMisuse("XX has neither psk nor hash, XXpsk0 both")
        psks = () if psk is None else (psk,)
        call = _PairingCall(pattern, static or X25519Pair.generate(random), psks, responder)
        return cls(call, b"", random, aes, features, encapsulate)

    @classmethod
    def contact(
        cls,
        static: X25519Pair,
        responder_static: bytes,
        own_person: bytes,
        peer_person: bytes,
        candidates: Sequence[ContactPsk],
        *,
        replaces: bytes = b"",
        static_dh: agreement.StaticDh | None = None,
        random: Random = primitives.system_random,
        aes: bool | None = None,
        features: Collection[int] = (),
    ) -> Self:
        """To a contact's terminal with one of 1 to 16 psks, newest first.

        `replaces`: session id (16 bytes) of the link to replace, or empty. `static_dh`: cache of DH results.
        """
        if len(replaces) not in (0, agreement.SESSION_ID_SIZE):
            raise LocalMisuse("replaces is a session id or empty")
        persons, names = (own_person, peer_person), _names(candidates)
        call = _ContactCall(static, responder_static, *persons, tuple(candidates), names, static_dh)
        return cls(call, replaces, random, aes, features)

    def begin(self, greeting: bytes) -> tuple[bytes, AwaitReply]:
        """The first frame after a greeting of 28 bytes, and the next step. Errors as in Greeting.decode."""
        choice = framing.Choice(self._call.pattern, framing.Greeting.decode(greeting).best_aead(self._aes))
        head = choice.encode()
        terms = Terms(
            choice.pattern, choice.aead, framing.prologue(greeting, head), self._random, self._encapsulate
        )
        message, answer = self._call.begin(terms)
        return head + message, answer


# --- Responder ---


class Finish(Struct, frozen=True):
    """A responder before message 3 of XX or XXpsk0."""

    state: HandshakeState
    static: X25519Pair
    share: bytes
    kem_key: bytes
    kem_secret: MlKemSecret
    ratchet: X25519Pair
    invitation: bytes | None
    terms: Terms

    def read(self, frame: bytes) -> Established:
        """The result. The initiator is then authenticated, but has not confirmed yet."""
        finish = agreement.opened(self.state, agreement.PAIRING_FINISH, frame)
        kem = (self.kem_key, finish.kem_ciphertext, self.kem_secret.decapsulate(finish.kem_ciphertext))
        shares, peer = (finish.share, self.share), agreement.peer_static(self.state)
        statics, ratchet = (self.static, peer), self.ratchet
        facts = agreement.agree(self.state.finish().handshake_hash, shares, kem, ratchet.public, statics)
        session_id, session = agreement.responder_session(facts, ratchet, self.terms)
        event = LinkOpen(
            session_id, Role.RESPONDER, self.terms.pattern, peer, invitation=self.invitation, pairing=facts
        )
        return Established(session, event)


class Responder:
    """The endpoint that accepts a link from contacts, and from strangers if its policy allows."""

    role: Final = Role.RESPONDER

    def __init__(
        self,
        static: X25519Pair,
        policy: Policy,
        *,
        random: Random = primitives.system_random,
        aes: bool | None = None,
        features: Collection[int] = (),
        comparing: Collection[int] = (),
        encapsulate: agreement.Encapsulate = primitives.mlkem_encapsulate,
    ) -> None:
        """`static` is this terminal's key for contacts. The rest is as for Initiator.

        `comparing`: features that are named where a pairing compares words, and nowhere else.
        """
        self._static, self._policy, self.features = static, policy, ordered_features(features)
        self._comparing = ordered_features([*features, *comparing])
        self._random, self._encapsulate = random, encapsulate
        self._aes = primitives.aes_instructions() if aes is None else aes

    def features_on(self, pattern: int) -> list[int]:
        """What this end names on a link of this pattern, ascending."""
        return self._comparing if pattern == Pattern.XX else self.features

    def greet(self) -> bytes:
        """A new greeting, 28 bytes."""
        return framing.Greeting.new(self._random(framing.GREETING_RANDOM_SIZE), self._aes).encode()

    def answer(self, greeting: bytes, frame: bytes) -> tuple[bytes, Finish | Established]:
        """Our handshake message after the initiator's first frame, and the next step or the result.

        The caller answers OtherVersion and Refused with framing.REFUSAL, and other errors not at all.
        """
        choice = framing.Choice.decode(frame, framing.Greeting.decode(greeting))
        head, message = frame[: framing.CHOICE_SIZE], frame[framing.CHOICE_SIZE :]
        terms = Terms(
            choice.pattern, choice.aead, framing.prologue(greeting, head), self._random, self._encapsulate
        )
        if choice.pattern is Pattern.IKPSK2:
            return self._answer_contact(terms, message)
        if choice.pattern is Pattern.XXPSK0:
            return self._answer_invited(terms, message)
        return self._answer_nearby(terms, message)

    def _answer_nearby(self, terms: Terms, message: bytes) -> tuple[bytes, Finish]:
        policy, links = self._policy, terms.pattern is Pattern.LINKING
        if not (policy.linking_open() if links else policy.pairing_open()):
            raise Refused("neither a pairing nor a linking is open")
        static = X25519Pair.generate(self._random)
        state = terms.state(Role.RESPONDER, static)
        if state.read_message(message):
            raise Malformed("message 1 of XX carries nothing")
        return self._reply(terms, state, static, None)

    def _answer_invited(self, terms: Terms, message: bytes) -> tuple[bytes, Finish]:
        spare = X25519Pair.generate(self._random)
        # The number of trials is constant, so timing does not reveal whether an invitation is open.
        tried = list(self._policy.open_invitations()[:INVITATIONS_TRIED_MAX])
        while len(tried) < INVITATIONS_TRIED_MAX:
            tried.append(InvitationKeys(b"", self._random(KEY_SIZE), spare))
        found: tuple[InvitationKeys, HandshakeState] | None = None
        for keys in tried:
            state = terms.state(Role.RESPONDER, keys.static, psks=(keys.psk,))
            with suppress(ProtocolError):  # the refusal does not tell why no invitation opens it
                if state.read_message(message) == b"" and keys.id:
                    found = keys, state
        if found is None:
            raise Refused("no invitation opens message 1")
        keys, state = found
        return self._reply(terms, state, keys.static, keys.id)

    def _reply(
        self, terms: Terms, state: HandshakeState, static: X25519Pair, invitation: bytes | None
    ) -> tuple[bytes, Finish]:
        kem_secret, kem_key = primitives.mlkem_generate(self._random)
        ratchet, share = X25519Pair.generate(self._random), self._random(KEY_SIZE)
        message = agreement.sealed(state, PairingReply(kem_key, share, ratchet.public))
        return message, Finish(state, static, share, kem_key, kem_secret, ratchet, invitation, terms)

    def _answer_contact(self, terms: Terms, message: bytes) -> tuple[bytes, Established]:
        # Without a cache of DH results, which would answer contacts sooner than strangers.
        first = terms.state(Role.RESPONDER, self._static)
        hello = agreement.opened(first, agreement.CONTACT_HELLO, message)
        peer = agreement.peer_static(first)
        if peer == self._static.public:
            raise Unexpected("our own static key calls")
        # A stranger gets a reply with a random psk, so that replies do not reveal whether it is known.
        nobody = ContactPsk(self._random(KEY_SIZE), b"", b"")
        person, contact_psk = self._policy.contact_psk(peer, hello) or (None, nobody)
        kem_secret, ciphertext = terms.encapsulate(hello.kem_key)
        ratchet, share = X25519Pair.generate(self._random), self._random(KEY_SIZE)
        state = first.fork(psks=(contact_psk.psk,))
        reply = agreement.sealed(state, ContactReply(ciphertext, share, ratchet.public))
        kem = (hello.kem_key, ciphertext, kem_secret)
        shares, statics = (hello.share, share), (self._static, peer)
        facts = agreement.agree(state.finish().handshake_hash, shares, kem, ratchet.public, statics)
        session_id, session = agreement.responder_session(facts, ratchet, terms)
        event = LinkOpen(
            session_id, Role.RESPONDER, terms.pattern, peer, person=person, contact_psk=contact_psk
        )
        return reply, Established(session, event)
