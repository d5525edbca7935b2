"""The command `service`: lets the system run `listen` for this user, and says how that stands."""

from __future__ import annotations

import asyncio
import hashlib
import os
import plistlib
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from chat.cli.output import FAILED, note, one_line
from chat.cli.session import LOOK_EVERY, Call, command, coroutine, existing, group
from chat.cli.terminal import STDIN, check_private
from chat.interface import (
    CannotCreate,
    Door,
    DoorState,
    Kept,
    Level,
    ParlourError,
    Unreachable,
    UsageError,
)

STARTS_WITHIN: Final = 30.0
"""Seconds in which a service that was started opens its profile: Argon2id on a slow machine, and the disk."""

ANSWERS_WITHIN: Final = 60.0
"""Seconds in which the system's own program answers."""

MARK: Final = "Written by 'parlour service install', and removed by 'parlour service remove'."

NO_PASSPHRASE: Final = (
    "A service cannot ask for the passphrase: save it with 'parlour keyring --save', or give"
    " --passphrase-file FILE."
)
NO_MANAGER: Final = (
    "This system has no {program}, which runs services of a user: start 'parlour listen' by other means."
)
NOT_OURS: Final = "{path} was not written by this command: rename or remove it, then run this again."
NOT_RUNNING: Final = (
    "The service {name} is installed, but it has not opened the profile: '{log}' says why. 'parlour service"
    " remove' removes it."
)
NONE: Final = "No service is installed for this profile."
LINGER: Final = "It runs while you are logged in: 'loginctl enable-linger' lets it run at all times."


class Standing(Struct, frozen=True):
    """How the service of a profile stands: its file is there, it begins with a login, it runs now."""

    installed: bool
    enabled: bool
    active: bool


class Manager(ABC):
    """What runs services of a user here. `name` is that of the service, `line` what it runs."""

    program: str

    def __init__(self, name: str, line: Sequence[str]) -> None:
        self.name = name
        self.line = tuple(line)

    @property
    def log(self) -> str:
        """The line that shows why it does not run."""
        return f"{self.program} print"

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file that describes the service."""

    @abstractmethod
    def content(self) -> bytes:
        """What is in that file."""

    @abstractmethod
    def start(self) -> None:
        """Start it, now and at each login. Raises ParlourError."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it, and start it no more. What does not run is no failure."""

    @abstractmethod
    def standing(self) -> Standing:
        """How it stands."""

    def write(self) -> None:
        """Write the file, in place of one of this command. Raises UsageError, CannotCreate."""
        if self.path.exists() and not self.is_ours():
            raise UsageError(NOT_OURS.format(path=self.path))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            unfinished.write_bytes(self.content())
            unfinished.chmod(0o600)
            unfinished.replace(self.path)
        except OSError as failure:
            why = failure.strerror or "an error of the disk"
            raise CannotCreate(f"{self.path} cannot be written ({why}): make room or allow it.") from failure

    def remove(self) -> bool:
        """Stop the service and remove its file; False where there is none. Raises UsageError."""
        if not self.path.exists():
            return False
        if not self.is_ours():
            raise UsageError(NOT_OURS.format(path=self.path))
        self.stop()
        self.path.unlink(missing_ok=True)
        self.forget()
        return True

    @abstractmethod
    def forget(self) -> None:
        """Let the manager know that the file is gone."""

    def is_ours(self) -> bool:
        try:
            return MARK.encode() in self.path.read_bytes()
        except OSError:
            return False

    def run(self, *arguments: str) -> tuple[int, str]:
        """The status and output of the manager's program. Raises UsageError where there is none."""
        if shutil.which(self.program) is None:
            raise UsageError(NO_MANAGER.format(program=self.program))
        try:
            done = subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=ANSWERS_WITHIN,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise Unreachable(
                f"{self.program} does not answer: try again, or restart the session."
            ) from failure
        return done.returncode, done.stdout.decode(errors="replace")

    def must(self, *arguments: str) -> None:
        """Run it. Raises Unreachable with what it said."""
        status, said = self.run(*arguments)
        if status:
            line = " ".join(said.split())[:200] or f"status {status}"
            raise Unreachable(f"'{self.program} {' '.join(arguments)}' failed ({line}): see '{self.log}'.")


