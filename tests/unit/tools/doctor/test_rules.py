"""Packet filters read and judged: iptables and nft, rule by rule, without a firewall."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat.tools.doctor import packet_filters
from chat.tools.doctor.firewall import command
from chat.tools.doctor.packet_filters import Packet

CALL = Packet("tcp", "10.77.0.9", "10.77.0.1", 40_000, 4747, "eth0")
MDNS = Packet("udp", "10.77.0.9", "224.0.0.251", 5353, 5353, "eth0")
CALL_V6 = Packet("tcp", "fe80::9", "fe80::1", 40_000, 4747, "eth0")
OUT = Packet("tcp", "10.77.0.1", "10.77.0.9", 40_000, 4747, "eth0", incoming=False)

CLOSED = "-P INPUT DROP\n-P OUTPUT ACCEPT\n"

# (rules after a policy of DROP, whether a call passes, whether multicast DNS passes)
IPTABLES = [
    ("", False, False),
    ("-A INPUT -j ACCEPT", True, True),
    ("-A INPUT -i lo -j ACCEPT", False, False),
    ("-A INPUT ! -i lo -j ACCEPT", True, True),
    ("-A INPUT -i eth+ -j ACCEPT", True, True),
    ("-A INPUT -i wlan+ -j ACCEPT", False, False),
    ("-A INPUT -o eth0 -j ACCEPT", False, False),
    ("-A INPUT -p tcp -m tcp --dport 4747 -j ACCEPT", True, False),
    ("-A INPUT -p 6 -m tcp --dport 4000:5000 -j ACCEPT", True, False),
    ("-A INPUT -p tcp -m tcp --dport 4748 -j ACCEPT", False, False),
    ("-A INPUT -p tcp -m tcp ! --dport 22 -j ACCEPT", True, False),
    ("-A INPUT -p tcp -m multiport --dports 22,80,4700:4800 -j ACCEPT", True, False),
    ("-A INPUT -p udp -m udp --sport 5353 -j ACCEPT", False, True),
    ("-A INPUT -p tcp -m tcp --dport 5353 -j ACCEPT", False, False),
    ("-A INPUT -p udp -m udp --dport 4747 -j ACCEPT", False, False),
    ("-A INPUT -d 224.0.0.0/4 -j ACCEPT", False, True),
    ("-A INPUT -s 10.77.0.0/16 -j ACCEPT", True, True),
    ("-A INPUT -s 192.168.0.0/16 -j ACCEPT", False, False),
    ("-A INPUT ! -s 192.168.0.0/16 -j ACCEPT", True, True),
    ("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", False, False),
    ("-A INPUT -m conntrack --ctstate NEW -j ACCEPT", True, True),
    ("-A INPUT -m state --state NEW,ESTABLISHED -j ACCEPT", True, True),
    ("-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", True, False),
    ("-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", False, False),
    ("-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT", True, False),
    ("-A INPUT -m addrtype --dst-type MULTICAST -j ACCEPT", False, True),
    ("-A INPUT -m pkttype --pkt-type multicast -j ACCEPT", False, True),
    # What is not understood is not believed.
    ("-A INPUT -m set --match-set friends src -j ACCEPT", False, False),
    ("-A INPUT -m limit --limit 3/min --limit-burst 10 -j ACCEPT", False, False),
    ("-A INPUT -m recent --set --name X --mask 255.255.255.255 --rsource -j ACCEPT", False, False),
    ("-A INPUT -p tcp -m tcp --dport ssh -j ACCEPT", False, False),
    # Targets that decide nothing, chains and the way back from them.
    ('-A INPUT -j LOG --log-prefix "in: " --log-level 7\n-A INPUT -j ACCEPT', True, True),
    ('-A INPUT -m comment --comment "-j DROP all" -j ACCEPT', True, True),
    ("-N mine\n-A INPUT -j mine\n-A mine -p tcp -j ACCEPT", True, False),
    ("-N mine\n-A INPUT -j mine\n-A INPUT -j ACCEPT\n-A mine -p tcp -j RETURN\n-A mine -j DROP", True, False),
    ("-N mine\n-A INPUT -g mine\n-A INPUT -j ACCEPT\n-A mine -p tcp -j ACCEPT", True, False),
    ("-A INPUT -p tcp -j REJECT --reject-with tcp-reset\n-A INPUT -j ACCEPT", False, True),
    ("-A INPUT -j nowhere\n-A INPUT -j ACCEPT", True, True),
    # Chains that turn in circles.
    ("-A INPUT -j INPUT", False, False),
    ("-N a\n-N b\n-A INPUT -j a\n-A a -j b\n-A b -j a", False, False),
]


@pytest.mark.parametrize(("rules", "call", "mdns"), IPTABLES)
def test_iptables(rules: str, call: bool, mdns: bool) -> None:
    judged = packet_filters.read_iptables(CLOSED + rules)
    assert [judged.judge(packet).passes for packet in (CALL, MDNS)] == [call, mdns]


def test_the_rule_that_decides_is_named() -> None:
    rule = "-A mine -p tcp -m tcp --dport 4747 -j REJECT --reject-with icmp-port-unreachable"
    judged = packet_filters.read_iptables(f"-P INPUT ACCEPT\n-N mine\n-A INPUT -j mine\n{rule}\n")
    assert judged.judge(CALL).rule == rule
    assert judged.judge(MDNS).passes
    assert packet_filters.read_iptables(CLOSED).judge(CALL).rule == "policy of INPUT: drop"


def test_what_goes_out_is_judged_by_its_own_chain_and_no_listing_stops_nothing() -> None:
    listing = "-P INPUT ACCEPT\n-P OUTPUT DROP\n-A OUTPUT -o tun0 -j ACCEPT\n"
    assert packet_filters.read_iptables(listing, "INPUT").judge(CALL).passes
    assert not packet_filters.read_iptables(listing, "OUTPUT").judge(OUT).passes
    assert packet_filters.read_iptables("").judge(CALL).passes
    assert packet_filters.read_nftables("", {}, v6=False).judge(CALL).passes


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def vmap(key: dict[str, Any], *pairs: list[Any]) -> dict[str, Any]:
    return {"vmap": {"key": key, "data": {"set": list(pairs)}}}


STATE: dict[str, Any] = {"ct": {"key": "state"}}
MORE = {"target": "more"}
TEN, FE80 = ({"prefix": {"addr": addr, "len": size}} for addr, size in (("10.0.0.0", 8), ("fe80::", 10)))
NAMED_5353 = {"set": [{"elem": {"val": 5353, "comment": "x"}}]}
ACCEPT: dict[str, Any] = {"accept": None}


def ruleset(*rules: list[dict[str, Any]], family: str = "inet", policy: str = "drop") -> str:
    """A table with an input chain of these rules, a chain `more` that accepts TCP, and a set of ports."""
    table = {"family": family, "table": "filter"}
    items: list[dict[str, Any]] = [
        {"metainfo": {"version": "1.1.3"}},
        {"table": {"family": family, "name": "filter", "handle": 1}},
        {"chain": {**table, "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": policy}},
        {"chain": {**table, "name": "more"}},
        {"rule": {**table, "chain": "more", "handle": 90, "expr": [match(meta("l4proto"), "tcp"), ACCEPT]}},
    ]
    items += [
        {"rule": {**table, "chain": "input", "handle": 10 + number, "expr": rule}}
        for number, rule in enumerate(rules)
    ]
    items.append({"set": {**table, "name": "ours", "elem": [22, {"range": [4700, 4800]}]}})
    return json.dumps({"nftables": items})


# (rules after a policy of drop, whether a call passes, whether multicast DNS passes)
NFT: list[tuple[list[list[dict[str, Any]]], bool, bool]] = [
    ([], False, False),
    ([[ACCEPT]], True, True),
    ([[match(payload("tcp", "dport"), 4747), ACCEPT]], True, False),
    ([[match(payload("tcp", "dport"), {"range": [1, 4746]}), ACCEPT]], False, False),
    ([[match(payload("tcp", "dport"), {"set": [22, {"range": [4000, 5000]}]}), ACCEPT]], True, False),
    ([[match(payload("tcp", "dport"), "@ours"), ACCEPT]], True, False),
    ([[match(payload("tcp", "dport"), "@others"), ACCEPT]], False, False),
    ([[match(payload("tcp", "dport"), 22, "!="), ACCEPT]], True, False),
    ([[match(payload("th", "dport"), NAMED_5353), ACCEPT]], False, True),
    ([[match(payload("udp", "sport"), 5353), ACCEPT]], False, True),
    ([[match(payload("tcp", "dport"), 5353), ACCEPT]], False, False),
    ([[match(payload("udp", "dport"), 4747), ACCEPT]], False, False),
    ([[match(payload("ip", "saddr"), TEN), ACCEPT]], True, True),
    ([[match(payload("ip", "saddr"), TEN, "!="), ACCEPT]], False, False),
    ([[match(payload("ip", "daddr"), "224.0.0.251"), ACCEPT]], False, True),
    ([[match(payload("ip6", "saddr"), FE80, "!="), ACCEPT]], False, False),
    ([[match(payload("ip", "protocol"), "tcp"), ACCEPT]], True, False),
    ([[match(meta("iifname"), "eth0"), ACCEPT]], True, True),
    ([[match(meta("iifname"), "eth*"), ACCEPT]], True, True),
    ([[match(meta("iif"), "lo"), ACCEPT]], False, False),
    ([[match(meta("oifname"), "eth0"), ACCEPT]], False, False),
    ([[match(meta("l4proto"), {"set": ["icmp", 17]}), ACCEPT]], False, True),
    ([[match(meta("nfproto"), "ipv4"), ACCEPT]], True, True),
    ([[match(meta("pkttype"), "host"), ACCEPT]], True, False),
    ([[match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), ACCEPT]], True, False),
    ([[match(STATE, ["established", "related"], "in"), ACCEPT]], False, False),
    ([[match(STATE, "new", "in"), ACCEPT]], True, True),
    ([[match(STATE, ["new", "established"], "in"), {"counter": {"packets": 1}}, ACCEPT]], True, True),
    ([[{"jump": MORE}]], True, False),
    ([[{"goto": MORE}], [ACCEPT]], True, False),
    ([[{"log": {"prefix": "x"}}], [{"reject": {"type": "tcp reset"}}], [ACCEPT]], False, False),
    ([[vmap(STATE, ["invalid", {"drop": None}], ["new", ACCEPT])]], True, True),
    ([[vmap(meta("iifname"), ["eth0", {"jump": MORE}])]], True, False),
    # What is not understood is not believed.
    ([[{"limit": {"rate": 3, "per": "second"}}, ACCEPT]], False, False),
    ([[{"xt": {"type": "match", "name": "conntrack"}}, ACCEPT]], False, False),
    ([[match({"&": [payload("tcp", "flags"), {"|": ["syn", "ack"]}]}, "syn"), ACCEPT]], False, False),
    ([[match({"concat": [meta("iifname"), payload("tcp", "dport")]}, "x"), ACCEPT]], False, False),
    ([[match(payload("tcp", "dport"), 4747, "<"), ACCEPT]], False, False),
]


@pytest.mark.parametrize(("rules", "call", "mdns"), NFT)
def test_nft(rules: list[list[dict[str, Any]]], call: bool, mdns: bool) -> None:
    judged = packet_filters.read_nftables(ruleset(*rules), {}, v6=False)
    assert [judged.judge(packet).passes for packet in (CALL, MDNS)] == [call, mdns]


def test_nft_families() -> None:
    v4_only = ruleset(family="ip")
    assert not packet_filters.read_nftables(v4_only, {}, v6=False).judge(CALL).passes
    assert packet_filters.read_nftables(v4_only, {}, v6=True).judge(CALL_V6).passes
    assert not packet_filters.read_nftables(ruleset(), {}, v6=True).judge(CALL_V6).passes


def test_nft_every_base_chain_has_its_say() -> None:
    open_first, closed = json.loads(ruleset(policy="accept")), json.loads(ruleset(family="ip"))
    both = json.dumps({"nftables": open_first["nftables"] + closed["nftables"]})
    verdict = packet_filters.read_nftables(both, {}, v6=False).judge(CALL)
    assert (verdict.passes, verdict.base) == (False, "ip filter input")
    assert packet_filters.read_nftables(both, {}, v6=False, but=["ip filter input"]).judge(CALL).passes


def test_nft_rules_in_their_own_words() -> None:
    words = packet_filters.read_nftables_words(
        "table inet filter { # handle 1\n"
        "\tchain input { # handle 2\n"
        "\t\ttype filter hook input priority filter; policy drop;\n"
        "\t\ttcp dport 4747 drop # handle 10\n\t}\n}\n"
    )
    rules = ruleset([match(payload("tcp", "dport"), 4747), {"drop": None}])
    judged = packet_filters.read_nftables(rules, words, v6=False)
    assert judged.judge(CALL).rule == "tcp dport 4747 drop"


RELOAD = " && sudo firewall-cmd --reload"


@pytest.mark.parametrize(
    ("program", "packet", "typed"),
    [
        ("iptables", CALL, "sudo iptables -I INPUT -p tcp --dport 4747 -j ACCEPT"),
        ("iptables", MDNS, "sudo iptables -I INPUT -p udp --dport 5353 -j ACCEPT"),
        ("ip6tables", CALL_V6, "sudo ip6tables -I INPUT -p tcp --dport 4747 -j ACCEPT"),
        ("iptables", OUT, "sudo iptables -I OUTPUT -o eth0 -p tcp -j ACCEPT"),
        ("ufw", CALL, "sudo ufw allow 4747/tcp"),
        ("ufw", OUT, "sudo ufw allow out on eth0"),
        ("firewalld", CALL, f"sudo firewall-cmd --permanent --add-port=4747/tcp{RELOAD}"),
        ("firewalld", MDNS, f"sudo firewall-cmd --permanent --add-service=mdns{RELOAD}"),
        ("firewalld", OUT, "sudo iptables -I OUTPUT -o eth0 -p tcp -j ACCEPT"),
        ("nft", CALL, "sudo nft insert rule inet filter input tcp dport 4747 accept"),
    ],
)
def test_the_command_speaks_the_language_of_the_program(program: str, packet: Packet, typed: str) -> None:
    assert command(program, packet, "inet filter input") == typed
