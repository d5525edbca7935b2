"""Structs and data classes are frozen unless they are listed, and have slots; bounds have their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import pytest

from protocol.profile_header import Cost
from tests.architecture.classes import Class, Classes
from tests.architecture.imports import ROOT
from tests.architecture.modules import modules

FOLDERS: Final = ("protocol", "chat/storage", "chat/network", "chat/service")


def _keywords(one: Class) -> dict[str, str]:
    """The keywords of a dataclass or Struct, as the source has them."""
    calls = [node for node in one.node.decorator_list if isinstance(node, ast.Call)]
    keywords = [*one.node.keywords, *(keyword for call in calls for keyword in call.keywords)]
    return {keyword.arg or "": ast.unparse(keyword.value) for keyword in keywords}


CHANGED: Final = {
    "chat.network.backoff.Backoff",
    "chat.network.backoff.Pauses",
    "chat.network.limits.Bucket",
    "chat.network.links.LiveLink",
    "chat.network.mdns_browser._Instance",
    "chat.service.alerts.Keeper",
    "chat.service.files._Sealing",
    "chat.service.keyring.ContactKeys",
    "chat.service.keyring.OpenInvitation",
    "chat.service.moving._Move",
    "chat.service.person_logs.Intake",
    "chat.service.sync._Worker",
    "chat.service.transfers._End",
    "chat.service.transfers._Serving",
    "chat.service.transfers._Taking",
    "chat.storage.salvage.Saved",
}
"""Structs and data classes to whose fields something assigns. All others are frozen."""


def _faults() -> Iterator[str]:
    classes = Classes.of(modules(ROOT, FOLDERS))
    for one in classes.all:
        order = classes.order(one)
        keywords = [_keywords(each) for each in order]
        name = f"{one.module}.{one.name}"
        if "Struct" in classes.foreign_bases(one):
            # What a class does not say holds as its bases say it.
            frozen = next((each["frozen"] for each in keywords if "frozen" in each), "False")
        elif one.is_data and one.node.decorator_list:
            frozen = keywords[0].get("frozen", "False")
            if keywords[0].get("slots") != "True":
                yield f"{name} has no slots"
        else:
            continue
        if (frozen != "True") != (name in CHANGED):
            yield f"{name} is not frozen, or listed as if it was not"


def test_data_classes_have_slots_and_are_frozen_unless_they_are_listed() -> None:
    assert list(_faults()) == []


def _marked(one: Class) -> bool:
    """Whether a field of it is marked as one that no repr shows."""
    fields = (node for node in one.node.body if isinstance(node, ast.AnnAssign))
    return any("Redacted" in ast.unparse(field.annotation) for field in fields)


def test_what_is_marked_as_redacted_is_in_classes_that_redact() -> None:
    """In others the mark does nothing, nor does it anywhere but at the beginning of the type."""
    classes = Classes.of(modules(ROOT, ("protocol", "chat", "tui")))
    marked = [one for one in classes.all if _marked(one)]
    assert len(marked) > 30
    for one in marked:
        assert "Redacting" in {each.name for each in classes.order(one)}, one.name
        types = [ast.unparse(node.annotation) for node in one.node.body if isinstance(node, ast.AnnAssign)]
        assert all(kind.startswith("Redacted[") for kind in types if "Redacted" in kind), one.name


# Bounds and batches that the SPEC does not have. Each value is a decision: change it here too.
VALUES: Final[Mapping[str, Mapping[str, Any]]] = {
    "protocol.addresses": {"TEXT_MAX": 80},
    "protocol.discovery": {"ADDRESSES_MAX": 8, "TEXT_MAX": 1_400, "SLOT_COUNTS": (32, 64, 128)},
    "protocol.hotpath": {"_COPIED_MAX": 2 * 4_096, "_TAKERS_MAX": 1_024},
    "protocol.profile_header": {
        "HEADER_BYTES_MAX": 1_024,
        "MODERATE": Cost(3, 1 << 28),
        "CHEAPEST": Cost(1, 1 << 23),
    },
    "chat.storage.amendments": {"IN_FORCE": 0, "DUE": 1, "WAITING": 2, "APART": 3},
    "chat.storage.contacts": {"TWO": 1, "NOTES": 3},
    "chat.storage.entries": {
        "BEGINNING": (-(1 << 63), b""),
        "END": ((1 << 63) - 1, b""),
        "WHOLE": (0, (1 << 63) - 1),
        "RIVALS_NAMED": 16,
        "_IDS_MAX": 256,
        "PERIODS": {"\ue000p": 0, "\ue000q": 4, "\ue000r": 8},
        "PERIODS_BEGIN": 1_577_836_800_000,
        "PERIOD": 691_200_000,
        "PERIOD_LAST": 4_095,
    },
    "chat.platforms.files": {"PRIVATE_MODE": 0o600},
    "chat.storage.folder": {"_FOLDER_MODE": 0o700},
    "chat.storage.migrations": {"_CHUNK": 1_000},
    "chat.storage.ordering": {"PIECE": 64},
    "chat.storage.persons": {"KEPT": 16},
    "chat.storage.receipts": {"FEW_UNREAD": 16_384, "_IDS_MAX": 256},
    "chat.storage.search": {"TERMS_MAX": 32},
    "chat.storage.unused_space": {"_LOCK_PAGE": 262_145, "_STEP_PAGES": 1_024, "_STEP_OPENED": 128},
    "chat.network.backoff": {"STUMBLES_FREE": 3},
    "chat.network.connection": {
        "UNKNOWN_MAX": 1 << 16,
        "UNREAD_MAX": 1 << 18,
        "UNREAD_LOW": 1 << 16,
        "READ_MAX": 1 << 19,
    },
    "chat.network.connector": {"PLACES_AT_ONCE": 16},
    "chat.network.driver": {"UNSENT_MAX": 1 << 20, "QUEUED_MAX": 4_096},
    "chat.network.limits": {"WAITING_MAX": 256},
    "chat.network.links": {"REPLACED": 1, "RELAYED_MOST": 8},
    "chat.network.mdns": {"ANSWER_WITHIN": 3_000, "_OWN_MAX": 64},
    "chat.network.mdns_browser": {
        "KNOWN_MAX": 256,
        "HOST_ADDRESSES_MAX": 16,
        "PACKET_MAX": 4_096,
        "SENDERS_MAX": 1_024,
        "QUESTIONS_KEPT": 64,
        "AT_ONCE": 8,
        "WAITING_MAX": 128,
        "ATTEMPTS": 4,
    },
    "chat.network.netlink": {"_READ": 1 << 18, "_INTERRUPTED": 0x10},
    "chat.network.relay.client": {"_SEEN_MAX": 256, "TOKEN_COUNTS": (8, 16, 32, 64, 128), "LINES_AT_ONCE": 4},
    "chat.network.transport": {
        "ADDRESSES_MAX": 8,
        "ACCEPTED_MAX": 256,
        "ACCEPTED_FROM_ONE": 16,
        "UNACKNOWLEDGED_MAX": 30_000,
        "_BACKLOG": 100,
        "_FREE_PORT_ATTEMPTS": 20,
    },
    "chat.service.backup": {"ATTEMPTS": 4},
    "chat.service.expiry": {"PIECE": 256, "AT_START": 16, "JUMP_MS": 1_000},
    "chat.service.discovery": {"DAYS_LOOKED": 31, "SLOTS_TRIED": 20_000, "PLACES_FOUND": 64, "KEPT": 8},
    "chat.service.keyring": {"PAIRINGS_NAMED": 4, "TERMINALS_DIALLED": 16},
    "chat.service.pairing.session": {"REPLACED": 1},
    "chat.service.settings": {"VALUE_CHARACTERS_MAX": 65_536},
    "chat.service.sync": {"STRETCH": 4_096, "BATCH": 64, "READ_REPEATED": 64},
}


@pytest.mark.parametrize("name", VALUES)
def test_bounds_have_the_values_that_were_chosen(name: str) -> None:
    module = import_module(name)
    assert {each: getattr(module, each) for each in VALUES[name]} == VALUES[name]
