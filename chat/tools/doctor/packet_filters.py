"""Packet filters (iptables, nft) as chains of rules, and what they do with a packet.

A test that is not understood makes its rule match nothing, so only rules that are understood are blamed.
"""

from __future__ import annotations

import ipaddress
import json
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

_DEPTH_MAX: Final = 32  # of chains that jump to chains; the kernel refuses loops


class Packet(Struct, frozen=True):
    """The first packet of a conversation, over "tcp" or "udp", which comes in or leaves by `interface`."""

    protocol: str
    source: str
    destination: str
    source_port: int
    port: int
    interface: str
    incoming: bool = True

    @property
    def is_v6(self) -> bool:
        return ":" in self.destination

    @property
    def to_multicast(self) -> bool:
        return ipaddress.ip_address(self.destination).is_multicast


Test = Callable[[Packet], bool]


class Action(StrEnum):
    """What a rule does with a packet that passes all its tests."""

    ACCEPT = "accept"
    DROP = "drop"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    NOTHING = "nothing"


class Rule(Struct, frozen=True):
    """`text` is the rule as its program shows it; `target` is a chain, for JUMP and GOTO."""

    text: str
    tests: tuple[Test, ...]
    action: Action
    target: str = ""


class Chain(Struct, frozen=True):
    """Rules in order; `policy` applies at the end of a base chain."""

    name: str
    rules: tuple[Rule, ...]
    policy: Action = Action.ACCEPT


class Verdict(Struct, frozen=True):
    """Whether the packet passes, by which rule or policy, and in which base chain."""

    passes: bool
    rule: str = ""
    base: str = ""


class Filter(Struct, frozen=True):
    """All chains of one program, and which of them packets enter first."""

    chains: Mapping[str, Chain]
    bases: tuple[str, ...] = ()

    def judge(self, packet: Packet) -> Verdict:
        """The packet passes if every base chain lets it pass."""
        for base in self.bases:
            policy = self.chains[base].policy
            by_policy = Verdict(policy is not Action.DROP, f"policy of {base}: {policy}")
            verdict = self._through(base, packet, _DEPTH_MAX) or by_policy
            if not verdict.passes:
                return replace(verdict, base=base)
        return Verdict(True)

    def _through(self, name: str, packet: Packet, depth: int) -> Verdict | None:
        """The verdict of a chain; None if it ends without one."""
        chain = self.chains.get(name)
        if chain is None or not depth:
            return None
        for rule in chain.rules:
            if not all(test(packet) for test in rule.tests):
                continue
            if rule.action in (Action.ACCEPT, Action.DROP):
                return Verdict(rule.action is Action.ACCEPT, rule.text)
            if rule.action is Action.RETURN:
                return None
            if rule.action in (Action.JUMP, Action.GOTO):
                verdict = self._through(rule.target, packet, depth - 1)
                if verdict is not None or rule.action is Action.GOTO:
                    return verdict
        return None


def never(_: Packet) -> bool:
    return False


def negated(test: Test) -> Test:
    return lambda packet: not test(packet)


def in_network(network: str, address: Callable[[Packet], str]) -> Test:
    """Whether an address of the packet is in ADDRESS/PREFIX; never, if that is no network."""
    try:
        known = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return never
    return lambda packet: ipaddress.ip_address(address(packet)) in known


def on_interface(name: str, incoming: bool) -> Test:
    """Whether the packet uses an interface; a name may end in + or *."""
    stem = name.rstrip("+*")

    def test(packet: Packet) -> bool:
        same = packet.interface.startswith(stem) if stem != name else packet.interface == name
        return packet.incoming == incoming and same

    return test


_TARGETS: Final = {
    "ACCEPT": Action.ACCEPT,
    "DROP": Action.DROP,
    "REJECT": Action.DROP,
    "QUEUE": Action.DROP,
    "RETURN": Action.RETURN,
}
_IPTABLES_IGNORED: Final = frozenset(
    {"LOG", "NFLOG", "MARK", "CONNMARK", "ULOG", "TRACE", "SET", "AUDIT", "TCPMSS"}
)
_FLAGS_OF_THE_FIRST: Final = frozenset({"SYN"})
_ALL_FLAGS: Final = frozenset({"FIN", "SYN", "RST", "PSH", "ACK", "URG"})


