"""How long people wait: five flows of two persons at real terminals, each beside its bound.

Rules: a program like protocol/bench, started by the command alone; it sees Parlour only from outside, as
processes in terminals; what it starts is seen by nobody but itself and is gone afterwards.
"""
