"""A second implementation of the protocol, for Node.js, that was written from SPEC.md alone.

It runs every vector file, and talks with this one in every role. What it cannot do is missing in SPEC.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import queue
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.machine import needs_node_packages
from tests.support.relay.processes import relay

pytestmark = pytest.mark.slow

_HERE = Path(__file__).parent
_VECTORS = _HERE.parents[1] / "protocol" / "vectors"
_NO_AREAS = {"schema.json", "kem.json"}
_WAIT = 120.0


@pytest.fixture(autouse=True, scope="module")
def _packages() -> None:
    needs_node_packages(_HERE)


def _run(program: str, *arguments: Path | int) -> subprocess.CompletedProcess[str]:
    command = ["node", str(_HERE / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def _run_vectors(*folder: Path) -> subprocess.CompletedProcess[str]:
    return _run("vectors.js", *folder)


def _copied(folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(_VECTORS / name, folder)
    return folder


def test_every_vector_holds_for_the_second_implementation() -> None:
    told = _run_vectors()
    lines = told.stdout.splitlines()
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-4000:]
    areas = {json.loads(path.read_text())["area"] for path in _area_files()}
    assert {line.split(":")[0] for line in lines[:-1]} == areas
    assert lines[-1] == f"{sum(_counts())} passed, 0 failed"


def _area_files() -> list[Path]:
    return [path for path in _VECTORS.glob("*.json") if path.name not in _NO_AREAS]


def _counts() -> list[int]:
    return [json.loads(path.read_text())["count"] for path in _area_files()]


def test_a_vector_with_another_byte_fails(tmp_path: Path) -> None:
    folder = _copied(tmp_path, "secrets.json")
    vectors = json.loads((folder / "secrets.json").read_text())
    gives = vectors["groups"][0]["tests"][0]["steps"][0]["gives"]
    gives["contact_secret"] = "00" + gives["contact_secret"][2:]
    (folder / "secrets.json").write_text(json.dumps(vectors))
    told = _run_vectors(folder)
    assert told.returncode == 1
    assert told.stdout.splitlines()[-1] == f"{vectors['count'] - 1} passed, 1 failed"


def test_a_refusal_of_another_class_fails(tmp_path: Path) -> None:
    folder = _copied(tmp_path, "sessions.json")
    text = (folder / "sessions.json").read_text()
    (folder / "sessions.json").write_text(text.replace('"expect": "limit"', '"expect": "malformed"'))
    assert _run_vectors(folder).returncode == 1


def test_an_unknown_area_fails(tmp_path: Path) -> None:
    folder = _copied(tmp_path, "noise.json")
    text = (folder / "noise.json").read_text()
    (folder / "noise.json").write_text(text.replace('"area": "noise"', '"area": "unheard"'))
    assert _run_vectors(folder).returncode == 1


def test_every_example_of_the_specification_is_read() -> None:
    told = _run("examples.js")
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.endswith(" examples hold, 0 do not\n")


@pytest.mark.parametrize("name", ["Ping", "Entry", "Header", "envelope"])
def test_an_example_with_another_byte_fails(tmp_path: Path, name: str) -> None:
    spec = (_VECTORS.parent / "SPEC.md").read_text()
    start = (
        spec.index(f"```hex {name}\n") if f"```hex {name}\n" in spec else spec.index(f"Example `{name}`: ")
    )
    end = spec.index("\n```" if spec.startswith("```", start) else "`\n", start)
    digit = "0" if spec[end - 2] != "0" else "c"
    (tmp_path / "SPEC.md").write_text(spec[: end - 2] + digit + spec[end - 1 :])
    told = _run("examples.js", tmp_path / "SPEC.md")
    assert told.returncode == 1
    assert told.stdout.startswith(f"{name}: ")


class _Lines:
    """A program, and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put("")

    def until(self, holds: Callable[[str], bool]) -> str:
        """Wait for the first line that holds. Fails when the program ends before, or is silent for long."""
        with contextlib.suppress(queue.Empty):
            while line := self._lines.get(timeout=_WAIT):
                self.seen.append(line)
                if holds(line):
                    return line
        raise AssertionError(f"what was waited for did not come after {self.seen}")


@contextlib.contextmanager
def _program(*command: str, given: str | None = None, errors: int | None = None) -> Iterator[_Lines]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, bufsize=1) as process:
        assert process.stdin is not None
        if given is not None:
            process.stdin.write(given)
        process.stdin.close()
        try:
            yield _Lines(process)
        finally:
            if process.poll() is None:
                process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def _interface(profile: Path) -> Iterator[None]:
    """Somebody who looks: the interface in a terminal, on the engine that runs.

    They begin at the first unread message, and go to the end: what was on the screen is read.
    """
    near, far = pty.openpty()
    command = [str(Path(sys.executable).with_name("parlour")), "--profile", str(profile)]
    with subprocess.Popen(command, stdin=far, stdout=far, stderr=far) as process:
        os.close(far)
        drain = threading.Thread(target=_look, args=(near,))
        drain.start()
        try:
            yield
        finally:
            process.terminate()
            drain.join()
            os.close(near)


def _look(terminal: int) -> None:
    drawn, keys = b"", [(b"evening", b"\x1b[I\x1b[1;5F"), (b"longest", b"\x1b[I")]
    # The end of a terminal is an error of input (Linux) or nothing more to read.
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 65_536):
            drawn += part
            if keys and keys[0][0] in drawn:
                os.write(terminal, keys.pop(0)[1])


