"""The methods, events and errors of the API, and their form in JSON."""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chat import interface
from chat.errors import Phrase
from chat.interface import (
    ClientChanged,
    ClientRights,
    EntryAdded,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryReturned,
    Event,
    Messenger,
    ParlourError,
)

VERSION: Final = 1
"""Raised when what is there changes its meaning or goes. What is added raises nothing: clients ignore it."""

LINE_BYTES_MAX: Final = 1 << 20
"""Bytes of one request: a text of 16,384 characters, each escaped to twelve bytes, with room."""

SEND_ID: Final = "send_id"
CLIENT: Final = "client"
"""Parameters of calls that one can repeat: the id, and the client that made it, which no client says."""

SECRET: Final = "its arguments or its answer hold a secret, which a log of lines would keep"
OWN_WAY: Final = "`hello`, `subscribe` and `ack` do it"

LEFT_OUT: Final[dict[str, str]] = {
    **dict.fromkeys(("invite", "join", "permit"), SECRET),
    **dict.fromkeys(("change_passphrase", "back_up"), SECRET),
    **dict.fromkeys(("recovery_words", "confirm_recovery", "check_recovery"), SECRET),
    **dict.fromkeys(("foresee_recovery", "begin_recovery", "recover"), SECRET),
    **dict.fromkeys(("follow", "client_of", "take_turn", "arrivals", "acknowledge"), OWN_WAY),
    "close": "the end of the input does it",
}
"""Calls of `Messenger` that are no methods here, and why."""

UNSENT: Final = (ClientChanged, EntryFilled, EntryReturned)
"""Events that are not passed on: content that came late is an EntryAdded, and what returns is no news.

Of ClientChanged the program that it concerns is disconnected.
"""

LASTING: Final = (EntryAdded, EntryEdited, EntryDeleted)
"""Events that have a position, and come again until they are acknowledged."""

EVENTS: Final[dict[str, type[Struct]]] = {
    kind.__name__: kind for kind in get_args(Event) if kind not in UNSENT
}


class Hello(Struct, frozen=True):
    """Who the client is. `client`: its name, by which its place is kept; empty: none is.

    `token`: what it was given, which says its name as well.
    """

    client: str = ""
    token: str = ""


class Greeting(Struct, frozen=True):
    """The answer to `hello`. `version`: of this API. `program`: of Parlour.

    `acknowledged`: the position of the client, `last` the newest one. `contact`: as in ClientView.
    """

    version: int
    program: str
    client: str
    rights: ClientRights
    contact: str
    acknowledged: int
    last: int


class Subscribe(Struct, frozen=True):
    """`since`: deliver what comes after this position, if that is after the acknowledged one.

    `live`: also what has no position.
    """

    since: Annotated[int, Meta(ge=0)] | None = None
    live: bool = True


class Subscribed(Struct, frozen=True):
    """Everything after this position is delivered."""

    position: int


class Ack(Struct, frozen=True):
    """The client has acted on everything up to `position`."""

    position: Annotated[int, Meta(ge=0)]


class Method(Struct, frozen=True):
    """A method: a struct of its parameters, the type of its result, and what it does."""

    params: type[Struct]
    returns: Any
    about: str


def _declared(name: str) -> Method:
    call = getattr(Messenger, name)
    hints = get_type_hints(call, include_extras=True)
    fields: list[Any] = []
    parameters = inspect.signature(call).parameters
    for parameter in list(parameters.values())[1:]:
        if parameter.name == CLIENT and SEND_ID in parameters:
            continue  # the session says which client calls
        optional = parameter.default is not parameter.empty
        fields.append((parameter.name, hints[parameter.name], *([parameter.default] if optional else [])))
    # What a newer client adds is ignored, unlike at the engine's own socket.
    return Method(msgspec.defstruct(name, fields, frozen=True), hints["return"], inspect.getdoc(call) or "")


