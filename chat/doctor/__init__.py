"""Why two terminals do not see each other, and what to do about it: `parlour doctor`."""

from chat.doctor.context import Context, Relay, Sought
from chat.doctor.report import diagnose

__all__ = ["Context", "Relay", "Sought", "diagnose"]
