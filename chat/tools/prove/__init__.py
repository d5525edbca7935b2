"""`parlour prove`: each claim of seeds/claims.toml as a live experiment on this machine.

Rules: what is searched runs in processes of its own and is looked at from outside; a needle is drawn anew for
each run; every search has found its needle where it was planted before it may say that nothing is there.
"""
