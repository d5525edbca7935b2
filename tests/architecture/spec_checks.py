"""What SPEC.md and the code must agree on. A check takes the text and returns the disagreements."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

from msgspec import inspect, msgpack

from chat.config import Config
from chat.network.transport import TcpTransport
from chat.relay.quotas import Limits
from protocol import errors, labels, limits, messages, profile_header
from protocol.backup import records
from protocol.backup.sealed import BackupHeader
from protocol.codec import Wire
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_FILE,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
)
from protocol.identity import log
from protocol.link.framing import CHOICE_SIZE, padded_size
from protocol.link.states import FOLLOWS, MESSAGES
from protocol.noise import DHLEN, TAGLEN
from protocol.pairing import invitation, linking
from protocol.pairing.linking import ADDING, BEING_ADDED
from protocol.pairing.pairing import TRANSITIONS, Call
from protocol.relay import messages as relay_messages
from protocol.relay.messages import FromRelay, FromTerminal, RelayMessage, Welcome
from protocol.relay.states import END_REASONS, RELAY_FOLLOWS, RELAY_MESSAGES
from protocol.vectors.own import AREAS
from tests.architecture import spec_document, spec_examples
from tests.architecture.imports import PACKAGES, ROOT, sources
from tests.architecture.spec_document import Row, Value, parse

Check = Callable[[str], list[str]]

RELAY_TYPES: tuple[type[Wire], ...] = get_args(RelayMessage)
RELAY_STRUCTS: tuple[type[Wire], ...] = (*RELAY_TYPES, Welcome)
MESSAGE_TYPES: tuple[type[Wire], ...] = get_args(messages.Message)
STRUCTS: dict[str, type[Wire]] = {
    **{struct.__name__: struct for struct in MESSAGE_TYPES},
    **{
        struct.__name__: struct
        for struct in (
            *get_args(log.Operation),
            log.Removal,
            log.RecoveryKey,
            messages.ShareNames,
            messages.Digest,
            messages.ContactHello,
            messages.ContactReply,
            messages.PairingReply,
            messages.PairingFinish,
            messages.Head,
            messages.SharedShare,
            messages.SharedRoot,
            messages.SharedComparison,
            messages.SharedVoucher,
            messages.SharedPlace,
            messages.SharedDrawn,
            messages.SharedSetting,
            messages.SharedRelay,
            messages.EntryHeader,
            messages.TextBody,
            messages.CutHead,
            messages.CutBody,
            messages.DeleteBody,
            messages.EditBody,
            messages.TimerBody,
            messages.BotCommand,
            messages.BotBody,
            messages.FileBody,
            messages.PieceRange,
            messages.StateWrite,
            messages.StateBody,
            messages.ContactValue,
            messages.PetnameValue,
            messages.SwitchValue,
            messages.StandingValue,
            messages.PairingValue,
            profile_header.Header,
            BackupHeader,
            records.BackupComparison,
            records.BackupVoucher,
            records.BackupReceipt,
            records.BackupSignature,
            *get_args(records.Record),
        )
    },
    # Those with fields: the others have no table of their own.
    **{struct.__name__: struct for struct in RELAY_STRUCTS if struct.__struct_fields__},
    "Signed": log._Signed,
    "Invitation": invitation._Text,
}


def different(said: Iterable[object], true: Iterable[object]) -> list[str]:
    """What stands only in the document, and what only in the code."""
    there, here = list(said), list(true)
    return [f"only in SPEC: {one}" for one in there if one not in here] + [
        f"only in the code: {one}" for one in here if one not in there
    ]


# --- Sections ---


def cited_sections_exist(text: str) -> list[str]:
    """Those that the document names, and those that the code does."""
    exist = set(spec_document.headings(text))
    cited = {("SPEC.md", one) for one in spec_document.cited(text)} | set(cited_by_code(ROOT))
    return [f"{place} cites §{one}" for place, one in sorted(cited) if one not in exist]


def cited_by_code(root: Path) -> Iterator[tuple[str, str]]:
    """File and section of every `SPEC §…`, of lists and ranges each one; a line break may stand anywhere."""
    chain = re.compile(r"SPEC (§\d+(?:\.\d+)*(?:(?:,| to| and) §\d+(?:\.\d+)*)*)")
    for package in (*PACKAGES, "tests"):
        for path in sources(root, package):
            plain = re.sub(r"[\s#]+", " ", path.read_text(encoding="utf-8"))
            for match in chain.finditer(plain):
                for one in re.findall(r"\d+(?:\.\d+)*", match[1]):
                    yield path.relative_to(root).as_posix(), one


# --- Labels, limits ---


def labels_are_the_registry(text: str) -> list[str]:
    rows = spec_document.table(text, "label", "use").rows
    true = [(label.decode().replace("\0", "\\0"), use) for label, use in labels.registry().items()]
    return different([row[:2] for row in rows], true) + doubles([row[0] for row in rows])


def doubles(ids: Iterable[str]) -> list[str]:
    return [f"twice: {one}" for one, count in Counter(ids).items() if count > 1]


def limits_are_those_of_the_code(text: str) -> list[str]:
    both = [
        table for table in spec_document.tables(text) if table.header[:4] == ("name", "value", "meaning", "§")
    ]
    said = [(kind, row[0], _number(row[1]), row[3]) for kind, table in enumerate(both) for row in table.rows]
    return different(said, _limits())


def _number(written: str) -> float:
    """The value of `61,440`, `0.2` or `2^20-2^14`."""
    if "." in written:
        return float(written)
    terms = [part.split("^") for part in written.replace(",", "").split("-")]
    first, *rest = (pow(*map(int, term)) if len(term) > 1 else int(term[0]) for term in terms)
    return int(first - sum(rest))


def _limits() -> Iterator[tuple[int, str, float, str]]:
    """Part (0 specification, 1 implementation), name, value and sections of each constant of limits.py."""
    source = Path(limits.__file__).read_text(encoding="utf-8")
    part = source[: source.index("# --- Implementation constants")].count("\n")
    body = ast.parse(source).body
    for assigned, text in pairwise(body):
        if isinstance(assigned, ast.AnnAssign) and isinstance(assigned.target, ast.Name):
            name = assigned.target.id
            cited = re.search(r"\((?:SPEC )?([^()]*§[^()]*)\)", ast.unparse(text))
            where = cited[1] if cited else "nowhere"
            section = where if where.startswith("Noise") else where.replace("§", "")
            yield int(assigned.lineno > part), name, getattr(limits, name), section


def bounds_are_those_of_the_engine(text: str) -> list[str]:
    """What the protocol leaves to a program, as this one chose it."""
    rows = spec_document.table(text, "setting", "value").rows
    return different([(row[0], _number(row[1])) for row in rows], [(row[0], _bound(row[0])) for row in rows])


def _bound(setting: str) -> object:
    """A field of Config or Limits, a default of TcpTransport, or a constant of a module of the engine."""
    owner, _, name = setting.rpartition(".")
    if owner in ("Config", "Limits"):
        return getattr(Config() if owner == "Config" else Limits(), name)
    if owner == "TcpTransport":
        return signature(TcpTransport.__init__).parameters[name].default
    return getattr(importlib.import_module(f"chat.{owner}"), name)


# --- Messages, shapes, states ---


def messages_are_those_of_the_code(text: str) -> list[str]:
    """Number, name and section of each, and that the section is its own."""
    rows = spec_document.table(text, "number", "name", "§").rows
    titles = {section.number: section.title for section in spec_document.sections(text).values()}
    true = [(str(number(struct)), struct.__name__) for struct in MESSAGE_TYPES]
    wrong = [f"{row[1]} is not in §{row[2]}" for row in rows if titles.get(row[2]) != row[1]]
    return different([row[:2] for row in rows], true) + wrong


def numbers_are_used_or_reserved(text: str) -> list[str]:
    """Each of messages, entry kinds and operations once, from the first to the last that is reserved."""
    rows = spec_document.table(text, "for", "messages").rows
    used: tuple[list[int | None], ...] = (
        [number(struct) for struct in (*MESSAGE_TYPES, *RELAY_TYPES)],
        [KIND_TEXT, KIND_CUT, KIND_DELETE, KIND_EDIT, KIND_TIMER, KIND_STATE, KIND_BOT, KIND_FILE],
        [number(struct) for struct in get_args(log.Operation)],
    )
    wrong = []
    for column, taken in enumerate(used, 1):
        ranges = [one for row in rows for one in re.findall(r"(\d+)(?: to (\d+))?", row[column])]
        kept = [one for low, high in ranges for one in range(int(low), int(high or low) + 1)]
        every = sorted([*kept, *(one for one in taken if one is not None)])
        wrong += different(every, range(every[0], every[-1] + 1)) + doubles(map(str, every))
    return wrong


def messages_have_their_states(text: str) -> list[str]:
    """The state of the link, and after it those of a pairing, in which each may be received."""
    rows = spec_document.table(text, "number", "name", "§").rows
    said = [(row[1], state) for row in rows for state in re.findall(r"[A-Z]{2,}", row[4])]
    link = [(kind.__name__, state.name) for state, kinds in MESSAGES.items() for kind in kinds]
    pairing = [(cause.__name__, state.name) for state, cause in TRANSITIONS if not isinstance(cause, Call)]
    linked = [
        (cause.__name__, state.name)
        for transitions in (BEING_ADDED, ADDING)
        for state, cause in transitions
        if not isinstance(cause, linking.Call)
    ]
    return different(said, link + pairing + linked)


def shapes_are_those_of_the_code(text: str) -> list[str]:
    """Name, number, type and size of every field of every struct."""
    said: dict[str, list[Row]] = {}
    for table in spec_document.tables(text):
        if table.header[1:] == ("type", "bytes", "contents"):
            said[table.header[0]] = [one for row in table.rows for one in _rows_of(row, said)]
    true = {_titled(name, struct): list(fields(struct)) for name, struct in STRUCTS.items()}
    wrong = [f"{name}: {different(said[name], true[name])}" for name in said if name in true]
    return different(said, true) + [line for line in wrong if not line.endswith(": []")]


def _rows_of(row: Row, before: Mapping[str, list[Row]]) -> Iterator[Row]:
    """The row of a field, or those that a row without a type names "as in" a table before it."""
    if row[1]:
        yield row[:3]
        return
    named, like = re.findall(r"\w+", row[0]), row[3].removeprefix("as in ")
    (rows,) = (rows for title, rows in before.items() if title.split(" ")[0] == like)
    yield from (one for one in rows if one[0] in named)


def _titled(name: str, struct: type[Wire]) -> str:
    own = number(struct)
    return name if own is None else f"{name} ({own})"


def link_states_are_those_of_the_code(text: str) -> list[str]:
    said = [
        (row[0], row[1], state)
        for row in spec_document.table(text, "role", "state", "waits for").rows
        for state in row[3].split(", ")
    ]
    true = [
        (role.name.lower(), state.name, following.name)
        for (role, state), every in FOLLOWS.items()
        for following in every
    ]
    return different(said, true)


def pairing_states_are_those_of_the_code(text: str) -> list[str]:
    rows = spec_document.table(text, "state", "input", "next state").rows
    said = [(row[0].split(" ")[0], row[1], row[2]) for row in rows]
    true = [
        (state.name, cause.name if isinstance(cause, Call) else cause.__name__, following.name)
        for (state, cause), following in TRANSITIONS.items()
    ]
    return different(said, true)


def linking_states_are_those_of_the_code(text: str) -> list[str]:
    wrong = []
    for whose, transitions in (("new terminal's state", BEING_ADDED), ("adder's state", ADDING)):
        rows = spec_document.table(text, whose, "input", "next state").rows
        said = [(row[0].split(" ")[0], row[1], row[2]) for row in rows]
        true = [
            (state.name, cause.name if isinstance(cause, linking.Call) else cause.__name__, following.name)
            for (state, cause), following in transitions.items()
        ]
        wrong += different(said, true)
    return wrong


# --- Sizes ---


def frames_of_handshakes_have_their_sizes(text: str) -> list[str]:
    """The bodies of each pattern: keys, tags, padded payloads, and the choice before the first."""
    _, *said = next(
        row for row in spec_document.table(text, "message", "XX").rows if row[0].startswith("frame")
    )
    key, sealed_key, tag = DHLEN, DHLEN + TAGLEN, TAGLEN
    reply, finish = _padded(messages.PairingReply), _padded(messages.PairingFinish)
    pairing = (key + sealed_key + tag + reply[0], sealed_key + tag + finish[0])
    hello = [CHOICE_SIZE + key + sealed_key + tag + size for size in _padded(messages.ContactHello)]
    true = [
        f"{CHOICE_SIZE + key}, {pairing[0]}, {pairing[1]}",
        f"{CHOICE_SIZE + key + tag}, {pairing[0]}, {pairing[1]}",
        f"{hello[0]} to {hello[1]}, {key + tag + _padded(messages.ContactReply)[0]}",
    ]
    return different(said, true)


def _padded(struct: type[Wire]) -> list[int]:
    """The sizes of the padded payloads of the least and the most that a struct can be."""
    return [padded_size(size) for size in _sizes(_shape(struct))]


def padded_sizes_are_right(text: str) -> list[str]:
    (sizes,) = [table for table in spec_document.tables(text) if table.header[0] == "content, bytes"]
    contents = [int(_number(cell)) for cell in sizes.header[1:]]
    return different(sizes.rows[0][1:], [f"{padded_size(size):,}" for size in contents])


# --- Formulas and examples ---


def formulas_give_what_the_code_gives(text: str) -> list[str]:
    """And every label is in one."""
    blocks = {name: [*map(parse, lines)] for name, lines in spec_document.formulas(text).items()}
    labelled = {formula.label for found in blocks.values() for formula in found if formula.label}
    wrong = different(labelled, (label.decode().replace("\0", "\\0") for label in labels.registry()))
    for name, found in blocks.items():
        values = spec_examples.values(name)
        for formula in found:
            if formula.compute(values) != _as_bytes(values[formula.name]):
                wrong.append(f"formula {name}: {formula.name}")
    return wrong


def _as_bytes(value: Value) -> object:
    return value.encode() if isinstance(value, str) else value


def examples_are_made_by_the_code(text: str) -> list[str]:
    said, true = spec_document.examples(text), spec_examples.examples()
    return different(said, true.items()) + doubles([name for name, _ in said])


# --- Vectors ---


def vectors_are_those_that_exist(text: str) -> list[str]:
    rows = spec_document.table(text, "area", "file").rows
    return different([row[:2] for row in rows], [(area, f"{area}.json") for area in AREAS])


Range = tuple[int, int]
Field = tuple[str, str, str]
"""Name, type and encoded size in bytes, as the cells of a field table."""

_UNSIGNED: Final = {2**bits - 1: f"u{bits}" for bits in (8, 16, 32, 48, 53)}


def fields(struct: type[Wire]) -> list[Field]:
    """The fields of a struct in their order."""
    return [(field.name, *_cells(field.type)) for field in _shape(struct).fields]


def _sizes(kind: inspect.Type) -> Range:
    """The least and the most bytes of an encoding."""
    shortest, longest = _extremes(kind)
    return len(msgpack.encode(shortest)), len(msgpack.encode(longest))


def _cells(kind: inspect.Type) -> tuple[str, str]:
    written = _type(kind)
    return written, "fixed" if written in ("text", "int") else _span(*_sizes(kind))


def number(struct: type[Wire]) -> int | None:
    """The number that begins the struct's encoding, if it has one."""
    tag = _shape(struct).tag
    return tag if isinstance(tag, int) else None


