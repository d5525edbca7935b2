"""One program at the API: requests, places and tokens."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from chat.api import calls, session
from chat.api.scopes import MAY
from chat.api.serve import serve_socket
from chat.api.session import WINDOW
from chat.interface import (
    CannotCreate,
    ClientRights,
    Closed,
    ContactChanged,
    EntryChanged,
    EntryState,
    Notice,
    NotPermitted,
    ParlourError,
    Phrase,
)
from tests.contract.calls import arguments_of
from tests.support.api import Line, Talker, talking
from tests.support.engines.engines import in_virtual_time
from tests.support.fakes.around import FakeAround
from tests.support.fakes.messenger import FakeMessenger


@pytest.fixture
def fake() -> FakeMessenger:
    return FakeMessenger()


def ids(events: list[Line]) -> list[str]:
    return [event["value"]["entry"]["id"] for event in events]


async def following(talker: Talker, name: str = "echo", **how: object) -> None:
    await talker.call("hello", client=name)
    await talker.call("subscribe", **how)


async def test_hello_says_the_version_and_what_is_unknown_is_ignored(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        greeting = await talker.call("hello", client="echo", colour="red")
        assert greeting["version"] == calls.VERSION
        assert (greeting["client"], greeting["rights"], greeting["contact"]) == ("echo", "all", "")
        said = await talker.ask("send", {"contact": ben.person, "text": "hi", "later": 1}, trace="x")
        assert said["result"]["text"] == "hi"
        by_place = await talker.ask("send", [ben.person, "in order"])
        assert by_place["result"]["text"] == "in order"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", calls.PARSE_ERROR),
        (b'"\xff"', calls.PARSE_ERROR),
        (b"[" * 100_000, calls.PARSE_ERROR),
        (b"[]", calls.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0"}', calls.INVALID_REQUEST),
        (b'{"jsonrpc": "1.0", "method": "me", "id": 1}', calls.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "method": "me", "id": {}}', calls.INVALID_REQUEST),
    ],
)
async def test_what_is_no_request_is_answered_and_the_next_one_works(
    fake: FakeMessenger, line: bytes, code: int
) -> None:
    async with talking(fake) as talker:
        talker.say(line)
        said = await asyncio.wait_for(talker.others.get(), 20)
        assert (said["id"], said["error"]["code"]) == (None, code)
        assert (await talker.call("me"))["name"] == "Ann"


async def test_what_cannot_be_called_says_why(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        for method, params, code in (
            ("wave", {}, calls.METHOD_NOT_FOUND),
            ("close", {}, calls.METHOD_NOT_FOUND),
            ("_enter", {}, calls.METHOD_NOT_FOUND),
            ("send", {"contact": ben.person}, calls.INVALID_PARAMS),
            ("send", {"contact": ben.person, "text": 7}, calls.INVALID_PARAMS),
            ("me", [1], calls.INVALID_PARAMS),
            ("ack", {"position": -1}, calls.INVALID_PARAMS),
        ):
            assert (await talker.ask(method, params))["error"]["code"] == code, (method, params)
        failed = (await talker.ask("send", {"contact": ben.person, "text": ""}))["error"]
        assert (failed["code"], failed["data"]) == (calls.CODES["UsageError"], {"kind": "UsageError"})


async def test_a_fault_of_the_program_says_nothing_of_what_it_was_about(fake: FakeMessenger) -> None:
    async def broken() -> None:
        raise ValueError("a peer's words")

    fake.me = broken  # type: ignore[method-assign,assignment]
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with talking(fake) as talker:
        said = (await talker.ask("me"))["error"]
        assert said["code"] == calls.INTERNAL_ERROR
        assert "words" not in json.dumps(said)
    assert len(faults) == 1


async def test_a_request_without_an_id_is_done_and_not_answered(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        request = {"jsonrpc": "2.0", "method": "send", "params": {"contact": ben.person, "text": "quiet"}}
        talker.say(json.dumps(request).encode())
        while not await talker.call("history", contact=ben.person):
            pass
        assert talker.others.empty()


async def test_what_was_not_acknowledged_comes_again_in_order(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        await following(talker)
    texts = [fake.receive(ben.person, f"text {number}") for number in range(5)]  # while nobody is there
    sent = [entry.id for entry in texts if entry is not None]
    async with talking(fake) as talker:
        await following(talker)
        events = [await talker.told("EntryAdded") for _ in sent]
        assert ids(events) == sent
        await talker.call("ack", position=events[1]["position"])
        assert await talker.refused("ack", position=events[-1]["position"] + 1) == "UsageError"
    async with talking(fake) as talker:
        await following(talker)
        again = [await talker.told("EntryAdded") for _ in sent[2:]]
        assert ids(again) == sent[2:]
        fake.receive(ben.person, "and on")
        assert (await talker.told("EntryAdded"))["value"]["entry"]["text"] == "and on"
    async with talking(fake) as talker:
        await following(talker, since=again[-2]["position"], live=False)
        assert ids([await talker.told()]) == sent[-1:]
    async with talking(fake) as talker:
        await talker.call("hello", client="echo")
        for since in (0, 99):
            assert await talker.refused("subscribe", since=since) == "UsageError"


async def test_of_two_programs_of_one_name_the_later_one_goes_on(fake: FakeMessenger) -> None:
    """Else each would acknowledge what the other one has not acted on."""
    ben = fake.add_contact("Ben")
    first = Talker()
    serving = asyncio.create_task(session.Session(fake, first.take, program="x").serve(first.all_lines()))
    await following(first)
    fake.receive(ben.person, "one")
    one = (await first.told("EntryAdded"))["position"]
    async with talking(fake) as second:
        assert (await second.call("hello", client="echo"))["acknowledged"] == one - 1
        await first.call("ack", position=one)
        assert await second.call("subscribe") == {"position": one}
        with pytest.raises(NotPermitted):  # at once, though nothing happens
            await asyncio.wait_for(serving, 20)
        fake.receive(ben.person, "two")
        assert (await second.told("EntryAdded"))["value"]["entry"]["text"] == "two"
        assert all("two" not in json.dumps(event) for event in await _rest(first))
        await second.call("ack", position=one + 1)
    assert (await fake.follow("echo")).acknowledged == one + 1


async def test_a_session_that_subscribes_twice_at_once_keeps_its_turn(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        await talker.call("hello", client="echo")
        said = await asyncio.gather(*(talker.ask("subscribe") for _ in range(3)))
        assert sorted("error" in one for one in said) == [False, True, True]
        assert await talker.refused("subscribe") == "UsageError"
        fake.receive(ben.person, "one")
        await talker.call("ack", position=(await talker.told("EntryAdded"))["position"])


async def test_a_position_that_is_none_takes_no_turn(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as first, talking(fake) as second:
        await following(first)
        await second.call("hello", client="echo")
        assert await second.refused("subscribe", since=99) == "UsageError"
        fake.receive(ben.person, "one")
        await first.call("ack", position=(await first.told("EntryAdded"))["position"])


async def test_two_programs_can_use_one_id(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    sent = []
    for name in ("echo", "alerts", "echo", ""):
        async with talking(fake) as talker:
            await talker.call("hello", client=name)
            said = await talker.call(
                "send", contact=ben.person, text=f"of {name}", send_id="1", client="echo"
            )
            sent.append(said["id"])
    assert sent[0] == sent[2]
    assert len(set(sent)) == 3


async def test_a_program_cancels_no_file_of_another_one(fake: FakeMessenger, tmp_path: Path) -> None:
    ben = fake.add_contact("Ben")
    (tmp_path / "a").write_bytes(b"a")
    fake.sealing = asyncio.Event()
    async with talking(fake) as one, talking(fake) as other:
        await one.call("hello", client="one")
        await other.call("hello", client="other")
        file = {"contact": ben.person, "path": str(tmp_path / "a"), "send_id": "1"}
        sending = asyncio.create_task(one.refused("send_file", **file))
        await fake.sealing.wait()
        named = {"contact": ben.person, "send_id": "1"}
        assert await other.refused("cancel_file", client="one", **named) == "UsageError"
        await one.call("cancel_file", **named)
        assert await sending == "ParlourError"


async def test_an_entry_that_changed_meanwhile_comes_as_it_is_now(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        await following(talker)
        known = fake.receive(ben.person, "known")
        event = await talker.told("EntryAdded")
        await talker.call("ack", position=event["position"])
    gone, own = fake.receive(ben.person, "to be deleted"), await fake.send(ben.person, "first")
    assert known is not None
    assert gone is not None
    await fake.delete(ben.person, gone.id)
    await fake.edit(ben.person, own.id, "second")
    await fake.delete(ben.person, known.id)
    async with talking(fake) as talker:
        await following(talker, live=False)
        events = [await talker.told() for _ in range(3)]
        assert [event["event"] for event in events] == ["EntryDeleted", "EntryAdded", "EntryDeleted"]
        assert events[0]["value"] == {
            "contact": ben.person,
            "id": gone.id,
            "deleted_by": "here",
            "expired": False,
        }
        assert events[1]["value"]["entry"]["text"] == "second"
        await fake.edit(ben.person, own.id, "third")
        assert (await talker.told())["event"] == "EntryEdited"


async def test_no_more_is_delivered_than_the_ids_of_answers_are_kept(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        await following(talker, live=False)
        for number in range(WINDOW + 10):
            fake.receive(ben.person, f"text {number}")
        events = [await talker.told() for _ in range(WINDOW)]
        assert await talker.call("me")
        assert talker.events.empty()
        await talker.call("ack", position=events[4]["position"])
        assert [len([await talker.told() for _ in range(5)]), talker.events.qsize()] == [5, 0]
        await talker.call("ack", position=events[-1]["position"])
        assert len([await talker.told() for _ in range(5)]) == 5


async def test_events_without_a_position_come_as_they_happen(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        await following(talker)
        fake.emit(EntryChanged(ben.person, "00" * 32, EntryState.READ))
        event = await talker.told()
        assert event == {
            "event": "EntryChanged",
            "position": None,
            "value": {"contact": ben.person, "id": "00" * 32, "state": "read"},
        }
        fake.emit(Notice(Phrase("The disk is full.")))
        assert (await talker.told())["value"] == {"text": "The disk is full."}
        fake.emit(Closed(Phrase("locked"), locked=True))
        assert (await talker.told())["event"] == "Closed"


async def test_a_program_that_does_not_read_is_left(
    fake: FakeMessenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "WAITING_MAX", 16)
    monkeypatch.setattr(session, "FINISH_WITHIN", 0.05)
    talker = Talker()
    serving = asyncio.create_task(session.Session(fake, talker.take, program="x").serve(talker.all_lines()))
    await following(talker)
    talker.reads.clear()
    for _ in range(40):
        fake.emit(Notice(Phrase("so much")))
    with pytest.raises(ParlourError, match="does not read"):
        await asyncio.wait_for(serving, 20)


async def test_a_program_that_does_not_read_what_it_asked_for_fills_no_memory(
    fake: FakeMessenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "WAITING_BYTES_MAX", 50_000)
    ben = fake.add_contact("Ben")
    fake.receive(ben.person, "x" * 10_000)
    talker = Talker()
    serving = asyncio.create_task(session.Session(fake, talker.take, program="x").serve(talker.all_lines()))
    await talker.call("me")
    talker.reads.clear()
    asked = [asyncio.create_task(talker.call("history", contact=ben.person)) for _ in range(200)]
    answered = 0
    while len(fake.calls) > answered:  # until nothing more happens
        answered = len(fake.calls)
        for _ in range(100):
            await asyncio.sleep(0)
    assert answered < 10
    talker.reads.set()
    assert all(len(page) == 1 for page in await asyncio.wait_for(asyncio.gather(*asked), 20))
    talker.lines.put_nowait(None)
    await asyncio.wait_for(serving, 20)


@pytest.mark.parametrize("limit", [-1, 0, session.LIMIT_MAX + 1, 1 << 63, 1 << 200])
async def test_an_answer_has_a_bounded_number_of_entries(fake: FakeMessenger, limit: int) -> None:
    ben = fake.add_contact("Ben")
    async with talking(fake) as talker:
        assert await talker.refused("history", contact=ben.person, limit=limit) == "UsageError"
        assert await talker.refused("search", words="x", limit=limit) == "UsageError"
    assert {call.method for call in fake.calls}.isdisjoint(session.PAGES)


# --- Tokens ---


async def test_without_a_token_nothing_is_done_where_one_is_required(fake: FakeMessenger) -> None:
    async with talking(fake, token_required=True) as talker:
        assert await talker.refused("me") == "NotPermitted"
        assert await talker.refused("subscribe") == "NotPermitted"
        for hello in ({"client": "echo"}, {"token": "guessed"}, {}):
            assert await talker.refused("hello", **hello) == "NotPermitted"
        assert await talker.refused("contacts") == "NotPermitted"
    assert await fake.clients() == ()


@in_virtual_time
async def test_a_program_without_a_token_leaves_its_place_to_others() -> None:
    fake = FakeMessenger()
    made = await fake.permit("program", ClientRights.READ)
    for token in ("", "guessed", made.token):
        talker = Talker()
        serving = asyncio.create_task(
            session.Session(fake, talker.take, program="x", token_required=True).serve(talker.all_lines())
        )
        await talker.ask("hello", {"token": token})
        await asyncio.sleep(session.HELLO_WITHIN + 1)
        assert serving.done() is (token != made.token)
        talker.lines.put_nowait(None)
        await serving


async def test_the_name_of_a_program_with_a_token_is_no_way_around_it(fake: FakeMessenger) -> None:
    await fake.permit("alerts", ClientRights.SEND)
    async with talking(fake) as talker:
        assert await talker.refused("hello", client="alerts") == "NotPermitted"
        assert await talker.call("me")


@pytest.mark.parametrize("rights", ClientRights)
async def test_a_token_allows_what_its_rights_say_and_nothing_else(
    fake: FakeMessenger, rights: ClientRights
) -> None:
    ben, cleo = fake.add_contact("Ben"), fake.add_contact("Cleo")
    heard = fake.receive(cleo.person, "for Ann alone")
    assert heard is not None
    arguments = arguments_of(FakeAround(fake, ben.person).subject(fake), heard.id)
    made = await fake.permit("program", rights, ben.person)
    asked = len(fake.calls)
    async with talking(fake, token_required=True) as talker:
        greeting = await talker.call("hello", token=made.token)
        assert (greeting["client"], greeting["rights"]) == ("program", rights.value)
        assert greeting["contact"] == ben.person
        for name in calls.METHODS.keys() - MAY[rights]:
            assert await talker.refused(name) == "NotPermitted", name
        for name in MAY[rights] - calls.OWN.keys():
            fields = calls.METHODS[name].params.__struct_fields__
            given = {
                one: calls.plain(arguments[one]) for one in fields if one in arguments.keys() - {"after"}
            }
            if "contact" in fields:
                assert await talker.refused(name, **{**given, "contact": cleo.person}) == "NotPermitted", name
                if name in ("declare_bot", "withdraw_bot"):  # to all contacts
                    del given["contact"]
                    assert await talker.refused(name, **given) == "NotPermitted"
                if name == "search":
                    assert await talker.refused(name, words="Ann") == "NotPermitted"
            else:
                shown = json.dumps(await talker.call(name, **given))
                assert cleo.person not in shown, name
                assert "for Ann alone" not in shown, name
    assert {call.method for call in fake.calls[asked:]} <= MAY[rights] | {"client_of"}


async def test_a_token_for_one_conversation_hears_of_no_other(fake: FakeMessenger) -> None:
    ben, cleo = fake.add_contact("Ben"), fake.add_contact("Cleo")
    made = await fake.permit("program", ClientRights.READ, ben.person)
    async with talking(fake, token_required=True) as talker:
        await talker.call("hello", token=made.token)
        await talker.call("subscribe")
        for one in (cleo, ben):
            fake.emit(ContactChanged(one))
            fake.emit(EntryChanged(one.person, "00" * 32, EntryState.READ))
            fake.emit(Notice(Phrase("The disk is full.")))
            fake.receive(one.person, f"from {one.name}")
        found: list[Line] = []
        while not any(event["event"] == "EntryAdded" for event in found):
            found.append(await talker.told())
        assert {event["event"] for event in found} <= {"ContactChanged", "EntryChanged", "EntryAdded"}
        assert cleo.person not in json.dumps(found)
        await talker.call("ack", position=found[-1]["position"])
    assert (await fake.follow("program")).acknowledged == 2


async def test_a_contact_that_changes_names_no_other_one_to_a_program_for_it_alone(
    fake: FakeMessenger,
) -> None:
    cleo = fake.add_contact("Cleo")
    ben = fake.add_contact("Ben", same_key=(cleo.person,))
    made = await fake.permit("program", ClientRights.READ, ben.person)
    async with talking(fake, token_required=True) as talker:
        await talker.call("hello", token=made.token)
        await talker.call("subscribe")
        fake.emit(ContactChanged(ben))
        assert cleo.person not in json.dumps(await talker.told("ContactChanged"))


@pytest.mark.parametrize("words", ["from:Cl", "in:Cleo", "x from:me", "\uff46rom:x from:C"])
async def test_a_search_in_one_conversation_does_not_ask_who_the_contacts_are(
    fake: FakeMessenger, words: str
) -> None:
    """Whether a name is known is an error or none, and the beginning of a name is enough."""
    ben, _ = fake.add_contact("Ben"), fake.add_contact("Cleo")
    made = await fake.permit("program", ClientRights.READ, ben.person)
    whole = await fake.permit("other", ClientRights.READ)
    async with talking(fake, token_required=True) as talker:
        await talker.call("hello", token=made.token)
        assert await talker.refused("search", words=words, contact=ben.person) == "NotPermitted"
        assert await talker.call("search", words="x", contact=ben.person) == []
    async with talking(fake, token_required=True) as talker:
        await talker.call("hello", token=whole.token)
        assert await talker.call("search", words="in:Cleo x") == []


async def test_a_program_that_only_sends_does_not_read_what_became_of_it(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    made = await fake.permit("program", ClientRights.SEND, ben.person)
    async with talking(fake, token_required=True) as talker:
        await talker.call("hello", token=made.token)
        sent = await talker.call("send", contact=ben.person, text="alert", send_id="1")
        await fake.edit(ben.person, sent["id"], "written by Ann")
        again = await talker.call("send", contact=ben.person, text="alert", send_id="1")
        assert again["id"] == sent["id"]
        assert (again["text"], again["edited"], again["change"]) == ("", False, "")


async def test_what_comes_elsewhere_waits_for_no_program_that_may_not_see_it(fake: FakeMessenger) -> None:
    ben, cleo = fake.add_contact("Ben"), fake.add_contact("Cleo")
    made = await fake.permit("program", ClientRights.READ, ben.person)
    fake.receive(cleo.person, "for Ann alone")
    async with talking(fake, token_required=True) as talker:
        await talker.call("hello", token=made.token)
        await talker.call("subscribe", live=False)
        while not (await fake.follow("program")).acknowledged:
            await talker.call("latest")
    assert (await fake.follow("program")).acknowledged == 1


async def test_a_revoked_token_ends_what_it_allowed_at_once(fake: FakeMessenger) -> None:
    ben = fake.add_contact("Ben")
    made = await fake.permit("program", ClientRights.ALL, ben.person)
    talker = Talker()
    serving = asyncio.create_task(
        session.Session(fake, talker.take, program="x", token_required=True).serve(talker.all_lines())
    )
    await talker.call("hello", token=made.token)
    await talker.call("subscribe")
    async with talking(fake, token_required=True) as other:
        await other.call("hello", token=made.token)
        await fake.forget_client("program")
        assert await other.refused("history", contact=ben.person) == "NotPermitted"
    with pytest.raises(NotPermitted):  # at once, though nothing happens
        await asyncio.wait_for(serving, 20)
    fake.receive(ben.person, "later")
    assert all("later" not in json.dumps(event) for event in await _rest(talker))


async def _rest(talker: Talker) -> list[Line]:
    return [talker.events.get_nowait() for _ in range(talker.events.qsize())]


async def test_the_end_of_the_socket_ends_its_sessions_without_a_fault(
    fake: FakeMessenger, tmp_path: Path
) -> None:
    """Python 3.11 reports the end of a connection's task as a fault of the program."""
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    made, listens = await fake.permit("program", ClientRights.ALL), asyncio.Event()
    path = tmp_path / "api.sock"
    serving = asyncio.create_task(serve_socket(fake, path, listens.set, lambda _: None))
    await listens.wait()
    reader, writer = await asyncio.open_unix_connection(path)
    hello = {"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"token": made.token}}
    writer.write(json.dumps(hello).encode() + b"\n")
    await reader.readline()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    sessions = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
    for one in sessions:
        one.cancel()
    await asyncio.gather(*sessions, return_exceptions=True)
    assert await reader.read() == b""
    writer.close()
    assert faults == []


def live_datagram(path: Path) -> list[socket.socket]:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    return [made]


def full_stream(path: Path) -> list[socket.socket]:
    made = [socket.socket(socket.AF_UNIX)]
    made[0].bind(str(path))
    made[0].listen(0)
    with suppress(BlockingIOError):
        while True:
            made.append(socket.socket(socket.AF_UNIX))
            made[-1].setblocking(False)
            made[-1].connect(str(path))
    return made


@pytest.mark.parametrize("live", [live_datagram, full_stream])
async def test_the_live_socket_of_another_program_is_left_alone(
    fake: FakeMessenger, tmp_path: Path, live: Callable[[Path], list[socket.socket]]
) -> None:
    path = tmp_path / "api.sock"
    others = live(path)
    before = path.stat().st_ino
    with pytest.raises(CannotCreate, match="Another program listens"):
        await asyncio.wait_for(serve_socket(fake, path, lambda: None, lambda _: None), 20)
    assert path.stat().st_ino == before
    for other in others:
        other.close()


async def test_the_socket_of_an_ended_program_is_replaced(fake: FakeMessenger, tmp_path: Path) -> None:
    path, listens = tmp_path / "api.sock", asyncio.Event()
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(path))
        ended.listen()
    serving = asyncio.create_task(serve_socket(fake, path, listens.set, lambda _: None))
    await asyncio.wait_for(listens.wait(), 20)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
