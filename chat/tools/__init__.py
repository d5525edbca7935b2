"""Programs around the messenger: diagnosis, proofs, a demo, measurements."""