def _shape(struct: type[Wire]) -> inspect.StructType:
    shape = inspect.type_info(struct)
    assert isinstance(shape, inspect.StructType)
    return shape


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}..{most}"


def _type(kind: inspect.Type) -> str:
    match kind:
        case inspect.BytesType():
            return f"bytes({_span(*_lengths(kind))})"
        case inspect.StrType():
            return f"text({_span(*_lengths(kind))})" if kind.max_length else "text"
        case inspect.IntType():
            return _integer(kind)
        case inspect.BoolType():
            return "bool"
        case inspect.ListType():
            return f"list({_span(*_lengths(kind))}) of {_type(kind.item_type)}"
        case inspect.StructType():
            return kind.cls.__name__
    raise AssertionError(f"SPEC §3.1 has no notation for {kind}")


def _integer(kind: inspect.IntType) -> str:
    if kind.ge == 0 and kind.le in _UNSIGNED:
        return _UNSIGNED[kind.le]
    return "int" if kind.le is None else f"int({kind.ge}..{kind.le})"


def _lengths(kind: inspect.BytesType | inspect.StrType | inspect.ListType) -> Range:
    return kind.min_length or 0, kind.max_length or 0


def _extremes(kind: inspect.Type) -> tuple[Any, Any]:
    """A value with the shortest encoding, and one with the longest."""
    match kind:
        case inspect.BytesType():
            least, most = _lengths(kind)
            return bytes(least), bytes(most)
        case inspect.StrType():
            least, most = _lengths(kind)
            return "x" * least, "\U00010000" * most
        case inspect.IntType():
            return kind.ge or 0, kind.le or 0
        case inspect.BoolType():
            return False, True
        case inspect.ListType():
            (least, most), items = _lengths(kind), _extremes(kind.item_type)
            return [items[0]] * least, [items[1]] * most
        case inspect.StructType():
            head = [] if kind.tag is None else [kind.tag]
            shortest, longest = zip(*(_extremes(field.type) for field in kind.fields), strict=True)
            return [*head, *shortest], [*head, *longest]
    raise AssertionError(f"SPEC §3.3 has no encoding for {kind}")


