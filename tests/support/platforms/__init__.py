"""Other systems than the one that tests run on: what those lack is taken away."""