class Systemd(Manager):
    """A user unit of systemd."""

    program = "systemctl"

    @property
    def log(self) -> str:
        return f"journalctl --user -u {self.name}"

    @property
    def path(self) -> Path:
        configured = os.environ.get("XDG_CONFIG_HOME", "")
        base = Path(configured) if configured.startswith("/") else Path.home() / ".config"
        return base / "systemd" / "user" / f"{self.name}.service"

    def content(self) -> bytes:
        # `listen` prints messages, which the journal would keep in plain. After a lock nothing starts again.
        # Memory with keys and messages goes to the disk neither by a core dump nor by swap.
        return f"""# {MARK}
[Unit]
Description=Parlour receives while its interface is closed

[Service]
Type=exec
ExecStart={" ".join((quoted(self.line[0], program=True), *map(quoted, self.line[1:])))}
StandardOutput=null
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=64 65 73 77
UMask=0077
LimitCORE=0
MemorySwapMax=0
NoNewPrivileges=yes

[Install]
WantedBy=default.target
""".encode()

    def start(self) -> None:
        self.must("--user", "daemon-reload")
        self.must("--user", "enable", f"{self.name}.service")
        self.must("--user", "restart", f"{self.name}.service")

    def stop(self) -> None:
        self.run("--user", "disable", "--now", f"{self.name}.service")

    def forget(self) -> None:
        self.run("--user", "daemon-reload")

    def standing(self) -> Standing:
        if not self.path.exists():
            return Standing(False, False, False)
        enabled = self.run("--user", "is-enabled", "--quiet", f"{self.name}.service")[0] == 0
        active = self.run("--user", "is-active", "--quiet", f"{self.name}.service")[0] == 0
        return Standing(True, enabled, active)


class Launchd(Manager):
    """An agent of launchd."""

    program = "launchctl"

    @property
    def label(self) -> str:
        return f"org.parlour.{self.name}"

    @property
    def path(self) -> Path:
        return Path.home() / "Library" / "LaunchAgents" / f"{self.label}.plist"

    def content(self) -> bytes:
        fields = {
            "Label": self.label,
            "ProgramArguments": [_writable(word) for word in self.line],
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": "/dev/null",
            "Umask": 0o077,
            "HardResourceLimits": {"Core": 0},
            "SoftResourceLimits": {"Core": 0},
            "ProcessType": "Background",
            "EnvironmentVariables": {"PARLOUR_SERVICE": MARK},
        }
        return plistlib.dumps(fields)

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}"

    def start(self) -> None:
        self.run("bootout", f"{self._domain}/{self.label}")
        self.must("bootstrap", self._domain, str(self.path))

    def stop(self) -> None:
        self.run("bootout", f"{self._domain}/{self.label}")

    def forget(self) -> None:
        """It keeps none of the file."""

    def standing(self) -> Standing:
        if not self.path.exists():
            return Standing(False, False, False)
        status, said = self.run("print", f"{self._domain}/{self.label}")
        return Standing(True, status == 0, status == 0 and "state = running" in said)


def _writable(word: str) -> str:
    """A word that both managers can read in a file. Raises UsageError."""
    try:
        word.encode()
    except UnicodeEncodeError:
        raise UsageError("A service cannot name a path that is not UTF-8: use another folder.") from None
    if any(ord(one) < 32 for one in word):
        raise UsageError("A service cannot name a path with control characters: use another folder.")
    return word


def quoted(word: str, *, program: bool = False) -> str:
    """A word of `ExecStart`, in which systemd replaces nothing. Raises UsageError: it cannot be written."""
    word = _writable(word)
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    # Variables are replaced in all words but the first.
    return f'"{escaped}"' if program else f'"{escaped.replace("$", "$$")}"'


