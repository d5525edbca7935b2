"""The rules that `nft --json list ruleset` shows, and their words from `nft --handle list ruleset`.

Rules: JSON in, chains out, so that every kind of rule can be tested without a firewall; an expression
that is not understood makes its rule match nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from chat.doctor.rules import Action, Chain, Filter, Packet, Rule, Test, in_network, never

_VERDICTS: Final = {
    "accept": Action.ACCEPT,
    "drop": Action.DROP,
    "reject": Action.DROP,
    "queue": Action.DROP,
    "return": Action.RETURN,
    "jump": Action.JUMP,
    "goto": Action.GOTO,
}
Words = Mapping[tuple[str, int], str]
_PASSED_OVER: Final = frozenset({"counter", "log", "mangle", "notrack", "meter", "set"})
_NAMES: Final[dict[object, object]] = {6: "tcp", 17: "udp", "ip": "ipv4", "ip6": "ipv6", "host": "unicast"}


def read(listing: str, words: Words, *, v6: bool, hook: str = "input", but: Collection[str] = ()) -> Filter:
    """The chains that an IPv4 (or IPv6) packet meets at a hook, without the base chains named in `but`.

    A chain is named "FAMILY TABLE CHAIN"; `words` come from `read_words`. Raises ValueError if the
    listing is no JSON.
    """
    families = ("inet", "ip6" if v6 else "ip")
    chains: dict[str, dict[str, Any]] = {}
    rules: dict[str, list[Rule]] = {}
    sets: dict[str, list[Any]] = {}
    for kind, item in _items(listing):
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
    bases.sort(key=lambda name: _order(chains[name]))
    made = {name: Chain(name, tuple(rules.get(name, ())), _policy(chain)) for name, chain in chains.items()}
    return Filter(made, tuple(bases))


def read_words(plain: str) -> Words:
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


def _items(listing: str) -> list[tuple[str, dict[str, Any]]]:
    """(kind, item) of everything; sets first, since rules refer to them."""
    entries = json.loads(listing).get("nftables", []) if listing else []
    items = [(kind, item) for entry in entries for kind, item in entry.items() if isinstance(item, dict)]
    return sorted(items, key=lambda each: each[0] != "set")


def _order(chain: Mapping[str, Any]) -> int:
    priority = chain.get("prio", 0)
    return priority if isinstance(priority, int) else 0


def _policy(chain: Mapping[str, Any]) -> Action:
    return Action.DROP if chain.get("policy") == "drop" else Action.ACCEPT


def _rules(table: str, text: str, expressions: list[Any], sets: Mapping[str, list[Any]]) -> list[Rule]:
    """Mostly one rule; a verdict map makes one of each of its entries."""
    tests: list[Test] = []
    for expression in expressions:
        kind, value = _only(expression)
        if kind in _VERDICTS:
            return [_aimed(table, text, tuple(tests), kind, value)]
        if kind == "vmap":
            return _mapped(table, text, tuple(tests), value)
        if kind == "match":
            tests.append(_match(table, value, sets))
        elif kind not in _PASSED_OVER:
            tests.append(never)
    return [Rule(text, tuple(tests), Action.NOTHING)]


def _only(expression: Any) -> tuple[str, Any]:
    """The one key of an expression and its value."""
    return (
        next(iter(expression.items())) if isinstance(expression, dict) and len(expression) == 1 else ("", {})
    )


def _aimed(table: str, text: str, tests: tuple[Test, ...], kind: str, value: Any) -> Rule:
    target = f"{table} {value.get('target')}" if isinstance(value, dict) and kind in ("jump", "goto") else ""
    return Rule(text, tests, _VERDICTS[kind], target)


def _mapped(table: str, text: str, tests: tuple[Test, ...], value: Mapping[str, Any]) -> list[Rule]:
    entries = value.get("data", {})
    pairs = entries.get("set", []) if isinstance(entries, dict) else []
    return [
        _aimed(table, text, (*tests, _equals(value.get("key"), key)), *next(iter(verdict.items())))
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
    """Whether a packet has at all what `left` names: listings leave that test out."""
    _, protocol, _ = _part(left)
    if protocol in ("tcp", "udp"):
        return lambda packet: packet.protocol == protocol
    if protocol in ("ip", "ip6"):
        return lambda packet: packet.is_v6 == (protocol == "ip6")
    return lambda packet: True


def _equals(left: Any, right: Any) -> Test:
    """Whether what `left` names of a packet is (one of) `right`."""
    if isinstance(right, list):
        right = {"set": right}
    if isinstance(right, dict) and "set" in right:
        tests = [_equals(left, _element(each)) for each in right["set"]]
        return lambda packet: any(test(packet) for test in tests)
    if (address := _address(left)) is not None:
        return in_network(_network(right), address)
    value = _value(left)
    if value is None:
        return never
    if isinstance(right, dict) and "range" in right:
        low, high = right["range"]
        return lambda packet: isinstance(port := value(packet), int) and low <= port <= high
    if isinstance(right, str) and right.endswith("*"):
        return lambda packet: str(value(packet)).startswith(right[:-1])
    return lambda packet: value(packet) == _NAMES.get(right, right)


def _element(each: Any) -> Any:
    return each["elem"].get("val") if isinstance(each, dict) and "elem" in each else each


def _network(right: Any) -> str:
    if isinstance(right, dict) and "prefix" in right:
        return f"{right['prefix'].get('addr')}/{right['prefix'].get('len')}"
    return str(right)


def _address(left: Any) -> Callable[[Packet], str] | None:
    kind, _, field = _part(left)
    return {"saddr": _source, "daddr": _destination}.get(field) if kind == "payload" else None


def _value(left: Any) -> Callable[[Packet], object] | None:
    """What an expression reads of a packet; None if it is not understood."""
    kind, protocol, field = _part(left)
    if kind == "payload" and protocol in ("tcp", "udp", "th") and field in ("dport", "sport"):
        return _port_of(protocol, field)
    return _VALUES.get((kind, protocol, field))


def _part(left: Any) -> tuple[str, str, str]:
    """(kind, protocol, field) of {"payload": {"protocol": "tcp", "field": "dport"}} and the like."""
    kind, what = _only(left)
    if not isinstance(what, dict):
        return kind, "", ""
    field = what.get("field") or what.get("key") or what.get("flags")
    return kind, str(what.get("protocol", "")), field[0] if isinstance(field, list) and field else str(field)


def _source(packet: Packet) -> str:
    return packet.source


def _destination(packet: Packet) -> str:
    return packet.destination


def _port_of(protocol: str, field: str) -> Callable[[Packet], object]:
    """A port, and nothing for a packet of another protocol: the listing leaves that test out."""

    def port(packet: Packet) -> object:
        if protocol not in ("th", packet.protocol):
            return None
        return packet.port if field == "dport" else packet.source_port

    return port


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
