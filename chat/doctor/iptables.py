"""The rules that `iptables -S` and `ip6tables -S` show.

Rules: text in, chains out, so that every kind of rule can be tested without a firewall; an option that
is not understood makes its rule match nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Final

from chat.doctor.rules import (
    Action,
    Chain,
    Filter,
    Packet,
    Rule,
    Test,
    in_network,
    negated,
    never,
    on_interface,
)

_TARGETS: Final = {
    "ACCEPT": Action.ACCEPT,
    "DROP": Action.DROP,
    "REJECT": Action.DROP,
    "QUEUE": Action.DROP,
    "RETURN": Action.RETURN,
}
_PASSED_OVER: Final = frozenset(
    {"LOG", "NFLOG", "MARK", "CONNMARK", "ULOG", "TRACE", "SET", "AUDIT", "TCPMSS"}
)
_FLAGS_OF_THE_FIRST: Final = frozenset({"SYN"})
_ALL_FLAGS: Final = frozenset({"FIN", "SYN", "RST", "PSH", "ACK", "URG"})


def read(listing: str, base: str = "INPUT") -> Filter:
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
        if option in ("-j", "-g"):
            return _aimed(text, tuple(tests), option, value)
        test = _TESTS.get(option, _unknown)(value)
        tests.append(negated(test) if inverted and test is not never else test)
    return Rule(text, tuple(tests), Action.NOTHING)


def _aimed(text: str, tests: tuple[Test, ...], option: str, target: str) -> Rule:
    if target in _TARGETS:
        return Rule(text, tests, _TARGETS[target])
    if target in _PASSED_OVER:
        return Rule(text, tests, Action.NOTHING)
    return Rule(text, tests, Action.JUMP if option == "-j" else Action.GOTO, target)


def _options(words: list[str]) -> Iterator[tuple[str, str, bool]]:
    """(option, its values, whether it is negated), up to and with the target: the rest is the target's."""
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


def _unknown(_: str) -> Test:
    return never


def _always(_: str) -> Test:
    return lambda packet: True


def _protocol(value: str) -> Test:
    numbers = {"6": "tcp", "17": "udp"}
    wanted = numbers.get(value, value)
    return lambda packet: wanted in ("all", "0", packet.protocol)


def _ports(*of: Callable[[Packet], int]) -> Callable[[str], Test]:
    """A test of ports: numbers and ranges a:b, separated by commas."""

    def make(value: str) -> Test:
        try:
            ranges = [_range(part) for part in value.split(",")]
        except ValueError:
            return never
        return lambda packet: any(low <= port(packet) <= high for port in of for low, high in ranges)

    return make


def _range(text: str) -> tuple[int, int]:
    low, colon, high = text.partition(":")
    return int(low or 0), int(high or 65_535) if colon else int(low)


def _states(value: str) -> Test:
    new = "NEW" in value.split(",")
    return lambda packet: new


def _tcp_flags(value: str) -> Test:
    """MASK and SET: of the flags in MASK exactly those in SET; a first packet has SYN alone."""
    mask, _, wanted = value.partition(" ")
    looked_at = _ALL_FLAGS if mask == "ALL" else frozenset(mask.split(","))
    same = _FLAGS_OF_THE_FIRST & looked_at == frozenset(wanted.split(",")) - {"NONE"}
    return lambda packet: packet.protocol == "tcp" and same


def _kind_of_address(value: str) -> Test:
    kinds = value.split(",")
    return lambda packet: ("MULTICAST" if packet.to_multicast else "LOCAL") in kinds


def _kind_of_packet(value: str) -> Test:
    return lambda packet: value == ("multicast" if packet.to_multicast else "unicast")


def _source_port(packet: Packet) -> int:
    return packet.source_port


def _port(packet: Packet) -> int:
    return packet.port


_TESTS: Final[dict[str, Callable[[str], Test]]] = {
    "-m": _always,  # names the module of the options that follow
    "--comment": _always,
    "-p": _protocol,
    "-s": lambda value: in_network(value, lambda packet: packet.source),
    "-d": lambda value: in_network(value, lambda packet: packet.destination),
    "-i": lambda value: on_interface(value, incoming=True),
    "-o": lambda value: on_interface(value, incoming=False),
    "--dport": _ports(_port),
    "--dports": _ports(_port),
    "--sport": _ports(_source_port),
    "--sports": _ports(_source_port),
    "--ports": _ports(_port, _source_port),
    "--state": _states,
    "--ctstate": _states,
    "--syn": lambda _: _tcp_flags("FIN,SYN,RST,ACK SYN"),
    "--tcp-flags": _tcp_flags,
    "--dst-type": _kind_of_address,
    "--pkt-type": _kind_of_packet,
}
