"""Where the time of the first row goes: each part of one message by itself, on the memory of a real session.

Rules: parts are timed like rows, interleaved, and less the call around them; what no part explains is the
Python between them. Parts are measured warm and alone, so that their sum is a little less than they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocol.bench import sessions
from protocol.bench.measure import Subject, interleave
from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.frames import LAST, Assembler, padded_size
from protocol.hotpath import HEADER_SIZE, FastSending, padder
from protocol.messages import MESSAGE, Entry
from protocol.primitives import AEGIS256, KEY_SIZE

_NOTHING: Final = "the call around a part"
_WHOLE: Final = "the whole row"

Work = Callable[[], object]


@dataclass(frozen=True)
class Part:
    """A part of the row, and what one message spends on it, in microseconds."""

    name: str
    microseconds: float


def profile(**timing: Any) -> tuple[Part, list[Part]]:
    """The whole row session.oneway, 64, under AEGIS-256; and its parts, the unexplained rest last."""
    message = sessions.entry(sessions.SMALL)
    works = {_NOTHING: lambda: None, _WHOLE: sessions.one_way(AEGIS256, message)}
    works |= _codec_parts(message) | _session_parts(LAST + encode(message))
    samples = interleave([Subject(name, work, "") for name, work in works.items()], **timing)
    taken = {sample.subject.name: 1e6 / sample.per_second for sample in samples}
    nothing, whole = taken.pop(_NOTHING), taken.pop(_WHOLE)
    parts = [Part(name, max(0.0, spent - nothing)) for name, spent in taken.items()]
    rest = whole - nothing - sum(part.microseconds for part in parts)
    return Part(_WHOLE, whole - nothing), [*parts, Part("Python between the parts, and the checks", rest)]


def _codec_parts(message: Entry) -> dict[str, Work]:
    encoded = encode(message)
    content, add, decode = LAST + encoded, Assembler().add, MESSAGE.decode
    return {
        "codec: struct to bytes, piece flag": lambda: LAST + encode(message),
        "piece taken off": lambda: add(content),
        "codec: bytes to struct, compared with its one encoding": lambda: decode(encoded),
    }


def _session_parts(content: bytes) -> dict[str, Work]:
    alice, _ = sessions.session_pair(AEGIS256)
    sending, work = alice._sending, alice._work
    if work is None or not isinstance(sending, FastSending):
        raise LocalMisuse("without the low-level binding there is no hot path to take apart")
    state, _ = work.memory(2 * KEY_SIZE)
    out, null, key, size = work.sealed, work.null, state + KEY_SIZE, padded_size(len(content))
    end, put, zeros = HEADER_SIZE + size + work.tag_size, padder(len(content))[1], bytes(2 * KEY_SIZE)
    wiped = memoryview(work.ffi.buffer(state))
    step, encrypt, decrypt = work.hash, work.encrypt, work.decrypt
    view, sealed, counters, _ = out.parts
    copied, opened, *_ = work.opened.parts

    def chain_steps() -> None:
        step(state, 64, null, 0, state, KEY_SIZE, null, work.label)
        step(state, 64, null, 0, state, KEY_SIZE, null, work.label)

    def seal() -> None:
        encrypt(sealed, null, sealed, size, counters, 8, null, work.nonce, key)

    def open_it() -> None:
        decrypt(opened, null, null, sealed, end - HEADER_SIZE, counters, 8, work.nonce, key)

    def copies() -> None:
        copied[:end] = view[:end]

    def wipes() -> None:
        wiped[:] = wiped[:] = wiped[:] = zeros

    return {
        "BLAKE2b, a chain step at each end": chain_steps,
        "AEGIS-256, sealing": seal,
        "AEGIS-256, opening": open_it,
        "padding, with the content's copy into C memory": lambda: put(view, 36, 7, len(content), content),
        "the envelope's copies out of C memory and into it": copies,
        "keys wiped": wipes,
    }


def as_table(whole: Part, parts: Sequence[Part]) -> list[str]:
    """Lines of Markdown, the longest part first, the rest last."""
    *known, rest = parts
    ordered = [*sorted(known, key=lambda part: -part.microseconds), rest, whole]
    return [
        "| part of one message | µs |",
        "| --- | ---: |",
        *(f"| {part.name} | {part.microseconds:.2f} |" for part in ordered),
    ]
