"""Taking the five flows: each round makes two persons, and all flows run once in it.

Rules: a flow ends with what a person sees, never with what a process believes; flows alternate, so that a
slow moment of the machine does not fall on one of them alone.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from chat.bench.network import OwnNetwork
from chat.bench.persons import DELIVERED, Person, leave
from chat.bench.report import FLOWS, LAUNCH, PAIRING, RUNS, SEND, START, TALK, Aim, Figure, NotTaken, Sample
from chat.bench.terminals import Program, Terminals

ENTRIES: Final = 20
"""Entries of one run of TALK."""

Round = dict[Aim, Sample]


def measure(runs: int = RUNS) -> Iterator[Figure]:
    """All flows, `runs` times each; a Figure a flow. Raises Unseen where the program does not get on."""
    rounds: list[Round] = []
    problem = ""
    try:
        with stoppable():
            rounds = [_round() for _ in range(runs)]
    except NotTaken as lacking:
        problem = str(lacking)
    for flow in FLOWS:
        yield Figure(flow, tuple(taken[flow] for taken in rounds), problem)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends the measurement as Ctrl-C does: nothing that it made is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _round() -> Round:
    """Two persons who have never met, from their first run to twenty entries."""
    with (
        tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder,
        OwnNetwork() as network,
        Terminals() as terminals,
    ):
        ada, ben = (Person(name, Path(folder), terminals, network.enter) for name in ("Ada", "Ben"))
        return {
            PAIRING: pairing(ada, ben),
            START: start(ada),
            LAUNCH: launch(ada, ben),
            SEND: send(ada, ben),
            TALK: talk(ada, ben),
        }


def pairing(ada: Person, ben: Person) -> Sample:
    """Two first runs, the words, the first entry."""
    hers, _ = ada.begin()
    hers.wait_for("Looking for people nearby")
    his, begun = ben.begin()
    hers.wait_for("+ Ben")
    ada.do(hers, "\r")
    hers.wait_for("They are the same")
    his.wait_for("They are the same")
    ada.do(hers, "y")
    ben.do(his, "y")
    hers.wait_for("Write to Ben")
    ada.do(hers, "the first entry\r")
    seen = hers.wait_for(DELIVERED)
    his.wait_for("the first entry")
    leave(hers)
    leave(his)
    return Sample(seen - begun, (ada.inputs, ben.inputs))


def start(ada: Person) -> Sample:
    """The interface of a locked profile."""
    screen = ada.interface()
    seen = screen.wait_for("Enter your passphrase")
    leave(screen)
    return Sample(seen - screen.started)


def launch(ada: Person, ben: Person) -> Sample:
    """The interface, the passphrase and an entry, to a contact who listens."""
    listening = ben.command("listen", "--json")
    listening.wait_for('"ready"')
    screen = ada.unlock()
    screen.press("here again\r")
    seen = screen.wait_for(DELIVERED)
    leave(screen)
    listening.stop()
    return Sample(seen - screen.started)


def send(ada: Person, ben: Person) -> Sample:
    """The command, to a contact who listens."""
    listening = ben.command("listen", "--json")
    listening.wait_for('"ready"')
    sending = ada.command("send", "Ben", "by the command")
    seen = sending.wait_end()
    listening.stop()
    return Sample(seen - sending.started)


def talk(ada: Person, ben: Person) -> Sample:
    """Entries one by one between two interfaces."""
    hers, his = ada.unlock(), ben.unlock()
    hers.wait_for("● here")
    spans = [_one_entry(hers, his, f"entry number {number:02}") for number in range(ENTRIES)]
    leave(hers)
    leave(his)
    return Sample(median(spans))


def _one_entry(hers: Program, his: Program, text: str) -> float:
    """From Enter to the other screen. Both show all the typing before: no person is as fast."""
    hers.press(text)
    hers.wait_for(text)
    hers.rest()
    sent = hers.press("\r")
    return his.wait_for(text) - sent
