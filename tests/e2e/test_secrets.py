"""Nothing that people say or are called leaks: not on the wire, on disk, in output or in a terminal's title.

The needles are random, so that a hit is never chance; every place is read raw.
Each search also finds something it must find, so that an empty capture cannot pass.
"""
