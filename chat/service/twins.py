"""Terminals whose keys two programs use at one time: who may have been copied hears of it (SPEC §6.5)."""

from __future__ import annotations

from chat.errors import phrase
from chat.interface import AlertKind, Notice
from chat.network.links import Links, RunsTwice, ToldTwice
from chat.service.alerts import Alerts
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.views import ID_DIGITS, Views
from chat.storage.alerts import AlertRow
from chat.tasks import Runtime


class Twins:
    """Tells the programs, and this person, of such a terminal of a contact or of this person."""

    def __init__(
        self, runtime: Runtime, bus: EventBus, keyring: Keyring, links: Links, views: Views, alerts: Alerts
    ) -> None:
        self._runtime, self._bus, self._keyring = runtime, bus, keyring
        self._links, self._views, self._alerts = links, views, alerts

    def found(self, signal: RunsTwice) -> None:
        """Two programs have links with this terminal at one time."""
        self._runtime.tasks.spawn(self._links.close_twins(signal.peer))
        person, static = signal.peer
        if person == self._keyring.own.person:
            row = AlertRow(AlertKind.OTHER_TWICE, self._runtime.clock.wall())
            self._runtime.tasks.spawn(self._alerts.add(row))
            terminals = self._keyring.own_log.terminals()
            names = (one.name or f"{one.id.hex()[:ID_DIGITS]}…" for one in terminals if one.static == static)
            name = next(names, "")
            text = phrase("Your device {device} runs twice. It may have been copied.", device=name)
        else:
            text = phrase(
                "A device of {name} runs twice. It may have been copied: tell {name} in person.",
                name=self._views.name(person),
            )
        self._bus.publish(Notice(text))

    def told(self, signal: ToldTwice) -> None:
        """A terminal says that it found this one so."""
        del signal
        self._alerts.said_twice()
