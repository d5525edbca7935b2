"""Reading the packet filters of this machine (Linux) through the programs that show them.

Rules: only commands that show, none that changes; without root they refuse, and then only what
configuration files and the list of processes tell is known.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chat.doctor import iptables, nftables
from chat.doctor.rules import Filter, Packet, Verdict

WITHIN: Final = 3.0
"""Seconds for one program to show its rules."""
_PATHS = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
_UFW: Final = Path("/etc/ufw/ufw.conf")
_PROCESSES: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Source:
    """The rules that one tool shows for one family."""

    tool: str
    is_v6: bool
    incoming: Filter
    outgoing: Filter

    def judge(self, packet: Packet) -> Verdict:
        """What happens to the packet here; one of the other family passes by."""
        if packet.is_v6 != self.is_v6:
            return Verdict(True)
        return (self.incoming if packet.incoming else self.outgoing).judge(packet)

    def program(self, verdict: Verdict) -> str:
        """The program whose rules these are: it must be told, or it would undo what the tool is told."""
        names = " ".join([verdict.base, *self.incoming.chains])
        if "ufw" in names:
            return "ufw"
        return "firewalld" if "firewalld" in names or "INPUT_ZONES" in names else self.tool


@dataclass(frozen=True, slots=True)
class Tables:
    """What could be read. `program`: ufw or firewalld if it is known to be on, for when nothing could."""

    sources: tuple[Source, ...]
    unreadable: bool = False
    program: str = ""


async def read_tables() -> Tables:
    """All rules that a packet may meet. A program that is not installed has none."""
    v4, v6, listing, words = await asyncio.gather(
        _shown("iptables", "-S"),
        _shown("ip6tables", "-S"),
        _shown("nft", "--json", "list", "ruleset"),
        _shown("nft", "--handle", "list", "ruleset"),
    )
    # iptables also refuses, even for root, where nft has made its tables into something else.
    if listing is None or (not listing and None in (v4, v6)):
        return Tables((), unreadable=True, program=_known_to_be_on())
    by_nft = _of_nft(listing, words or "", but_iptables=None not in (v4, v6))
    return Tables((*_of_iptables("iptables", v4 or ""), *_of_iptables("ip6tables", v6 or ""), *by_nft))


def _of_iptables(tool: str, listing: str) -> list[Source]:
    incoming, outgoing = iptables.read(listing, "INPUT"), iptables.read(listing, "OUTPUT")
    return (
        [Source(tool, tool == "ip6tables", incoming, outgoing)] if _does_something(incoming, outgoing) else []
    )


def _of_nft(listing: str, words: str, *, but_iptables: bool) -> list[Source]:
    """Rules of nft's own; those that iptables keeps there are read whole through iptables, where it can."""
    said = nftables.read_words(words)
    sources = []
    for v6 in (False, True):
        theirs = {f"ip{'6' * v6} filter {chain}" for chain in ("INPUT", "OUTPUT") if but_iptables}
        incoming = nftables.read(listing, said, v6=v6, hook="input", but=theirs)
        outgoing = nftables.read(listing, said, v6=v6, hook="output", but=theirs)
        if _does_something(incoming, outgoing):
            sources.append(Source("nft", v6, incoming, outgoing))
    return sources


def _does_something(*filters: Filter) -> bool:
    """Whether there is more than empty chains that accept."""
    chains = [each.chains[base] for each in filters for base in each.bases]
    return any(chain.rules or chain.policy is not chain.policy.ACCEPT for chain in chains)


async def _shown(program: str, *arguments: str) -> str | None:
    """What a program shows: nothing if it is not installed, None if it refuses."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_PATHS}")
    if path is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        async with asyncio.timeout(WITHIN):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return output.decode("utf-8", "replace") if process.returncode == 0 else None


def _known_to_be_on() -> str:
    if _UFW.is_file() and "ENABLED=yes" in _UFW.read_text("utf-8", "replace"):
        return "ufw"
    return "firewalld" if any(_is_firewalld(each) for each in _PROCESSES.glob("[0-9]*/comm")) else ""


def _is_firewalld(comm: Path) -> bool:
    try:
        return comm.read_text("utf-8", "replace").strip() == "firewalld"
    except OSError:
        return False  # it has ended in the meantime