def _rows(text: str, section: str, *header: str) -> list[tuple[Row, ...]]:
    """The rows of every table of a section whose header begins so."""
    lines = "\n".join(spec_document.sections(text)[section].lines) + "\n"
    return [table.rows for table in spec_document.tables(lines) if table.header[: len(header)] == header]


def relay_layouts_are_those_of_the_code(text: str) -> list[str]:
    """The sizes of the greeting and of the first frame, and the one pattern."""
    sums = [sum(int(row[1]) for row in rows) for rows in _rows(text, "11.7.2", "field", "bytes", "contents")]
    wrong = different(sums, [relay_messages.GREETING_SIZE, relay_messages.HELLO_SIZE])
    told = re.search(r"^\| pattern \| 1 \| (\d+), Noise_NK; no other \|$", text, re.MULTILINE)
    return wrong + different([told[1] if told else ""], [str(relay_messages.NK)])


def relay_frames_have_their_sizes(text: str) -> list[str]:
    (rows,) = _rows(text, "11.7.2", "frame body", "bytes")
    reply = DHLEN + limits.RELAY_MESSAGE_BYTES + TAGLEN
    sealed = [size + TAGLEN for size in (limits.RELAY_WAIT_BYTES, limits.RELAY_MESSAGE_BYTES)]
    true = [relay_messages.HELLO_SIZE, reply, *sealed]
    return different([int(row[1]) for row in rows], true)


