"""`parlour prove`: each claim of seeds/claims.toml as a live experiment on this machine."""
