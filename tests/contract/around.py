"""What every `Messenger` reports of the contact and of a stranger, whom the subject's `around` plays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from msgspec.structs import replace

from chat.interface import (
    AlertKind,
    AlertsChanged,
    ContactChanged,
    ContactView,
    DeletionScope,
    EntriesConflict,
    EntriesKept,
    EntriesMarked,
    EntriesMoved,
    EntryAdded,
    EntryFilled,
    EntryReturned,
    EntryState,
    Event,
    IdentityChanged,
    InvitationUsed,
    LinkingChanged,
    LinkingStage,
    LinkingView,
    Messenger,
    NearbyChanged,
    OwnChange,
    OwnLogChanged,
    PairingChanged,
    PairingStage,
    PairingView,
    ParlourError,
    QuestionsChanged,
    TerminalState,
    Unconfirmed,
    UsageError,
    VisibilityChanged,
)
from tests.contract.subject import CLEO, FOLLOWING, Subject, contact, is_delivered, listening, told, until


class AroundContract:
    """The tests. A subclass adds the fixture `subject`."""

    async def test_who_is_there_and_who_types_is_told_and_what_waited_goes(self, subject: Subject) -> None:
        events = await listening(subject)
        await subject.around.types(True)
        assert (await _friend(events, subject, lambda view: view.typing)).present
        await subject.around.types(False)
        await _friend(events, subject, lambda view: not view.typing)
        await subject.around.leave()
        await _friend(events, subject, lambda view: not view.present)
        assert not (await contact(subject)).present
        sent = await subject.messenger.send(subject.friend, "for later")
        assert sent.state is EntryState.QUEUED
        given_up = await subject.messenger.send(subject.friend, "not for later")
        gone = await subject.messenger.delete(subject.friend, given_up.id, DeletionScope.MINE)
        assert (gone.kind, gone.state) == ("deleted", EntryState.WITHDRAWN)
        await subject.around.come()
        await until(events, lambda event: is_delivered(event, sent.id))

    async def test_what_a_contact_says_is_unread_until_one_has_seen_it(self, subject: Subject) -> None:
        events = await listening(subject)
        heard = await subject.hear("Hello", "")
        added = await told(events, EntryAdded, lambda event: not event.entry.own)
        assert (added.entry.id, added.entry.contact) == (heard, subject.friend)
        assert (added.entry.author, added.entry.state) == ((await contact(subject)).name, EntryState.RECEIVED)
        await _friend(events, subject, lambda view: view.unread == 1)
        await subject.messenger.mark_read(subject.friend, (heard,))
        await _friend(events, subject, lambda view: view.unread == 0)

    async def test_what_comes_without_its_content_is_missing_until_that_comes(self, subject: Subject) -> None:
        events = await listening(subject)
        await subject.around.in_parts("Hello")
        added = (await told(events, EntryAdded)).entry
        assert (added.kind, added.text) == ("missing", "")
        filled = (await told(events, EntryFilled)).entry
        assert (filled.id, filled.kind, filled.text) == (added.id, "text", "Hello")
        await _friend(events, subject, lambda view: view.unread == 1)
        assert (await subject.messenger.history(subject.friend))[-1] == filled
        assert await subject.messenger.first_unread(subject.friend) == filled.id

    async def test_what_is_not_kept_here_is_told_and_comes_back_when_it_is_kept_again(
        self, subject: Subject
    ) -> None:
        messenger, friend, events = subject.messenger, subject.friend, await listening(subject)
        heard = await subject.hear("long ago", "")
        await messenger.mark_read(friend, (heard,))
        begun = await messenger.add_terminal()
        await subject.around.link()
        await _linking(events, LinkingStage.WORDS)
        await messenger.answer_linking(begun.id, True)
        await subject.around.linked()
        laptop = (await _linking(events, LinkingStage.DONE)).terminal
        await subject.around.grow_old()
        await messenger.choose_keeper(laptop)
        await messenger.keep(1)
        assert (await told(events, EntriesKept)).contact == friend
        view = await messenger.entry(friend, heard)
        assert view is not None
        assert (view.kind, view.text, view.kept_on) == ("elsewhere", "", "laptop")
        assert (await messenger.retention()).elsewhere == 1
        await messenger.keep(0)
        back = (await told(events, EntryReturned)).entry
        assert (back.id, back.kind, back.text) == (heard, "text", "long ago")
        assert ((await contact(subject)).unread, await messenger.history(friend)) == (0, (back,))

    async def test_two_entries_of_one_place_are_told_and_marked(self, subject: Subject) -> None:
        events = await listening(subject)
        await subject.around.twice()
        conflict = await told(events, EntriesConflict)
        held = {view.id: view for view in await subject.messenger.history(subject.friend)}
        assert len(conflict.ids) == 2
        assert {name for name, view in held.items() if view.conflicting} == set(conflict.ids)
        for one, other in (conflict.ids, conflict.ids[::-1]):
            details = await subject.messenger.details(subject.friend, one)
            assert (details.terminal, details.conflicts) == (conflict.terminal, (other,))

    async def test_it_is_told_when_many_entries_move_behind_one_that_came_late(
        self, subject: Subject
    ) -> None:
        events = await listening(subject)
        await subject.around.late("the first of all")
        assert (await told(events, EntriesMoved)).contact == subject.friend
        first, *others = await subject.messenger.history(subject.friend)
        assert first.text == "the first of all"
        assert {view.text for view in others} == {FOLLOWING}

    async def test_case_88_it_is_told_when_what_was_shown_is_left_out(self, subject: Subject) -> None:
        events = await listening(subject)
        await subject.around.cut_off("written by a thief")
        added = (await told(events, EntryAdded)).entry
        assert (added.text, added.quarantined) == ("written by a thief", False)
        assert (await told(events, EntriesMarked)).contact == subject.friend
        assert (await subject.messenger.entry(subject.friend, added.id)) == replace(added, quarantined=True)
        assert (await subject.messenger.details(subject.friend, added.id)).quarantined

    async def test_a_recovered_identity_is_told_with_its_cause_and_held(self, subject: Subject) -> None:
        (before,) = (await subject.messenger.verification(subject.friend)).numbers
        await subject.messenger.verify(subject.friend, before)
        events = await listening(subject)
        await subject.around.recover()
        changed = await told(events, IdentityChanged)
        assert changed.person == subject.friend
        assert "recovery key" in changed.cause
        held = await _friend(events, subject, lambda view: view.held)
        assert not held.verified
        await subject.messenger.unverify(subject.friend)
        assert (await contact(subject)).held
        (after,) = (await subject.messenger.verification(subject.friend)).numbers
        await subject.messenger.verify(subject.friend, after)
        assert not (await contact(subject)).held

    async def test_what_happened_to_the_profile_is_an_alert_until_it_is_dismissed(
        self, subject: Subject
    ) -> None:
        messenger, events = subject.messenger, await listening(subject)
        assert await messenger.alerts() == ()
        await subject.around.alarm()
        (alert,) = (await told(events, AlertsChanged)).alerts
        assert await messenger.alerts() == (alert,)
        assert alert.kind is AlertKind.TWO_COPIES
        assert "another copy" in alert.text.lower()
        await messenger.dismiss_alerts()
        assert (await told(events, AlertsChanged)).alerts == await messenger.alerts() == ()

    async def test_a_change_of_the_own_identity_is_asked_about_and_told(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        await subject.around.add_own()
        (question,) = (await told(events, QuestionsChanged)).questions
        assert await messenger.questions() == (question,)
        assert question.change is OwnChange.ADDED
        with pytest.raises(Unconfirmed):
            await messenger.verification(subject.friend)
        await messenger.confirm_own(question.operation)
        assert (await told(events, QuestionsChanged)).questions == ()
        await messenger.verification(subject.friend)

    async def test_a_change_of_the_own_log_is_told_with_its_operation(self, subject: Subject) -> None:
        events = await listening(subject)
        await subject.around.rename_me()
        changed = await told(events, OwnLogChanged)
        assert (changed.kind, len(changed.operation)) == ("renamed", 64)
        assert changed.cause == "The name that your contacts see was changed"

    async def test_a_stranger_is_paired_with_by_words(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        await messenger.set_visible(True)
        await subject.around.appear()
        seen = await told(events, NearbyChanged, lambda event: [view.name for view in event.nearby] == [CLEO])
        assert await messenger.nearby() == seen.nearby
        begun = await messenger.pair_nearby(seen.nearby[0].instance)
        assert not begun.incoming
        words = await _stage(events, PairingStage.WORDS)
        assert (words.id, words.peer, len(words.words)) == (begun.id, CLEO, 5)
        await messenger.answer_pairing(begun.id, True)
        await _stage(events, PairingStage.WAITING)
        await subject.around.confirm()
        done = await _stage(events, PairingStage.DONE)
        assert done.words == words.words
        assert (await _known(messenger, done)).verified
        await until(events, lambda event: event == VisibilityChanged(False))
        assert await messenger.nearby() == ()
        with pytest.raises(ParlourError):
            await messenger.answer_pairing(begun.id, True)

    async def test_a_stranger_begins_and_is_refused(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        await messenger.set_visible(True)
        await subject.around.begin()
        words = await _stage(events, PairingStage.WORDS)
        assert words.incoming
        assert (words.peer, len(words.words)) == (CLEO, 5)
        await messenger.answer_pairing(words.id, False)
        assert (await _stage(events, PairingStage.FAILED)).problem
        assert [view.person for view in await messenger.contacts()] == [subject.friend]

    async def test_an_invitation_brings_somebody_whom_one_is_asked_about(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        invitation = await messenger.invite()
        await subject.around.use(invitation.text)
        joiner = await _stage(events, PairingStage.JOINER)
        assert (joiner.incoming, joiner.peer, joiner.words) == (True, CLEO, ())
        await messenger.answer_pairing(joiner.id, True)
        done = await _stage(events, PairingStage.DONE)
        assert not (await _known(messenger, done)).verified
        await until(events, lambda event: event == InvitationUsed(invitation.text, done.contact))

    async def test_one_joins_by_an_invitation_and_learns_whose_it_was(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        begun = await messenger.join(await subject.around.invite())
        assert not begun.incoming
        assert (await _stage(events, PairingStage.WAITING)).id == begun.id
        done = await _stage(events, PairingStage.DONE)
        assert not (await _known(messenger, done)).verified

    async def test_a_new_device_is_added_by_words_and_removed(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        begun = await messenger.add_terminal()
        assert begun.stage is LinkingStage.VISIBLE
        await subject.around.link()
        words = await _linking(events, LinkingStage.WORDS)
        assert (words.id, words.name, len(words.words)) == (begun.id, "laptop", 5)
        await messenger.answer_linking(begun.id, True)
        await _linking(events, LinkingStage.WAITING)
        with pytest.raises(UsageError):
            await messenger.answer_linking(begun.id, True)
        await subject.around.linked()
        done = await _linking(events, LinkingStage.DONE)
        views = {view.terminal: view for view in await messenger.terminals()}
        added = views[done.terminal]
        assert (added.name, added.state, added.this) == ("laptop", TerminalState.LIVE, False)
        assert views[added.added_by].this
        await messenger.remove_terminal(done.terminal)
        (gone,) = [view for view in await messenger.terminals() if view.terminal == done.terminal]
        assert gone.state is TerminalState.REMOVED
        with pytest.raises(UsageError):
            await messenger.remove_terminal(done.terminal)

    async def test_no_device_is_added_where_the_words_differ_or_one_stops(self, subject: Subject) -> None:
        messenger, events = subject.messenger, await listening(subject)
        before = await messenger.terminals()
        begun = await messenger.add_terminal()
        await subject.around.link()
        await _linking(events, LinkingStage.WORDS)
        await messenger.answer_linking(begun.id, False)
        assert (await _linking(events, LinkingStage.FAILED)).problem
        await messenger.add_terminal()
        await messenger.stop_adding()
        stopped = await _linking(events, LinkingStage.FAILED)
        assert stopped.id != begun.id
        assert await messenger.terminals() == before


async def _linking(events: AsyncIterator[Event], stage: LinkingStage) -> LinkingView:
    return (await told(events, LinkingChanged, lambda event: event.linking.stage is stage)).linking


async def _friend(
    events: AsyncIterator[Event], subject: Subject, holds: Callable[[ContactView], bool]
) -> ContactView:
    def concerns(event: ContactChanged) -> bool:
        return event.contact.person == subject.friend and holds(event.contact)

    return (await told(events, ContactChanged, concerns)).contact


async def _stage(events: AsyncIterator[Event], stage: PairingStage) -> PairingView:
    return (await told(events, PairingChanged, lambda event: event.pairing.stage is stage)).pairing


async def _known(messenger: Messenger, done: PairingView) -> ContactView:
    """The contact that a pairing made."""
    views = {view.person: view for view in await messenger.contacts()}
    assert views[done.contact].name == done.peer == CLEO
    return views[done.contact]