def relay_messages_are_those_of_the_code(text: str) -> list[str]:
    """Number, name and sender of each."""
    rows = spec_document.table(text, "number", "message", "sent by").rows
    senders = {"terminal": get_args(FromTerminal), "relay": get_args(FromRelay)}

    def sender(struct: type[Wire]) -> str:
        (*by,) = (name for name, structs in senders.items() if struct in structs)
        return by[0] if len(by) == 1 else "both"

    true = [(str(number(struct)), struct.__name__, sender(struct)) for struct in RELAY_TYPES]
    return different([row[:3] for row in rows], true)


def relay_states_are_those_of_the_code(text: str) -> list[str]:
    """Of each state what may follow it, and the messages that it hears."""
    rows = spec_document.table(text, "end", "state", "hears").rows
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
    rows = spec_document.table(text, "timer", "seconds", "limit").rows
    wrong = [row[0] for row in rows if float(row[1]) != getattr(limits, row[2], None)]
    named = {row[2] for row in rows}
    timed = {name for name in vars(limits) if name.startswith("RELAY_") and name.endswith("_SECONDS")}
    return wrong + sorted(timed - named)


def relay_endings_are_those_of_the_code(text: str) -> list[str]:
    """The reasons of End by their numbers."""
    (rows,) = _rows(text, "11.7.3", "End (136)")
    said = re.findall(r"(\d+) (\w+):", rows[0][3])
    return different(said, [(str(place), reason.value) for place, reason in enumerate(END_REASONS)])


