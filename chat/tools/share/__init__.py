"""Sharing: a neighbour on the local network gets Parlour from a terminal that has it."""
