"""Opens a saved file, its folder or an address with the system's program for it; executes nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from chat.interface import UsageError
from tui.text.translation import _

_ENDS: Final = (
    "accda accdb accde accdr action ad ade adp afploc air apk app appimage applescript application "
    "appref-ms appx appxbundle asp atloc bas bash bat bin cab cer chm cmd com command cpl crt csh deb "
    "der desktop dfont diagcab diagcfg diagpkg dll dmg docm dotm ex ex_ exe fileloc fish flatpak "
    "flatpakref ftploc fxp gadget grp hlp hta htm html img inetloc inf ins iqy iso isp jar jnlp js "
    "jse kext ksh lib library-ms lnk lua mad maf mag mam maq mar mas mat mau mav maw mda mdb mde mdt "
    "mdw mdz mhtml mjs mobileconfig msc msh msh1 msh1xml msh2 msh2xml mshxml msi msix msixbundle msp "
    "mst nsh one ops oqy osx out pcd php pif pkg pl plg potm ppa ppam ppsm pptm prefpane prf prg ps1 "
    "ps1xml ps2 ps2xml psc1 psc2 psm1 pst py pyc pyw pyz qtz rb reg rpm rqy run scf scpt scr sct "
    "search-ms service settingcontent-ms sh shb shs shtml sldm slk snap svg sys tcsh terminal theme "
    "themepack tool udl url vb vbe vbs vdx vhd vhdx vsd vsdm vsdx vsmacros vss vssm vssx vst vstm "
    "vstx vsw vsx vtx vxd webloc website wim workflow ws wsc wsf wsh xbap xhtml xlam xll xlsm xltm "
    "xml xnk xrm-ms zsh "
)
_HARMFUL: Final = frozenset(_ENDS.split())
"""Ends of names that a system may run, or whose program runs what is in them.

They are those that Firefox and Gmail hold back, which a test names, and those of Linux, macOS and scripts.
"""


def is_harmful(name: str) -> bool:
    """Whether the system may run what has this name."""
    return any(part.strip(" .") in _HARMFUL for part in name.casefold().split(".")[1:])


def program() -> str:
    """The program that opens files here. Raises UsageError where there is none."""
    if os.name == "nt":
        return "explorer.exe"
    found = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if found is None:
        raise UsageError(_("This system has no program that opens files."))
    return found


async def open_path(path: Path) -> None:
    """Open a file or a folder. Returns when the program was given it. Raises UsageError."""
    if not path.is_absolute() or not await asyncio.to_thread(_is_there, path):
        raise UsageError(_("It is not where it was saved any more."))
    await _give(str(path))


SCHEMES: Final = ("https", "http", "mailto")
"""Of addresses that are opened. Others start programs of the system: a file, a shell, a call."""

_ADDRESS_MAX: Final = 2048
_TAKES_A_FILE: Final = ("attach", "attachment")
"""Fields of a mail's address with which some programs send a file of this machine along."""


def scheme_of(address: str) -> str:
    """The scheme of an address that may be opened; empty for another one."""
    scheme, colon, rest = address.partition(":")
    plain = len(address) <= _ADDRESS_MAX and address.isprintable() and " " not in address
    known = scheme.lower() in SCHEMES and not (scheme.lower() == "mailto" and _takes_a_file(rest))
    return scheme.lower() if plain and colon and rest and known else ""


def _takes_a_file(rest: str) -> bool:
    fields = re.split("[?&;]", unquote(rest))[1:]
    return any(field.partition("=")[0].strip().lower() in _TAKES_A_FILE for field in fields)


def host_of(address: str) -> str:
    """The host that an address asks, or whom a mail goes to; empty where that is not clear."""
    if scheme_of(address) == "mailto":
        return address.partition(":")[2].partition("?")[0]
    try:
        host = urlsplit(address).hostname or ""
        return host if host.isascii() else f"{host} ({host.encode('idna').decode()})"
    except ValueError:
        return ""


async def open_address(address: str) -> None:
    """Open an address. Returns when the program was given it. Raises UsageError."""
    if not scheme_of(address):
        raise UsageError(_("Only links with https, http or mailto are opened."))
    await _give(address)


async def _give(what: str) -> None:
    try:
        # In a session of its own it stays open when this program ends, and draws nothing over it.
        running = await asyncio.create_subprocess_exec(
            program(), what, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
        )
    except OSError:
        raise UsageError(_("This system has no program that opens files.")) from None
    if await running.wait() and os.name != "nt":  # Windows' program says 1 where all went well
        raise UsageError(_("No program of this system opens it."))


def _is_there(path: Path) -> bool:
    """A file or a folder, and no link to one: somebody else may have put that there."""
    return not path.is_symlink() and (path.is_file() or path.is_dir())