_AFTER_A_GAP: Final = ("V-RC-08", "V-HS-07", "V-ET-07", "V-OG-04", "V-OG-06", "V-LG-06", "V-LG-12")


def rules_have_one_id_each(text: str) -> list[str]:
    """Numbered upwards from 01 within their letters, each with one of the five classes.

    The number of a rule that went is not used again.
    """
    found = spec_document.rules(text)
    counted: Counter[str] = Counter()
    wrong = doubles([rule.id for rule in found])
    for rule in found:
        kind, number = rule.id[:4], int(rule.id[5:])
        before, counted[kind] = counted[kind], number
        if number <= before or (number != before + 1 and rule.id not in _AFTER_A_GAP):
            wrong.append(f"{rule.id} is out of order")
    classes = {kind.error_class for kind in errors.ProtocolError.__subclasses__()}
    wrong += [f"{rule.id} is {rule.error_class}" for rule in found if rule.error_class not in classes]
    return wrong + [
        one for one in re.findall(r"V-[A-Z]{2}-\d\d", text) if one not in {rule.id for rule in found}
    ]


def rules_are_listed(text: str) -> list[str]:
    """The table of §14 names every rule, its section and its class, and nothing else."""
    said = []
    for ids, _, section, classes in spec_document.table(text, "rules", "about", "§").rows:
        first, _, last = ids.partition(" to ")
        numbers = range(int(first[-2:]), int((last or first)[-2:]) + 1)
        each = [f"{first[:4]}-{count:02}" for count in numbers]
        said += [
            (one, section, error_class) for one, error_class in zip(each, classes.split(", "), strict=False)
        ]
    return different(said, [(rule.id, rule.section, rule.error_class) for rule in spec_document.rules(text)])


