"""What both interfaces say about the files of a profile."""

from __future__ import annotations

from tui.text.translation import N_

OLD_HEADER = N_(
    "An old copy of the profile's header, as in a backup of your files, still opens the history with the old"
    " passphrase."
)
"""What a change of the passphrase leaves as it is."""
SEALING = N_("Sealing the history under a new key…")
SEALED = N_("The history has a new key.")
