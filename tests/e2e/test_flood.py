"""A flooded port does not stop two people from talking.

Everything here runs real programs on hosts of the lab; the flood comes from a third host.
Bounds are on memory, descriptors and outcomes, never on speed.
"""