def read_iptables(listing: str, base: str = "INPUT") -> Filter:
    """The filter table behind a listing in the form of `iptables -S`."""
    policies: dict[str, Action] = {}
    rules: dict[str, list[Rule]] = {}
    for line in listing.splitlines():
        words = shlex.split(line)
        if len(words) < 2:
            continue
        command, chain = words[0], words[1]
        rules.setdefault(chain, [])
        if command == "-P" and len(words) > 2:
            policies[chain] = _TARGETS.get(words[2], Action.ACCEPT)
        elif command == "-A":
            rules[chain].append(_rule(line, words[2:]))
    chains = {
        name: Chain(name, tuple(found), policies.get(name, Action.ACCEPT)) for name, found in rules.items()
    }
    return Filter(chains, (base,) if base in chains else ())


def _rule(text: str, words: list[str]) -> Rule:
    tests: list[Test] = []
    for option, value, inverted in _options(words):
        if option not in ("-j", "-g"):
            make = _TESTS.get(option)
            test = make(value) if make is not None else never
            tests.append(negated(test) if inverted and test is not never else test)
        elif value in _TARGETS:
            return Rule(text, tuple(tests), _TARGETS[value])
        elif value not in _IPTABLES_IGNORED:
            return Rule(text, tuple(tests), Action.JUMP if option == "-j" else Action.GOTO, value)
    return Rule(text, tuple(tests), Action.NOTHING)


def _options(words: list[str]) -> Iterator[tuple[str, str, bool]]:
    """(option, values, whether negated), up to the target, which takes the rest."""
    at = 0
    while at < len(words):
        inverted = words[at] == "!"
        at += inverted
        option, first = words[at : at + 1], at + 1
        # A comment may look like an option.
        begin = first + (option == ["--comment"])
        at = next((n for n in range(begin, len(words)) if words[n][:1] in ("-", "!")), len(words))
        if option:
            yield option[0], " ".join(words[first:at]), inverted
        if option in (["-j"], ["-g"]):
            return


def _always(_: str) -> Test:
    return lambda packet: True


def _protocol(value: str) -> Test:
    wanted = {"6": "tcp", "17": "udp"}.get(value, value)
    return lambda packet: wanted in ("all", "0", packet.protocol)


def _ports(*of: Callable[[Packet], int]) -> Callable[[str], Test]:
    """A test of ports: numbers and ranges a:b, separated by commas."""

    def make(value: str) -> Test:
        try:
            parts = [part.partition(":") for part in value.split(",")]
            ranges = [
                (int(low or 0), int(high or 65_535) if colon else int(low)) for low, colon, high in parts
            ]
        except ValueError:
            return never
        return lambda packet: any(low <= port(packet) <= high for port in of for low, high in ranges)

    return make


def _tcp_flags(value: str) -> Test:
    """MASK and SET: of the flags in MASK exactly those in SET. A first packet has only SYN."""
    mask, _, wanted = value.partition(" ")
    looked_at = _ALL_FLAGS if mask == "ALL" else frozenset(mask.split(","))
    same = _FLAGS_OF_THE_FIRST & looked_at == frozenset(wanted.split(",")) - {"NONE"}
    return lambda packet: packet.protocol == "tcp" and same


_SOURCE: Final[Callable[[Packet], str]] = attrgetter("source")
_DESTINATION: Final[Callable[[Packet], str]] = attrgetter("destination")
_SOURCE_PORT: Final[Callable[[Packet], int]] = attrgetter("source_port")
_PORT: Final[Callable[[Packet], int]] = attrgetter("port")

_TESTS: Final[dict[str, Callable[[str], Test]]] = {
    "-m": _always,  # names the module of the options that follow
    "--comment": _always,
    "-p": _protocol,
    "-s": lambda value: in_network(value, _SOURCE),
    "-d": lambda value: in_network(value, _DESTINATION),
    "-i": lambda value: on_interface(value, incoming=True),
    "-o": lambda value: on_interface(value, incoming=False),
    "--dport": _ports(_PORT),
    "--dports": _ports(_PORT),
    "--sport": _ports(_SOURCE_PORT),
    "--sports": _ports(_SOURCE_PORT),
    "--ports": _ports(_PORT, _SOURCE_PORT),
    "--state": lambda value: lambda packet: "NEW" in value.split(","),
    "--ctstate": lambda value: lambda packet: "NEW" in value.split(","),
    "--syn": lambda _: _tcp_flags("FIN,SYN,RST,ACK SYN"),
    "--tcp-flags": _tcp_flags,
    "--dst-type": lambda value: (
        lambda packet: ("MULTICAST" if packet.to_multicast else "LOCAL") in value.split(",")
    ),
    "--pkt-type": lambda value: lambda packet: value == ("multicast" if packet.to_multicast else "unicast"),
}


