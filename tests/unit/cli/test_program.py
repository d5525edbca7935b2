"""The program as a whole: how it starts, how it fails, and what it never says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from chat import interface
from chat.cli import __main__ as entry
from chat.cli.__main__ import COMMANDS, run
from chat.cli.session import Call
from chat.interface import Door, EngineEnded, ParlourError
from chat.tools.demo.door import PASSPHRASE, DemoDoor
from tests.support.cli.line import Line
from tui.preferences import Options

SECRET = "a peer's words"
HEAVY = [
    *("nacl", "cryptography", "sqlcipher3", "zeroconf", "textual", "rich", "segno", "platformdirs"),
    "chat.engine",
]
KINDS = [
    kind for kind in vars(interface).values() if isinstance(kind, type) and issubclass(kind, ParlourError)
]


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chat.cli", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, text=True, check=False, **{**streams, **options})


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(line: Line, name: str) -> None:
    outcome = line.run(name, "--help", passphrase=False)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: parlour {name}")
    assert line.opened == []


def test_the_help_names_every_command_and_the_options_for_all(line: Line) -> None:
    out = line.run("--help", passphrase=False).out
    for word in (*COMMANDS, "--profile", "--json", "--passphrase-file", "--port", "--verbose", "--version"):
        assert word in out


def test_the_start_loads_nothing_heavy() -> None:
    check = f"""
import sys
from chat.cli.__main__ import COMMANDS, program
for name in COMMANDS:
    program.get_command(None, name)
loaded = [name for name in {HEAVY!r} if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", check], check=True)


FIRST_SCREEN = ("chat.cli.__main__", "chat.assemble", "tui.app", "tui.terminal")
LISTENER = ("chat.cli.listening", "chat.assemble", "chat.ipc.server", "chat.engine", "chat.network.mdns")
ENGINE = ("cryptography", "sqlcipher3", "zeroconf", "segno", "protocol.messages", "chat.engine")
# Each MiB and millisecond of these would be one for nothing.
OF_NO_USE = ("ssl", "_ssl", "_hashlib", "sqlite3", "html")


def loaded(modules: tuple[str, ...], *arguments: str) -> set[str]:
    """What a program has loaded with these modules."""
    check = f"""
import sys
import chat.cli.__main__
for name in {modules!r}:
    __import__(name)
print(*sys.modules)
import asyncio, hashlib, hmac, ssl
ssl.create_default_context()
asyncio.run(asyncio.sleep(0))
for name in ("sha256", "shake_256", "blake2b"):
    hashlib.new(name, b"text")
hmac.digest(b"key", b"text", "sha256")
"""
    line = [sys.executable, "-c", check, *arguments]
    return set(subprocess.run(line, check=True, capture_output=True, text=True).stdout.split())


def test_the_first_screen_waits_for_nothing_that_only_an_engine_needs() -> None:
    assert not loaded(FIRST_SCREEN) & {*ENGINE, *OF_NO_USE}


def test_a_listener_does_without_what_it_never_uses() -> None:
    assert not loaded(LISTENER) & set(OF_NO_USE)


def test_a_relay_may_reach_its_cluster_by_tls() -> None:
    assert {"ssl", "_ssl"} <= loaded((), "relay")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not EngineEnded])
def test_every_failure_is_one_line_and_its_status(line: Line, kind: type[ParlourError]) -> None:
    line.messenger.failures["contacts"] = kind("What happened:\nwhat to do.")
    said = line.run("contacts", "--json").failed(kind.exit_status)
    assert said == "What happened: what to do."


