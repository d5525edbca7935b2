"""Finds waiting terminals at other relays of a cluster, and opens circuits to them through NATS.

All relays of a cluster share one key, which authenticates messages. A message can end only its own exchange.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice
from typing import Final, Protocol

from chat.network.limits import Bucket
from chat.relay.circuit import End
from chat.relay.cluster.circuit import FarCircuit, Receiver, RelayTunnel
from chat.relay.cluster.nats import Bus
from chat.relay.connection import ClientConnection
from chat.relay.metrics import Counters
from protocol.errors import ProtocolError, Unexpected
from protocol.limits import RELAY_ANSWER_SECONDS
from protocol.noise import HandshakeState
from protocol.relay import cluster as wire
from protocol.relay.cluster import ClusterKeys, Kind

ASK_SECONDS: Final = 0.5  # wait for the first offer, if a relay listens on the subject but none answers
GATHER_SECONDS: Final = 0.05
"""Wait for further offers after the first, since the newest of all waiters is called."""
CALL_SECONDS: Final = RELAY_ANSWER_SECONDS + 1.0
OFFER_SECONDS: Final = 3.0  # lifetime of an offer that is not taken
OFFERS_MAX: Final = 1_024
OFFERS_TAKEN: Final = 64
"""Offers per question. No cluster has more relays for one token."""
QUESTIONS: Final = 1_000.0
"""Questions per second that are handled. One costs a fifth of a millisecond."""


class Host(Protocol):
    """The relay, as a cluster needs it."""

    def waiting_on(self, token: bytes) -> list[ClientConnection]:
        """The terminals that wait here on a token, newest first."""

    def call_for(self, waiter: ClientConnection, caller: Offering, token: bytes) -> None:
        """Call a terminal that waits here on a token, and tell `caller` whether it answered."""

    def dismiss(self, client: ClientConnection) -> None:
        """Close a terminal that answered in vain."""

    def nobody_elsewhere(self, dialler: ClientConnection) -> None:
        """No terminal waits at another relay."""

    def unanswered(self, dialler: ClientConnection) -> None:
        """The terminal called at another relay did not answer."""

    def join_dialler(self, dialler: ClientConnection, others: int, tunnel: RelayTunnel) -> FarCircuit | None:
        """Begin the dialler's circuit. None if a limit forbids it, of which the dialler is informed."""

    def join_waiter(self, waiter: ClientConnection, tunnel: RelayTunnel) -> FarCircuit | None:
        """Begin the circuit of a terminal that answered. None if a limit forbids it."""


