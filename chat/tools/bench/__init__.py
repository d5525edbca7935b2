"""How long people wait: five flows of two persons at terminals, each beside its bound; and a burst stored.

Rules: a program like protocol/bench, started by the command alone. The flows see Parlour from outside only,
as processes in terminals; what they start is seen by nobody else and is gone afterwards. The row commit works
on the storage itself, and rows.py puts it behind the protocol's rows.
"""