OWN: Final = {
    "hello": Method(
        Hello,
        Greeting,
        "Say who calls; first of all, where a token is required, and before `subscribe`."
        " Raises NotPermitted (the token), UsageError (the name).",
    ),
    "subscribe": Method(
        Subscribe,
        Subscribed,
        "Deliver events from now on: those with a position from where this client acknowledged, and all"
        " others as they happen. A program that has subscribed by the same name is disconnected."
        " Raises UsageError (no client, a position acknowledged or not given).",
    ),
    "ack": Method(
        Ack,
        None,
        "This client has acted on everything up to a position. Raises UsageError (it was not delivered),"
        " NotPermitted (another program goes on by this name).",
    ),
}
"""Methods that the API adds."""

METHODS: Final = OWN | {
    name: _declared(name)
    for name, call in vars(Messenger).items()
    if inspect.iscoroutinefunction(call) and not name.startswith("_") and name not in LEFT_OUT
}


class Request(Struct, frozen=True):
    """A line of the client. Without `id` it gets no answer."""

    jsonrpc: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int | str | UnsetType | None = UNSET


class Told(Struct, frozen=True):
    """What an `event` says. `position` is null for what is not delivered again."""

    event: str
    position: int | None
    value: msgspec.Raw


class Trouble(Struct, frozen=True):
    """`data` names the kind of a failure of Parlour."""

    code: int
    message: str
    data: dict[str, str] | UnsetType = UNSET


PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
"""Codes of JSON-RPC 2.0."""

CODES: Final[dict[str, int]] = {
    "ParlourError": -32000,
    "UsageError": -32001,
    "BadData": -32002,
    "Unreachable": -32003,
    "EngineEnded": -32004,
    "AnswerLost": -32005,
    "OutcomeUnknown": -32006,
    "CannotCreate": -32007,
    "NotPermitted": -32008,
    "KeyringFailure": -32009,
    "Unconfirmed": -32010,
    "OnlyAsOriginal": -32012,
    "Unconfined": -32013,
    "NotTypedBack": -32014,
    "WordsReplaced": -32015,
}
"""The code of each kind of failure; its name is in `data.kind`."""

T = TypeVar("T")


def encode(value: object) -> bytes:
    """JSON without a line break."""
    return msgspec.json.encode(value, enc_hook=_encode_more)


def plain(value: object) -> Any:
    """A value as JSON has it."""
    return msgspec.json.decode(encode(value))


def decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """The value of some JSON. Raises msgspec.DecodeError, also for what msgspec has other errors for."""
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_decode_more)
    except (UnicodeDecodeError, RecursionError):
        raise msgspec.DecodeError("not JSON") from None


def _encode_more(value: object) -> str:
    if isinstance(value, Phrase):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not go through the API")


def _decode_more(kind: type[object], value: object) -> Phrase:
    if kind is Phrase:
        return Phrase(msgspec.convert(value, str))
    raise TypeError(f"{kind.__name__} does not come through the API")


def read_params(method: str, params: msgspec.Raw) -> Struct:
    """The parameters, by name or in order. Raises msgspec.DecodeError."""
    kind = METHODS[method].params
    if bytes(params).lstrip()[:1] != b"[":
        return decoded(params, kind)
    given = decoded(params, list[msgspec.Raw])
    names = kind.__struct_fields__
    if len(given) > len(names):
        raise msgspec.ValidationError(f"{method} has {len(names)} parameters")
    return decoded(encode(dict(zip(names, given, strict=False))), kind)


def answer(id: int | str | None, result: object) -> bytes:
    return encode({"jsonrpc": "2.0", "id": id, "result": result})


def failure(id: int | str | None, trouble: Trouble) -> bytes:
    return encode({"jsonrpc": "2.0", "id": id, "error": trouble})


def trouble_of(error: ParlourError) -> Trouble:
    """What a client hears of a failure. A kind that has no code goes as one that has."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in CODES)
    return Trouble(CODES[kind], str(error.phrase), {"kind": kind})


def error_of(trouble: Trouble) -> ParlourError:
    """The failure as a client of this library raises it."""
    kind = trouble.data.get("kind", "") if isinstance(trouble.data, dict) else ""
    found: type[ParlourError] = getattr(interface, kind) if kind in CODES else ParlourError
    return found(Phrase(trouble.message))


def told(event: Event, position: int | None = None) -> bytes:
    """The line of an event."""
    said = Told(type(event).__name__, position, msgspec.Raw(encode(event)))
    return encode({"jsonrpc": "2.0", "method": "event", "params": said})
