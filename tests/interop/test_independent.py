"""A second implementation, for Node.js, written from SPEC.md alone: what it cannot do is missing there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from protocol.identity.log import Graph
from protocol.identity.reduction import NO_PINS, Pins, Reduction
from protocol.identity.safety import WordList, word_list
from protocol.vectors.persons import meaning
from tests.support.e2e.people import Person
from tests.support.e2e.programs import PATIENCE, Station, invited, listening
from tests.support.lab.programs import Program
from tests.support.machine import needs_node_packages, needs_tmux
from tests.support.protocol.random_logs import (
    FREE,
    SETS,
    Growing,
    every_log,
    every_order,
    random_logs,
)
from tests.support.relay.processes import relay

pytestmark = pytest.mark.slow

_HERE = Path(__file__).parent
_VECTORS = _HERE.parents[1] / "protocol" / "vectors"
_NO_AREAS = ("schema.json", "kem.json", "mldsa.json")
_WAIT = 120.0
_LONG = 900.0
_SETS = 10_000


@pytest.fixture(autouse=True, scope="module")
def _packages() -> None:
    needs_node_packages(_HERE)


def _run(program: str, *arguments: Path | int) -> subprocess.CompletedProcess[str]:
    command = ["node", str(_HERE / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_every_vector_holds_for_the_second_implementation() -> None:
    files = [path for path in _VECTORS.glob("*.json") if path.name not in _NO_AREAS]
    areas = [json.loads(path.read_text()) for path in files]
    told = _run("vectors.js")
    lines = told.stdout.splitlines()
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-4000:]
    assert {line.split(":")[0] for line in lines[:-1]} == {area["area"] for area in areas}
    assert lines[-1] == f"{sum(area['count'] for area in areas)} passed, 0 failed"


def test_a_vector_with_another_byte_fails(tmp_path: Path) -> None:
    vectors = json.loads((_VECTORS / "secrets.json").read_text())
    gives = vectors["groups"][0]["tests"][0]["steps"][0]["gives"]
    gives["contact_secret"] = "00" + gives["contact_secret"][2:]
    (tmp_path / "secrets.json").write_text(json.dumps(vectors))
    told = _run("vectors.js", tmp_path)
    assert told.returncode == 1
    assert told.stdout.splitlines()[-1] == f"{vectors['count'] - 1} passed, 1 failed"


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("sessions.json", '"expect": "limit"', '"expect": "malformed"'),
        ("noise.json", '"area": "noise"', '"area": "unheard"'),
    ],
    ids=["another class of refusal", "an unknown area"],
)
def test_a_wrong_vector_file_fails(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    text = (_VECTORS / file).read_text()
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong))
    assert _run("vectors.js", tmp_path).returncode == 1


def test_every_example_of_the_specification_is_read() -> None:
    told = _run("examples.js")
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.endswith(" examples hold, 0 do not\n")


def test_each_end_of_the_conversation_of_version_1_reads_what_it_read_then() -> None:
    told = _run("replay.js")
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.endswith(" steps, 0 wrong\n")


def test_a_conversation_with_another_message_fails(tmp_path: Path) -> None:
    transcript = json.loads((_HERE / "version_1.json").read_text(encoding="utf-8"))
    steps = transcript["links"][1]["ends"]["anna"]["steps"]
    event = next(event for step in steps for event in step.get("events", []) if "message" in event)
    event["message"] = event["message"][:-2] + "00"
    (tmp_path / "version_1.json").write_text(json.dumps(transcript))
    assert _run("replay.js", tmp_path / "version_1.json").returncode == 1


@pytest.mark.parametrize("name", ["Ping", "Entry", "Header", "envelope"])
def test_an_example_with_another_byte_fails(tmp_path: Path, name: str) -> None:
    spec = (_VECTORS.parent / "SPEC.md").read_text()
    block = f"```hex {name}\n"
    start = spec.index(block if block in spec else f"Example `{name}`: ")
    end = spec.index("\n```" if spec.startswith("```", start) else "`\n", start)
    digit = "0" if spec[end - 2] != "0" else "c"
    (tmp_path / "SPEC.md").write_text(spec[: end - 2] + digit + spec[end - 1 :])
    told = _run("examples.js", tmp_path / "SPEC.md")
    assert told.returncode == 1
    assert told.stdout.startswith(f"{name}: ")


def _means_the_same(logs: Iterable[tuple[Growing, Pins, list[bytes]]]) -> int:
    """The number of logs that the second implementation was given, each in its order of arrival."""
    given, meant = list[str](), list[object]()
    for growing, pins, order in logs:
        meant.append(meaning(Reduction(Graph(growing.log), pins)))
        signed = [growing.log[one].signed.hex() for one in order]
        pinned = {kind: [one.hex() for one in getattr(pins, kind)] for kind in ("seen", "confirmed")}
        given.append(json.dumps({"operations": signed, **pinned}))
    command = ["node", str(_HERE / "logs.js")]
    told = subprocess.run(
        command, input="\n".join(given), capture_output=True, text=True, check=True, timeout=_LONG
    )
    assert [json.loads(line) for line in told.stdout.splitlines()] == meant
    return len(given)


def test_random_logs_mean_the_same_to_the_second_implementation() -> None:
    """The sets that the engine is compared with the model by (tests/unit/protocol/test_person_oracle.py)."""
    assert _means_the_same(random_logs(_SETS)) == (SETS or _SETS)


def test_every_order_of_concurrent_operations_means_the_same_to_the_second_implementation() -> None:
    logs = ((growing, NO_PINS, order) for growing in every_log(FREE) for order in every_order(growing))
    assert _means_the_same(logs) > 2_000


def _node(program: str, *arguments: Path | int | str, given: str = "") -> Program:
    """A program of the second implementation, with its standard input."""
    running = Program(["node", str(_HERE / program), *map(str, arguments)])
    running.write(given)
    running.end_input()
    return running


def _ended(node: Program, last: str) -> list[str]:
    """All that it said, once it has said the last and ended well."""
    node.wait_for(last.__eq__, _WAIT)
    assert node.wait_exit(_WAIT) == 0, node.complained
    return node.said


@pytest.fixture
def ada(tmp_path: Path) -> Station:
    return Station("Ada", tmp_path).create()


def _send(ada: Station, text: str) -> None:
    assert ada.run("send", "Node", text, "--wait", "60").status == 0


def test_a_conversation_with_the_second_implementation(ada: Station) -> None:
    needs_tmux()
    with listening(ada), ada.start("invite", "--yes") as inviting:
        invitation = invited(inviting.line(PATIENCE))
        port = ada.ask(lambda messenger: messenger.me()).port
        with _node("converse.js", port, given=invitation) as node:
            node.wait_for("open".__eq__, _WAIT)
            _send(ada, "Good morning")
            with Person("Ada", ada.profile) as looking:  # what was on the screen is read
                looking.see("evening")
                looking.terminal.send("C-End")
                node.wait_for("waiting".__eq__, _WAIT)
            _send(ada, "Call me")
            node.wait_for("replaced".__eq__, _WAIT)
            _send(ada, "On the new link")
            said = _ended(node, "done")
    called = said.index("waiting")
    assert set(said[:called]) == {"paired Ada", "open", "delivered", "read", "entry Good morning"}
    met = {"waiting", "open", "delivered", "replaced", "entry Call me", "entry On the new link", "done"}
    assert set(said[called:]) - {"read"} == met  # a later link tells again what was read on an earlier one
    history = ada.run("history", "Node").objects
    assert [entry["text"] for entry in history if entry["author"] == "Node"] == [
        "Good evening from another program",
        "\U0001f388" * 16_384,
        "That was the longest there is",
    ]
    assert [entry["state"] for entry in history if entry["author"] == "Ada"] == ["read"] * 3


def test_the_two_implementations_send_each_other_a_file(ada: Station, tmp_path: Path) -> None:
    content = Random(14).randbytes(200_000)
    (tmp_path / "from ada.txt").write_bytes(content)
    with listening(ada), ada.start("invite", "--yes") as inviting:
        invitation = invited(inviting.line(PATIENCE))
        with _node("exchange_files.js", ada.ask(lambda engine: engine.me()).port, given=invitation) as node:
            _, entry, digest = node.wait_for(lambda line: line.startswith("sent "), _WAIT).split()
            node.wait_for("taken".__eq__, _WAIT)
            sent = ada.run("send", "--file", str(tmp_path / "from ada.txt"), "Node", "--wait", "60")
            assert sent.status == 0
            said = _ended(node, "done")
        (saved,) = ada.run("save", "Node", entry, "--to", str(tmp_path)).objects
    assert f"file from ada.txt text/plain {sha256(content).hexdigest()}" in said
    assert sha256(Path(saved["path"]).read_bytes()).hexdigest() == digest
    assert Path(saved["path"]).name == "from node.bin"


def test_the_two_implementations_meet_at_a_relay(ada: Station) -> None:
    """Pairing, a call and being called, all of it through a relay of this one."""
    with relay() as running, listening(ada), ExitStack() as stack:
        assert ada.run("relays", "add", str(running.address)).status == 0
        inviting = stack.enter_context(ada.start("invite", "--yes"))
        with _node("through.js", given=invited(inviting.line(PATIENCE))) as node:
            node.wait_for("waiting".__eq__, _WAIT)
            _send(ada, "Good morning through it")
            said = _ended(node, "done")
    met = ["paired Ada", "open", "delivered", "waiting", "open", "entry Good morning through it", "done"]
    assert [line for line in said if line != "read"] == met
    assert [entry["author"] for entry in ada.run("history", "Node").objects] == ["Node", "Ada"]


def test_this_one_joins_by_an_invitation_of_the_second_implementation(ada: Station) -> None:
    with _node("host.js") as node:
        invitation = node.wait_for(lambda line: line.startswith("PARLOUR:"), _WAIT)
        assert ada.run("join", invitation).objects == [{"paired": "Node"}]
        _ended(node, "paired Ada")
    assert [contact["name"] for contact in ada.run("contacts").objects] == ["Node"]


@pytest.mark.parametrize("answer", ["y", "n"], ids=["same", "other"])
def test_both_implementations_show_the_same_five_words_which_a_person_confirms_or_refuses(
    ada: Station, answer: str
) -> None:
    with _node("host.js") as node:
        port = node.wait_for(lambda line: line.startswith("port "), _WAIT).removeprefix("port ")
        told = ada.run("pair", "--address", f"127.0.0.1:{port}", typed=f"{answer}\n")
        words = node.wait_for(lambda line: line.startswith("words "), _WAIT).split()[1:]
        assert node.wait_exit(_WAIT) == (0 if answer == "y" else 1)
    assert len(words) == 5
    assert " ".join(words) in " ".join(told.err.split())
    assert (told.status == 0) == ("paired Ada" in node.said) == (answer == "y")
    assert [contact["name"] for contact in ada.run("contacts").objects] == ["Node"] * (answer == "y")


@pytest.mark.parametrize(("reads", "shown"), [((), WordList.ENGLISH), (("zh",), WordList.CHINESE)])
def test_the_second_implementation_pairs_with_a_visible_terminal(
    ada: Station, reads: tuple[str, ...], shown: WordList
) -> None:
    with ada.start("pair", "--words", "zh", joined=True) as pairing:
        pairing.write("y\n")
        pairing.wait_for("This device is visible nearby.".__eq__, _WAIT)
        with _node("visit.js", ada.ask(lambda messenger: messenger.me()).port, *reads) as node:
            words, _ = _ended(node, "paired Ada")
        assert set(words.split()[1:]) <= set(word_list(shown))
        pairing.wait_for(lambda line: line.split() == words.split()[1:], _WAIT)
        assert pairing.wait_exit(_WAIT) == 0
