"""What every `Messenger` and every `Door` does alike: the fakes, the engine, and either behind the socket.

Rules: the interface is tested on the fakes, so whatever it may rely on is a test here, run on all of them.
"""
