"""The list of people draws the rows that changed, and what is on the screen is what all rows would be."""

from __future__ import annotations

import random
from typing import ClassVar

from msgspec.structs import replace
from textual.app import App, ComposeResult

from tests.support.fakes.messenger import FakeMessenger
from tui.widgets.people import People


class Listed(App[None]):
    CSS: ClassVar[str] = (
        "People > .people--cursor {background: red;} People > .people--unread {color: green;}"
    )

    def compose(self) -> ComposeResult:
        yield People()


async def test_what_is_drawn_of_changes_is_what_drawing_everything_draws() -> None:
    chance, messenger = random.Random(20261201), FakeMessenger()
    views = [messenger.add_contact(f"Contact {number}") for number in range(9)]
    said = {view.person: "hello" for view in views}
    async with Listed().run_test(size=(30, 12)) as pilot:
        people, screen = pilot.app.query_one(People), pilot.app.screen
        for _ in range(60):
            at = chance.randrange(len(views))
            match chance.randrange(8):
                case 0:
                    views[at] = replace(views[at], unread=chance.randrange(3), typing=chance.random() < 0.5)
                case 1:
                    views[at] = replace(views[at], present=not views[at].present)
                case 2:
                    views.insert(0, views.pop(at))
                case 3:
                    people.scroll_to(y=chance.randrange(12), animate=False, force=True)
                case 4:
                    people.action_move(chance.choice((-1, 1)))
                case 5:
                    (people.focus if chance.random() < 0.5 else people.blur)()
                case _:
                    said[views[at].person] = chance.choice(("hello", "another line", ""))
            held = chance.choice((views, views, views[:2], views[:8], [*views[:7], views[8]]))
            people.show(held, (), chance.choice(held).person if chance.random() < 0.2 else None, said)
            await pilot.pause()
            await pilot.pause()
            drawn = [list(strip) for strip in screen._compositor.render_strips()]
            people.refresh()
            assert drawn == [list(strip) for strip in screen._compositor.render_strips()]


async def test_only_what_changed_is_drawn() -> None:
    messenger = FakeMessenger()
    views = [messenger.add_contact(name) for name in ("Bob", "Carla", "Dora")]
    said = {view.person: "hello" for view in views}
    async with Listed().run_test(size=(30, 12)) as pilot:
        people = pilot.app.query_one(People)
        people.show(views, (), None, said)
        await pilot.pause()
        people._dirty_regions.clear()
        people.show(views, (), None, {**said, views[1].person: "good morning"})
        assert [region.y for region in people._dirty_regions] == [4]


async def test_the_cursor_is_drawn_where_it_goes_when_its_contact_is_gone() -> None:
    messenger = FakeMessenger()
    bob, carla, dora = (messenger.add_contact(name) for name in ("Bob", "Carla", "Dora"))
    async with Listed().run_test(size=(30, 12)) as pilot:
        people, compositor = pilot.app.query_one(People), pilot.app.screen._compositor
        people.show([bob, carla], (), None)
        people.focus()
        people.point_at(carla.person)
        await pilot.pause()
        compositor.render_strips()
        people.show([bob, dora], (), None)
        assert people.cursor == bob.person
        drawn = [list(strip) for strip in compositor.render_strips()]
        people.refresh()
        assert drawn == [list(strip) for strip in compositor.render_strips()]