def error_classes_are_those_of_the_code(text: str) -> list[str]:
    classes = [
        kind.error_class for kind in (errors.Malformed, errors.Unexpected, errors.AuthenticationFailed)
    ]
    classes += [errors.LimitExceeded.error_class, errors.Untrusted.error_class]
    return different([row[0] for row in spec_document.table(text, "class", "meaning").rows], classes)


CHECKS: tuple[Check, ...] = (
    cited_sections_exist,
    labels_are_the_registry,
    limits_are_those_of_the_code,
    bounds_are_those_of_the_engine,
    messages_are_those_of_the_code,
    numbers_are_used_or_reserved,
    messages_have_their_states,
    shapes_are_those_of_the_code,
    link_states_are_those_of_the_code,
    pairing_states_are_those_of_the_code,
    linking_states_are_those_of_the_code,
    frames_of_handshakes_have_their_sizes,
    padded_sizes_are_right,
    formulas_give_what_the_code_gives,
    examples_are_made_by_the_code,
    vectors_are_those_that_exist,
    rules_have_one_id_each,
    rules_are_listed,
    error_classes_are_those_of_the_code,
    relay_layouts_are_those_of_the_code,
    relay_frames_have_their_sizes,
    relay_messages_are_those_of_the_code,
    relay_states_are_those_of_the_code,
    relay_timers_are_limits,
    relay_endings_are_those_of_the_code,
)
