"""`python -m tests.soak.bot`: a bot, its engine and both are killed while it answers. Exits with 1.

Ada sends commands to the bot of examples/echo_bot.py, which is killed at random moments, together with the
engine of its profile or alone. Each command must be answered once, in order, and nothing else may be said.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chat.interface import Messenger
from tests.architecture.imports import ROOT
from tests.support.e2e.programs import (
    Station,
    created,
    end,
    pair,
    until_nothing_waits,
    wait_event,
    whole_history,
)
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Deadline, Program, Silent

NAME: Final = "echo-bot"
BOT: Final = (str(ROOT / "examples" / "echo_bot.py"),)
PATIENCE: Final = 60.0
"""Seconds for the next answer. No soak passes because of it."""

LOOKS_EVERY: Final = 0.5
"""Seconds without an answer after which the soak looks whether the bot has ended."""

AT_ONCE: Final = 500
"""Commands that wait for the bot at most, so that the random moments are spread over all of them."""

Killed = Sequence[str]
"""Of `bot`, `engine` and `both`: what is killed each time."""


@dataclass
class Outcome:
    """`answers`: texts by the id of the command that they answer, in the order of the conversation."""

    sent: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, str]] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def problems(self) -> list[str]:
        """One line per violation."""
        times = Counter(command for command, _ in self.answers)
        found = [f"{text} was not answered" for id, text in self.sent.items() if id not in times]
        found += [f"{self.sent.get(id, id)} was answered {n} times" for id, n in times.items() if n > 1]
        wrong = [text for id, text in self.answers if self.sent.get(id) != text]
        found += [f"{text} answers nothing" for text in wrong]
        if not found and [text for _, text in self.answers] != list(self.sent.values()):
            found.append("the answers are in another order than the commands")
        return found


class Bot:
    """Ben's engine and his bot, each a program of its own."""

    def __init__(self, ben: Station, program: Sequence[str], stack: ExitStack) -> None:
        self._ben, self._stack = ben, stack
        line = [sys.executable, *program, "--profile", str(ben.profile), "--passphrase-file", ben.options[1]]
        self._line = ben.host.enter(*line) if ben.host is not None else line
        self.engine = self._start_engine()
        self.bot = stack.enter_context(Program(self._line))

    def _start_engine(self) -> Program:
        program = self._stack.enter_context(self._ben.start("listen"))
        wait_event(program, "ready")
        return program

    def kill(self, what: str) -> None:
        """kill -9, and a new start of the same."""
        if what in ("bot", "both"):
            self.bot.kill()
        if what in ("engine", "both"):
            self.engine.kill()
            self.engine = self._start_engine()
        self.start_again()

    def start_again(self) -> None:
        """Start the bot if it has ended. It ends some time after its engine does, when it notices."""
        if self.bot.process.poll() is not None:
            self.bot = self._stack.enter_context(Program(self._line))


def soak(folder: Path, commands: int, kills: Killed, seed: int, program: Sequence[str] = BOT) -> Outcome:
    """So many commands; `program` answers them."""
    chosen, outcome, began = random.Random(seed), Outcome(), time.monotonic()
    moments = dict(zip(sorted(chosen.sample(range(1, commands), len(kills))), kills, strict=True))
    with Lab(2) as lab, ExitStack() as stack:
        ada, ben = created(folder, lab.hosts, "Ada", "Ben")
        pair(ada, ben)
        hearing = stack.enter_context(ada.start("listen"))
        wait_event(hearing, "ready")
        bot = Bot(ben, program, stack)
        ben.ask(lambda one: one.follow(NAME))  # it answers what comes from now on
        answered = 0
        while answered < commands:
            if len(outcome.sent) < commands and len(outcome.sent) - answered < AT_ONCE // 2:
                _send(ada, outcome, min(commands, answered + AT_ONCE))
            if not _heard(hearing, bot):
                break
            answered += 1
            if answered in moments:
                bot.kill(moments[answered])
                outcome.killed[moments[answered]] += 1
        ben.ask(until_nothing_waits)
        entries = ada.ask(whole_history)
        outcome.answers = [(one.reply, one.text) for one in entries if not one.own and one.kind == "text"]
        outcome.seconds = time.monotonic() - began
        bot.bot.kill()
        end(hearing, bot.engine)
    return outcome


def _send(ada: Station, outcome: Outcome, until: int) -> None:
    async def send(messenger: Messenger) -> None:
        (ben,) = await messenger.contacts()
        for number in range(len(outcome.sent), until):
            entry = await messenger.send(ben.person, f"/echo {number}")
            outcome.sent[entry.id] = str(number)

    ada.ask(send)


def _heard(hearing: Program, bot: Bot) -> bool:
    """Wait for the next answer, and start the bot as often as it ends, as a service manager does."""
    deadline = Deadline(PATIENCE)
    while left := deadline.left():
        with suppress(Silent):
            hearing.wait_for(_is_answer, min(LOOKS_EVERY, left))
            return True
        bot.start_again()
    return False


def _is_answer(line: str) -> bool:
    said = json.loads(line)
    return bool(said.get("event") == "entry" and said["author"] == "Ben")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kills = random.Random(options.seed).choices(("bot", "engine", "both"), (4, 1, 1), k=options.kills)
    with tempfile.TemporaryDirectory() as folder:
        outcome = soak(Path(folder), options.commands, kills, options.seed)
    found = outcome.problems()
    print(*found[:50], sep="\n", end="\n" if found else "")  # noqa: T201 - it is a program
    killed = ", ".join(f"{what} {times}" for what, times in sorted(outcome.killed.items()))
    said = f"{len(outcome.answers)} answers to {options.commands} commands in {outcome.seconds:.0f} s"
    print(f"{said}; killed: {killed}; {len(found)} violations; seed {options.seed}")  # noqa: T201
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