_VERDICTS: Final = {
    **{target.lower(): action for target, action in _TARGETS.items()},
    "jump": Action.JUMP,
    "goto": Action.GOTO,
}
Words = Mapping[tuple[str, int], str]
_NFTABLES_IGNORED: Final = frozenset({"counter", "log", "mangle", "notrack", "meter", "set"})
_NAMES: Final[dict[object, object]] = {6: "tcp", 17: "udp", "ip": "ipv4", "ip6": "ipv6", "host": "unicast"}


def read_nftables(
    listing: str, words: Words, *, v6: bool, hook: str = "input", but: Collection[str] = ()
) -> Filter:
    """The chains that an IPv4 (or IPv6) packet meets at a hook, without the base chains named in `but`.

    A chain is named "FAMILY TABLE CHAIN"; `words` come from `read_nftables_words`. Raises ValueError if the
    listing is no JSON.
    """
    families = ("inet", "ip6" if v6 else "ip")
    chains: dict[str, dict[str, Any]] = {}
    rules: dict[str, list[Rule]] = {}
    sets: dict[str, list[Any]] = {}
    entries = json.loads(listing).get("nftables", []) if listing else []
    items = [(kind, item) for entry in entries for kind, item in entry.items() if isinstance(item, dict)]
    for kind, item in sorted(items, key=lambda each: each[0] != "set"):  # rules refer to sets
        table = f"{item.get('family')} {item.get('table')}"
        if item.get("family") not in families:
            continue
        if kind == "chain":
            chains[f"{table} {item['name']}"] = item
        elif kind == "set":
            sets[f"{table} {item['name']}"] = item.get("elem", [])
        elif kind == "rule":
            text = words.get((table, item.get("handle", 0)), "a rule")
            found = _rules(table, text, item.get("expr", []), sets)
            rules.setdefault(f"{table} {item['chain']}", []).extend(found)
    bases = [name for name, chain in chains.items() if chain.get("hook") == hook and name not in but]
    bases.sort(key=lambda name: prio if isinstance(prio := chains[name].get("prio"), int) else 0)
    made = {}
    for name, chain in chains.items():
        policy = Action.DROP if chain.get("policy") == "drop" else Action.ACCEPT
        made[name] = Chain(name, tuple(rules.get(name, ())), policy)
    return Filter(made, tuple(bases))


def read_nftables_words(plain: str) -> Words:
    """What each rule says in nft's own language, by table and handle."""
    words: dict[tuple[str, int], str] = {}
    table = ""
    for line in plain.splitlines():
        text, mark, handle = line.strip().rpartition(" # handle ")
        if text.startswith("table "):
            table = text.removeprefix("table ").removesuffix(" {")
        elif mark and handle.isdecimal():
            words[table, int(handle)] = text
    return words


def _rules(table: str, text: str, expressions: list[Any], sets: Mapping[str, list[Any]]) -> list[Rule]:
    """Usually one rule; a verdict map becomes one rule per entry."""
    tests: list[Test] = []
    for expression in expressions:
        kind, value = _only(expression)
        if kind in _VERDICTS:
            return [_verdict_rule(table, text, tuple(tests), kind, value)]
        if kind == "vmap":
            return _mapped(table, text, tuple(tests), value)
        if kind == "match":
            tests.append(_match(table, value, sets))
        elif kind not in _NFTABLES_IGNORED:
            tests.append(never)
    return [Rule(text, tuple(tests), Action.NOTHING)]


def _only(expression: Any) -> tuple[str, Any]:
    return (
        next(iter(expression.items())) if isinstance(expression, dict) and len(expression) == 1 else ("", {})
    )


def _verdict_rule(table: str, text: str, tests: tuple[Test, ...], kind: str, value: Any) -> Rule:
    target = f"{table} {value.get('target')}" if isinstance(value, dict) and kind in ("jump", "goto") else ""
    return Rule(text, tests, _VERDICTS[kind], target)


