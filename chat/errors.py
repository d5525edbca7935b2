"""Protocol errors as a person meets them: whose fault, and what to do.

Rules: no peer text and no key in any message; a peer itself learns nothing of the class.
"""

from __future__ import annotations

from chat.phrases import phrase

LOCKED = phrase("Parlour is locked: unlock it with the passphrase.")
ENGINE_ENDED = phrase("The engine of this profile has stopped: start Parlour again.")
NO_ANSWER = phrase(
    "Nobody answers there. Is Parlour open on the other terminal, and on the same network or at a relay that"
    " both of you named?"
)
OTHER_VERSION = phrase(
    "The other terminal speaks other versions of the protocol: update the older of the two."
)
NOT_PARLOUR = phrase("Something other than Parlour answers at that address: check the address.")
NOT_WELCOME = phrase(
    "The other terminal does not take part: is it visible, or is the invitation used or expired?"
)
CUT = phrase("The connection ended before pairing was complete: nothing was changed here, try again.")
REFUSED = phrase("The other person refused: nothing was stored.")
PROBLEM = phrase(
    "The other terminal did not keep to the protocol: pairing stopped, nothing was stored. Try again."
)
WRONG_KEYS = phrase(
    "The keys do not match: somebody may be in between. Nothing was stored; pair face to face."
)
