"""Benchmarks: `parlour bench` with the protocol's rows, and the waiting times of the program."""