def _mapped(table: str, text: str, tests: tuple[Test, ...], value: Mapping[str, Any]) -> list[Rule]:
    entries = value.get("data", {})
    pairs = entries.get("set", []) if isinstance(entries, dict) else []
    return [
        _verdict_rule(table, text, (*tests, _equals(value.get("key"), key)), *next(iter(verdict.items())))
        for key, verdict in pairs
        if isinstance(verdict, dict)
    ]


def _match(table: str, value: Mapping[str, Any], sets: Mapping[str, list[Any]]) -> Test:
    left, right = value.get("left"), value.get("right")
    if isinstance(right, str) and right.startswith("@"):
        right = {"set": sets.get(f"{table} {right[1:]}", [])}
    test = _equals(left, right)
    if value.get("op") in ("==", "in"):
        return test
    if value.get("op") != "!=" or test is never:
        return never
    applies = _applies(left)
    return lambda packet: applies(packet) and not test(packet)


def _applies(left: Any) -> Test:
    """Whether the packet has what `left` names: listings omit that test."""
    _, protocol, _ = _part(left)
    if protocol in ("tcp", "udp"):
        return lambda packet: packet.protocol == protocol
    if protocol in ("ip", "ip6"):
        return lambda packet: packet.is_v6 == (protocol == "ip6")
    return lambda packet: True


def _equals(left: Any, right: Any) -> Test:
    if isinstance(right, list):
        right = {"set": right}
    if isinstance(right, dict) and "set" in right:
        tests = [
            _equals(left, (each["elem"].get("val") if isinstance(each, dict) and "elem" in each else each))
            for each in right["set"]
        ]
        return lambda packet: any(test(packet) for test in tests)
    kind, _, field = _part(left)
    if kind == "payload" and field in ("saddr", "daddr"):
        if isinstance(right, dict) and "prefix" in right:
            right = f"{right['prefix'].get('addr')}/{right['prefix'].get('len')}"
        return in_network(str(right), _SOURCE if field == "saddr" else _DESTINATION)
    value = _value(left)
    if value is None:
        return never
    if isinstance(right, dict) and "range" in right:
        low, high = right["range"]
        return lambda packet: isinstance(port := value(packet), int) and low <= port <= high
    if isinstance(right, str) and right.endswith("*"):
        return lambda packet: str(value(packet)).startswith(right[:-1])
    return lambda packet: value(packet) == _NAMES.get(right, right)


def _value(left: Any) -> Callable[[Packet], object] | None:
    """What an expression reads of a packet; None if it is not understood."""
    kind, protocol, field = _part(left)
    if kind == "payload" and protocol in ("tcp", "udp", "th") and field in ("dport", "sport"):
        port = _PORT if field == "dport" else _SOURCE_PORT
        # Listings omit the test of the protocol, so a packet of another one has no such port.
        return lambda packet: port(packet) if protocol in ("th", packet.protocol) else None
    return _VALUES.get((kind, protocol, field))


def _part(left: Any) -> tuple[str, str, str]:
    """(kind, protocol, field) of {"payload": {"protocol": "tcp", "field": "dport"}} and the like."""
    kind, what = _only(left)
    if not isinstance(what, dict):
        return kind, "", ""
    field = what.get("field") or what.get("key") or what.get("flags")
    return kind, str(what.get("protocol", "")), field[0] if isinstance(field, list) and field else str(field)


_VALUES: Final[dict[tuple[str, str, str], Callable[[Packet], object]]] = {
    ("payload", "ip", "protocol"): lambda packet: None if packet.is_v6 else packet.protocol,
    ("payload", "ip6", "nexthdr"): lambda packet: packet.protocol if packet.is_v6 else None,
    ("meta", "", "l4proto"): lambda packet: packet.protocol,
    ("meta", "", "nfproto"): lambda packet: "ipv6" if packet.is_v6 else "ipv4",
    ("meta", "", "protocol"): lambda packet: "ipv6" if packet.is_v6 else "ipv4",
    ("meta", "", "iifname"): lambda packet: packet.interface if packet.incoming else "",
    ("meta", "", "iif"): lambda packet: packet.interface if packet.incoming else "",
    ("meta", "", "oifname"): lambda packet: "" if packet.incoming else packet.interface,
    ("meta", "", "oif"): lambda packet: "" if packet.incoming else packet.interface,
    ("meta", "", "pkttype"): lambda packet: "multicast" if packet.to_multicast else "unicast",
    ("ct", "", "state"): lambda packet: "new",
    ("fib", "", "daddr"): lambda packet: "multicast" if packet.to_multicast else "local",
}
