"""What SPEC §11.7 and the code of relays have to agree on: layouts, messages, states, timers, sizes.

Rules: as in spec_checks.py, a check takes the document's text and returns what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args

from protocol import limits
from protocol.codec import Wire
from protocol.noise import DHLEN, TAGLEN
from protocol.relay import messages
from protocol.relay.messages import FromRelay, FromTerminal
from protocol.relay.states import END_REASONS, RELAY_FOLLOWS, RELAY_MESSAGES
from tests.architecture import spec_text
from tests.architecture.spec_checks import different
from tests.architecture.spec_relay_examples import RELAY_TYPES
from tests.architecture.spec_shapes import number
from tests.architecture.spec_text import Row


def _rows(text: str, section: str, *header: str) -> list[tuple[Row, ...]]:
    """The rows of every table of a section whose header begins so."""
    lines = "\n".join(spec_text.sections(text)[section].lines) + "\n"
    return [table.rows for table in spec_text.tables(lines) if table.header[: len(header)] == header]


def relay_layouts_are_those_of_the_code(text: str) -> list[str]:
    """The fields of the greeting and of the first frame, and their sizes."""
    layouts = [
        [(row[0], int(row[1])) for row in rows]
        for rows in _rows(text, "11.7.2", "field", "bytes", "contents")
    ]
    greeting = [("magic", 8), ("min", 1), ("max", 1), ("reserved", 2), ("random", 16)]
    hello = [("version", 1), ("pattern", 1), ("mac", messages.MAC_SIZE), ("message 1", DHLEN + TAGLEN)]
    wrong = different(layouts, [greeting, hello])
    sums = [sum(size for _, size in layout) for layout in layouts]
    wrong += different(sums, [messages.GREETING_SIZE, messages.HELLO_SIZE])
    told = re.search(r"^\| pattern \| 1 \| (\d+), Noise_NK; no other \|$", text, re.MULTILINE)
    return wrong + different([told[1] if told else ""], [str(messages.NK)])


def relay_frames_have_their_sizes(text: str) -> list[str]:
    (rows,) = _rows(text, "11.7.2", "frame body", "bytes")
    reply = DHLEN + limits.RELAY_MESSAGE_BYTES + TAGLEN
    sealed = [size + TAGLEN for size in (limits.RELAY_WAIT_BYTES, limits.RELAY_MESSAGE_BYTES)]
    true = [messages.HELLO_SIZE, reply, *sealed]
    return different([int(row[1]) for row in rows], true)


def relay_messages_are_those_of_the_code(text: str) -> list[str]:
    """Number, name and sender of each."""
    rows = spec_text.table(text, "number", "message", "sent by").rows
    senders = {"terminal": get_args(FromTerminal), "relay": get_args(FromRelay)}

    def sender(struct: type[Wire]) -> str:
        (*by,) = (name for name, structs in senders.items() if struct in structs)
        return by[0] if len(by) == 1 else "both"

    true = [(str(number(struct)), struct.__name__, sender(struct)) for struct in RELAY_TYPES]
    return different([row[:3] for row in rows], true)


def relay_states_are_those_of_the_code(text: str) -> list[str]:
    """Of each state what may follow it, and the messages that it hears."""
    rows = spec_text.table(text, "end", "state", "hears").rows
    followed = [(row[0], row[1], state) for row in rows for state in row[3].split(", ")]
    heard = [(row[0], row[1], name) for row in rows for name in re.findall(r"\b[A-Z][a-z]+\b", row[2])]
    follows = [
        (role.value, state.name, following.name)
        for (role, state), every in RELAY_FOLLOWS.items()
        for following in every
    ]
    hears = [
        (role.value, state.name, kind.__name__)
        for (role, state), kinds in RELAY_MESSAGES.items()
        for kind in kinds
    ]
    return different(followed, follows) + different(heard, hears)


def relay_timers_are_limits(text: str) -> list[str]:
    """Each timer names the limit that has its value; each limit of seconds of a relay stands there."""
    rows = spec_text.table(text, "timer", "seconds", "limit").rows
    wrong = [row[0] for row in rows if float(row[1]) != getattr(limits, row[2], None)]
    named = {row[2] for row in rows}
    timed = {name for name in vars(limits) if name.startswith("RELAY_") and name.endswith("_SECONDS")}
    return wrong + sorted(timed - named)


def relay_endings_are_those_of_the_code(text: str) -> list[str]:
    """The reasons of End by their numbers."""
    (rows,) = _rows(text, "11.7.3", "End (136)")
    said = re.findall(r"(\d+) (\w+):", rows[0][3])
    return different(said, [(str(place), reason.value) for place, reason in enumerate(END_REASONS)])


RELAY_CHECKS: tuple[Callable[[str], list[str]], ...] = (
    relay_layouts_are_those_of_the_code,
    relay_frames_have_their_sizes,
    relay_messages_are_those_of_the_code,
    relay_states_are_those_of_the_code,
    relay_timers_are_limits,
    relay_endings_are_those_of_the_code,
)