class _Parlour:
    """The command line of one profile."""

    def __init__(self, folder: Path, name: str) -> None:
        self.profile = folder / name
        secret = folder / "pass"
        secret.write_text("correct horse battery\n")
        parlour = str(Path(sys.executable).with_name("parlour"))
        self.base = [parlour, "--profile", str(self.profile), "--passphrase-file", str(secret), "--json"]
        self.port = _free_port()
        self.call("--port", str(self.port), "init", "--name", name)

    def command(self, *words: str) -> list[str]:
        return [*self.base, *words]

    def call(self, *words: str) -> list[dict[str, object]]:
        told = subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, timeout=_WAIT
        )
        assert told.returncode == 0, told.stderr
        return [json.loads(line) for line in told.stdout.splitlines()]


def _event(kind: str) -> Callable[[str], bool]:
    return lambda line: json.loads(line).get("event") == kind


def _host() -> contextlib.AbstractContextManager[_Lines]:
    return _program("node", str(_HERE / "host.js"))


def test_a_conversation_with_the_second_implementation(tmp_path: Path) -> None:
    ada = _Parlour(tmp_path, "Ada")
    with _program(*ada.command("listen")) as engine:
        engine.until(_event("ready"))
        with _program(*ada.command("invite", "--yes")) as invite:
            invitation = invite.until(lambda line: "PARLOUR:" in line)
            _converse(ada, json.loads(invitation)["invitation"])
    history = ada.call("history", "Node")
    assert [entry["text"] for entry in history if entry["author"] == "Node"] == [
        "Good evening from another program",
        "\U0001f388" * 16_384,
        "That was the longest there is",
    ]
    assert [entry["state"] for entry in history if entry["author"] == "Ada"] == ["read"] * 3


def _converse(ada: _Parlour, invitation: str) -> None:
    with _program("node", str(_HERE / "converse.js"), str(ada.port), given=invitation) as node:
        node.until("open".__eq__)
        ada.call("send", "Node", "Good morning", "--wait", "60")
        with _interface(ada.profile):
            node.until("waiting".__eq__)
        ada.call("send", "Node", "Call me", "--wait", "60")
        node.until("replaced".__eq__)
        ada.call("send", "Node", "On the new link", "--wait", "60")
        node.until("done".__eq__)
        assert node.process.wait(_WAIT) == 0
    called = node.seen.index("waiting")
    first = {"paired Ada", "open", "delivered", "read", "entry Good morning"}
    # A later link tells again what was read on an earlier one.
    then = {
        "waiting",
        "open",
        "delivered",
        "read",
        "entry Call me",
        "replaced",
        "entry On the new link",
        "done",
    }
    assert (set(node.seen[:called]), set(node.seen[called:]) | {"read"}) == (first, then)


def test_the_two_implementations_meet_at_a_relay(tmp_path: Path) -> None:
    """Pairing, a call and being called, all of it through a relay of this one."""
    ada = _Parlour(tmp_path, "Ada")
    with relay() as running, _program(*ada.command("listen")) as engine:
        engine.until(_event("ready"))
        ada.call("relays", "add", str(running.address))
        with _program(*ada.command("invite", "--yes")) as invite:
            invitation = json.loads(invite.until(lambda line: "PARLOUR:" in line))["invitation"]
            with _program("node", str(_HERE / "through.js"), given=invitation) as node:
                node.until("waiting".__eq__)
                ada.call("send", "Node", "Good morning through it", "--wait", "60")
                node.until("done".__eq__)
                assert node.process.wait(_WAIT) == 0
    met = ["paired Ada", "open", "delivered", "waiting", "open", "entry Good morning through it", "done"]
    assert [line for line in node.seen if line != "read"] == met
    assert [entry["author"] for entry in ada.call("history", "Node")] == ["Node", "Ada"]


def test_this_one_joins_by_an_invitation_of_the_second_implementation(tmp_path: Path) -> None:
    ada = _Parlour(tmp_path, "Ada")
    with _host() as node:
        invitation = node.until(lambda line: line.startswith("PARLOUR:"))
        ada.call("join", invitation)
        node.until("paired Ada".__eq__)
        assert node.process.wait(_WAIT) == 0
    assert [contact["name"] for contact in ada.call("contacts")] == ["Node"]


def _pair_by_words(ada: _Parlour, node: _Lines, word: str) -> subprocess.CompletedProcess[str]:
    port = node.until(lambda line: line.startswith("port ")).removeprefix("port ")
    command = ada.command("pair", "--address", f"127.0.0.1:{port}")
    return subprocess.run(command, input=word, capture_output=True, text=True, check=False, timeout=_WAIT)


def test_both_implementations_show_the_same_five_words(tmp_path: Path) -> None:
    ada = _Parlour(tmp_path, "Ada")
    with _host() as node:
        told = _pair_by_words(ada, node, "y\n")
        words = node.until(lambda line: line.startswith("words ")).split()[1:]
        node.until("paired Ada".__eq__)
        assert node.process.wait(_WAIT) == 0
    assert told.returncode == 0, told.stderr
    assert len(words) == 5
    assert " ".join(words) in " ".join(told.stderr.split())


def test_a_person_who_sees_other_words_refuses(tmp_path: Path) -> None:
    ada = _Parlour(tmp_path, "Ada")
    with _host() as node:
        told = _pair_by_words(ada, node, "n\n")
        assert node.process.wait(_WAIT) == 1
    assert told.returncode != 0
    assert ada.call("contacts") == []


def test_the_second_implementation_pairs_with_a_visible_terminal(tmp_path: Path) -> None:
    ada = _Parlour(tmp_path, "Ada")
    with _program(*ada.command("pair"), given="y\n", errors=subprocess.STDOUT) as pair:
        pair.until("This device is visible nearby.".__eq__)
        told = _run("visit.js", ada.port)
        assert told.returncode == 0, told.stderr
        words, paired = told.stdout.splitlines()
        pair.until(lambda line: line.split() == words.split()[1:])
        assert pair.process.wait(_WAIT) == 0
    assert paired == "paired Ada"
