"""The command that lets a packet through, in the language of the program that stops it."""

from __future__ import annotations

from chat.doctor.rules import Packet
from chat.phrases import Phrase


def command(program: str, packet: Packet, base: str) -> Phrase:
    """A line to type. `program`: ufw, firewalld, iptables, ip6tables or nft.

    `base` is nft's "FAMILY TABLE CHAIN"; the others need none.
    """
    return Phrase(_command(program, packet, base))


def _command(program: str, packet: Packet, base: str) -> str:
    if program == "ufw":
        return _ufw(packet)
    if program == "firewalld" and packet.incoming:
        return _firewalld(packet)
    if program == "nft":
        return f"sudo nft insert rule {base} {_nft(packet)} accept"
    tool = program if program in ("iptables", "ip6tables") else "ip6tables" if packet.is_v6 else "iptables"
    return f"sudo {tool} {_iptables(packet)} -j ACCEPT"


def _ufw(packet: Packet) -> str:
    if packet.incoming:
        return f"sudo ufw allow {packet.port}/{packet.protocol}"
    return f"sudo ufw allow out on {packet.interface}"


def _firewalld(packet: Packet) -> str:
    what = "service=mdns" if packet.protocol == "udp" else f"port={packet.port}/tcp"
    return f"sudo firewall-cmd --permanent --add-{what} && sudo firewall-cmd --reload"


def _nft(packet: Packet) -> str:
    if packet.incoming:
        return f"{packet.protocol} dport {packet.port}"
    # Others listen on ports of their own: what goes out to the local network must not depend on one.
    port = f"dport {packet.port}" if packet.protocol == "udp" else "dport 1-65535"
    return f"oifname {packet.interface} {packet.protocol} {port}"


def _iptables(packet: Packet) -> str:
    if packet.incoming:
        return f"-I INPUT -p {packet.protocol} --dport {packet.port}"
    port = f" --dport {packet.port}" if packet.protocol == "udp" else ""
    return f"-I OUTPUT -o {packet.interface} -p {packet.protocol}{port}"