def name_of(folder: Path, standard: Path) -> str:
    """The name of the service of a profile: that of the program for the standard one."""
    if folder == standard:
        return "parlour"
    shown = re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-")[:32]
    return f"parlour-{shown or 'profile'}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"


def this_program() -> list[str]:
    """The line that starts this program again, from any folder."""
    import zipfile

    if zipfile.is_zipfile(sys.argv[0]):  # a bundle, which brings the module
        return [sys.executable, str(Path(sys.argv[0]).absolute())]
    started = shutil.which(sys.argv[0])
    if started is not None and Path(started).name == "parlour":
        return [str(Path(started).absolute())]
    return [sys.executable, "-m", "chat.cli"]


def manager_of(call: Call, *options: str) -> Manager:
    """The service of the profile on this system. Raises UsageError."""
    kind = Launchd if sys.platform == "darwin" else Systemd
    line = [*this_program(), "--profile", str(call.folder), *options]
    return kind(name_of(call.folder, call.standard), line)


@group("service")
@coroutine
async def service(call: Call) -> int | None:
    """Let the system run 'parlour listen' for you, so that messages come while no interface is open.

    Without a command, it says how the service of this profile stands, as 'parlour service status'.
    """
    return await _status(call)


@service.command("status")
@coroutine
async def status(call: Call) -> int | None:
    """Show whether the service is installed and runs. Status 0: it runs."""
    return await _status(call)


async def _status(call: Call) -> int | None:
    manager = manager_of(call)
    now = await asyncio.to_thread(manager.standing)
    running = await _runs(call.door())
    fields = {
        "service": manager.name, "file": str(manager.path), "installed": now.installed,
        "enabled": now.enabled, "active": now.active, "profile": str(call.folder), "running": running,
    }  # fmt: skip
    if not now.installed:
        said = f"{NONE} 'parlour service install' installs it."
    else:
        begins = "begins with your login" if now.enabled else "does not begin with your login"
        said = f"The service {manager.name} {'runs' if now.active else 'does not run'} and {begins}."
    if running and not now.active:
        said += " An engine runs with the profile."
    call.result(fields, said)
    return None if now.active else FAILED


async def _runs(door: Door) -> bool:
    try:
        return await door.state() is DoorState.RUNNING
    except ParlourError:  # a damaged profile, of which other commands say more
        return False


@service.command("install")
@click.option(
    "--notify",
    type=click.Choice([level.value for level in Level]),
    help="Notify of messages, as 'listen --notify' does.",
)
@coroutine
async def install(call: Call, notify: str | None) -> int | None:
    """Write, start and check a service of your user that runs 'parlour listen'.

    It opens the profile with the passphrase in the system's keyring, or with --passphrase-file FILE, which
    only you may be able to read. On Linux it is a unit of systemd, on macOS an agent of launchd.

    Status 0: the service runs and has the profile open.
    """
    door, _ = await existing(call)
    given = await _passphrase(call, door)
    manager = manager_of(call, *given, "listen", *(["--notify", notify] if notify else []))
    manager.content()  # what cannot be written stops nothing that runs
    await asyncio.to_thread(manager.run, "--version" if manager.program == "systemctl" else "version")
    if await _runs(door) and not (await asyncio.to_thread(manager.standing)).active:
        note("An engine runs with this profile: the service continues when it ends.")
    await asyncio.to_thread(manager.write)
    await asyncio.to_thread(manager.start)
    now = await _started(manager, door)
    fields = {
        "service": manager.name, "file": str(manager.path), "installed": now.installed,
        "enabled": now.enabled, "active": now.active, "profile": str(call.folder),
        "running": await _runs(door),
    }  # fmt: skip
    if not (now.active and fields["running"]):
        if call.json:
            call.result(fields, "")
        note(NOT_RUNNING.format(name=manager.name, log=manager.log))
        return FAILED
    call.result(
        fields,
        f"The service {manager.name} runs: {manager.path}\n'parlour service remove' removes it, and 'parlour"
        " service status' shows how it stands.",
    )
    if sys.platform != "darwin":
        note(LINGER)
    return None


