"""The people around a fake, played by hand: `tests.contract`'s `Around`."""

from __future__ import annotations

from dataclasses import dataclass

from chat.interface import AlertKind, LinkingStage, Messenger, OwnChange, QuestionView
from tests.contract.subject import CLEO, FOLLOWING, Subject
from tests.support.fakes.messenger import FakeMessenger
from tests.support.fakes.others import INVITATION, alert

PASSPHRASE = "correct horse"


@dataclass(frozen=True)
class FakeAround:
    """What the test does in the fake where other engines act in the engine's contract."""

    fake: FakeMessenger
    friend: str

    async def hear(self, text: str, reply: str) -> str:
        entry = self.fake.receive(self.friend, text, reply=reply)
        assert entry is not None
        return entry.id

    async def leave(self) -> None:
        self.fake.change_contact(self.friend, present=False)

    async def come(self) -> None:
        self.fake.change_contact(self.friend, present=True)

    async def types(self, on: bool) -> None:
        self.fake.change_contact(self.friend, typing=on)

    async def recover(self) -> None:
        self.fake.change_identity(self.friend, "used the recovery key", holds=True)

    async def add_own(self) -> None:
        self.fake.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))

    async def alarm(self) -> None:
        self.fake.alarm(alert(AlertKind.TWO_COPIES))

    async def rename_me(self) -> None:
        self.fake.change_own_log("renamed")

    async def in_parts(self, text: str) -> None:
        self.fake.complete(self.fake.receive_alone(self.friend), text)

    async def grow_old(self) -> None:
        self.fake.grow_old()

    async def twice(self) -> None:
        self.fake.conflict(self.friend)

    async def late(self, text: str) -> None:
        following = [self.fake.receive(self.friend, FOLLOWING) for _ in range(3)]
        self.fake.receive(self.friend, text)
        for entry in filter(None, following):
            self.fake.move(self.friend, entry.id)

    async def cut_off(self, text: str) -> None:
        self.fake.receive(self.friend, text)
        self.fake.leave_out(self.friend)

    async def appear(self) -> None:
        self.fake.see_stranger(CLEO)

    async def begin(self) -> None:
        self.fake.stranger_begins(CLEO)

    async def use(self, invitation: str) -> None:
        self.fake.use_invitation(invitation, CLEO)

    async def invite(self) -> str:
        self.fake.inviter = CLEO
        return f"{INVITATION}1"

    async def confirm(self) -> None:
        """She said so before this person did."""

    async def link(self) -> None:
        self.fake.device_begins("laptop")

    async def linked(self) -> None:
        self.fake.move_linking(LinkingStage.DONE)

    def subject(self, client: Messenger) -> Subject:
        return Subject(client, self.friend, PASSPHRASE, self.hear, self)
