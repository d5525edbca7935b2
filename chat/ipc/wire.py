"""The lines of the profile's socket: JSON, one value per line, with the calls and types of `Messenger`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast, get_args, get_type_hints

import msgspec

from chat import interface
from chat.errors import Phrase, phrase
from chat.interface import CannotCreate, Event, Messenger, ParlourError, Unreachable
from chat.platforms import endpoints
from chat.platforms.endpoint import Endpoint, InTheWay, PathTooLong, Reached, Stranger

VERSION: Final = 15
"""Raised whenever a call, a view or an event changes: an engine and a command of two versions say so."""

REQUEST_BYTES_MAX: Final = 1 << 20
"""One request: a text entry of 16,384 characters, each escaped to twelve bytes, with room."""

LINE_BYTES_MAX: Final = 1 << 28
"""One line from the engine: four thousand of the longest entries."""

NO_ENGINE: Final = phrase(
    "The engine of this profile does not answer: try again, or end it and start it again."
)
STRANGER: Final = phrase(
    "The engine's socket belongs to another user of this machine: check who owns the profile folder."
)
IN_THE_WAY: Final = phrase("A file that is not a socket has the name of the engine's socket: move it away.")
TOO_LONG: Final = phrase("The profile's path is too long for a socket: choose a folder with a shorter path.")


class Hello(msgspec.Struct, frozen=True):
    """The first line, from the engine."""

    version: int


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call by name; `arguments` is an object by parameter names."""

    id: int
    call: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class Result(msgspec.Struct, frozen=True, tag="result"):
    """What the call returned."""

    id: int
    value: msgspec.Raw


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """What the call raised: the class's name and what it says."""

    id: int
    error: str
    text: Phrase


class Happened(msgspec.Struct, frozen=True, tag="event"):
    """An event, for a request named `events`."""

    id: int
    event: str
    value: msgspec.Raw


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The last line. `unanswered` were begun and cut short; other requests without answer were not begun."""

    unanswered: tuple[int, ...]
    reason: Phrase
    locked: bool


Line = Result | Failure | Happened | Ended
T = TypeVar("T")


def decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """The value in a line. Raises msgspec.DecodeError, also for what msgspec has other errors for."""
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_decode_more)
    except (UnicodeDecodeError, RecursionError):
        raise msgspec.DecodeError("not a line of this socket") from None


class _Said(msgspec.Struct, frozen=True, array_like=True):
    """A phrase on the wire. A value that is a phrase is nested in the same form."""

    text: str
    template: str = ""
    values: dict[str, str | int | _Said] = {}


def _encode_more(value: object) -> _Said:
    if isinstance(value, Phrase):
        return _Said(str(value), value.template, dict(value.values))
    raise TypeError(f"{type(value).__name__} does not go through the socket")


def _decode_more(kind: type[object], value: object) -> Phrase:
    if kind is Phrase:
        return _phrase(msgspec.convert(value, _Said))
    raise TypeError(f"{kind.__name__} does not come through the socket")


def _phrase(said: _Said) -> Phrase:
    values = {name: _phrase(one) if isinstance(one, _Said) else one for name, one in said.values.items()}
    return Phrase(said.text, said.template, values)


class Call(NamedTuple):
    """A call as its type hints declare it: a struct of its arguments, and the type of its answer."""

    arguments: type[msgspec.Struct]
    returns: Any


def _declared(name: str, method: Callable[..., object]) -> Call:
    hints = get_type_hints(method)
    fields: list[Any] = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        field = (parameter.name, hints[parameter.name])
        optional = parameter.default is not parameter.empty
        fields.append((*field, parameter.default) if optional else field)
    arguments = msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True)
    return Call(arguments, hints["return"])


CALLS: Final = {
    name: _declared(name, method)
    for name, method in vars(Messenger).items()
    if inspect.iscoroutinefunction(method) and not name.startswith("_") and name != "close"
}
"""Every call of `Messenger` that has an answer. `close` ends the connection."""

ONCE: Final = frozenset(
    (
        *("invite", "join", "pair_address", "pair_nearby", "answer_pairing", "send"),
        *("send_file", "save_file", "open_feed", "feed"),
        *("remove", "remove_relay", "change_passphrase", "lock"),
        *("add_terminal", "answer_linking", "remove_terminal"),
        *("permit", "forget_client"),
        *("rename_self", "recover", "confirm_recovery", "back_up", "export"),
    )
)
"""Calls that do something else when they are made twice. Every other one reads, or says what is to hold.

A `send` or `send_file` with an id is none of them.
"""

EVENTS: Final = "events"
"""The request that opens a stream of events."""

_EVENT_TYPES: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in get_args(Event)}
_ERRORS: Final[dict[str, type[ParlourError]]] = {
    name: value
    for name, value in vars(interface).items()
    if isinstance(value, type) and issubclass(value, ParlourError)
}


def encode(value: object) -> bytes:
    """One line: JSON escapes every line break inside a value."""
    return msgspec.json.encode(value, enc_hook=_encode_more) + b"\n"


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value, enc_hook=_encode_more))


def happened(request: int, event: Event) -> bytes:
    return encode(Happened(request, type(event).__name__, raw(event)))


def read_arguments(request: Request) -> msgspec.Struct:
    """The arguments of a call. Raises msgspec.DecodeError, also where no call has this name."""
    if request.call not in CALLS:
        raise msgspec.ValidationError("no call has this name")
    return decoded(request.arguments, CALLS[request.call].arguments)


def read_line(line: bytes) -> Line:
    """A line from the engine, after its first. Raises msgspec.DecodeError."""
    return decoded(line, cast(type[Line], Line))


def event_of(line: Happened) -> Event:
    """The event of a line. Raises msgspec.DecodeError."""
    if line.event not in _EVENT_TYPES:
        raise msgspec.ValidationError("no event has this name")
    return cast(Event, decoded(line.value, _EVENT_TYPES[line.event]))


def failure(request: int, error: ParlourError) -> bytes:
    """The line of an error. A subclass that the interface does not name goes as the one that it does."""
    named = next(kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return encode(Failure(request, named.__name__, error.phrase))


def error_of(line: Failure) -> ParlourError:
    return _ERRORS.get(line.error, ParlourError)(line.text)


def listen(path: Path) -> Endpoint:
    """An endpoint for programs of this user, in the place of a dead engine's. Raises CannotCreate."""
    try:
        return endpoints.listen(path)
    except InTheWay:
        raise CannotCreate(IN_THE_WAY) from None
    except PathTooLong:
        raise CannotCreate(TOO_LONG) from None
    except OSError as error:
        reason = str(error.strerror)
        raise CannotCreate(
            phrase("The engine's socket cannot be created ({reason}): check the folder.", reason=reason)
        ) from error


def connect(path: Path) -> Reached:
    """A connection to the engine. Raises Unreachable, CannotCreate (no name is short enough)."""
    try:
        return endpoints.connect(path)
    except PathTooLong:
        raise CannotCreate(TOO_LONG) from None
    except Stranger:
        raise Unreachable(STRANGER) from None
    except OSError as error:
        raise Unreachable(NO_ENGINE) from error