def test_the_statuses_are_those_that_scripts_rely_on() -> None:
    assert {kind.__name__: kind.exit_status for kind in KINDS} == {
        "ParlourError": 1,
        "Unconfirmed": 1,
        "OutcomeUnknown": 1,
        "KeyringFailure": 1,
        "UsageError": 64,
        "OnlyAsOriginal": 64,
        "NotTypedBack": 64,
        "WordsReplaced": 64,
        "BadData": 65,
        "CannotCreate": 73,
        "NotPermitted": 77,
        "Unconfined": 77,
        "Unreachable": 69,
        "AnswerLost": 69,
        "EngineEnded": 69,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        *(["nonsense"], ["--nonsense"], ["contacts", "nonsense"], ["contacts", "--nonsense"]),
        *(["send"], ["--port", "0"]),
        *(["history", "--limit"], ["--profile"], ["contacts", "--port"], ["listen", "--house=yes"]),
    ],
)
def test_wrong_use_is_64_in_one_line(line: Line, arguments: list[str]) -> None:
    assert "--help" in line.run(*arguments, passphrase=False).failed(64)


def test_the_choices_of_an_argument_end_before_the_hint(line: Line) -> None:
    assert "fish. 'parlour completion --help'" in line.run("completion", passphrase=False).failed(64)


def test_case_78_an_unexpected_failure_shows_its_kind_and_no_text(line: Line) -> None:
    async def broken() -> None:
        try:
            raise LookupError(SECRET)
        except LookupError as inner:
            raise KeyError(SECRET) from inner

    line.patch.setattr(line.messenger, "contacts", broken)
    failure = line.run("contacts").failed(1)
    assert "KeyError" in failure
    verbose = line.run("contacts", "--verbose")
    assert "broken" in verbose.err
    assert "LookupError" in verbose.err
    assert SECRET not in failure + verbose.err


def test_case_78_a_failure_in_the_background_shows_its_kind_and_no_text(line: Line) -> None:
    def broken() -> None:
        raise KeyError(SECRET)

    line.messenger.after["contacts"] = broken
    line.messenger.add_contact("Ben", present=True)
    outcome = line.run("send", "Ben", "x")
    assert outcome.status == 0
    assert "KeyError" in outcome.failure
    assert SECRET not in outcome.err


def test_case_78_libraries_and_threads_write_nothing_of_their_own() -> None:
    check = f"""
import logging, threading
from chat.cli.output import log_to_stderr, quieten

def broken():
    raise KeyError({SECRET!r})

quieten(lambda: True)
log_to_stderr()
logging.getLogger("zeroconf").error({SECRET!r})
logging.getLogger("asyncio").error({SECRET!r})
thread = threading.Thread(target=broken)
thread.start()
thread.join()
class Kept:
    def __del__(self):
        broken()

kept = Kept()
del kept
try:
    broken()
except KeyError:
    logging.getLogger("chat.network").exception("the port")
"""
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert SECRET not in ended.stdout + ended.stderr
    assert ended.stderr.count("KeyError") >= 3
    assert "chat.network the port" in ended.stderr


def test_case_74_a_system_error_is_one_line(line: Line) -> None:
    async def full() -> None:
        raise OSError(28, "No space left on device", SECRET)

    line.patch.setattr(line.messenger, "contacts", full)
    failure = line.run("contacts").failed(1)
    assert "No space left on device" in failure
    assert SECRET not in failure


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_closes_what_it_opened(line: Line, number: signal.Signals) -> None:
    line.messenger.add_contact("Ben")
    line.messenger.after["send"] = lambda: os.kill(os.getpid(), number)
    assert "Interrupted" in line.run("send", "Ben", "x", "--wait", "60").failed(1)
    assert line.messenger.called("close") == [()]


def test_without_a_terminal_the_interface_does_not_open(line: Line) -> None:
    for arguments in ([], ["--json"]):
        assert "--help" in line.run(*arguments, passphrase=False).failed(64)


def test_without_a_command_the_interface_opens_on_the_door(line: Line) -> None:
    opened: list[object] = []

    def talk(door: object, _options: object) -> int:
        opened.append(door)
        return 77

    line.patch.setattr("tui.linear.run", talk)  # it needs no terminal
    assert line.run("--linear", passphrase=False).status == 77
    assert line.run("--linear").status == 64
    refused = line.run("--linear", "contacts")
    assert (refused.status, opened) == (64, [line.door])
    assert "--linear" in refused.failure
    line.patch.setattr(entry, "is_interactive", lambda: True)
    line.patch.setattr("tui.run", lambda door, _options: opened.append(door))
    assert line.run(passphrase=False).status == 0
    assert line.run().status == 64
    assert opened == [line.door, line.door]


