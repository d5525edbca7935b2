"""Test vectors: our own, made from a public phrase, and the runners for them and for published ones."""
