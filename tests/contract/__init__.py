"""Tests that every `Messenger` and every `Door` passes: the fakes, the engine, and both behind the socket."""
