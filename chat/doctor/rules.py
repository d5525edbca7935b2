"""Packet filters as chains of rules, and what they do with a packet that does not exist yet.

Rules: a test that is not understood never matches, so a rule is believed only when all of it is; what
is decided is told together with the rule that decided; nothing is ever sent or changed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

_DEPTH_MAX: Final = 32  # of chains that jump to chains; the kernel refuses loops


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a conversation. `protocol` is "tcp" or "udp"; `incoming` false: it leaves.

    `interface` is the one it comes in or goes out by.
    """

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


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` is the rule as its program shows it; `target` a chain, for JUMP and GOTO."""

    text: str
    tests: tuple[Test, ...]
    action: Action
    target: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order; `policy` is what happens at the end of a base chain."""

    name: str
    rules: tuple[Rule, ...]
    policy: Action = Action.ACCEPT


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the packet passes, by which rule (or policy), and in which base chain."""

    passes: bool
    rule: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """All chains that one program shows, and which of them packets go through first."""

    chains: Mapping[str, Chain]
    bases: tuple[str, ...] = ()

    def judge(self, packet: Packet) -> Verdict:
        """The packet passes if every base chain lets it pass."""
        for base in self.bases:
            verdict = self._through(base, packet, _DEPTH_MAX) or self._by_policy(base)
            if not verdict.passes:
                return replace(verdict, base=base)
        return Verdict(True)

    def _by_policy(self, base: str) -> Verdict:
        chain = self.chains[base]
        return Verdict(chain.policy is not Action.DROP, f"policy of {base}: {chain.policy}")

    def _through(self, name: str, packet: Packet, depth: int) -> Verdict | None:
        """The verdict of a chain; None where it comes to its end without one."""
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
    """The test of a condition that is not understood."""
    return False


def negated(test: Test) -> Test:
    return lambda packet: not test(packet)


def in_network(network: str, address: Callable[[Packet], str]) -> Test:
    """Whether an address of the packet lies in ADDRESS/PREFIX; never, if that is no network."""
    try:
        known = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return never
    return lambda packet: ipaddress.ip_address(address(packet)) in known


def on_interface(name: str, incoming: bool) -> Test:
    """Whether the packet comes in (or goes out) by an interface; a name may end in + or *."""
    stem = name.rstrip("+*")

    def test(packet: Packet) -> bool:
        same = packet.interface.startswith(stem) if stem != name else packet.interface == name
        return packet.incoming == incoming and same

    return test
