"""Tools to test Parlour as its users meet it: hosts on a network, terminals, memory, virtual time."""
