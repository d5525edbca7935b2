"""Python's collector of unreachable objects, kept from stopping the interface where somebody waits.

Rules: a look at all objects takes a quarter of a frame's time a thousand, so what stays for good is looked at
once and then left alone; after a lock everything is looked at again, since keys may be among it.
"""

from __future__ import annotations

import gc


def hurry() -> None:
    """Collect nothing until `settle`: there is little garbage in a start, and every look costs."""
    gc.disable()


def settle() -> None:
    """Take what is there now for lasting, and collect what comes."""
    gc.collect()
    gc.freeze()
    gc.enable()


def release() -> None:
    """Collect everything that nothing needs any more, whenever it came."""
    gc.unfreeze()
    gc.collect()
    gc.enable()
