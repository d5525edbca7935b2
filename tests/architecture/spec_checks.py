"""What SPEC.md and the code have to agree on: numbers, labels, shapes, states, formulas, examples, rules.

Rules: a check takes the document's text and returns what is wrong with it, so that test_spec.py can hand it
the document and planted mistakes alike; how the document is read is spec_text.py's business.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

from chat.config import Config
from chat.network.transport import TcpTransport
from protocol import labels, limits, messages, profile_header
from protocol.codec import Wire
from protocol.entries import KIND_TEXT
from protocol.identity import log
from protocol.link.framing import CHOICE_SIZE, padded_size
from protocol.link.states import FOLLOWS, MESSAGES
from protocol.noise import DHLEN, TAGLEN
from protocol.pairing import invitation
from protocol.pairing.pairing import TRANSITIONS, Call
from protocol.vectors.own import AREAS
from tests.architecture import spec_examples, spec_relay_examples, spec_text, spec_values
from tests.architecture.imports import PACKAGES, ROOT, sources
from tests.architecture.spec_formulas import Value, parse
from tests.architecture.spec_relay_examples import RELAY_STRUCTS, RELAY_TYPES
from tests.architecture.spec_shapes import fields, number, struct_size

Check = Callable[[str], list[str]]

MESSAGE_TYPES: tuple[type[Wire], ...] = get_args(messages.Message)
STRUCTS: dict[str, type[Wire]] = {
    **{struct.__name__: struct for struct in MESSAGE_TYPES},
    **{
        struct.__name__: struct
        for struct in (
            *get_args(log.Operation),
            log.Removal,
            messages.ShareNumbers,
            messages.ContactHello,
            messages.ContactReply,
            messages.PairingReply,
            messages.PairingFinish,
            messages.Head,
            messages.EntryHeader,
            messages.TextBody,
            profile_header.Header,
        )
    },
    **RELAY_STRUCTS,
    "Signed": log._Signed,
    "Invitation": invitation._Text,
}
BCP_14 = r"\b(?:MUST|REQUIRED|SHALL|SHOULD|RECOMMENDED|MAY|OPTIONAL)\b"


def different(said: Iterable[object], true: Iterable[object]) -> list[str]:
    """What stands only in the document, and what only in the code."""
    there, here = list(said), list(true)
    return [f"only in SPEC: {one}" for one in there if one not in here] + [
        f"only in the code: {one}" for one in here if one not in there
    ]


# --- Sections ---


def sections_are_numbered_in_order(text: str) -> list[str]:
    found = [tuple(int(part) for part in one.split(".")) for one in spec_text.headings(text)]
    top = [one[0] for one in found if len(one) == 1]
    wrong = [str(one) for one in found if len(one) > 1 and not _follows(one, found)]
    return wrong + (
        [] if found == sorted(set(found)) and top == list(range(1, 22)) else ["order of headings"]
    )


def _follows(one: tuple[int, ...], found: list[tuple[int, ...]]) -> bool:
    before = one[:-1] if one[-1] == 1 else (*one[:-1], one[-1] - 1)
    return before in found


def cited_sections_exist(text: str) -> list[str]:
    """Those that the document names, and those that the code does."""
    exist = set(spec_text.headings(text))
    cited = {("SPEC.md", one) for one in spec_text.cited(text)} | set(cited_by_code(ROOT))
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


def explaining_text_demands_nothing(text: str) -> list[str]:
    return [line for line in spec_text.explanations(text) if re.search(BCP_14, line)]


# --- Labels, limits ---


def labels_are_the_registry(text: str) -> list[str]:
    rows = spec_text.table(text, "label", "use").rows
    true = [(label.decode().replace("\0", "\\0"), use) for label, use in labels.registry().items()]
    return different([row[:2] for row in rows], true) + doubles([row[0] for row in rows])


def labels_stand_in_formulas(text: str) -> list[str]:
    """Every label in one, in the section that the registry names, and no other label in any."""
    registry = {row[0]: row[2] for row in spec_text.table(text, "label", "use").rows}
    found = [
        (formula.label, section.number)
        for section in spec_text.sections(text).values()
        for lines in spec_text.formulas("\n".join(section.lines) + "\n").values()
        for formula in map(parse, lines)
        if formula.label
    ]
    return different(found, registry.items())


def doubles(ids: Iterable[str]) -> list[str]:
    return [f"twice: {one}" for one, count in Counter(ids).items() if count > 1]


def limits_are_those_of_the_code(text: str) -> list[str]:
    both = [table for table in spec_text.tables(text) if table.header == ("name", "value", "meaning", "§")]
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
    rows = spec_text.table(text, "setting", "value").rows
    return different([(row[0], _number(row[1])) for row in rows], [(row[0], _bound(row[0])) for row in rows])


def _bound(setting: str) -> object:
    """A field of Config, a default of TcpTransport, or a constant of a module of the engine."""
    owner, _, name = setting.rpartition(".")
    if owner == "Config":
        return getattr(Config(), name)
    if owner == "TcpTransport":
        return inspect.signature(TcpTransport.__init__).parameters[name].default
    return getattr(importlib.import_module(f"chat.{owner}"), name)


# --- Messages, shapes, states ---


def messages_are_those_of_the_code(text: str) -> list[str]:
    """Number, name and section of each, and that the section is its own."""
    rows = spec_text.table(text, "number", "name", "§").rows
    titles = {section.number: section.title for section in spec_text.sections(text).values()}
    true = [(str(number(struct)), struct.__name__) for struct in MESSAGE_TYPES]
    wrong = [f"{row[1]} is not in §{row[2]}" for row in rows if titles.get(row[2]) != row[1]]
    return different([row[:2] for row in rows], true) + wrong


def numbers_are_used_or_reserved(text: str) -> list[str]:
    """Each of messages, entry kinds and operations once, from the first to the last that is reserved."""
    rows = spec_text.table(text, "for", "messages").rows
    used: tuple[list[int | None], ...] = (
        [number(struct) for struct in (*MESSAGE_TYPES, *RELAY_TYPES)],
        [KIND_TEXT],
        [number(struct) for struct in get_args(log.Operation)],
    )
    wrong = []
    for column, taken in enumerate(used, 1):
        ranges = [re.findall(r"\d+", row[column]) for row in rows]
        kept = [one for low, high in filter(None, ranges) for one in range(int(low), int(high) + 1)]
        every = sorted([*kept, *(one for one in taken if one is not None)])
        wrong += different(every, range(every[0], every[-1] + 1)) + doubles(map(str, every))
    return wrong


def messages_have_their_states(text: str) -> list[str]:
    """The state of the link, and after it those of a pairing, in which each may be received."""
    rows = spec_text.table(text, "number", "name", "§").rows
    said = [(row[1], state) for row in rows for state in re.findall(r"[A-Z]{2,}", row[4])]
    link = [(kind.__name__, state.name) for state, kinds in MESSAGES.items() for kind in kinds]
    pairing = [(cause.__name__, state.name) for state, cause in TRANSITIONS if not isinstance(cause, Call)]
    return different(said, link + pairing)


def shapes_are_those_of_the_code(text: str) -> list[str]:
    """Name, number, type and size of every field of every struct."""
    said = {
        table.header[0]: [row[:3] for row in table.rows]
        for table in spec_text.tables(text)
        if table.header[1:] == ("type", "bytes", "contents")
    }
    true = {_titled(name, struct): list(fields(struct)) for name, struct in STRUCTS.items()}
    wrong = [f"{name}: {different(said[name], true[name])}" for name in said if name in true]
    return different(said, true) + [line for line in wrong if not line.endswith(": []")]


def _titled(name: str, struct: type[Wire]) -> str:
    own = number(struct)
    return name if own is None else f"{name} ({own})"


def link_states_are_those_of_the_code(text: str) -> list[str]:
    said = [
        (row[0], row[1], state)
        for row in spec_text.table(text, "role", "state", "waits for").rows
        for state in row[3].split(", ")
    ]
    true = [
        (role.name.lower(), state.name, following.name)
        for (role, state), every in FOLLOWS.items()
        for following in every
    ]
    return different(said, true)


def pairing_states_are_those_of_the_code(text: str) -> list[str]:
    rows = spec_text.table(text, "state", "input", "next state").rows
    said = [(row[0].split(" ")[0], row[1], row[2]) for row in rows]
    true = [
        (state.name, cause.name if isinstance(cause, Call) else cause.__name__, following.name)
        for (state, cause), following in TRANSITIONS.items()
    ]
    return different(said, true)


# --- Sizes ---


def frames_of_handshakes_have_their_sizes(text: str) -> list[str]:
    """The bodies of each pattern: keys, tags, padded payloads, and the choice before the first."""
    _, *said = next(row for row in spec_text.table(text, "message", "XX").rows if row[0].startswith("frame"))
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
    return [padded_size(size) for size in struct_size(struct)]


def padded_sizes_are_right(text: str) -> list[str]:
    (sizes,) = [table for table in spec_text.tables(text) if table.header[0] == "content, bytes"]
    contents = [int(_number(cell)) for cell in sizes.header[1:]]
    return different(sizes.rows[0][1:], [f"{padded_size(size):,}" for size in contents])


# --- Formulas and examples ---


def formulas_give_what_the_code_gives(text: str) -> list[str]:
    found = spec_text.formulas(text)
    values = spec_values.value_examples() | spec_relay_examples.values()
    wrong = different(found, values)
    for name in found.keys() & values.keys():
        for formula in map(parse, found[name]):
            if formula.compute(values[name]) != _as_bytes(values[name].get(formula.name)):
                wrong.append(f"formula {name}: {formula.name}")
    return wrong


def _as_bytes(value: Value | None) -> object:
    return value.encode() if isinstance(value, str) else value


def examples_are_made_by_the_code(text: str) -> list[str]:
    said, true = spec_text.examples(text), spec_examples.blocks() | spec_relay_examples.blocks()
    return different(said, true.items()) + doubles([name for name, _ in said])


INSIDE_OTHERS = {"Signed", "Removal", "ShareNumbers", "Head"}
"""Structs that the examples of other structs show."""


def structs_have_examples(text: str) -> list[str]:
    """Every struct that stands alone has one."""
    return sorted(STRUCTS.keys() - INSIDE_OTHERS - {name for name, _ in spec_text.examples(text)})


def hex_belongs_to_examples(text: str) -> list[str]:
    """No run of hex digits in the document is anything but an example, which is run."""
    known = {line for _, example in spec_text.examples(text) for line in example.splitlines()}
    return [one for one in re.findall(r"\b(?=\d*[a-f])(?:[0-9a-f]{2}){4,}\b", text) if one not in known]


# --- Vectors ---


def vectors_are_those_that_exist(text: str) -> list[str]:
    rows = spec_text.table(text, "area", "file").rows
    return different([row[:2] for row in rows], [(area, f"{area}.json") for area in AREAS])


CHECKS: tuple[Check, ...] = (
    sections_are_numbered_in_order,
    cited_sections_exist,
    explaining_text_demands_nothing,
    labels_are_the_registry,
    labels_stand_in_formulas,
    limits_are_those_of_the_code,
    bounds_are_those_of_the_engine,
    messages_are_those_of_the_code,
    numbers_are_used_or_reserved,
    messages_have_their_states,
    shapes_are_those_of_the_code,
    link_states_are_those_of_the_code,
    pairing_states_are_those_of_the_code,
    frames_of_handshakes_have_their_sizes,
    padded_sizes_are_right,
    formulas_give_what_the_code_gives,
    examples_are_made_by_the_code,
    structs_have_examples,
    hex_belongs_to_examples,
    vectors_are_those_that_exist,
)