class Cluster:
    def __init__(self, keys: ClusterKeys, bus: Bus, host: Host, counters: Counters) -> None:
        self.keys, self.bus, self.host, self.counters = keys, bus, host, counters
        self.loop = asyncio.get_running_loop()
        self._relay = keys.fresh_word()
        self._tokens: dict[bytes, bytes] = {}
        self._buckets: Counter[str] = Counter()
        self._receivers: dict[str, Receiver] = {}
        self._asking: dict[ClientConnection, Question | Call] = {}
        self._offers: dict[Offering, float] = {}
        self._questions = Bucket(QUESTIONS, QUESTIONS, QUESTIONS, self.loop.time())

    # --- Calls of the relay ---

    def wait(self, token: bytes) -> None:
        """The first terminal waits here on a token."""
        name = self.keys.name(token)
        self._tokens[name] = token
        bucket = wire.bucket_of(name)
        self._buckets[bucket] += 1
        if self._buckets[bucket] == 1:
            self.bus.subscribe(bucket)

    def leave(self, token: bytes) -> None:
        """The last terminal that waited here on a token is gone."""
        name = self.keys.name(token)
        del self._tokens[name]
        bucket = wire.bucket_of(name)
        self._buckets[bucket] -= 1
        if not self._buckets[bucket]:
            del self._buckets[bucket]
            self.bus.unsubscribe(bucket)

    def ask(self, dialler: ClientConnection, token: bytes, place: int, here: int) -> bool:
        """Ask other relays for the waiter at a place; `here` terminals wait at this relay.

        False without a connection to NATS. Otherwise one method of the host is called later.
        """
        if not self.bus.is_connected:
            return False
        self.counters.asked += 1
        self._asking[dialler] = Question(self, dialler, self.keys.name(token), place, here)
        return True

    def forget(self, dialler: ClientConnection) -> None:
        if asking := self._asking.pop(dialler, None):
            asking.forget()

    def check(self, now: float) -> None:
        for offer, since in list(self._offers.items()):
            if now - since < OFFER_SECONDS:
                break
            offer.lost()

    # --- Calls of the bus ---

    def connected(self) -> None:
        self.counters.backplanes += 1
        self._relay = self.keys.fresh_word()
        self.bus.subscribe(wire.all_subjects(self._relay))
        for bucket in self._buckets:
            self.bus.subscribe(bucket)

    def parted(self) -> None:
        for receiver in list(self._receivers.values()):
            receiver.lost()
        self._receivers.clear()
        self._offers.clear()

    def nobody(self, subject: str) -> None:
        if receiver := self._receivers.get(subject):
            receiver.lost()

    def arrived(self, subject: str, payload: bytes) -> None:
        receiver = self._receivers.get(subject)
        try:
            if receiver is not None:
                receiver.arrived(payload)
            elif subject in self._buckets:
                self._asked(payload[: wire.NAME_SIZE], payload[wire.NAME_SIZE :])
        except ProtocolError:
            self.counters.forged += 1
            if receiver is not None:
                receiver.spoiled()

    def _asked(self, name: bytes, question: bytes) -> None:
        """Answer an authentic question of another relay if a terminal waits here."""
        token = self._tokens.get(name)
        waiters = self.host.waiting_on(token) if token is not None else []
        now = self.loop.time()
        if token is None or not waiters or len(self._offers) >= OFFERS_MAX or not self._questions.take(now):
            return
        handshake = self.keys.handshake(name, asking=False)
        asker, own = wire.read_subject(handshake.read_message(question)), self.subject()
        ages = [int(1_000 * (now - waiter.since)) for waiter in waiters]
        answer = handshake.write_message(wire.write_offer(own, ages))
        tunnel = RelayTunnel(self.bus, (own, asker), handshake.finish(), self.drop)
        offer = Offering(self, token, waiters, tunnel)
        self._offers[offer] = now
        self.bus.post(asker, answer, own)

    # --- For questions, calls and offers ---

    def subject(self) -> str:
        return wire.own_subject(self._relay, self.keys.fresh_word())

    def receive(self, subject: str, receiver: Receiver) -> None:
        self._receivers[subject] = receiver

    def drop(self, subject: str) -> None:
        self._receivers.pop(subject, None)

    def took(self, offer: Offering) -> None:
        self._offers.pop(offer, None)

    def now(self, dialler: ClientConnection, asking: Question | Call | None) -> bool:
        """Replace what a dialler waits for. Returns whether it was still waiting."""
        was = self._asking.pop(dialler, None) is not None
        if was and asking is not None:
            self._asking[dialler] = asking
        return was


class Question:
    """The dialler's relay asks who waits on a token, and chooses among the offers."""

    def __init__(
        self, cluster: Cluster, dialler: ClientConnection, name: bytes, place: int, here: int
    ) -> None:
        self._cluster, self._dialler = cluster, dialler
        self._place, self._here = place, here
        self._subject = cluster.subject()
        self._handshake = cluster.keys.handshake(name, asking=True)
        self._offers: list[tuple[int, int, str, HandshakeState]] = []
        self._answers = 0
        cluster.receive(self._subject, self)
        question = self._handshake.write_message(self._subject.encode("ascii"))
        cluster.bus.post(wire.bucket_of(name), name + question, self._subject)
        self._timer = cluster.loop.call_later(ASK_SECONDS, self._choose)

    def arrived(self, frame: bytes) -> None:
        """Handle an offer. A forged one is ignored, since every offer has its own keys."""
        handshake = self._handshake.fork()
        ages, subject = wire.read_offer(handshake.read_message(frame))
        if not self._answers:
            self._timer.cancel()
            self._timer = self._cluster.loop.call_later(GATHER_SECONDS, self._choose)
        self._answers += 1
        if self._answers <= OFFERS_TAKEN:
            self._offers += [(age, index, subject, handshake) for index, age in enumerate(ages)]

    def spoiled(self) -> None:
        """Other relays may still answer."""

    def lost(self) -> None:
        """No relay listens on the subject, so no terminal waits."""
        if not self._answers:
            self._choose()

    def forget(self) -> None:
        self._timer.cancel()
        self._cluster.drop(self._subject)

    def _choose(self) -> None:
        self.forget()
        cluster, dialler = self._cluster, self._dialler
        self._offers.sort(key=lambda offer: offer[:3])
        chosen = next(islice(self._offers, self._place, None), None)
        if chosen is None:
            if cluster.now(dialler, None):
                cluster.host.nobody_elsewhere(dialler)
            return
        _, index, theirs, handshake = chosen
        others = self._here + len(self._offers) - 1
        tunnel = RelayTunnel(cluster.bus, (cluster.subject(), theirs), handshake.finish(), cluster.drop)
        cluster.now(dialler, Call(cluster, dialler, tunnel, index, others))


