"""What holds after each test of the interface: English, and the keys of the registry."""

from __future__ import annotations

from tests.unit.tui.conftest import _as_before, _styles_parsed_once

__all__ = ["_as_before", "_styles_parsed_once"]