async def _passphrase(call: Call, door: Door) -> list[str]:
    """The options by which a service opens the profile. Raises UsageError."""
    if call.passphrase_file == STDIN:
        raise UsageError(NO_PASSPHRASE)
    if call.passphrase_file is None:
        if await door.kept() is Kept.NO:
            raise UsageError(NO_PASSPHRASE)
        return []
    try:
        path = await asyncio.to_thread(Path(call.passphrase_file).resolve, strict=True)
        check_private(path, await asyncio.to_thread(path.stat))
    except OSError as failure:
        why = failure.strerror or "unreadable"
        raise UsageError(f"The passphrase file cannot be read ({why}): check its name.") from failure
    return ["--passphrase-file", str(path)]


async def _started(manager: Manager, door: Door) -> Standing:
    """How the service stands once it has the profile open, or when the time is over."""
    ends = asyncio.get_running_loop().time() + STARTS_WITHIN
    while True:
        now = await asyncio.to_thread(manager.standing)
        if (now.active and await _runs(door)) or asyncio.get_running_loop().time() >= ends:
            return now
        await asyncio.sleep(LOOK_EVERY)


@service.command("remove")
@coroutine
async def remove(call: Call) -> None:
    """Stop the service of this profile and remove its file. The profile stays."""
    manager = manager_of(call)
    removed = await asyncio.to_thread(manager.remove)
    said = (
        f"The service {manager.name} was removed." if removed else "No service is installed for this profile."
    )
    call.result({"service": manager.name, "removed": removed, "file": str(manager.path)}, said)


PROFILES_MAX: Final = 256
"""Folders next to a profile that are looked at. This person fills them."""


@command("profiles")
@click.argument("folders", type=click.Path(path_type=Path, file_okay=False), nargs=-1, metavar="[FOLDER]...")
@coroutine
async def profiles(call: Call, folders: tuple[Path, ...]) -> None:
    """List the profiles of this machine that can be found, which of them run, and what is unread there.

    Looked at are the standard folder, that of --profile or PARLOUR_PROFILE, the folders next to both, and
    each FOLDER with the folders in it. What is unread in a profile is known while it runs.
    """
    here = [call.standard, call.folder]
    found = await asyncio.to_thread(_candidates, here, folders)
    listed = 0
    for folder in found:
        listed += await _profile(call, folder)
        for archive in await call.open_door(folder, None).archives():
            listed += await _profile(call, Path(archive), archive=True)
    if not listed:
        call.nothing("There is no profile yet: create one with 'parlour init --name NAME'.")


def _candidates(here: Sequence[Path], folders: Sequence[Path]) -> list[Path]:
    found = dict.fromkeys(here)
    for parent in [*(one.parent for one in here), *folders]:
        found[parent.absolute()] = None
        try:
            below = sorted(
                one for one in parent.absolute().iterdir() if one.is_dir() and not one.is_symlink()
            )
        except OSError:
            continue
        found |= dict.fromkeys(below[:PROFILES_MAX])
    return list(found)


async def _profile(call: Call, folder: Path, *, archive: bool = False) -> bool:
    """Print the line of a profile, or of an archive of one; whether there is one."""
    door = call.open_door(folder, None)
    try:
        state = await door.state()
    except ParlourError as failure:
        call.result({"profile": str(folder), "state": "damaged"}, f"{folder}  ({failure})")
        return True
    if state is DoorState.NEW:
        return False
    fields: dict[str, object] = {"profile": str(folder), "state": state.value, "name": None, "unread": None}
    fields["archive"] = archive
    said = "locked"
    if state is DoorState.RUNNING:
        said = "running"
        try:
            running = await door.attach()
            try:
                me, views = await running.me(), await running.contacts()
            finally:
                await running.close()
        except ParlourError:
            pass  # it ended a moment ago, or is of another version
        else:
            unread = sum(view.unread for view in views if not view.blocked)
            fields |= {"name": me.name, "unread": unread}
            said = f"running as {one_line(me.name)}, {unread} unread"
    call.result(fields, f"{one_line(str(folder))}  ({'archive, ' if archive else ''}{said})")
    return True
