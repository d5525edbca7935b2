"""What a database lets go of: the clock, what vouches for a body, and that a crash leaves all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.storage import retention
from chat.storage.retention import DAY_MS, STEADY_MS