class Call:
    """The dialler's relay has chosen a waiter of another relay and has it called."""

    def __init__(
        self, cluster: Cluster, dialler: ClientConnection, tunnel: RelayTunnel, index: int, others: int
    ) -> None:
        self._cluster, self._dialler, self._tunnel, self._others = cluster, dialler, tunnel, others
        cluster.receive(tunnel.own, self)
        tunnel.send(Kind.CALL, bytes((index,)) + tunnel.own.encode("ascii"))
        self._timer = cluster.loop.call_later(CALL_SECONDS, self.spoiled)

    def arrived(self, frame: bytes) -> None:
        kind = wire.kind_of(frame)
        if kind not in (Kind.ANSWERED, Kind.END):
            raise Unexpected(f"{kind.name} for a call")
        self._tunnel.content(frame)
        if kind is Kind.END:
            return self.lost()
        self._over()
        cluster, dialler = self._cluster, self._dialler
        circuit = None
        if cluster.now(dialler, None):
            circuit = cluster.host.join_dialler(dialler, self._others, self._tunnel)
        if circuit is None:
            return self._tunnel.end(End.STOPPED)
        return cluster.receive(self._tunnel.own, circuit)

    def spoiled(self) -> None:
        self._tunnel.end(End.BROKEN)
        self.lost()

    def lost(self) -> None:
        self._over()
        if self._cluster.now(self._dialler, None):
            self._cluster.host.unanswered(self._dialler)

    def forget(self) -> None:
        self._over()
        self._tunnel.end(End.CLOSED)

    def _over(self) -> None:
        self._timer.cancel()
        self._tunnel.close()


class Offering:
    """The waiter's relay has offered its waiters and calls the one that it is asked to call."""

    def __init__(
        self, cluster: Cluster, token: bytes, waiters: list[ClientConnection], tunnel: RelayTunnel
    ) -> None:
        self._cluster, self._waiters, self._tunnel = cluster, waiters, tunnel
        self._token = token
        self._called = self._gone = False
        cluster.receive(tunnel.own, self)

    def arrived(self, frame: bytes) -> None:
        kind = wire.kind_of(frame)
        if kind is not (Kind.END if self._called else Kind.CALL):
            raise Unexpected(f"{kind.name} for an offer")
        content = self._tunnel.content(frame)
        if self._called:
            return self.lost()
        self._tunnel.theirs = wire.read_subject(content[1:])
        self._called = True
        self._cluster.took(self)
        waiter = self._waiters[content[0]] if content[0] < len(self._waiters) else None
        if waiter is None or waiter not in self._cluster.host.waiting_on(self._token):
            return self.unanswered()  # the waiter is gone, or waits on other tokens
        return self._cluster.host.call_for(waiter, self, self._token)

    def spoiled(self) -> None:
        self._tunnel.end(End.BROKEN)
        self.lost()

    def lost(self) -> None:
        self._gone = True
        self._cluster.took(self)
        self._tunnel.close()

    def answered(self, waiter: ClientConnection) -> None:
        circuit = None
        if not self._gone:
            circuit = self._cluster.host.join_waiter(waiter, self._tunnel)
        if circuit is None:
            self._cluster.host.dismiss(waiter)
            return self.unanswered()
        self._tunnel.send(Kind.ANSWERED)
        return self._cluster.receive(self._tunnel.own, circuit)

    def unanswered(self) -> None:
        """The called terminal did not answer, or is gone."""
        if not self._gone:
            self._tunnel.end(End.BROKEN)