def test_a_demo_opens_on_a_door_of_its_own(line: Line, tmp_path: Path) -> None:
    opened: list[tuple[type, str, str]] = []

    def shown(mode: str) -> Callable[[Door, Options], None]:
        return lambda door, options: opened.append((type(door), options.demo, mode))

    line.patch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    line.patch.setattr(entry, "is_interactive", lambda: True)
    line.patch.setattr("tui.run", shown("screens"))
    line.patch.setattr("tui.linear.run", shown("lines"))
    for arguments in (["demo"], ["demo", "--linear"], ["--linear", "demo"]):
        assert line.run(*arguments, passphrase=False).status == 0
    assert opened == [(DemoDoor, PASSPHRASE, mode) for mode in ("screens", "lines", "lines")]
    assert line.opened == []
    for option in (["--profile", str(tmp_path)], ["--json"], ["--port", "1"]):
        assert line.run("demo", *option, passphrase=False).status == 64
    assert line.run("demo").status == 64
    assert len(opened) == 3
    assert list(tmp_path.iterdir()) == [line.file]


def test_a_reader_that_has_enough_is_no_failure() -> None:
    """The other end of the pipe is closed before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        ended = program("vectors", stdout=closed)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_case_74_output_that_cannot_be_written_is_1_in_one_line() -> None:
    full = Path("/dev/full")
    with full.open("w") if full.exists() else Path(os.devnull).open() as closed:
        ended = program("vectors", stdout=closed)
    (said,) = ended.stderr.splitlines()
    assert (ended.returncode, "cannot be written" in said) == (1, True)


def test_letters_that_the_terminal_lacks_are_no_failure(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = program("history", "Ren\u00e9", "--profile", str(tmp_path / "\u82b1"), env=environment)
    assert ended.returncode == 64
    assert len(ended.stderr.splitlines()) == 1
    assert "parlour init" in ended.stderr  # the real door found no profile


def test_nothing_is_raised_whatever_is_on_the_line() -> None:
    def no_door(profile: Path, port: int | None) -> interface.Door:
        raise RuntimeError(SECRET)

    assert run(["contacts"], Call(no_door, entry.show)) == 1


READS_PASSPHRASES = {
    "--passphrase-file": [["contacts"], ["keyring", "--save"], ["service", "install"]],
    "--new-passphrase-file": [["passphrase"]],
    "--backup-passphrase-file": [["export", "--to", "new"], ["export", "--verify", "old"], ["import", "old"]],
}


def options(command: click.Command) -> Iterator[str]:
    yield from (name for one in command.params for name in one.opts)
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def test_a_passphrase_file_that_others_can_read_is_refused_by_each_option(line: Line, tmp_path: Path) -> None:
    group = entry.program
    commands = [group.get_command(click.Context(group), name) for name in COMMANDS]
    named = {name for one in commands if one is not None for name in options(one)}
    named.add("--passphrase-file")  # which each command takes, wherever it stands
    assert {name for name in named if "passphrase-file" in name} == set(READS_PASSPHRASES)
    (tmp_path / "old").touch()
    line.patch.chdir(tmp_path)
    shared = tmp_path / "shared"
    shared.write_text("secret\n")
    for mode in (0o640, 0o604, 0o620):
        shared.chmod(mode)
        for option, all_of_it in READS_PASSPHRASES.items():
            own = option == "--passphrase-file"
            for arguments in all_of_it:
                outcome = line.run(*arguments, option, str(shared), passphrase=not own)
                assert (outcome.status, outcome.out) == (64, ""), arguments
                assert "chmod 600" in outcome.err.splitlines()[-1], arguments
    line.patch.setenv(
        "CREDENTIALS_DIRECTORY", str(tmp_path)
    )  # whose rights systemd keeps apart from the mode
    assert line.run("contacts", "--passphrase-file", str(shared), passphrase=False).failed(77)
